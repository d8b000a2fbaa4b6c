"""The layered sharing in an allocator: asked only when anything may change, and raises judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from ..ledger import Ledger
from ..receiver import Receiver
from ..settings import NEVER, Settings
from .calm import Calm
from .division import Beside, Division, Raising, raising_of
from .layered import LayeredPolicy
from .line import Line
from .policies import Claim, PolicyError, Shares
from .policy_shares import PolicyShares, claim_of
from .seats import Seat
from .shelves import Shelves
from .stakes import Stakes
from .turns import Turns

WATCHED = 8
"""Of the raises that were kept back, so many of each line are looked at again at each event;
besides, all that changed."""

FEW = 16
"""What is free may be divided among so many of each line, the first who fit, while the others keep
what they have: who leaves a crowd should not cost in proportion to it (C1)."""


class LayeredShares(PolicyShares):
    """Keeps the projections of a ledger at the layered shares.

    To divide costs in proportion to those who take part. Indices tell whether anybody could have
    more, or has to have less, so that an event that changes nothing costs next to nothing (C2), and
    what a few can use up is divided among a few.

    Args:
        ledger: The books; only projections are written, and turns of those who back off.
        policy: What a rate is worth.
        calm: Judges raises.
        settings: Limits of overtaking.
    """

    def __init__(
        self, ledger: Ledger, policy: LayeredPolicy, calm: Calm, settings: Settings
    ) -> None:
        super().__init__(ledger, policy)
        self._calm = calm
        self._stakes = Stakes(ledger, policy.worth)
        self._places = Shelves()
        self._turns = Turns(ledger, settings, self._places)
        self._claims_known: dict[int, Claim] = {}
        self._known_for = False
        self._refused: dict[int, Seat] = {}
        self._passed: set[int] = set()
        self._changed: dict[int, None] = {}  # in order, which a set of numbers does not keep

    def index(self, receiver: Receiver) -> None:
        """A receiver is new, or anything of it changed."""
        self._places.note(receiver)
        self._stakes.note(receiver)
        self._claims_known.pop(receiver.id, None)
        self._changed[receiver.id] = None

    def drop(self, receiver: Receiver) -> None:
        """A receiver is gone."""
        self._places.drop(receiver)
        self._stakes.drop(receiver)
        self._claims_known.pop(receiver.id, None)
        self._refused.pop(receiver.id, None)
        self._changed.pop(receiver.id, None)

    # --- one answer --------------------------------------------------------------------------

    def settle(
        self, capacity: int, *, negotiate: bool, force: bool, now: float
    ) -> Iterable[Receiver]:
        """See `Sharing.settle`."""
        try:
            return self._settle(capacity, negotiate=negotiate, force=force, now=now)
        except Exception as error:
            raise PolicyError(f"the policy {self._policy!r} failed: {error!r}") from error

    def _settle(
        self, capacity: int, *, negotiate: bool, force: bool, now: float
    ) -> Iterable[Receiver]:
        touched: dict[int, Receiver] = {}
        while self._may_change(capacity, negotiate=negotiate, force=force):
            few = self._few(capacity, negotiate=negotiate)
            raised = self._serve(few, capacity, now) if few else []
            touched.update((receiver.id, receiver) for receiver in raised)
            if not raised:
                self._dirty = True
                answer = super().settle(capacity, negotiate=negotiate, force=force, now=now)
                touched.update((receiver.id, receiver) for receiver in answer)
                self._done(answer, capacity, now)
                break
        return touched.values()

    def _done(self, touched: Iterable[Receiver], capacity: int, now: float) -> None:
        for receiver in touched:
            self.index(receiver)
        if self._passed:
            self._places.flush()
            self._turns.overtaken(self._passed, capacity, now)

    # --- among a few -------------------------------------------------------------------------

    def _few(self, capacity: int, *, negotiate: bool) -> list[int]:
        """Who could use up what is free, if nobody has to give anything; empty if that are many."""
        slack = capacity - self._ledger.projected
        shelves = self._places.classes.values()
        if slack <= 0 or self.favoured() or any(shelf.restorable for shelf in shelves):
            return []
        few: list[int] = []
        for line, room in self._within_reach(slack, negotiate=negotiate):
            lacking = line.smallest_need_above(slack)
            if (lacking is not None and lacking <= room) or line.holds_more_than(FEW, slack):
                return []
            few.extend(islice(line.fitting(slack), FEW))
        receivers = (self._ledger[receiver_id] for receiver_id in few)
        return [r.id for r in receivers if r.projected == r.allocation]

    def _serve(self, few: Sequence[int], capacity: int, now: float) -> list[Receiver]:
        """Divide what is free among a few; return who is raised."""
        ledger, of = self._ledger, self._stakes.of
        receivers = [ledger[receiver_id] for receiver_id in few]
        claims = [claim_of(receiver, negotiate=False, pinned=True) for receiver in receivers]
        rate = ledger.projected - sum(claim.allocation for claim in claims)
        worths = (claim.weight * of(claim.allocation) for claim in claims)
        beside = Beside(rate, self._stakes.total - sum(worths))
        division = Division(of, claims, capacity - rate, self._calm, beside=beside)
        firsts = [shelf.seniors.first() for shelf in self._places.classes.values()]
        raised = []
        for receiver, seat in zip(receivers, division.seats, strict=True):
            self._refused.pop(receiver.id, None)
            if seat.refused:
                self._refused[receiver.id] = seat
            if self._apply(receiver, seat.level):
                raised.append(receiver)
        served = {receiver.options.priority for receiver in raised}
        waiting = (ledger[member] for _, member in filter(None, firsts))
        self._passed = {
            first.id
            for first in waiting
            if first.options.priority in served
            and first.projected == first.allocation
            and first.id not in self._refused
        }
        self._done(raised, capacity, now)
        return raised

    def _claims(self, negotiate: bool, *, pinned: bool) -> list[Claim]:
        known = self._claims_known
        if negotiate != self._known_for:
            known.clear()
            self._known_for = negotiate
        claims = []
        for receiver in self._ledger:
            claim = known.get(receiver.id)
            if claim is None:
                claim = known[receiver.id] = claim_of(receiver, negotiate=negotiate, pinned=True)
            if not pinned and receiver.refusal is not None:
                claim = claim_of(receiver, negotiate=negotiate, pinned=False)
            claims.append(claim)
        return claims

    def _ask(self, claims: Sequence[Claim], capacity: int) -> Shares:
        favoured = self._turns.favoured()
        division = Division(self._stakes.of, claims, capacity, self._calm, favoured)
        self._passed = _passed(division.seats)
        self._refused = {seat.claim.receiver_id: seat for seat in division.seats if seat.refused}
        return Shares({seat.claim.receiver_id: seat.level for seat in division.seats})

    # --- whether to ask ----------------------------------------------------------------------

    def _may_change(self, capacity: int, *, negotiate: bool, force: bool) -> bool:
        """Whether anybody has to have less, or could have more."""
        self._places.flush()
        changed, self._changed = self._changed, {}
        for receiver_id in changed:
            # Also by what came of the last answer, which knew of it: so it holds until now.
            self._refused.pop(receiver_id, None)
        slack = capacity - self._ledger.projected
        classes = self._places.classes.values()
        if (
            negotiate
            and slack < 0
            and any(shelf.askable or (force and shelf.cuttable) for shelf in classes)
        ):
            return True
        askable = 0
        for shelf in classes:  # from the lowest up
            askable += shelf.askable if negotiate else 0
            if shelf.restorable.first_fitting(slack + askable) is not None:
                return True
        return any(
            self._anybody_may(line, room, capacity, changed)
            for line, room in self._within_reach(slack, negotiate=negotiate)
        )

    def _within_reach(self, slack: int, *, negotiate: bool) -> Iterator[tuple[Line, int]]:
        """All who wait for more, with what room there could be for them, bit/s."""
        below = 0
        for shelf in self._places.classes.values():  # from the lowest up
            room = slack + below
            yield shelf.minimums, room + (shelf.extra if negotiate else 0)
            yield shelf.waiting, room
            below += shelf.cuttable if negotiate else 0

    def _anybody_may(self, line: Line, room: int, capacity: int, changed: Iterable[int]) -> bool:
        """Whether the raise of one of those in a line who fit would be allowed."""
        anew = (member for member in changed if line.holds_fitting(member, room))
        for receiver_id in chain(anew, islice(line.fitting(room), WATCHED)):
            seat = self._refused.get(receiver_id) or self._seat_of(receiver_id)
            if seat.takes_any_part or self._calm.allows(self._next_step(seat, capacity)):
                return True
            self._refused[receiver_id] = seat
        return False

    def _seat_of(self, receiver_id: int) -> Seat:
        receiver = self._ledger[receiver_id]
        seat = Seat(claim_of(receiver, negotiate=True, pinned=True))
        seat.level = receiver.projected
        return seat

    def _next_step(self, seat: Seat, capacity: int) -> Raising:
        rate, stakes = self._ledger.projected + seat.need, self._stakes
        to, worth, of = seat.level + seat.need, stakes.total, stakes.of
        return raising_of(seat, to, rate=rate, capacity=capacity, worth=worth, of=of)

    def next_need(self, room: int, most: float = NEVER) -> int | None:
        """See `Sharing.next_need`."""
        self._places.flush()
        return min(self._places.needs_above(max(room, 1), most), default=None)

    def kept_back(self, now: float, free: int) -> dict[int, float]:
        """Whose next step would fit and is not worth its risk, and until when at the latest.

        Args:
            now: The time, s.
            free: What may be granted, bit/s.
        """
        committed = self._ledger.projected
        kept = {}
        for line, room in self._within_reach(free, negotiate=True):
            for receiver_id in line.fitting(room):
                seat = self._refused.get(receiver_id) or self._behind(receiver_id, committed + free)
                if seat is not None:
                    until = self._calm.clear_at(committed + min(seat.need, free))
                    if until > now:
                        kept[receiver_id] = until
        return kept

    def _behind(self, receiver_id: int, capacity: int) -> Seat | None:
        """One behind those that were looked at, if it would be refused as well."""
        seat = self._seat_of(receiver_id)
        may = seat.takes_any_part or self._calm.finds_worth(self._next_step(seat, capacity))
        return None if may else seat

    # --- turns -------------------------------------------------------------------------------

    def favoured(self) -> dict[int, float]:
        """For whom what becomes free is held, and until when."""
        self._places.flush()  # who waits no more
        return self._turns.favoured()

    @property
    def wake_at(self) -> float:
        """When a hold ends, or what was kept back may need no judgement any more."""
        self._places.flush()
        held = self._turns.wake_at
        return min(held, self._calm.rises_at) if self._refused else held

    def advance(self, now: float) -> None:
        """End the holds that are over."""
        for receiver in self._turns.advance(now):
            self.index(receiver)


def _passed(seats: Iterable[Seat]) -> set[int]:
    """Of each class in which somebody was served, who waits longest, if it was passed."""
    firsts: dict[int, Seat] = {}
    served: set[int] = set()
    for seat in seats:
        claim = seat.claim
        if seat.level > claim.allocation and not claim.planned:  # that was counted already
            served.add(claim.priority)
        if claim.wanted > claim.allocation and seat.level >= claim.minimum:
            first = firsts.get(claim.priority)
            if first is None or seat.turn < first.turn:
                firsts[claim.priority] = seat
    return {
        firsts[priority].claim.receiver_id
        for priority in served & firsts.keys()
        if firsts[priority].waits
        and not firsts[priority].refused
        and firsts[priority].level == firsts[priority].claim.allocation
    }
