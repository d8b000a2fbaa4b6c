"""One direction of the relay: a bottleneck that is turned while packets wait in it.

What a packet meets is told in `trio_allocator.network.bottleneck`; here is only what a relay adds:
what may be changed or cut at any moment, and memory that is bounded however long it runs. No
sockets, no clock: it is told the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import define

from ...network.bottleneck import Bottleneck, Delivery
from ...network.capacity import Capacity, RateSchedule
from ...network.impairments import Impairment

T = TypeVar("T")

UNLIMITED = 1e12
"""The rate of a link that is no bottleneck, bit/s: a packet passes in ten nanoseconds."""
MOST_UNDER_WAY = 64 * 2**20
"""Bytes that may be under way; more is dropped. A link without a bottleneck and a long delay would
hold any amount of memory otherwise."""


@define
class Counters:
    """What became of packets.

    Attributes:
        packets: Offered.
        bytes: Of them.
        delivered: At the far end.
        delivered_bytes: Of them.
        lost: By chance, or by an impairment.
        overflowed: They found the queue full.
        cut: Offered while the way was cut.
    """

    packets: int = 0
    bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    lost: int = 0
    overflowed: int = 0
    cut: int = 0


class Link(Generic[T]):
    """One direction. It is told the time, in seconds of one clock that the caller chooses.

    Attributes:
        loss: Probability that a packet is lost before the queue, 0 to 1.
        counters: What has become of all packets so far.
    """

    def __init__(
        self,
        capacity: Capacity,
        *,
        start: float,
        delay: float,
        queue: int,
        loss: float,
        chance: Callable[[], float],
        impairments: Sequence[Impairment] = (),
        seed: int = 0,
    ) -> None:
        """Start with an empty link.

        Args:
            capacity: bit/s, or steps of (seconds from `start`, bit/s).
            start: When the steps and the impairments begin, s.
            delay: From the end of a packet's transmission to its delivery, s.
            queue: Bytes that may wait; what finds no room is dropped (drop-tail).
            loss: A probability.
            chance: Gives numbers in [0, 1): such as ``random.Random(seed).random``.
            impairments: What else befalls packets.
            seed: Of the impairments.
        """
        self.loss: float = loss
        self.counters: Counters = Counters()
        self._chance = chance
        self._schedule = RateSchedule(capacity, start=start)
        self._paused_until = -math.inf
        self._cut_until = -math.inf
        self._under_way = 0
        self._bottleneck: Bottleneck[T] = Bottleneck(
            self._schedule,
            start=start,
            queue_size=queue,
            delay=delay,
            impairments=impairments,
            seed=seed,
        )

    @property
    def delay(self) -> float:
        """From the end of a packet's transmission to its delivery, s."""
        return self._bottleneck.delay

    @property
    def queue(self) -> int:
        """Bytes that may wait."""
        return self._bottleneck.queue_size

    @property
    def next_at(self) -> float:
        """When `take` has something to hand out; infinite if never."""
        return self._bottleneck.next_arrival

    def rate(self, now: float) -> float:
        """The capacity now, bit/s, as if nothing paused."""
        return self._schedule.rate_at(now)

    def report(self, now: float) -> float | None:
        """How much later than usual a report arrives that is sent the other way now, s.

        None if it gets lost. That is what impairments do to reports.
        """
        at = self._bottleneck.report(now)
        return None if at is None else at - now - self._bottleneck.delay

    def offer(self, now: float, size: int, item: T) -> bool:
        """Send a packet into the link.

        Args:
            now: When it came; a time before that of the last one is taken for the latter.
            size: Bytes.
            item: What `take` is to hand out.

        Returns:
            Whether it is under way; False if it was dropped.
        """
        counters = self.counters
        counters.packets += 1
        counters.bytes += size
        # Drawn for each packet, so that what is lost does not depend on what overflows.
        is_lost = self._chance() < self.loss
        if now < self._cut_until:
            counters.cut += 1
        elif is_lost:
            counters.lost += 1
        elif self._under_way + size > MOST_UNDER_WAY:
            counters.overflowed += 1
        else:
            return self._send(now, size, item)
        return False

    def take(self, now: float) -> list[Delivery[T]]:
        """What is at the far end by now and was not taken yet, in order of its times."""
        taken = []
        while (packet := self._bottleneck.take(now)) is not None:
            self._under_way -= packet.size
            self.counters.delivered += 1
            self.counters.delivered_bytes += packet.size
            taken.append(packet)
        return taken

    def queued(self, now: float) -> tuple[int, float]:
        """What waits now.

        Returns:
            Bytes, the packet under transmission counted whole; and how long the next one would
            wait, s.
        """
        told = self._bottleneck.statistics(now)
        return told.queue_bytes, max(told.queue_delay, self._paused_until - now)

    # --- changes -----------------------------------------------------------------------------

    def set_rate(self, now: float, rate: float) -> None:
        """Carry that much from now on, bit/s; what waits leaves at the new rate."""
        self._schedule = RateSchedule(rate, start=now)
        self._apply(now)

    def set_delay(self, delay: float) -> None:
        """Let the way be longer, or shorter, for what is sent from now on, s."""
        self._bottleneck.delay = delay

    def set_queue(self, queue: int) -> None:
        """Let this many bytes wait from now on."""
        self._bottleneck.queue_size = queue

    def pause(self, now: float, duration: float) -> None:
        """Send nothing for so long; what waits or comes goes out in a burst after it."""
        self._paused_until = now + duration
        self._apply(now)

    def cut(self, now: float, duration: float) -> None:
        """Lose for so long whatever comes. 0 ends a cut."""
        self._cut_until = now + duration

    def _apply(self, now: float) -> None:
        """Carry from now on what the schedule says, but for the pause."""
        begin = max(self._paused_until, now)
        steps = [(begin - now, self._schedule.rate_at(begin))]
        change = self._schedule.next_change(begin)
        while change < math.inf:
            steps.append((change - now, self._schedule.rate_at(change)))
            change = self._schedule.next_change(change)
        if begin > now:
            steps.insert(0, (0.0, 0))
        self._bottleneck.set_capacity(now, steps)

    def _send(self, now: float, size: int, item: T) -> bool:
        before = self._bottleneck.lost
        if not self._bottleneck.send(now, item, size):
            self.counters.overflowed += 1
            return False
        if self._bottleneck.lost > before:
            self.counters.lost += 1
            return False
        self._under_way += size
        return True
