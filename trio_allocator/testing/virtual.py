"""A Trio run in virtual time: for an app, the same each time; for a check, sure to end."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, TypeVarTuple, Unpack

import trio
import trio.testing
from trio._core import _run

from .. import quantities

LOOK_EVERY = 0.1
"""How often the CPU time of a check is looked at, s."""

PATIENCE = 10
"""A check may take so many times its CPU time by the clock on the wall."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST = 3600.0
"""A check that is not over after so long never will be, virtual s."""
STUCK = 10_000
"""After this many steps of tasks at one instant, nothing will come of it."""


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
    # What `contextlib.asynccontextmanager` makes can be called as well: it is a decorator.
    if not callable(make) or isinstance(make, AbstractAsyncContextManager):
        raise TypeError(f"make must be callable, not {make!r}: pass the function, not its result")
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(f"{name} makes Trio runs of its own: call it from a synchronous test")


def run_virtually(async_fn: Callable[[Unpack[Ts]], Awaitable[T]], *args: *Ts, seed: int = 0) -> T:
    """Run an app in virtual time, the same each time.

    As `trio.run` with a `trio.testing.MockClock`: a sleep of all tasks takes no time. Besides, the
    order in which tasks that could run at the same instant do so, which Trio leaves to chance, is
    that of the seed. A test of several tasks that failed once fails again; other seeds try other
    orders. What else is random, such as a link with loss, has seeds of its own.

    Args:
        async_fn: What to run.
        *args: Its arguments.
        seed: Any whole number.

    Returns:
        What it returns.

    Raises:
        TypeError, ValueError: `seed` is not a whole number of at most 64 bits.
        RuntimeError: It is called inside of a Trio run.
        Exception: What it raises.
    """
    quantities.whole_number("seed", seed, -(2**63), 2**63)
    if trio.lowlevel.in_trio_run():
        raise RuntimeError("run_virtually makes a Trio run of its own: call it from a plain test")
    chance, fixed = _run._r.getstate(), _run._ALLOW_DETERMINISTIC_SCHEDULING  # noqa: SLF001
    # Trio has no public switch for it; Hypothesis and pytest-trio turn the same one.
    _run._r.seed(seed)  # noqa: SLF001
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # noqa: SLF001
    try:
        return trio.run(async_fn, *args, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        _run._r.setstate(chance)  # noqa: SLF001
        _run._ALLOW_DETERMINISTIC_SCHEDULING = fixed  # type: ignore[misc]  # noqa: SLF001


def run_watched(main: Callable[[Watchman], Awaitable[None]]) -> None:
    """Run a check in virtual time, and stop it if it has no end.

    Args:
        main: What to run; its argument counts the steps of its tasks.

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


class _RanOutError(BaseException):
    """Is raised in the middle of a check that goes on and on."""


class CpuLimit:
    """Ends what takes too much CPU time, even if it never comes back to Trio.

    The processor's time counts, and not the clock on the wall: a busy machine makes nobody late. Only
    what takes `PATIENCE` times as long there waits for something that does not come. One call into C
    that never returns is not ended: an exception is raised in Python code alone.

    Args:
        seconds: For each run.

    Attributes:
        ran_out: Whether one did not end by itself.
    """

    def __init__(self, seconds: float) -> None:
        self.ran_out: bool = False
        self._seconds = seconds

    def run(self, check: Callable[[], None]) -> None:
        """Run something.

        Raises:
            TimeoutError: It took too long.
            Exception: What it raises.
        """
        over = threading.Event()
        thread = threading.get_ident()
        end = time.process_time() + self._seconds
        wall_end = time.monotonic() + PATIENCE * self._seconds

        def watch() -> None:
            while not over.wait(LOOK_EVERY):
                if time.process_time() > end or time.monotonic() > wall_end:
                    self.ran_out = True
                    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
                    raise_in(ctypes.c_ulong(thread), ctypes.py_object(_RanOutError))
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            try:
                check()
            finally:
                over.set()
                watcher.join()  # nothing is raised from here on
        except BaseException as error:
            if not self.ran_out:
                raise
            raise TimeoutError(  # noqa: ASYNC104 - no task runs here: the check is over
                f"it took more than {self._seconds:g} s of CPU time, or {PATIENCE * self._seconds:g} s "
                "by the clock: does a call never return?"
            ) from error


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
