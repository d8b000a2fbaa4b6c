"""A bottleneck, packet by packet: what estimators are tuned and judged on. Deterministic.

The link is arithmetic: a packet's arrival is computed when it is sent. Senders produce frames at
their estimate, pace them, follow the estimator's probes, and get feedback at an interval.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from dataclasses import dataclass, field
from operator import itemgetter
from random import Random
from typing import Any

from trio_allocator.estimation import (
    FeedbackHandler,
    FeedbackRecorder,
    Pacer,
    PacketResult,
    RetransmissionBudget,
    SendSideEstimator,
)
from trio_allocator.network.bottleneck import Bottleneck

ONE_WAY = 0.05
"""s; as RFC 8867, section 5.1."""
QUEUE = 37_500
"""Bytes: 300 ms at 1 Mbit/s."""
PACKET = 1_200
"""Payload and header, bytes."""


class Link:
    """The package's bottleneck, with losses before the queue and jitter behind it.

    Args:
        steps: (s, bit/s), ascending from 0.
        queue: Bytes.
        delay: One way, s.
        loss: Probability that a packet is lost by chance.
        jitter: Each packet is late by up to this, s, without overtaking.
        seed: Which packets.
        impairments: What else befalls packets; see `trio_allocator.testing.IMPAIRMENTS`.
    """

    def __init__(
        self, steps, *, queue=QUEUE, delay=ONE_WAY, loss=0.0, jitter=0.0, seed=1, impairments=()
    ):
        self.steps = list(steps)
        self.delay = delay
        self._core = Bottleneck(
            self.steps, queue_size=queue, delay=delay, impairments=impairments, seed=seed
        )
        self._loss = loss
        self._jitter = jitter
        self._chance = Random(seed)
        self._last = 0.0

    @property
    def _free_at(self):
        return self._core.free_at

    @_free_at.setter
    def _free_at(self, time):
        self._core.hold(time)

    def rate(self, time):
        return self._core.capacity(time)

    def report(self, now):
        """When a report that is sent now arrives, s; None if it never does."""
        return self._core.report(now)

    def far_clock(self, now):
        """What the far end's clock shows, s."""
        return self._core.far_clock(now)

    def send(self, now, size):
        """When it arrives and how long it waited, s; None if it never does."""
        if self._chance.random() < self._loss:
            return None
        passage = self._core.offer(now, size)
        if passage is None or passage.arrives_at == math.inf:
            return None
        arrival = passage.arrives_at + self._jitter * self._chance.random()
        if self._jitter:
            arrival = self._last = max(self._last, arrival)
        return arrival, passage.waited


@dataclass
class Trace:
    """What happened: rows by time."""

    packets: list[tuple[float, int, float | None]] = field(default_factory=list)
    """Sent at, bytes, wait in the queue or None for lost."""
    estimates: list[tuple[float, int]] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    repeated: list[tuple[float, int]] = field(default_factory=list)
    """Retransmissions: sent at, bytes."""
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
        self.pacer: Pacer[int | None] = Pacer(self.estimator.estimate, factor=pacing)
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

    def sent(self, sequence, packet, size, now):
        """A packet left the pacer."""

    def heard(self, results, now):
        """Feedback came."""
        self.estimator.feedback(results, now)
        self.pacer.set_bitrate(self.estimator.estimate, now)

    def feedback(self):
        """What a recorder would report now: everything from the last report to the newest."""
        results = [
            PacketResult(sequence, self.seen.pop(sequence, None))
            for sequence in range(self.reported + 1, self.highest + 1)
        ]
        self.reported = max(self.reported, self.highest)
        return results


class WiredSender(Sender):
    """Its feedback is that of a recorder, as bytes: packets that are overtaken are told of again."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.recorder = FeedbackRecorder(1, 2)
        self.handler = FeedbackHandler(self.estimator)

    def feedback(self):
        for sequence, arrival in sorted(self.seen.items(), key=itemgetter(1)):
            self.recorder.received(sequence % 2**16, arrival)
        self.seen.clear()
        return b"".join(feedback.build() for feedback in self.recorder.build_feedback())

    def heard(self, results, now):
        self.handler.handle(results, now, self.sequence - 1)
        self.pacer.set_bitrate(self.estimator.estimate, now)


class RepeatingSender(Sender):
    """Its receiver wants what is lost, again and again; a budget says how much of that it gets.

    Args:
        wants: Which numbers the receiver asks for in each report, of those that are
            missing and of all that were sent of late; those that are missing, if not given.
    """

    def __init__(self, *args, wants=lambda missing, _late: missing, **options):
        super().__init__(*args, **options)
        self.budget = RetransmissionBudget(self.estimator.estimate)
        self.wants = wants
        self.late: dict[int, int] = {}
        self.missing: set[int] = set()
        self.repeats: dict[int, int] = {}

    def sent(self, sequence, packet, size, now):
        if packet is None:
            self.late[sequence] = size
            self.late.pop(sequence - 100, None)
        else:
            self.repeats[sequence] = packet
            self.trace.repeated.append((now, size))

    def heard(self, results, now):
        super().heard(results, now)
        self.budget.set_bitrate(self.estimator.estimate, now)
        self.budget.set_rtt(self.estimator.explain().rtt or ONE_WAY)
        for sequence, arrival in results:
            number = self.repeats.pop(sequence, sequence)
            if arrival is None:
                self.missing.add(number)
            else:
                self.missing.discard(number)
        self.missing.intersection_update(self.late)
        for number in sorted(self.wants(self.missing, self.late)):
            size = self.late[number] + 2
            if self.budget.allow(number, size, now):
                self.pacer.enqueue(number, size, now, priority=1)


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

    def transmit(sender, now, packet, size, cluster):
        sequence = sender.sequence
        sender.sequence += 1
        sender.sent(sequence, packet, size, now)
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
            sender.seen[sequence] = link.far_clock(now)
            sender.highest = max(sender.highest, sequence)
            sender.trace.arrivals.append((now, size))
            continue
        elif what == "report":
            results = sender.feedback()
            back = link.report(now) if results else None
            if back is not None:
                # What impairments add to the link's way back is added to the sender's.
                at(back - link.delay + sender.feedback_delay, "feedback", sender, results)
            at(now + sender.interval, "report", sender)
            continue
        elif what == "feedback":
            sender.heard(data, now)
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
            transmit(sender, now, departure.packet, departure.size, departure.cluster)
        while sender.padding and (due := sender.pacer.padding_due(now)):
            size = min(due, PACKET)
            transmit(sender, now, None, size, sender.pacer.padding_sent(size))
            sender.trace.padding += size
        upcoming = sender.pacer.next_send_time
        if upcoming < math.inf and upcoming != sender.armed:
            sender.armed = upcoming
            at(max(upcoming, now), "pace", sender)
    return [sender.trace for sender in senders]
