"""Other stacks' tests of the parts of an estimator, restated as what goes in and what is to come out.

The names are those of the peers' tests; the data under `data/vectors` says whose.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from trio_allocator.estimation import PacketResult, SendSideEstimator, Usage
from trio_allocator.estimation.acknowledged import AcknowledgedRate
from trio_allocator.estimation.aimd import Observation, RateControl
from trio_allocator.estimation.groups import ArrivalGroups
from trio_allocator.estimation.meter import ArrivalMeter
from trio_allocator.estimation.probes import ProbeResults
from trio_allocator.estimation.trendline import Trendline
from trio_allocator.network.impairments import BurstLoss, LongerWay

from .link_model import Link, Sender, WiredSender, run

M = 1_000_000


def unless(agrees, found):
    return None if agrees else found


def near(found, expected, tolerance):
    return unless(found is not None and abs(found - expected) <= tolerance, found)


# --- probes ------------------------------------------------------------------------------------


def check_probe(vector):
    """[cluster, bytes, sent ms, arrival ms, least packets, least bytes].

    The peer knows what was sent by the minimums. Here what lacks was sent, and did not arrive.
    """
    results, found = ProbeResults(), None
    for cluster in {packet[0] for packet in vector["input"]}:
        packets = [packet for packet in vector["input"] if packet[0] == cluster]
        for packet in packets:
            results.sent(cluster, packet[1])
        bytes_missing = max(packets[0][5] - sum(packet[1] for packet in packets), 0)
        missing = max(packets[0][4] - len(packets), bytes_missing > 0)
        for _ in range(missing):
            results.sent(cluster, bytes_missing // missing)
    for cluster, size, sent_at, arrival, *_ in vector["input"]:
        results.received(cluster, sent_at / 1000, arrival / 1000, size)
        result = results.result(cluster)
        found = None if result is None else result.bitrate
    if vector["expect"] is None:
        return found
    return near(found, vector["expect"], 10)


def check_sprobe(vector):
    results = ProbeResults()
    spaced = 0.0 if "zero" in vector["input"] else 0.004 if "lost" in vector["input"] else 0.05
    arriving = 0.001 if "invalid" in vector["input"] else spaced or 0.001
    for index in range(5):
        results.sent(7, 1_200)
        results.received(7, index * spaced, 0.3 + index * arriving, 1_200)
    first = results.result(7)
    if "lost" not in vector["input"]:
        return first
    for _ in range(20):
        results.sent(7, 1_200)
    return unless(results.result(7) == first, (first, results.result(7)))


# --- does delay grow ---------------------------------------------------------------------------


def check_trend(vector):
    """A packet each 20 ms, that arrive by a factor further apart."""
    trendline, factor, judged = Trendline(), vector["input"]["factor"], [Usage.NORMAL]
    arrivals = [int(factor * 20 * index) / 1000 for index in range(25)]
    for before, arrival in itertools.pairwise(arrivals):
        trendline.add(arrival, 0.02, arrival - before - 0.02)
        judged.append(trendline.usage)
    changes = [after.name for before, after in itertools.pairwise(judged) if before is not after]
    return unless(changes == [name for name in [vector["expect"]] if name != "NORMAL"], changes)


def check_strend(vector):
    trendline = Trendline()
    for group in range(5):
        for packet in range(5):
            trendline.add(0.005 * group + 4e-5 * packet, 0.001, 0.0)
    found = [trendline.usage.name]
    for arriving, sending, at in ((17, 5, 25.0), (18, 5, 25.14), (22, 8, 25.25)):
        trendline.add(at / 1000, sending / 1000, (arriving - sending) / 1000)
        found.append(trendline.usage.name)
    return unless(found == vector["expect"], found)


def grouped(packets):
    """(ms sent, ms arrived) → ms between groups, sent and arrived; None for no new one."""
    groups, found = ArrivalGroups(), []
    for sent_at, arrival in packets:
        delta = groups.add(sent_at / 1000, arrival / 1000)
        found.append(delta and tuple(round(1000 * x, 3) for x in (delta[0], sum(delta))))
    return found


STEP = 5.02
"""ms: more than a burst."""


def check_groups(vector):
    burst: list[tuple[float, float]] = [(0, 17), (STEP, 28)]
    found: object
    expected: object
    match vector["input"]:
        case "FirstPacket":
            found, expected = grouped([(0, 17)]), [None]
        case "FirstGroup" | "SecondGroup" as name:
            count = 3 if name == "FirstGroup" else 4
            found = grouped([(STEP * index, 17 + 6 * index) for index in range(count)])
            expected = [None, None, *[(STEP, 6)] * (count - 2)]
        case "AccumulatedGroup" | "OutOfOrderPacket" as name:
            first = 23 if name == "AccumulatedGroup" else 28
            burst += [(STEP + 0.02 * n, first + 6 * n) for n in range(1, 11)]
            late = [(0, 281)] if name == "OutOfOrderPacket" else []
            found = grouped([*burst, *late, (2 * STEP, 500)])[-1]
            expected = (round(STEP + 0.2, 3), first + 60 - 17)
        case "OutOfOrderWithinGroup":
            burst += [(STEP + 0.22 - 0.02 * n, 28 + 6 * n) for n in range(1, 11)]
            found = grouped([*burst, (0, 281), (2 * STEP, 500)])[-1]
            expected = (round(STEP + 0.2, 3), 88 - 17)
        case "TwoBursts":
            burst = [(0, 17), *((STEP + 30 * n, 100 + 5 * n) for n in range(1, 11))]
            found = grouped([*burst, (STEP + 330, 156)])[-1]
            expected = (round(STEP + 300, 3), 133)
        case "NoBursts":
            found, expected = grouped([*burst, (STEP + 30, 34)])[-1], (STEP, 11)
        case name:
            return _jump(3.0 if name.startswith("Positive") else -1.0)
    return unless(found == expected, found)


def _jump(seconds):
    """The clock jumps: neither a queue nor overuse."""
    meter, judged = ArrivalMeter(), set()
    for index in range(100):
        arrival = 20 + 0.03 * index + (seconds if index >= 50 else 0)
        meter.arrived(10 + 0.03 * index, arrival, 1_000)
        judged.add(meter.trendline.usage)
    agrees = meter.queue.standing < 0.001 and Usage.OVERUSED not in judged
    return unless(agrees, (meter.queue.standing, judged))


def check_sgroups(vector):
    found = grouped(vector["input"])
    return unless(found == [None, None, None, (-20, 5)], found)


# --- how fast packets arrive -------------------------------------------------------------------

RATE = 100_000
"""Bytes a second."""


class Packets:
    """Sent and received at rates that differ."""

    def __init__(self):
        self.sent_at, self.arrival = 100.0, 10.0

    def make(self, count, sending=RATE, arriving=RATE):
        packets = []
        for _ in range(count):
            packets.append((self.arrival + 1_000 / arriving, self.sent_at, 1_000))
            self.sent_at += 1_000 / sending
            self.arrival += 1_000 / arriving
        return packets


def fed(rate, packets):
    """Bytes a second."""
    for packet in packets:
        rate.add(*packet)
    found = rate.rate()
    return None if found is None else found / 8


def check_throughput(vector):
    rate, packets = AcknowledgedRate(), Packets()

    def after(*arguments):
        return fed(rate, packets.make(*arguments))

    match vector["input"]:
        case "InitialEstimate":
            found = [after(9), after(10), after(15)]
            return unless(found[0] is None and all(_is(x, RATE) for x in found[1:]), found)
        case "EstimateAdapts":
            found = [after(10) for _ in range(10)][2:]
            found += [after(10, 2 * RATE, 2 * RATE) / 2 for _ in range(40)][20:]
            found += [after(10, RATE / 2, RATE / 2) * 2 for _ in range(10)][5:]
            return unless(all(_is(x, RATE) for x in found), found)
        case "CappedByReceiveRate":
            return near(after(20, RATE, RATE / 4), RATE / 4, RATE / 80)
        case "CappedBySendRate":
            return near(after(20, RATE / 2, RATE), RATE / 2, RATE / 40)
        case "DelaySpike":
            found = [after(20)]
            packets.arrival += 0.25
            found += [after(1, RATE, 6 * RATE) for _ in range(30)] + [after(5) for _ in range(20)]
            return unless(all(_is(x, RATE, 0.05) for x in found), found)
        case "HighLoss":
            return near(fed(rate, packets.make(40)[::2]), RATE / 2, RATE / 40)
        case "ReorderedFeedback":
            before = after(20)
            late, new = packets.make(10), packets.make(10)
            found = [before, fed(rate, new), fed(rate, late), *(after(15) for _ in range(10))]
            return unless(found[1] < RATE and all(_is(x, RATE) for x in found[2:]), found)
        case "DeepReordering":
            late = packets.make(1)[0]
            found = [after(10) for _ in range(10)]
            found.append(fed(rate, [(packets.arrival, *late[1:])]))
            found += [after(10) for _ in range(10)]
            return unless(all(x is None or _is(x, RATE, 0.05) for x in found), found)
        case "ResetsIfReceiveClockChangeBackwards":
            found = [after(20)]
            packets.arrival -= 2
            found.append(after(20, 2 * RATE, 2 * RATE) / 2)
            return unless(all(_is(x, RATE) for x in found), found)
        case "StreamPausedAndResumed":
            before = after(20)
            packets.sent_at, packets.arrival = packets.sent_at + 60, packets.arrival + 60
            first = after(5)
            found = [before, *(after(count) for count in (11, 5, 5, 5))]
            return unless(first is None and all(_is(x, RATE) for x in found), (first, found))
    raise AssertionError(vector)


def _is(found, expected, tolerance=1e-6):
    return found is not None and abs(found - expected) <= tolerance * expected


# --- the rate that delay allows ----------------------------------------------------------------


class Arrived:
    """Arrivals at a rate."""

    def __init__(self, rate):
        self.rate = rate

    def recent_rate(self):
        return self.rate


def seen(usage, acknowledged, now=0.0, standing=0.0):
    return Observation(
        usage, standing, standing, 0.0, acknowledged, Arrived(acknowledged), now, 0.2, 0, 0.2
    )


def check_additive(vector):
    rate, rtt = vector["input"]
    tolerance = 1_000 if "±" in vector["name"] else 1
    return near(RateControl(rate, 5_000, 1e8)._additive(rtt), vector["expect"], tolerance)


def check_aimd(vector):
    def settled(start, acknowledged, *, count=200):
        control = RateControl(start, 5_000, 1e8)
        for index in range(count):
            control.update(index / 10, seen(Usage.NORMAL, acknowledged, index / 10))
        return control

    match vector["input"]:
        case "BweLimitedByAckedBitrate":
            return near(settled(10_000, 10_000).rate, 25_000, 1)
        case "BweNotLimitedByDecreasingAckedBitrate":
            control = settled(10_000, 10_000)
            control.update(20.0, seen(Usage.NORMAL, 5_000, 20.0))
            return near(control.rate, 25_000, 1)
        case "SendingRateBoundedWhenThroughputNotEstimated":
            control = settled(123_000, 123_000, count=1)
            for index in range(100):
                control.update(5 + index / 10, seen(Usage.NORMAL, None, 5 + index / 10))
            return unless(control.rate <= 1.5 * 123_000 + 10_000, control.rate)
        case _:
            control = RateControl(264_000, 5_000, 1e8)
            control.update(0.1, seen(Usage.OVERUSED, 260_000, 0.1, 0.2))
            return unless(control.rate <= 0.95 * 260_000, control.rate)


def check_srate(vector):
    control, rates = RateControl(100_000, 10_000, 5e7), []
    for now, acknowledged in ((0.0, 85_000), (0.5, 95_000)):
        control.update(now, seen(Usage.NORMAL, acknowledged, now))
        rates.append(control.rate)
    if vector["input"] == "normal rises":
        return unless(rates[1] > rates[0] >= 100_000, rates)
    if vector["input"] == "underuse holds":
        control.update(1.0, seen(Usage.UNDERUSED, 97_000, 1.0))
        control.update(2.0, seen(Usage.UNDERUSED, 97_000, 2.0))
        return near(control.rate, rates[1], 1)
    control.update(1.0, seen(Usage.OVERUSED, 90_000, 1.0, 0.1))
    return unless(control.rate < 90_000, control.rate)


# --- the estimator -----------------------------------------------------------------------------


def estimated(packets):
    """(s sent, s arrived, bytes, probe): each told as it arrives."""
    estimator = SendSideEstimator(max_bitrate=10**9)
    events = sorted(
        event
        for number, (sent_at, arrival, *_) in enumerate(packets)
        for event in ((sent_at, 0, number), (arrival, 1, number))
    )
    for now, is_arrival, number in events:
        _, arrival, size, probe = packets[number]
        if is_arrival:
            estimator.feedback([PacketResult(number, arrival)], now)
        else:
            estimator.packet_sent(number, size, now, probe)
    return estimator.estimate


def evenly(count, interval, arriving, *, size=1_000, probe=None, since=0.0, way=0.001):
    return [(since + interval * n, since + way + arriving * n, size, probe) for n in range(count)]


def check_delay_bwe(vector):
    name = vector["input"]
    probed = _probe_detection(name)
    if probed is not None:
        estimate, expected, tolerance = probed
        return near(estimate, expected, tolerance)
    if name.startswith("CapacityDrop"):
        return _capacity_drop(name)
    return _behaviour(name)


def _probe_detection(name):
    """Estimate, expectation, tolerance."""
    match name:
        case "ProbeDetection":
            packets = evenly(5, 0.01, 0.01, probe=0) + evenly(8, 0.005, 0.005, probe=1, since=0.05)
            return min(estimated(packets), 1_600_000), 1_600_000, 100_000
        case "ProbeDetectionNonPacedPackets":
            packets = evenly(5, 0.01, 0.01, probe=0)
            packets += evenly(5, 0.01, 0.01, size=100, since=0.0049, way=0.0011)
            return min(estimated(packets), 800_000), 800_000, 1_000
        case "ProbeDetectionFasterArrival":
            return estimated(evenly(5, 0.01, 0.001, probe=0, way=0.05)), 300_000, 0
        case "ProbeDetectionSlowerArrival":
            return estimated(evenly(8, 0.005, 0.007, probe=1, way=0.01)), 0.95 * 1_140_000, 10_000
        case "ProbeDetectionSlowerArrivalHighBitrate":
            return estimated(evenly(8, 0.001, 0.002, probe=1, way=0.01)), 0.95 * 4 * M, 10_000
    return None


def _capacity_drop(name):
    """1 Mbit/s, then the half: how soon is that noticed, in a long queue? The peer's times count."""
    offset = {"CapacityDropPosOffsetChange": 30.0, "CapacityDropNegOffsetChange": -30.0}.get(
        name, 0.0
    )
    limit = {"CapacityDropOneStream": 0.5, "CapacityDropOneStreamWrap": 0.533}.get(name, 0.867)

    class Shifted(WiredSender):
        def feedback(self):
            self.seen = {
                number: time + (offset if time > 10 else 0.0) for number, time in self.seen.items()
            }
            return super().feedback()

    sender = Shifted(
        SendSideEstimator(start_bitrate=900_000),
        probing=False,
        feedback_interval=1 / 30,
        feedback_delay=0.001,
    )
    if name.endswith("Wrap"):
        sender.sequence = 65_000
    (trace,) = run(Link([(0, M), (10, M / 2)], queue=M, delay=0.001), [sender], 14)
    found = trace.mean(8, 10), trace.reaction(10, M / 2)
    return unless(abs(found[0] - M) < 180_000 and found[1] <= limit + 1 / 30, found)


def _behaviour(name):
    steady = evenly(253, 0.02, 0.02, size=1_200)
    match name:
        case "InitialBehavior" | "RateIncreaseReordering":
            packets = [(*packet[:3], 0) for packet in steady[:5]] + steady[5:]
            for index in range(10 if name == "RateIncreaseReordering" else 0):
                time = 5.10 + 0.04 * index
                packets += [
                    (time - 0.02, time + 0.0012, 1_000, None),
                    (time, time + 0.001, 1_000, None),
                ]
            return near(estimated(packets), 730_000, 50_000)
        case "RateIncreaseRtpTimestamps":
            return _frames_to_half_a_megabit()
        case "TestTimestampGrouping":
            packets = evenly(301, 0.02, 0.02)
            for burst in range(100):  # sent every 20 ms, they arrive every 30 ms
                since, way = 6.02 + 0.02 * burst, 0.001 + 0.01 * burst
                packets += evenly(15, 0.001, 0.001, size=100, since=since, way=way)
            estimate = estimated(packets)
            return unless(estimate < 400_000, estimate)
        case "TestShortTimeoutAndWrap" | "TestLongTimeoutAndWrap":
            packets = evenly(3_000, 0.01, 0.01)
            since = 30 + (35 if "Short" in name else 640)
            before = estimated(packets)
            after = estimated(packets + evenly(24, 0.01, 0.02, since=since))
            return unless(after < before, (before, after))
        case "TestInitialOveruse":
            sender = Sender(fps=90, probing=False, feedback_interval=1 / 90, feedback_delay=0.001)
            (trace,) = run(Link([(0, 200_000)], queue=M, delay=0.001), [sender], 3)
            found = trace.reaction(0, 200_000), min(rate for _, rate in trace.estimates)
            return unless(found[0] <= 0.5 and found[1] >= 0.7 * 200_000, found)
        case "TestTimestampPrecisionHandling":
            packets = [
                (0.02 * n + sent_at, 0.02 * n + sent_at + way, 1_000, None)
                for n in range(1_000)
                for sent_at, way in ((0.0, 0.0005), (0.009725, 0.000275))
            ]
            estimate = estimated(packets)
            return unless(estimate > 800_000, estimate)
    raise AssertionError(name)


def _frames_to_half_a_megabit():
    """30 frames a second over a link of 1 Mbit/s: the peer needs 617 of them from 30 kbit/s on."""
    estimator = SendSideEstimator(start_bitrate=30_000)
    now = free = 100.0
    number = frames = 0
    while estimator.estimate < 500_000:
        bits = estimator.estimate / 30
        count = max(round(bits / 9_600), 1)
        results = []
        for _ in range(count):
            size = int(bits / 8 / count)
            estimator.packet_sent(number, size, now)
            free = max(free, now) + 8 * size / M
            results.append(PacketResult(number, free))
            number += 1
        estimator.feedback(results, max(free, now))
        now = max(now + 1 / 30, free)
        frames += 1
        if frames > 650:
            return frames
    return None


# --- whole connections -------------------------------------------------------------------------


class Media(Sender):
    """Media at rates of its own, whatever the estimate; more is wanted. Steps of (s, bit/s, bit/s)."""

    def __init__(self, plan, **options):
        super().__init__(SendSideEstimator(start_bitrate=plan[0][1]), **options)
        self.plan = plan
        self.probes = []

    def now_in(self, now):
        return [step for step in self.plan if step[0] <= now][-1]

    def wanted(self, now):
        return self.now_in(now)[2]

    def frame(self, now):
        size = max(100, round(self.now_in(now)[1] / 8 / self.fps))
        while size > 0:
            self.pacer.enqueue(None, min(size, 1_150), now)
            size -= 1_150


def check_sscen(vector):
    name = vector["input"]
    if name.startswith("bwe_"):
        return _ramp(name)
    if name.startswith("aimd_"):
        return _longer_way(name)
    if name.startswith("loss"):
        return _loss()
    if name.startswith("alr"):
        found = []
        for usage in (0.6, 0.65, 0.68, 0.7):
            (trace,) = run(Link([(0, 2 * M)]), [Sender(usage=usage)], 40)
            found.append(trace.mean(30, 40))
        return unless(min(found) >= 0.85 * 2 * M, found)
    return _first_probes(name)


def _ramp(name):
    """250, 750, then 1500 kbit/s of media; the estimate is to be above the next step in time."""
    cases: dict[str, tuple[dict[str, Any], int]] = {
        "bwe_normal ramp 250-750-1500k": (
            {"steps": [(0, 10**9)], "queue": 10**7, "delay": 0.0005},
            20,
        ),
        "bwe_cellular": (
            {
                "steps": [(0, 30 * M)],
                "queue": 100_000,
                "delay": 0.05,
                "jitter": 0.015,
                "loss": (100, 2),
            },
            40,
        ),
        "bwe_wifi_normal": (
            {
                "steps": [(0, 100 * M)],
                "queue": 200_000,
                "delay": 0.005,
                "jitter": 0.002,
                "loss": (200, 2),
            },
            20,
        ),
        "bwe_wifi_congested": (
            {
                "steps": [(0, 10 * M)],
                "queue": 50_000,
                "delay": 0.08,
                "jitter": 0.04,
                "loss": (20, 2),
            },
            20,
        ),
    }
    link, first = cases[name]
    spells = link.pop("loss", None)
    found = []
    for seed in (1, 2, 3):
        impairments = [BurstLoss(good=spells[0], bad=spells[1])] if spells else []
        plan = [(0, 250e3, 750e3), (first, 750e3, 1.5e6), (first + 20, 1.5e6, 1.5e6)]
        sender = Media(plan, seed=seed, feedback_delay=link["delay"])
        (trace,) = run(Link(**link, seed=seed, impairments=impairments), [sender], first + 30)
        found.append([trace.estimate_at(first + time) for time in (-0.01, 19.99, 29.9)])
    agrees = all(a >= 750e3 and b >= 1.5e6 and c >= 1.5e6 for a, b, c in found)
    return unless(agrees, found)


def _longer_way(name):
    """The way is 130 ms longer for two or three seconds."""
    rate, until, least = (3 * M, 7, 2 * M) if "original" in name else (5 * M, 8, M)
    way = LongerWay(at=((5.0, 0.13), (float(until), 0.0)))
    sender = Media([(0, 2 * M, 5 * M)], feedback_delay=0.02)
    link = Link([(0, rate)], queue=100_000, delay=0.02, impairments=(way,))
    (trace,) = run(link, [sender], until + 15)
    found = [trace.estimate_at(time) for time in (4.99, until - 0.01, until + 14.9)]
    return unless(found[0] >= 2 * M and found[1] >= 500_000 and found[2] >= least, found)


def _loss():
    """15 % are lost for five seconds."""

    class Lossy(Link):
        def send(self, now, size):
            self._loss = 0.15 if 5 <= now < 10 else 0.0
            return super().send(now, size)

    sender = Media([(0, 2 * M, 5 * M)], feedback_delay=0.01)
    (trace,) = run(Lossy([(0, 5 * M)], queue=150_000, delay=0.01), [sender], 15)
    found = trace.estimate_at(9.99)
    return unless(found >= M, found)


def _first_probes(name):
    """What is asked at first: link, start rate, what is wanted."""
    link, start, wanted, seconds = {
        "initial probes 3x and 6x": (10 * M, M, 10 * M, 0.5),
        "further probes 2x": (20 * M, M, 20 * M, 1.5),
        "probes respect max": (50 * M, 2 * M, 10 * M, 2),
    }[name]
    sender = Media([(0, start, wanted)], feedback_delay=0.0005)
    asked: list[int] = []
    start_probe = sender.pacer.start_probe

    def spy(cluster, now):
        asked.append(cluster.bitrate)
        start_probe(cluster, now)

    setattr(sender.pacer, "start_probe", spy)  # noqa: B010 - a method, for mypy
    run(Link([(0, link)], queue=400_000, delay=0.0005), [sender], seconds)
    if name.startswith("initial"):
        agrees = all(any(math.isclose(x, rate) for x in asked) for rate in (3 * M, 6 * M))
    elif name.startswith("further"):
        agrees = max(asked) > 6 * M
    else:
        agrees = max(asked) <= 20 * M
    return unless(agrees, asked)
