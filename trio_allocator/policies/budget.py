"""What a policy has left to share, and how far another capacity would change nothing."""

from __future__ import annotations

import math


class Budget:
    """What is left to share.

    Every decision on it compares a need with what is left, and so with the capacity. The closest
    of them say in which range of capacities all of them come out the same.

    Args:
        capacity: bit/s.
        kept: What is shared out from the start, whether it fits or not, bit/s.

    Attributes:
        free: What is left, bit/s; negative where not even that fits.
        lowest: The smallest capacity, bit/s, with which all decisions would be the same.
        highest: The largest.
    """

    __slots__ = ("_missing", "_spare", "capacity", "free")

    def __init__(self, capacity: int, kept: int) -> None:
        self.capacity: int = capacity
        self.free: int = capacity - kept
        self._spare: float = math.inf
        self._missing: float = math.inf

    @property
    def lowest(self) -> float:
        """See `Budget`."""
        return self.capacity - self._spare

    @property
    def highest(self) -> float:
        """See `Budget`."""
        return self.capacity + self._missing - 1

    def take(self, need: int, *, beside: int = 0) -> bool:
        """Take what is needed, bit/s, if that fits beside something else.

        Returns:
            Whether it did.
        """
        left = self.free - need - beside
        if left < 0:
            self._missing = min(self._missing, -left)
            return False
        self._spare = min(self._spare, left)
        self.free -= need
        return True

    def take_up_to(self, most: int) -> int:
        """Take up to this much, bit/s, for receivers that can use any part of it.

        Returns:
            What there was of it, bit/s.
        """
        taken = min(most, max(self.free, 0))
        if taken > 0:
            self.free -= taken
            self._spare = min(self._spare, self.free)
        if taken < most:
            self._missing = min(self._missing, 1 - self.free)
        return taken
