"""What the checks of a receiver stand on: its rules, and its life with an allocator that records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import ClassVar, TypeAlias, cast

import trio
from attrs import frozen

from ..engine.negotiator import AnswerError
from ..engine.receiver import Receiver
from ..interface import ConnectionAllocator, ReceiverHandle
from ..messages import AcceptDecrease, BufferSent, DecreaseAllocation, RejectDecrease
from ..shell.lifetime import living
from ..shell.registration import Registration
from .recording import Call, RecordingAllocator
from .violation import InvariantError
from .virtual import Watchman

RECEIVER_RULES: Mapping[str, str] = {
    "R1": "It registers once, with a bandwidth that it can use",
    "R2": "It complies with every grant",
    "R3": "A request gets one answer, in time",
    "R4": "A promise is kept at once",
    "R5": "No moment is a bad one",
    "R6": "It pads what it is asked for, and no more",
    "R7": "It lives as long as its registration",
    "R8": "Cancelled, it leaves nothing behind",
    "R9": "It sleeps while there is nothing to do",
}
"""Id of every rule that `check_track_receiver` checks to its title.

* R1: One registration, within a second. Its bandwidth is no more than the highest step of its
  ladder or, without a ladder, than `ANY_TRACK`.
* R2: What it reports by `buffer_sent`, once a key frame may have come, stays within what it was
  granted, whether it was forced or gave it up itself. It reports something while it may send.
* R3: Every request that it could read is answered, before the deadline and just once; none is that
  was withdrawn unread, or that it never got. To go down by enough is an answer as well.
* R4: A receiver that accepts asks for less than it holds in the same act, or before virtual time moves.
* R5: It goes on, and raises nothing, whatever it is told and when: asked or granted nothing right
  after registering, asked twice in a row or at its lowest, granted the same again, padding of any
  size.
* R6: Padding is reported with ``padding=True``: some if it is asked for, but never more than that,
  and none before. A receiver that can not pad has nothing to keep here.
* R7: It ends within a second, and raises nothing, when its allocator or its registration is closed
  at any time, and it does not end before.
* R8: When it is cancelled it ends within a second; no task and no registration is left.
* R9: The steps that its tasks take per virtual second are bounded, and so are the messages.
"""

ReceiverMaker: TypeAlias = Callable[[ConnectionAllocator], Awaitable[object]]
"""Registers with an allocator and runs the receiver, its media included, until it is cancelled or
its registration has ended."""

ANY_TRACK = 1_000_000_000
"""No single track sends more, bit/s."""
PROMPTLY = 1.0
"""What is to happen at once may take so long, virtual s: tasks have something to finish."""
WARM_UP = 3.0
"""So long after the start, or after a raise, media flows, s."""


class ReceiverRuleError(InvariantError):
    """A rule for receivers is broken; see `RECEIVER_RULES`.

    Attributes:
        invariant: Its id, such as ``"R2"``.
    """

    titles: ClassVar[Mapping[str, str]] = RECEIVER_RULES


class Complaint(Exception):  # noqa: N818 - one is no error, but makes one
    """What a check has to say.

    Attributes:
        rule: The id of the rule that is broken; None for the one that is being checked.
    """

    def __init__(self, text: str, rule: str | None = None) -> None:
        super().__init__(text)
        self.rule: str | None = rule


def insist(holds: object, complaint: str, rule: str | None = None) -> None:
    """Insist on something, under the rule that is being checked or another one."""
    if not holds:
        raise Complaint(complaint, rule)


@frozen
class ReceiverBench:
    """Where one rule is checked, in a Trio run of its own; see `check_track_receiver`."""

    make: ReceiverMaker
    grace: float
    tolerance: float
    negotiation_timeout: float
    wakeups: int
    watchman: Watchman

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Let a receiver live as long as a block."""
        return living(partial(Session, self))


class Session:
    """One life of a receiver, and its allocator."""

    failure: None = None
    """It has none of its own: what its receiver raises is judged."""

    def __init__(self, bench: ReceiverBench, nursery: trio.Nursery) -> None:
        self.bench: ReceiverBench = bench
        self.allocator: RecordingAllocator = RecordingAllocator(
            negotiation_timeout=bench.negotiation_timeout
        )
        self.receiver: ReceiverHandle
        self._scope = trio.CancelScope()
        self._over = trio.Event()
        self._error: Exception | None = None
        nursery.start_soon(self._live)

    async def _live(self) -> None:  # noqa: ASYNC910 - that is up to whoever is checked
        try:
            with self._scope:
                await self.bench.make(self.allocator)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is judged
            self._error = error
        finally:
            self._over.set()

    def close(self) -> None:
        """Cancel the receiver."""
        self._scope.cancel()

    async def start(self) -> None:
        """Wait until it has registered."""
        with trio.move_on_after(PROMPTLY):
            await self.allocator.wait_for_receivers(1)
        self._check_error("R5")
        insist(self.allocator.receivers, f"it has not registered within {PROMPTLY} s", "R1")
        self.receiver = self.allocator.receivers[0]

    @property
    def record(self) -> Receiver:
        """What the allocator knows of it."""
        return cast("Registration", self.receiver).receiver

    @property
    def top(self) -> int:
        """The most that it can use, as far as one can know, bit/s."""
        cap = self.receiver.options.max_bitrate
        top = max(max(self.receiver.track.steps, default=1_000_000), self.receiver.claim)
        return top if cap is None else min(top, cap)

    async def let(self, seconds: float) -> None:
        """Let time pass; the receiver has to live on."""
        with trio.move_on_after(seconds):
            await self._over.wait()
        self._check_error("R5")
        insist(not self._over.is_set(), "it ended, and nobody had closed or cancelled it", "R7")

    async def end(self, why: str) -> None:
        """Wait for its end, which is due."""
        with trio.move_on_after(PROMPTLY):
            await self._over.wait()
        self._check_error(None)
        insist(self._over.is_set(), f"{why}, it was not over within {PROMPTLY} s")

    def _check_error(self, rule: str | None) -> None:
        if self._error is None:
            return
        for call in self.answers():  # what raised may be an answer that was refused
            if call.error is not None:
                invented = (
                    isinstance(call.error, AnswerError) or call.what.receiver_id != self.record.id
                )
                rule = "R3" if invented else "R4"
        raise Complaint(f"it raised {self._error!r}", rule) from self._error

    async def fill(self) -> int:
        """Let it hold all that it can use, and send that; returns what it holds then, bit/s."""
        self.allocator.grant_requests = True
        if self.receiver.allocation < self.top:
            self.allocator.grant(self.receiver, self.top)
        await self.let(WARM_UP)
        return self.receiver.allocation

    def ask(self, share: float) -> DecreaseAllocation | None:
        """Ask it to go down to a share of what it holds, if it may be asked."""
        held = self.receiver.allocation
        if not self.receiver.options.negotiable or not held:
            return None
        return self.allocator.ask(self.receiver, held * share)

    def pad(self, size: int) -> None:
        """Ask it for padding, bytes, if it can pad."""
        if self.receiver.options.can_pad:
            self.allocator.pad(self.receiver, size)

    def packets(self, *, since: int = 0, padding: bool | None = None) -> list[float]:
        """The sizes of the packets reported since some call: media, padding or (None) both."""
        return [
            call.what.size
            for call in self.allocator.calls[since:]
            if isinstance(call.what, BufferSent) and call.taken
            if padding in (None, call.what.padding)
        ]

    def answers(self) -> list[Call[AcceptDecrease] | Call[RejectDecrease]]:
        """All answers, those that did not count included."""
        calls_of = self.allocator.calls_of
        return [*calls_of(AcceptDecrease), *calls_of(RejectDecrease)]


def _grant_again(session: Session) -> None:
    for _ in range(2):
        session.allocator.grant(session.receiver, session.receiver.allocation)


def _ask_twice(session: Session) -> None:
    session.ask(0.75)
    session.ask(0.5)


def _ask_at_its_lowest(session: Session) -> None:
    lowest = min(session.receiver.track.steps, default=1)
    session.allocator.grant(session.receiver, max(lowest, session.receiver.options.min_bitrate))
    session.ask(0.5)


def _grant_and_ask(session: Session) -> None:
    session.allocator.grant(session.receiver, session.receiver.allocation // 2)
    session.ask(0.5)


def _force_while_asked(session: Session) -> None:
    session.ask(0.25)
    session.allocator.grant(session.receiver, session.receiver.allocation * 3 // 4)


def _ask_and_withdraw(session: Session) -> None:
    session.ask(0.5)
    session.allocator.withdraw(session.receiver)


MOMENTS: Mapping[str, Callable[[Session], object]] = {
    "asked": lambda session: session.ask(0.5),
    "asked to hold nothing": lambda session: session.ask(0.0),
    "asked twice in a row": _ask_twice,
    "asked at its lowest": _ask_at_its_lowest,
    "asked, and then not any more": _ask_and_withdraw,
    "forced while it was asked": _force_while_asked,
    "granted something and asked at once": _grant_and_ask,
    "granted nothing": lambda session: session.allocator.grant(session.receiver, 0),
    "granted the same again": _grant_again,
    "granted more than it can use": lambda session: session.allocator.grant(
        session.receiver, 2 * session.top
    ),
    "asked for a byte of padding": lambda session: session.pad(1),
    "asked for a packet of padding": lambda session: session.pad(1200),
    "asked for a lot of padding": lambda session: session.pad(1_000_000),
}
"""What may happen to a receiver at any time."""
