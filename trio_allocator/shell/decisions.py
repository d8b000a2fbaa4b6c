"""Decisions, told to those who listen: typed, bounded, and never a brake."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from types import TracebackType
from typing import Self

import trio
from attrs import frozen

from ..engine.causes import Cause
from ..engine.engine import Engine
from ..engine.negotiation import RefusalKind
from ..engine.settlement import Effect, RequestRevised, RequestWithdrawn
from ..messages import AllocationGranted, GrantReason
from .mailbox import Ending


class Act(StrEnum):
    """What was decided."""

    JOINED = "joined"
    LEFT = "left"
    GRANTED = "granted"
    LOWERED = "lowered"
    FORCED = "forced"
    ASKED = "asked"
    """A decrease was asked for."""
    REVISED = "revised"
    """... another one than before, in the same request."""
    WITHDRAWN = "withdrawn"
    """A decrease request is void."""


class DecisionReason(StrEnum):
    """Why."""

    REGISTERED = "what it already sends is allocated without question"
    CLOSED = "its registration ended"
    FITS = "it waited for more, and this much fits now"
    OWN_WISH = "it asked for less, or for what it holds"
    RECONFIGURED = "its ladder or its options changed"
    KEPT_WORD = "it had been asked to"
    OVERUSE = "more is allocated than the estimate and the limits allow"
    MAKE_ROOM = "others, whose turn it is, wait for it"
    APPLICATION = "the application took it"
    NOBODY_LEFT = "it refused, and nobody was left to ask"
    BROKEN_PROMISE = "it accepted a decrease, and did not ask for less in time"
    SILENCE = "it did not answer in time"
    GIVEN = "it gave what it was asked for before it answered"
    NO_NEED = "the need for it has gone"
    NO_ESTIMATE = "the estimate is no longer known"
    NOT_NEGOTIABLE = "it may not be asked any more"


@frozen
class Decision:
    """One decision of an allocator. Rates are bit/s, times seconds of the allocator's clock.

    Attributes:
        time: When.
        cause: The event in whose handling it was made.
        receiver_id: Whom it concerns.
        act: What was decided.
        before: What the receiver held.
        after: What it holds now; of a decrease asked for, what it would hold.
        reason: Why; its value says it in words.
        estimate: The estimate in force; None while it is unknown.
    """

    time: float
    cause: Cause
    receiver_id: int
    act: Act
    before: int
    after: int
    reason: DecisionReason
    estimate: int | None

    def __str__(self) -> str:
        return (
            f"{self.time:.3f} s: receiver {self.receiver_id} {self.act}, {self.before} to "
            f"{self.after} bit/s, on {self.cause}: {self.reason}"
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


class Herald:
    """Turns what an engine says into decisions, while anybody listens.

    Args:
        engine: Whose decisions.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: dict[int, int] = {}
        self._asked: set[int] = set()
        self.listeners: list[DecisionChannel] = []

    def open(self, capacity: int) -> DecisionChannel:
        """Let somebody listen from now on."""
        if not self.listeners:
            self._held = {receiver.id: receiver.allocation for receiver in self._engine.ledger}
            self._asked = set(self._engine.settlement.negotiator.outstanding)
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
        if not self.listeners:
            return
        engine = self._engine
        by_time = engine.by_time
        self._tell_all(effects[:by_time], Cause.TIME)
        self._tell_of_members()
        self._tell_all(effects[by_time:], engine.cause)
        self._asked = set(engine.settlement.negotiator.outstanding)

    def _put(
        self, cause: Cause, receiver_id: int, act: Act, after: int, reason: DecisionReason
    ) -> None:
        engine = self._engine
        before = self._held.get(receiver_id, 0)
        decision = Decision(
            engine.now, cause, receiver_id, act, before, after, reason, engine.estimates.value
        )
        for channel in self.listeners:
            channel.put(decision)

    def _tell_of_members(self) -> None:
        engine = self._engine
        if engine.cause is Cause.REGISTRATION:
            joined = engine.ledger[engine.ledger.entered]
            self._put(
                engine.cause, joined.id, Act.JOINED, joined.allocation, DecisionReason.REGISTERED
            )
            self._held[joined.id] = joined.allocation
        elif engine.cause is Cause.LEAVING:
            for receiver_id in self._held.keys() - {receiver.id for receiver in engine.ledger}:
                self._put(engine.cause, receiver_id, Act.LEFT, 0, DecisionReason.CLOSED)
                del self._held[receiver_id]

    def _tell_all(self, effects: Sequence[Effect], cause: Cause) -> None:
        following: list[Effect | None] = [*effects, None][1:]
        for effect, after in zip(effects, following, strict=True):
            receiver_id = effect.receiver_id
            if receiver_id not in self._engine.ledger:
                continue  # it leaves in this very event
            held = self._held[receiver_id]
            if isinstance(effect, AllocationGranted):
                act, reason = self._of_grant(effect, cause)
                self._put(cause, receiver_id, act, effect.allocation, reason)
                self._held[receiver_id] = effect.allocation
            elif isinstance(effect, RequestWithdrawn):
                reason = self._of_withdrawal(effect, after, cause)
                self._put(cause, receiver_id, Act.WITHDRAWN, held, reason)
            elif isinstance(effect, RequestRevised):
                limit = effect.request.limit
                self._put(cause, receiver_id, Act.REVISED, limit, DecisionReason.RECONFIGURED)
            else:
                self._asked.add(receiver_id)
                over = self._engine.ledger.committed > (self._engine.usable or 0)
                reason = DecisionReason.OVERUSE if over else DecisionReason.MAKE_ROOM
                self._put(cause, receiver_id, Act.ASKED, effect.limit, reason)

    def _of_grant(self, grant: AllocationGranted, cause: Cause) -> tuple[Act, DecisionReason]:
        match grant.reason:
            case GrantReason.GRANTED:
                return Act.GRANTED, DecisionReason.FITS
            case GrantReason.BREACH:
                return Act.FORCED, DecisionReason.BROKEN_PROMISE
            case GrantReason.FORCED:
                refused = self._engine.ledger[grant.receiver_id].refusal is not None
                by_application = cause is Cause.FORCE and not refused
                return Act.FORCED, (
                    DecisionReason.APPLICATION if by_application else DecisionReason.NOBODY_LEFT
                )
            case GrantReason.LOWERED:
                if cause is Cause.CONFIGURE:
                    return Act.LOWERED, DecisionReason.RECONFIGURED
                kept = grant.receiver_id in self._asked
                return Act.LOWERED, DecisionReason.KEPT_WORD if kept else DecisionReason.OWN_WISH

    def _of_withdrawal(
        self, effect: RequestWithdrawn, following: Effect | None, cause: Cause
    ) -> DecisionReason:
        receiver = self._engine.ledger[effect.receiver_id]
        if (
            isinstance(following, AllocationGranted)
            and following.receiver_id == receiver.id
            and following.reason is GrantReason.LOWERED
        ):
            return DecisionReason.GIVEN
        if not receiver.options.negotiable:
            return DecisionReason.NOT_NEGOTIABLE
        if self._engine.estimates.value is None:
            return DecisionReason.NO_ESTIMATE
        refusal = receiver.refusal
        if cause is Cause.TIME and refusal is not None and refusal.kind is RefusalKind.SILENT:
            return DecisionReason.SILENCE
        return DecisionReason.NO_NEED
