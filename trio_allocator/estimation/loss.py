"""The rate that loss allows."""

from __future__ import annotations

import math

LOW = 0.02
"""Loss up to this is no concern (draft-ietf-rmcat-gcc-02, section 6)."""

HIGH = 0.10
"""Loss above this is congestion (draft-ietf-rmcat-gcc-02, section 6)."""

GROWTH = 0.08
"""With little loss it rises by this much each second (libwebrtc); at `HIGH` no more."""

ACCELERATION = 2.0
"""Each second with no more than `LOW`, it rises by this many times more,"""

GREATEST_GROWTH = 0.5
"""up to this (both as where delay allows it: aimd.py)."""

PERIOD = 0.5
"""Loss is judged over at least this, and up to twice, s,"""

FEWEST = 20
"""and this many packets (libwebrtc, `kLimitNumPackets`)."""


def allowed(rate: float, loss: float, elapsed: float, growth: float = GROWTH) -> float:
    """The rate after a judgement: never more for more loss.

    Above 10 %: ``rate · (1 − loss / 2)`` (draft-ietf-rmcat-gcc-02, section 6). Below, it grows by
    8 % a second up to 2 % of loss, and by ever less from there to 10 %: links that lose without
    being full are used all the same, where delay allows it.

    Args:
        rate: The rate so far, bit/s.
        loss: 0 to 1.
        elapsed: Since the last judgement, s.
        growth: Each second, up to 2 % of loss.
    """
    if loss > HIGH:
        return rate * (1 - 0.5 * loss)
    ease = min(1.0, (HIGH - loss) / (HIGH - LOW))
    return rate * math.pow(1 + growth * ease, elapsed)


class LossControl:
    """Counts what is lost, and limits the rate while that is much.

    Attributes:
        rate: The limit, bit/s; None while there is none.
        loss: The share lost of late, 0 to 1.
    """

    __slots__ = (
        "_growth",
        "_judged_at",
        "_lost",
        "_old_lost",
        "_old_total",
        "_since",
        "_total",
        "loss",
        "rate",
    )

    def __init__(self) -> None:
        self.rate: float | None = None
        self.loss: float = 0.0
        self._lost = self._total = self._old_lost = self._old_total = 0
        self._since: float | None = None
        self._judged_at: float | None = None
        self._growth = GROWTH

    def count(self, received: int, lost: int) -> None:
        """Packets have been received and lost.

        Args:
            received: Packets.
            lost: Packets; below 0 if some were received after having been told lost.
        """
        self._total += max(received + lost, 0)
        left = self._lost + lost
        # More than was lost since: the rest of it was judged the last time.
        self._old_lost = max(self._old_lost + min(left, 0), 0)
        self._lost = min(max(left, 0), self._total)

    @property
    def recent(self) -> float:
        """The share lost when it was last judged, or since then, if that is more."""
        total = self._total + self._old_total
        unjudged = (self._lost + self._old_lost) / total if total >= FEWEST else 0.0
        return max(self.loss, unjudged)

    def answered(self, now: float) -> None:
        """The rate was lowered for other reasons: whatever was lost up to now is answered."""
        self._since = now
        self._lost = self._total = self._old_lost = self._old_total = 0

    def judge(self, now: float, rate: float) -> None:
        """Judge, if enough was counted to judge by.

        Args:
            now: s.
            rate: What everything else allows, bit/s.
        """
        if self._since is None:
            self._since = now
        if now - self._since < PERIOD or self._total < FEWEST:
            return
        lost, total = self._lost, self._total
        share = (lost + self._old_lost) / (total + self._old_total)
        self.follow(share, now, rate)
        self._old_lost, self._old_total = lost, total
        self._lost = self._total = 0
        self._since = now

    def follow(self, loss: float, now: float, rate: float) -> None:
        """Follow a share of loss: see `allowed`.

        Args:
            loss: 0 to 1.
            now: s.
            rate: What everything else allows, bit/s.
        """
        elapsed = 0.0 if self._judged_at is None else min(now - self._judged_at, 1.0)
        self._judged_at = now
        self.loss = loss
        limit = rate if self.rate is None else min(self.rate, rate)
        limit = allowed(limit, loss, elapsed, self._growth)
        self.rate = limit if limit < rate else None
        if loss > LOW:
            self._growth = GROWTH
        else:
            self._growth = min(self._growth * math.pow(ACCELERATION, elapsed), GREATEST_GROWTH)
