"""Packets that come later than the link lets them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from attrs import define, field, frozen

from .effect import Effect, Impairment, Link, above_zero, is_range
from .episodes import Episodes, magnitude, wait


@frozen(kw_only=True)
class LongerWay(Impairment):
    """Now and then packets take another way, longer or shorter, without overtaking.

    Attributes:
        extra: The least and the most that is added to the usual way, s.
        every: The mean time between two changes, s: from the usual way to a longer one, and back.
        at: (time, s to add from then on), in place of random ones.
    """

    extra: tuple[float, float] = field(default=(0.015, 0.2), validator=is_range)
    every: float = field(default=20.0, validator=above_zero)
    at: tuple[tuple[float, float], ...] = ()

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _LongerWay(Episodes(self._changes(chance, link)))

    def _changes(self, chance: Random, link: Link) -> Iterator[tuple[float, float]]:
        if self.at:
            for time, extra in sorted(self.at):
                yield link.start + time, extra
            return
        time = link.start
        while True:
            for extra in (magnitude(chance, *self.extra), 0.0):
                time += wait(chance, self.every)
                yield time, extra


@define
class _LongerWay(Effect):
    changes: Episodes

    def arrives(self, left: float, at: float) -> float:
        return at + self.changes.value(left)


@frozen(kw_only=True)
class Batches(Impairment):
    """Packets arrive together, at the ends of equal spans of time.

    Attributes:
        spans: The shortest and the longest, s.
        every: How long one span is kept on average, s.
    """

    spans: tuple[float, float] = field(default=(0.02, 0.15), validator=is_range)
    every: float = field(default=15.0, validator=above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _Batches(Episodes(self._changes(chance, link)), self.spans[0])

    def _changes(self, chance: Random, link: Link) -> Iterator[tuple[float, float]]:
        time = link.start
        while True:
            yield time, chance.uniform(*self.spans)
            time += wait(chance, self.every)


@define
class _Batches(Effect):
    changes: Episodes
    first: float

    def arrives(self, left: float, at: float) -> float:
        if at == math.inf:
            return at
        span = self.changes.value(left) or self.first
        return math.ceil(at / span - 1e-9) * span


@frozen(kw_only=True)
class Jitter(Impairment):
    """Each packet is late by as much as chance wants.

    Attributes:
        most: The most, s; all up to that are equally likely.
        overtaking: Whether packets may overtake each other; if not, those behind a late one are
            late, too.
    """

    most: float = field(default=0.03, validator=above_zero)
    overtaking: bool = False

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        effect = _Jitter(self.most, chance)
        effect.overtakes = self.overtaking
        return effect


@define
class _Jitter(Effect):
    most: float
    chance: Random

    def arrives(self, left: float, at: float) -> float:
        return at + self.most * self.chance.random()
