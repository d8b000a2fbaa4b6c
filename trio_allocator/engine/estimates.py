"""What is known of the estimate: its newest value, whether it is still live, whether it falls."""

from __future__ import annotations

from .settings import NEVER
from .sliding_minimum import SlidingMinimum

SHORTEST_TIMEOUT = 2.0
"""Estimates are presumed live for at least this long, s (A6)."""

INTERVALS_TO_WAIT = 3
"""They have stopped after this many of the longest recent intervals (A6)."""

INTERVALS_REMEMBERED = 5
"""How many intervals are recent."""

LONGEST_INTERVAL = 10.0
"""One long silence must not teach it to wait for ever: intervals count up to this, s."""

FALL_WINDOW = 2.0
"""The estimate falls while it is below `FALL_SHARE` of its maximum in this window, s (P1)."""

FALL_SHARE = 0.95


class Estimates:
    """The history of estimates, as much of it as decisions need.

    Args:
        timeout: Seconds of silence after which the estimate is unknown, or None to learn it.

    Attributes:
        value: The newest estimate, bit/s; None while it is unknown.
        count: How many have come.
        stopped: How often they have stopped coming.
    """

    __slots__ = (
        "_highs",
        "_intervals",
        "_timeout",
        "_updated",
        "count",
        "ever",
        "stopped",
        "value",
    )

    def __init__(self, timeout: float | None) -> None:
        self.value: int | None = None
        self.ever: bool = False
        self.count: int = 0
        self.stopped: int = 0
        self._timeout = timeout
        self._updated = -NEVER
        # Short, and a deque of Python's takes 760 bytes even when it is empty.
        self._intervals: list[float] = []
        self._highs = SlidingMinimum(FALL_WINDOW)  # of the estimate negated

    def update(self, now: float, bitrate: int) -> None:
        """Take over the newest estimate, bit/s."""
        if self.ever and now > self._updated:
            self._intervals.append(min(now - self._updated, LONGEST_INTERVAL))
            del self._intervals[:-INTERVALS_REMEMBERED]
        self.value = bitrate
        self.ever = True
        self.count += 1
        self._updated = now
        self._highs.add(now, -bitrate)

    @property
    def stale_at(self) -> float:
        """When the estimate becomes unknown unless another one comes."""
        if self.value is None:
            return NEVER
        if self._timeout is not None:
            return self._updated + self._timeout
        longest = max(self._intervals, default=0.0)
        return self._updated + max(SHORTEST_TIMEOUT, INTERVALS_TO_WAIT * longest)

    def forget(self) -> None:
        """It is no longer known."""
        self.stopped += 1
        self.value = None

    def steady_at(self, now: float) -> float:
        """When it will have stopped falling, all else equal; now or earlier if it does not fall."""
        self._highs.prune(now)
        if self.value is None:
            return NEVER
        falling = [until for until, low in self._highs if self.value < FALL_SHARE * -low]
        return falling[-1] + FALL_WINDOW if falling else now
