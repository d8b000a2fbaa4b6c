"""The two tasks of an allocator: all that it knows of time passing."""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..engine.engine import Engine
from .alarm import Alarm

MOST_ROUNDS = 100
"""While answers keep coming, receivers get this many times two scheduler passes: bounded (N3)."""


class Timekeeper:
    """Runs the estimate watcher and the probing task.

    Args:
        engine: Says when time matters next.
        advance: Lets the engine judge what is due. The argument is when the alarm rang: what was
            asked later is not judged yet. Must not raise.
        pad: Hands out the padding that is due. Must not raise.
        failure: Why the allocator failed, if it did: the watcher raises it.
        gone: Called when both tasks have ended.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        advance: Callable[[float], None],
        pad: Callable[[], None],
        failure: Callable[[], BaseException | None],
        gone: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._advance = advance
        self._pad = pad
        self._failure = failure
        self._gone = gone
        self._stopped = False
        self._watch_alarm = Alarm()
        self._probe_alarm = Alarm()
        self._running = 0
        self._ended = trio.Event()

    def start(self, nursery: trio.Nursery) -> None:
        """Start both tasks."""
        self._running = 2
        self.arm()
        nursery.start_soon(self._watch)
        nursery.start_soon(self._probe)

    def stop(self) -> None:
        """Let both tasks end soon."""
        self._stopped = True
        self._watch_alarm.ring()
        self._probe_alarm.ring()

    async def wait_ended(self) -> None:
        """Wait until both tasks have ended."""
        await self._ended.wait()

    def arm(self) -> None:
        """Wake the tasks in time."""
        self._watch_alarm.ring_by(self._engine.wake_at)
        self._probe_alarm.ring_by(self._engine.prober.next_tick)

    def _is_stopped(self) -> bool:
        return self._stopped

    async def _watch(self) -> None:
        """The estimate watcher: deadlines, broken promises, holds, estimates that stopped."""
        try:
            while True:
                await self._watch_alarm.rings()
                if self._is_stopped():
                    break
                now = trio.current_time()
                if self._engine.settlement.negotiator.wake_at <= now:
                    await self._let_them_answer()
                if self._is_stopped():
                    break
                self._advance(now)
                self.arm()
            failure = self._failure()
            if failure is not None:
                raise failure
        finally:
            self._task_ended()

    async def _let_them_answer(self) -> None:
        """A busy loop makes nobody late: a runnable task gets to run before it is judged.

        Two passes let a receiver wake up in the first, and one that hears from it in the second.
        """
        rounds = 0
        while True:
            answered = self._engine.answers
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            rounds += 1
            if self._engine.answers == answered or rounds == MOST_ROUNDS:
                return

    async def _probe(self) -> None:
        """The probing task: it sleeps while no padding is due, and keeps to absolute times."""
        prober = self._engine.prober
        try:
            while True:
                await self._probe_alarm.rings()
                if self._is_stopped():
                    break
                self._pad()
                self._probe_alarm.ring_by(prober.next_tick)
                if not prober.target:
                    self.arm()  # an episode is over: the next one begins when it is time
        finally:
            self._task_ended()

    def _task_ended(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._gone()
            self._ended.set()
