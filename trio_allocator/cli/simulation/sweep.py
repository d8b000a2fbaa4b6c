"""Many runs, in parallel on the cores there are."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from statistics import fmean
from typing import Any

from attrs import frozen

from .figures import Figures
from .run import PolicyChoice, simulate
from .trace import Trace


@frozen
class Job:
    """One run to come.

    Attributes:
        trace: The capacity of the link.
        receivers: How many cameras.
        policy: What it is called.
        estimates: ``ideal`` or ``gcc``.
        seed: Of rates, key frames and noise.
        choice: The policy itself, if the name does not say it.
        settings: Of the engine, by name.
    """

    trace: Trace
    receivers: int
    policy: str
    estimates: str
    seed: int
    choice: PolicyChoice = None
    settings: Mapping[str, Any] | None = None


@frozen
class Outcome:
    """A run that was made."""

    trace: str
    receivers: int
    policy: str
    estimates: str
    seed: int
    figures: Figures


def perform(jobs: Sequence[Job]) -> list[Outcome]:
    """Make some runs, one after the other, of one trace and number of receivers."""
    return [
        Outcome(
            job.trace.name,
            job.receivers,
            job.policy,
            job.estimates,
            job.seed,
            simulate(
                job.trace,
                job.receivers,
                job.policy if job.choice is None else job.choice,
                job.estimates,
                job.seed,
                job.settings,
            ),
        )
        for job in jobs
    ]


def sweep(jobs: Iterable[Job], workers: int | None = None) -> Iterator[Outcome]:
    """Make runs in parallel; outcomes come as they are done.

    Args:
        jobs: Those that share trace and number of receivers are done together, with one oracle.
        workers: How many processes; None for as many as there are cores.
    """
    groups: dict[tuple[int, int], list[Job]] = {}
    for job in jobs:
        groups.setdefault((id(job.trace), job.receivers), []).append(job)
    # The longest first, or the last one would keep the others waiting.
    ordered = sorted(groups.values(), key=lambda group: -group[0].receivers * group[0].trace.steps)
    count = min(workers or os.cpu_count() or 1, len(ordered))
    if count <= 1:
        for group in ordered:
            yield from perform(group)
        return
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(perform, group) for group in ordered]):
            yield from done.result()


def means(
    outcomes: Iterable[Outcome], key: Callable[[Outcome], Any]
) -> dict[Any, dict[str, float | None]]:
    """The mean of each figure over the outcomes of the same key."""
    groups: dict[Any, list[dict[str, float | int | None]]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome.figures.as_dict())
    return {
        name: {figure: _mean([row[figure] for row in rows]) for figure in rows[0]}
        for name, rows in groups.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
