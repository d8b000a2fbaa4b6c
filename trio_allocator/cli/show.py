"""Runs a session at the pace wanted, and shows it: live, by a progress bar, or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio
from attrs import field, frozen
from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..lab.asked import Asked
from ..lab.files import STANDARD_INPUT, name_of
from ..lab.replay.pace import PacedClock
from ..lab.replay.recording import Recording
from ..lab.replay.session import MeasuredAt, divide
from ..lab.replay.state import RunState
from .dashboard import Dashboard

_FRAME = 0.1
_ROWS_PER_PROGRESS = 10
_LONG_FILE = 4 * 2**20
"""What is read at once, bytes: no use in showing progress of less."""


@frozen
class Showing:
    """How a recording is run, and what is seen of it.

    Attributes:
        speed: Seconds of the recording in a second of the clock, shown live where there is a
            terminal; None for virtual time, with a progress bar where errors go to a terminal.
        is_quiet: Show nothing on standard output.
        measured_at: Who measures what the layers weigh.
    """

    speed: float | None = None
    is_quiet: bool = False
    measured_at: MeasuredAt = field(default=MeasuredAt.RECEIVER)


def run(recording: Recording, asked: Asked, showing: Showing) -> tuple[RunState, bool]:
    """Divide a recording's estimates among its sources.

    Args:
        recording: What to feed; with at least one source.
        asked: How the allocator and the receivers are set up.
        showing: At which pace, and what is seen of it. It makes no difference to the run.

    Returns:
        The state at the end, and whether it came early, by Ctrl-C.
    """
    state = RunState(recording)
    clock = PacedClock(showing.speed)
    session = partial(divide, state, clock, asked=asked, measured_at=showing.measured_at)
    console = Console(quiet=showing.is_quiet)
    is_live = console.is_terminal and not console.is_dumb_terminal and not showing.is_quiet
    interrupted = False
    try:
        if showing.speed is None:
            _run_virtually(state, session, clock)
        elif not is_live:
            trio.run(session, clock=clock)
        else:
            # Transient: what stays on the screen is the summary. No refresh thread: Trio does it.
            with Live(console=console, auto_refresh=False, transient=True) as live:
                trio.run(partial(_run_live, state, session, live, showing.speed), clock=clock)
    except* KeyboardInterrupt:
        interrupted = True
    return state, interrupted


@contextmanager
def reading(path: Path) -> Iterator[Callable[[int], None] | None]:
    """Show how much of a large file was read, where errors go to a terminal.

    Yields:
        What to tell how many bytes more were read; None if nobody wants to know.
    """
    console = Console(stderr=True)
    size = path.stat().st_size if path != STANDARD_INPUT and path.is_file() else 0
    if size < _LONG_FILE or not console.is_terminal:
        yield None
        return
    with Progress(
        TextColumn(" {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(f"reading {name_of(path)}", total=size)
        yield partial(progress.advance, task)


def _run_virtually(
    state: RunState, session: Callable[..., Awaitable[None]], clock: PacedClock
) -> None:
    console = Console(stderr=True)
    with Progress(
        TextColumn(" {task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(state.recording.name, total=state.recording.duration)

        def advance() -> None:
            if state.rows_fed % _ROWS_PER_PROGRESS == 0:
                progress.update(task, completed=state.time)

        trio.run(session, advance, clock=clock)


async def _run_live(
    state: RunState, session: Callable[..., Awaitable[None]], live: Live, speed: float
) -> None:
    dashboard = Dashboard(state, speed)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_refresh, dashboard, live, speed)
        await session()
        nursery.cancel_scope.cancel()


async def _refresh(dashboard: Dashboard, live: Live, speed: float) -> None:
    while True:
        width, height = live.console.size
        live.update(dashboard.render(width, height), refresh=True)
        await trio.sleep(_FRAME * speed)
