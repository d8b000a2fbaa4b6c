"""The capacity of a link over time, in steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from .. import quantities

Capacity: TypeAlias = float | Sequence[tuple[float, float]]
"""bit/s: a number, or steps of (seconds from the start, bit/s), ascending, the first at 0."""


class RateSchedule:
    """A rate that changes in steps. Before the first of them it is the first one's.

    Args:
        capacity: bit/s, or steps of (seconds from `start`, bit/s).
        start: When the steps begin, s.

    Attributes:
        steps: (s, bit/s); the times count from the start.

    Raises:
        TypeError, ValueError: It is not a capacity.
    """

    def __init__(self, capacity: Capacity, *, start: float = 0.0) -> None:
        given = capacity if isinstance(capacity, Sequence) else [(0, capacity)]
        times = [not_negative("capacity step", time, "seconds") for time, _rate in given]
        if not times or times[0] != 0 or any(map(float.__le__, times[1:], times)):
            raise ValueError(f"capacity steps must ascend from 0 seconds, got {capacity!r}")
        self._rates = [quantities.bitrate("capacity", rate) for _time, rate in given]
        self._times = [start + time for time in times]
        self.steps: tuple[tuple[float, int], ...] = tuple(zip(times, self._rates, strict=True))

    def rate_at(self, time: float) -> int:
        """The rate at a time, bit/s."""
        return self._rates[max(0, bisect_right(self._times, time) - 1)]

    def next_change(self, time: float) -> float:
        """When the next step after this time begins, s; infinite if none does."""
        following = bisect_right(self._times, time)
        return self._times[following] if following < len(self._times) else math.inf

    def bits_between(self, begin: float, end: float) -> float:
        """How much the link can carry in a span of time, bits."""
        inside = [time for time in self._times if begin < time < end]
        cuts = [begin, *inside, end]
        return sum(self.rate_at(since) * (until - since) for since, until in pairwise(cuts))


def not_negative(name: str, value: float, unit: str) -> float:
    """Check a number that may be zero.

    Raises:
        TypeError, ValueError: It is not a number, negative, or not finite.
    """
    if value == 0 and not isinstance(value, bool):
        return 0.0
    return quantities.positive(name, value, unit)
