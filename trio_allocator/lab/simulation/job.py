"""One run as data, and its figures as plain data: what sweeps, scores and comparisons are made of.

::

    job = Job(trace, 3, "layered", "real", seed=1, media="real", impairments="pauses,jitter")
    figures = figures_of(job)        # {"utility": .71, "switches_p95": 4.2, "recovery": None, …}

A `Job` can be pickled and sent to another process or machine; what it depends on is in it. The same
job has the same figures there, whatever the hash seed and the number of processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ...network.impairments import find_impairments
from .conference import converse
from .conference_figures import judge
from .figures import further_figures, measure
from .media import script
from .record import Record
from .run import REFERENCE, PolicyChoice, oracle_of, run
from .trace import Trace
from .tracks import SimulatedTrack, usual_tracks

MEDIA = ("real", "smooth")
"""The kinds of media: frames in packets, or a fluid at a constant rate."""

OF_MEDIA: Mapping[str, tuple[str, ...]] = {
    "real": ("real", "ideal"),
    "smooth": ("ideal", "gcc", "real"),
}
"""The kinds of estimates that each kind of media has, the usual one first."""


@frozen
class Job:
    """One run to come.

    Attributes:
        trace: The capacity of the link.
        receivers: How many pictures; with `tracks`, how many of those have one.
        policy: Its name, or what to call it.
        estimates: ``ideal``, ``gcc`` or ``real``; see `OF_MEDIA`.
        seed: Of all that is random.
        choice: The policy itself, if the name does not say it; it must be picklable.
        settings: Of the allocator, by name.
        media: ``real`` or ``smooth``.
        impairments: Names of what befalls packets and reports, separated by commas; see
            `trio_allocator.testing.IMPAIRMENTS`. For real media only.
        tracks: What is sent, in place of the usual tracks. For real media only.
        acts: Whether sources go off, and participants come, leave, pin and mute (real media only).
    """

    trace: Trace
    receivers: int
    policy: str
    estimates: str
    seed: int
    choice: PolicyChoice = None
    settings: Mapping[str, Any] | None = field(default=None, eq=False)
    media: str = "smooth"
    impairments: str = ""
    tracks: tuple[SimulatedTrack, ...] = ()
    acts: bool = True


def check_job(job: Job) -> None:
    """Check that there is such a run.

    Raises:
        ValueError: There is not; the message says what does not go with what.
    """
    if job.media not in MEDIA:
        raise ValueError(f"media must be one of {', '.join(MEDIA)}, not {job.media!r}")
    kinds = OF_MEDIA[job.media]
    if job.estimates not in kinds:
        raise ValueError(
            f"{job.media} media take {' or '.join(kinds)} estimates, not {job.estimates!r}: "
            "choose one of those, or other media"
        )
    find_impairments(job.impairments)
    if job.media == "smooth" and (job.impairments or job.tracks):
        raise ValueError(
            "smooth media have no packets to impair and no tracks of their own: "
            "leave these out, or choose real media"
        )
    if job.media == "real" and job.policy == REFERENCE and job.choice is None:
        raise ValueError(
            f"{REFERENCE} is a baseline for smooth media only: choose those, or another policy"
        )


def figures_of(job: Job) -> dict[str, float | int | None]:
    """Make a run, and take its figures.

    It needs nothing but the job, changes nothing, and is safe to call in any process.

    Returns:
        Figure name to value, all numbers; None for a figure that the run has nothing to tell of
        (no recovery where nothing rose). docs/simulate.md defines them. Real and smooth media
        have the same ones, but for a few that only one of them can have.

    Raises:
        ValueError: There is no such run; see `check_job`.
    """
    check_job(job)
    if job.media == "real":
        return judge(record_of(job), job.trace, job.seed, is_ideal=job.estimates == "ideal")
    choice = job.policy if job.choice is None else job.choice
    world, subject = run(
        job.trace, job.receivers, choice, job.estimates, job.seed, settings=job.settings
    )
    oracle = oracle_of(job.trace, job.receivers, world.cameras.audio)
    figures = measure(world, oracle, forced=subject.forced, asked=subject.asked)
    return {**figures.as_dict(), **further_figures(world)}


def record_of(job: Job) -> Record:
    """Make a run with real media, and return all that there is to look at."""
    tracks = job.tracks or usual_tracks(job.receivers)
    pictures = [track for track in tracks if track.is_counted]
    acts = (
        script(len(pictures), [_names(one) for one in pictures], job.trace.duration, job.seed)
        if job.acts
        else []
    )
    return converse(
        job.trace,
        tracks,
        policy=job.policy if job.choice is None else job.choice,
        settings=job.settings,
        estimates=job.estimates,
        impairments=find_impairments(job.impairments),
        seed=job.seed,
        acts=acts,
    )


def _names(track: SimulatedTrack) -> list[str]:
    return [variant.name for variant in track.track.ladder]
