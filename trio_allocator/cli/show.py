"""Runs a session at the pace wanted, and shows it: live, by a progress bar, or not at all."""

from __future__ import annotations

from functools import partial

import trio
import trio.testing
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..lab.replay.recording import Recording
from ..lab.replay.session import divide
from ..lab.replay.state import RunState
from .dashboard import Dashboard

_FRAME = 0.1
_ROWS_PER_PROGRESS = 10


def run(recording: Recording, speed: float | None, *, quiet: bool = False) -> RunState:
    """Divide a recording's estimates among its sources.

    Args:
        recording: What to feed; with at least one source.
        speed: Seconds of the recording in a second of the clock, shown live where there is a
            terminal; None for virtual time, with a progress bar where errors go to a terminal.
        quiet: Show nothing on standard output.

    Returns:
        The state at the end.
    """
    state = RunState(recording)
    if speed is None:
        _run_virtually(state)
        return state
    # Virtual time that runs along with real time, only faster: timers of the allocator's own
    # (holds, pauses between probes) must speed up with the estimates.
    clock = None if speed == 1 else trio.testing.MockClock(rate=speed)
    console = Console(quiet=quiet)
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        trio.run(divide, state, clock=clock)
    else:
        # Transient: what stays on the screen is the summary. No refresh thread: Trio does it.
        with Live(console=console, auto_refresh=False, transient=True) as live:
            trio.run(partial(_run_live, state, live, speed), clock=clock)
    return state


def _run_virtually(state: RunState) -> None:
    clock = trio.testing.MockClock(autojump_threshold=0)
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

        trio.run(divide, state, advance, clock=clock)


async def _run_live(state: RunState, live: Live, speed: float) -> None:
    dashboard = Dashboard(state, speed)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_refresh, dashboard, live, speed)
        await divide(state)
        nursery.cancel_scope.cancel()


async def _refresh(dashboard: Dashboard, live: Live, speed: float) -> None:
    while True:
        width, height = live.console.size
        live.update(dashboard.render(width, height), refresh=True)
        await trio.sleep(_FRAME * speed)
