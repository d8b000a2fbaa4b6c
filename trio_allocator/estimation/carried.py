"""What the link was lately seen to carry without a queue."""

from __future__ import annotations

from collections import deque

WINDOW = 5.0
"""For so long counts what was carried, s. Long enough for what media alone does not show between two
probes, short enough to follow a link that changes."""


class CarriedRate:
    """The greatest of the rates seen within the last `WINDOW` seconds."""

    __slots__ = ("_rates",)

    def __init__(self) -> None:
        # By time; a rate that a later one reaches is left out, so these fall.
        self._rates: deque[tuple[float, float]] = deque()

    def seen(self, rate: float, now: float) -> None:
        """The link carried this, and no queue stood.

        Args:
            rate: bit/s.
            now: s; not before the last one.
        """
        rates = self._rates
        while rates and rates[-1][1] <= rate:
            rates.pop()
        rates.append((now, rate))

    def limit(self, rate: float) -> None:
        """It carries no more than this now, bit/s: the link has become slower, or was misjudged."""
        self._rates = deque((seen_at, min(seen, rate)) for seen_at, seen in self._rates)

    def rate(self, now: float) -> float:
        """The greatest, bit/s; 0 for nothing seen within the window.

        Args:
            now: s; not before the last one.
        """
        rates = self._rates
        while rates and rates[0][0] < now - WINDOW:
            rates.popleft()
        return rates[0][1] if rates else 0.0
