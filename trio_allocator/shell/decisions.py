"""Decisions, told to those who listen: typed, bounded, and never a brake."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import trio
from attrs import frozen

from ..engine.effects import Act as Act, Cause, DecisionReason as DecisionReason, Effect
from ..engine.engine import Engine
from .mailbox import Ending


@frozen
class Decision:
    """One decision of an allocator. Rates are bit/s, times seconds of the allocator's clock.

    Attributes:
        time: When.
        cause: The event in whose handling it was made.
        receiver_id: Whom it concerns.
        track_id: What that sends.
        act: What was decided.
        before: What the receiver held.
        after: What it holds now; of a decrease asked for, what it would hold.
        reason: Why; its value says it in words.
        estimate: The estimate in force; None while it is unknown.
    """

    time: float
    cause: Cause
    receiver_id: int
    track_id: str
    act: Act
    before: int
    after: int
    reason: DecisionReason
    estimate: int | None

    def __str__(self) -> str:
        known = "unknown" if self.estimate is None else f"{self.estimate} bit/s"
        return (
            f"{self.time:.3f} s: {self.track_id} (receiver {self.receiver_id}) {self.act}, "
            f"{self.before} to {self.after} bit/s, on {self.cause}: {self.reason} "
            f"(estimate {known})"
        )


class DecisionChannel(trio.abc.ReceiveChannel[Decision]):
    """The decisions of an allocator from now on, for one who listens.

    It is read like any channel of Trio's, by one task or several. The allocator never waits for
    it: if nobody reads in time, the oldest are dropped, and counted. It ends with the allocator,
    once what is unread has been read. Close it, or use it in ``with``, to listen no more.

    Attributes:
        dropped: How many decisions were dropped since nobody had read them.
    """

    def __init__(self, capacity: int) -> None:
        self._send, self._receive = trio.open_memory_channel[Decision](capacity)
        self._ending: Ending | None = None
        self.dropped: int = 0
        self.closed: bool = False

    def put(self, decision: Decision) -> None:
        """Take a decision; called by the allocator."""
        try:
            self._send.send_nowait(decision)
        except trio.WouldBlock:
            self._receive.receive_nowait()
            self.dropped += 1
            self._send.send_nowait(decision)

    def end(self, ending: Ending | None) -> None:
        """No more will come; called by the allocator."""
        self._ending = ending
        self._send.close()

    async def receive(self) -> Decision:
        """Wait for the next decision, and take it.

        Raises:
            trio.EndOfChannel: The allocator has ended, and all is read.
            trio.BrokenResourceError: The allocator has failed, and all is read.
            trio.ClosedResourceError: It was closed.
        """
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            if self._ending is None:
                raise
            raise self._ending() from None

    def receive_nowait(self) -> Decision:
        """Take the next decision without waiting.

        Raises:
            trio.WouldBlock: There is none.
            Exception: As `receive`.
        """
        try:
            return self._receive.receive_nowait()
        except trio.EndOfChannel:
            if self._ending is None:
                raise
            raise self._ending() from None

    def close(self) -> None:
        """Listen no more; what is unread is gone. May be called twice."""
        self.closed = True
        self._receive.close()
        self._send.close()

    async def aclose(self) -> None:
        """`close`, then a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class DecisionLog:
    """Hands the effects of an engine to those who listen, as decisions.

    Args:
        engine: Whose decisions.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.listeners: list[DecisionChannel] = []

    def open(self, capacity: int) -> DecisionChannel:
        """Let somebody listen from now on."""
        channel = DecisionChannel(capacity)
        self.listeners.append(channel)
        return channel

    def end(self, ending: Ending | None) -> None:
        """The allocator has ended; None if all is well."""
        for channel in self.listeners:
            channel.end(ending)
        self.listeners.clear()

    def tell(self, effects: Sequence[Effect]) -> None:
        """Let those who listen know of what came of the last event; call it if there are any."""
        self.listeners = [channel for channel in self.listeners if not channel.closed]
        time, estimate = self._engine.now, self._engine.estimates.value
        for effect in effects if self.listeners else ():
            decision = Decision(
                time,
                effect.cause,
                effect.receiver_id,
                effect.track_id,
                effect.act,
                effect.before,
                effect.after,
                effect.reason,
                estimate,
            )
            for channel in self.listeners:
                channel.put(decision)
