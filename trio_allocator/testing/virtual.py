"""A Trio run of its own for every check: in virtual time, and sure to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
import trio.testing

LONGEST = 3600.0
"""A check that is not over after so long never will be, virtual s."""
STUCK = 10_000
"""After so many steps of tasks at one instant, nothing will come of it."""


class Watchman(trio.abc.Instrument):
    """Counts the steps of tasks, and stops the run when they have no end.

    Attributes:
        steps: How many there were.
        scope: Is cancelled when tasks run on and on, and time stands still.
    """

    def __init__(self) -> None:
        self.steps: int = 0
        self.scope: trio.CancelScope = trio.CancelScope()
        self._here = 0
        self._time = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - Trio's
        """See `trio.abc.Instrument.before_task_step`."""
        now = trio.current_time()
        self.steps += 1
        self._here = self._here + 1 if now == self._time else 0
        self._time = now
        if self._here == STUCK:
            trio.lowlevel.current_trio_token().run_sync_soon(self.scope.cancel)


def check_callable_outside(name: str, make: object) -> None:
    """Check what a conformance check is given, and where it is called.

    Raises:
        TypeError: It is nothing to call.
        RuntimeError: It is called inside of a Trio run, where no other can start.
    """
    if not callable(make):
        raise TypeError(f"make must be callable, not {make!r}: pass the function, not its result")
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(f"{name} makes Trio runs of its own: call it from a synchronous test")


def run_virtually(main: Callable[[Watchman], Awaitable[None]]) -> None:
    """Run something in virtual time.

    Args:
        main: What to run; it is given whoever counts the steps of its tasks.

    Raises:
        trio.TooSlowError: It was not over after `LONGEST`, or its tasks run on without a sleep.
        Exception: What it raises.
    """
    watchman = Watchman()

    async def limited() -> None:
        with watchman.scope, trio.fail_after(LONGEST):
            await main(watchman)
        if watchman.scope.cancelled_caught:
            raise trio.TooSlowError("its tasks run on and on, without a sleep")

    trio.run(limited, clock=trio.testing.MockClock(autojump_threshold=0), instruments=[watchman])


def tasks() -> set[trio.lowlevel.Task]:
    """Every task that there is."""
    root = trio.lowlevel.current_root_task()
    found: set[trio.lowlevel.Task] = set() if root is None else {root}
    fresh = found
    while fresh:
        nurseries = [nursery for task in fresh for nursery in task.child_nurseries]
        fresh = {child for nursery in nurseries for child in nursery.child_tasks}
        found = found | fresh
    return found
