"""A priority queue whose members may change their key, or leave, at the price of a dict entry."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=tuple[float, ...])

_SLACK = 16
"""Entries that are void are swept out when they outnumber the valid ones by more than this."""


class LazyHeap(Generic[K]):
    """Members, each with a key; the member with the smallest key comes first.

    An entry that is out of date stays in the heap until it comes up, or until void entries
    outnumber the valid ones: every operation is O(log n) amortised, memory is O(members).
    """

    __slots__ = ("_heap", "_keys")

    def __init__(self) -> None:
        self._heap: list[tuple[K, int]] = []
        self._keys: dict[int, K] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[int]:
        """The members, in the order in which they joined."""
        return iter(self._keys)

    def put(self, member: int, key: K) -> None:
        """Let a member join, or change its key."""
        if self._keys.get(member) == key:
            return
        self._keys[member] = key
        heappush(self._heap, (key, member))
        self._sweep()

    def discard(self, member: int) -> None:
        """Let a member leave, if it is there."""
        if self._keys.pop(member, None) is not None:
            self._sweep()

    def first(self) -> tuple[K, int] | None:
        """The smallest key and its member; None if there are no members."""
        heap, keys = self._heap, self._keys
        while heap:
            key, member = heap[0]
            if keys.get(member) == key:
                return heap[0]
            heappop(heap)
        return None

    def in_order(self) -> list[int]:
        """All members, by their keys."""
        return sorted(self._keys, key=self._keys.__getitem__)

    def _sweep(self) -> None:
        if len(self._heap) > 2 * len(self._keys) + _SLACK:
            self._heap = [(key, member) for member, key in self._keys.items()]
            heapify(self._heap)
