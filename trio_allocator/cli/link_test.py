"""The command ``link-test``: what it takes, and what it prints where."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import trio
import typer
from attrs import frozen
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..engine.sharing.registry import DEFAULT_POLICY, POLICIES, PolicyName
from ..estimation import FeedbackLog
from ..lab.asked import (
    Asked,
    check_impairments,
    parse_priorities,
    parse_settings,
    parse_weights,
)
from ..lab.child import ChildError
from ..lab.linktest import libwebrtc
from ..lab.linktest.comparison import Row, line_ups, tabulate
from ..lab.linktest.frames import Media
from ..lab.linktest.ours import START
from ..lab.linktest.report import as_json, describe, print_table
from ..lab.linktest.result import Run, Stack
from ..lab.linktest.run import run_scenario
from ..lab.linktest.scenarios import SCENARIOS, Scenario
from ..lab.linktest.setup import Setup
from ..lab.replay.recording import RecordingError, Source, parse_track
from ..tracks import Track
from .endings import first_of, give_up
from .impairments import print_impairments
from .shared_options import Priorities, SettingChanges, Weights

SHORTEST = 0.01
"""The smallest `--scale`: with less, nobody has sent anything when it ends."""

LADDERS = {Media.REAL: "130k,420k,1.25M", Media.SMOOTH: "60k,120k,220k,400k,700k,1.2M"}
"""Of the four cameras that a flow of ours sends where nobody says otherwise. Real media have the
coarse ladder of simulcast. The fine one is that of three spatial and two temporal layers: with it
the figures tell of the estimate, and not of the ladder."""

STARVED = 3
"""The exit code where the machine was too busy for every run."""

_NAMES = ", ".join(scenario.name for scenario in SCENARIOS)


class LinkTestError(Exception):
    """It can not be run as wanted; the message is one line."""


@frozen
class _Plan:
    runs: tuple[tuple[Scenario, tuple[Stack, ...], int], ...]
    setup: Setup
    record: Path | None

    @property
    def duration(self) -> float:
        return sum(scenario.duration for scenario, _line_up, _seed in self.runs)


def link_test(  # noqa: PLR0917  # typer tells arguments from options
    schedule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…", help=f"Run only these; may be repeated. There are: {_NAMES}."
        ),
    ] = None,
    only: Annotated[
        Stack | None,
        typer.Option(help="Run only ours, or only libwebrtc's. Default: both, to compare."),
    ] = None,
    runs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Run everything N times, and take medians.")
    ] = 1,
    scale: Annotated[
        float,
        typer.Option(
            metavar="FACTOR",
            help="Multiply all times of the schedules: 0.5 takes half as long, and is half as hard "
            "to say something about.",
        ),
    ] = 1.0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of the packets that are lost by chance.")
    ] = 1,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=RATE,…",
            help="What a flow of ours sends, such as camera=150k,500k,1.2M; may be repeated. "
            f"Default: audio=35k, camera1={LADDERS[Media.REAL]} and three more like that.",
        ),
    ] = None,
    policy: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"How a flow of ours shares its estimate among the tracks: {', '.join(POLICIES)}.",
        ),
    ] = DEFAULT_POLICY,
    media: Annotated[
        Media,
        typer.Option(
            help="What flows of ours film. real: key frames at each switch, frames that differ, "
            "voices that are silent. smooth: frames all alike, of six layers."
        ),
    ] = Media.REAL,
    impair: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help="What befalls packets besides: pauses, jitter, loss …; `list` says what there is.",
        ),
    ] = "",
    settings: SettingChanges = None,
    priority: Priorities = None,
    weight: Weights = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Write what the first flow of ours sent, and the feedback it got, for "
            "`replay --feedback`. Needs one --schedule.",
        ),
    ] = None,
    as_machine: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Draw capacity, estimates and queues (.png, .svg, .pdf)."
        ),
    ] = None,
) -> None:
    """Hold the estimator against libwebrtc's, on the same emulated link.

    On loopback and in real time: all of it takes 22 minutes. A run on a machine that is too
    busy to keep time counts for nothing.
    """
    if impair.strip() == "list":
        print_impairments(Console())
        return
    try:
        asked = Asked(
            _policy(policy),
            parse_settings(settings or ()),
            parse_priorities(priority or ()),
            parse_weights(weight or ()),
        )
        setup = Setup(_tracks(track or [], media, asked), asked, media, check_impairments(impair))
        plan = _plan(_names(schedule or ()), only, runs, scale, seed, setup, record)
        if plot is not None:
            _check_plot(plot)
        done: list[Run] = []
        starved = False
        failure, interrupted = _run_all(plan, done)
        if done:
            # What took minutes is shown, even if what follows was not to be.
            starved = all(run.is_starved for run in done)
            drawn = None if starved else plot
            _show(tabulate(done), drawn, f"times × {scale:g}", as_machine=as_machine)
        if failure is not None:
            raise failure
    except (ChildError, LinkTestError, RecordingError) as error:
        print(f"trio-allocator: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    if interrupted:
        give_up(Console(stderr=True), f"after {len(done)} of {len(plan.runs)} runs")
    if starved:
        print(
            "trio-allocator: every run was starved, so there is nothing to tell: "
            "run it on a calmer machine, or with real-time priority",
            file=sys.stderr,
        )
        raise typer.Exit(STARVED)


def _names(texts: Sequence[str]) -> list[str]:
    return [name.strip() for text in texts for name in text.split(",")]


def _plan(  # noqa: PLR0917  # what the command was given, in its order
    names: Sequence[str],
    only: Stack | None,
    runs: int,
    scale: float,
    seed: int,
    setup: Setup,
    record: Path | None,
) -> _Plan:
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise LinkTestError(f"--schedule {name!r} is not known: there are {_NAMES}")
    if not (math.isfinite(scale) and scale >= SHORTEST):
        raise LinkTestError(
            f"--scale must be at least {SHORTEST:g}, not {scale:g}: 1 is as planned"
        )
    stacks = tuple(Stack) if only is None else (only,)
    if Stack.LIBWEBRTC in stacks:
        _check_libwebrtc()
    if record is not None:
        if len(names) != 1 or Stack.OURS not in stacks:
            raise LinkTestError("--record writes one run of ours: give one --schedule")
        if not record.parent.is_dir():
            raise LinkTestError(f"--record {record}: there is no folder {record.parent}: create it")
    chosen = [known[name].scaled(scale) for name in dict.fromkeys(names or known)]
    return _Plan(
        tuple(
            (scenario, line_up, seed + number)
            # All of a schedule before the next, again and again: a busy spell then hits all alike.
            for number in range(runs)
            for scenario in chosen
            for line_up in line_ups(scenario, stacks)
        ),
        setup,
        record,
    )


def _tracks(texts: Sequence[str], media: Media, asked: Asked) -> tuple[Track, ...]:
    usual = ["audio=35k", *(f"camera{n}={LADDERS[media]}" for n in range(1, 5))]
    sources = [parse_track(text) for text in texts or usual]
    asked.check_names(source.name for source in sources)
    return tuple(map(_track, sources))


def _policy(wanted: str) -> PolicyName:
    for name in POLICIES:
        if name == wanted:
            return name
    raise LinkTestError(f"--policy {wanted!r} is not known: there are {', '.join(POLICIES)}")


def _track(source: Source) -> Track:
    return Track(
        source.name,
        kind="audio" if source.is_fixed else "video",
        variants=dict(zip(source.layers, source.mean_rates, strict=True)),
    )


def _check_libwebrtc() -> None:
    found = libwebrtc.installed()
    if found != libwebrtc.VERSION:
        has = "is not installed" if found is None else f"is {found} here"
        raise LinkTestError(
            f"libwebrtc's side needs wrtc {libwebrtc.VERSION}, which {has}: "
            "pip install 'trio-allocator[peers]', or run --only ours"
        )


def _check_plot(path: Path) -> None:
    try:
        from ..lab.pictures.drawing import check_plot  # noqa: PLC0415  # slow to load, and rarely wanted
    except ModuleNotFoundError as error:
        raise RecordingError(
            f"--plot needs {error.name}: pip install 'trio-allocator[cli]'"
        ) from None
    check_plot(path)


def _show(rows: Sequence[Row], plot: Path | None, how: str, *, as_machine: bool) -> None:
    if as_machine:
        print(json.dumps(as_json(rows), indent=2))
    else:
        print_table(Console(), rows)
    if plot is not None:
        from ..lab.linktest.picture import save_picture  # noqa: PLC0415  # slow to load, and rarely wanted

        save_picture(plot, rows, f"first run of each that was not starved, {how}")


def _run_all(plan: _Plan, done: list[Run]) -> tuple[ChildError | None, bool]:
    """Run everything, or until a process dies or Ctrl-C: both are returned."""
    console = Console(stderr=True)
    interrupted = False
    failure: ChildError | None = None
    with ExitStack() as stack:
        log = None
        if plan.record is not None:
            file = stack.enter_context(plan.record.open("w", encoding="ascii"))
            ladders = {track.id: track.variants for track in plan.setup.tracks}
            log = FeedbackLog(file, ladders, START)
        progress = stack.enter_context(
            Progress(
                TextColumn(" {task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
                disable=not console.is_terminal,
            )
        )
        try:
            trio.run(_run_each, plan, log, progress, done)
        # Raised from here, an exception would be wrapped in a group once more.
        except* KeyboardInterrupt:
            interrupted = True
        except* ChildError as group:
            failure = first_of(group)
    if interrupted:
        # What was done is shown yet; the second Ctrl-C must not keep the cursor hidden.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        console.show_cursor()
    return failure, interrupted


async def _run_each(
    plan: _Plan, log: FeedbackLog | None, progress: Progress, done: list[Run]
) -> None:
    bar = progress.add_task("link-test", total=plan.duration)
    for scenario, line_up, seed in plan.runs:
        progress.update(bar, description=f"{scenario.name}: {' + '.join(line_up)}")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_advance, progress, bar, scenario.duration)
            flow_log = log if Stack.OURS in line_up else None
            run = await run_scenario(scenario, line_up, seed, plan.setup, log=flow_log)
            if flow_log is not None:
                log = None
            nursery.cancel_scope.cancel()
        done.append(run)
        if run.is_starved:
            progress.console.print(f" {describe(run)}", style="yellow")
    await trio.lowlevel.checkpoint()


async def _advance(progress: Progress, bar: TaskID, duration: float) -> None:
    step = 0.25
    for _step in range(int(duration / step)):
        await trio.sleep(step)
        progress.advance(bar, step)
    progress.advance(bar, duration % step)
    await trio.lowlevel.checkpoint()
