"""Receivers that share what is above their minimums, as vessels fill to one height of water.

A bit given to a receiver of twice the weight raises its water half as far. Heights are whole
numbers: all weights have a common multiple, and so a bit has a whole price. Nothing is rounded but
to whole bit/s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import heapify, heappop, heapreplace

from .policies import Claim
from .room import Room

Turn = tuple[int, bool, float, int]
"""The order in which all is served: by the height that it reaches; of equals, what is held before
what is new, then the longest waiting, then the earliest registration."""


class Vessel:
    """One receiver.

    Args:
        claim: What it asks for.
        level: What it has, bit/s.
        origin: What it has while the water has not risen, bit/s.
        weight: A whole number.
        price: How far one bit/s raises its water; weight times price is the same for all.

    Attributes:
        brim: Up to here any part is of use to it, bit/s.
        steps: What is of use above that, ascending, bit/s.
    """

    __slots__ = ("brim", "claim", "level", "origin", "price", "steps", "weight")

    def __init__(self, claim: Claim, level: int, origin: int, weight: int, price: int) -> None:
        self.claim: Claim = claim
        self.level: int = level
        self.origin: int = origin
        self.weight: int = weight
        self.price: int = price
        if claim.levels:
            self.brim: int = level
        else:  # what is not elastic is divisible on the way down only
            divisible = claim.wanted if claim.elastic else claim.allocation
            self.brim = max(level, divisible)
        above = {step for step in (*claim.levels, claim.wanted) if self.brim < step <= claim.wanted}
        self.steps: tuple[int, ...] = tuple(sorted(above))

    def height(self, level: int) -> int:
        """How high its water stands at a level."""
        return (level - self.origin) * self.price

    def level_at(self, height: int) -> int:
        """What it has, up to the brim, when the water stands so high, bit/s."""
        return min(self.brim, max(self.level, self.origin + height // self.price))

    def turn(self, level: int) -> Turn:
        """When it is to come to a level."""
        claim = self.claim
        new = level > claim.allocation
        since = claim.waiting_since if new else None
        return (self.height(level), new, since or 0.0, claim.receiver_id)


class Basin:
    """The vessels that have room below the brim: together they take any part of what there is.

    Args:
        vessels: Among which to look for them.
    """

    def __init__(self, vessels: Iterable[Vessel]) -> None:
        self._vessels = [vessel for vessel in vessels if vessel.level < vessel.brim]
        self._volume = sum(vessel.brim - vessel.level for vessel in self._vessels)
        bends = [(v.height(v.level), v.price, v.weight, v.origin - v.level) for v in self._vessels]
        bends += [(v.height(v.brim), v.price, -v.weight, v.brim - v.origin) for v in self._vessels]
        self._bends = sorted(bends)
        """Heights at which a vessel begins to fill, or is full."""
        self._passed = 0
        self._filling: Counter[int] = Counter()  # how many vessels of each price
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

    def fill(self, room: Room) -> None:
        """Let them have all that there is, or all that they can use."""
        left = room.pour(self._volume)
        if left == self._volume:
            for vessel in self._vessels:
                vessel.level = vessel.brim
            return
        height = self._height_of(left)
        for vessel in self._vessels:
            before, vessel.level = vessel.level, vessel.level_at(height)
            left -= vessel.level - before
        self._hand_out(left)

    def _height_of(self, room: int) -> int:
        """The height, rounded down, that this much brings the water to; it fills not all."""
        height, width = 0, 0
        left = room * self._vessels[0].weight * self._vessels[0].price
        for bend, _, weight, _ in self._bends:
            if (bend - height) * width > left:
                return height + left // width
            left -= (bend - height) * width
            height = bend
            width += weight
        raise AssertionError("it would fill all of them")

    def _hand_out(self, bits: int) -> None:
        """Give what was rounded away, bit by bit: fewer than there are vessels."""
        open_ = [vessel for vessel in self._vessels if vessel.level < vessel.brim]
        queue = [(vessel.turn(vessel.level + 1), index) for index, vessel in enumerate(open_)]
        heapify(queue)
        for _ in range(bits):
            _, index = queue[0]
            vessel = open_[index]
            vessel.level += 1
            if vessel.level < vessel.brim:
                heapreplace(queue, (vessel.turn(vessel.level + 1), index))
            else:
                heappop(queue)
