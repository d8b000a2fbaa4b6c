"""A queue of those who wait: what of the next round fits, and who comes first in it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from sortedcontainers import SortedDict, SortedList

Place: TypeAlias = tuple[float, int, float, tuple[float, int]]
"""Rank (lower is served first), bit/s needed, turn within the rank; weight, and level in bit/s."""

Kind: TypeAlias = tuple[int, float, int]
"""Need in bit/s, weight, and level: members of one kind differ in nothing but their turn."""


class NeedQueue:
    """Places, kept by rank, and in each by kind, so that a crowd of equals is not walked through."""

    __slots__ = ("_needs", "_places", "_ranks")

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._ranks: SortedDict[float, SortedDict[Kind, SortedList[tuple[float, int]]]] = (
            SortedDict()
        )
        self._needs: SortedDict[int, int] = SortedDict()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        """Who waits, in the order in which they joined."""
        return iter(self._places)

    def need_of(self, member: int) -> int | None:
        """What a member needs, bit/s; None if it does not wait here."""
        place = self._places.get(member)
        return None if place is None else place[1]

    def put(self, member: int, place: Place) -> None:
        """Let somebody join the queue, or change places in it."""
        old = self._places.get(member)
        if old == place:
            return
        if old is not None:
            self.discard(member)
        rank, need, turn, (weight, level) = place
        self._places[member] = place
        kinds = self._ranks.get(rank)
        if kinds is None:
            kinds = self._ranks[rank] = SortedDict()
        kind = (need, weight, level)
        turns = kinds.get(kind)
        if turns is None:
            turns = kinds[kind] = SortedList()
        turns.add((turn, member))
        self._needs[need] = self._needs.get(need, 0) + 1

    def discard(self, member: int) -> None:
        """Let somebody leave the queue, if they are in it."""
        place = self._places.pop(member, None)
        if place is None:
            return
        rank, need, turn, (weight, level) = place
        kinds = self._ranks[rank]
        turns = kinds[need, weight, level]
        turns.remove((turn, member))
        if not turns:
            del kinds[need, weight, level]
            if not kinds:
                del self._ranks[rank]
        if self._needs[need] == 1:
            del self._needs[need]
        else:
            self._needs[need] -= 1

    def next_round(self, room: int) -> list[tuple[int, int]]:
        """Of the lowest rank in which anybody fits: who may be served, and what each needs.

        In turn; of a kind only as many as would fit if nobody else were served. Empty if nobody
        fits.
        """
        if not self._needs or self._needs.peekitem(0)[0] > room:
            return []
        ranks = self._ranks.values()
        kinds = next(kinds for kinds in ranks if kinds.peekitem(0)[0][0] <= room)
        fitting = [
            (turn, member, kind[0])
            for kind in kinds.irange(maximum=(room, float("inf"), 0))
            for turn, member in kinds[kind][: room // kind[0]]
        ]
        return [(member, need) for _, member, need in sorted(fitting)]

    def first_fitting(self, room: int) -> int | None:
        """Who is first among those that need no more than `room` bit/s; None if nobody fits."""
        first = self.next_round(room)
        return first[0][0] if first else None

    def smallest_need_above(self, room: int) -> int | None:
        """The smallest need that does not fit into `room` bit/s; None if all fit."""
        return next(iter(self._needs.irange(minimum=room, inclusive=(False, True))), None)
