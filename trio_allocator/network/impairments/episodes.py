"""What happens at moments that are found as time goes on."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from random import Random

KEPT = 64
"""This many of the latest episodes are remembered: nothing that is asked for is older."""


def wait(chance: Random, every: float) -> float:
    """Draw the time until something happens again, s: 0.5 to 1.5 × the mean."""
    return every * chance.uniform(0.5, 1.5)


def magnitude(chance: Random, least: float, most: float) -> float:
    """Draw a size: small ones are as frequent as large ones, by order of magnitude."""
    return float(least * (most / least) ** chance.random())


class Episodes:
    """What happens at moments that are found as time goes on; each with a length, or a value.

    Args:
        spans: (begin, length or value), s, ascending; may go on for ever.
    """

    def __init__(self, spans: Iterator[tuple[float, float]]) -> None:
        self._spans = spans
        self._begins: list[float] = []
        self._values: list[float] = []

    def at(self, time: float) -> tuple[bool, float]:
        """Whether a time is within a span, and when that changes next."""
        number = self._number(time)
        if number >= 0:
            end = self._begins[number] + self._values[number]
            if time < end:
                return True, end
        return False, self._begins[number + 1]

    def inside(self, time: float) -> bool:
        """Whether a time is within a span."""
        return self.at(time)[0]

    def value(self, time: float) -> float:
        """The value of the last that has begun; 0 before the first."""
        number = self._number(time)
        return self._values[number] if number >= 0 else 0.0

    def _number(self, time: float) -> int:
        while not self._begins or self._begins[-1] <= time < math.inf:
            begin, value = next(self._spans, (math.inf, 0.0))
            self._begins.append(begin)
            self._values.append(value)
            if len(self._begins) > 2 * KEPT:
                del self._begins[:KEPT], self._values[:KEPT]
        return bisect_right(self._begins, time) - 1
