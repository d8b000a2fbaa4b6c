"""A waiting line: who is first among those whose next step fits?"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict, SortedList

from .lazy_heap import LazyHeap

Place = tuple[float, int, float]
"""Rank (lower is served first), bit/s needed, turn within the rank."""


class _Rank:
    """Those of one rank: in the order of their turns, and the smallest need among them."""

    __slots__ = ("needs", "turns")

    def __init__(self) -> None:
        self.turns: SortedList[tuple[float, int, int]] = SortedList()  # turn, member, need
        self.needs: LazyHeap[tuple[float]] = LazyHeap()


class Line:
    """Places sorted for two questions: does anything fit, and what fits first?

    The first is answered at once. The second walks past those who come before and do not fit.
    """

    __slots__ = ("_needs", "_places", "_ranks")

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._ranks: SortedDict[float, _Rank] = SortedDict()
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

    def holds_fitting(self, member: int, room: int) -> bool:
        """Whether a member waits here, and needs no more than `room` bit/s."""
        place = self._places.get(member)
        return place is not None and place[1] <= room

    def put(self, member: int, place: Place) -> None:
        """Let somebody join the line, or change places in it."""
        old = self._places.get(member)
        if old == place:
            return
        if old is not None:
            self.discard(member)
        rank, need, turn = place
        self._places[member] = place
        group: _Rank | None = self._ranks.get(rank)
        if group is None:
            group = self._ranks[rank] = _Rank()
        group.turns.add((turn, member, need))
        group.needs.put(member, (need,))
        self._needs[need] = self._needs.get(need, 0) + 1

    def discard(self, member: int) -> None:
        """Let somebody leave the line, if they are in it."""
        place = self._places.pop(member, None)
        if place is None:
            return
        rank, need, turn = place
        group = self._ranks[rank]
        group.turns.remove((turn, member, need))
        group.needs.discard(member)
        if not group.turns:
            del self._ranks[rank]
        if self._needs[need] == 1:
            del self._needs[need]
        else:
            self._needs[need] -= 1

    def first_fitting(self, room: int) -> int | None:
        """Whom to serve first among those that need no more than `room` bit/s.

        Lowest rank first, then the earliest turn; None if nobody fits.
        """
        return next(self.fitting(room), None)

    def fitting(self, room: int) -> Iterator[int]:
        """Those that need no more than `room` bit/s, in the order in which they are served."""
        if not self._needs or self._needs.peekitem(0)[0] > room:
            return
        for group in self._ranks.values():
            smallest = group.needs.first()
            if smallest is not None and smallest[0][0] <= room:
                yield from (int(member) for _, member, need in group.turns if need <= room)

    def holds_more_than(self, many: int, room: int) -> bool:
        """Whether `room` bit/s would do for more than so many of the smallest need."""
        return bool(self._needs) and room > many * self._needs.peekitem(0)[0]

    def smallest_need_above(self, room: int) -> int | None:
        """The smallest need that does not fit into `room` bit/s; None if all fit."""
        return next(iter(self._needs.irange(minimum=room, inclusive=(False, True))), None)
