"""A receiver's mailbox: it conflates, so nobody ever waits for a receiver that does not read.

It holds the newest grant, at most one decrease request, and the padding due; they are read in
that order. What is taken is taken after the last checkpoint of `Mailbox.receive`, so that nothing
withdrawn is ever handed out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import trio

from ..engine.probing.padding import Padding, PaddingAccount
from ..messages import AllocationGranted, AllocatorMessage, DecreaseAllocation, SendPadding


class RegistrationEndedError(trio.ClosedResourceError, trio.EndOfChannel):
    """The registration, or its allocator, has ended.

    It is a `trio.ClosedResourceError` to the caller of an operation, and the end of the channel
    to an iteration: an ``async for`` over a receiver just ends.
    """


Ending: TypeAlias = Callable[[], Exception]
"""Makes what is raised from now on: a new one each time, for an exception that is raised again
keeps the traceback, and so the frames, of every time before."""


class Mailbox:
    """What one receiver has not read yet. One task reads it.

    Args:
        receiver_id: Whose it is.
        account: Padding due to this receiver.
        padding: Where padding that is read is booked; None where there is none to read.
    """

    __slots__ = ("_account", "_ending", "_grant", "_padding", "_reader", "_receiver_id", "_request")

    def __init__(self, receiver_id: int, account: PaddingAccount, padding: Padding | None) -> None:
        self._receiver_id = receiver_id
        self._account = account
        self._padding = padding
        self._grant: AllocationGranted | None = None
        self._request: DecreaseAllocation | None = None
        self._reader: trio.lowlevel.Task | None = None
        self._ending: Ending | None = None

    def put_grant(self, grant: AllocationGranted) -> None:
        """Put a grant; it replaces an unread one (G1)."""
        self._grant = grant
        self.wake()

    def put_request(self, request: DecreaseAllocation) -> None:
        """Put a decrease request."""
        self._request = request
        self.wake()

    def revise_request(self, request: DecreaseAllocation) -> None:
        """Put another form of the decrease request in its place, if it is unread."""
        if self._request is not None:
            self._request = request

    def withdraw_request(self) -> None:
        """Take the decrease request back, if it is unread."""
        self._request = None

    def end(self, ending: Ending) -> None:
        """Unread messages die; a reader, now or later, gets the reason."""
        self._grant = self._request = None
        self._account.unread = 0
        self._ending = ending
        self.wake()

    def wake(self) -> None:
        """Let the reader look, if one waits."""
        reader = self._reader
        if reader is not None:
            self._reader = None
            trio.lowlevel.reschedule(reader)

    async def receive(self) -> AllocatorMessage:
        """Wait for a message and take it; see `ReceiverHandle`."""
        if self._ending or self._grant or self._request or self._account.unread:
            await trio.lowlevel.checkpoint()
        else:
            await self._wait()
        while (message := self._take()) is None:
            await self._wait()
        return message

    async def _wait(self) -> None:
        """Sleep until there may be something to read."""
        if self._reader is not None:
            await trio.lowlevel.checkpoint()
            raise trio.BusyResourceError("another task is reading this receiver")
        self._reader = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)

    def _stop_waiting(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def receive_nowait(self) -> AllocatorMessage:
        """Take a message, or raise `trio.WouldBlock`."""
        message = self._take()
        if message is None:
            raise trio.WouldBlock
        return message

    def _take(self) -> AllocatorMessage | None:
        if self._ending is not None:
            raise self._ending()
        message: AllocatorMessage | None = None
        if self._grant is not None:
            message, self._grant = self._grant, None
        elif self._request is not None:
            message, self._request = self._request, None
        elif self._account.unread and self._padding is not None:
            size = self._padding.read(self._receiver_id, self._account)
            message = SendPadding(size, self._receiver_id)
        return message
