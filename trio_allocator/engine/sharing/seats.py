"""Who takes part while a capacity is divided, and how the divisible share it evenly."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .policies import Claim


class Seat:
    """One claim while a capacity is divided.

    Attributes:
        claim: Whose.
        base: What it would keep if nobody were raised, bit/s.
        level: What it gets, as far as decided, bit/s.
        refused: The judge did not allow its next step.
    """

    __slots__ = ("base", "claim", "level", "refused")

    def __init__(self, claim: Claim) -> None:
        self.claim: Claim = claim
        self.base: int = claim.allocation
        self.level: int = claim.lowest
        self.refused: bool = False

    @property
    def waits(self) -> bool:
        """Has all that it holds, and wants more."""
        return self.claim.allocation <= self.level < self.claim.wanted

    @property
    def need(self) -> int:
        """bit/s to its next level."""
        return self.claim.level_above(self.level) - self.level

    @property
    def takes_any_part(self) -> bool:
        """Has its minimum, and any part of what it waits for is of use: that is no switch."""
        return self.claim.elastic and self.level >= self.claim.minimum

    @property
    def keeps_more(self) -> bool:
        """Has its minimum, and may keep more of what it holds."""
        claim = self.claim
        kept = min(claim.minimum, claim.allocation) <= self.level < claim.allocation
        return kept and not claim.asked

    @property
    def next_kept(self) -> int:
        """The next level up that it could stay at, bit/s."""
        return min(self.claim.allocation, self.claim.level_above(self.level))

    @property
    def turn(self) -> tuple[float, int]:
        """Longest waiting first, then the earlier registration."""
        since = self.claim.waiting_since
        return (math.inf if since is None else since, self.claim.receiver_id)


def water_level(basins: Sequence[tuple[int, int, float]], amount: int) -> list[int]:
    """Pour so that all stand equally high by weight, between bottom and brim.

    Args:
        basins: Bottom and brim in bit/s, and the weight, of each.
        amount: What to pour, bit/s.

    Returns:
        The levels, bit/s; together they take no more than the amount.
    """
    low, high = 0.0, max(brim / weight for _, brim, weight in basins)
    levels = [bottom for bottom, _, _ in basins]
    budget = amount + sum(levels)
    for _ in range(64):
        middle = (low + high) / 2
        trial = [max(b, min(t, int(middle * w))) for b, t, w in basins]
        if sum(trial) <= budget:
            low, levels = middle, trial
        else:
            high = middle
    left = budget - sum(levels)  # by rounding
    for position, (_, brim, _) in enumerate(basins):
        more = min(left, brim - levels[position])
        levels[position] += more
        left -= more
    return levels
