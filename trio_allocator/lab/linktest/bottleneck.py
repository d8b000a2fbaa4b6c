"""The emulated link, as arithmetic: sizes and times go in, times come out. No sockets, no clock.

A packet first meets chance, then the queue, then the wire, then the delay. It leaves the wire when
all its bits are through at the rates of the schedule, so the link carries exactly what its
capacity allows, however late whoever moves the packets may be: a wake-up that comes late shifts
one delivery, and nothing after it. (A token bucket of one packet's depth does the same.)
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

from attrs import frozen


class RateSchedule:
    """A capacity that changes at given times; before the first of them it is the first one's."""

    def __init__(self, steps: Sequence[tuple[float, float]]) -> None:
        """Take the steps.

        Args:
            steps: Times in seconds, ascending, and from then on the capacity in bit/s.

        Raises:
            ValueError: There is no step, the times do not ascend, or a capacity is not finite and
                above 0.
        """
        self.steps: tuple[tuple[float, float], ...] = tuple(steps)
        self._times = [time for time, _rate in self.steps]
        if not self.steps or self._times != sorted(set(self._times)):
            raise ValueError(f"steps must be at least one, in ascending order of time: {steps}")
        for _time, rate in self.steps:
            if not (math.isfinite(rate) and rate > 0):
                raise ValueError(f"a capacity must be finite and above 0, not {rate:g} bit/s")

    def rate_at(self, time: float) -> float:
        """The capacity at a time, bit/s."""
        return self.steps[max(bisect_right(self._times, time) - 1, 0)][1]

    def finish(self, start: float, bits: float) -> float:
        """When so many bits are through that begin at `start`."""
        time, left = start, bits
        for change in self._times[bisect_right(self._times, start) :]:
            rate = self.rate_at(time)
            if time + left / rate <= change:
                break
            left -= rate * (change - time)
            time = change
        return time + left / self.rate_at(time)

    def bits_between(self, start: float, end: float) -> float:
        """What the link could carry in a span of time."""
        inside = [time for time in self._times if start < time < end]
        cuts = [start, *inside, end]
        return sum(self.rate_at(begin) * (until - begin) for begin, until in pairwise(cuts))


@frozen
class Passage:
    """A packet's way through the link; all times in seconds.

    Attributes:
        waited: In the queue, behind others; its own transmission is not counted.
        left: When its last bit was sent.
        delivered: When it is at the far end.
    """

    waited: float
    left: float
    delivered: float


@frozen
class Impairment:
    """What a link does to packets, besides being narrow.

    Attributes:
        delay: One way, s.
        queue: Bytes that may wait; what finds no room is dropped (drop-tail).
        loss: Probability that a packet is lost before the queue, 0 to 1.
    """

    delay: float
    queue: int
    loss: float = 0.0


class Bottleneck:
    """A link in one direction.

    Attributes:
        lost: Packets lost by chance.
        overflowed: Packets that found the queue full.
    """

    def __init__(
        self, schedule: RateSchedule, impairment: Impairment, chance: Callable[[], float]
    ) -> None:
        """Start with an empty link.

        Args:
            schedule: The capacity.
            impairment: Delay, queue, loss.
            chance: Gives numbers in [0, 1): such as ``random.Random(seed).random``.
        """
        self.lost: int = 0
        self.overflowed: int = 0
        self._schedule = schedule
        self._impairment = impairment
        self._chance = chance
        self._inside: deque[tuple[float, int]] = deque()
        self._queued = 0
        self._free_at = -math.inf
        self._now = -math.inf

    def offer(self, now: float, size: int) -> Passage | None:
        """Send a packet into the link.

        Args:
            now: Seconds; a time before that of the last call is taken for the latter.
            size: Bytes.

        Returns:
            Its way, or None if it is dropped.
        """
        self._now = now = max(now, self._now)
        while self._inside and self._inside[0][0] <= now:
            self._queued -= self._inside.popleft()[1]
        # Drawn for each packet, so that what is lost does not depend on what overflows.
        if self._chance() < self._impairment.loss:
            self.lost += 1
            return None
        if self._inside and self._queued + size > self._impairment.queue:
            self.overflowed += 1
            return None
        start = max(now, self._free_at)
        left = self._schedule.finish(start, 8 * size)
        self._free_at = left
        self._inside.append((left, size))
        self._queued += size
        return Passage(start - now, left, left + self._impairment.delay)
