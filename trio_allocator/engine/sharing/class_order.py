"""In which order the receivers of one class are served: a pure function, and the oracle of the index.

What a class may have goes to

1. the minimums that are held, 2. the minimums that are waited for,
3. what is held above them, 4. what is waited for above them,

the last two round by round: first everybody's lowest step, then everybody's next. A round that
fits as a whole is served as a whole. Of one that does not, those steps are served that have the
greatest utility together (a 0/1 knapsack); what then is left goes on to the next rounds.

So nobody climbs while somebody of its class waits for a lower step that there is capacity for (G8),
and the utility of a class, compared round by round, grows with the capacity (G4). What is held comes
before what is waited for, so nothing moves while nothing changes (G3).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from ...policies.knapsack import best_subset
from ...policies.next_step import next_step
from ...policies.policy import Claim
from ...policies.step_classes import part_of
from ...policies.utility import Utility
from ...policies.water_level import divide_by_weight
from ..receiver import Receiver


class Member:
    """One receiver while its class is served. Rates are bit/s.

    Args:
        claim: Of a policy's caller.

    Attributes:
        number: Its id.
        weight: Of its utility.
        lowest: What it keeps in any case.
        level: What it has, as far as decided.
        held: What it held before.
        minimum: What it should have before anybody has more.
        wanted: What it could use.
        steps: The levels of use above the lowest, ascending; empty if any level down is of use.
        rounds: The steps of its ladder: each is served in a round of its own.
        elastic: Any part of what it waits for is of use.
        since: When it began to wait.
        asked: It was asked to go to its lowest: it keeps all, or goes there.
    """

    __slots__ = (
        "asked",
        "elastic",
        "held",
        "level",
        "lowest",
        "minimum",
        "number",
        "rounds",
        "since",
        "steps",
        "wanted",
        "weight",
    )

    def __init__(self, claim: Claim) -> None:
        self.number: int = claim.receiver_id
        self.weight: float = claim.weight
        self.lowest: int = claim.lowest
        self.level: int = claim.lowest
        self.held: int = claim.allocation
        self.minimum: int = claim.minimum
        self.wanted: int = claim.wanted
        self.steps: Sequence[int] = claim.levels
        self.rounds: Sequence[int] = claim.steps or [level for level in claim.levels if level]
        self.elastic: bool = claim.elastic
        since = claim.waiting_since
        self.since: float = math.inf if since is None else since
        self.asked: bool = claim.asked

    @classmethod
    def holding(cls, receiver: Receiver, held: int, lowest: int) -> Member:
        """A receiver of an allocator's that may have to give something."""
        self = cls.__new__(cls)
        self.number = receiver.id
        self.weight = receiver.options.weight
        self.lowest = self.level = lowest
        self.held = self.wanted = held
        self.minimum = receiver.minimum
        self.steps = self.rounds = receiver.steps
        self.elastic = self.asked = False
        self.since = math.inf
        return self

    @classmethod
    def waiting(cls, receiver: Receiver) -> Member:
        """A receiver of an allocator's that waits for more, in the class of its next step."""
        self = cls.holding(receiver, receiver.projected, receiver.projected)
        _, end = part_of(receiver.classes, receiver.priority) or (0, math.inf)
        self.wanted = int(min(receiver.want, end))
        self.elastic = receiver.options.elastic and not receiver.steps
        self.since = receiver.turn(receiver.projected)
        return self

    @property
    def waits(self) -> bool:
        """Has all that it holds, and wants more."""
        return self.held <= self.level < self.wanted

    @property
    def round(self) -> int:
        """In which round its next level is served; a receiver that returns has one before all others (A7)."""
        return -1 if self.since == -math.inf else bisect_right(self.rounds, self.level)

    @property
    def above(self) -> int:
        """The next level of use; its level is below what it could use."""
        return next_step(self.level, self.minimum, self.steps, self.wanted)


Step = tuple[Member, int]
"""A member, and a level that it may come to, bit/s."""


class ClassOrder:
    """Serves one class.

    Args:
        members: All of it.
        room: What there is for them above their lowest, bit/s.
        utility: Of an allocation.

    Attributes:
        room: What is left of that, bit/s.
    """

    def __init__(self, members: Iterable[Member], room: int, utility: Utility) -> None:
        self.room: int = room
        self._members = sorted(members, key=_number)  # of equals the first registered (G5)
        self._utility = utility

    def serve(self) -> None:
        """Serve all four kinds in their order."""
        self.keep_minimums()
        for returning in (True, False):
            self._climb(
                [
                    member
                    for member in self._members
                    if member.waits
                    and member.level < member.minimum
                    and (member.since == -math.inf) is returning
                ]
            )
        self.keep_extras()
        self.restore()
        self.climb()

    def keep_minimums(self) -> None:
        """Let stay what is held of the minimums, as far as there is room."""
        held = [
            (member, min(member.minimum, member.held))
            for member in self._members
            if member.level < min(member.minimum, member.held) and not member.asked
        ]
        self._raise(self._best(held))

    def keep_planned(self, steps: Sequence[Step]) -> None:
        """Let minimums stay planned, as far as there is room."""
        self._raise(self._best(steps))

    def keep_extras(self) -> None:
        """Let stay what is held above the minimums, as far as there is room."""
        self._keep_extras([member for member in self._members if _keeps_more(member)])

    def restore(self) -> None:
        """A receiver that was asked keeps all, where nobody else has to be asked for it: so it ends (N6, N7)."""
        for member in self._members:
            if member.asked and member.held - member.level <= self.room:
                self._raise([(member, member.held)])

    def climb(self) -> None:
        """Serve what is waited for, lowest steps first; receivers that can use any part get what is left."""
        waiting = sorted((member for member in self._members if member.waits), key=_turn)
        room, weights = self.room, sum(member.weight for member in waiting)
        divisible = [member for member in waiting if _takes_any_part(member)]
        for member in divisible:
            self._raise_by(member, int(room * member.weight / weights))
        climbing = [member for member in waiting if member.waits and not member.elastic]
        self._in_rounds(climbing, self._climb)
        for member in divisible:
            self._raise_by(member, self.room)

    # --- rounds ------------------------------------------------------------------------------

    def _keep_extras(self, holders: list[Member]) -> None:
        if sum(member.held - member.level for member in holders) <= self.room:
            self._raise([(member, member.held) for member in holders])
            return
        divisible = [member for member in holders if not member.steps]
        if divisible:  # they share equally with what the others hold, and then what those leave
            self._divide(holders)
        self._in_rounds([member for member in holders if member.steps], self._keep_step)
        if divisible:
            self._divide(divisible)

    def _in_rounds(
        self, members: Iterable[Member], serve: Callable[[list[Member]], Iterable[Member]]
    ) -> None:
        """Serve the lowest round of all, then the next, while there is room.

        Args:
            members: Those who want more.
            serve: Serves some of one round, and returns those who want still more.
        """
        rounds: dict[int, list[Member]] = {}
        while True:
            for member in members:
                rounds.setdefault(member.round, []).append(member)
            if not rounds or self.room <= 0:
                return
            members = serve(rounds.pop(min(rounds)))

    def _keep_step(self, batch: Sequence[Member]) -> list[Member]:
        kept = self._best([(member, min(member.held, member.above)) for member in batch])
        self._raise(kept)
        return [member for member, _ in kept if member.level < member.held]

    def _climb(self, batch: Sequence[Member]) -> list[Member]:
        served = self._best([(member, member.above) for member in sorted(batch, key=_turn)])
        self._raise(served)
        return [member for member, _ in served if member.waits]

    def _best(self, steps: Sequence[Step]) -> Sequence[Step]:
        """Those that fit, and have the greatest utility together."""
        costs = [level - member.level for member, level in steps]
        if sum(costs) <= self.room:
            return steps
        of = self._utility
        gains = [member.weight * (of(level) - of(member.level)) for member, level in steps]
        return [steps[position] for position in best_subset(costs, gains, self.room)]

    def _raise(self, steps: Iterable[Step]) -> None:
        for member, level in steps:
            self.room -= level - member.level
            if member.since == -math.inf and level > 0:
                member.since = math.inf
            member.level = level

    def _raise_by(self, member: Member, share: int) -> None:
        to = min(member.wanted, member.level + min(share, self.room))
        if to > member.level:
            self._raise([(member, to)])

    def _divide(self, among: list[Member]) -> None:
        """Let those without a ladder keep an equal share, by weight."""
        levels = divide_by_weight(
            [(member.level, member.held, member.weight) for member in among], self.room
        )
        pairs = zip(among, levels, strict=True)
        self._raise([(member, level) for member, level in pairs if not member.steps])


def _number(member: Member) -> int:
    return member.number


def _turn(member: Member) -> tuple[float, int]:
    """Longest waiting first, then the earlier registration."""
    return (member.since, member.number)


def _takes_any_part(member: Member) -> bool:
    """Has its minimum, and any part of what it waits for is of use."""
    return member.elastic and member.level >= member.minimum


def _keeps_more(member: Member) -> bool:
    kept = min(member.minimum, member.held) <= member.level < member.held
    return kept and not member.asked
