"""Where the arrivals of a feedback lie in time, though its reference time wraps around."""

from __future__ import annotations

from collections.abc import Sequence

from .feedback import REFERENCE_UNIT

TOLERANCE = 10_000_000
"""How far the peer's clock may stray from ours before it counts as set anew, µs.

Wide enough for feedback that was held up for seconds, and for clocks that drift apart by 100 ppm
over a day of talking."""

LONGEST_SPAN = 60_000_000
"""Between the earliest and the latest arrival in one feedback, µs: a peer that waits that long with a
report lies about it. (The format allows for six days.)"""

_WRAP = 2**24 * REFERENCE_UNIT
_MICROSECONDS = 1_000_000


class PeerClock:
    """Follows the peer's clock by the arrivals it reports and the times at which reports come.

    The newest arrival of a feedback happened shortly before that came. So the two clocks tell how
    often the reference time has wrapped around in between, and which one is a lie.

    Attributes:
        jumps: How often the peer's clock left its course.
    """

    def __init__(self) -> None:
        self.jumps: int = 0
        self._started = False
        self._ours = 0.0  # at a moment,
        self._theirs = 0  # and at the same moment, µs
        self._base = 0

    def follow(self, reference: int, arrivals: Sequence[int], now: float) -> bool:
        """Take the next feedback.

        Args:
            reference: Its reference time, in units of 64 ms.
            arrivals: When packets arrived, µs after that; may be none.
            now: When it came, s.

        Returns:
            Whether it can be true. If it can not, nothing has changed.
        """
        if not arrivals:
            return True
        newest = max(arrivals)
        if newest - min(arrivals) > LONGEST_SPAN:
            return False
        base = reference * REFERENCE_UNIT
        if self._started:
            expected = self._theirs + round((now - self._ours) * _MICROSECONDS)
            stray = (base + newest - expected + _WRAP // 2) % _WRAP - _WRAP // 2
            if abs(stray) <= TOLERANCE:
                self._base = expected + stray - newest
                return True
            self.jumps += 1
        self._started = True
        self._ours, self._theirs, self._base = now, base + newest, base
        return True

    def seconds(self, arrival: int) -> float:
        """An arrival of the feedback taken last, s: what was newest when the clock began is `now`."""
        return self._ours + (self._base + arrival - self._theirs) / _MICROSECONDS
