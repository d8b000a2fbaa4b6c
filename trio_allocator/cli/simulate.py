"""The command ``simulate``: what it takes, and what it prints where.

Results go to standard output, progress and errors to standard error; see `endings`, too.
"""

from __future__ import annotations

import json
from concurrent.futures import Executor
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, Unpack

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..engine.sharing.registry import POLICIES
from ..lab.asked import check_impairments, parse_policies, parse_settings
from ..lab.rates import RateError, parse_rate, shown
from ..lab.replay.recording import RecordingError
from .endings import check_plot_option, give_up, progress_told, refuse
from .impairments import print_impairments
from .numbers import whole_numbers
from .shared_options import Jobs, Scheduler, SettingChanges
from .workers import workers

if TYPE_CHECKING:  # what needs NumPy is loaded when it is wanted
    from ..lab.simulation.job import Job
    from ..lab.simulation.sweep import Outcome
    from ..lab.simulation.trace import Trace
    from ..lab.simulation.tracks import SimulatedTrack

MOST_RECEIVERS = 200
"""More would take minutes, and say no more."""

LARGEST_SEED = 2**32 - 1

LONGEST_RTT = 10.0
"""s."""


class MediaKind(Enum):
    """What the sources send."""

    REAL = "real"
    SMOOTH = "smooth"


class Estimates(Enum):
    """Where the estimates come from."""

    IDEAL = "ideal"
    GCC = "gcc"
    REAL = "real"


def simulate(
    traces: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="TRACE",
            show_default=False,
            help="CSV files with the columns time_s,capacity_bps (seconds, bit/s). None for the "
            "two that ship: RFC 8867's section 5.1, and a square wave of 4 and 1.2 Mbit/s.",
        ),
    ] = None,
    *,
    receivers: Annotated[
        str | None,
        typer.Option(
            metavar="N,…",
            show_default="1,3,10,30",
            help="How many pictures share the link, in turn. With real media, the last of three "
            "and more is a screen.",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            show_default="layered,fair; layered,reference for smooth media",
            help="The policies to compare: layered, water-filling, fair; and for smooth media "
            "reference, the baseline, a known implementation's rules restated.",
        ),
    ] = None,
    media: Annotated[
        MediaKind,
        typer.Option(
            help="real: frames in packets, key frames, rates that are not the declared ones, "
            "sources that go off, people who come and go. smooth: a fluid at a constant rate."
        ),
    ] = MediaKind.REAL,
    estimates: Annotated[
        Estimates | None,
        typer.Option(
            show_default="real; ideal for smooth media",
            help="ideal: 0.95 × the capacity of the last second. gcc (smooth media only): a "
            "closed loop that learns of the link from what is sent over it. real: this package's "
            "own estimator, on the feedback on packets.",
        ),
    ] = None,
    impair: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            show_default="nothing",
            help="What befalls packets and reports, such as pauses,jitter. 'list' tells what "
            "there is.",
        ),
    ] = "",
    tracks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Tracks of your own in place of --receivers: [[track]] tables with name, kind, "
            "ladder, priority, weight, pausable, count.",
        ),
    ] = None,
    constant: Annotated[
        str | None,
        typer.Option(
            metavar="RATE,…",
            help="Links that never change, such as 800k,2M, for 120 s each: in place of traces, "
            "or besides them.",
        ),
    ] = None,
    acts: Annotated[
        bool,
        typer.Option(
            "--acts/--no-acts",
            metavar="",
            help="Whether sources go off and people come, leave, pin and mute.",
        ),
    ] = True,
    seeds: Annotated[
        str,
        typer.Option(
            metavar="N,…", help="One run for each: of live rates, key frames, noise. 1-5 is 1 to 5."
        ),
    ] = "1",
    rtt: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Round-trip time of every link; else by the file's name, or 0.05.",
        ),
    ] = None,
    per_trace: Annotated[
        bool,
        typer.Option("--per-trace", help="A table for each trace, before the means."),
    ] = False,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    settings: SettingChanges = None,
    as_machine: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object instead of tables."),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE.png",
            help="Draw the run into a file (.png, .svg, .pdf), if it is only one.",
        ),
    ] = None,
) -> None:
    """Measure policies in a simulated world: sources, a link, an estimator.

    In virtual time, an allocator and its receivers live through each trace. An oracle that knows
    the capacity to come says what was possible. What the figures mean is told below each table.
    """
    from ..lab.simulation.run import REFERENCE  # noqa: PLC0415  # needs NumPy

    console = Console(stderr=True)
    plan: list[Job] = []
    made: list[Outcome] = []
    if impair.strip() == "list":
        print_impairments(Console())
        return
    try:
        kind = media.value
        own = _read_tracks(tracks, receivers)
        counts = (
            [sum(track.is_counted for track in own)]
            if own
            else whole_numbers(
                "--receivers", "1,3,10,30" if receivers is None else receivers, 1, MOST_RECEIVERS
            )
        )
        chosen = whole_numbers("--seeds", seeds, 0, LARGEST_SEED)
        names = parse_policies(_USUAL_POLICIES[kind] if policy is None else policy, [REFERENCE])
        told = _USUAL_ESTIMATES[kind] if estimates is None else estimates.value
        _check_media(kind, names, told, impair, tracks)
        _check_rtt(rtt)
        links = _read(traces, _rates("--constant", constant), rtt)
        if plot is not None:
            _check_single(links, counts, names, chosen)
            check_plot_option(plot)
        plan = _plan(links, counts, names, chosen, estimates=told, media=kind,
                     settings=parse_settings(settings or ()) or None,
                     impairments=impair, tracks=own, acts=acts)  # fmt: skip
        with workers(jobs, scheduler) as executor:
            _perform(plan, executor, console, made)
        outcomes = _in_order(made, plan)
        if as_machine:
            from ..lab.simulation.report import as_json  # noqa: PLC0415  # needs NumPy

            print(json.dumps(as_json(links, plan[0], outcomes), indent=2))
        else:
            _print_tables(outcomes, plan[0], per_trace=per_trace)
        if plot is not None:
            _draw(plot, plan[0])
    except RecordingError as error:
        refuse(error)
    except KeyboardInterrupt:
        give_up(console, progress_told(len(made), len(plan)))


_USUAL_POLICIES = {"real": "layered,fair", "smooth": "layered,reference"}
_USUAL_ESTIMATES = {"real": "real", "smooth": "ideal"}


def _check_media(
    kind: str, names: list[str], estimates: str, impair: str, tracks: Path | None
) -> None:
    """Find out whether the options go with the media."""
    from ..lab.simulation.job import OF_MEDIA  # noqa: PLC0415  # needs NumPy
    from ..lab.simulation.run import REFERENCE  # noqa: PLC0415

    check_impairments(impair)
    if kind == "real" and REFERENCE in names:
        raise RecordingError(
            f"--policy: {REFERENCE!r} is for smooth media only: add --media smooth, or choose "
            f"from {', '.join(POLICIES)}"
        )
    if estimates not in OF_MEDIA[kind]:
        raise RecordingError(
            f"--estimates: {estimates!r} is not for {kind} media: choose from "
            f"{', '.join(OF_MEDIA[kind])}, or add --media smooth"
        )
    if kind == "smooth" and impair:
        raise RecordingError(
            "--impair: smooth media have no packets to impair: leave it out, or add --media real"
        )
    if kind == "smooth" and tracks is not None:
        raise RecordingError(
            "--tracks: smooth media have no tracks of their own: leave it out, or add --media real"
        )


def _read_tracks(path: Path | None, receivers: str | None) -> tuple[SimulatedTrack, ...]:
    from ..lab.simulation.tracks_file import read_tracks  # noqa: PLC0415

    if path is None:
        return ()
    if receivers is not None:
        raise RecordingError("--tracks says how many there are: leave out --receivers")
    return read_tracks(path)


def _rates(option: str, text: str | None) -> list[int]:
    try:
        rates = [] if text is None else [parse_rate(part) for part in text.split(",")]
    except RateError as error:
        raise RecordingError(f"{option}: {error}") from None
    if 0 in rates:
        raise RecordingError(f"{option}: a link of 0 bit/s carries nothing: write another rate")
    return list(dict.fromkeys(rates))


def _check_rtt(rtt: float | None) -> None:
    if rtt is not None and not 0 < rtt <= LONGEST_RTT:
        raise RecordingError(
            f"--rtt must be greater than 0 and at most {LONGEST_RTT:g} seconds, not {rtt:g}"
        )


def _read(paths: list[Path] | None, rates: list[int], rtt: float | None) -> list[Trace]:
    from ..lab.simulation.trace import (  # noqa: PLC0415  # needs NumPy
        constant_trace,
        read_trace,
        shipped_traces,
    )

    read = [read_trace(path, rtt) for path in paths or []]
    read += [constant_trace(rate, rtt=rtt) for rate in rates]
    if not read:
        return shipped_traces(rtt)
    names = [trace.name for trace in read]
    for name in names:
        if names.count(name) > 1:
            raise RecordingError(f"two traces are called {shown(name)}: rename one of the files")
    return read


def _check_single(*parts: list[Trace] | list[int] | list[str]) -> None:
    if any(len(part) != 1 for part in parts):
        raise RecordingError(
            "--plot draws one run: give one TRACE, and --receivers, --policy and --seeds one each"
        )


def _plan(
    traces: list[Trace],
    counts: list[int],
    names: list[str],
    seeds: list[int],
    **others: Unpack[_Others],
) -> list[Job]:
    from ..lab.simulation.job import Job  # noqa: PLC0415  # needs NumPy

    return [
        Job(trace, count, name, seed=seed, **others)
        for trace in traces
        for count in counts
        for name in names
        for seed in seeds
    ]


class _Others(TypedDict):
    """What all jobs of a command share."""

    estimates: str
    media: str
    impairments: str
    settings: dict[str, Any] | None
    tracks: tuple[SimulatedTrack, ...]
    acts: bool


def _perform(
    plan: list[Job], executor: Executor | None, console: Console, made: list[Outcome]
) -> None:
    """Make the runs, and note each as it is done."""
    from ..lab.simulation.sweep import sweep  # noqa: PLC0415  # needs NumPy

    with (
        # Whatever ends this early ends the workers, too.
        closing(sweep(plan, executor)) as runs,
        Progress(
            TextColumn(" {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as progress,
    ):
        # One by one: those made before Ctrl-C are there after it.
        made.extend(progress.track(runs, total=len(plan), description="simulating"))


def _in_order(made: list[Outcome], plan: list[Job]) -> list[Outcome]:
    turn = {(job.trace.name, job.receivers, job.policy, job.seed): n for n, job in enumerate(plan)}
    return sorted(made, key=lambda o: turn[o.trace, o.receivers, o.policy, o.seed])


def _print_tables(outcomes: list[Outcome], job: Job, *, per_trace: bool) -> None:
    from ..lab.simulation.report import (  # noqa: PLC0415
        WIDTH,
        described,
        print_legend,  # needs NumPy
        print_table,
    )

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    names = list(dict.fromkeys(outcome.trace for outcome in outcomes))
    if per_trace and len(names) > 1:
        for name in names:
            own = [outcome for outcome in outcomes if outcome.trace == name]
            print_table(console, own, f"{name}, {described(job)}")
    title = names[0] if len(names) == 1 else f"mean of {len(names)} traces"
    print_table(console, outcomes, f"{title}, {described(job)}")
    print_legend(console, outcomes)


def _draw(path: Path, job: Job) -> None:
    from ..lab.simulation.picture import save_picture, scene_of  # noqa: PLC0415  # slow to load

    save_picture(path, scene_of(job))
