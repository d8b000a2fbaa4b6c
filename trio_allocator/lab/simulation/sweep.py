"""Many runs, in parallel on the cores there are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from statistics import fmean
from typing import Any

from attrs import frozen

from ..workers import each_done
from .job import Job, figures_of
from .trace import Trace


@frozen
class Outcome:
    """A run that was made: what it was of, as in `Job`, and its figures, as of `figures_of`."""

    trace: str
    receivers: int
    policy: str
    estimates: str
    seed: int
    figures: Mapping[str, float | int | None]
    media: str = "smooth"
    impairments: str = ""


def perform(jobs: Sequence[Job]) -> list[Outcome]:
    """Make some runs, one after the other."""
    return [
        Outcome(
            job.trace.name,
            job.receivers,
            job.policy,
            job.estimates,
            job.seed,
            figures_of(job),
            job.media,
            job.impairments,
        )
        for job in jobs
    ]


def sweep(jobs: Iterable[Job], executor: Executor | None = None) -> Generator[Outcome, None, None]:
    """Make runs; outcomes come as they are done, in any order.

    Args:
        jobs: Those that share trace and number of receivers are done together, with one oracle.
        executor: Who makes them; None for this process. See `trio_allocator.lab.workers`.
    """
    groups: dict[tuple[Trace, int], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.trace, job.receivers), []).append(job)
    # The longest first, or the last one would keep the others waiting.
    ordered = sorted(groups.values(), key=lambda group: -group[0].receivers * group[0].trace.steps)
    if executor is None:
        # One by one, for the sake of who watches the progress.
        ordered = [[job] for group in ordered for job in group]
    for _index, outcomes in each_done(perform, ordered, executor):
        yield from outcomes


def means(
    outcomes: Iterable[Outcome], key: Callable[[Outcome], Any]
) -> dict[Any, dict[str, float | None]]:
    """The mean of each figure over the outcomes of the same key.

    A ratio is the mean of ratios, but for QoE, which may be near 0: that is a ratio of means. A
    figure that is not there for some (no recovery where nothing rose) is the mean of the others.
    """
    groups: dict[Any, list[dict[str, float | int | None]]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(dict(outcome.figures))
    found = {}
    for name, rows in groups.items():
        row = {figure: _mean([row[figure] for row in rows]) for figure in rows[0]}
        mine, best = row["qoe"], row["oracle_qoe"]
        row["qoe_ratio"] = mine / best if mine is not None and best else None
        found[name] = row
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
