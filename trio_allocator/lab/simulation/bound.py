"""What would have been possible with real media: the oracle of a conference.

It knows the capacity to come, what each source really sends, and who is there. In each second it
chooses the steps of the greatest utility that fit, class of priority by class. It pays nothing for
switching and no key frames, so it is a bound, and a little further away than the oracle of smooth
media.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from ..judging import Watched
from .clock import Series

SHARE = 0.98
"""The link is filled up to this share of its capacity."""

CELL = 10_000
"""Rates are counted in cells of this many bit/s, rounded up."""

MOST_CELLS = 4_000
"""A link beyond that carries everything."""


@frozen(eq=False)
class Bound:
    """The best choice in each second.

    Attributes:
        total: Sum of utilities over the receivers there are.
        present: How many receivers those are.
    """

    total: Series
    present: Series

    def mean(self, first: int) -> float:
        """Mean utility over receivers and time, from a second on."""
        present = float(self.present[first:].sum())
        return float(self.total[first:].sum()) / present if present else 0.0


def find_bound(
    capacity: Series,
    receivers: Sequence[Watched],
    sent: Sequence[Sequence[float]],
    priorities: Sequence[int],
    outside: float,
) -> Bound:
    """Choose for each second.

    Args:
        capacity: Mean of each second, bit/s.
        receivers: Those with a picture.
        sent: For each and in each second, what is really sent over what is declared.
        priorities: Of each; a larger one is served before all smaller ones.
        outside: What is sent besides, bit/s.
    """
    classes = sorted(set(priorities), reverse=True)
    total = np.zeros(len(capacity))
    present = np.zeros(len(capacity))
    known: dict[object, tuple[Series, Series]] = {}
    for second, rate in enumerate(capacity):
        time = second + 0.5
        cells = int(max(SHARE * float(rate) - outside, 0.0) / CELL)
        for one_class in classes:
            choices: list[tuple[tuple[int, float], ...]] = []
            for one, factors, priority in zip(receivers, sent, priorities, strict=True):
                if priority == one_class and (levels := one.levels(time)):
                    present[second] += 1
                    choices.append(
                        tuple(
                            (-int(-one.rates[level] * factors[second] // CELL), one.utility(level))
                            for level in levels
                        )
                    )
            key = tuple(sorted(choices))
            if key not in known:
                known = {key: _table(key)} if len(classes) == 1 else {**known, key: _table(key)}
            best, used = known[key]
            place = min(cells, len(best) - 1)
            total[second] += best[place]
            cells -= int(used[place])
    return Bound(total, present)


def _table(choices: Sequence[tuple[tuple[int, float], ...]]) -> tuple[Series, Series]:
    """For each number of cells, the greatest utility, and how many cells that takes."""
    most = min(sum(max(cells for cells, _ in one) for one in choices), MOST_CELLS)
    best = np.zeros(most + 1)
    for one in choices:
        after = best.copy()
        for cells, worth in one:
            if cells <= most:
                np.maximum(after[cells:], best[: most + 1 - cells] + worth, out=after[cells:])
        best = after
    # As little as reaches that utility.
    used = np.searchsorted(best, best - 1e-9, side="left").astype(float)
    return best, used
