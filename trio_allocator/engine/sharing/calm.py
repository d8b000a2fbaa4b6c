"""When a raise is worth its risk: a price on switching and on filling a link that may shrink.

A connection that is filled up to a volatile estimate is soon overused, and then everybody's picture
suffers. So a raise has to pay for two things: for the switch, which costs more the more often this
receiver was raised lately; and for the risk that all which is at stake will not fit.

With B the estimate, T the total rate after the raise, W what all that is sent is worth before and g
by how much more after it, the raise is made if

    (W + g) (1 − p(T)) − W (1 − p(T − need)) > price,    p(T) = 1 / (1 + exp(−(ln(T / B) − a) / s)),

where s, the spread, grows with the falls of the estimate lately. It is kept back for a bounded time
only: what every estimate of the last seconds would have carried needs no judgement.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from attrs import frozen

from ..settings import NEVER
from .division import Raising
from .lows import RecentLows

LONGEST_WAIT = 10.0
"""No raise is kept back for longer if the estimate would carry it all the time, s (G9)."""

SAMPLE = 1.0
"""Falls of the estimate are taken over no less than this, s: noise of many estimates a second
would otherwise count many times."""

WORST_FALL = 1.0
"""A fall to nothing counts no more than this, in ln."""

FALLS_FOR = 9.5
"""Time constant with which a fall is forgotten, s."""


@frozen
class Temper:
    """How cautious; found by search over recorded links.

    Attributes:
        price: Of a switch, as a share of what the best of the receiver is worth.
        growth: How much more it costs for each time that it was raised within a minute.
        slack: ln(T / B) at which the risk is even. Above 0: estimates are cautious themselves.
        spread: How gradually the risk grows, in ln(T / B), while the estimate is steady.
        unrest: How much that grows with the falls of the estimate.
    """

    price: float
    growth: float
    slack: float
    spread: float
    unrest: float


IDEAL = Temper(price=0.02, growth=2.2, slack=0.35, spread=0.13, unrest=1.8)
"""For estimates that see the capacity, up and down, within a second."""

RAMPING = Temper(price=0.06, growth=0.9, slack=0.35, spread=0.13, unrest=1.8)
"""For estimates that fall at once and climb slowly, such as those of congestion control."""


class Calm:
    """Judges raises.

    Args:
        temper: How cautious it is.
        hold: Half of the longest time that it keeps a raise back, s.
        restlessness: Of a receiver, by its id, at a time.
    """

    __slots__ = (
        "_budget",
        "_estimate",
        "_falls",
        "_lows",
        "_now",
        "_reserve",
        "_restlessness",
        "_sampled",
        "_sampled_at",
        "_temper",
        "_wait",
    )

    def __init__(
        self, temper: Temper, hold: float, restlessness: Callable[[int, float], float]
    ) -> None:
        self._temper = temper
        self._wait = min(2 * hold, LONGEST_WAIT)
        self._restlessness = restlessness
        self._lows = RecentLows(self._wait)
        self._now = 0.0
        self._estimate: int | None = None
        self._budget = 0
        self._reserve = 0
        self._falls = 0.0
        self._sampled: int | None = None
        self._sampled_at = -NEVER

    def note(self, now: float, estimate: int) -> None:
        """The newest estimate, bit/s."""
        self._lows.add(now, estimate)
        if self._sampled is None:
            self._sampled, self._sampled_at = estimate, now
        elif now - self._sampled_at >= SAMPLE:
            fall = min(max(0.0, math.log(max(self._sampled, 1) / max(estimate, 1))), WORST_FALL)
            kept = math.exp((self._sampled_at - now) / FALLS_FOR)
            self._falls = kept * self._falls + (1 - math.exp(-SAMPLE / FALLS_FOR)) * fall
            self._sampled, self._sampled_at = estimate, now

    def begin(self, now: float, estimate: int | None, budget: int, reserve: int = 0) -> None:
        """A decision begins.

        Args:
            now: The time, s.
            estimate: bit/s; None while it is unknown.
            budget: What was allocated when the event came, bit/s: it may be handed on.
            reserve: What else is sent, bit/s.
        """
        self._now, self._estimate = now, estimate
        self._budget, self._reserve = budget, reserve
        self._lows.prune(now)

    @property
    def floor(self) -> int:
        """So much needs no judgement, bit/s: estimates carried it, or it was allocated already."""
        return max(self._carried, self._budget)

    @property
    def _carried(self) -> int:
        """What every estimate of late would have carried, bit/s."""
        _, low = next(iter(self._lows), (0.0, self._estimate or 0))
        return min(low, self._estimate or low) - self._reserve

    def allows(self, raising: Raising) -> bool:
        """Whether a raise is worth its risk; that is a judgement which may be counted."""
        return self.finds_worth(raising)

    def finds_worth(self, raising: Raising) -> bool:
        """Whether a raise is worth its risk.

        One that others make room for adds no risk, and has its price alone: whether they are asked
        must not depend on how much was free.
        """
        estimate = self._estimate
        if estimate is None or raising.rate <= (self._carried if raising.displaces else self.floor):
            return True
        price = 0.0
        if raising.first:
            unrest = self._restlessness(raising.receiver_id, self._now)
            price = self._temper.price * (1 + self._temper.growth * unrest) * raising.best
        after = (raising.worth + raising.gain) * (1 - self._risk(raising.rate, estimate))
        more = 0 if raising.displaces else raising.need
        before = raising.worth * (1 - self._risk(raising.rate - more, estimate))
        return after - before > price

    def _risk(self, rate: int, estimate: int) -> float:
        """The risk that a total rate will not fit."""
        temper = self._temper
        rate += self._reserve
        spread = temper.spread + temper.unrest * self._falls
        excess = math.log(max(rate, 1) / max(estimate, 1)) - temper.slack
        return 1 / (1 + math.exp(min(-excess / spread, 700.0)))

    def clear_at(self, rate: int) -> float:
        """When a total rate will need no judgement any more, if the estimate stays, s."""
        rate += self._reserve
        last = max((until for until, low in self._lows if low < rate), default=-NEVER)
        return last + self._wait

    @property
    def rises_at(self) -> float:
        """When the floor rises next, if the estimate stays, s."""
        until, low = next(iter(self._lows), (NEVER, 0))
        return until + self._wait if low < (self._estimate or 0) else NEVER
