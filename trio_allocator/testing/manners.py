"""How receivers behave: honest ones, and all kinds that an allocator has to live with."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial

import trio

from ..messages import DecreaseAllocation, SendPadding
from .bench import Terms
from .levels import below, steps
from .observer import Member, Observer
from .violation import InvariantError


class Manner(Enum):
    """What a receiver does with a request to decrease."""

    HONEST = "accepts, and goes to the limit in the same act"
    SEPARATE = "accepts, and requests the limit afterwards"
    STEPPING = "accepts, and goes one step down"
    SLOW = "as an honest one, just in time"
    LATE = "as an honest one, too late"
    SILENT = "reads, and does not answer"
    DEAF = "does not read"
    REFUSING = "rejects"
    LYING = "accepts, and never requests less"
    HAGGLING = "accepts, and gives one bit/s"
    FLAPPING = "accepts, goes to the limit, and asks for all of it again"
    TWICE = "as an honest one, and answers once more"
    CONFUSED = "answers requests that were never made, then as an honest one"
    CRASHING = "raises"
    LEAVING = "leaves"


HONEST = frozenset({Manner.HONEST, Manner.SEPARATE, Manner.TWICE, Manner.CONFUSED})
"""Manners that do in time all that is asked of them, whatever else they do."""


class ReceiverCrashError(Exception):
    """What a receiver raises that crashes."""


class Behaviour:
    """One receiver: a task that reads its messages and reacts in its manner.

    Args:
        observer: Judges all that happens.
        member: What it knows of this receiver.
        manner: How it behaves.
        terms: The times that the allocator states.
    """

    def __init__(self, observer: Observer, member: Member, manner: Manner, terms: Terms) -> None:
        self.member: Member = member
        self.manner: Manner = manner
        self.busy: bool = manner is Manner.DEAF
        self.scope: trio.CancelScope = trio.CancelScope()
        self._observer = observer
        self._terms = terms

    async def run(self) -> None:  # noqa: ASYNC910 - a crash or a leave may come first
        """Live until the registration ends, or until cancelled; then leave."""
        try:
            with self.scope:
                if self.manner is Manner.DEAF:
                    await trio.sleep_forever()
                async for message in self.member.handle:
                    self._observer.heard(self.member, message)
                    if isinstance(message, SendPadding):
                        self._observer.call(
                            self.member,
                            partial(self.member.handle.buffer_sent, message.size, padding=True),
                        )
                    elif isinstance(message, DecreaseAllocation):
                        await self._react(message)
        except (ReceiverCrashError, trio.ClosedResourceError, trio.BrokenResourceError):
            # It crashed, as tasks of applications do; or its registration ended before it spoke.
            # The opener of an allocator is told why it failed (L3).
            pass
        except InvariantError as violation:
            self._observer.violations.append(violation)
        finally:
            self._observer.leave(self.member)

    async def _react(self, request: DecreaseAllocation) -> None:  # noqa: ASYNC910 - most do at once
        observer, member = self._observer, self.member
        handle = member.handle

        def accept(bitrate: int | None = None) -> bool:
            return observer.answer(member, request, accept=True, bitrate=bitrate)

        match self.manner:
            case Manner.HONEST:
                accept(request.limit)
            case Manner.SEPARATE:
                accept()
                observer.call(member, handle.request_allocation, request.limit)
            case Manner.STEPPING:
                half = (handle.allocation + request.limit) // 2
                step = below(handle, handle.allocation) if steps(handle) else half
                accept(max(step, request.limit))
            case Manner.SLOW:
                await self._pause(0.9)
                if handle.allocation > request.limit:
                    accept(request.limit)
            case Manner.LATE:
                await self._pause(2.0)
                if handle.allocation > request.limit:
                    accept(request.limit)
            case Manner.REFUSING:
                observer.answer(member, request, accept=False)
            case Manner.LYING:
                accept()
            case Manner.HAGGLING:
                accept(handle.allocation - 1)
            case Manner.FLAPPING:
                claim = handle.claim
                accept(request.limit)
                observer.call(member, handle.request_allocation, claim)
            case Manner.TWICE:
                accept(request.limit)
                self._answer_in_vain(request)
            case Manner.CONFUSED:
                self._answer_in_vain(
                    DecreaseAllocation(handle.allocation, 0, request.request_id + 1, handle.id + 1)
                )
                accept(request.limit)
            case Manner.CRASHING:
                raise ReceiverCrashError
            case Manner.LEAVING:
                self._observer.leave(self.member)
            case Manner.SILENT | Manner.DEAF:
                pass

    async def _pause(self, timeouts: float) -> None:
        self.busy = True
        await trio.sleep(timeouts * self._terms.negotiation_timeout)
        self.busy = False

    def _answer_in_vain(self, request: DecreaseAllocation) -> None:
        """Answer what one may not answer (again): it raises, and changes nothing (N2)."""
        observer, member = self._observer, self.member
        before = [other.handle.allocation for other in observer.members]
        for answer in (member.handle.accept_decrease, member.handle.reject_decrease):
            self._expect_value_error(answer, request)
        after = [other.handle.allocation for other in observer.members]
        observer.demand(before == after, "N2", f"a void answer made {before} into {after}")

    def _expect_value_error(
        self, answer: Callable[[DecreaseAllocation], bool], request: DecreaseAllocation
    ) -> None:
        try:
            counts = answer(request)
        except ValueError:
            return
        self._observer.demand(False, "N2", f"a void answer to {request} returned {counts}")
