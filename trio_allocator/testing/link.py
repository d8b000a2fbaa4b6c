"""A link of limited bandwidth for tests in virtual time, with a receiving side that waits.

What becomes of a packet is worked out by a `Bottleneck`; this adds Trio, and no task.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import trio

from ..network.bottleneck import Bottleneck, Delivery, LinkStatistics
from ..network.capacity import Capacity
from ..network.impairments import Impairment

T = TypeVar("T")


class MemoryLink(trio.abc.ReceiveChannel[Delivery[T]]):
    """A link of limited bandwidth for tests in virtual time: one side sends, the other receives.

    ::

        link = MemoryLink[bytes]([(0, 2_000_000), (10, 500_000)], delay=0.03)
        link.send_nowait(packet)
        async for delivery in link:
            ...

    It starts when it is made, in a Trio run. Packets arrive in the order in which they were sent,
    unless an impairment lets them overtake; several tasks may receive. The arguments are those of
    `Bottleneck`, but for the start.
    """

    def __init__(
        self,
        capacity: Capacity,
        *,
        queue_size: float = 100_000,
        delay: float = 0.0,
        loss: float = 0.0,
        impairments: Sequence[Impairment] = (),
        report_delay: float | None = None,
        seed: int = 0,
    ) -> None:
        self._core: Bottleneck[T] = Bottleneck(
            capacity,
            start=trio.current_time(),
            queue_size=queue_size,
            delay=delay,
            loss=loss,
            impairments=impairments,
            report_delay=report_delay,
            seed=seed,
        )
        self._receivers = trio.lowlevel.ParkingLot()
        self._ended = False
        self._closed = False

    @property
    def capacity(self) -> int:
        """The capacity now, bit/s."""
        return self._core.capacity(trio.current_time())

    def set_capacity(self, capacity: float) -> None:
        """Give it another capacity from now on, bit/s; see `Bottleneck.set_capacity`."""
        self._core.set_capacity(trio.current_time(), capacity)
        self._receivers.unpark_all()

    def report_arrives(self) -> float | None:
        """When a report that the receiving side sends now arrives, s; None if it gets lost."""
        return self._core.report(trio.current_time())

    def far_clock(self, time: float) -> float:
        """What the receiving side's clock shows at a time, s."""
        return self._core.far_clock(time)

    def send_nowait(self, packet: T, size: float | None = None) -> bool:
        """Send a packet.

        Args:
            packet: Bytes, or anything.
            size: Its size, bytes. By default the number of bytes, or the attribute ``size`` of
                what is not bytes.

        Returns:
            Whether the queue had room for it.

        Raises:
            TypeError, ValueError: The size is not one, or there is none.
            trio.ClosedResourceError: The link was closed, or its sending side ended.
        """
        if self._ended or self._closed:
            raise trio.ClosedResourceError("nothing can be sent any more")
        queued = self._core.send(trio.current_time(), packet, size)
        self._receivers.unpark_all()
        return queued

    def receive_nowait(self) -> Delivery[T]:
        """Take the next packet if it has arrived.

        Raises:
            trio.WouldBlock: None has.
            trio.EndOfChannel: None will, for the sending side has ended.
            trio.ClosedResourceError: The link was closed.
        """
        if self._closed:
            raise trio.ClosedResourceError("this link was closed")
        delivery = self._core.take(trio.current_time())
        if delivery is not None:
            return delivery
        if self._ended and self._core.next_arrival == math.inf:
            raise trio.EndOfChannel
        raise trio.WouldBlock

    async def receive(self) -> Delivery[T]:
        """Wait for the next packet. Raises as `receive_nowait`, but for `trio.WouldBlock`."""
        await trio.lowlevel.checkpoint()
        while True:
            try:
                return self.receive_nowait()
            except trio.WouldBlock:
                pass
            with trio.CancelScope(deadline=self._core.next_arrival):
                await self._receivers.park()

    def statistics(self) -> LinkStatistics:
        """What became of the packets so far, and the queue as it is now."""
        return self._core.statistics(trio.current_time())

    def end(self) -> None:
        """End the sending side: what is under way still arrives, and then the channel ends."""
        self._ended = True
        self._receivers.unpark_all()

    def close(self) -> None:
        """Close both sides: what is under way is gone. May be called twice."""
        self._closed = True
        self._receivers.unpark_all()

    async def aclose(self) -> None:
        """`close`, then a checkpoint: the asynchronous form that Trio's channels share."""
        self.close()
        await trio.lowlevel.checkpoint()
