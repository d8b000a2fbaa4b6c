"""A queue of those who wait: what of the next round fits, and who comes first in it?"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TypeAlias

from ..settings import NEVER

Place: TypeAlias = tuple[float, int, float, tuple[float, int]]
"""Rank (lower is served first), bit/s needed, turn within the rank; weight, and level in bit/s."""

_Entry: TypeAlias = tuple[float, int, tuple[float, int], float, int]
"""Rank, need, weight and level, turn, member. Members of one kind differ in the last two only."""


class NeedQueue:
    """Places, kept by rank, and in each by kind, so that a crowd of equals is not walked through.

    One sorted list holds all: to shift the entries behind one of them in memory is cheaper than any tree in
    Python, for as many receivers as a connection has.
    """

    __slots__ = ("_entries", "_least", "_order")

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._order: list[_Entry] = []
        self._least: float = NEVER  # nobody needs less

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[int]:
        """Who waits, in the order in which they joined."""
        return iter(self._entries)

    def need_of(self, member: int) -> int | None:
        """What a member needs, bit/s; None if it does not wait here."""
        entry = self._entries.get(member)
        return None if entry is None else entry[1]

    def put(self, member: int, place: Place) -> None:
        """Let somebody join the queue, or change places in it."""
        rank, need, turn, kind = place
        entry = (rank, need, kind, turn, member)
        if self._entries.get(member) == entry:
            return
        self.discard(member)
        self._entries[member] = entry
        insort(self._order, entry)
        self._least = min(self._least, need)

    def discard(self, member: int) -> None:
        """Let somebody leave the queue, if they are in it."""
        entry = self._entries.pop(member, None)
        if entry is not None:
            del self._order[bisect_left(self._order, entry)]

    def next_round(self, room: int) -> list[tuple[int, int]]:
        """Of the lowest rank in which anybody fits: who may be served, and what each needs.

        In turn; of a kind only as many as would fit if nobody else were served. Empty if nobody
        fits.
        """
        if room < self._least:
            return []
        order, begin, least = self._order, 0, NEVER
        while begin < len(order):
            rank, need = order[begin][:2]
            if need <= room:
                return self._round(begin, rank, room)
            least = min(least, need)
            begin = bisect_left(order, (rank, NEVER), begin)
        self._least = least  # those who have left may have needed less
        return []

    def _round(self, begin: int, rank: float, room: int) -> list[tuple[int, int]]:
        """Who may be served of a rank that begins here."""
        order = self._order
        fitting: list[tuple[float, int, int]] = []
        while begin < len(order):
            its_rank, need, kind, _, _ = order[begin]
            if its_rank != rank or need > room:
                break
            end = bisect_left(order, (rank, need, kind, NEVER), begin)
            able = order[begin : min(end, begin + room // need)]
            fitting += [(turn, member, need) for _, _, _, turn, member in able]
            begin = end
        fitting.sort()
        return [(member, need) for _, member, need in fitting]

    def first(self) -> int:
        """Who needs least of the lowest rank; somebody has to wait."""
        return self._order[0][-1]

    def first_fitting(self, room: int) -> int | None:
        """Who is first among those that need no more than `room` bit/s; None if nobody fits."""
        first = self.next_round(room)
        return first[0][0] if first else None

    def smallest_need_above(self, room: int) -> int | None:
        """The smallest need that does not fit into `room` bit/s; None if all fit."""
        order, begin = self._order, 0
        smallest: int | None = None
        while begin < len(order):
            rank = order[begin][0]
            above = bisect_left(order, (rank, room + 1), begin)
            if above < len(order) and order[above][0] == rank:
                need = order[above][1]
                smallest = need if smallest is None else min(smallest, need)
            begin = bisect_left(order, (rank, NEVER), above)
        return smallest
