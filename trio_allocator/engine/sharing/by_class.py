"""Asking a policy; where receivers have a priority per step, class by class.

So no policy need know of such priorities. From the highest class down it is asked with those claims
that have a step in the class, each cut to these steps, and with the capacity that is left.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from ...policies.policy import Claim, Policy, Shares, answer_of
from ...policies.step_classes import part_of
from ..settings import NEVER


def ask(policy: Policy, claims: Sequence[Claim], capacity: int) -> Shares:
    """Ask a policy for its answer: at once, or class by class if any claim is of several."""
    if not any(claim.classes for claim in claims):
        return answer_of(policy, claims, capacity)
    levels = {claim.receiver_id: claim.lowest for claim in claims}
    lowest, highest = -NEVER, NEVER
    bars: dict[int, int] = {}
    for priority in sorted({p for claim in claims for p, _ in claim.in_classes}, reverse=True):
        of_class = (_within(claim, priority, levels[claim.receiver_id]) for claim in claims)
        parts = [part for part in of_class if part is not None]
        if not parts:
            continue
        elsewhere = sum(levels.values()) - sum(part.lowest for part in parts)
        shares = answer_of(policy, parts, capacity - elsewhere)
        levels.update(shares.allocations)
        # As long as it answers the same for all classes, so much more is there for each.
        lowest = max(lowest, shares.lowest + elsewhere)
        highest = min(highest, shares.highest + elsewhere)
        bars.update(shares.bars)
    return Shares(levels, lowest, highest, bars)


def _within(claim: Claim, priority: int, level: int) -> Claim | None:
    """A claim as one class sees it.

    Args:
        claim: Whose.
        priority: The class.
        level: What it was given in higher classes, bit/s; at first its lowest.

    Returns:
        None if it has no step in this class, or lacks one of a higher class.
    """
    part = part_of(claim.in_classes, priority)
    if part is None or not part[0] <= level < part[1]:
        return None
    begin, end = part
    held, wanted = (int(max(level, min(most, end))) for most in (claim.allocation, claim.wanted))
    levels = {level, held, wanted}.union(step for step in claim.levels if level < step <= end)
    return evolve(
        claim,
        priority=priority,
        classes=(),
        lowest=level,
        allocation=held,
        wanted=wanted,
        minimum=max(claim.minimum, begin),
        levels=tuple(sorted(levels)) if claim.levels else (),
    )
