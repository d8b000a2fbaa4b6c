"""A bottleneck, packet by packet: what estimators are tuned and judged on. Deterministic.

The link is arithmetic: a packet's arrival is computed when it is sent. Senders produce frames at
their estimate, pace them, follow the estimator's probes, and get feedback at an interval.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from trio_allocator.estimation import Pacer, PacketResult, SendSideEstimator

ONE_WAY = 0.05
"""s; as RFC 8867, section 5.1."""
QUEUE = 37_500
"""Bytes: 300 ms at 1 Mbit/s."""
PACKET = 1_200
"""Payload and header, bytes."""


class Link:
    """A drop-tail queue in front of a rate that changes in steps, then a delay.

    Args:
        steps: (s, bit/s), ascending from 0.
        queue: Bytes.
        delay: One way, s.
        loss: Probability that a packet is lost by chance.
        jitter: Each packet is late by up to this, s, without overtaking.
        seed: Which packets.
    """

    def __init__(self, steps, *, queue=QUEUE, delay=ONE_WAY, loss=0.0, jitter=0.0, seed=1):
        self.steps = list(steps)
        self.delay = delay
        self._times = [time for time, _ in steps]
        self._queue = queue
        self._loss = loss
        self._jitter = jitter
        self._chance = Random(seed)
        self._free_at = 0.0
        self._inside: deque[tuple[float, int]] = deque()
        self._queued = 0
        self._last = 0.0

    def rate(self, time):
        return self.steps[max(bisect_right(self._times, time) - 1, 0)][1]

    def send(self, now, size):
        """When it arrives and how long it waited, s; None if it never does."""
        while self._inside and self._inside[0][0] <= now:
            self._queued -= self._inside.popleft()[1]
        if self._chance.random() < self._loss:
            return None
        if self._queued and self._queued + size > self._queue:
            return None
        start = max(now, self._free_at)
        time, bits = start, 8.0 * size
        for change in self._times[bisect_right(self._times, time) :]:
            room = self.rate(time) * (change - time)
            if bits <= room:
                break
            time, bits = change, bits - room
        self._free_at = time + bits / self.rate(time)
        self._inside.append((self._free_at, size))
        self._queued += size
        arrival = self._free_at + self.delay + self._jitter * self._chance.random()
        self._last = max(self._last, arrival)
        return self._last, start - now


@dataclass
class Trace:
    """What happened: rows by time."""

    packets: list[tuple[float, int, float | None]] = field(default_factory=list)
    """Sent at, bytes, wait in the queue or None for lost."""
    estimates: list[tuple[float, int]] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    padding: int = 0

    def estimate_at(self, time):
        return self.estimates[bisect_right(self.estimates, (time, math.inf)) - 1][1]

    def mean(self, begin, end):
        inside = [rate for time, rate in self.estimates if begin <= time < end]
        return sum(inside) / len(inside)

    def received(self, begin, end):
        """bit/s."""
        return sum(size for time, size in self.arrivals if begin <= time < end) * 8 / (end - begin)

    def queue(self, begin, end, share=0.95):
        """A quantile of the wait, s."""
        waits = sorted(
            wait for time, _, wait in self.packets if wait is not None and begin <= time < end
        )
        return waits[int(share * (len(waits) - 1))]

    def reaction(self, drop, capacity):
        """From a drop until the estimate is at or below the capacity, s."""
        return next((t - drop for t, e in self.estimates if t >= drop and e <= capacity), math.inf)

    def reach(self, since, rate):
        """When the estimate first reaches a rate, s after."""
        return next((t - since for t, e in self.estimates if t >= since and e >= rate), math.inf)


class Sender:
    """A flow: a source of frames that follows the estimate, a pacer, probes, an estimator."""

    def __init__(
        self,
        estimator=None,
        *,
        begin=0.0,
        demand=math.inf,
        pauses=(),
        usage=1.0,
        fps=30,
        noise=0.1,
        probing=True,
        padding=True,
        feedback_interval=0.05,
        feedback_delay=ONE_WAY,
        pacing=2.5,
        seed=7,
    ):
        self.estimator = SendSideEstimator() if estimator is None else estimator
        self.pacer: Pacer[None] = Pacer(self.estimator.estimate, factor=pacing)
        self.begin = begin
        self.demand = demand
        self.pauses = pauses
        self.usage = usage
        self.fps = fps
        self.noise = noise
        self.probing = probing
        self.padding = padding
        self.interval = feedback_interval
        self.feedback_delay = feedback_delay
        self.trace = Trace()
        self.chance = Random(seed)
        self.sequence = 0
        self.reported = -1
        self.seen: dict[int, float] = {}
        self.highest = -1
        self.armed = -math.inf

    def active(self, now):
        return now >= self.begin and not any(a <= now < b for a, b in self.pauses)

    def wanted(self, now):
        return self.demand(now) if callable(self.demand) else self.demand

    def frame(self, now):
        if not self.active(now):
            return
        rate = min(self.estimator.estimate * self.usage, self.wanted(now))
        size = max(100, round(rate / 8 / self.fps * (1 + self.noise * self.chance.uniform(-1, 1))))
        while size > 0:
            self.pacer.enqueue(None, min(size, PACKET), now)
            size -= PACKET

    def feedback(self):
        """What a recorder would report now: everything from the last report to the newest."""
        results = [
            PacketResult(sequence, self.seen.pop(sequence, None))
            for sequence in range(self.reported + 1, self.highest + 1)
        ]
        self.reported = max(self.reported, self.highest)
        return results


def run(link, senders, duration):
    """Let senders share a link; their traces are filled."""
    order = iter(range(10**12))
    events: list[tuple[float, int, str, Sender, Any]] = []

    def at(time, what, sender, data=None):
        heapq.heappush(events, (time, next(order), what, sender, data))

    for number, sender in enumerate(senders):
        at(sender.begin + 0.007 * number, "frame", sender)
        at(sender.begin + 0.011 * number, "report", sender)
        at(sender.begin, "pace", sender)
        at(sender.begin, "sample", sender)

    def transmit(sender, now, size, cluster):
        sequence = sender.sequence
        sender.sequence += 1
        sender.estimator.packet_sent(sequence, size, now, cluster)
        through = link.send(now, size)
        sender.trace.packets.append((now, size, None if through is None else through[1]))
        if through is not None:
            at(through[0], "arrive", sender, (sequence, size))

    while events and events[0][0] < duration:
        now, _, what, sender, data = heapq.heappop(events)
        if what == "frame":
            sender.frame(now)
            at(now + 1 / sender.fps, "frame", sender)
        elif what == "arrive":
            sequence, size = data
            sender.seen[sequence] = now
            sender.highest = max(sender.highest, sequence)
            sender.trace.arrivals.append((now, size))
            continue
        elif what == "report":
            results = sender.feedback()
            if results:
                at(now + sender.feedback_delay, "feedback", sender, results)
            at(now + sender.interval, "report", sender)
            continue
        elif what == "feedback":
            sender.estimator.feedback(data, now)
            sender.pacer.set_bitrate(sender.estimator.estimate, now)
        elif what == "sample":
            sender.estimator.advance(now)
            sender.trace.estimates.append((now, sender.estimator.estimate))
            at(now + 0.05, "sample", sender)
            continue
        if sender.probing and sender.active(now):
            wanted = sender.wanted(now)
            probe = sender.estimator.next_probe(now, None if wanted == math.inf else wanted)
            if probe is not None:
                sender.pacer.start_probe(probe, now)
        while (departure := sender.pacer.pop(now)) is not None:
            transmit(sender, now, departure.size, departure.cluster)
        while sender.padding and (due := sender.pacer.padding_due(now)):
            size = min(due, PACKET)
            transmit(sender, now, size, sender.pacer.padding_sent(size))
            sender.trace.padding += size
        upcoming = sender.pacer.next_send_time
        if upcoming < math.inf and upcoming != sender.armed:
            sender.armed = upcoming
            at(max(upcoming, now), "pace", sender)
    return [sender.trace for sender in senders]
