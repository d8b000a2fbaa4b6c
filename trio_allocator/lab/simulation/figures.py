"""The figures of a run. The first `WARM_UP` seconds are not counted."""

from __future__ import annotations

import math

import numpy as np
from attrs import asdict, frozen
from numpy.typing import NDArray

from ..judging import Watched, own_changes, shares_by_window, spread, taken_back, withheld
from .cameras import NOMINAL, NONE, UTILITY
from .clock import STEP, STEPS_PER_SECOND, WARM_UP, WARM_UP_STEPS, Series
from .oracle import SWITCH, Oracle
from .world import World

WINDOW = 50
"""Loss and link overuse are looked at over this many steps: 0.5 s."""

LOSS = 0.05
"""More loss than this in a window freezes the picture."""

DELAY = 0.3
"""So does a longer wait in the queue, s."""

LINK_MARGIN = 1.02
"""The link is overused by more than this many times its capacity."""

OVERUSE = 1.25
"""The allocator is in overuse when it commits more than this many times the estimate."""

GRACE = 60
"""An estimate counts for its interval and this many steps more: the time of a key frame, and some."""

RISE = 1.5
"""Capacity has risen when a second has this many times the mean of the `RISE_WINDOW` before it."""

RISE_WINDOW = 5

RECOVERED = 0.9
"""Recovered is who has this share of what the oracle has."""

MINUTE = 60 * STEPS_PER_SECOND
"""Padding is looked at in every minute but the first,"""

STRIDE = 10 * STEPS_PER_SECOND
"""... one of which begins every 10 s."""

_TOLERANCE = 1e-6
"""Bits that are lost to rounding only."""

_NOMINAL = np.asarray([*NOMINAL, 0.0])
_UTILITY = np.asarray([*UTILITY, 0.0])


@frozen
class Figures:
    """All of them; never quote one alone. Shares are of time, from 0 to 1.

    Attributes:
        utility: U, the mean over receivers and time: none 0, low .353, medium .610, high 1, and 0
            while frozen.
        oracle: The same of the oracle.
        utility_ratio: U/O.
        frozen: Share with more than 5 % loss within 0.5 s, or a wait above 300 ms.
        qoe: U − frozen − 0.5 s × switches/s.
        oracle_qoe: The same of the oracle.
        qoe_ratio: One over the other.
        link_overuse: Share in which media and padding exceed 1.02 × capacity, by windows of 0.5 s.
        allocator_overuse: Share in which more is committed than 1.25 × the largest estimate of
            the last interval + 0.6 s.
        reaction: From an estimate that shows committed > 1.25 × estimate until that is over, mean, s.
        longest_reaction: The longest, s.
        reactions: How many there were.
        switches: Changes of what flows, per receiver and minute.
        oracle_switches: The same of the oracle.
        fairness: Jain's index of the receivers' utilities.
        least_utility: The least of them.
        starved: Share of receiver-time with no variant.
        padding: Padding over all that was sent.
        recovery: From a rise of capacity until 90 % of the oracle's U, mean, s; None without any.
        recoveries: How many of those there were.
        loss: Share of what was sent that was dropped.
        delay: 95th percentile of the wait, s.
        forced: Allocations forced down, in the whole run.
        asked: Decreases asked for, in the whole run.
    """

    utility: float
    oracle: float
    utility_ratio: float
    frozen: float
    qoe: float
    oracle_qoe: float
    qoe_ratio: float
    link_overuse: float
    allocator_overuse: float
    reaction: float
    longest_reaction: float
    reactions: int
    switches: float
    oracle_switches: float
    fairness: float
    least_utility: float
    starved: float
    padding: float
    recovery: float | None
    recoveries: int
    loss: float
    delay: float
    forced: int = 0
    asked: int = 0

    def as_dict(self) -> dict[str, float | int | None]:
        """By name."""
        return asdict(self)


def measure(world: World, oracle: Oracle, *, forced: int = 0, asked: int = 0) -> Figures:
    """Take the figures of a run that is over."""
    steps = world.trace.steps
    counted = steps - WARM_UP_STEPS
    media, padding, dropped, capacity = (
        np.asarray(series)
        for series in (
            world.link.media,
            world.link.padding,
            world.link.dropped,
            world.link.capacity,
        )
    )
    sent = media + padding
    is_frozen = frozen_steps(world)
    frozen = float(is_frozen[WARM_UP_STEPS:].mean())

    cameras = world.cameras
    committed = np.full(steps, float(cameras.audio))
    decided = np.full(steps, float(cameras.audio))
    total = np.zeros(steps)
    utilities = np.zeros(cameras.count)
    starved = 0.0
    switches = 0
    flows = _by_camera(cameras.changes, cameras.count)
    wishes = _by_camera(cameras.decisions, cameras.count)
    for camera in range(cameras.count):
        flowing = _levels(flows[camera], steps)
        wanted = _levels(wishes[camera], steps)
        committed += _NOMINAL[np.maximum(flowing, wanted)]
        decided += _NOMINAL[wanted]
        worth = np.where(is_frozen, 0.0, _UTILITY[flowing])
        total += worth
        utilities[camera] = worth[WARM_UP_STEPS:].mean()
        starved += float((flowing[WARM_UP_STEPS:] == NONE).mean())
        switches += int(np.count_nonzero(np.diff(flowing[WARM_UP_STEPS - 1 :])))

    utility = float(utilities.mean())
    switch_rate = switches / cameras.count / (counted * STEP)
    qoe = utility - frozen - SWITCH * switch_rate
    estimate = newest_estimate(world.estimates, steps)
    limit = OVERUSE * np.maximum(
        recent_largest(world.estimates, world.interval, steps), cameras.audio
    )
    over = (committed > limit) & ~np.isnan(estimate)
    reactions = overuse_reactions(decided, world.estimates, cameras.audio)
    recoveries = _recoveries(world, total / cameras.count, oracle)
    squares = float((utilities**2).sum()) * cameras.count
    sent_counted = float(sent[WARM_UP_STEPS:].sum())
    return Figures(
        utility=utility,
        oracle=oracle.utility,
        utility_ratio=_ratio(utility, oracle.utility),
        frozen=frozen,
        qoe=qoe,
        oracle_qoe=oracle.qoe,
        qoe_ratio=_ratio(qoe, oracle.qoe),
        link_overuse=link_overuse_share(sent, capacity),
        allocator_overuse=float(over[WARM_UP_STEPS:].mean()),
        reaction=sum(reactions) / len(reactions) if reactions else 0.0,
        longest_reaction=max(reactions, default=0.0),
        reactions=len(reactions),
        switches=60 * switch_rate,
        oracle_switches=60 * oracle.switches,
        fairness=float(utilities.sum()) ** 2 / squares if squares else 1.0,
        least_utility=float(utilities.min()),
        starved=starved / cameras.count,
        padding=_ratio(float(padding[WARM_UP_STEPS:].sum()), sent_counted),
        recovery=sum(recoveries) / len(recoveries) if recoveries else None,
        recoveries=len(recoveries),
        loss=_ratio(float(dropped[WARM_UP_STEPS:].sum()), sent_counted),
        delay=float(np.percentile(world.link.delays()[WARM_UP_STEPS:], 95)),
        forced=forced,
        asked=asked,
    )


def further_figures(world: World) -> dict[str, float | int | None]:
    """The figures that all kinds of runs share, of a run that is over: distributions, mostly."""
    receivers = [
        Watched(rates=NOMINAL, flows=_in_seconds(flows), decisions=_in_seconds(wishes))
        for flows, wishes in zip(
            _by_camera(world.cameras.changes, world.cameras.count),
            _by_camera(world.cameras.decisions, world.cameras.count),
            strict=True,
        )
    ]
    end = world.trace.duration
    counted = end - WARM_UP
    estimates = [(step * STEP, estimate) for step, estimate in world.estimates]
    share, kept = withheld(receivers, estimates, WARM_UP, end, outside=float(world.cameras.audio))
    sent = [media + more for media, more in zip(world.link.media, world.link.padding, strict=True)]
    delays = world.link.delays()[WARM_UP_STEPS:].tolist()
    undone = sum(taken_back(one, WARM_UP) for one in receivers)
    changed = [len(own_changes(one, one.flows, WARM_UP)) for one in receivers]
    return {
        **spread("switches", [60 * changes / counted for changes in changed]),
        "taken_back": 60 * undone / counted / len(receivers),
        **spread("padding", shares_by_window(world.link.padding, sent, MINUTE, STRIDE, MINUTE)),
        "withheld": share,
        **spread("withheld", kept),
        **spread("delay", delays),
    }


def _in_seconds(changes: list[tuple[int, int]]) -> list[tuple[float, int]]:
    return [(step * STEP, level) for step, level in changes]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def frozen_steps(world: World) -> NDArray[np.bool_]:
    """In which steps of a run no picture moves."""
    link = world.link
    sent = np.asarray(link.media) + np.asarray(link.padding)
    return frozen_by(np.asarray(link.dropped), sent, link.delays())


def frozen_by(dropped: Series, sent: Series, delays: Series) -> NDArray[np.bool_]:
    """In which steps no picture moves: too much was lost of late, or it comes too late.

    Args:
        dropped: What was lost in each step, bits.
        sent: Of so much.
        delays: How long what enters in each step waits, s.
    """
    return np.asarray((_trailing(dropped) > LOSS * _trailing(sent) + _TOLERANCE) | (delays > DELAY))


def _trailing(series: Series) -> Series:
    """The sum over the window that ends with each step."""
    cumulated = np.concatenate([[0.0], np.cumsum(series)])
    begins = np.maximum(np.arange(len(series)) + 1 - WINDOW, 0)
    return np.asarray(cumulated[1:] - cumulated[begins])


def link_overuse_share(sent: Series, capacity: Series) -> float:
    """The share of windows in which more is put into the link than fits; both bits in each step."""
    windows = (len(sent) - WARM_UP_STEPS) // WINDOW
    begin = len(sent) - windows * WINDOW
    put_in = sent[begin:].reshape(windows, WINDOW).sum(axis=1)
    fits = capacity[begin:].reshape(windows, WINDOW).sum(axis=1)
    return float((put_in > LINK_MARGIN * fits).mean())


def _by_camera(changes: list[tuple[int, int, int]], count: int) -> list[list[tuple[int, int]]]:
    parts: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for step, camera, variant in changes:
        parts[camera].append((step, variant))
    return parts


def _levels(changes: list[tuple[int, int]], steps: int) -> NDArray[np.int8]:
    levels = np.full(steps, NONE, dtype=np.int8)
    for step, variant in changes:
        levels[step:] = variant
    return levels


def newest_estimate(estimates: list[tuple[int, float]], steps: int) -> Series:
    """The estimate in force at each step; not a number before the first."""
    begins = [0, *(step for step, _ in estimates), steps]
    values = [math.nan, *(estimate for _, estimate in estimates)]
    return np.repeat(values, np.diff(begins))


def recent_largest(estimates: list[tuple[int, float]], interval: int, steps: int) -> Series:
    """The largest estimate that was in force within the last interval + `GRACE`."""
    largest = np.zeros(steps)
    for step, estimate in estimates:
        # In force until the next one, and the window looks back from there.
        part = largest[step : step + interval + GRACE]
        np.maximum(part, estimate, out=part)
    return largest


def overuse_reactions(
    decided: Series, estimates: list[tuple[int, float]], audio: int
) -> list[float]:
    """How long each overuse lasted, judged by what is asked for: a switch takes its time."""
    newest = OVERUSE * np.maximum(newest_estimate(estimates, len(decided)), audio)
    fits = np.flatnonzero(~(decided > newest))
    reactions = []
    busy_until = WARM_UP_STEPS
    for step, _ in estimates:
        if step >= busy_until and decided[step - 1] > newest[step]:
            after = int(np.searchsorted(fits, step))
            end = int(fits[after]) if after < len(fits) else len(decided)
            reactions.append((end - step) * STEP)
            busy_until = end + 1
    return reactions


def _recoveries(world: World, utility: Series, oracle: Oracle) -> list[float]:
    """From each rise of capacity until the utility follows, unless the capacity falls again first.

    A rise begins where a second has `RISE` times the mean of those before, and the oracle gains.
    """
    capacity = world.trace.per_second()
    seconds = len(capacity)
    mine = utility[: seconds * STEPS_PER_SECOND].reshape(seconds, STEPS_PER_SECOND)
    recoveries = []
    second = max(int(WARM_UP), RISE_WINDOW)
    while second < seconds:
        before = capacity[second - RISE_WINDOW : second].mean()
        best = oracle.per_second[second]
        if capacity[second] < RISE * before or best <= oracle.per_second[second - 1]:
            second += 1
            continue
        begun = second
        while second < seconds and capacity[second] >= RISE * before:
            reached = np.flatnonzero(mine[second] >= RECOVERED * oracle.per_second[second])
            if len(reached):
                recoveries.append(second - begun + float(reached[0]) * STEP)
                break
            second += 1
        second += 1
    return recoveries
