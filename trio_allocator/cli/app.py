"""The commands ``replay`` and ``demo``: what they take. ``simulate`` has a module of its own.

Results go to standard output, progress and errors to standard error; see `endings`, too.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..lab.replay.estimating import read_feedback
from ..lab.replay.quality import measure
from ..lab.replay.reader import read_recording
from ..lab.replay.recording import Recording, RecordingError, parse_track
from ..lab.replay.utility import UtilityRule, resolve_rule
from .endings import check_plot_option, give_up, refuse
from .link_test import link_test
from .relay import relay
from .report import as_json, print_summary
from .show import run
from .simulate import simulate

DEMO_SPEED = 7.0
"""The shipped recording lasts 179 s: shown in 26 s."""

DEMO_AUDIO = tuple(f"audio{number}=35k" for number in range(1, 5))
"""The cameras' audio: 35 kbit/s each (Membrane's VariantSelector), not negotiable."""

_DEMO_RECORDING = Path(__file__).parents[1] / "lab" / "data" / "libwebrtc-gcc-recorded.csv"

app: typer.Typer = typer.Typer(
    help="Divide the bandwidth of one connection among its tracks, and watch.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(simulate)

# An empty metavar, since a flag takes no value: typer would show `<bool>`.
_Json = Annotated[
    bool, typer.Option("--json", metavar="", help="Print one JSON object instead of a summary.")
]
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


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"trio-allocator {installed_version('trio-allocator')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            help="Show the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def replay(  # noqa: PLR0917  # typer tells arguments from options
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="CSV with the columns time_s, estimate_bps, SOURCE_LAYER… (seconds, bit/s), or "
            "a Jitsi bridge's ts, bwe, bps_SOURCE_LAYER…",
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
    realtime: Annotated[
        bool,
        typer.Option(
            "--realtime", metavar="", help="Take the time that the recording took, and watch."
        ),
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(metavar="FACTOR", help="Like --realtime, but so many times as fast."),
    ] = None,
    as_machine: _Json = False,
    plot: _Plot = None,
    utility: _Utility = UtilityRule.AUTO,
) -> None:
    """Feed recorded estimates through a real allocator with real receivers.

    In virtual time, unless --realtime or --speed is given: then the terminal shows it live.
    """
    try:
        _check_speed(speed)
        tracks = [parse_track(text) for text in track or ()]
        recording = _read(file, feedback).with_tracks(tracks)
        pace = speed or (1.0 if realtime else None)
        _replay(recording, pace, utility, plot, as_machine=as_machine)
    except RecordingError as error:
        refuse(error)


@app.command()
def demo(
    speed: Annotated[
        float,
        typer.Option(metavar="FACTOR", help="How many times as fast as it was recorded."),
    ] = DEMO_SPEED,
    as_machine: _Json = False,
    plot: _Plot = None,
    utility: _Utility = UtilityRule.AUTO,
) -> None:
    """Watch one connection being divided among four cameras and their audio.

    Replays the recording that ships with the package, live in the terminal. Where there is no
    terminal to watch, or with --json, it runs in virtual time and prints the result only.
    """
    try:
        _check_speed(speed)
        recording = read_recording(_DEMO_RECORDING).with_tracks(map(parse_track, DEMO_AUDIO))
        screen = Console()
        watched = screen.is_terminal and not screen.is_dumb_terminal and not as_machine
        _replay(recording, speed if watched else None, utility, plot, as_machine=as_machine)
    except RecordingError as error:
        refuse(error)


app.command()(link_test)
app.command()(relay)


def _read(file: Path | None, feedback: Path | None) -> Recording:
    if file is not None and feedback is None:
        return read_recording(file)
    if feedback is not None and file is None:
        return read_feedback(feedback)
    raise RecordingError("replay needs either a FILE of estimates or --feedback FILE.jsonl")


def _check_speed(speed: float | None) -> None:
    if speed is not None and not (math.isfinite(speed) and speed > 0):
        raise RecordingError(
            f"--speed must be finite and greater than 0, not {speed:g}: 1 is as recorded"
        )


def _replay(
    recording: Recording,
    speed: float | None,
    utility: UtilityRule,
    plot: Path | None,
    *,
    as_machine: bool,
) -> None:
    if not recording.sources:
        raise RecordingError(
            f"{recording.name}: no SOURCE_LAYER columns, so there is nothing to divide among: "
            "add --track camera=150k,500k,2.5M"
        )
    # Whatever can be wrong is found before the run, which may take as long as the recording.
    resolve_rule(utility, recording.sources)
    if plot is not None:
        check_plot_option(plot)
    interrupted = False
    try:
        state = run(recording, speed, quiet=as_machine)
    except* KeyboardInterrupt:
        # Raised from here, an Exit would be wrapped in a group, which typer does not know.
        interrupted = True
    if interrupted:
        give_up(Console())
    figures = measure(recording, state.history(), utility)
    if as_machine:
        print(json.dumps(as_json(recording, figures, state.padding), indent=2))
    else:
        print_summary(Console(), recording, figures, state.padding)
    if plot is not None:
        from ..lab.pictures.plot import save_plot  # noqa: PLC0415  # slow to load, and rarely wanted

        save_plot(plot, recording, state.history(), figures)
