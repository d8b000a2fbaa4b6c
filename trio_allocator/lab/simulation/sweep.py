"""Many runs, in parallel on the cores there are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from statistics import fmean
from typing import Any

from attrs import frozen

from ..workers import each_done
from .job import Job, figures_of


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


def perform(job: Job) -> Outcome:
    """Make a run."""
    return Outcome(
        job.trace.name,
        job.receivers,
        job.policy,
        job.estimates,
        job.seed,
        figures_of(job),
        job.media,
        job.impairments,
    )


def sweep(jobs: Iterable[Job], executor: Executor | None = None) -> Generator[Outcome, None, None]:
    """Make runs; outcomes come as they are done, in any order.

    Args:
        jobs: Each is handed out by itself.
        executor: Who makes them; None for this process. See `trio_allocator.lab.workers`.
    """
    # The longest first, or the last one would keep the others waiting.
    ordered = sorted(jobs, key=lambda job: -job.receivers * job.trace.steps)
    for _index, outcome in each_done(perform, ordered, executor):
        yield outcome


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
