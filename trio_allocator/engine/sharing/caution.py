"""Calm after a decrease: raises are judged by the lowest estimate of the last seconds (G9).

A hold on whoever was lowered is not enough: its neighbour would take what noise offers, and be
lowered by the next dip. So for a term after each decrease that the allocator caused, the sum may
grow only as far as every recent estimate allows, or to a twentieth below the newest: an estimate
that really rises is followed at once. The term is longer each time a raise had to be taken back
soon, as with an estimate that swings around a threshold.
"""

from __future__ import annotations

from ..settings import NEVER
from .lows import RecentLows

FIRST_TERM = 2
"""The first term, in holds: 10 s."""

LONGEST_TERM = 24
"""The longest, in holds: two minutes."""

MARGIN = 20
"""A raise that leaves this part of the estimate free (a twentieth) is none that noise would undo."""


class Caution:
    """Keeps the lows of the estimate for as long as they matter.

    Args:
        hold: How far back it looks, s: no raise waits longer for an estimate that stays.
    """

    __slots__ = ("_hold", "_lows", "_raised_at", "_term", "until")

    def __init__(self, hold: float) -> None:
        self.until: float = -NEVER
        self._hold = hold
        self._term = FIRST_TERM * hold
        self._raised_at = -NEVER
        self._lows = RecentLows(hold)

    def raised(self, now: float) -> None:
        """Somebody was granted more."""
        self._raised_at = now

    def lowered(self, now: float, estimate: int) -> None:
        """Somebody was lowered, and not by its own wish."""
        if now >= self.until:
            self._lows.clear()
            self._lows.add(now, estimate)
        if now - self._raised_at < self._hold:
            self._term = min(2 * self._term, LONGEST_TERM * self._hold)
        elif now >= self.until:
            self._term = FIRST_TERM * self._hold
        self.until = now + self._term

    def note(self, now: float, estimate: int) -> None:
        """The newest estimate, bit/s."""
        if now < self.until:
            self._lows.add(now, estimate)

    def ceiling(self, now: float, estimate: int) -> int:
        """How far the sum of the allocations may grow now, bit/s; at most the estimate."""
        if now >= self.until:
            return estimate
        self._lows.prune(now)
        _, low = next(iter(self._lows), (now, estimate))
        return min(estimate, max(low, estimate - estimate // MARGIN))

    def rises_at(self, now: float, estimate: int) -> float:
        """When that will be more, if the estimate stays."""
        if self.ceiling(now, estimate) == estimate:
            return NEVER
        seen_until, _ = next(iter(self._lows))
        return min(seen_until + self._hold, self.until)
