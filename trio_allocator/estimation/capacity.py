"""What the link carried when it was last known to be full."""

from __future__ import annotations

import math

WEIGHT = 0.05
"""Of a new measurement (libwebrtc, `LinkCapacityEstimator`)."""

LEAST_VARIANCE = 0.4
"""Of the measurements over their mean, kbit/s: to start with (libwebrtc),"""

GREATEST_VARIANCE = 2.5
"""and at most (libwebrtc)."""

BOUND = 3.0
"""Standard deviations that a measurement may be off (libwebrtc)."""


class LinkCapacity:
    """A mean and a variance of measurements; one far off means that the link has changed.

    Attributes:
        mean: bit/s; None while it is not known.
    """

    __slots__ = ("_variance", "mean")

    def __init__(self) -> None:
        self.mean: float | None = None
        self._variance = LEAST_VARIANCE

    def measured(self, rate: float) -> None:
        """A full link carried this, bit/s."""
        if self.mean is None or abs(rate - self.mean) > _spread(self.mean, self._variance):
            self.mean = rate
            self._variance = LEAST_VARIANCE
            return
        self.mean += WEIGHT * (rate - self.mean)
        error = (rate - self.mean) / 1000
        variance = error * error / max(self.mean / 1000, 1.0)
        self._variance += WEIGHT * (variance - self._variance)
        self._variance = min(max(self._variance, LEAST_VARIANCE), GREATEST_VARIANCE)

    def exceeded_by(self, rate: float) -> None:
        """This got through, bit/s: if it is clearly more, what was known is of no use now."""
        if self.mean is not None and rate > self.mean + _spread(self.mean, self._variance):
            self.forget()

    def forget(self) -> None:
        """It is not known."""
        self.mean = None


def _spread(mean: float, variance: float) -> float:
    """How far off the mean a measurement of the same link may be, bit/s."""
    return 1000 * BOUND * math.sqrt(variance * mean / 1000)
