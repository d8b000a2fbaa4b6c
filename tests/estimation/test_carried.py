"""What the link was lately seen to carry."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import PacketResult, SendSideEstimator
from trio_allocator.estimation.carried import WINDOW, CarriedRate

START = 1_000_000


@pytest.fixture
def carried():
    return CarriedRate()


def test_nothing_seen_is_nothing_carried(carried):
    assert carried.rate(0.0) == 0


def test_the_greatest_counts_for_the_window(carried):
    carried.seen(500_000, 0.0)
    carried.seen(900_000, 1.0)
    carried.seen(700_000, 2.0)
    assert carried.rate(1.0 + WINDOW) == 900_000
    assert carried.rate(1.001 + WINDOW) == 700_000
    assert carried.rate(2.001 + WINDOW) == 0


def test_a_limit_holds_for_what_was_seen_and_not_for_what_comes(carried):
    carried.seen(900_000, 0.0)
    carried.seen(200_000, 1.0)
    carried.limit(500_000)
    assert carried.rate(1.0) == 500_000
    assert carried.rate(WINDOW + 0.5) == 200_000
    carried.seen(600_000, WINDOW + 0.5)
    assert carried.rate(WINDOW + 0.5) == 600_000


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0, 3.0])), max_size=30))
def test_it_is_the_maximum_of_the_window(steps):
    carried, now, seen = CarriedRate(), 0.0, []
    for rate, pause in steps:
        now += pause
        carried.seen(rate, now)
        seen.append((now, rate))
        assert carried.rate(now) == max(rate for at, rate in seen if at >= now - WINDOW)


# --- in an estimator ---------------------------------------------------------------------------


class Flow:
    """Packets sent evenly and told of every tenth of a second, on a way that takes `way`, s."""

    def __init__(self):
        self.estimator = SendSideEstimator(start_bitrate=START)
        self.now = 0.0
        self.sequence = 0

    def run(self, seconds, rate, *, way=0.05, cluster=None):
        interval = 8 * 1_250 / rate
        for _ in range(round(seconds / 0.1)):
            results = []
            for _ in range(round(0.1 / interval)):
                self.estimator.packet_sent(self.sequence, 1_250, self.now, cluster)
                results.append(PacketResult(self.sequence, self.now + way))
                self.sequence += 1
                self.now += interval
            self.estimator.feedback(results, self.now)
        return self.estimator.carried


def test_before_any_feedback_it_is_not_known():
    estimator = SendSideEstimator(start_bitrate=START)
    assert estimator.carried is None
    estimator.loss_reported(0.0, 1.0)
    assert estimator.carried is None


def test_it_is_what_arrives_not_what_is_estimated():
    flow = Flow()
    assert flow.run(2.0, 700_000) == pytest.approx(700_000, rel=0.02)
    assert flow.estimator.estimate > 1_000_000


def test_a_probe_that_gets_through_proves_its_rate():
    flow = Flow()
    flow.run(2.0, 400_000)
    carried = flow.run(0.1, 800_000, cluster=7)
    assert carried == pytest.approx(800_000, rel=0.02)


def test_what_arrives_while_a_queue_stands_proves_nothing():
    flow = Flow()
    flow.run(2.0, 700_000)
    before = flow.estimator.carried
    flow.run(0.5, 900_000, way=0.15)
    assert flow.estimator.carried <= before


def test_a_decrease_lowers_it():
    flow = Flow()
    flow.run(2.0, START)
    for tenth in range(1, 4):
        flow.run(0.1, START, way=0.05 * tenth + 0.05)
    assert flow.estimator.estimate < 0.97 * START
    assert flow.estimator.carried == flow.estimator.estimate


def test_it_ends_when_nothing_more_is_carried():
    flow = Flow()
    flow.run(2.0, 700_000)
    flow.estimator.advance(flow.now + WINDOW + 1)
    assert flow.estimator.carried == 0
