"""The executor of a command's runs, as its options say."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import AbstractContextManager

from ..lab.replay.recording import RecordingError
from ..lab.workers import cluster, local_workers


def workers(jobs: int | None, scheduler: str | None) -> AbstractContextManager[Executor | None]:
    """Open the executor that --jobs and --scheduler name.

    Raises:
        RecordingError: They contradict each other.
    """
    if scheduler is None:
        return local_workers(jobs)
    if jobs is not None:
        raise RecordingError("--jobs is for this machine, and --scheduler for a cluster: give one")
    return cluster(scheduler)
