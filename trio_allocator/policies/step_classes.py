"""Which steps of a receiver belong to which priority class.

Most receivers belong to one class with all that they hold. With a priority per step the lower steps
belong to higher classes: what is held up to some level to one, what is above to the next. Each class
is served for itself, and nobody has anything in a lower one without all of the higher ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeAlias

StepClasses: TypeAlias = tuple[tuple[int, float], ...]
"""Classes, the highest first, each with the level up to which it goes, bit/s; the last is endless."""


def step_classes(priorities: Sequence[int], levels: Sequence[int]) -> StepClasses:
    """Join the steps of each class.

    Args:
        priorities: Of the steps, the lowest first, never rising; the last is that of all higher ones.
        levels: The steps, bit/s, the first being the minimum. Without any, all is the first step.
    """
    if len(priorities) == 1:
        return _one(priorities[0])
    ends: dict[int, float] = dict(zip(priorities, levels, strict=False))
    ends[priorities[min(len(levels), len(priorities) - 1)]] = math.inf
    return tuple(ends.items())


@cache
def _one(priority: int) -> StepClasses:
    return ((priority, math.inf),)


def class_above(classes: StepClasses, level: int) -> int:
    """The class of what comes next above a level."""
    position = 0
    while level >= classes[position][1]:
        position += 1
    return classes[position][0]


def class_below(classes: StepClasses, level: int) -> int:
    """The class of what comes last up to a level, and so is given first."""
    position = 0
    while level > classes[position][1]:
        position += 1
    return classes[position][0]


def part_of(classes: StepClasses, priority: int) -> tuple[int, float] | None:
    """Where a class begins and ends, bit/s; None if no step belongs to it."""
    begin: float = 0
    for each, end in classes:
        if each == priority:
            return int(begin), end
        begin = end
    return None


def parts_between(classes: StepClasses, low: int, high: int) -> Iterator[tuple[int, int]]:
    """How much of what is between two levels belongs to each class, bit/s; only where it is any."""
    for priority, end in classes:
        top = int(min(high, end))
        if top > low:
            yield priority, top - low
            low = top
