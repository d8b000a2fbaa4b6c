"""A waiting line: who is first among those whose next step fits?"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict, SortedList

from .lazy_heap import LazyHeap

Place = tuple[float, int, float]
"""Rank (lower is served first), bit/s needed, turn within the rank."""

_Turn = tuple[float, int]


class Line:
    """Places sorted for two questions: does anything fit, and what fits first?

    Receivers with the same ladder need the same increments, so there are far fewer distinct
    needs than receivers; the search walks over needs, not over receivers.
    """

    __slots__ = ("_groups", "_needs", "_order", "_places")

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._groups: dict[tuple[float, int], LazyHeap[_Turn]] = {}
        self._order: SortedList[tuple[float, int]] = SortedList()
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
        """Let somebody join the line, or change places in it."""
        old = self._places.get(member)
        if old == place:
            return
        if old is not None:
            self.discard(member)
        rank, need, turn = place
        self._places[member] = place
        group = self._groups.get((rank, need))
        if group is None:
            group = self._groups[rank, need] = LazyHeap()
            self._order.add((rank, need))
            self._needs[need] = self._needs.get(need, 0) + 1
        group.put(member, (turn, member))

    def discard(self, member: int) -> None:
        """Let somebody leave the line, if they are in it."""
        place = self._places.pop(member, None)
        if place is None:
            return
        rank, need, _ = place
        group = self._groups[rank, need]
        group.discard(member)
        if not group:
            del self._groups[rank, need]
            self._order.remove((rank, need))
            if self._needs[need] == 1:
                del self._needs[need]
            else:
                self._needs[need] -= 1

    def first_fitting(self, room: int) -> int | None:
        """Whom to serve first among those that need no more than `room` bit/s.

        Lowest rank first, then the earliest turn; None if nobody fits.
        """
        if not self._needs or self._needs.peekitem(0)[0] > room:
            return None
        best: tuple[_Turn, int] | None = None
        best_rank = 0.0
        for rank, need in self._order:
            if best is not None and rank != best_rank:
                break
            if need <= room:
                head = self._groups[rank, need].first()
                if head is not None and (best is None or head < best):
                    best, best_rank = head, rank
        return None if best is None else best[1]

    def smallest_need_above(self, room: int) -> int | None:
        """The smallest need that does not fit into `room` bit/s; None if all fit."""
        return next(iter(self._needs.irange(minimum=room, inclusive=(False, True))), None)
