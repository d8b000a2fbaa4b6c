"""How long packets wait: by how much the way takes longer than it must."""

from __future__ import annotations

import math

BASE_WINDOW = 10.0
"""The shortest way is looked for over so long, up to twice, s (as BBR does: Cardwell et al. 2016). A
route that became longer is no queue for ever."""

STANDING_WINDOW = 0.075
"""And the shortest wait of late over so long, up to twice, s: two frames at 30 a second, between
which a paced burst has drained."""

JITTER_WEIGHT = 1 / 16
"""Of a new change in the jitter (RFC 3550, section 6.4.1)."""


class QueueDelay:
    """The standing queue: what even the quickest packet of late waited.

    A burst makes a queue that is gone before the next burst comes, unless more is sent than the
    link carries: so it is the least wait over a few frames that tells (as Copa's "standing RTT":
    Arun and Balakrishnan 2018).

    Attributes:
        jitter: By how much the standing queue differs from one window to the next, smoothed, s.
    """

    __slots__ = (
        "_base",
        "_base_until",
        "_low",
        "_low_until",
        "_newest",
        "_old_base",
        "_old_low",
        "jitter",
    )

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew: the shortest way is not known."""
        self.jitter: float = 0.0
        self._base = self._old_base = math.inf
        self._low = self._old_low = math.inf
        self._base_until = self._low_until = -math.inf
        self._newest = math.inf

    def add(self, arrival: float, way: float) -> None:
        """A packet arrived.

        Args:
            arrival: s.
            way: Arrival less sending, s; the clocks may be off by a constant.
        """
        self._newest = way
        if arrival >= self._low_until:
            if self._old_low < math.inf:
                change = abs(self._low - self._old_low)
                self.jitter += JITTER_WEIGHT * (change - self.jitter)
            self._old_low, self._low = self._low, way
            self._low_until = arrival + STANDING_WINDOW
        elif way < self._low:
            self._low = way
        if arrival >= self._base_until:
            self._old_base, self._base = self._base, way
            self._base_until = arrival + BASE_WINDOW
        elif way < self._base:
            self._base = way

    @property
    def growth(self) -> float:
        """By how much the standing queue grew from one `STANDING_WINDOW` to the next, s."""
        return self._low - self._old_low if self._old_low < math.inf else 0.0

    def keep(self, arrival: float) -> None:
        """For now the shortest way is not forgotten: a full queue may hide it.

        Args:
            arrival: When the newest packet arrived, s.
        """
        self._base_until = arrival + BASE_WINDOW

    def settle(self) -> None:
        """What waits now is not our doing: take it for a part of the way."""
        self._base = self._old_base = min(self._low, self._old_low)

    @property
    def standing(self) -> float:
        """What even the quickest packet of late waited, s."""
        return self._above_base(min(self._low, self._old_low))

    @property
    def newest(self) -> float:
        """What the newest packet waited, s."""
        return self._above_base(self._newest)

    def _above_base(self, way: float) -> float:
        return way - min(self._base, self._old_base) if way < math.inf else 0.0
