"""Weighted max-min over minimums: the sharing for rates that may be anything.

Class by class of priority, from the highest. First come the minimums: those that are held, then
those waited for, each where it fits. What is left rises like water in all receivers at once, in
proportion to their weights, until they have what they want or nothing is left. (Progressive
filling: Bertsekas and Gallager, *Data Networks*, section 6.5.2. Shares above minimums by weight,
and the bar for resuming: libwebrtc's BitrateAllocator.)

A receiver with a ladder takes a step when the water reaches it and there is budget for all of it;
where there is not, it stays where it is (what is left only shrinks, so the step never fits later),
and the others share what it leaves.

The height at which anybody comes to have anything does not depend on the capacity. A larger one
goes on where a smaller one has to stop, and so it is never worth less (G4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, lcm
from typing import Literal, TypeAlias

from .. import quantities
from .budget import Budget
from .policy import Claim, Shares
from .water_level import NEW, Share, WaterLevel

RESUME_SHARE = 0.1
"""A paused receiver is resumed where a tenth more than its minimum fits (libwebrtc) ..."""

RESUME_LEAST = 20_000
"""... or this much more where that is more, bit/s (libwebrtc)."""

Levels: TypeAlias = dict[int, int]
"""Receiver id to bit/s."""


class WaterFillingPolicy:
    """Shares by weight what is above the minimums; see `Policy`.

    It is meant for receivers that can use any rate (`elastic`, without a ladder). Others mix in:
    one with a ladder has the best step within its share, and one that is all or nothing has all
    of it where its share reaches that far.

    Who may be paused and holds nothing is resumed only where somewhat more than its minimum fits,
    or all that it wants; from then on while the minimum does. That is a hold, bounded in size, and
    `AllocatorStatus.bars` shows it.

    Args:
        over: What is shared by weight: the rates above the ``"minimums"``, or the whole rates,
            over ``"nothing"``, while everybody keeps its minimum.
        resume_share: How much more than the minimum has to fit for resuming, as a share of it.
        resume_least: ... and at least this, bit/s. With 0 for both there is no bar.

    Raises:
        TypeError, ValueError: An argument is not usable.
    """

    __slots__ = ("_over_minimums", "_resume_least", "_resume_share")

    def __init__(
        self,
        *,
        over: Literal["minimums", "nothing"] = "minimums",
        resume_share: float = RESUME_SHARE,
        resume_least: float = RESUME_LEAST,
    ) -> None:
        if over not in ("minimums", "nothing"):
            raise ValueError(f"over must be 'minimums' or 'nothing', not {over!r}")
        self._over_minimums = over == "minimums"
        self._resume_share = quantities.share("resume_share", resume_share).as_integer_ratio()
        self._resume_least = quantities.bitrate("resume_least", resume_least)

    def __call__(self, claims: Sequence[Claim], capacity: int) -> Shares:
        """See `Policy`."""
        levels = {claim.receiver_id: claim.lowest for claim in claims}
        bars: Levels = {}
        budget = Budget(capacity, kept=sum(levels.values()))
        for priority in sorted({claim.priority for claim in claims}, reverse=True):
            members = [claim for claim in claims if claim.priority == priority]
            self._fill_minimums(members, levels, bars, budget)
            self._fill(members, levels, budget)
        return Shares(levels, budget.lowest, budget.highest, bars)

    def _fill_minimums(
        self, members: Sequence[Claim], levels: Levels, bars: Levels, budget: Budget
    ) -> None:
        for level, claim in _minimums(members):
            bar = max(level, self._bar(claim))
            beside = 0 if claim.planned else bar - level
            if budget.take(level - levels[claim.receiver_id], beside=beside):
                levels[claim.receiver_id] = level
            elif bar > level:
                bars[claim.receiver_id] = bar

    def _bar(self, claim: Claim) -> int:
        """What must fit for a paused receiver to be resumed, bit/s; 0 for any other."""
        if not claim.pausable or claim.allocation > 0:
            return 0
        numerator, denominator = self._resume_share
        minimum = _minimum(claim)
        more = max(minimum * numerator // denominator, self._resume_least)
        return min(minimum + more, claim.wanted)

    def _fill(self, members: Sequence[Claim], levels: Levels, budget: Budget) -> None:
        """Share what is left among those that have their minimum."""
        sharing = [claim for claim in members if levels[claim.receiver_id] >= _minimum(claim)]
        sharers = [
            Share(claim, levels[claim.receiver_id], self._origin(claim), weight, price)
            for claim, (weight, price) in zip(sharing, _prices(sharing), strict=True)
        ]
        level = WaterLevel(sharers)
        reached = {sharer.claim.receiver_id: sharer.cap for sharer in sharers}
        steps: Levels = {}
        turns = sorted((sharer.turn(step), step) for sharer in sharers for step in sharer.steps)
        for (height, _, _, receiver_id), step in turns:
            taken = level.taken((height - 1) // NEW)
            if taken > max(budget.free, 0):
                break  # the water does not rise so high
            if budget.take(step - reached[receiver_id], beside=taken):
                reached[receiver_id] = steps[receiver_id] = step
        level.fill(budget)
        levels.update((sharer.claim.receiver_id, sharer.level) for sharer in sharers)
        levels.update(steps)

    def _origin(self, claim: Claim) -> int:
        """What it has while the water has not risen, bit/s."""
        return _minimum(claim) if self._over_minimums else 0


def _minimum(claim: Claim) -> int:
    """What it should have before anyone of its class has more, bit/s."""
    return min(claim.minimum, claim.wanted)


def _minimums(members: Sequence[Claim]) -> Iterator[tuple[int, Claim]]:
    """What is to be had before anyone has more, in order, bit/s, and by whom."""
    held: list[tuple[int, int, Claim]] = []
    missing: list[tuple[float, int, int, Claim]] = []
    for claim in members:
        minimum = _minimum(claim)
        kept = max(claim.lowest, min(claim.allocation, minimum))
        if claim.lowest < kept:
            held.append((claim.receiver_id, kept, claim))
        if kept < minimum:
            missing.append((claim.waiting_since or 0.0, claim.receiver_id, minimum, claim))
    for _, level, claim in sorted(held):
        yield level, claim
    for _, _, level, claim in sorted(missing):
        yield level, claim


def _prices(claims: Sequence[Claim]) -> list[tuple[int, int]]:
    """For each its weight, and how far a bit raises its water: whole numbers, of one product."""
    if not claims:
        return []
    ratios = [claim.weight.as_integer_ratio() for claim in claims]
    common = lcm(*(denominator for _, denominator in ratios))
    weights = [numerator * (common // denominator) for numerator, denominator in ratios]
    divisor = gcd(*weights)
    weights = [weight // divisor for weight in weights]
    product = lcm(*weights)
    return [(weight, product // weight) for weight in weights]
