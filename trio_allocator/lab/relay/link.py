"""One direction of the emulated link, as arithmetic: times go in, packets come out. No sockets.

A packet first meets chance, then the queue, then the wire, then the delay. It leaves the wire when
all its bits are through, at the rates that were in force meanwhile; so the link carries exactly
what its capacity allows, however late the caller is: a wake-up that comes late delivers packets
late, and shifts nothing after them.

All that a link is can be changed while packets wait in it. A change counts from the moment at
which it is made: what has left the wire by then has left it.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from attrs import define, frozen

from .schedule import RateSchedule

T = TypeVar("T")

UNLIMITED = 1e12
"""The rate of a link that is no bottleneck, bit/s: a packet passes in ten nanoseconds."""
MOST_UNDER_WAY = 64 * 2**20
"""Bytes that may be under way behind the wire; more is dropped. A link without a bottleneck and a
long delay would hold any amount of memory otherwise."""


@frozen
class Delivered(Generic[T]):
    """A packet that is at the far end; all times in seconds.

    Attributes:
        item: What was offered.
        size: Its bytes.
        arrived: When it was offered.
        waited: In the queue, behind others; its own transmission is not counted.
        left: When its last bit was sent.
        due: When it is at the far end.
    """

    item: T
    size: int
    arrived: float
    waited: float
    left: float
    due: float


@define
class Counters:
    """What became of packets.

    Attributes:
        packets: Offered.
        bytes: Of them.
        delivered: At the far end.
        delivered_bytes: Of them.
        lost: By chance.
        overflowed: They found the queue full.
        cut: Offered, or in the queue, while the link was cut.
    """

    packets: int = 0
    bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    lost: int = 0
    overflowed: int = 0
    cut: int = 0


@frozen
class _Waiting(Generic[T]):
    item: T
    size: int
    arrived: float


class Link(Generic[T]):
    """One direction. It is told the time, in seconds of one clock that the caller chooses.

    Attributes:
        schedule: The capacity.
        delay: From the end of a packet's transmission to its delivery, s.
        queue: Bytes that may wait; what finds no room is dropped (drop-tail).
        loss: Probability that a packet is lost before the queue, 0 to 1.
        counters: What has become of all packets so far.
    """

    def __init__(
        self,
        schedule: RateSchedule,
        *,
        delay: float,
        queue: int,
        loss: float,
        chance: Callable[[], float],
    ) -> None:
        """Start with an empty link.

        Args:
            schedule: The capacity; its times are of the caller's clock.
            delay: s.
            queue: Bytes.
            loss: A probability.
            chance: Gives numbers in [0, 1): such as ``random.Random(seed).random``.
        """
        self.schedule: RateSchedule = schedule
        self.delay: float = delay
        self.queue: int = queue
        self.loss: float = loss
        self.counters: Counters = Counters()
        self._chance = chance
        self._waiting: deque[_Waiting[T]] = deque()
        # Of the first that waits: the bits that were left of it at a time.
        self._bits_left = 0.0
        self._since = -math.inf
        self._began = -math.inf
        # What has left, and when: whoever reads a socket late offers packets of before that.
        self._gone: deque[tuple[float, int]] = deque()
        self._occupied = 0
        self._last_offer = -math.inf
        self._cut_until = -math.inf
        self._flying: list[tuple[float, int, Delivered[T]]] = []
        self._flying_bytes = 0
        self._order = count()

    def offer(self, now: float, size: int, item: T) -> bool:
        """Send a packet into the link.

        Args:
            now: When it came; a time before that of the last one is taken for the latter.
            size: Bytes.
            item: What `take` is to hand out.

        Returns:
            Whether it is under way; False if it was dropped.
        """
        self._last_offer = now = max(now, self._last_offer)
        self._advance(now)
        while self._gone and self._gone[0][0] <= now:
            self._occupied -= self._gone.popleft()[1]
        self.counters.packets += 1
        self.counters.bytes += size
        # Drawn for each packet, so that what is lost does not depend on what overflows.
        is_lost = self._chance() < self.loss
        if now < self._cut_until:
            self.counters.cut += 1
        elif is_lost:
            self.counters.lost += 1
        elif self._has_no_room(size):
            self.counters.overflowed += 1
        else:
            self._waiting.append(_Waiting(item, size, now))
            self._occupied += size
            if len(self._waiting) == 1:
                self._since = max(self._since, now)
                self._begin(size)
            return True
        return False

    def take(self, now: float) -> list[Delivered[T]]:
        """What is at the far end by now and was not taken yet, in order of its times."""
        self._advance(now)
        taken = []
        while self._flying and self._flying[0][0] <= now:
            packet = heapq.heappop(self._flying)[2]
            self._flying_bytes -= packet.size
            self.counters.delivered += 1
            self.counters.delivered_bytes += packet.size
            taken.append(packet)
        return taken

    def next_at(self) -> float:
        """When `take` has something to do next; infinite if never."""
        flying = self._flying[0][0] if self._flying else math.inf
        # Both, since what leaves the wire later lands earlier where the way has become shorter.
        return min(flying, self._finish() + self.delay if self._waiting else math.inf)

    def queued(self, now: float) -> tuple[int, float]:
        """What waits now.

        Returns:
            Bytes, the packet under transmission counted whole; and how long the next one would
            wait, s.
        """
        self._advance(now)
        size = sum(waiting.size for waiting in self._waiting)
        if not self._waiting:
            return 0, max(self._since - now, 0.0)
        bits = self._bits_left + 8.0 * (size - self._waiting[0].size)
        return size, max(self.schedule.finish(self._since, bits) - now, 0.0)

    # --- changes -----------------------------------------------------------------------------

    def set_schedule(self, now: float, schedule: RateSchedule) -> None:
        """Carry at other rates from now on."""
        self._settle(now)
        self.schedule = schedule

    def set_delay(self, now: float, delay: float) -> None:
        """Let the way be longer, or shorter, for what leaves the wire from now on."""
        self._settle(now)
        self.delay = delay

    def pause(self, now: float, duration: float) -> None:
        """Send nothing for so long; what comes waits, and goes out in a burst after it."""
        self._settle(now)
        self._since = max(self._since, now + duration)
        if self._waiting and self._bits_left == 8.0 * self._waiting[0].size:
            # It had not begun, so it waits for the end of the pause, too.
            self._began = self._since

    def cut(self, now: float, duration: float) -> None:
        """Lose for so long whatever comes, and whatever waits. 0 ends a cut."""
        self._settle(now)
        self.counters.cut += len(self._waiting)
        self._waiting.clear()
        self._gone.clear()
        self._occupied = 0
        self._cut_until = now + duration

    # --- inside ------------------------------------------------------------------------------

    def _has_no_room(self, size: int) -> bool:
        if self._flying_bytes + self._occupied + size > MOST_UNDER_WAY:
            return True
        # A packet larger than the queue passes an empty link.
        return self._occupied > 0 and self._occupied + size > self.queue

    def _begin(self, size: int) -> None:
        self._began = self._since
        self._bits_left = 8.0 * size

    def _finish(self) -> float:
        return self.schedule.finish(self._since, self._bits_left)

    def _advance(self, now: float) -> None:
        """Let everything leave the wire that has left it by now."""
        while self._waiting and (left := self._finish()) <= now:
            first = self._waiting.popleft()
            waited = max(self._began - first.arrived, 0.0)
            packet = Delivered(
                first.item, first.size, first.arrived, waited, left, left + self.delay
            )
            heapq.heappush(self._flying, (packet.due, next(self._order), packet))
            self._flying_bytes += first.size
            self._gone.append((left, first.size))
            self._since = left
            if self._waiting:
                self._begin(self._waiting[0].size)

    def _settle(self, now: float) -> None:
        """Bring the packet under transmission up to date, so that what changes counts from now."""
        self._advance(now)
        if self._waiting and self._since < now:
            self._bits_left -= self.schedule.bits_between(self._since, now)
            self._since = now
