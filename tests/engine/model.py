"""The invariants of the engine, recomputed from scratch after every event.

Nothing is imported from the engine: records are read by their plain attributes, and what follows
from them (steps, minimums, sums, who may be asked) is worked out again here, the slow way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from trio_allocator.engine.effects import Cause
from trio_allocator.testing.levels import (
    below,
    class_above,
    floor,
    in_classes,
    lowest,
    minimum,
    need,
    steps,
    want,
)

FALLING = 0.95
"""P1: the estimate falls below this share of its maximum of the last two seconds."""

LONGEST_WAIT = 10.1
"""G9: no raise is kept back for longer, if the estimate would carry it; and lows are remembered in
tenths of a second."""
BUCKET = 0.1
"""P1: a maximum may be remembered for so long too long, s."""


# --- what all of them may hold -----------------------------------------------------------------------


def allowed(limits: Any, estimate: int | None) -> int | None:
    """What the allocations may come to under an estimate and the limits of the connection."""
    if estimate is None:
        return None
    capped = estimate if limits.max_bitrate is None else min(estimate, limits.max_bitrate)
    return max(0, capped - limits.reserve)


def usable(engine: Any) -> int | None:
    return allowed(engine.limits, engine.estimates.value)


def reach(engine: Any) -> float:
    """What they could come to at best."""
    return float("inf") if (most := allowed(engine.limits, 10**15)) == 10**15 else float(most or 0)


# --- what one receiver could hold ----------------------------------------------------------------


def lacks(r: Any) -> int:
    """What would be of use to it: a step, or all that it waits for if any part is of use."""
    return want(r) - r.projected if elastic(r) else need(r, r.projected)


def elastic(r: Any) -> bool:
    return r.options.elastic and not steps(r)


def lacking(engine: Any, r: Any, level: int) -> int:
    """What must be free for it to be raised: more than a step, where a bar of the policy says so."""
    bar = int(engine.settlement.sharing.bars().get(r.id, 0))
    return max(need(r, level), bar - level)


def idle(r: Any) -> bool:
    return r.negotiation.name == "IDLE"


def waits(r: Any) -> bool:
    """Waits for more, and nothing of its own keeps it back."""
    return want(r) > r.allocation and r.held_until is None and idle(r)


def extra(r: Any, concerned: Callable[[int], bool] = lambda _: True) -> int:
    """What those before it could take from it: above its minimum, and not under way already.

    Of the classes that `concerned` holds for.
    """
    if not idle(r) or not (r.options.negotiable or r.projected > r.allocation):
        return 0
    parts = in_classes(r, max(lowest(r), minimum(r)), r.projected)
    return sum(rate for priority, rate in parts.items() if concerned(priority))


def in_class(r: Any) -> int:
    """The class of its next step."""
    return class_above(r, r.projected)


def all_classes(r: Any) -> set[int]:
    """All classes that any step of it belongs to."""
    return set(in_classes(r, 0, 10**16))


# --- the books -----------------------------------------------------------------------------------


def check_books(engine: Any) -> None:
    """A1, C3: sums and indices against a recount."""
    everyone = list(engine.ledger)
    waiting = [r for r in everyone if want(r) > r.allocation]
    books = engine.ledger
    assert books.committed == sum(r.allocation for r in everyone), "A1: committed"
    assert books.projected == sum(r.projected for r in everyone), "A1: projected"
    assert books.waiting == len(waiting), "A1: waiting"
    holding = sum(r.allocation > 0 for r in waiting)
    assert books.waiting_with_allocation == holding, "A1: waiting with allocation"
    for r in everyone:
        assert (r.want, r.minimum, r.floor) == (want(r), minimum(r), floor(r)), "A1: derived"
        assert (r.waiting_since is not None) == (r in waiting), "A1: waiting since"
        assert r.allocation >= 0, "A1: a negative allocation"
        assert r.projected >= 0, "A1: a negative projection"
        asked = r.id in engine.settlement.negotiator._outstanding
        assert asked == (not idle(r)) == (r.request is not None), "A1: outstanding"
    raised = {r.id for r in everyone if r.projected > r.allocation}
    lowered = {r.id for r in everyone if r.projected < r.allocation and idle(r)}
    assert set(engine.settlement._planned) == raised, "A1: planned raises"
    assert set(engine.settlement._pending) == lowered, "A1: pending cuts"
    held = {r.id: r.held_until for r in everyone if r.held_until is not None}
    assert engine.settlement.holds() == held, "C3: holds"
    assert engine.settlement.hold_ends_at == min(held.values(), default=inf), "A1: holds"
    _check_negotiator(engine.settlement.negotiator, everyone)
    if engine.settlement.sharing.ordered:
        _check_indices(engine.settlement.sharing, everyone)
    padders = {r.id for r in everyone if r.options.can_pad}
    assert set(engine.prober.padding._ring) == padders, "C3: padding ring"
    assert set(engine.prober.padding._unread) <= padders, "C3: unread padding"


def _check_negotiator(negotiator: Any, everyone: list[Any]) -> None:
    deadlines = [r.request.deadline for r in negotiator._outstanding.values()]
    assert deadlines == sorted(deadlines), "N3: deadlines out of order"
    refused = {r.id: r.refusal for r in everyone if r.refusal is not None}
    assert set(negotiator._refused) == set(refused), "C3: refused"
    ends = [refused[i].until for i in negotiator._refused]
    assert ends == sorted(ends), "N5: back-offs out of order"
    _check_heap(
        negotiator._by_estimate, {i: (-refusal.estimate,) for i, refusal in refused.items()}
    )


def _check_heap(heap: Any, expected: dict[int, Any]) -> None:
    assert heap._keys == expected, f"A1: a queue: {heap._keys} is not {expected}"
    assert len(heap._heap) <= 2 * len(expected) + 17, "C3: a queue keeps what has gone"
    first = min(((key, member) for member, key in expected.items()), default=None)
    assert heap.first() == first, "A1: the head of a queue"


def _check_indices(shares: Any, everyone: list[Any]) -> None:
    index = shares._index
    index.flush()
    assert set(index._entries) == {r.id for r in everyone}, "C3: entries"
    assert set(index.classes) == {p for r in everyone for p in all_classes(r)}, "C3: classes"
    assert set(shares._touched) <= set(index._entries), "C3: touched"
    assert not shares._bypassed, "C3: bypassed"
    for priority, each in index.classes.items():
        members = [r for r in everyone if priority in all_classes(r)]
        assert each.members == len(members), "A1: members"
        down = {r.id: r for r in members if _gives(r, priority) > 0}
        forced = {i: r for i, r in down.items() if r.refusal and r.projected <= r.allocation}
        asked = {i: r for i, r in down.items() if i not in forced}
        assert (each.askable, each.forcible) == (asked, forced), "A1: who gives"
        for total, extra, given in (
            (each.gives, each.gives_extra, asked),
            (each.forced, each.forced_extra, forced),
        ):
            assert total == sum(_gives(r, priority) for r in given.values()), "A1: what they give"
            lots = sum(_gives(r, priority, minimum(r)) for r in given.values())
            assert extra == lots, "A1: extra"
        up = {r.id: r for r in members if waits(r) and r.allocation <= r.projected < want(r)}
        up = {i: r for i, r in up.items() if in_class(r) == priority}
        back = {r.id: r for r in members if r.projected < r.allocation}
        back = {i: r for i, r in back.items() if r.negotiation.name != "PLEDGED"}
        back = {i: r for i, r in back.items() if _comes_back_in(r) == priority}
        lowly = {i for i, r in up.items() if r.projected < minimum(r)}
        for queue, expected in (
            (each.minimums, lowly),
            (each.waiting, set(up) - lowly),
            (each.restorable, set(back)),
        ):
            assert set(queue) == expected, "A1: a queue"
        for member in each.waiting:
            turn = each.waiting._entries[member][3]
            assert turn == _turn(up[member]), "G8: not in turn"
        demand = sum(want(r) - r.projected for r in up.values())
        demand += sum(r.allocation - r.projected for r in back.values())
        assert each.demand == demand, "A1: demand"
        turns = {i: (up[i].waiting_since, i) for i in set(up) - lowly}
        _check_heap(each.longest, turns)
        reserved_in = {None: {None}, each.waiting: set(turns), each.minimums: lowly}
        assert each.reserved_for in reserved_in[each.reserved_in], "C3: reserved"
        tops = {r.id: (-steps(r)[-1],) for r in members if steps(r)}
        _check_heap(each.tops, tops)


def _turn(r: Any) -> float:
    """Who gave back all comes first when it returns (A7)."""
    return -inf if r.returning and r.projected == 0 else float(r.waiting_since)


def _gives(r: Any, priority: int, above: int = 0) -> int:
    """What of its steps of this class it can give; only of what is above some level, bit/s."""
    if not idle(r):
        return 0
    stuck = r.refusal is not None or not r.options.negotiable
    bottom = r.allocation if r.projected > r.allocation and stuck else lowest(r)
    return in_classes(r, max(bottom, above), int(r.projected)).get(priority, 0)


def _comes_back_in(r: Any) -> int:
    """The class in which it may keep what it was to give: all of it, or a step."""
    return in_class(r) if r.request is None else _last_class(r)


def _last_class(r: Any) -> int:
    """The class of the last of what it holds."""
    return next(reversed(in_classes(r, 0, r.allocation)), in_class(r))


# --- the state after an event --------------------------------------------------------------------


def check_shares(engine: Any, witness: Witness, status: Any, event: str) -> None:
    """A2, G2, G6, G8, N7 for the projections: what everybody will hold when all is done.

    After an answer nobody is asked anew as long as others owe theirs (G5).
    """
    assert engine.settlement.policy_fault is None, "L3: the policy failed"
    deferred = event == "answer" and bool(engine.settlement.negotiator.outstanding)
    estimate = usable(engine)
    assert estimate == status.usable, "A2: another capacity"
    everyone = list(engine.ledger)
    committed = sum(r.allocation for r in everyone)
    for until in status.favoured.values():
        assert engine._now < until <= engine._now + 5.0, "G8: what is free is held for too long"
    for until in status.holds.values():
        assert engine._now < until <= engine._now + 10.0, "G9: a hold is too long"
    assert all(r.projected >= 0 for r in everyone)
    for r in everyone:
        assert r.projected <= max(r.allocation, want(r)), "A2: more than it wants"
    if estimate is None:
        assert not status.asked, "A6: somebody is asked while the estimate is unknown"
        assert not engine.settlement._planned, (
            "A6: a raise is planned while the estimate is unknown"
        )
        assert not engine.settlement._pending, "A6: a cut is planned while the estimate is unknown"
        return
    for r in everyone:
        bar = status.bars.get(r.id, 0)
        assert not bar or (r.projected < bar <= want(r)), "G2: a bar above all that it wants"
    slack = estimate - sum(r.projected for r in everyone)
    if status.ceiling is not None:
        assert status.ceiling < estimate, "G9: a ceiling that keeps nothing back"
        assert engine._now < status.ceiling_until <= engine._now + 120, "G9: calm for too long"
    if slack < 0 and not deferred:
        for r in everyone:
            settled = not idle(r) or r.projected == lowest(r)
            settled |= r.refusal is not None and bool(engine.settlement.negotiator.outstanding)
            assert settled, f"A2/N6: {r.id} could still give {r.projected - lowest(r)}"
    excess = max(0, committed - estimate)
    # When all have answered, anybody may be asked for the rest; then who refused is forced.
    under_way = 0
    unfinished = engine.settlement.negotiator._outstanding
    for r in everyone:
        level = min(r.projected, lowest(r)) if unfinished else r.projected
        under_way += max(0, r.allocation - level)
    named = {allowance.name: allowance.bitrate for allowance in status.allowances}
    assert sum(named.values()) == excess, "A2: the excess is not explained"
    least = sum(min(r.allocation, floor(r)) for r in everyone if r.options.negotiable)
    assert named.get("minimum", 0) <= least, "A2: the minimums do not explain it"
    assert status.unrelieved == max(0, excess - under_way), "N6: unrelieved"
    # What is held may stay as far as the estimate goes; the sum grows only as far as recent estimates
    # allow (G9), in overuse too.
    projected = sum(r.projected for r in everyone)
    trusted = estimate if status.ceiling is None else status.ceiling
    spare = min(estimate, max(committed, trusted)) - projected
    for r in everyone:
        if r.negotiation.name == "ASKED":
            gone = r.allocation - r.projected <= spare
            assert not gone, f"N7: the need for the request to {r.id} has gone"
    slack = spare if committed <= estimate else min(spare, max(0, trusted - projected))
    keepers = [in_class(r) for r in everyone if r.id in status.favoured]
    for r in everyone:
        if not waits(r) or r.projected >= want(r) or slack < 0:
            continue
        priority, level = in_class(r), r.projected
        within = level < min(minimum(r), want(r))
        kept_back = [p for p in keepers if p > priority or (p == priority and not within)]
        if kept_back and r.id not in status.favoured:
            continue
        if kept_back and max(kept_back) > priority:
            continue
        room = slack
        lack = lacking(engine, r, level)
        assert lack > room, f"G2: a step of {r.id} fits"
        if deferred:
            continue
        room += sum(extra(o, lambda p, than=priority: p < than) for o in everyone)
        assert lack > room, f"G6: lower classes keep what {r.id} waits for"
        if within:
            room += sum(extra(o, lambda p, than=priority: p == than) for o in everyone)
            assert lack > room, f"G8: others have more while {r.id} lacks its minimum"
    if not engine.settlement.negotiator._outstanding:
        assert committed == sum(r.projected for r in everyone), "G2: nothing under way, yet planned"


def check_probe(engine: Any, witness: Witness, settings: Any, now: float) -> None:
    """P1, P2, P4, P5: whether padding is due, and how much of it is unread."""
    prober, padding = engine.prober, engine.prober.padding
    estimate, target, status = engine.estimates.value, prober.target, prober.status.name
    everyone = list(engine.ledger)
    committed = sum(r.allocation for r in everyone)
    waiting = [r for r in everyone if want(r) > r.allocation]
    assert waiting or not target, "P1: nobody waits"
    assert padding._ring or not target, "P3: nobody can send it"
    caught_up = engine.wake_at > now
    steady = estimate is not None and not witness.falls(now, estimate)
    may = usable(engine) or 0
    allowed = steady and committed <= may and not engine.settlement.negotiator._outstanding
    free, most = may - committed, reach(engine) - committed
    useful = [
        r
        for r in everyone
        if waits(r)
        and max(lacks(r), lacking(engine, r, r.projected)) > free
        and lacking(engine, r, r.projected) <= most
    ]
    if status == "PROBING":
        assert estimate is not None, "P1: without a live estimate"
        assert target <= max(2 * estimate, 200_000), "P4: above the cap"
        assert target <= reach(engine), "P4: above what the connection may be used for"
        if caught_up:
            assert allowed, "P1: in overuse, while negotiating, or while the estimate falls"
            assert useful, "P1: all that waits would fit"
    elif status == "ESCAPING":
        assert target == min(settings.escape_bitrate, reach(engine)), "P5: another floor"
        assert not any(r.allocation for r in waiting), "P5: though one who waits holds something"
    elif caught_up and status == "IDLE" and padding._ring:
        # A single bit/s is not worth a probe.
        needed = [r.id for r in useful if need(r, r.allocation) > max(1, free)]
        allowed &= estimate is not None and not witness.falls(now, estimate, 2.0 + BUCKET)
        assert not (allowed and needed), f"P1: {needed} wait, and nothing is probed"
    stuck = engine.estimates.ever and waiting and not any(r.allocation for r in waiting)
    if engine.limits.max_bitrate is not None:
        # A single bit/s is not worth it, here either.
        stuck = stuck and any(1 < lacking(engine, r, 0) <= most for r in waiting if waits(r))
    if caught_up and stuck and padding._ring:
        assert status != "IDLE", "P5: everything waits, and nothing will ever change that"
    unread = max(2 * target / 8 * padding.tick, settings.padding_packet)
    for account in padding._ring.values():
        assert account.unread <= (unread if target else 0), "P2: unread padding"


def snapshot(engine: Any, status: Any) -> list[Any]:
    """All that a repeated event must not change."""
    state: list[Any] = [status, engine.limits, engine.wake_at, engine.prober.next_tick]
    state += [
        sorted(engine.settlement._planned),
        sorted(engine.settlement._pending),
        engine.ledger.projected,
    ]
    for r in engine.ledger:
        state.append([getattr(r, name) for name in type(r).__slots__])
    return state


# --- what was said: one observer of all messages ---------------------------------------------------


@dataclass
class Refusal:
    estimate: int
    until: float


@dataclass
class Seen:
    """What an outsider knows of one receiver."""

    record: Any
    held: int
    request: Any = None
    pledged: bool = False
    gave: bool = False
    deadline: float = 0.0
    refusal: Refusal | None = None
    hold: float = -1.0
    wanted: int = 0


@dataclass
class Witness:
    """Follows every message and answer, and objects to those that the invariants forbid."""

    timeout: float
    hold: float
    backoff: float
    limits: Any = None
    known: int | None = None
    newest: int | None = None
    seen: dict[int, Seen] = field(default_factory=dict)
    estimates: list[tuple[float, int]] = field(default_factory=list)

    def begin(self, now: float, estimate: int | None = None, limits: Any = None) -> None:
        """Refusals lapse with time, or below the estimate they were made at (N5).

        What the connection is limited to counts as its estimate.
        """
        if limits is not None:
            self.limits = limits
        newest = estimate
        if limits is not None and self.estimates:
            newest = self.estimates[-1][1]
        if newest is not None and self.limits is not None:
            newest = allowed(self.limits, newest)
        for s in self.seen.values():
            s.wanted = want(s.record)
            refusal = s.refusal
            if refusal is None:
                continue
            if now >= refusal.until:
                s.refusal = None
        self.newest = newest
        if estimate is not None:
            self.estimates = [(t, e) for t, e in self.estimates if now < t + LONGEST_WAIT]
            self.estimates.append((now, estimate))

    def _lapse(self) -> None:
        """What time alone had brought is done: now the newest estimate counts."""
        for s in self.seen.values():
            lower = self.newest is not None and s.refusal is not None
            if lower and self.newest < s.refusal.estimate:
                s.refusal = None
        self.newest = None

    def falls(self, now: float, estimate: int, window: float = 2.0) -> bool:
        return any(estimate < FALLING * e for t, e in self.estimates if now < t + window)

    def carried(self, now: float) -> int:
        """What every estimate of the last ten seconds would have carried."""
        return min((e for t, e in self.estimates if now < t + LONGEST_WAIT), default=0)

    def refuse(self, receiver_id: int, now: float, estimate: int) -> None:
        s = self.seen[receiver_id]
        s.request, s.pledged = None, False
        s.refusal = Refusal(estimate, now + self.backoff)

    def hear(self, engine: Any, now: float, effects: list[Any], actor: int, event: str) -> None:
        """Judge the messages of one event; `actor` is the receiver whose event it was, or 0."""
        estimate = usable(engine)
        for effect in effects:
            s = self.seen[effect.receiver_id]
            by_itself = effect.receiver_id == actor
            if effect.cause is not Cause.TIME:
                self._lapse()
            for other in self.seen.values():
                if other is not s or effect.act.name not in {"REVISED", "WITHDRAWN"}:
                    self._keep_word(other)
            match effect.act.name:
                case "ASKED":
                    # What time brought was asked of the one that it was before.
                    was_another = by_itself and event == "configure" and effect.cause is Cause.TIME
                    self._asked(s, effect.message, now, estimate, was_another=was_another)
                case "REVISED":
                    assert s.request is not None, "N2: what is revised was never asked"
                    request = effect.message
                    assert request.request_id == s.request.request_id, "N2: another one"
                    assert lowest(s.record) <= request.limit < s.held, "N4: what it can not give"
                    s.request = request
                case "WITHDRAWN":
                    s.request, s.pledged = None, False
                case "JOINED":
                    assert effect.after == s.held, "G1: it joined with something else"
                case _:
                    assert effect.before == s.held, "G1: it held something else before"
                    told = [e.message for e in effects if e.message is not None]
                    message = effect.message
                    self._granted(engine, s, message, now, estimate, by_itself, event, told)
        self._lapse()
        for s in self.seen.values():
            self._keep_word(s)
            assert s.held == s.record.allocation, f"G1: {s.record.id} was not told"
            request = s.record.request
            assert (request is None) == (s.request is None), f"N2: {s.record.id} does not know"
            assert request is None or request.id == s.request.request_id, "N2: another request"
            named = request is None or s.pledged or s.request.allocation == s.held
            assert named, "N2: the request names what it held before"
        self.known = estimate

    @staticmethod
    def _keep_word(s: Seen) -> None:
        """One that pledged, and gave it, is told nothing but what it holds."""
        request = s.record.request
        gone = s.request is not None and (request is None or request.id != s.request.request_id)
        if s.gave and gone:
            s.request, s.pledged = None, False
        s.gave = False

    def _asked(
        self, s: Seen, effect: Any, now: float, estimate: int | None, *, was_another: bool
    ) -> None:
        r = s.record
        assert estimate is not None, "A6: asked while the estimate is unknown"
        assert was_another or r.options.negotiable, "N1, A5: asked though it is not negotiable"
        assert s.request is None, "N2: asked while a request is outstanding"
        assert s.refusal is None, "N5: asked again after a refusal"
        assert effect.allocation == s.held, "N2: the request names another allocation"
        least = 0 if was_another else lowest(r)
        assert least <= effect.limit < s.held, "N7: the limit makes no sense"
        s.request, s.pledged, s.deadline = effect, False, now + self.timeout

    def _granted(
        self,
        engine: Any,
        s: Seen,
        effect: Any,
        now: float,
        estimate: int | None,
        by_itself: bool,
        event: str,
        effects: list[Any],
    ) -> None:
        r, level = s.record, effect.allocation
        reason = effect.reason.name
        if reason == "GRANTED":
            assert level > s.held, "G1: a grant that raises nothing"
            # What time alone had brought was granted before this event.
            wanted = (s.wanted, want(r))
            assert level <= max(wanted), "A2: granted more than it asked for"
            divisible = steps(r) or r.options.elastic or event == "configure"
            assert divisible or level in (*wanted, minimum(r)), "G2: granted a part of no use"
            assert s.hold <= now, "G9: raised during a hold"
            assert s.request is None, "G2: raised while asked to decrease"
            s.refusal = None
        elif reason == "LOWERED":
            assert by_itself, "G1: lowered by somebody else"
            assert level <= s.held, "G1: lowered upwards"
            s.gave = level < s.held and s.request is not None
        elif event == "force" and by_itself:
            assert level < s.held, "G9: forced upwards"
            s.hold = now + self.hold
        else:
            assert r.options.negotiable, "A5: forced though it is not negotiable"
            assert estimate is not None, "A6: forced while the estimate is unknown"
            assert s.refusal is not None, "N8: forced without a refusal of its own"
            assert floor(r) <= level < s.held, "N8: forced below its floor"
            s.hold = now + self.hold
            if reason == "BREACH":
                self._check_needed(engine, s.held - level, effects)
                assert event == "advance", "N4: a breach is judged at the deadline only"
                one = below(r, s.held)
                whole = steps(r) or s.held <= minimum(r)
                right = level == one if whole else minimum(r) <= level <= one
                assert right, f"N4: a breach takes one step, not {s.held} to {level}"
            else:
                self._check_last_resort(engine, s, estimate, effects)
        s.held = level
        if reason == "GRANTED" and estimate is not None and event != "register":
            total = sum(o.held for o in self.seen.values())
            # What time alone had brought was granted under the estimate before this one.
            most = max(estimate, self.known or 0)
            assert total <= most, f"A2: granted up to {total} of {most}"

    def _check_needed(self, engine: Any, cut: int, effects: list[Any]) -> None:
        """Nothing was cut that could have stayed, with nobody served by it, nor cut after it."""
        reasons = {e.reason.name for e in effects if getattr(e, "reason", None)}
        served = not reasons.isdisjoint({"GRANTED", "FORCED"}) or any(
            r.projected > r.allocation for r in engine.ledger
        )
        if not engine.settlement.sharing.ordered:
            return  # what it was needed for, a policy may think better of
        total = sum(r.allocation for r in engine.ledger)
        assert served or total + cut > (usable(engine) or 0), (
            "N4: a breach costs what is not needed"
        )

    def _check_last_resort(self, engine: Any, s: Seen, estimate: int, effects: list[Any]) -> None:
        assert not any(o.request for o in self.seen.values()), "N8: somebody owes an answer"
        everyone = list(engine.ledger)
        ceiling = 256
        granted = {e.receiver_id for e in effects if getattr(e, "reason", None)}
        served = [o for o in everyone if want(o) > o.allocation or o.id in granted]
        raised = any(getattr(e, "reason", None) and e.reason.name == "GRANTED" for e in effects)
        if served and not engine.settlement.sharing.ordered:
            return  # a policy serves those who wait as it likes, out of what refusers hold as well
        if raised or sum(o.held for o in self.seen.values()) <= estimate:
            # Not overuse: it makes room for those before it, and only those after them can.
            ceiling = max(
                (
                    _last_class(o) if o.id in granted else class_above(o, o.allocation)
                    for o in served
                ),
                default=0,
            )
        askable = [
            o
            for o in everyone
            if o.options.negotiable and self.seen[o.id].refusal is None and o.id not in granted
            if o.projected == o.allocation
        ]
        if ceiling == 256:
            left = sum(o.allocation - lowest(o) for o in askable)
            assert left <= 0, f"N8: others could be asked for {left} before forcing"
        else:  # nobody is asked for what would not spare the one that is forced (N7)
            left = sum(extra(o, lambda p: p < ceiling) for o in askable)
            spare = max(0, min(estimate, engine.trusted) - sum(o.projected for o in everyone))
            need = s.held - s.record.allocation - spare
            assert left < need, f"N8: others could be asked for {left} instead of forcing {need}"
