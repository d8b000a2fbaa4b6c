"""Does delay grow? A line through the delays of the last groups, and a threshold that adapts."""

from __future__ import annotations

from .explanation import Usage
from .line import Line

SMOOTHING = 0.9
"""Weight of the past in the smoothed delay (libwebrtc)."""

GAIN = 4.0
"""How much the slope is magnified (libwebrtc),"""

MOST_GROUPS = 60
"""and this times, or as often as there were groups (libwebrtc, `kMinNumDeltas`)."""

START_THRESHOLD = 12.5
"""Of the magnified slope, ms (draft-ietf-rmcat-gcc-02, section 5.4),"""

LEAST_THRESHOLD = 6.0
"""never below this, ms,"""

GREATEST_THRESHOLD = 600.0
"""nor above this, ms (both: draft-ietf-rmcat-gcc-02, section 5.4)."""

UP = 0.0087
"""How fast the threshold rises to what exceeds it, a ms, so that a flow with loss-based neighbours is
not starved (libwebrtc; Carlucci et al. 2016, section 4.2: the rise has to be the slower one),"""

DOWN = 0.039
"""and how fast it falls (libwebrtc)."""

LARGEST_STEP = 15.0
"""What exceeds the threshold by more is a sudden drop, and is not adapted to, ms (libwebrtc,
`kMaxAdaptOffsetMs`)."""

LONGEST_STEP = 100.0
"""Between two groups the threshold moves for no longer than this, ms (libwebrtc)."""

PATIENCE = 0.01
"""Overuse has to last for this long, s (draft-ietf-rmcat-gcc-02, section 5.4)."""


class Trendline:
    """Judges the use of the link by the slope of the delay over time.

    With ``d`` the delay summed up over groups and smoothed, and ``t`` the arrival times, the slope
    is that of the line of least squares through the last 20 points (t, d). Magnified by the number
    of groups (at most 60) and 4, it is compared with a threshold γ:
    ``γ += Δt · k · (|magnified| − γ)``, k = 0.0087 upwards and 0.039 downwards (Carlucci et al.,
    "Analysis and Design of the Google Congestion Control for Web Real-time Communication", 2016).

    Attributes:
        usage: What it judges.
        threshold: γ, ms.
    """

    __slots__ = (
        "_count",
        "_delay",
        "_last",
        "_line",
        "_overused_for",
        "_slope",
        "_smoothed",
        "threshold",
        "usage",
    )

    def __init__(self) -> None:
        self.threshold: float = START_THRESHOLD
        self.clear()

    def clear(self) -> None:
        """Begin anew, with the threshold that was learnt."""
        self.usage: Usage = Usage.NORMAL
        self._line = Line()
        self._count = 0
        self._last = 0.0
        self._delay = 0.0
        self._smoothed = 0.0
        self._slope = 0.0
        self._overused_for: float | None = None

    def add(self, arrival: float, sent_delta: float, delay_delta: float) -> None:
        """Another group.

        Args:
            arrival: When it arrived, s.
            sent_delta: How long after the one before it was sent, s.
            delay_delta: By how much longer it took than the one before, s.
        """
        self._count += 1
        self._delay += delay_delta
        self._smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * self._delay
        slope = self._line.add(arrival, self._smoothed)
        if slope is None:
            slope = self._slope
        magnified = min(self._count, MOST_GROUPS) * slope * GAIN
        self._judge(magnified, slope, sent_delta)
        self._slope = slope
        self._adapt(abs(magnified), arrival)

    def _judge(self, magnified: float, slope: float, sent_delta: float) -> None:
        if magnified <= self.threshold:
            self._overused_for = None
            self.usage = Usage.UNDERUSED if magnified < -self.threshold else Usage.NORMAL
        elif self._overused_for is None:
            # It may have begun at any time since the last group: half of that, on average.
            self._overused_for = sent_delta / 2
        else:
            self._overused_for += sent_delta
            if self._overused_for > PATIENCE and slope >= self._slope:
                self.usage = Usage.OVERUSED

    def _adapt(self, size: float, arrival: float) -> None:
        elapsed = min(max(arrival - self._last, 0.0) * 1000, LONGEST_STEP)
        self._last = arrival
        threshold = self.threshold
        if size <= threshold + LARGEST_STEP:
            threshold += (DOWN if size < threshold else UP) * elapsed * (size - threshold)
            self.threshold = min(max(threshold, LEAST_THRESHOLD), GREATEST_THRESHOLD)
