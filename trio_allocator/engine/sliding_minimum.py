"""The minimum of a rate over a sliding window, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

_BUCKET = 0.1
"""Lows are kept for every tenth of a second: bounded memory whatever the rate of reports, s."""


class SlidingMinimum:
    """Which rates were the lowest of what came after them; the lowest of all comes first.

    A low may be remembered for a bucket too long, never too short. For highs, add what is negated.

    Args:
        window: How long a rate counts, s.
    """

    __slots__ = ("_lows", "_window")

    def __init__(self, window: float) -> None:
        self._window = window
        self._lows: list[tuple[float, float, int]] = []  # since, until, rate; rates ascend

    def __len__(self) -> int:
        return len(self._lows)

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """Until when each low was seen, s, and the rate; rates ascend."""
        return ((until, rate) for _, until, rate in self._lows)

    def add(self, now: float, rate: int) -> None:
        """Take note of a rate, bit/s."""
        lows = self._lows
        while lows and lows[-1][2] >= rate:
            lows.pop()
        if not lows or now - lows[-1][0] >= _BUCKET:
            lows.append((now, now, rate))
        else:
            since, _, low = lows[-1]
            lows[-1] = (since, now, low)
        self.prune(now)

    def prune(self, now: float) -> None:
        """Forget what no longer counts."""
        while self._lows and self._lows[0][1] + self._window <= now:
            del self._lows[0]

    def lowest(self, now: float, within: float) -> int | None:
        """The lowest rate within this many seconds before a time, bit/s; None if there was none."""
        for _, until, rate in self._lows:
            if until + within > now:
                return rate
        return None

    def above_at(self, rate: int) -> float:
        """When a rate below this one was seen last, s; minus infinity if there was none."""
        return max((until for _, until, low in self._lows if low < rate), default=-math.inf)
