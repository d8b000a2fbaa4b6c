"""A far end whose reports are late or seldom, or whose clock is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from attrs import define, field, frozen

from .effect import Effect, Impairment, Link, above_zero, is_range
from .episodes import Episodes, magnitude, wait


@frozen(kw_only=True)
class LateFeedback(Impairment):
    """Reports are late by as much as chance wants, in order.

    Attributes:
        most: The most, s.
    """

    most: float = field(default=0.3, validator=above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _LateFeedback(self.most, chance)


@define
class _LateFeedback(Effect):
    most: float
    chance: Random
    last: float = -math.inf

    def reports(self, now: float, at: float) -> float | None:
        self.last = max(self.last, at + self.most * self.chance.random())
        return self.last


@frozen(kw_only=True)
class FeedbackEvery(Impairment):
    """The far end reports at an interval.

    Attributes:
        interval: s.
    """

    interval: float = field(default=0.1, validator=above_zero)

    @property
    def feedback_interval(self) -> float:
        """See `Impairment`."""
        return self.interval

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return Effect()


@frozen(kw_only=True)
class ClockSteps(Impairment):
    """The far end's clock is set anew now and then.

    Attributes:
        steps: The smallest and the largest, s; forwards and backwards are equally likely.
        every: The mean time between two, s.
        at: (time, step), s, in place of random ones.
    """

    steps: tuple[float, float] = field(default=(0.02, 2.9), validator=is_range)
    every: float = field(default=30.0, validator=above_zero)
    at: tuple[tuple[float, float], ...] = ()

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _ClockSteps(Episodes(self._changes(chance, link)))

    def _changes(self, chance: Random, link: Link) -> Iterator[tuple[float, float]]:
        offset = 0.0
        if self.at:
            for time, step in sorted(self.at):
                offset += step
                yield link.start + time, offset
            return
        time = link.start
        while True:
            time += wait(chance, self.every)
            offset += chance.choice((-1, 1)) * magnitude(chance, *self.steps)
            yield time, offset


@define
class _ClockSteps(Effect):
    changes: Episodes

    def clock(self, now: float, shown: float) -> float:
        return shown + self.changes.value(now)


@frozen(kw_only=True)
class ClockDrift(Impairment):
    """The far end's clock is too fast.

    Attributes:
        share: By how much; 0.0001 is 100 ppm. Negative: too slow.
    """

    share: float = 500e-6

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _ClockDrift(self.share, link.start)


@define
class _ClockDrift(Effect):
    share: float
    start: float

    def clock(self, now: float, shown: float) -> float:
        return shown + self.share * (now - self.start)
