"""A waiting line: who is first among those whose next step fits?"""

from __future__ import annotations

from sortedcontainers import SortedDict, SortedList

Place = tuple[float, int, float, int]
"""Rank (lower is served first), bit/s needed, turn within the rank, receiver id."""


class Line:
    """Places sorted for two questions: does anything fit, and what fits first?

    Receivers with the same ladder need the same increments, so there are far fewer distinct
    needs than receivers; the search walks over needs, not over receivers.
    """

    __slots__ = ("_needs", "_ranks")

    def __init__(self) -> None:
        self._ranks: SortedDict[float, SortedDict[int, SortedList[tuple[float, int]]]] = (
            SortedDict()
        )
        self._needs: SortedDict[int, int] = SortedDict()

    def __bool__(self) -> bool:
        return bool(self._needs)

    def add(self, place: Place) -> None:
        """Let somebody join the line."""
        rank, need, turn, receiver_id = place
        needs = self._ranks.get(rank)
        if needs is None:
            needs = self._ranks[rank] = SortedDict()
        turns = needs.get(need)
        if turns is None:
            turns = needs[need] = SortedList()
        turns.add((turn, receiver_id))
        self._needs[need] = self._needs.get(need, 0) + 1

    def remove(self, place: Place) -> None:
        """Let somebody leave the line."""
        rank, need, turn, receiver_id = place
        needs = self._ranks[rank]
        turns = needs[need]
        turns.remove((turn, receiver_id))
        if not turns:
            del needs[need]
            if not needs:
                del self._ranks[rank]
        if self._needs[need] == 1:
            del self._needs[need]
        else:
            self._needs[need] -= 1

    def first_fitting(self, room: int) -> int | None:
        """The receiver to serve first among those that need no more than `room` bit/s.

        Lowest rank first, then the earliest turn; None if nobody fits.
        """
        if not self._needs or self._needs.peekitem(0)[0] > room:
            return None
        for needs in self._ranks.values():
            heads = [needs[need][0] for need in needs.irange(maximum=room)]
            if heads:
                return int(min(heads)[1])
        raise AssertionError("a need that fits is in no rank")

    def smallest_need_above(self, room: int) -> int | None:
        """The smallest need that does not fit into `room` bit/s; None if all fit."""
        return next(iter(self._needs.irange(minimum=room, inclusive=(False, True))), None)
