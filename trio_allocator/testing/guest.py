"""A Trio run that another program steps through: it moves only while something is performed.

The main task of the run is never idle: while there is nothing to perform it stays runnable, in a
loop of checkpoints that only a call of `GuestRun.perform` moves on. So the autojump clock, which
jumps when all tasks are blocked, can not do so behind the caller's back.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from typing import Any

import outcome
import trio
import trio.testing


class GuestRun:
    """One Trio run in virtual time, as the guest of a program that is not asynchronous.

    Args:
        live: The run's main function. It is given another, which serves what is to be performed
            until the run ends, and awaits it.
    """

    def __init__(self, live: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]) -> None:
        self._live = live
        self._callbacks: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._act: Callable[[], Awaitable[object]] | None = None
        self._result: outcome.Outcome[object] | None = None
        self._ended: outcome.Outcome[None] | None = None
        self._ending = False
        self._seconds = math.inf
        self._scope = trio.CancelScope()
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
            BaseException: What `act` raises, or the run itself, if a background task crashes.
            trio.TooSlowError: It was not over in time. The run has been cancelled, and is over.
        """
        self._act, self._result, self._seconds = act, None, seconds
        if not self._pump(lambda: self._result is not None, passes):
            busy = f"{name} was not over after {passes} passes of the scheduler: does a task spin?"
            self._cancel(passes)
            raise trio.TooSlowError(busy)
        if self._result is not None:
            return self._result.unwrap()
        assert self._ended is not None
        self._ended.unwrap()
        raise trio.TooSlowError(
            f"{name} was not over after {seconds} s of virtual time: do tasks wait for each other?"
        )

    def end(self, *, cancel: bool, seconds: float, passes: int) -> outcome.Outcome[None]:
        """Let the main function come to its end.

        Args:
            cancel: By cancelling it.
            seconds: How long it may take, virtual s.
            passes: How many passes of the scheduler.

        Returns:
            How it ended.

        Raises:
            RuntimeError: It does not end, not even when cancelled: something is shielded.
        """
        self._ending, self._seconds = True, seconds
        if cancel or not self._pump(lambda: False, passes):
            self._cancel(passes)
        assert self._ended is not None
        if self._scope.cancelled_caught and not cancel:
            late = trio.TooSlowError(
                f"the end of the run took more than {seconds} s or {passes} passes"
            )
            return outcome.Error(late)
        return self._ended

    # --- the host's side ---------------------------------------------------------------------

    # Ctrl-C reaches the tasks of the run, and never comes between two callbacks.
    @trio.lowlevel.enable_ki_protection
    def _pump(self, done: Callable[[], bool], passes: int) -> bool:
        """Work off callbacks until something is done or the run is over; False if neither."""
        for _ in range(passes):
            if done() or self._ended is not None:
                return True
            self._callbacks.get()()
        return False

    def _cancel(self, passes: int) -> None:
        if self._ended is None:
            self._token.run_sync_soon(self._scope.cancel)
        if not self._pump(lambda: False, passes):
            raise RuntimeError("the run does not end when it is cancelled: is something shielded?")

    def _note_end(self, result: outcome.Outcome[None]) -> None:
        self._ended = result

    # --- the run's side ----------------------------------------------------------------------

    async def _main(self) -> None:
        with self._scope:
            await self._live(self._serve)

    async def _serve(self) -> None:
        while not self._ending:
            await trio.lowlevel.checkpoint()
            if self._act is not None:
                act, self._act = self._act, None
                self._scope.deadline = trio.current_time() + self._seconds
                result = await outcome.acapture(act)
                self._scope.deadline = math.inf
                # Cancelled by a crash, or because it is late: the next checkpoint says so.
                if trio.current_effective_deadline() != -math.inf:
                    self._result = result
        self._scope.deadline = trio.current_time() + self._seconds
