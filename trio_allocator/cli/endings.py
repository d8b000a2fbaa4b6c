"""How a command ends that cannot do what it was told.

Whatever is wrong with the input ends in one line and exit code 2; Ctrl-C ends in exit code 130, and
in nothing else.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import NoReturn, TypeVar

import typer
from rich.console import Console

from ..lab.replay.recording import RecordingError

E = TypeVar("E", bound=BaseException)


def refuse(error: Exception) -> NoReturn:
    """Say what is wrong with the input, and exit."""
    print(f"trio-allocator: {error}", file=sys.stderr)
    raise typer.Exit(2)


def first_of(group: BaseExceptionGroup[E]) -> E:
    """One of all that went wrong together: a line can tell of one."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error


def give_up(console: Console, how_far: str = "") -> NoReturn:
    """Say on standard error that Ctrl-C ended a run early, and exit.

    Args:
        console: Where progress was shown, with the cursor hidden.
        how_far: The run came, such as ``after 2 of 3 runs``.
    """
    # Impatient people press Ctrl-C twice; the second must not keep the cursor hidden.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    console.show_cursor()
    says = f" interrupted {how_far}".rstrip()
    Console(stderr=True).print(says, style="yellow", soft_wrap=True, highlight=False)
    raise typer.Exit(130)


def progress_told(done: int, planned: int) -> str:
    """How far a command came that shows means of all its runs, or nothing."""
    if done < planned:
        return f"after {done} of {planned} runs: no figures are shown, as means take all runs"
    return f"after all {planned} runs" if planned else "before the first run"


def check_plot_option(path: Path) -> None:
    """Find out before a run whether a plot could be written after it.

    Raises:
        RecordingError: It could not.
    """
    try:
        from ..lab.pictures.drawing import check_plot  # noqa: PLC0415  # slow to load, and rarely wanted
    except ModuleNotFoundError as error:
        raise RecordingError(
            f"--plot needs {error.name}: pip install 'trio-allocator[cli]'"
        ) from None
    check_plot(path)
