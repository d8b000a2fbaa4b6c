"""Everything that may happen to an engine, in any order, against the model."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, note, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from tests.engine import model
from trio_allocator.engine.effects import Cause
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.limits import Limits
from trio_allocator.engine.negotiation import Negotiation
from trio_allocator.engine.negotiator import AnswerError
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.engine.settings import Settings
from trio_allocator.engine.sharing.layered_policy import FairPolicy, LayeredPolicy
from trio_allocator.messages import AllocationGranted
from trio_allocator.options import ReceiverOptions
from trio_allocator.policies.policy import Policy
from trio_allocator.policies.water_filling import WaterFillingPolicy
from trio_allocator.report.status import snapshot
from trio_allocator.testing import levels
from trio_allocator.tracks import Track

RATES = st.sampled_from([0, 1, 50, 110, 165, 330, 550, 880, 1100, 2750]) | st.integers(0, 3000)
LADDERS = st.sampled_from(
    [(), (), (100,), (100, 500), (150, 500, 2500), (150, 500, 2500), (100, 300, 500, 800), (7, 13)]
)
PRIORITIES = st.sampled_from([0, 0, 0, 1, 255, (1, 0), (255, 1, 0), (1, 1, 0), (0, 0)])
WEIGHTS = st.sampled_from([1.0, 1.0, 0.5, 3.0])
MINIMA = st.sampled_from([0, 0, 0, 60, 165, 200])
CAPS = st.sampled_from([None, None, None, 200, 550, 1000])
MANNERS = st.sampled_from(
    ["limit", "limit", "step", "separate", "silent", "liar", "reject", "reject", "haggle", "flap"]
)
TIMES = st.sampled_from([0.0, 1e-6, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 11.0, 600.0])
MOST_ROUNDS = 120
"""N6: so many rounds of answers and deadlines are enough for what the machine can build."""


def ladder(rates) -> dict[str, int]:
    return {f"v{rate}": rate for rate in rates}


class Party:
    """One receiver as the test drives it."""

    def __init__(self, record, account, manner) -> None:
        self.record = record
        self.account = account
        self.manner = manner
        self.gone = False
        self.old_requests: list[int] = []
        self.answered: list[int] = []


class EngineMachine(RuleBasedStateMachine):
    policy: Policy | None = FairPolicy()
    parties = Bundle("parties")

    @initialize(
        estimate=st.none() | RATES,
        backoff=st.sampled_from([5.0, 0.2, math.inf]),
        limit=st.sampled_from([1, 3]),
        timeout=st.sampled_from([None, 2.0, math.inf]),
        increment=st.sampled_from([None, 200_000]),
        packet=st.sampled_from([1, 256]),
    )
    def open(self, estimate, backoff, limit, timeout, increment, packet) -> None:
        self.settings = Settings(
            refusal_backoff=backoff,
            overtaken_limit=limit,
            estimate_timeout=timeout,
            probe_increment=increment,
            padding_packet=packet,
        )
        self.now = 100.0
        self.engine = Engine(
            self.settings, now=self.now, initial_estimate=estimate, policy=self.policy
        )
        self.witness = model.Witness(
            self.settings.negotiation_timeout,
            self.settings.hold,
            self.settings.refusal_backoff,
        )
        if estimate is not None:
            self.witness.begin(self.now, estimate)
        self.alive: dict[int, Party] = {}
        self.check(0, "open")

    # --- one event -------------------------------------------------------------------------------

    def check(self, actor: int, event: str) -> list:
        """Hear the effects of one event, and judge the state it led to."""
        engine = self.engine
        self.sound = False
        effects = engine.drain()
        note(f"{self.now:.6f} {event} {actor}: {effects}")
        self.witness.hear(engine, self.now, effects, actor, event)
        model.check_books(engine)
        model.check_shares(engine, self.witness, snapshot(engine), event)
        for party in self.alive.values():
            request = party.record.request
            if request is not None and request.id not in party.old_requests:
                party.old_requests.append(request.id)
        self.check_probe()
        self.sound = True
        return effects

    def check_probe(self) -> None:
        model.check_probe(self.engine, self.witness, self.settings, self.now)

    def repeat(self, event, *args, **kwargs) -> None:
        """G3: the same again changes nothing."""
        before = model.snapshot(self.engine, snapshot(self.engine))
        self.sound = False
        event(self.now, *args, **kwargs)
        assert self.engine.drain() == [], "G3: a repeated event had effects"
        after = model.snapshot(self.engine, snapshot(self.engine))
        assert after == before, "G3: a repeated event changed something"
        self.sound = True

    # --- events ----------------------------------------------------------------------------------

    @rule(
        target=parties,
        rates=LADDERS,
        bandwidth=RATES,
        manner=MANNERS,
        negotiable=st.sampled_from([None, True, False]),
        kind=st.sampled_from(["video", "audio"]),
        priority=PRIORITIES,
        weight=WEIGHTS,
        low=MINIMA,
        cap=CAPS,
        pausable=st.booleans(),
        elastic=st.booleans(),
        bare=st.booleans(),
    )
    def register(
        self,
        rates,
        bandwidth,
        manner,
        negotiable,
        kind,
        priority,
        weight,
        low,
        cap,
        pausable,
        elastic,
        bare,
    ) -> Party:
        assume(cap is None or cap >= low)
        assume(not (pausable and negotiable is False))
        if cap is not None:
            bandwidth = min(bandwidth, cap)
        track = Track("t", kind=kind, variants=ladder(rates))
        changes = {} if negotiable is None else {"negotiable": negotiable}
        options = ReceiverOptions.for_track(
            track,
            {
                "priority": priority,
                "weight": weight,
                "min_bitrate": low,
                "max_bitrate": cap,
                "pausable": pausable,
                "elastic": elastic,
                "bare_steps": bare,
                **changes,
            },
        )
        account = PaddingAccount()
        self.witness.begin(self.now)
        record = self.engine.register(self.now, track, options, bandwidth, account)
        party = Party(record, account, manner)
        self.alive[record.id] = party
        self.witness.seen[record.id] = model.Seen(record, bandwidth)
        self.check(record.id, "register")
        return party

    @rule(party=consumes(parties))
    def leave(self, party: Party) -> None:
        party.gone = True
        del self.alive[party.record.id]
        del self.witness.seen[party.record.id]
        self.witness.begin(self.now)
        held = party.record.allocation
        free_before = sum(r.allocation for r in self.engine.ledger)
        self.engine.leave(self.now, party.record)
        effects = self.engine.settlement.effects
        effects[:] = [e for e in effects if e.receiver_id != party.record.id]
        if self.engine.estimates.value is None:
            assert sum(r.allocation for r in self.engine.ledger) <= free_before, "A6: from nowhere"
        assert party.account.unread == 0, f"L2: padding of one that left with {held}"
        self.check(party.record.id, "leave")

    @rule(estimate=RATES | st.integers(0, 12_000))
    def update_estimate(self, estimate: int) -> None:
        self.estimate(estimate)

    @rule(share=st.sampled_from([0.0, 0.5, 0.94, 0.96, 0.98, 0.999, 1.0, 1.001, 1.02, 1.3, 2.0]))
    def move_estimate(self, share: float) -> None:
        base = self.engine.estimates.value or self.engine.ledger.committed
        self.estimate(int(base * share))

    @rule(less=st.integers(-1, 1))
    def estimate_what_is_held(self, less: int) -> None:
        reserve = self.engine.limits.reserve
        self.estimate(max(0, self.engine.ledger.committed + reserve + less))

    @rule(
        cap=st.sampled_from([None, None, 0, 200, 1000, 3000]),
        reserve=st.sampled_from([0, 0, 60, 500]),
    )
    def limit(self, cap: int | None, reserve: int) -> None:
        limits = Limits(max_bitrate=cap, reserve=reserve)
        self.witness.begin(self.now, limits=limits)
        self.engine.limit(self.now, limits)
        self.check(0, "limit")
        self.repeat(self.engine.limit, limits)

    def estimate(self, estimate: int) -> None:
        self.witness.begin(self.now, estimate)
        self.engine.update_estimate(self.now, estimate)
        self.check(0, "estimate")
        self.repeat(self.engine.update_estimate, estimate)

    @rule(party=parties, bitrate=RATES | st.just(10**9))
    def request(self, party: Party, bitrate: int) -> None:
        record = party.record
        before = record.allocation
        waited = levels.want(record) > before
        self.witness.begin(self.now)
        awaits = record.negotiation is Negotiation.PLEDGED
        awaits |= self.engine._awaiting and bitrate == record.claim
        total = sum(r.allocation for r in self.engine.ledger)
        self.engine.request(self.now, record, bitrate)
        assert record.claim == bitrate, "G9: the newest request is the claim"
        if self.engine.estimates.value is None:
            assert sum(r.allocation for r in self.engine.ledger) <= total, "A6: raises wait"
        if bitrate < before:
            assert record.allocation == bitrate, "G9: a lowering is booked at once"
        effects = self.check(record.id, "answer" if awaits else "request")
        own = [e for e in effects if e.receiver_id == record.id]
        own = [e for e in own if isinstance(e.message, AllocationGranted)]
        told = [e for e in own if e.cause is not Cause.TIME]
        woke = len(told) < len(own)  # by time, before the request
        if bitrate == before and record.allocation == before and not woke:
            assert len(told) == waited, "G3: answered only if it cancelled a raise"
        self.repeat(self.engine.request, record, bitrate)

    @rule(party=parties)
    def request_what_is_held(self, party: Party) -> None:
        self.request(party=party, bitrate=party.record.allocation)

    @rule(
        party=parties,
        rates=st.none() | LADDERS,
        changes=st.fixed_dictionaries(
            {},
            optional={
                "negotiable": st.booleans(),
                "priority": PRIORITIES,
                "weight": WEIGHTS,
                "min_bitrate": MINIMA,
                "max_bitrate": CAPS,
                "pausable": st.booleans(),
                "can_pad": st.booleans(),
                "elastic": st.booleans(),
                "bare_steps": st.booleans(),
            },
        ),
    )
    def configure(self, party: Party, rates, changes) -> None:
        record = party.record
        low = changes.get("min_bitrate", record.options.min_bitrate)
        cap = changes.get("max_bitrate", record.options.max_bitrate)
        assume(cap is None or cap >= low)
        assume(not (changes.get("pausable") and changes.get("negotiable") is False))
        track = record.track if rates is None else record.track.with_variants(ladder(rates))
        options = record.options.changed(changes)
        self.witness.begin(self.now)
        self.engine.configure(self.now, record, track, options, party.account)
        self.check(record.id, "configure")
        self.repeat(self.engine.configure, record, track, options, party.account)

    @rule(party=parties, bitrate=RATES)
    def force(self, party: Party, bitrate: int) -> None:
        record = party.record
        claim, before = record.claim, record.allocation
        self.witness.begin(self.now)
        self.engine.force(self.now, record, bitrate)
        assert record.claim == claim, "G9: force keeps the claim"
        if bitrate < before:
            assert record.allocation == bitrate, "G9: forced"
        self.check(record.id, "force")
        self.repeat(self.engine.force, record, bitrate)

    # --- answers ---------------------------------------------------------------------------------

    def say(self, party: Party, *, accepted: bool, bitrate: int | None = None) -> None:
        record = party.record
        seen = self.witness.seen[record.id]
        asked = seen.request.request_id
        self.witness.begin(self.now)
        estimate = model.usable(self.engine)
        before = [(r.id, r.allocation) for r in self.engine.ledger]
        counts = self.engine.answer(self.now, record, asked, accepted=accepted, bitrate=bitrate)
        if not counts:  # time alone has withdrawn it
            assert bitrate is None or record.allocation != bitrate, "N2: a late answer binds nobody"
        else:
            party.answered.append(asked)
            assert estimate is not None, "A6: a request without an estimate"
            owing = record.request is not None and record.request.id == asked
            if accepted and owing:
                seen.pledged = True
            if accepted and bitrate is None:
                assert before == [(r.id, r.allocation) for r in self.engine.ledger], "N7: too early"
            elif not accepted:
                self.witness.refuse(record.id, self.now, estimate)
        self.check(record.id, "answer")
        with pytest.raises(AnswerError) if counts else pytest.MonkeyPatch.context():
            self.repeat(self.engine.answer, record, asked, accepted=accepted, bitrate=bitrate)
        assert self.engine.drain() == [], "N2: a second answer had effects"

    def owes(self, party: Party) -> bool:
        return not party.gone and self.witness.seen[party.record.id].request is not None

    def react(self, party: Party) -> None:
        """Answer, or do not, as its manner is."""
        if not self.owes(party):
            return
        record, manner = party.record, party.manner
        seen = self.witness.seen[record.id]
        held, limit = seen.held, seen.request.limit
        if seen.pledged:
            if manner == "haggle" and held > 0:
                self.request(party=party, bitrate=held - 1)
            return
        if manner == "limit":
            self.say(party, accepted=True, bitrate=limit)
        elif manner == "separate":
            self.say(party, accepted=True)
            if self.owes(party):
                self.request(party=party, bitrate=limit)
        elif manner == "step":
            lower = max(
                limit, levels.below(record, held) if levels.steps(record) else (held + limit) // 2
            )
            self.say(party, accepted=True, bitrate=lower)
        elif manner == "liar":
            self.say(party, accepted=True)
        elif manner == "reject":
            self.say(party, accepted=False)
        elif manner == "haggle":
            self.say(party, accepted=True, bitrate=held - 1)
        elif manner == "flap":
            claim = record.claim
            self.say(party, accepted=True, bitrate=limit)
            self.request(party=party, bitrate=claim)

    @rule(party=parties)
    def answer(self, party: Party) -> None:
        assume(self.owes(party) and not self.witness.seen[party.record.id].pledged)
        self.react(party)

    @rule(party=parties, share=st.floats(0, 0.999))
    def answer_with_any_rate(self, party: Party, share: float) -> None:
        assume(self.owes(party) and not self.witness.seen[party.record.id].pledged)
        self.say(party, accepted=True, bitrate=int(party.record.allocation * share))

    @rule(party=parties, other=parties)
    def answer_somebody_else(self, party: Party, other: Party) -> None:
        """N2: it raises, and changes nothing. So does a second answer; a late one says False."""
        for request_id in other.old_requests[-3:]:
            request = party.record.request
            if party is other and request is not None and request.id == request_id:
                continue
            wrong = party is not other or request_id in party.answered
            before = model.snapshot(self.engine, snapshot(self.engine))
            self.witness.begin(self.now)
            try:
                counts = self.engine.answer(self.now, party.record, request_id, accepted=True)
            except AnswerError:
                assert wrong, "N2: a late answer raised"
            else:
                assert not wrong, "N2: a second or somebody else's answer did not raise"
                assert counts is False, "N2: a late answer counts"
            if model.snapshot(self.engine, snapshot(self.engine)) != before:
                self.check(party.record.id, "time")  # by what time alone has brought
            self.engine.drain()

    @rule()
    def everybody_answers(self) -> None:
        for party in list(self.alive.values()):
            self.react(party)

    # --- time ------------------------------------------------------------------------------------

    def advance(self) -> None:
        estimate = model.usable(self.engine)
        asked = [s for s in self.witness.seen.values() if s.request is not None]
        due = [(s, s.pledged) for s in asked if s.deadline <= self.now]
        live = self.now < self.engine.estimates.stale_at
        breaches = self.engine.breaches
        self.witness.begin(self.now)
        if estimate is not None and live:
            for s, _ in due:
                request, pledged = s.request, s.pledged
                self.witness.refuse(s.record.id, self.now, estimate)
                s.request, s.pledged = request, pledged
        self.engine.advance(self.now)
        for s, pledged in due:
            if pledged and s.record.request is None:
                s.request, s.pledged = None, False
        effects = self.check(0, "advance")
        for s, _ in due:
            ended = s.record.request is None or s.record.request.deadline > self.now
            assert ended, "N3: a deadline was not judged"
        if live and estimate is not None:
            expected = sum(pledged for _, pledged in due)
            assert self.engine.breaches - breaches == expected, "N4: a broken promise is a breach"
        assert self.engine.wake_at > self.now, f"it wakes for ever: {self.engine.wake_at} {effects}"
        self.repeat(self.engine.advance)

    def tick(self) -> None:
        padding, prober = self.engine.prober.padding, self.engine.prober
        packet = self.settings.padding_packet
        before = sum(p.account.unread for p in self.alive.values())
        prober.tick(self.now)
        booked = sum(p.account.unread for p in self.alive.values()) - before
        assert booked <= 2 * padding.target / 8 * padding.tick + packet + 1e-6, "P2: a burst"
        assert prober.next_tick > self.now, "P4: ticks without time"
        assert prober.tick(self.now) == [], "G3: a repeated tick"
        self.check_probe()

    def run_until(self, end: float) -> None:
        """As the shell does, while the shell is not busy; then the rest in one go."""
        for _ in range(25):
            self.now = max(self.now, min(self.engine.wake_at, self.engine.prober.next_tick, end))
            if self.engine.wake_at <= self.now:
                self.advance()
            if self.engine.prober.next_tick <= self.now:
                self.tick()
            if self.now >= end:
                return
        self.now = end
        self.advance()
        if self.engine.prober.next_tick <= self.now:
            self.tick()

    @rule(seconds=TIMES)
    def pass_time(self, seconds: float) -> None:
        self.run_until(self.now + seconds)

    @rule(seconds=TIMES)
    def stall(self, seconds: float) -> None:
        """Nobody looks at the clock; the next event comes late."""
        self.now += seconds

    @rule(seconds=TIMES)
    def pass_time_with_estimates(self, seconds: float) -> None:
        """The same estimate again and again."""
        if self.engine.estimates.value is None:
            return
        for _ in range(4):
            self.run_until(self.now + min(seconds / 4, 1.9))
            if self.engine.estimates.value is not None:
                self.estimate(self.engine.estimates.value)

    # --- packets ---------------------------------------------------------------------------------

    @rule(size=st.integers(0, 10_000))
    def media(self, size: int) -> None:
        self.engine.meter.media += size

    @rule(party=parties, share=st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0]))
    def read_padding(self, party: Party, share: float | None) -> None:
        if not party.account.unread:
            return
        padding = self.engine.prober.padding
        size = padding.read(party.record.id, party.account)
        assert party.account.unread == 0, "P2: read twice"
        if share is not None:
            padding.sent(party.account, int(size * share))

    # --- it ends ---------------------------------------------------------------------------------

    @rule()
    def come_to_rest(self) -> None:
        """N6: answers and deadlines, at a constant estimate, until nobody owes anything."""
        engine = self.engine
        if engine.estimates.value is None or engine.estimates.stale_at <= self.now:
            return
        for _ in range(MOST_ROUNDS):
            if not engine.settlement.negotiator._outstanding:
                break
            self.estimate(engine.estimates.value)
            self.everybody_answers()
            if engine.settlement.negotiator._outstanding:
                self.now = max(self.now, engine.settlement.negotiator.wake_at)
                if engine.estimates.stale_at <= self.now:
                    return
                self.advance()
        else:
            raise AssertionError("N6: it does not end")
        excess = sum(r.allocation for r in engine.ledger) - model.usable(engine)
        if excess > 0:
            able = [r.id for r in engine.ledger if r.allocation > levels.lowest(r)]
            assert not able, f"N6: {able} could still shrink"
            assert snapshot(engine).unrelieved == excess, "N6: not reported"

    def teardown(self) -> None:
        if getattr(self, "sound", False):  # a failure is not to be hidden by another
            self.come_to_rest()
            for party in list(self.alive.values()):
                self.leave(party=party)
            engine = self.engine
            assert (engine.ledger.committed, engine.ledger.projected) == (0, 0), "A1: not empty"
            assert not engine.settlement.holds(), "C3: holds are left"


class LayeredMachine(EngineMachine):
    """The same with the default policy: it is cautious after falls of the estimate."""

    policy = LayeredPolicy()


LayeredMachine.TestCase.settings = settings(max_examples=settings().max_examples * 5 // 2)
EngineMachine.TestCase.settings = settings(max_examples=settings().max_examples * 5 // 2)
CHECKED = pytest.mark.invariant(
    "A1", "A2", "A5", "A6", "G1", "G2", "G3", "G6", "G8", "G9",
    "N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8", "P1", "P2", "P4", "C3",
)  # fmt: skip
TestEngine = CHECKED(EngineMachine.TestCase)
TestLayeredEngine = CHECKED(LayeredMachine.TestCase)


class WaterFillingMachine(EngineMachine):
    """The same under another policy; its bar is of the size of the rates that occur."""

    policy = WaterFillingPolicy(resume_least=100)


WaterFillingMachine.TestCase.settings = EngineMachine.TestCase.settings
TestWaterFilling = CHECKED(WaterFillingMachine.TestCase)
