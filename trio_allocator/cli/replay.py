"""The commands ``replay`` and ``demo``: what they take, and what they print where.

Results go to standard output, progress and errors to standard error; see `endings`, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..engine.sharing.registry import DEFAULT_POLICY, POLICIES
from ..lab.asked import (
    Asked,
    named_policy,
    parse_policies,
    parse_priorities,
    parse_settings,
    parse_weights,
)
from ..lab.files import place_of
from ..lab.replay.estimating import read_feedback
from ..lab.replay.quality import measure
from ..lab.replay.reader import read_recording
from ..lab.replay.recording import Recording, RecordingError, Source, parse_track
from ..lab.replay.session import MeasuredAt
from ..lab.replay.utility import UtilityRule, resolve_rule
from .endings import check_plot_option, give_up, refuse
from .report import Replayed, as_json, print_summaries
from .shared_options import Priorities, SettingChanges, Weights
from .show import Showing, reading, run

DEMO_SPEED = 7.0
"""The shipped recording lasts 179 s: shown in 26 s."""

DEMO_AUDIO = tuple(f"audio{number}=35k" for number in range(1, 5))
"""The cameras' audio: 35 kbit/s each (Membrane's VariantSelector), not negotiable."""

_DEMO_RECORDING = Path(__file__).parents[1] / "lab" / "data" / "libwebrtc-gcc-recorded.csv"

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a summary.")]
_Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE.png",
        help="Draw estimate, stacked allocations and decisions into a file (.png, .svg, .pdf).",
    ),
]
_Utility = Annotated[
    UtilityRule,
    typer.Option(
        help="What a layer is worth, for the quality. frames: by its name, a frame rate. log: by "
        "its rate. auto: frames where all the names are frame rates.",
    ),
]
_Policies = Annotated[
    str,
    typer.Option(
        metavar="NAME,…",
        help=f"How to share; of several, each runs, and they stand side by side. There are: "
        f"{', '.join(POLICIES)}.",
    ),
]


def replay(  # noqa: PLR0917  # typer tells arguments from options
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="CSV with the columns time_s, estimate_bps, SOURCE_LAYER… (seconds, bit/s), or "
            "a Jitsi bridge's ts, bwe, bps_SOURCE_LAYER…; may be packed by gzip (.csv.gz), or - "
            "for standard input.",
        ),
    ] = None,
    feedback: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Instead of estimates, take a log of packets and feedback (link-test --record), "
            "and estimate from it.",
        ),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=RATE,…",
            help="Add a track that the file lacks, such as camera=150k,500k,2.5M. One rate makes "
            "a track that is carried whole, such as audio=35k. May be repeated.",
        ),
    ] = None,
    policy: _Policies = DEFAULT_POLICY,
    settings: SettingChanges = None,
    priority: Priorities = None,
    weight: Weights = None,
    measured_at: Annotated[
        MeasuredAt,
        typer.Option(
            help="Who measures what the layers weigh. receiver: each what it sends. publisher: a "
            "bridge, which takes all of them in, and tells of every change.",
        ),
    ] = MeasuredAt.RECEIVER,
    realtime: Annotated[
        bool,
        typer.Option("--realtime", help="Take the time that the recording took, and watch."),
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(metavar="FACTOR", help="Like --realtime, but this many times as fast."),
    ] = None,
    as_machine: _Json = False,
    plot: _Plot = None,
    utility: _Utility = UtilityRule.AUTO,
) -> None:
    """Feed recorded estimates through a real allocator with real receivers.

    In virtual time, unless --realtime or --speed is given: then the terminal shows it live. What
    is decided does not depend on that.
    """
    try:
        _check_speed(speed)
        tracks = [parse_track(text) for text in track or ()]
        changes = parse_settings(settings or ())
        ranks = parse_priorities(priority or ()), parse_weights(weight or ())
        plans = [Asked(named_policy(name), changes, *ranks) for name in parse_policies(policy)]
        recording = _read(file, feedback, tracks)
        plans[0].check_names(source.name for source in recording.sources)
        pace = speed or (1.0 if realtime else None)
        _replay(recording, plans, Showing(pace, as_machine, measured_at), utility, plot)
    except RecordingError as error:
        refuse(error)


def demo(
    speed: Annotated[
        float,
        typer.Option(metavar="FACTOR", help="How many times as fast as it was recorded."),
    ] = DEMO_SPEED,
    policy: _Policies = DEFAULT_POLICY,
    as_machine: _Json = False,
    plot: _Plot = None,
    utility: _Utility = UtilityRule.AUTO,
) -> None:
    """Watch one connection being divided among four cameras and their audio.

    Replays the recording that ships with the package, live in the terminal. Where there is no
    terminal to watch, or with --json, it prints the same result at once.
    """
    try:
        _check_speed(speed)
        plans = [Asked(named_policy(name)) for name in parse_policies(policy)]
        recording = read_recording(_DEMO_RECORDING).with_tracks(map(parse_track, DEMO_AUDIO))
        screen = Console()
        watched = screen.is_terminal and not screen.is_dumb_terminal and not as_machine
        _replay(recording, plans, Showing(speed if watched else None, as_machine), utility, plot)
    except RecordingError as error:
        refuse(error)


def _read(file: Path | None, feedback: Path | None, tracks: Sequence[Source]) -> Recording:
    path = file or feedback
    if file is not None and feedback is not None:
        raise RecordingError("FILE and --feedback are both given: give one, not both")
    if path is None:
        raise RecordingError("replay needs either a FILE of estimates or --feedback FILE.jsonl")
    with reading(path) as advance:
        read = read_recording(path, advance) if file else read_feedback(path, advance)
    recording = read.with_tracks(tracks)
    if not recording.sources:
        raise RecordingError(
            f"{place_of(path)}: no SOURCE_LAYER columns, so there is nothing to divide among: "
            "add --track camera=150k,500k,2.5M"
        )
    return recording


def _check_speed(speed: float | None) -> None:
    if speed is not None and not (math.isfinite(speed) and speed > 0):
        raise RecordingError(
            f"--speed must be finite and greater than 0, not {speed:g}: 1 is as recorded"
        )


def _replay(
    recording: Recording,
    plans: Sequence[Asked],
    showing: Showing,
    utility: UtilityRule,
    plot: Path | None,
) -> None:
    # Whatever can be wrong is found before the run, which may take as long as the recording.
    resolve_rule(utility, recording.sources)
    if plot is not None:
        if len(plans) > 1:
            raise RecordingError("--plot draws one run: give one --policy")
        check_plot_option(plot)
    results: list[Replayed] = []
    interrupted = False
    for asked in plans:
        state, interrupted = run(recording, asked, showing)
        if interrupted and not state.started:
            break
        seen = recording.until(state.time) if interrupted else recording
        figures = measure(seen, state.history(), utility)
        results.append(Replayed(asked.policy, seen, state.history(), figures, state.padding))
        if interrupted:
            break
    if results and showing.is_quiet:
        print(json.dumps(as_json(results), indent=2))
    elif results:
        print_summaries(Console(), results)
    if interrupted:
        # What was seen so far is worth a look; that it is not all, the exit code says, too.
        give_up(Console())
    if plot is not None:
        from ..lab.pictures.plot import save_plot  # noqa: PLC0415  # slow to load, and rarely wanted

        save_plot(plot, recording, results[0].history, results[0].figures)
