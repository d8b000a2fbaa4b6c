"""A bottleneck in virtual time: a queue in front of a rate, then a delay, and now and then a loss.

`Bottleneck` computes when a packet arrives at the moment it is sent, and knows no Trio.
`MemoryLink` is the same with a receiving side that waits. Neither needs a task of its own.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from random import Random
from typing import Generic, TypeAlias, TypeVar

import trio
from attrs import frozen

from .. import quantities

T = TypeVar("T")

Capacity: TypeAlias = float | Sequence[tuple[float, float]]
"""bit/s: a number, or steps of (seconds from the start, bit/s), ascending, the first at 0."""


@frozen
class Delivery(Generic[T]):
    """A packet that came through.

    Attributes:
        payload: What was sent.
        size: Its size, bytes.
        sent_at: When it was sent, s.
        arrives_at: When it arrives, s.
        order: Its number among all that were sent, from 0: those missing were dropped or lost.
    """

    payload: T
    size: int
    sent_at: float
    arrives_at: float
    order: int


@frozen(kw_only=True)
class LinkStatistics:
    """What became of the packets, and the queue as it is now.

    Attributes:
        sent: Packets handed in. What is in none of the next three is still under way.
        delivered: Those taken out on the other side.
        dropped: Those that the queue had no room for.
        lost: Those that went through the bottleneck, and get lost behind it.
        bytes_sent: Bytes handed in.
        bytes_delivered: Bytes taken out.
        queue_bytes: Bytes in the queue; the packet that is being transmitted counts whole.
        queue_delay: How long a packet sent now would wait before it is transmitted, s.
    """

    sent: int
    delivered: int
    dropped: int
    lost: int
    bytes_sent: int
    bytes_delivered: int
    queue_bytes: int
    queue_delay: float


class _Schedule:
    """A rate that changes in steps. It computes in fractions: a run of packets must not drift."""

    def __init__(self, capacity: Capacity, start: float) -> None:
        steps = capacity if isinstance(capacity, Sequence) else [(0, capacity)]
        times = [_not_negative("capacity step", time, "seconds") for time, _rate in steps]
        if not times or times[0] != 0 or any(map(float.__le__, times[1:], times)):
            raise ValueError(f"capacity steps must ascend from 0 seconds, got {capacity!r}")
        self._times = [Fraction(start) + Fraction(time) for time in times]
        self._rates = [quantities.bitrate("capacity", rate) for _time, rate in steps]

    def rate(self, now: float) -> int:
        """The rate at a time, bit/s."""
        return self._rates[self._step(now)]

    def finish(
        self, start: Fraction, bits: Fraction
    ) -> tuple[Fraction, Fraction, Fraction | float]:
        """When so many bits, begun at a time, are through.

        Returns:
            The last step up to then, as a time to compute from: since when, s; how many of the bits
            were left then; and when they are through, s, infinite if they never are.
        """
        step = self._step(start)
        for end in self._times[step + 1 :]:
            room = self._rates[step] * (end - start)
            if bits <= room and self._rates[step]:
                break
            step, start, bits = step + 1, end, bits - room
        rate = self._rates[step]
        return start, bits, start + bits / rate if rate else math.inf

    def _step(self, now: float | Fraction) -> int:
        return max(0, bisect_right(self._times, now) - 1)


class Bottleneck(Generic[T]):
    """The link without Trio: it is told the time, which never goes back.

    Args:
        capacity: bit/s, or steps of (seconds from the start, bit/s). At a capacity of 0 nothing
            moves until the next step.
        start: When the link and its steps begin, s.
        queue_size: What does not fit into the queue is dropped, bytes.
        delay: From the end of a packet's transmission to its arrival, s.
        loss: The probability that a packet gets lost behind the bottleneck.
        seed: Which packets those are.

    Raises:
        TypeError, ValueError: An argument is not usable.
    """

    def __init__(
        self,
        capacity: Capacity,
        *,
        start: float = 0.0,
        queue_size: float = 100_000,
        delay: float = 0.0,
        loss: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._schedule = _Schedule(capacity, start)
        self._queue_size = quantities.size("queue_size", queue_size)
        self._delay = _not_negative("delay", delay, "seconds")
        self._loss = _not_negative("loss", loss, "a probability")
        if self._loss > 1:
            raise ValueError(f"loss must be at most 1 (a probability), got {loss!r}")
        self._chance = Random(seed)  # noqa: S311 - reproducible, not secret
        self._queue: deque[tuple[Fraction | float, int]] = deque()
        self._queue_bytes = 0
        # While the bottleneck is busy, the end of every packet is computed from where that began,
        # or from the last step: chained from packet to packet, the fractions would grow.
        self._busy_since = Fraction(start)
        self._busy_bits = Fraction(0)
        self._free_at: Fraction | float = start
        self._under_way: deque[Delivery[T]] = deque()
        self._sent = self._delivered = self._dropped = self._lost = 0
        self._bytes_sent = self._bytes_delivered = 0

    @property
    def next_arrival(self) -> float:
        """When the next packet arrives, s; infinite if none ever will."""
        return self._under_way[0].arrives_at if self._under_way else math.inf

    def capacity(self, now: float) -> int:
        """The capacity at a time, bit/s."""
        return self._schedule.rate(now)

    def send(self, now: float, payload: T, size: float | None = None) -> bool:
        """Send a packet; see `MemoryLink.send_nowait`."""
        whole = _size_of(payload) if size is None else quantities.size("size", size)
        order = self._sent
        self._sent += 1
        self._bytes_sent += whole
        self._drain(now)
        if self._queue_bytes + whole > self._queue_size:
            self._dropped += 1
            return False
        if self._free_at <= now:
            self._busy_since, self._busy_bits = Fraction(now), Fraction(0)
        self._busy_since, self._busy_bits, self._free_at = self._schedule.finish(
            self._busy_since, self._busy_bits + 8 * whole
        )
        self._queue.append((self._free_at, whole))
        self._queue_bytes += whole
        if self._chance.random() < self._loss:
            self._lost += 1
            return True
        at = float(self._free_at) + self._delay
        self._under_way.append(Delivery(payload, whole, sent_at=now, arrives_at=at, order=order))
        return True

    def take(self, now: float) -> Delivery[T] | None:
        """Take out the next packet, if it has arrived."""
        if self.next_arrival > now:
            return None
        delivery = self._under_way.popleft()
        self._delivered += 1
        self._bytes_delivered += delivery.size
        return delivery

    def statistics(self, now: float) -> LinkStatistics:
        """What became of the packets until now."""
        self._drain(now)
        return LinkStatistics(
            sent=self._sent,
            delivered=self._delivered,
            dropped=self._dropped,
            lost=self._lost,
            bytes_sent=self._bytes_sent,
            bytes_delivered=self._bytes_delivered,
            queue_bytes=self._queue_bytes,
            queue_delay=max(0.0, float(self._free_at) - now),
        )

    def _drain(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            self._queue_bytes -= self._queue.popleft()[1]


class MemoryLink(trio.abc.ReceiveChannel[Delivery[T]]):
    """A link of limited bandwidth for tests in virtual time: one side sends, the other receives.

    ::

        link = MemoryLink[bytes]([(0, 2_000_000), (10, 500_000)], delay=0.03)
        link.send_nowait(packet)
        async for delivery in link:
            ...

    It starts when it is made, in a Trio run. Packets arrive in the order in which they were sent;
    several tasks may receive. The arguments are those of `Bottleneck`, but for the start.
    """

    def __init__(
        self,
        capacity: Capacity,
        *,
        queue_size: float = 100_000,
        delay: float = 0.0,
        loss: float = 0.0,
        seed: int = 0,
    ) -> None:
        start = trio.current_time()
        self._core: Bottleneck[T] = Bottleneck(
            capacity, start=start, queue_size=queue_size, delay=delay, loss=loss, seed=seed
        )
        self._receivers = trio.lowlevel.ParkingLot()
        self._ended = False
        self._closed = False

    @property
    def capacity(self) -> int:
        """The capacity now, bit/s."""
        return self._core.capacity(trio.current_time())

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


def _not_negative(name: str, value: float, unit: str) -> float:
    if value == 0 and not isinstance(value, bool):
        return 0.0
    return quantities.positive(name, value, unit)


def _size_of(packet: object) -> int:
    if isinstance(packet, bytes | bytearray | memoryview):
        octets: memoryview[int] = memoryview(packet)
        return octets.nbytes
    size: object = getattr(packet, "size", None)
    if size is None:
        raise TypeError(f"say how many bytes it has: {packet!r} has no size")
    return quantities.size("size", size)
