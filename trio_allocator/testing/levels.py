"""What one receiver could hold: the levels that its ladder and its options leave, worked out anew.

Written from the contract alone, for checks: nothing here is shared with what decides.
"""

from __future__ import annotations

from typing import Protocol

from ..options import ReceiverOptions
from ..tracks import Track


class Holder(Protocol):
    """Anything that has an allocation, such as a `ReceiverHandle`. Rates are bit/s."""

    @property
    def track(self) -> Track:
        """What it sends."""
        ...

    @property
    def options(self) -> ReceiverOptions:
        """The options in force."""
        ...

    @property
    def allocation(self) -> int:
        """What it holds."""
        ...

    @property
    def claim(self) -> int:
        """What it asked for last."""
        ...


def steps(holder: Holder) -> list[int]:
    """The allocations that carry a variant each, ascending, bit/s; empty without a ladder."""
    tenths = 10 if holder.options.bare_steps else 11
    return sorted({rate * tenths // 10 for rate in holder.track.variants.values()})


def minimum(holder: Holder) -> int:
    """What it should have before anyone of its class has more, bit/s."""
    least = holder.options.min_bitrate
    return next((step for step in steps(holder) if step >= least), least)


def floor(holder: Holder) -> int:
    """How far down it may be asked to go, bit/s."""
    return 0 if holder.options.pausable else minimum(holder)


def lowest(holder: Holder) -> int:
    """How far down it may be brought from where it is, bit/s."""
    if not holder.options.negotiable:
        return holder.allocation
    return min(holder.allocation, floor(holder))


def want(holder: Holder) -> int:
    """What it could use: its claim, but for a cap, bit/s."""
    cap = holder.options.max_bitrate
    if cap is None or holder.claim <= cap:
        return holder.claim
    ladder = steps(holder)
    return max((step for step in ladder if step <= cap), default=0) if ladder else cap


def above(holder: Holder, level: int) -> int:
    """The next level worth having above one, bit/s."""
    if level < minimum(holder):
        return min(minimum(holder), want(holder))
    higher = [step for step in steps(holder) if level < step < want(holder)]
    return min(higher, default=want(holder))


def below(holder: Holder, level: int) -> int:
    """One step of the ladder down; without a ladder, the least that is less. bit/s."""
    if level <= minimum(holder):
        return min(level, floor(holder))
    if not steps(holder):
        return level - 1
    return max(minimum(holder), max((s for s in steps(holder) if s < level), default=0))


def need(holder: Holder, level: int) -> int:
    """What the next useful bits above a level cost, bit/s."""
    elastic = holder.options.elastic and not steps(holder)
    if elastic and level >= min(minimum(holder), want(holder)):
        return 1
    return above(holder, level) - level


def class_above(holder: Holder, level: int) -> int:
    """The priority class of what comes next above a level."""
    priority = holder.options.priority
    if not isinstance(priority, tuple):
        return priority
    reached = sum(rung <= level for rung in _rungs(holder))
    return priority[min(reached, len(priority) - 1)]


def in_classes(holder: Holder, low: int, high: int) -> dict[int, int]:
    """How much of what is between two levels belongs to each priority class, bit/s."""
    parts: dict[int, int] = {}
    while low < high:
        end = min([rung for rung in _rungs(holder) if low < rung < high], default=high)
        priority = class_above(holder, low)
        parts[priority] = parts.get(priority, 0) + end - low
        low = end
    return parts


def _rungs(holder: Holder) -> list[int]:
    """The minimum, and the steps above it, bit/s."""
    least = minimum(holder)
    return sorted({rung for rung in (least, *steps(holder)) if rung >= max(least, 1)})
