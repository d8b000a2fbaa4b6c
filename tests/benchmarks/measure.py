"""Timing that survives a noisy machine: medians of many short runs, ratios from paired runs."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from trio_allocator import Track

CAMERA = Track("camera", variants={"low": 150_000, "medium": 500_000, "high": 2_500_000})
LOW, MEDIUM, HIGH = CAMERA.steps


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        ours: The figure, with its unit.
        bar: What it must reach, or an empty string.
        met: Whether it does; None where there is no bar.
        reference: The known implementation's figure, from another run on such a machine.
    """

    what: str
    ours: str
    bar: str = ""
    met: bool | None = None
    reference: str = ""


def median_seconds(run: Callable[[], None], times: int) -> float:
    """Median wall-clock time of several runs, s."""
    return statistics.median(seconds(run) for _ in range(times))


def seconds(run: Callable[[], None]) -> float:
    """Wall-clock time of one run, s, with the garbage collector out of the way."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    finally:
        gc.enable()


def median_ratio(one: Callable[[], None], other: Callable[[], None], times: int) -> float:
    """Median of the ratio one/other over paired runs: a drift of the machine cancels out."""
    return statistics.median(seconds(one) / seconds(other) for _ in range(times))


def micro(value: float) -> str:
    """Seconds as microseconds or milliseconds, three digits."""
    if value >= 1:
        return f"{value:.2f} s"
    if value >= 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.3g} µs"
