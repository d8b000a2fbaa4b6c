"""The next step up: first the minimum, then the steps of a ladder, at last all that is wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def next_step(level: int, minimum: int, steps: Sequence[int], wanted: int) -> int:
    """The next level worth having above one, bit/s.

    Args:
        level: Below what is wanted.
        minimum: Less than this is of no use, unless no more is wanted.
        steps: Levels of use, ascending; without any, only all that is wanted is.
        wanted: No more is of use.
    """
    if level < minimum:
        return min(minimum, wanted)
    index = bisect_right(steps, level)
    if index < len(steps) and steps[index] < wanted:
        return steps[index]
    return wanted
