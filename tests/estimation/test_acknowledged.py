"""What arrives, over the time it took: out or in, whichever is longer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation.acknowledged import BATCH, LONGEST, WINDOW, AcknowledgedRate


def fed(*packets):
    acknowledged = AcknowledgedRate()
    for packet in packets:
        acknowledged.add(*packet)
    return acknowledged


def steady(count, interval, size=1_000, *, since=0.0, way=0.05):
    return [
        (since + index * interval + way, since + index * interval, size) for index in range(count)
    ]


def test_steady_packets_make_their_rate():
    assert fed(*steady(21, 0.01)).rate() == pytest.approx(800_000)


def test_nothing_and_little_are_no_rate():
    assert fed().rate() is None
    assert fed().recent_rate() is None
    assert fed(*steady(3, 0.1)).rate() is None
    assert fed(*steady(3, 0.1)).recent_rate() is None
    assert fed(*steady(4, 0.016)).recent_rate() is None  # 48 ms
    assert fed(*steady(4, 0.017)).recent_rate() == pytest.approx(8_000 / 0.017)
    assert fed(*steady(4, 0.049)).rate() is None  # 147 ms
    assert fed(*steady(4, 0.051)).rate() == pytest.approx(8_000 / 0.051)


def test_what_arrived_long_ago_counts_no_more():
    slow = steady(6, 0.1, 500)
    fast = steady(60, 0.01, 1_000, since=0.6)
    assert fed(*slow, *fast).rate() == pytest.approx(800_000)


def test_what_was_held_up_and_let_go_counts_by_its_sending():
    packets = [(0.99, -0.01, 1_000), *((1.0, index * 0.01, 1_000) for index in range(21))]
    assert fed(*packets).rate() == pytest.approx(800_000)


def test_what_was_sent_at_once_counts_by_its_arrival():
    packets = [(index * 0.01, 0.0, 1_000) for index in range(21)]
    assert fed(*packets).rate() == pytest.approx(800_000)


def test_a_packet_that_was_overtaken_arrives_with_the_last():
    packets = steady(21, 0.01)
    packets[5] = (0.0, packets[5][1], 1_000)
    assert fed(*packets).rate() == pytest.approx(800_000)


def test_recent_is_the_rate_of_the_newest_arrivals_alone():
    before, after = steady(40, 0.01), steady(12, 0.02, since=0.4)
    acknowledged = fed(*before, *after)
    assert acknowledged.recent_rate() == pytest.approx(400_000)
    assert acknowledged.rate() > 600_000


def test_recent_reaches_back_for_four_gaps():
    before, after = steady(5, 0.05), steady(4, 0.1, since=0.3)
    assert fed(*before, *after).recent_rate() == pytest.approx(4 * 8_000 / 0.4)


@pytest.mark.parametrize("gap", [0.05, 0.2, 1.0, 2.0])
@pytest.mark.parametrize("after", [1, 2, 5, 30])
def test_a_gap_is_no_rate(gap, after):
    before = steady(40, 0.01)
    resumed = steady(after, 0.01, since=0.4 + gap)
    rate = fed(*before, *resumed).recent_rate()
    assert rate == pytest.approx(800_000, rel=0.01) or (rate is None and gap > WINDOW)


def test_gaps_that_are_all_there_is_are_a_rate():
    packets = [*steady(30, 0.01), *steady(3, 0.11, since=0.4)]
    assert fed(*packets).recent_rate() < 200_000


def test_what_came_since_a_long_gap_suffices():
    packets = [*steady(30, 0.01), *steady(10, 0.01, since=0.45), *steady(7, 0.01, since=0.7)]
    assert fed(*packets).recent_rate() == pytest.approx(800_000)


def test_a_link_that_became_slow_has_no_long_gaps():
    packets = [*steady(30, 0.01), *steady(10, 0.05, since=0.35)]
    assert fed(*packets).recent_rate() == pytest.approx(160_000, rel=0.01)


@pytest.mark.parametrize("batch", [0.02, 0.05, 0.08, 0.1, 0.12, 0.15])
@pytest.mark.parametrize("count", [200, 207])
def test_batches_are_no_faster_than_what_they_are_made_of(batch, count):
    packets = [
        (math.ceil(arrival / batch) * batch, sent_at, size)
        for arrival, sent_at, size in steady(count, 0.0096, 1_200)
    ]
    acknowledged = fed(*packets)
    assert acknowledged.rate() <= 1_100_000
    assert acknowledged.recent_rate() <= 1_100_000


def test_begun_anew_nothing_is_known():
    acknowledged = fed(*steady(21, 0.01))
    acknowledged.clear()
    assert acknowledged.rate() is None
    for packet in steady(21, 0.01, 100):
        acknowledged.add(*packet)
    assert acknowledged.rate() == pytest.approx(80_000)


def test_arrivals_that_never_pass_cost_bounded_memory():
    acknowledged = fed(*((1.0, index * 0.01, 1_000) for index in range(10_000)))
    assert len(acknowledged._batches) == 1
    late = AcknowledgedRate()
    for index in range(10_000):
        late.add(index * 1e-5, index * 0.01, 1_000)
    assert len(late._batches) <= 0.1 / BATCH + 1


def test_reordered_packets_count_by_when_they_were_sent():
    packets = steady(21, 0.01)
    first = packets.pop(1)
    # Sent second, it arrives with the last.
    assert fed(*packets, first).rate() == pytest.approx(800_000)
    # All but the first were held up; of the last half second only these two count.
    late = [(5.0, 0.2, 1_000), (5.1, 0.4, 500), (5.2, 0.3, 1_500), (5.3, 0.1999, 9_000)]
    assert fed(*late).rate() is None
    assert fed(*late, (5.25, 0.35, 1_000)).rate() == pytest.approx(8 * 3_000 / 0.25)


def test_disorder_that_has_passed_costs_nothing_more():
    packets = steady(40, 0.01)
    packets[3], packets[4] = packets[4], packets[3]
    acknowledged = fed(*packets)
    assert acknowledged._disordered_at == pytest.approx(0.09)
    for packet in steady(80, 0.01, since=0.4):
        acknowledged.add(*packet)
    assert acknowledged.rate() == pytest.approx(800_000)


def test_the_earliest_sent_does_not_count_whenever_it_arrived():
    packets = [(0.0, 0.01, 100), (0.1, 0.02, 1_000), (0.2, 0.015, 1_000), (0.3, 0.3, 1_000)]
    assert fed(*packets).rate() == pytest.approx(8 * 3_000 / 0.3)
    packets = [(0.0, 0.01, 100), (0.1, 0.02, 1_000), (0.2, 0.01, 1_000), (0.3, 0.3, 1_000)]
    assert fed(*packets).rate() == pytest.approx(8 * 3_000 / 0.3)


@given(
    st.lists(
        st.tuples(st.floats(0, 0.1), st.floats(0, 0.1), st.integers(1, 1_500)),
        min_size=4,
        max_size=60,
    ),
    st.lists(st.integers(-8, 8), min_size=60, max_size=60),
)
def test_it_is_never_above_what_was_sent(steps, shifts):
    """... in any time of 150 ms or more, however packets overtake each other."""
    acknowledged = AcknowledgedRate()
    arrival = sent_at = 0.0
    packets = []
    for later, sooner, size in steps:
        arrival, sent_at = arrival + later, sent_at + sooner
        packets.append((arrival, sent_at, size))
    fastest = 0.0
    for _, since, first in packets:
        # Of packets that were sent at the same time any may be the first.
        total = -first
        for _, until, size in packets:
            if until >= since:
                total += size
                fastest = max(fastest, 8 * total / max(until - since, 0.15))
    order = sorted(range(len(packets)), key=lambda index: index + shifts[index])
    for index in order:
        acknowledged.add(packets[index][0], packets[index][1], packets[index][2])
        rate = acknowledged.rate()
        assert rate is None or rate <= fastest * (1 + 1e-9)
        kept = acknowledged._batches
        assert all(batch.arrival >= kept[-1].begun_at - LONGEST for batch in kept)
        assert acknowledged._bytes == sum(batch.bytes for batch in kept)
        assert acknowledged._packets == sum(batch.packets for batch in kept)
