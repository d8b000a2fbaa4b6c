"""A bottleneck, packet by packet: a queue in front of a rate, then a way to go, and now and then a loss.

Where a packet goes, in this order:

1. An impairment may lose it before the queue (chance, an outage, a policer).
2. It waits in a drop-tail queue, and is transmitted at the rate of the schedule. While the link
   pauses, nothing is.
3. It takes the delay, and whatever impairments add to it. It may get lost here, too.

When it arrives is computed when it is sent. It leaves the link when all its bits are through, so
the link carries exactly what its capacity allows, however late its caller moves the packets.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Generic, NamedTuple, TypeVar

from attrs import evolve, frozen

from .. import quantities
from .capacity import Capacity, RateSchedule, not_negative
from .impairments import Effect, Episodes, Impairment

T = TypeVar("T")


class Passage(NamedTuple):
    """A packet's way through the link; all times in s.

    Attributes:
        waited: In the queue, behind others; its own transmission is not counted.
        left: When its last bit was transmitted; infinite if that never happens.
        arrives_at: When it is at the far end; infinite if it gets lost.
    """

    waited: float
    left: float
    arrives_at: float


_LOST = Passage(0.0, math.inf, math.inf)


@frozen
class Delivery(Generic[T]):
    """A packet that came through.

    Attributes:
        payload: What was sent.
        size: Its size, bytes.
        sent_at: When it was sent, s.
        arrives_at: When it arrives, s.
        order: Its number among all that were sent, from 0: those missing were dropped or lost.
        waited: How long it waited in the queue, s; its own transmission is not counted.
        left: When its last bit was transmitted, s.
    """

    payload: T
    size: int
    sent_at: float
    arrives_at: float
    order: int
    waited: float
    left: float


@frozen(kw_only=True)
class LinkStatistics:
    """What became of the packets, and the queue as it is now.

    Attributes:
        sent: Packets handed in. What is in none of the next three is still under way.
        delivered: Those taken out on the other side.
        dropped: Those that the queue had no room for.
        lost: Those that got lost before the queue or behind it.
        bytes_sent: Bytes handed in.
        bytes_delivered: Bytes taken out.
        queue_bytes: Bytes in the queue, those of a competing flow included; the packet that is
            being transmitted counts whole.
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


class Bottleneck(Generic[T]):
    """The link without Trio: it is told the time, which never goes back.

    Args:
        capacity: bit/s, or steps of (seconds from the start, bit/s). At a capacity of 0 nothing
            moves until the next step.
        start: When the link, its steps and its impairments begin, s.
        queue_size: What does not fit into the queue is dropped, bytes. An empty link takes a
            packet of any size.
        delay: From the end of a packet's transmission to its arrival, s.
        loss: The probability that a packet gets lost behind the bottleneck.
        impairments: What else befalls packets and reports; see `IMPAIRMENTS`.
        report_delay: How long a report from the far end takes, s. None for as long as `delay`.
        seed: Which packets get lost, and when what happens. Each impairment has chances of its
            own: one more does not change the others'.

    Raises:
        TypeError, ValueError: An argument is not usable.
    """

    def __init__(
        self,
        capacity: Capacity | RateSchedule,
        *,
        start: float = 0.0,
        queue_size: float = 100_000,
        delay: float = 0.0,
        loss: float = 0.0,
        impairments: Sequence[Impairment] = (),
        report_delay: float | None = None,
        seed: int = 0,
    ) -> None:
        self._schedule = (
            capacity if isinstance(capacity, RateSchedule) else RateSchedule(capacity, start=start)
        )
        self.start: float = start
        self.queue_size: int = quantities.size("queue_size", queue_size)
        self.delay: float = not_negative("delay", delay, "seconds")
        self._report_delay = (
            self.delay
            if report_delay is None
            else not_negative("report_delay", report_delay, "seconds")
        )
        self._loss = not_negative("loss", loss, "a probability")
        if self._loss > 1:
            raise ValueError(f"loss must be at most 1 (a probability), got {loss!r}")
        self._chance = Random(seed)  # noqa: S311 - reproducible, not secret
        effects: list[Effect] = []
        for number, impairment in enumerate(impairments):
            _check_kind(impairment)
            # A text as seed gives the same chances in every process, whatever its hash seed.
            chance = Random(f"{seed}/{number}/{type(impairment).__name__}")  # noqa: S311
            effects.append(impairment.begin(chance, self))
        self._entering = _that(effects, "enters")
        self._on_the_way = _that(effects, "arrives")
        self._reporting = _that(effects, "reports")
        self._clocks = _that(effects, "clock")
        self._traffic = _that(effects, "advance")
        self._pauses: list[Episodes] = [e.pauses for e in effects if e.pauses is not None]
        self._in_order = not any(effect.overtakes for effect in effects)

        self._now = -math.inf
        self._inside: deque[tuple[float, int, int]] = deque()  # left at, bytes, order
        self._queue_bytes = 0
        # While the link is busy, the end of every packet is computed from where that began, or
        # from the last step: chained from packet to packet, rounding errors would add up.
        self._since = start
        self._bits = 0.0
        self._free_at = -math.inf
        self._rate = 0
        self._until = -math.inf
        self._last_arrival = -math.inf

        self._under_way: list[tuple[float, int, Delivery[T]]] = []
        self._sent = self._delivered = self._dropped = self._lost = 0
        self._bytes_sent = self._bytes_delivered = 0

    # --- what is asked ---------------------------------------------------------------------------

    @property
    def next_arrival(self) -> float:
        """When the next packet arrives, s; infinite if none ever will."""
        return self._under_way[0][0] if self._under_way else math.inf

    @property
    def free_at(self) -> float:
        """When all that was sent is transmitted, s; before now if the link is idle."""
        return self._free_at

    @property
    def dropped(self) -> int:
        """Packets that the queue had no room for."""
        return self._dropped

    @property
    def lost(self) -> int:
        """Packets that got lost before the queue or behind it."""
        return self._lost

    def capacity(self, now: float) -> int:
        """The capacity at a time, bit/s; what impairments do to it is not counted."""
        return self._schedule.rate_at(now)

    def report(self, now: float) -> float | None:
        """When a report that the far end sends now arrives, s; None if it gets lost."""
        at = now + self._report_delay
        for effect in self._reporting:
            arrives = effect.reports(now, at)
            if arrives is None:
                return None
            at = arrives
        return at

    def far_clock(self, now: float) -> float:
        """What the clock of the far end shows, s: what its reports tell arrivals by."""
        shown = now
        for effect in self._clocks:
            shown = effect.clock(now, shown)
        return shown

    def statistics(self, now: float) -> LinkStatistics:
        """What became of the packets until now."""
        self._go_to(now)
        return LinkStatistics(
            sent=self._sent,
            delivered=self._delivered,
            dropped=self._dropped,
            lost=self._lost,
            bytes_sent=self._bytes_sent,
            bytes_delivered=self._bytes_delivered,
            queue_bytes=self._queue_bytes,
            queue_delay=max(0.0, self._free_at - now),
        )

    # --- packets ---------------------------------------------------------------------------------

    def offer(self, now: float, size: int) -> Passage | None:
        """Send a packet whose delivery is the caller's business: nothing is kept of it.

        Args:
            now: s; a time before that of the last call is taken for the latter.
            size: Bytes.

        Returns:
            Its way; None if the queue had no room for it.
        """
        order = self._sent
        self._sent += 1
        self._bytes_sent += size
        return self._pass(self._go_to(now), size, order)

    def send(self, now: float, payload: T, size: float | None = None) -> bool:
        """Send a packet; see `MemoryLink.send_nowait`."""
        whole = _size_of(payload) if size is None else quantities.size("size", size)
        order = self._sent
        passage = self.offer(now, whole)
        if passage is None:
            return False
        waited, left, at = passage
        # What waits for a capacity that never comes is under way; what got lost is not.
        if at < math.inf or (left == math.inf and passage is not _LOST):
            delivery = Delivery(payload, whole, now, at, order, waited, left)
            heapq.heappush(self._under_way, (at, order, delivery))
        return True

    def take(self, now: float) -> Delivery[T] | None:
        """Take out the next packet, if it has arrived."""
        if self.next_arrival > now:
            return None
        delivery = heapq.heappop(self._under_way)[2]
        self._delivered += 1
        self._bytes_delivered += delivery.size
        return delivery

    def compete(self, now: float, size: int) -> Passage | None:
        """Send a packet of another flow into the same queue: it is in no statistics.

        Returns:
            Its way; None if it was dropped.
        """
        return self._queue(now, size, -1)

    # --- live ------------------------------------------------------------------------------------

    def set_capacity(self, now: float, capacity: Capacity) -> None:
        """Give it another capacity from now on, in place of the schedule.

        What was sent and still waits leaves at the new rate; what was only offered has left.

        Args:
            now: s.
            capacity: bit/s, or steps of (seconds from now, bit/s).

        Raises:
            TypeError, ValueError: It is not a capacity.
        """
        schedule = RateSchedule(capacity, start=now)
        now = self._go_to(now)
        waiting = list(self._inside)
        self._inside.clear()
        self._queue_bytes = 0
        old = {order: delivery for at, order, delivery in self._under_way if at > now}
        before, self._schedule = self._schedule, schedule
        self._free_at = self._until = -math.inf
        for left, size, order in waiting:
            bits = 8.0 * size
            if not self._inside and left < math.inf:  # of the first, a part is through already
                bits = before.bits_between(now, left)
            again = self._transmit(now, min(bits, 8.0 * size))
            self._inside.append((again, size, order))
            self._queue_bytes += size
            if order in old:
                delivery = old[order]
                behind = delivery.arrives_at - left if left < math.inf else self.delay
                waited = max(again - 8.0 * size / max(self._rate, 1) - delivery.sent_at, 0.0)
                old[order] = evolve(delivery, arrives_at=again + behind, waited=waited, left=again)
        self._under_way = [
            (entry.arrives_at, order, entry)
            for order, entry in (
                (order, old.get(order, delivery)) for _at, order, delivery in self._under_way
            )
        ]
        heapq.heapify(self._under_way)
        if self._in_order and self._under_way:
            self._last_arrival = max(
                (at for at, _order, _ in self._under_way if at < math.inf), default=now
            )

    def hold(self, until: float) -> None:
        """Transmit nothing of what is sent from now on before a time, s."""
        if until > self._free_at:
            self._free_at = self._since = until
            self._bits = 0.0

    # --- how -------------------------------------------------------------------------------------

    def _go_to(self, now: float) -> float:
        """Let time pass, and what has been transmitted leave the queue."""
        now = max(now, self._now)
        self._now = now
        for effect in self._traffic:
            effect.advance(now)
        inside = self._inside
        while inside and inside[0][0] <= now:
            _left, size, _order = inside.popleft()
            self._queue_bytes -= size
        return now

    def _pass(self, now: float, size: int, order: int) -> Passage | None:
        for effect in self._entering:
            if not effect.enters(now, size):
                self._lost += 1
                return _LOST
        passage = self._queue(now, size, order)
        if passage is None:
            self._dropped += 1
            return None
        _waited, left, at = passage
        if self._loss and self._chance.random() < self._loss:
            self._lost += 1
            return Passage(_waited, left, math.inf)
        if self._on_the_way:
            for effect in self._on_the_way:
                at = effect.arrives(left, at)
        if self._in_order:
            # Over one way, nothing overtakes.
            if at < self._last_arrival:
                at = self._last_arrival
            elif at < math.inf:
                self._last_arrival = at
        return passage if at == passage[2] else Passage(_waited, left, at)

    def _queue(self, now: float, size: int, order: int) -> Passage | None:
        inside = self._inside
        if inside:
            while inside and inside[0][0] <= now:
                _left, gone, _order = inside.popleft()
                self._queue_bytes -= gone
        if inside:
            if self._queue_bytes + size > self.queue_size:
                return None
            waited = self._free_at - now
        else:
            waited = self._free_at - now if self._free_at > now else 0.0
        left = self._transmit(now, 8.0 * size)
        inside.append((left, size, order))
        self._queue_bytes += size
        return Passage(waited, left, left + self.delay)

    def _transmit(self, now: float, bits: float) -> float:
        """When this many bits, after all that waits, are through."""
        if self._free_at <= now:
            self._since = now
            self._bits = 0.0
            if now >= self._until:
                self._look(now)
        self._bits += bits
        since, rate = self._since, self._rate
        left = since + self._bits / rate if rate else math.inf
        while left > self._until:
            self._bits = max(0.0, self._bits - rate * (self._until - since))
            since = self._since = self._until
            self._look(since)
            rate = self._rate
            left = since + self._bits / rate if rate else math.inf
        self._free_at = left
        return left

    def _look(self, time: float) -> None:
        """See how fast the link is from this time on, and until when."""
        self._rate = self._schedule.rate_at(time)
        self._until = self._schedule.next_change(time)
        for pauses in self._pauses:
            is_inside, change = pauses.at(time)
            if is_inside:
                self._rate = 0
            self._until = min(self._until, change)


def _check_kind(impairment: object) -> None:
    if not isinstance(impairment, Impairment):
        raise TypeError(
            f"impairments must be a sequence of Impairment, not {impairment!r}: "
            "take one from IMPAIRMENTS, or make one"
        )


def _that(effects: Sequence[Effect], method: str) -> list[Effect]:
    """Those that do something there: the others cost nothing."""
    return [
        effect for effect in effects if getattr(type(effect), method) is not getattr(Effect, method)
    ]


def _size_of(packet: object) -> int:
    if isinstance(packet, bytes | bytearray | memoryview):
        octets: memoryview[int] = memoryview(packet)  # pyright: ignore[reportUnknownArgumentType]
        return octets.nbytes
    size: object = getattr(packet, "size", None)
    if size is None:
        raise TypeError(f"say how many bytes it has: {packet!r} has no size")
    return quantities.size("size", size)
