"""Packets, or reports, that get lost though the queue has room."""

from __future__ import annotations

import math
from random import Random

from attrs import define, field, frozen

from .effect import Effect, Impairment, Link, above_zero, is_share

LARGEST = 1_500
"""A packet passes a bucket that is full, however small the rate, bytes."""


@define
class _Drawn(Effect):
    """Each by itself is hit, or not."""

    share: float
    chance: Random

    def hits(self) -> bool:
        return self.chance.random() < self.share


@frozen(kw_only=True)
class Loss(Impairment):
    """Packets get lost by chance before the queue, each by itself.

    Attributes:
        share: The probability, 0 to 1.
    """

    share: float = field(default=0.02, validator=is_share)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _Loss(self.share, chance)


class _Loss(_Drawn):
    def enters(self, now: float, size: int) -> bool:
        return not self.hits()


@frozen(kw_only=True)
class LostFeedback(Impairment):
    """Reports get lost by chance.

    Attributes:
        share: The probability, 0 to 1.
    """

    share: float = field(default=0.2, validator=is_share)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _LostFeedback(self.share, chance)


class _LostFeedback(_Drawn):
    def reports(self, now: float, at: float) -> float | None:
        return None if self.hits() else at


@frozen(kw_only=True)
class BurstLoss(Impairment):
    """Packets get lost several in a row: a Gilbert-Elliott model that loses all in its bad state.

    Attributes:
        good: How many come through in a row, on average.
        bad: How many get lost in a row, on average.
    """

    good: float = field(default=200.0, validator=above_zero)
    bad: float = field(default=5.0, validator=above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _BurstLoss(1 / self.good, 1 / self.bad, chance)


@define
class _BurstLoss(Effect):
    to_bad: float
    to_good: float
    chance: Random
    is_bad: bool = False

    def enters(self, now: float, size: int) -> bool:
        if self.chance.random() < (self.to_good if self.is_bad else self.to_bad):
            self.is_bad = not self.is_bad
        return not self.is_bad


@frozen(kw_only=True)
class Policer(Impairment):
    """A token bucket drops what exceeds a rate, and never queues it.

    Attributes:
        share: The rate, as a share of the capacity at the time.
        depth: What the bucket holds, as a time at that rate, s.
    """

    share: float = field(default=0.8, validator=above_zero)
    depth: float = field(default=0.1, validator=above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _Policer(self, link, link.start)


@define
class _Policer(Effect):
    model: Policer
    link: Link
    then: float
    tokens: float = math.inf

    def enters(self, now: float, size: int) -> bool:
        rate = self.model.share * self.link.capacity(now) / 8
        most = max(rate * self.model.depth, LARGEST)
        self.tokens = min(self.tokens + rate * (now - self.then), most)
        self.then = now
        if size > self.tokens:
            return False
        self.tokens -= size
        return True
