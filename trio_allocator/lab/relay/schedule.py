"""A capacity that changes at given times."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise


class RateSchedule:
    """A capacity that changes at given times; before the first of them it is the first one's."""

    def __init__(self, steps: Sequence[tuple[float, float]]) -> None:
        """Take the steps.

        Args:
            steps: Times in seconds, ascending, and from then on the capacity in bit/s.

        Raises:
            ValueError: There is no step, the times do not ascend, or a capacity is not finite and
                above 0.
        """
        self.steps: tuple[tuple[float, float], ...] = tuple(steps)
        self._times = [time for time, _rate in self.steps]
        if not self.steps or self._times != sorted(set(self._times)):
            raise ValueError(f"steps must be at least one, in ascending order of time: {steps}")
        for _time, rate in self.steps:
            if not (math.isfinite(rate) and rate > 0):
                raise ValueError(f"a capacity must be finite and above 0, not {rate:g} bit/s")

    def rate_at(self, time: float) -> float:
        """The capacity at a time, bit/s."""
        return self.steps[max(bisect_right(self._times, time) - 1, 0)][1]

    def finish(self, start: float, bits: float) -> float:
        """When so many bits are through that begin at `start`."""
        time, left = start, bits
        for change in self._times[bisect_right(self._times, start) :]:
            rate = self.rate_at(time)
            if time + left / rate <= change:
                break
            left -= rate * (change - time)
            time = change
        return time + left / self.rate_at(time)

    def bits_between(self, start: float, end: float) -> float:
        """What the link could carry in a span of time."""
        inside = [time for time in self._times if start < time < end]
        cuts = [start, *inside, end]
        return sum(self.rate_at(begin) * (until - begin) for begin, until in pairwise(cuts))
