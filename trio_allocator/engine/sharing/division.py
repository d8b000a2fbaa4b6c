"""The layered way to share: the greatest worth that keeps everybody's turn.

Class by class, from the highest priority, what room there is goes to

1. the minimums that are held, 2. the minimums that are waited for,
3. what is held above them, 4. what is waited for above them,

the last two round by round: first everybody's lowest step, then everybody's next. A round that
fits as a whole is served as a whole. In the first that does not, those steps are chosen that are
worth most together (a 0/1 knapsack); what then is left goes on to the next rounds.

So nobody climbs while somebody of its class waits for a lower step that the room would hold (G8),
and the worth of a class, compared round by round, grows with the capacity (G4). Held comes before
waited for, so nothing moves while nothing changes (G3).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from .packing import best_subset
from .policies import Claim, Shares
from .seats import Seat, water_level
from .worth import Worth, log_worth


@dataclass(frozen=True, slots=True)
class Beside:
    """Those who take no part: they keep what they have.

    Attributes:
        rate: What they have together, bit/s.
        worth: What that is worth.
    """

    rate: int = 0
    worth: float = 0.0


@dataclass(slots=True)
class Raising:
    """A raise that is judged.

    Attributes:
        receiver_id: Whose.
        first: It starts from what is held; a step in the same breath costs no second switch.
        rate: What everybody together would have then, bit/s.
        displaces: Others have to make room for it.
        need: How much of that is new, bit/s.
        worth: What all that is at stake is worth before.
        gain: By how much more it would be worth.
        best: What the best that the claim could have would be worth.
    """

    receiver_id: int
    first: bool
    rate: int
    displaces: bool
    need: int
    worth: float
    gain: float
    best: float


class Judge(Protocol):
    """Has a say in every raise above what is held."""

    def allows(self, raising: Raising) -> bool:
        """Whether a claim may be raised."""
        ...


class _Refuser:
    """Allows nothing."""

    def allows(self, raising: Raising) -> bool:  # noqa: ARG002
        return False


_REFUSER = _Refuser()

NOBODY = Beside()


class Division:
    """One capacity, divided once.

    Args:
        worth: Of an allocation; None for `log_worth` of the best step.
        claims: Of everybody.
        capacity: bit/s.
        judge: Has a say in raises; None lets all pass.
        favoured: For whom what becomes free is held: of their classes nobody else is raised above
            a minimum, and of lower classes nobody at all.
        beside: Who has something besides, outside of the capacity.

    Attributes:
        seats: Everybody, in the order of the claims.
        room: What is left, bit/s; negative if the lowest levels alone are too much.
        rate: What everybody has, those not served yet with what they hold, bit/s: it is at stake.
    """

    def __init__(
        self,
        worth: Worth | None,
        claims: Sequence[Claim],
        capacity: int,
        judge: Judge | None = None,
        favoured: Collection[int] = (),
        *,
        beside: Beside = NOBODY,
    ) -> None:
        self.seats: list[Seat] = [Seat(claim) for claim in claims]
        self.room: int = capacity - sum(claim.lowest for claim in claims)
        self._of = worth or log_worth(_best_step(claims))
        self._judge = judge
        self._capacity = capacity + beside.rate
        self._favoured = favoured
        self._held_back = False
        self._released = False
        judged = judge is not None and judge is not _REFUSER
        if judged and sum(claim.allocation for claim in claims) > capacity:
            # What has to go in any case is not at stake.
            kept = Division(self._of, claims, capacity, _REFUSER)
            for seat, other in zip(self.seats, kept.seats, strict=True):
                seat.base = other.level
        self.rate: int = beside.rate + sum(seat.base for seat in self.seats)
        self._worth = beside.worth
        if judge is not None:
            self._worth += sum(self._value(seat.claim, seat.base) for seat in self.seats)
        if self.room > 0:
            in_order = sorted(self.seats, key=_class_and_number)
            classes = [list(members) for _, members in groupby(in_order, key=_priority)]
            for members in classes:
                self._serve(members)
            self._restore(in_order)
            if self._released:
                self._reconsider(classes)

    def shares(self) -> Shares:
        """The answer of a policy."""
        return Shares({seat.claim.receiver_id: seat.level for seat in self.seats})

    def _value(self, claim: Claim, level: int) -> float:
        return claim.weight * self._of(level)

    # --- one class ---------------------------------------------------------------------------

    def _serve(self, members: list[Seat]) -> None:
        held_minimum = [
            (seat, min(seat.claim.minimum, seat.claim.allocation))
            for seat in members
            if seat.level < min(seat.claim.minimum, seat.claim.allocation) and not seat.claim.asked
        ]
        self._keep(held_minimum)
        if not self._held_back:
            self._climb([s for s in members if s.waits and s.level < s.claim.minimum])
        self._keep_extras([seat for seat in members if seat.keeps_more])
        self._restore(members)
        self._release(members)
        waiting = [] if self._held_back else [seat for seat in members if seat.waits]
        favoured = [seat for seat in waiting if seat.claim.receiver_id in self._favoured]
        self._climb_rounds(favoured or waiting)
        if any(seat.waits for seat in favoured):
            self._held_back = True
        elif favoured:  # it waits no more: nothing is held for it
            self._climb_rounds([seat for seat in waiting if seat.waits])

    def _restore(self, members: Iterable[Seat]) -> None:
        """Who was asked keeps all, where nobody else has to be asked for it: so it ends (N6, N7)."""
        for seat in members:
            if seat.claim.asked and seat.claim.allocation - seat.level <= self.room:
                self._keep([(seat, seat.claim.allocation)])

    def _release(self, members: Iterable[Seat]) -> None:
        """What is not kept is at stake no more."""
        for seat in members:
            if seat.level < seat.base:
                self._released = True
                self.rate -= seat.base - seat.level
                if self._judge is not None:
                    self._worth += self._value(seat.claim, seat.level)
                    self._worth -= self._value(seat.claim, seat.base)

    def _reconsider(self, classes: Iterable[list[Seat]]) -> None:
        """What others gave after a raise was refused is at stake no more: judge it again."""
        for members in classes:
            if any(seat.waits and seat.claim.receiver_id in self._favoured for seat in members):
                break
            self._climb([seat for seat in members if seat.refused and seat.waits])

    # --- what is held ------------------------------------------------------------------------

    def _keep(self, levels: Sequence[tuple[Seat, int]]) -> list[Seat]:
        """Let those stay at a level that fit and are worth most together; return them."""
        costs = [level - seat.level for seat, level in levels]
        if sum(costs) > self.room:
            worths = [
                self._value(seat.claim, level) - self._value(seat.claim, seat.level)
                for seat, level in levels
            ]
            levels = [levels[position] for position in best_subset(costs, worths, self.room)]
        for seat, level in levels:
            self.room -= level - seat.level
            seat.level = level
        return [seat for seat, _ in levels]

    def _keep_extras(self, holders: list[Seat]) -> None:
        if sum(seat.claim.allocation - seat.level for seat in holders) <= self.room:
            self._keep([(seat, seat.claim.allocation) for seat in holders])
            return
        divisible = [seat for seat in holders if not seat.claim.levels]
        if divisible:
            self._pour(holders)
        climbing = [seat for seat in holders if seat.claim.levels]
        while climbing:
            rank = min(seat.claim.rank(seat.level) for seat in climbing)
            batch = [seat for seat in climbing if seat.claim.rank(seat.level) == rank]
            climbing = [seat for seat in climbing if seat.claim.rank(seat.level) > rank]
            kept = self._keep([(seat, seat.next_kept) for seat in batch])
            climbing += [seat for seat in kept if seat.level < seat.claim.allocation]
        if divisible:
            self._pour(divisible)

    def _pour(self, among: list[Seat]) -> None:
        """Let those without a ladder keep an equal share, by weight, of the room."""
        shares = water_level(
            [(seat.level, seat.claim.allocation, seat.claim.weight) for seat in among], self.room
        )
        for seat, level in zip(among, shares, strict=True):
            if not seat.claim.levels:
                self.room -= level - seat.level
                seat.level = level

    # --- what is waited for ------------------------------------------------------------------

    def _climb_rounds(self, waiting: list[Seat]) -> None:
        """Raise step by step, lowest steps first; who can use any part gets what is left."""
        room = self.room
        weights = sum(seat.claim.weight for seat in waiting)
        for seat in [seat for seat in waiting if seat.takes_any_part]:
            self._raise_by(seat, int(room * seat.claim.weight / weights))
        climbing = [seat for seat in waiting if seat.waits and not seat.claim.elastic]
        while climbing and self.room:
            rank = min(seat.claim.rank(seat.level) for seat in climbing)
            batch = [seat for seat in climbing if seat.claim.rank(seat.level) == rank]
            climbing = [seat for seat in climbing if seat.claim.rank(seat.level) > rank]
            climbing += [seat for seat in self._climb(batch) if seat.level < seat.claim.wanted]
        for seat in sorted(waiting, key=lambda seat: seat.turn):
            if seat.takes_any_part:
                self._raise_by(seat, self.room)

    def _raise_by(self, seat: Seat, share: int) -> None:
        """Raise one that can use any part: that is no switch, and needs no judgement."""
        to = min(seat.claim.wanted, seat.level + min(share, self.room))
        if to > seat.level:
            self._raise(seat, to)

    def _climb(self, batch: Sequence[Seat]) -> list[Seat]:
        """Raise those by one level who fit, are worth most together, and may; return them."""
        raised: list[Seat] = []
        refused: list[tuple[int, float]] = []
        waiting = sorted(batch, key=lambda seat: seat.turn)
        while fitting := [seat for seat in waiting if seat.need <= self.room]:
            chosen = fitting
            needs = [seat.need for seat in fitting]
            if sum(needs) > self.room:
                gains = [self._gain(seat) for seat in fitting]
                chosen = [fitting[position] for position in best_subset(needs, gains, self.room)]
            done = set(map(id, chosen))
            waiting = [seat for seat in fitting if id(seat) not in done]
            for seat in chosen:
                need, gain = seat.need, self._gain(seat) if self._judge else 0.0
                hopeless = any(need >= n and gain <= g for n, g in refused)
                if hopeless or not self._is_allowed(seat, seat.level + need):
                    seat.refused = True
                    refused.append((need, gain))
                else:
                    self._raise(seat, seat.level + need)
                    raised.append(seat)
        return raised

    def _gain(self, seat: Seat) -> float:
        claim = seat.claim
        return self._value(claim, seat.level + seat.need) - self._value(claim, seat.level)

    def _is_allowed(self, seat: Seat, to: int) -> bool:
        if self._judge is None:
            return True
        return self._judge.allows(self.raising(seat, to))

    def raising(self, seat: Seat, to: int) -> Raising:
        """What there is to judge of a raise."""
        rate = self.rate + to - seat.level
        return raising_of(
            seat, to, rate=rate, capacity=self._capacity, worth=self._worth, of=self._of
        )

    def _raise(self, seat: Seat, to: int) -> None:
        if self._judge is not None:
            self._worth += self._value(seat.claim, to) - self._value(seat.claim, seat.level)
        self.rate += to - seat.level
        self.room -= to - seat.level
        seat.level = to
        seat.refused = False


def raising_of(
    seat: Seat, to: int, *, rate: int, capacity: int, worth: float, of: Worth
) -> Raising:
    """What there is to judge of a raise.

    Args:
        seat: Whose.
        to: bit/s.
        rate: What everybody together would have then, if nobody made room, bit/s.
        capacity: bit/s.
        worth: What all that is at stake is worth before.
        of: What an allocation is worth.
    """
    claim = seat.claim
    return Raising(
        receiver_id=claim.receiver_id,
        first=seat.level <= claim.allocation,
        rate=min(rate, capacity),
        displaces=rate > capacity,
        need=to - seat.level,
        worth=worth,
        gain=claim.weight * of(to) - claim.weight * of(seat.level),
        best=claim.weight * of(claim.wanted),
    )


def _priority(seat: Seat) -> int:
    return seat.claim.priority


def _class_and_number(seat: Seat) -> tuple[int, int]:
    """The highest class first; of equals the first registered, in whatever order they are told."""
    return (-seat.claim.priority, seat.claim.receiver_id)


def _best_step(claims: Sequence[Claim]) -> int:
    """The highest step of any ladder; without ladders, the most that anybody wants. bit/s."""
    tops = [step for claim in claims if claim.levels for step in (claim.steps or claim.levels)[-1:]]
    return max(tops or [claim.wanted for claim in claims], default=1) or 1
