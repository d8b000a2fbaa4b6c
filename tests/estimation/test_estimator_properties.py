"""What holds for an estimator whatever is sent and whatever feedback says."""

from __future__ import annotations

import math
from collections import deque

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trio_allocator.estimation import Limit, PacketResult, SendSideEstimator
from trio_allocator.estimation.sent import MOST, MOST_LOST
from trio_allocator.estimation.silence import REPORT_PERIOD

LEAST, START, MOST_BITRATE = 20_000, 300_000, 50_000_000
WINDOWS = (0.002, 0.15)
"""The shortest times that a probe's rate and any other rate are measured over, s."""

ways = st.one_of(
    st.floats(0.0, 0.3),
    st.floats(-1e6, 1e6),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -2.9, 2.9, 1e308, -1e308]),
)


class Sent:
    """The fastest that was ever sent, over the shortest of times."""

    def __init__(self):
        self.fastest = 0.0
        self._packets = deque()

    def begin(self, now):
        """What follows makes a rate of its own."""
        self._packets.append((now, 0))

    def add(self, now, size, window):
        self._packets.append((now, size))
        # In a longer time than two of these there is a part that was as fast, or faster.
        while self._packets[0][0] < now - 2 * window - 0.1:
            self._packets.popleft()
        total = 0
        fastest = self.fastest / 8
        for time, size in reversed(self._packets):
            # The rate of what was sent after this packet, up to now.
            span = now - time
            rate = total / (window if span < window else span)  # noqa: FURB136  hundred thousands
            if rate > fastest:
                fastest = rate
            total += size
        self.fastest = 8 * fastest


class EstimatorMachine(RuleBasedStateMachine):
    """Sends, and gets feedback that is late, reordered, duplicated, lost or a lie."""

    @initialize(clusters=st.booleans())
    def begin(self, clusters):
        self.estimator = SendSideEstimator(
            start_bitrate=START, min_bitrate=LEAST, max_bitrate=MOST_BITRATE
        )
        self.now = 0.0
        self.highest = START
        self.sequence = 0
        self.window = WINDOWS[0] if clusters else WINDOWS[1]
        self.sent = Sent()
        self.times = {}

    @rule(
        count=st.integers(1, 60),
        interval=st.floats(0.001, 0.05),
        size=st.integers(0, 1_500),
        cluster=st.one_of(st.none(), st.integers(0, 12)),
    )
    def send(self, count, interval, size, cluster):
        for _ in range(count):
            in_cluster = cluster if self.window == WINDOWS[0] else None
            self.estimator.packet_sent(self.sequence, size, self.now, in_cluster)
            self.sent.add(self.now, size, self.window)
            self.times[self.sequence] = self.now
            self.sequence += 1
            self.now += interval

    @rule(
        rounds=st.integers(1, 12),
        rate=st.sampled_from([100_000, 300_000, 500_000, 1_000_000, 3_000_000]),
        haste=st.sampled_from([1.0, 1.0, 0.0, 0.6, 0.9, 1.1]),
        every=st.sampled_from([0, 0, 3, 7, 30]),
        probe=st.booleans(),
    )
    def flow(self, rounds, rate, haste, every, probe):
        """Send evenly and hear every tenth of a second; the peer's clock may run at any pace."""
        began = self.now
        interval = 8_000 / rate
        for number in range(rounds):
            probes = probe and number == 0 and self.window == WINDOWS[0]
            cluster = self.sequence if probes else None
            results = []
            for _ in range(max(round(0.1 / interval), 6)):
                self.estimator.packet_sent(self.sequence, 1_000, self.now, cluster)
                self.sent.add(self.now, 1_000, self.window)
                self.times[self.sequence] = self.now
                arrival = began + (self.now - began) * haste
                is_lost = every and self.sequence % every == 0
                results.append(PacketResult(self.sequence, None if is_lost else arrival))
                self.sequence += 1
                self.now += interval
            self.estimator.feedback(results, self.now)

    @precondition(lambda self: self.sequence)
    @rule(
        back=st.integers(0, 80),
        count=st.integers(1, 80),
        way=ways,
        step=st.sampled_from([0.0, 0.0, 0.0, 0.0005, -0.0005, 0.01]),
        missing=st.sampled_from([0, 0, 1, 2, 3, 10]),
        repeats=st.integers(1, 2),
        backwards=st.booleans(),
        jumps=st.integers(0, 2),
    )
    def hear(self, back, count, way, step, missing, repeats, backwards, jumps):
        first = max(self.sequence - back, 0)
        results = [
            PacketResult(
                number,
                None
                if missing and number % missing == 0
                else self.times.get(number, self.now) + way + step * index,
            )
            for index, number in enumerate(range(first, first + count))
        ]
        if backwards:
            results.reverse()
        for _ in range(repeats):
            self.estimator.feedback(results, self.now, clock_jumps=jumps)

    @precondition(lambda self: self.sequence)
    @rule(
        numbers=st.lists(st.integers(-5, 500), max_size=20),
        arrivals=st.lists(st.one_of(st.none(), ways), min_size=20, max_size=20),
    )
    def hear_lies(self, numbers, arrivals):
        results = [PacketResult(*pair) for pair in zip(numbers, arrivals, strict=False)]
        self.estimator.feedback(results, self.now)

    @rule(fraction=st.floats(0, 1))
    def hear_loss(self, fraction):
        self.estimator.loss_reported(fraction, self.now)
        self.sent.begin(self.now)

    @rule(limit=st.integers(0, 10**9))
    def hear_limit(self, limit):
        self.estimator.limit_reported(limit, self.now)
        self.sent.begin(self.now)

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds):
        self.now += seconds
        self.estimator.advance(self.now)

    @rule(wanted=st.one_of(st.none(), st.integers(0, 10**8)))
    def plan(self, wanted):
        probe = self.estimator.next_probe(self.now, wanted)
        if probe is not None:
            assert probe.bitrate > self.estimator.estimate
            # ... but for one that asks for what was there before a silence.
            wanted = MOST_BITRATE if wanted is None else max(wanted, self.highest)
            assert probe.bitrate <= 1.2 * wanted + 1

    @invariant()
    def it_is_within_its_bounds(self):
        if hasattr(self, "estimator"):
            estimate = self.estimator.estimate
            assert type(estimate) is int
            assert LEAST <= estimate <= MOST_BITRATE
            self.highest = max(self.highest, estimate)
            assert estimate <= max(START, 1.5 * self.sent.fastest + 10_000) + 1

    @invariant()
    def it_explains_itself(self):
        if not hasattr(self, "estimator"):
            return
        told = self.estimator.explain()
        assert told.estimate == self.estimator.estimate
        assert LEAST <= told.delay_based <= MOST_BITRATE
        assert 0 <= told.loss <= 1
        assert told.queue_delay >= 0
        assert told.silent_for >= 0
        assert (told.limit is Limit.SILENCE) == (told.silent_for > 0)
        for number in (told.queue_delay, told.silent_for, told.rtt or 0.0):
            assert math.isfinite(number)
        if told.limit is Limit.LOSS:
            assert told.estimate == told.loss_based < told.delay_based
        assert told.application_limited == (self.estimator._control.limit is Limit.APPLICATION)

    @invariant()
    def it_remembers_no_more_than_it_may(self):
        if hasattr(self, "estimator"):
            assert len(self.estimator._sent._waiting) <= MOST
            assert len(self.estimator._sent._lost) <= MOST_LOST
            assert len(self.estimator._meter.acknowledged._batches) <= self.sequence


TestEstimatorMachine = EstimatorMachine.TestCase
# Each example sends some thousand packets.
TestEstimatorMachine.settings = settings(max_examples=settings().max_examples // 2)


@settings(max_examples=settings().max_examples // 2)
@given(
    st.lists(
        st.tuples(
            st.integers(100_000, 1_000_000),
            st.integers(5, 20),
            st.floats(0.51, 1.2),
            st.booleans(),
        ),
        min_size=3,
        max_size=8,
    )
)
def test_who_sends_evenly_for_long_is_allowed_half_as_much_again_and_no_more(spells):
    """The peer says that packets came in the time that they were sent in, or in a part of it."""
    estimator = SendSideEstimator(start_bitrate=LEAST, min_bitrate=LEAST)
    now, arrival, sequence, most = 0.0, 0.0, 0, LEAST
    for rate, tenths, haste, probes in spells:
        most = max(most, 1.5 * rate + 10_000)
        interval = 8 * 500 / rate
        for tenth in range(tenths):
            results = []
            cluster = sequence if probes and not tenth else None
            for _ in range(math.ceil(0.1 / interval)):
                estimator.packet_sent(sequence, 500, now, cluster)
                results.append(PacketResult(sequence, arrival))
                sequence, now, arrival = sequence + 1, now + interval, arrival + haste * interval
            estimator.feedback(results, now)
            assert estimator.estimate <= most + 1


@given(
    st.lists(st.tuples(st.floats(0.05, 0.2), st.integers(1, 30), st.integers(1, 10)), max_size=40)
)
def test_who_loses_more_is_allowed_no_more_by_loss(steps):
    """Two connections that differ in nothing but in what is lost: see also test_loss.py."""
    little = SendSideEstimator(start_bitrate=START)
    much = SendSideEstimator(start_bitrate=START)
    now = 0.0
    sequence = 0
    for pause, count, every in steps:
        now += pause
        few, many = [], []
        for _ in range(count):
            for estimator in (little, much):
                estimator.packet_sent(sequence, 100, now)
            arrival = now + 0.05
            few.append(PacketResult(sequence, None if sequence % (3 * every) == 0 else arrival))
            many.append(PacketResult(sequence, None if sequence % every == 0 else arrival))
            sequence += 1
        little.feedback(few, now)
        much.feedback(many, now)
        assert much._loss.loss >= little._loss.loss
        allowed = [estimator._loss.rate or math.inf for estimator in (little, much)]
        if little._control.rate == much._control.rate:
            assert allowed[1] <= allowed[0]


@given(st.integers(1, 40), st.floats(0.01, 0.2))
def test_silence_only_ever_lowers_it(seconds, interval):
    estimator = SendSideEstimator(start_bitrate=START, min_bitrate=LEAST)
    now, number, last = 0.0, 0, START
    while now < seconds:
        estimator.packet_sent(number, 1_000, now)
        estimator.advance(now)
        assert estimator.estimate <= last
        last = estimator.estimate
        number += 1
        now += interval
    periods = seconds / REPORT_PERIOD - 0.1
    if periods > 1:
        assert estimator.explain().limit is Limit.SILENCE
        assert last <= max(START / 2 ** math.floor(periods), LEAST)
