"""Does delay grow? A line through the delays of the last groups, and a threshold that adapts."""

from __future__ import annotations

from collections import deque
from operator import mul

from .explanation import Usage

WINDOW = 20
"""Groups that the line is drawn through (libwebrtc, `TrendlineEstimatorSettings`)."""

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
    """

    __slots__ = (
        "_arrivals",
        "_count",
        "_delay",
        "_delays",
        "_overused_for",
        "_slope",
        "_smoothed",
        "_threshold",
        "usage",
    )

    def __init__(self) -> None:
        self.usage: Usage = Usage.NORMAL
        self._threshold = START_THRESHOLD
        self._arrivals: deque[float] = deque(maxlen=WINDOW)
        self._delays: deque[float] = deque(maxlen=WINDOW)
        self.clear()

    def clear(self) -> None:
        """Begin anew, with the threshold that was learnt."""
        self.usage = Usage.NORMAL
        self._arrivals.clear()
        self._delays.clear()
        self._count = 0
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
        arrivals, delays = self._arrivals, self._delays
        last = arrivals[-1] if arrivals else arrival
        arrivals.append(arrival)
        delays.append(self._smoothed)
        slope = self._slope
        if len(arrivals) == WINDOW:
            # Least squares; times are taken from the first on, lest their squares drown the rest.
            first = arrivals[0]
            times = [time - first for time in arrivals]
            sum_of_times = sum(times)
            spread = sum(map(mul, times, times)) - sum_of_times * sum_of_times / WINDOW
            if spread > 0:
                joint = sum(map(mul, times, delays)) - sum_of_times * sum(delays) / WINDOW
                slope = joint / spread
        self._judge(slope, sent_delta)
        self._slope = slope
        self._adapt(min(max(arrival - last, 0.0) * 1000, LONGEST_STEP))

    @property
    def magnified(self) -> float:
        """The slope, as compared with the threshold."""
        return min(self._count, MOST_GROUPS) * self._slope * GAIN

    def _judge(self, slope: float, sent_delta: float) -> None:
        magnified = min(self._count, MOST_GROUPS) * slope * GAIN
        if magnified > self._threshold:
            if self._overused_for is None:
                # It may have begun at any time since the last group: half of that, on average.
                self._overused_for = sent_delta / 2
                return
            self._overused_for += sent_delta
            if self._overused_for > PATIENCE and slope >= self._slope:
                self._overused_for = 0.0
                self.usage = Usage.OVERUSED
            return
        self._overused_for = None
        self.usage = Usage.UNDERUSED if magnified < -self._threshold else Usage.NORMAL

    def _adapt(self, elapsed: float) -> None:
        size = abs(self.magnified)
        if size > self._threshold + LARGEST_STEP:
            return
        speed = DOWN if size < self._threshold else UP
        threshold = self._threshold + speed * elapsed * (size - self._threshold)
        self._threshold = min(max(threshold, LEAST_THRESHOLD), GREATEST_THRESHOLD)
