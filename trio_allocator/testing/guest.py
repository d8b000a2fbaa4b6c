"""A Trio run that another program steps through: it moves only while something is performed.

The main task of the run is never idle: while there is nothing to perform it stays runnable, in a
loop of checkpoints that only a call of `GuestRun.perform` moves on. So the autojump clock, which
jumps when all tasks are blocked, can not do so behind the caller's back.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from queue import SimpleQueue
from typing import Any

import outcome
import trio
import trio.testing

MOST_BREAKS = 10
"""A guest that goes on after an error in its sleep is woken by one this many times."""
STUCK_PASSES = 100
"""After this many passes in a row it is worth a look whether there is still something to wait for."""


class GuestRun:
    """One Trio run in virtual time, as the guest of a program that is not asynchronous.

    Between two calls of its methods nothing of it runs, and Ctrl-C waits for the next call. In a
    call, Ctrl-C is raised where `trio.run` would raise it, and leaves the call ungrouped.

    Args:
        live: The run's main function. It is given another, which serves what is to be performed
            until the run ends, and awaits it.
    """

    def __init__(self, live: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]) -> None:
        self._live = live
        self._callbacks: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._act: Callable[[], Awaitable[object]] | None = None
        self._result: outcome.Outcome[object] | None = None
        self._cut_short: BaseException | None = None
        self._ended: outcome.Outcome[None] | None = None
        self._ending = False
        self._seconds = math.inf
        self._scope = trio.CancelScope()
        self._main_task: trio.lowlevel.Task | None = None
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._callbacks.put,
            done_callback=self._note_end,
            clock=trio.testing.MockClock(autojump_threshold=0),
        )
        self._token = trio.lowlevel.current_trio_token()

    def perform(
        self, act: Callable[[], Awaitable[object]], *, name: str, seconds: float, passes: int
    ) -> Any:
        """Let the run's main task do something, and the other tasks what they have to.

        Args:
            act: What to do.
            name: What it is called, for errors.
            seconds: How long it may take, virtual s.
            passes: How many passes of the scheduler.

        Returns:
            What `act` returns.

        Raises:
            BaseException: What `act` raises, or the run itself, if a background task crashes;
                what `act` raised besides is then the context.
            trio.TooSlowError: It was not over in time. The run has been cancelled, and is over;
                the cause shows where `act` was.
            RuntimeError: Something that `act` can not outlive was cancelled, not by an error.
        """
        self._act, self._result, self._cut_short, self._seconds = act, None, None, seconds
        if not self._pump(lambda: self._outcome() is not None, passes):
            self._cancel(passes)
            raise trio.TooSlowError(
                f"{name} was not over after {passes} passes of the scheduler: does a task spin, "
                "or shield itself from cancellation?"
            ) from self._cut_short
        result = self._outcome()
        return self._explain_end(name, seconds) if result is None else _unwrap(result)

    def _explain_end(self, name: str, seconds: float) -> None:
        """Raise why the run ended while something was performed."""
        if isinstance(self._ended, outcome.Error):
            crash = self._ended.error
            if crash.__context__ is None and not _is_cancellation(self._cut_short):
                crash.__context__ = self._cut_short
            _unwrap(self._ended)
        if self._scope.cancelled_caught:
            raise trio.TooSlowError(
                f"{name} was not over after {seconds} s of virtual time: do tasks wait for each "
                "other?"
            ) from self._cut_short
        raise RuntimeError(
            f"the run ended during {name}: a scope or nursery around all rules was cancelled"
        ) from self._cut_short

    def end(self, *, cancel: bool, seconds: float, passes: int) -> outcome.Outcome[None]:
        """Let the main function come to its end. Whatever comes of it, another run may start.

        Args:
            cancel: By cancelling it.
            seconds: How long it may take, virtual s.
            passes: How many passes of the scheduler.

        Returns:
            How it ended. Being late is an error, being cancelled on purpose is not.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, meanwhile or before.
        """
        self._ending, self._seconds = True, seconds
        if cancel or not self._pump(lambda: False, passes):
            self._cancel(passes)
        ended = self._ended
        assert ended is not None
        error = ended.error if isinstance(ended, outcome.Error) else None
        if error is not None:
            _raise_interrupt(error)
        if isinstance(error, KeyboardInterrupt):
            raise error
        if self._scope.cancelled_caught and not cancel:
            late = trio.TooSlowError(
                f"the end of the run took more than {seconds} s or {passes} passes: does something "
                "that was entered wait for a task that does not end?"
            )
            late.__cause__ = error
            return outcome.Error(late)
        return ended

    # --- the host's side ---------------------------------------------------------------------

    # Ctrl-C reaches the tasks of the run, and never comes between two callbacks.
    @trio.lowlevel.enable_ki_protection
    def _pump(self, done: Callable[[], bool], passes: int) -> bool:
        """Work off callbacks until something is done or the run is over; False if neither."""
        for count in range(passes):
            if done() or self._ended is not None:
                return True
            if count % STUCK_PASSES == STUCK_PASSES - 1 and _is_stuck():
                break
            self._callbacks.get()()
        return False

    def _outcome(self) -> outcome.Outcome[object] | None:
        return self._result

    def _cancel(self, passes: int) -> None:
        if self._ended is None:
            self._token.run_sync_soon(self._scope.cancel)
        if not self._pump(lambda: False, passes):
            self._break_off(passes)

    def _break_off(self, passes: int) -> None:
        """Raise in the tasks that no cancellation reaches: as long as they live, no run can start.

        Raises:
            RuntimeError: Not even that ends the run.
        """
        hint = "the run does not end when it is cancelled: is something shielded?"
        assert self._main_task is not None
        for _ in range(MOST_BREAKS):  # pragma: no branch - hardly any guest has as many lives
            if not _is_stuck():
                break
            for task in _innermost(self._main_task):
                trio.lowlevel.reschedule(task, outcome.Error(RuntimeError(hint)))
            if self._pump(lambda: False, passes):
                return
        raise RuntimeError(hint)

    def _note_end(self, result: outcome.Outcome[None]) -> None:
        self._ended = result

    # --- the run's side ----------------------------------------------------------------------

    async def _main(self) -> None:
        self._main_task = trio.lowlevel.current_task()
        with self._scope:
            await self._live(self._serve)

    async def _serve(self) -> None:
        while True:
            await trio.lowlevel.checkpoint()
            if self._ending:
                break
            act = self._act
            assert act is not None, "only `perform` and `end` let the run go on"
            self._scope.deadline = trio.current_time() + self._seconds
            result = await outcome.acapture(act)
            self._scope.deadline = math.inf
            # Cancelled by a crash, or because it is late: the next checkpoint says so.
            if trio.current_effective_deadline() != -math.inf:
                self._result = result
            else:
                self._cut_short = getattr(result, "error", None)
        self._scope.deadline = trio.current_time() + self._seconds


def _is_stuck() -> bool:
    """Whether all tasks of the current run are blocked, and no deadline will change that."""
    now = trio.lowlevel.current_statistics()
    return now.tasks_runnable == 0 and now.seconds_to_next_deadline == math.inf


def _innermost(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    """The tasks below one, or itself, that have no children."""
    children = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    if not children:
        yield task
    for child in children:
        yield from _innermost(child)


def _unwrap(result: outcome.Outcome[object]) -> object:
    if isinstance(result, outcome.Error):
        _raise_interrupt(result.error)
    return result.unwrap()


def _raise_interrupt(error: BaseException) -> None:
    """Raise Ctrl-C by itself, if it is in a group: nobody looks for it there."""
    if not isinstance(error, BaseExceptionGroup):
        return
    group: BaseExceptionGroup[BaseException] = error
    if group.subgroup(KeyboardInterrupt) is not None:
        raise KeyboardInterrupt from None


def _is_cancellation(error: BaseException | None) -> bool:
    """Whether an error, if there is one, says no more than that something was cancelled."""
    if isinstance(error, BaseExceptionGroup):
        group: BaseExceptionGroup[BaseException] = error
        return group.split(trio.Cancelled)[1] is None
    return error is None or isinstance(error, trio.Cancelled)
