"""Estimator and pacer on links that misbehave: what the estimate owes to whoever relies on it.

The links and what befalls them are those of `trio_allocator.testing`; feedback goes as bytes.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from trio_allocator.estimation import SendSideEstimator
from trio_allocator.network.impairments import (
    Batches,
    ClockDrift,
    ClockSteps,
    FeedbackEvery,
    Jitter,
    LateFeedback,
    LongerWay,
    LostFeedback,
    Outages,
    Pauses,
    feedback_interval,
)

from .link_model import Link, WiredSender, run

M = 1_000_000
BEGIN = 8.0
"""When what happens once happens, s."""


def alone(rate, *impairments, duration=20.0, start=0.8, delay=0.05, queue=0.3, seed=3, **options):
    """One sender on a link of a constant rate."""
    size = max(round(rate / 8 * queue), 6_000)
    link = Link([(0, rate)], queue=size, delay=delay, seed=seed, impairments=impairments)
    sender = WiredSender(
        SendSideEstimator(start_bitrate=start * rate),
        feedback_interval=feedback_interval(impairments, 0.05),
        feedback_delay=delay,
        seed=seed,
        **options,
    )
    (trace,) = run(link, [sender], duration)
    return trace


def lowest(trace, since=BEGIN, seconds=5.0):
    """Of what it was in the two seconds before."""
    before = trace.mean(since - 2, since)
    return min(rate for time, rate in trace.estimates if since <= time < since + seconds) / before


def back(trace, since=BEGIN, share=0.85):
    """From then until, after the lowest, it is nearly what it was before, s."""
    before = trace.mean(since - 2, since)
    later = [(rate, time) for time, rate in trace.estimates if since <= time < since + 5]
    least, at = min(later)
    if least >= share * before:
        return 0.0
    return trace.reach(at, share * before) + at - since


def lost(trace, begin, end):
    waits = [wait for time, _, wait in trace.packets if begin <= time < end]
    return waits.count(None) / len(waits)


# --- no queue, no decrease ---------------------------------------------------------------------


@pytest.mark.parametrize("extra", [0.015, 0.03, 0.05, 0.2])
@pytest.mark.parametrize(("rate", "delay"), [(0.6 * M, 0.01), (2.5 * M, 0.05), (8 * M, 0.12)])
def test_a_way_that_becomes_longer_costs_three_tenths_for_three_seconds_at_most(extra, rate, delay):
    way = LongerWay(at=((BEGIN, extra),))
    trace = alone(rate, way, delay=delay, duration=14)
    assert lowest(trace) >= 0.69
    assert back(trace) <= 3
    assert trace.received(BEGIN + 0.3, BEGIN + 3.3) > 0.85 * rate


@pytest.mark.parametrize("rate", [0.5 * M, 0.6 * M])
def test_nor_does_it_cost_more_where_it_is_as_long_as_a_queue_may_be_and_reports_are_few(rate):
    """25 ms are a packet and a half: what no decrease shortened was let stand, and lowered again."""
    few = FeedbackEvery(interval=0.2)
    sender = {"fps": 60, "noise": 0.3, "pacing": 1.5}
    way = LongerWay(at=((BEGIN, 0.025),))
    trace = alone(rate, way, few, delay=0.12, queue=0.5, duration=14, seed=4, **sender)
    assert lowest(trace) >= 0.69
    assert back(trace) <= 3


@pytest.mark.parametrize("step", [0.02, 0.07, 0.4, 2.9, -0.03, -2.9, 40.0])
def test_so_does_a_clock_that_is_set(step):
    trace = alone(1.7 * M, ClockSteps(at=((BEGIN, step),)), duration=14)
    assert lowest(trace) >= 0.69
    assert back(trace) <= 3


@pytest.mark.parametrize("share", [-1e-3, 1e-3])
def test_a_clock_that_runs_too_fast_or_slow_costs_little(share):
    trace = alone(1.7 * M, ClockDrift(share=share), duration=25)
    assert trace.received(5, 25) > 0.93 * 1.7 * M


# --- a gap is no rate --------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0.15, 0.3, 0.5])
@pytest.mark.parametrize("phase", [0.0, 0.013, 0.031])
@pytest.mark.parametrize("rate", [0.35 * M, 1.4 * M, 6 * M])
def test_a_pause_of_the_link_costs_three_tenths(length, phase, rate):
    trace = alone(rate, Pauses(at=((BEGIN + phase, length),)), queue=1.0, duration=14)
    assert lowest(trace) >= 0.69
    assert back(trace) <= 3
    assert trace.received(BEGIN + 1, BEGIN + 5) > 0.9 * rate


@pytest.mark.parametrize("length", [0.1, 0.15])
@pytest.mark.parametrize("rate", [0.5 * M, 1.4 * M, 6 * M])
def test_a_scan_costs_no_more_than_a_half(length, rate):
    spans = tuple((BEGIN + 2 * length * index, length) for index in range(6))
    trace = alone(rate, Pauses(at=spans), queue=1.0, duration=15)
    assert lowest(trace) >= 0.5
    assert back(trace, BEGIN) <= 12 * length + 3
    assert trace.received(BEGIN + 2, BEGIN + 7) > 0.85 * rate


@pytest.mark.parametrize("span", [0.05, 0.0686, 0.1, 0.15])
@pytest.mark.parametrize("rate", [0.8 * M, 3.2 * M])
def test_batches_of_arrivals_leave_no_queue_and_no_loss(span, rate):
    trace = alone(rate, Batches(spans=(span * 0.999, span)), queue=1.0, duration=30)
    assert trace.received(8, 30) > 0.9 * rate
    assert trace.queue(8, 30) <= 0.2
    assert lost(trace, 8, 30) <= 0.005


# --- what was known comes back -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("interruption", "length"), [(Outages, 4.0), (Outages, 11.0), (Pauses, 1.3), (Pauses, 2.4)]
)
@pytest.mark.parametrize("rate", [0.9 * M, 4 * M])
def test_three_quarters_are_back_within_three_seconds(interruption, length, rate):
    trace = alone(rate, interruption(at=((BEGIN, length),)), duration=BEGIN + length + 6)
    before = trace.mean(BEGIN - 2, BEGIN)
    assert trace.reach(BEGIN + length, 0.75 * before) <= 3


@pytest.mark.parametrize("pacing", [1.0, 2.5])
@pytest.mark.parametrize(
    ("rate", "delay"), [(1.5 * M, 0.05), (5 * M, 0.01), (5 * M, 0.05), (9 * M, 0.05)]
)
def test_a_new_connection_has_four_fifths_of_the_link_within_a_second(rate, delay, pacing):
    trace = alone(rate, start=300_000 / rate, duration=3, delay=delay, pacing=pacing, fps=15)
    assert trace.reach(0, 0.8 * rate) <= 1.0
    assert lost(trace, 0, 3) == 0


# --- feedback ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_lost_feedback_costs_little(share):
    trace = alone(2.2 * M, LostFeedback(share=share), duration=30)
    assert trace.received(8, 30) > 0.9 * 2.2 * M
    assert trace.queue(8, 30) < 0.1


@pytest.mark.parametrize("interval", [0.05, 0.1])
@pytest.mark.parametrize("rate", [1.5 * M, 5 * M])
def test_packets_that_overtake_each_other_cost_little(interval, rate):
    impairments = (Jitter(most=0.05, overtaking=True), FeedbackEvery(interval=interval))
    trace = alone(rate, *impairments, duration=30)
    assert trace.received(8, 30) > 0.8 * rate


# --- any network -------------------------------------------------------------------------------

REST = 0.5
LONGEST = 3.0
"""A decrease that nothing justifies is over by then, s."""


@st.composite
def impairments(draw):
    """One or two of them, without loss, and when the last one that ends has ended."""
    ends = [0.0]

    def once(length=0.0):
        ends.append(BEGIN + length)
        return BEGIN

    def pauses():
        length = draw(st.floats(0.05, 0.5))
        count = draw(st.integers(1, 4))
        once(2 * length * count)
        return Pauses(at=tuple((BEGIN + 2 * length * index, length) for index in range(count)))

    def outage():
        length = draw(st.floats(0.5, 8.0))
        return Outages(at=((once(length), length),))

    kinds = {
        "pauses": pauses,
        "outage": outage,
        "longer way": lambda: LongerWay(at=((once(), draw(st.floats(0.005, 0.2))),)),
        "clock set": lambda: ClockSteps(at=((once(), draw(st.floats(-3.0, 3.0))),)),
        "clock drifts": lambda: ClockDrift(share=draw(st.floats(-1e-3, 1e-3))),
        "batches": lambda: Batches(spans=(0.02, draw(st.floats(0.03, 0.12)))),
        "jitter": lambda: Jitter(most=draw(st.floats(0.001, 0.03))),
        "overtaking": lambda: Jitter(most=draw(st.floats(0.001, 0.05)), overtaking=True),
        "lost feedback": lambda: LostFeedback(share=draw(st.floats(0.0, 0.3))),
        "late feedback": lambda: LateFeedback(most=draw(st.floats(0.01, 0.2))),
        "slow feedback": lambda: FeedbackEvery(interval=draw(st.sampled_from([0.05, 0.1, 0.2]))),
    }
    names = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=2, unique=True))
    return tuple(kinds[name]() for name in names), max(ends)


@settings(max_examples=max(settings().max_examples // 5, 4))
@given(
    rate=st.sampled_from([0.4 * M, 1 * M, 2 * M, 4 * M]),
    delay=st.sampled_from([0.005, 0.03, 0.1]),
    queue=st.sampled_from([0.2, 0.5, 1.0]),
    seed=st.integers(0, 100),
    trouble=impairments(),
)
def test_without_loss_it_is_never_below_half_of_the_link_for_longer_than_three_seconds(
    rate, delay, queue, seed, trouble
):
    """... after what befell the link has ended; what goes on is no excuse."""
    befalls, end = trouble
    trace = alone(rate, *befalls, delay=delay, queue=queue, seed=seed, duration=max(end, BEGIN) + 7)
    below = math.inf
    for (time, _), (later, estimate) in pairwise(trace.estimates):
        if estimate >= REST * rate or BEGIN <= later < end or later < 3:
            below = math.inf
            continue
        below = min(below, time)
        assert later - below <= LONGEST
