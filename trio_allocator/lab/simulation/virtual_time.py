"""Trio in virtual time, driven by hand: the tasks run whenever the driver lets them settle.

A simulation handles thousands of packets between two decisions. If a task of Trio's woke up for each
of them, the scheduler would take most of the time; so one task drives. It handles packets in plain
calls, moves the clock, and lets all others run only when they have something to do: a message has
come for them, or a deadline of theirs has passed.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
import trio.testing

T = TypeVar("T")


class DrivenClock(trio.abc.Clock):
    """A clock that shows what it is told.

    Attributes:
        now: The time, s.
        deadline: The next deadline of any task as of the last `settle`, s.
    """

    def __init__(self) -> None:
        self.now: float = 0.0
        self.deadline: float = math.inf

    def start_clock(self) -> None:
        """Nothing starts by itself."""

    def current_time(self) -> float:
        """See `trio.abc.Clock`."""
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """See `trio.abc.Clock`: Trio asks before it sleeps, and so tells the next deadline."""
        self.deadline = deadline
        return deadline - self.now

    async def settle(self) -> None:
        """Let all other tasks run until each of them waits for something to come."""
        await trio.testing.wait_all_tasks_blocked()


def run_driven(main: Callable[[DrivenClock], Awaitable[T]], seed: int) -> T:
    """Run an asynchronous function with a clock that it drives itself.

    Args:
        main: The driver.
        seed: Of Trio's scheduler, which shuffles the tasks that are ready.

    Returns:
        What it returns.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    clock = DrivenClock()
    with _seeded_scheduler(seed):
        try:
            return trio.run(_unwrapped, main, clock, clock=clock)
        except BaseExceptionGroup as group:
            # The nurseries of an allocator wrap it.
            if group.subgroup(KeyboardInterrupt) is not None:
                raise KeyboardInterrupt from None
            raise


async def _unwrapped(main: Callable[[DrivenClock], Awaitable[T]], clock: DrivenClock) -> T:
    return await main(clock)


@contextmanager
def _seeded_scheduler(seed: int) -> Iterator[None]:
    """Make the order of tasks depend on the seed alone, as pytest-trio does for Hypothesis.

    Trio has no public way to do so. Without it the same seed could give different figures.
    """
    scheduler: Any = trio._core._run  # noqa: SLF001 - see above
    before, state = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()  # noqa: SLF001
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # noqa: SLF001
    scheduler._r.seed(seed)  # noqa: SLF001
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = before  # noqa: SLF001
        scheduler._r.setstate(state)  # noqa: SLF001
