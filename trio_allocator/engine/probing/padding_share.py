"""What part of what was sent lately was padding."""

from __future__ import annotations

from collections import deque

from .padding import Meter, Padding

WINDOW = 60.0
"""Over which the share is taken, s (P4)."""

GRAIN = 1.0
"""Totals are noted this far apart at least, s: a minute needs no more than sixty of them."""


class PaddingShare:
    """Keeps the totals of the last minute, as often as it is asked.

    Args:
        meter: Counts the media.
        padding: Counts what was booked.
    """

    __slots__ = ("_meter", "_padding", "_totals")

    def __init__(self, meter: Meter, padding: Padding) -> None:
        self._meter = meter
        self._padding = padding
        self._totals: deque[tuple[float, int, int]] = deque()

    def note(self, now: float) -> None:
        """Note the totals, if the last time is long enough ago."""
        if not self._totals or now >= self._totals[-1][0] + GRAIN:
            self._totals.append((now, self._meter.media, self._padding.booked))
        # The oldest is the newest of those that are older than the window.
        while len(self._totals) > 1 and self._totals[1][0] <= now - WINDOW:
            self._totals.popleft()

    def exceeds(self, share: float) -> bool:
        """Whether padding was more than this part of all since the oldest totals noted."""
        _at, media, padding = self._totals[0]
        padded = self._padding.booked - padding
        return padded > share * (padded + self._meter.media - media)
