"""What arrives, over the time it took: out or in, whichever is longer."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation.acknowledged import LONGEST, WINDOW, AcknowledgedRate


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
    assert fed(*steady(11, 0.01)).rate() == pytest.approx(800_000)


def test_nothing_and_little_are_no_rate():
    assert fed().rate() is None
    assert fed().recent_rate() is None
    assert fed(*steady(3, 0.1)).rate() is None
    assert fed(*steady(3, 0.1)).recent_rate() is None
    assert fed(*steady(4, 0.016)).rate() is None  # 48 ms
    assert fed(*steady(4, 0.016)).recent_rate() is None
    assert fed(*steady(4, 0.017)).rate() == pytest.approx(8_000 / 0.017)


def test_what_arrived_long_ago_counts_no_more():
    slow = steady(6, 0.1, 500)
    fast = steady(60, 0.01, 1_000, since=0.6)
    assert fed(*slow, *fast).rate() == pytest.approx(800_000)


def test_what_was_held_up_and_let_go_counts_by_its_sending():
    packets = [(1.0, index * 0.01, 1_000) for index in range(11)]
    assert fed(*packets).rate() == pytest.approx(800_000)


def test_what_was_sent_at_once_counts_by_its_arrival():
    packets = [(index * 0.01, 0.0, 1_000) for index in range(11)]
    assert fed(*packets).rate() == pytest.approx(800_000)


def test_a_packet_that_was_overtaken_arrives_with_the_last():
    packets = steady(11, 0.01)
    packets[5] = (0.0, packets[5][1], 1_000)
    assert fed(*packets).rate() == pytest.approx(800_000)


def test_recent_is_the_rate_of_the_newest_arrivals_alone():
    before, after = steady(40, 0.01), steady(8, 0.02, since=0.4)
    acknowledged = fed(*before, *after)
    assert acknowledged.recent_rate() == pytest.approx(400_000)
    assert acknowledged.rate() > 600_000


def test_recent_reaches_back_for_four_packets():
    before, after = steady(5, 0.05), steady(3, 0.1, since=0.3)
    # The last four span 300 ms, as do the three gaps between them.
    assert fed(*before, *after).recent_rate() == pytest.approx(3 * 8_000 / 0.3)


def test_begun_anew_nothing_is_known():
    acknowledged = fed(*steady(11, 0.01))
    acknowledged.clear()
    assert acknowledged.rate() is None
    for packet in steady(11, 0.01, 100):
        acknowledged.add(*packet)
    assert acknowledged.rate() == pytest.approx(80_000)


def test_arrivals_that_never_pass_cost_bounded_memory():
    acknowledged = fed(*((1.0, index * 0.01, 1_000) for index in range(10_000)))
    assert len(acknowledged._packets) <= LONGEST / 0.01 + 1


@given(
    st.lists(
        st.tuples(st.floats(0, 0.1), st.floats(0, 0.1), st.integers(1, 1_500)),
        min_size=4,
        max_size=60,
    )
)
def test_it_is_never_above_what_was_sent(steps):
    """... in any time of 50 ms or more."""
    acknowledged = AcknowledgedRate()
    arrival = sent_at = 0.0
    sent = []
    for later, sooner, size in steps:
        arrival, sent_at = arrival + later, sent_at + sooner
        sent.append((sent_at, size))
        acknowledged.add(arrival, sent_at, size)
        rate = acknowledged.rate()
        if rate is None:
            continue
        fastest = max(
            8 * sum(size for _, size in sent[begin + 1 :]) / max(sent_at - sent[begin][0], 0.05)
            for begin in range(len(sent))
        )
        assert rate <= fastest * (1 + 1e-9)
        assert len(acknowledged._packets) == sum(
            1 for packet in acknowledged._packets if packet[0] >= arrival - WINDOW
        )
