"""Figures that any run can have: simulated, replayed, or with real peers. Times are s, rates bit/s.

A run is told as changes over time, and each figure is a plain function of them. A figure that is a
distribution comes as its median and its 95th percentile; a mean hides what a viewer minds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from attrs import field, frozen

NONE = -1
"""The level of a receiver that gets nothing."""

TAKEN_BACK = 1.0
"""A change that is undone within this time helped nobody, s."""

SPARE = 1.2
"""A step fits with a fifth to spare if this many times all that would be committed is estimated
(invariant G10)."""

NEARLY_BEST = 0.9
"""The best steps that fit are reached at this share of their utility."""

OWN_DOING = 1.0
"""A change within this time of something that happened to the receiver is not the allocator's, s:
a key frame takes up to 0.4 s, and its sender may be asked a little later."""

UTILITY_RATE = 50_000
"""What a variant is worth grows by the logarithm of 1 + rate over this, bit/s."""

Figures = Mapping[str, float | int | None]
"""By name; None where there is nothing to tell."""


@frozen
class Watched:
    """One receiver of a run, as figures see it. Levels count from 0, the lowest step of its ladder.

    Attributes:
        rates: What each level costs, bit/s, ascending.
        flows: What flowed: (time, level), ascending; `NONE` for nothing.
        decisions: What was asked for or granted, the same way.
        shown: What could be shown: (time, levels), ascending; no levels while it is away, off or
            muted. Empty: everything, all the time.
        joined: When it joined, each time.
        scale: (time, factor): what its levels really cost, times `rates`. Empty: 1.
    """

    rates: tuple[int, ...]
    flows: Sequence[tuple[float, int]]
    decisions: Sequence[tuple[float, int]]
    shown: Sequence[tuple[float, tuple[int, ...]]] = ()
    joined: Sequence[float] = ()
    scale: Sequence[tuple[float, float]] = ()
    _shown_at: list[float] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_shown_at", [time for time, _levels in self.shown])

    def levels(self, time: float) -> tuple[int, ...]:
        """What could be shown at a time."""
        if not self.shown:
            return tuple(range(len(self.rates)))
        index = bisect_right(self._shown_at, time) - 1
        return self.shown[index][1] if index >= 0 else ()

    def disturbed(self, begin: float, end: float) -> bool:
        """Whether something happened to it within a time, both ends included."""
        index = bisect_right(self._shown_at, end) - 1
        return index >= 0 and self._shown_at[index] >= begin

    def cost(self, level: int, time: float) -> float:
        """What a level costs at a time, bit/s; 0 for `NONE`."""
        if level == NONE:
            return 0.0
        factor = value_at(self.scale, time, 1.0) if self.scale else 1.0
        return self.rates[level] * factor

    def utility(self, level: int) -> float:
        """What a level is worth, 0 to 1: 1 is the top of its ladder."""
        return utility(self.rates[level], self.rates[-1]) if level != NONE else 0.0


def utility(rate: float, top: float) -> float:
    """What a rate is worth of a ladder that ends at `top`, 0 to 1."""
    return math.log1p(rate / UTILITY_RATE) / math.log1p(top / UTILITY_RATE)


def value_at(
    changes: Sequence[tuple[float, float]], time: float, before: float = math.nan
) -> float:
    """The value at a time of something that changes; `before` until the first change."""
    index = bisect_right(changes, time, key=_time) - 1
    return changes[index][1] if index >= 0 else before


def _time(change: tuple[float, float]) -> float:
    return change[0]


# --- distributions -----------------------------------------------------------------------------------


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them is not above (linear between two).

    Raises:
        ValueError: There are none.
    """
    if not values:
        raise ValueError("there must be at least one value: leave the figure out")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def spread(name: str, values: Iterable[float]) -> dict[str, float | int | None]:
    """The median and the 95th percentile of some values, by name.

    Args:
        name: Of the figure; ``_p50`` and ``_p95`` are appended.
        values: Without any, both are None.
    """
    known = list(values)
    return {
        f"{name}_p50": percentile(known, 0.5) if known else None,
        f"{name}_p95": percentile(known, 0.95) if known else None,
    }


# --- what is counted ---------------------------------------------------------------------------------


def own_changes(
    receiver: Watched, changes: Sequence[tuple[float, int]], begin: float = 0.0
) -> list[tuple[float, int, int]]:
    """The changes that nothing but the allocator explains: (time, from, to).

    Args:
        receiver: Whose they are.
        changes: Its flows or its decisions.
        begin: Those before do not count, s.
    """
    before = NONE
    found: list[tuple[float, int, int]] = []
    for time, level in changes:
        if (
            time >= begin
            and level != before
            and not receiver.disturbed(time - OWN_DOING, time)
            and all(not 0 <= time - joined <= OWN_DOING for joined in receiver.joined)
        ):
            found.append((time, before, level))
        before = level
    return found


def taken_back(receiver: Watched, begin: float = 0.0) -> int:
    """How many decisions were undone within `TAKEN_BACK`: none is right.

    Undone is a raise that is followed by a lowering, or a lowering by a raise.
    """
    changes = own_changes(receiver, receiver.decisions, begin)
    return sum(
        then - now < TAKEN_BACK and (to - before) * (after - to) < 0
        for (now, before, to), (then, _to, after) in pairwise(changes)
    )


def withheld(
    receivers: Sequence[Watched],
    estimates: Sequence[tuple[float, float]],
    begin: float,
    end: float,
    *,
    outside: float = 0.0,
    step: float = 0.1,
) -> tuple[float, list[float]]:
    """How long a step fits the estimate with a fifth to spare, and is not given.

    Args:
        receivers: Of one connection.
        estimates: (time, bit/s), ascending.
        begin: From when on it counts, s.
        end: And until when.
        outside: What is sent besides: voices, bit/s.
        step: How often it is looked at, s.

    Returns:
        The share of the time, and for how long each time, s.
    """
    cursors = [_Cursor(receiver.decisions) for receiver in receivers]
    estimate = _Cursor(estimates)
    lasted: list[float] = []
    ticks = max(1, round((end - begin) / step))
    waiting = 0
    for tick in range(ticks):
        time = begin + tick * step
        budget = estimate.at(time, 0.0) / SPARE - outside
        held: list[int] = [int(cursor.at(time, NONE)) for cursor in cursors]
        costs = [one.cost(level, time) for one, level in zip(receivers, held, strict=True)]
        room = budget - sum(costs)
        fits = room > 0 and any(
            _next_cost(one, level, time) - cost <= room
            for one, level, cost in zip(receivers, held, costs, strict=True)
        )
        if fits:
            waiting += 1
        elif waiting:
            lasted.append(waiting * step)
            waiting = 0
    if waiting:
        lasted.append(waiting * step)
    return sum(lasted) / (ticks * step), lasted


def _next_cost(receiver: Watched, level: int, time: float) -> float:
    above = [other for other in receiver.levels(time) if other > level]
    return receiver.cost(min(above), time) if above else math.inf


class _Cursor:
    """Reads a series forwards."""

    def __init__(self, changes: Sequence[tuple[float, float]]) -> None:
        self._changes = changes
        self._next = 0
        self._value: float | None = None

    def at(self, time: float, before: float) -> float:
        while self._next < len(self._changes) and self._changes[self._next][0] <= time:
            self._value = self._changes[self._next][1]
            self._next += 1
        return before if self._value is None else self._value


def times_to_best(
    starts: Sequence[float],
    best: Sequence[float],
    mine: Sequence[float],
    step: float,
    end: float,
) -> list[float]:
    """From each start until the utility is `NEARLY_BEST` of the best that fits.

    Args:
        starts: When somebody joined, or the capacity rose, s, ascending.
        best: The utility of the best steps that fit, in each step of the time.
        mine: That of what flows.
        step: How long each lasts, s.
        end: Of the run, s.

    Returns:
        For each, s; for one that is not over when the next begins, the time until then.
    """
    waits: list[float] = []
    for begin, until in pairwise([*sorted(starts), end]):
        first, last = int(begin / step), min(int(until / step), len(best), len(mine))
        reached = next(
            (index for index in range(first, last) if mine[index] >= NEARLY_BEST * best[index]),
            None,
        )
        if last > first:
            waits.append((last - first if reached is None else reached - first) * step)
    return waits


def shares_by_window(
    part: Sequence[float], whole: Sequence[float], window: int, stride: int, begin: int
) -> list[float]:
    """A share in each of many windows: padding over all that is sent in any minute, say.

    Args:
        part: In each step.
        whole: In each step, the part included.
        window: Steps in a window.
        stride: From one window to the next, steps.
        begin: The first step that counts.
    """
    shares: list[float] = []
    for first in range(begin, max(len(whole) - window, begin) + 1, stride):
        total = sum(whole[first : first + window])
        if total > 0:
            shares.append(sum(part[first : first + window]) / total)
    return shares
