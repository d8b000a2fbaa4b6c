"""What is possible: the best choice of variants in every second, with the capacity to come known.

Equal cameras collapse into counts: a state says how many send each variant. The best path through
the states, second by second, is found by dynamic programming; moving a camera from one variant to
another costs `SWITCH`.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .cameras import NOMINAL, UTILITY
from .clock import WARM_UP, Series
from .trace import Trace

SHARE = 0.98
"""It fills this share of the capacity."""

SWITCH = 0.5
"""The price of a switch, utility times seconds."""

ALL_STATES = 12
"""Up to this many receivers every state is considered; beyond, those on the upper hull of utility over
rate. At 10 receivers that costs the oracle .0003 of its utility, and half a switch a minute."""


@frozen(eq=False)
class Oracle:
    """What the oracle does, from `WARM_UP` on.

    Attributes:
        utility: Mean over receivers and time.
        switches: Per receiver and second.
        per_second: The mean over receivers in each second of the whole trace.
    """

    utility: float
    switches: float
    per_second: Series

    @property
    def qoe(self) -> float:
        """Utility less the price of its switches; it never freezes."""
        return self.utility - SWITCH * self.switches


def consult_oracle(trace: Trace, receivers: int, audio: int) -> Oracle:
    """Find the best path.

    Args:
        trace: The capacity.
        receivers: How many cameras.
        audio: What is sent besides, bit/s.
    """
    counts = _states(receivers)
    weights = counts @ np.asarray(NOMINAL)
    values = counts @ np.asarray(UTILITY)
    moves = _moves(counts, receivers)
    capacity = np.maximum(SHARE * trace.per_second() - audio, 0.0)
    allowed = np.searchsorted(weights, capacity, side="right")
    seconds = len(capacity)
    came_from = np.zeros((seconds, len(values)), dtype=np.int32)
    score = values[: allowed[0]].copy()
    for second in range(1, seconds):
        now, before = allowed[second], len(score)
        options = score[:, None] - SWITCH * moves[:before, :now]
        best = options.argmax(axis=0)
        came_from[second, :now] = best
        score = options[best, np.arange(now)] + values[:now]
    path = np.zeros(seconds, dtype=np.int64)
    path[-1] = int(score.argmax())
    for second in range(seconds - 1, 0, -1):
        path[second - 1] = came_from[second, path[second]]
    first = int(WARM_UP)
    per_second = values[path] / receivers
    switched = moves[path[first - 1 : -1], path[first:]].sum()
    return Oracle(
        float(per_second[first:].mean()),
        float(switched / receivers / (seconds - first)),
        per_second,
    )


def _states(receivers: int) -> NDArray[np.int64]:
    """Counts of low, medium and high, ascending by weight; the empty one first."""
    if receivers > ALL_STATES:
        climbs = [(count, 0, 0) for count in range(receivers + 1)]
        climbs += [(receivers - count, count, 0) for count in range(1, receivers + 1)]
        climbs += [(0, receivers - count, count) for count in range(1, receivers + 1)]
        return np.asarray(climbs)
    grid = np.arange(receivers + 1)
    counts = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)
    counts = counts[counts.sum(axis=1) <= receivers]
    return np.asarray(counts[np.argsort(counts @ np.asarray(NOMINAL), kind="stable")])


def _moves(counts: NDArray[np.int64], receivers: int) -> Series:
    """How many cameras must switch from one state to another."""
    paused = receivers - counts.sum(axis=1)
    full = np.column_stack([counts, paused])
    kept = np.zeros((len(full), len(full)))
    for level in full.T:
        kept += np.minimum(level[:, None], level[None, :])
    return receivers - kept
