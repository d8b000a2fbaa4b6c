"""Many runs, in parallel on the cores there are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from attrs import frozen

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


def sweep(jobs: Iterable[Job], workers: int | None = None) -> Generator[Outcome, None, None]:
    """Make runs in parallel; outcomes come as they are done, in any order.

    Closed or interrupted half-way, it ends its workers at once.

    Args:
        jobs: Those that share trace and number of receivers are done together, with one oracle.
        workers: How many processes; None for as many as there are cores.
    """
    groups: dict[tuple[Trace, int], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.trace, job.receivers), []).append(job)
    # The longest first, or the last one would keep the others waiting.
    ordered = sorted(groups.values(), key=lambda group: -group[0].receivers * group[0].trace.steps)
    count = min(workers or _cores(), len(ordered))
    if count <= 1:
        for group in ordered:
            for job in group:
                yield from perform([job])
        return
    strangers = multiprocessing.active_children()
    # Fresh processes: to fork a program with threads of its own (a progress bar) may hang.
    with ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), initializer=_follow_the_parent
    ) as pool:
        try:
            with _interrupts_withheld():
                tasks = [pool.submit(perform, group) for group in ordered]
            for done in as_completed(tasks):
                yield from done.result()
        except BaseException:
            for child in multiprocessing.active_children():
                if child not in strangers:
                    child.terminate()
            pool.shutdown(cancel_futures=True)
            raise


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _interrupts_withheld() -> Iterator[None]:
    """Let processes that start here never see Ctrl-C: it is for the parent to end them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_the_parent() -> None:
    """End when the parent has ended, however that came about: a pool's workers would wait on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=[parent.join], daemon=True).start()


def _exit_after(wait: Callable[[], object]) -> None:
    wait()
    os._exit(1)


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
