"""Receivers that share what is above their minimums by weight, up to one water level (max-min).

A bit given to a receiver of twice the weight raises its water half as far. Heights are whole
numbers: all weights have a common multiple, and so a bit has a whole price. Nothing is rounded but
to whole bit/s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heapreplace

from .budget import Budget
from .policy import Claim

Turn = tuple[int, bool, float, int]
"""The order in which all is served: by the height that it reaches, in parts of `NEW`; of equals, what is
held before what is new, then the longest waiting, then the earliest registration."""

NEW = 11
"""So much counts a step that is new,"""

HELD = 10
"""and one of the same rate that is held: a tenth of a rate is for bursts and headers. It is known when a
variant flows; among receivers that are alike, one that costs a little more than declared would go
round for ever."""


class Share:
    """One receiver.

    Args:
        claim: What it asks for.
        level: What it has, bit/s.
        origin: What it has while the water has not risen, bit/s.
        weight: A whole number.
        price: How far one bit/s raises its water; weight times price is the same for all.

    Attributes:
        cap: Up to here any part is of use to it, bit/s.
        steps: What is of use above that, ascending, bit/s.
    """

    __slots__ = ("cap", "claim", "level", "origin", "price", "steps", "weight")

    def __init__(self, claim: Claim, level: int, origin: int, weight: int, price: int) -> None:
        self.claim: Claim = claim
        self.level: int = level
        self.origin: int = origin
        self.weight: int = weight
        self.price: int = price
        if claim.levels:
            self.cap: int = level
        else:  # what is not elastic is divisible on the way down only
            divisible = claim.wanted if claim.elastic else claim.allocation
            self.cap = max(level, divisible)
        above = {step for step in (*claim.levels, claim.wanted) if self.cap < step <= claim.wanted}
        self.steps: tuple[int, ...] = tuple(sorted(above))

    def height(self, level: int) -> int:
        """How high its water stands at a level."""
        return (level - self.origin) * self.price

    def level_at(self, height: int) -> int:
        """What it has, up to the cap, when the water stands so high, bit/s."""
        return min(self.cap, max(self.level, self.origin + height // self.price))

    def turn(self, level: int) -> Turn:
        """When it is to come to a level."""
        claim = self.claim
        new = level > claim.allocation
        since = claim.waiting_since if new else None
        parts = HELD if claim.levels and not new else NEW
        height = (parts * level - NEW * self.origin) * self.price
        return (height, new, since or 0.0, claim.receiver_id)


class WaterLevel:
    """The shares that have room below the cap: together they take any part of what there is.

    Args:
        shares: Among which to look for them.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        self._shares = [share for share in shares if share.level < share.cap]
        self._most = sum(share.cap - share.level for share in self._shares)
        bends = [(s.height(s.level), s.price, s.weight, s.origin - s.level) for s in self._shares]
        bends += [(s.height(s.cap), s.price, -s.weight, s.cap - s.origin) for s in self._shares]
        self._bends = sorted(bends)
        """Heights at which a share begins to fill, or is full."""
        self._passed = 0
        self._filling: Counter[int] = Counter()  # how many shares of each price
        self._fixed = 0

    def taken(self, height: int) -> int:
        """What they take with the water at this height, bit/s. Heights asked for must ascend."""
        while self._passed < len(self._bends) and self._bends[self._passed][0] <= height:
            _, price, weight, fixed = self._bends[self._passed]
            self._filling[price] += 1 if weight > 0 else -1
            self._fixed += fixed
            self._passed += 1
        filling = self._filling.items()
        return self._fixed + sum(number * (height // price) for price, number in filling)

    def fill(self, budget: Budget) -> None:
        """Let them have all that there is, or all that they can use."""
        left = budget.take_up_to(self._most)
        if left == self._most:
            for share in self._shares:
                share.level = share.cap
            return
        height = self._height_of(left)
        for share in self._shares:
            before, share.level = share.level, share.level_at(height)
            left -= share.level - before
        self._hand_out(left)

    def _height_of(self, room: int) -> int:
        """The height, rounded down, that this much brings the water to; it fills not all."""
        height, width = 0, 0
        left = room * self._shares[0].weight * self._shares[0].price
        for bend, _, weight, _ in self._bends:
            if (bend - height) * width > left:
                return height + left // width
            left -= (bend - height) * width
            height = bend
            width += weight
        raise AssertionError("it would fill all of them")

    def _hand_out(self, bits: int) -> None:
        """Give what was rounded away, bit by bit: fewer than there are shares."""
        open_ = [share for share in self._shares if share.level < share.cap]
        queue = [(share.turn(share.level + 1), index) for index, share in enumerate(open_)]
        heapify(queue)
        for _ in range(bits):
            _, index = queue[0]
            share = open_[index]
            share.level += 1
            if share.level < share.cap:
                heapreplace(queue, (share.turn(share.level + 1), index))
            else:
                heappop(queue)


def divide_by_weight(ranges: Sequence[tuple[int, int, float]], amount: int) -> list[int]:
    """Divide so that all have the same rate per weight, each within its range.

    Args:
        ranges: The least and the most that each may have, bit/s, and its weight.
        amount: What there is above what all have at least, bit/s.

    Returns:
        The levels, bit/s; together they take no more than the amount.
    """
    low, high = 0.0, max(most / weight for _, most, weight in ranges)
    levels = [least for least, _, _ in ranges]
    budget = amount + sum(levels)
    for _ in range(64):
        middle = (low + high) / 2
        trial = [max(b, min(t, int(middle * w))) for b, t, w in ranges]
        if sum(trial) <= budget:
            low, levels = middle, trial
        else:
            high = middle
    left = budget - sum(levels)  # by rounding
    for position, (_, most, _) in enumerate(ranges):
        more = min(left, most - levels[position])
        levels[position] += more
        left -= more
    return levels
