"""A link that is not there for a while."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from attrs import define, field, frozen

from .effect import Effect, Impairment, Link, above_zero, is_range
from .episodes import Episodes, magnitude, wait


@frozen(kw_only=True)
class NowAndThen(Impairment):
    """What lasts for a while, and comes again.

    Attributes:
        lengths: The shortest and the longest, s.
        every: The mean time between two, s.
        at: (begin, length), s, in place of random ones.
    """

    lengths: tuple[float, float] = field(validator=is_range)
    every: float = field(validator=above_zero)
    at: tuple[tuple[float, float], ...] = ()

    def spans(self, chance: Random, link: Link) -> Iterator[tuple[float, float]]:
        """The given spans, or random ones: 0.5 to 1.5 × `every` after the end of the one before."""
        if self.at:
            for begin, length in sorted(self.at):
                yield link.start + begin, length
            return
        end = link.start
        while True:
            begin = end + wait(chance, self.every)
            length = magnitude(chance, *self.lengths)
            yield begin, length
            end = begin + length


@frozen(kw_only=True)
class Pauses(NowAndThen):
    """Now and then the link transmits nothing; what came in waits.

    Attributes:
        lengths: The shortest and the longest, s.
        every: The mean time between two, s.
        at: (begin, length), s, in place of random ones.
    """

    lengths: tuple[float, float] = field(default=(0.1, 0.5), validator=is_range)
    every: float = field(default=10.0, validator=above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        effect = Effect()
        effect.pauses = Episodes(self.spans(chance, link))
        return effect


@frozen(kw_only=True)
class Outages(NowAndThen):
    """Now and then everything gets lost, reports too.

    Attributes:
        lengths: The shortest and the longest, s.
        every: The mean time between two, s.
        at: (begin, length), s, in place of random ones.
    """

    lengths: tuple[float, float] = field(default=(1.0, 30.0), validator=is_range)
    every: float = field(default=40.0, validator=above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _Outages(Episodes(self.spans(chance, link)))


@define
class _Outages(Effect):
    episodes: Episodes

    def enters(self, now: float, size: int) -> bool:
        return not self.episodes.inside(now)

    def reports(self, now: float, at: float) -> float | None:
        return None if self.episodes.inside(now) else at
