"""The figures of a run with real media. The first `WARM_UP` seconds are not counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..judging import (
    NONE,
    Watched,
    own_changes,
    shares_by_window,
    spread,
    taken_back,
    times_to_best,
    withheld,
)
from .bound import Bound, find_bound
from .clock import STEP, STEPS_PER_SECOND, WARM_UP, WARM_UP_STEPS, Series
from .conference import FEEDBACK, IDEAL_EVERY
from .figures import (
    MINUTE,
    OVERUSE,
    RISE,
    RISE_WINDOW,
    STRIDE,
    frozen_by,
    link_overuse_share,
    newest_estimate,
    overuse_reactions,
    recent_largest,
)
from .media import TALKING, LiveRate, activity
from .oracle import SWITCH
from .record import Record
from .trace import Trace
from .tracks import SimulatedTrack


def watch(record: Record, sent: Sequence[Sequence[float]]) -> list[Watched]:
    """What figures need of each receiver that has a picture.

    Args:
        record: The run.
        sent: See `really_sent`: what a variant costs more than is declared, an allocator has to
            find out, and what it costs less, it may.
    """
    seats = [seat for seat in record.seats if seat.track.is_counted]
    return [
        Watched(
            rates=tuple(variant.bitrate for variant in seat.track.track.ladder),
            flows=seat.flows,
            decisions=[(time, level) for time, level, _reason in seat.decisions],
            shown=seat.presence,
            joined=seat.joined,
            scale=[(float(second), max(1.0, factor)) for second, factor in enumerate(factors)],
        )
        for seat, factors in zip(seats, sent, strict=True)
    ]


def really_sent(tracks: Sequence[SimulatedTrack], seed: int, seconds: int) -> list[list[float]]:
    """For each track and in each second, what its source sends over what is declared.

    Args:
        tracks: Those with a picture.
        seed: Of the run: it says so.
        seconds: How long the run lasts.
    """
    factors: list[list[float]] = []
    for track in tracks:
        live = LiveRate(f"{seed}/{track.name}/live")
        moves = activity(f"{seed}/{track.name}") if track.kind == "screen" else None
        factors.append(
            [
                live.factor(float(second)) * (moves is None or moves.second(second + 0.5))
                for second in range(seconds)
            ]
        )
    return factors


def judge(
    record: Record, trace: Trace, seed: int, *, is_ideal: bool
) -> dict[str, float | int | None]:
    """Take the figures of a run that is over; docs/simulate.md says what each means."""
    pictures = [seat.track for seat in record.seats if seat.track.is_counted]
    factors = really_sent(pictures, seed, math.ceil(trace.duration))
    receivers = watch(record, factors)
    voices = [seat.track for seat in record.seats if not seat.track.is_counted]
    outside = float(sum(max(voice.ladder.values(), default=0) for voice in voices))
    bound = find_bound(
        trace.per_second(),
        receivers,
        factors,
        [track.priority for track in pictures],
        TALKING * outside,
    )
    steps = trace.steps
    media, padding, dropped = (
        np.asarray(series[:steps]) for series in (record.media, record.padding, record.dropped)
    )
    sent = media + padding
    delays = waits(np.asarray(record.free_at[:steps]))
    is_frozen = frozen_by(dropped, sent, delays)

    committed = np.full(steps, outside)
    decided = np.full(steps, outside)
    total = np.zeros(steps)
    present = np.zeros(steps)
    means: list[float] = []
    switches: list[float] = []
    starved = 0.0
    undone = 0
    changes = 0
    for one in receivers:
        flowing, wanted = (_levels(part, steps) for part in (one.flows, one.decisions))
        rates = np.asarray([*one.rates, 0.0])
        worth = np.asarray([*(one.utility(level) for level in range(len(one.rates))), 0.0])
        committed += rates[np.maximum(flowing, wanted)]
        decided += rates[wanted]
        there = _there(one, steps)
        seen = np.where(is_frozen | ~there, 0.0, worth[flowing])
        total += seen
        present += there
        counted = int(there[WARM_UP_STEPS:].sum())
        if not counted:
            continue
        means.append(float(seen[WARM_UP_STEPS:].sum()) / counted)
        starved += float(((flowing == NONE) & there)[WARM_UP_STEPS:].sum())
        own = len(own_changes(one, one.flows, WARM_UP))
        changes += own
        switches.append(60 * own / (counted * STEP))
        undone += taken_back(one, WARM_UP)

    there_for = float(present[WARM_UP_STEPS:].sum())
    utility = _ratio(float(total[WARM_UP_STEPS:].sum()), there_for)
    best = bound.mean(int(WARM_UP))
    frozen = float(is_frozen[WARM_UP_STEPS:].mean())
    switch_rate = _ratio(changes, there_for * STEP)
    qoe = utility - frozen - SWITCH * switch_rate
    in_steps = [(int(time * STEPS_PER_SECOND), float(bps)) for time, bps in record.estimates]
    estimates = [(min(step, steps), bps) for step, bps in in_steps]
    interval = round((IDEAL_EVERY if is_ideal else FEEDBACK) * STEPS_PER_SECOND)
    limit = OVERUSE * np.maximum(recent_largest(estimates, interval, steps), outside)
    over = (committed > limit) & ~np.isnan(newest_estimate(estimates, steps))
    reactions = overuse_reactions(decided, estimates, int(outside))
    begin, end = WARM_UP, trace.duration
    share, kept = withheld(receivers, record.estimates, begin, end, outside=outside)
    joins = [time for one in receivers for time in one.joined]
    rises = _rises(trace, bound)
    possible = np.repeat(_per_picture(bound), STEPS_PER_SECOND)
    mine = np.divide(total, np.maximum(present, 1.0))
    squares = sum(mean * mean for mean in means) * len(means)
    sent_counted = float(sent[WARM_UP_STEPS:].sum())
    rise_waits = times_to_best(rises, possible.tolist(), mine.tolist(), STEP, end)
    return {
        "utility": utility,
        "oracle": best,
        "utility_ratio": _ratio(utility, best),
        "frozen": frozen,
        "qoe": qoe,
        "oracle_qoe": best,
        "qoe_ratio": _ratio(qoe, best),
        "link_overuse": link_overuse_share(sent, np.asarray(trace.capacity) * STEP),
        "allocator_overuse": float(over[WARM_UP_STEPS:].mean()),
        "reaction": sum(reactions) / len(reactions) if reactions else 0.0,
        "longest_reaction": max(reactions, default=0.0),
        "reactions": len(reactions),
        "switches": 60 * switch_rate,
        **spread("switches", switches),
        "taken_back": _ratio(undone, there_for * STEP / 60),
        "fairness": sum(means) ** 2 / squares if squares else 1.0,
        "least_utility": min(means, default=0.0),
        "starved": _ratio(starved, there_for),
        "padding": _ratio(float(padding[WARM_UP_STEPS:].sum()), sent_counted),
        **spread(
            "padding", shares_by_window(padding.tolist(), sent.tolist(), MINUTE, STRIDE, MINUTE)
        ),
        "recovery": sum(rise_waits) / len(rise_waits) if rise_waits else None,
        "recoveries": len(rise_waits),
        **spread("recovery", rise_waits),
        **spread("join", times_to_best(joins, possible.tolist(), mine.tolist(), STEP, end)),
        "withheld": share,
        **spread("withheld", kept),
        **_estimate_over_capacity(estimates, trace),
        "used": _ratio(sent_counted - float(dropped[WARM_UP_STEPS:].sum()),
                       float(trace.capacity[WARM_UP_STEPS:].sum()) * STEP),
        "loss": _ratio(float(dropped[WARM_UP_STEPS:].sum()), sent_counted),
        "delay": float(np.percentile(delays[WARM_UP_STEPS:], 95)),
        **spread("delay", delays[WARM_UP_STEPS:].tolist()),
        "forced": record.statistics.get("forced", 0),
        "asked": record.statistics.get("decreases_asked", 0),
        "packets": record.packets,
    }  # fmt: skip


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _estimate_over_capacity(
    estimates: list[tuple[int, float]], trace: Trace
) -> dict[str, float | int | None]:
    """How far estimates lie below and above the link, a twentieth, half and most of the time."""
    newest = newest_estimate(estimates, trace.steps)[WARM_UP_STEPS:]
    capacity = trace.capacity[WARM_UP_STEPS:]
    known = (capacity > 0) & ~np.isnan(newest)
    if not known.any():
        return {"estimate_p05": None, "estimate_p50": None, "estimate_p95": None}
    p05, p50, p95 = np.percentile(newest[known] / capacity[known], [5, 50, 95])
    return {"estimate_p05": float(p05), "estimate_p50": float(p50), "estimate_p95": float(p95)}


def _levels(
    changes: Sequence[tuple[float, int]], steps: int
) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    levels = np.full(steps, NONE, dtype=np.int8)
    for time, level in changes:
        levels[int(time * STEPS_PER_SECOND) :] = level
    return levels


def _there(one: Watched, steps: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """In which steps it can be shown."""
    there = np.zeros(steps, dtype=bool)
    for (time, levels), (until, _) in pairwise([*one.shown, (math.inf, ())]):
        begin, end = int(time * STEPS_PER_SECOND), min(until * STEPS_PER_SECOND, steps)
        there[begin : int(end)] = bool(levels)
    return there


def waits(free_at: Series) -> Series:
    """How long what enters in each step waits, s: until all that was sent before is transmitted."""
    latest = np.maximum.accumulate(free_at)
    ends = (np.arange(len(free_at)) + 1) * STEP
    return np.asarray(np.maximum(latest - ends, 0.0))


def _per_picture(bound: Bound) -> Series:
    return np.divide(bound.total, np.maximum(bound.present, 1.0))


def _rises(trace: Trace, bound: Bound) -> list[float]:
    """When the capacity rises, and there is something to be had of it."""
    capacity = trace.per_second()
    possible = _per_picture(bound)
    rises: list[float] = []
    second = max(int(WARM_UP), RISE_WINDOW)
    while second < len(capacity):
        before = float(capacity[second - RISE_WINDOW : second].mean())
        if capacity[second] >= RISE * before and possible[second] > possible[second - 1]:
            rises.append(float(second))
            while second < len(capacity) and capacity[second] >= RISE * before:
                second += 1
        second += 1
    return rises
