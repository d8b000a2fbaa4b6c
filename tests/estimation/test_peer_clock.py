"""The reference time, unwrapped: by what it says, and by when it came."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation.peer_clock import PeerClock

UNIT = 0.064
WRAP = 2**24 * UNIT


@pytest.fixture
def clock():
    clock = PeerClock()
    assert clock.follow(100, [0], 50.0)
    return clock


def test_it_begins_with_the_newest_arrival_at_our_time():
    clock = PeerClock()
    assert clock.follow(7, [-500, 2000, 1000], 50.0)
    assert clock.seconds(2000) == 50.0
    assert clock.seconds(0) == pytest.approx(49.998)
    assert clock.seconds(-500) == pytest.approx(49.9975)


def test_it_runs_like_the_peers(clock):
    assert clock.follow(110, [250], 50.9)
    assert clock.seconds(250) == pytest.approx(50.64025)
    assert clock.jumps == 0


def test_an_older_reference_is_earlier(clock):
    assert clock.follow(99, [0], 50.1)
    assert clock.seconds(0) == pytest.approx(49.936)
    assert clock.jumps == 0


def test_it_wraps_around(clock):
    assert clock.follow(99, [0], 50.0 + WRAP)
    assert clock.seconds(0) == pytest.approx(50.0 + WRAP - UNIT)
    assert clock.follow(101, [0], 50.0 + 3 * WRAP)
    assert clock.seconds(0) == pytest.approx(50.0 + 3 * WRAP + UNIT)
    assert clock.jumps == 0


def test_it_wraps_around_between_two_feedbacks():
    clock = PeerClock()
    clock.follow(2**24 - 1, [0], 50.0)
    clock.follow(1, [0], 50.1)
    assert clock.seconds(0) == pytest.approx(50.128)
    clock.follow(2**24 - 1, [0], 50.1)
    assert clock.seconds(0) == pytest.approx(50.0)
    assert clock.jumps == 0


@pytest.mark.parametrize(("stray", "jumps"), [(9_999_999, 0), (10_000_001, 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_clock_that_strays_by_ten_seconds_begins_anew(clock, stray, jumps, sign):
    assert clock.follow(100, [sign * stray], 50.0)
    assert clock.jumps == jumps
    assert clock.seconds(sign * stray) == pytest.approx(
        50.0 if jumps else 50.0 + sign * stray / 1e6
    )


def test_small_lies_do_not_add_up(clock):
    for step in range(1, 4):
        assert clock.follow(100, [4_000_000 * step], 50.0)
    assert clock.jumps == 1
    assert clock.seconds(12_000_000) == pytest.approx(50.0)


def test_after_a_lie_the_truth_is_believed_again(clock):
    clock.follow(100_000, [0], 51.0)
    assert clock.seconds(0) == 51.0
    clock.follow(131, [0], 52.0)
    assert clock.seconds(0) == 52.0
    assert clock.jumps == 2


def test_no_arrival_says_nothing_of_the_clock(clock):
    assert clock.follow(5_000_000, [], 51.0)
    assert clock.jumps == 0
    assert clock.follow(116, [0], 51.0)
    assert clock.seconds(0) == pytest.approx(51.024)


@pytest.mark.parametrize(("span", "possible"), [(60_000_000, True), (60_000_250, False)])
def test_a_minute_is_the_longest_that_a_feedback_spans(clock, span, possible):
    before = clock.seconds(0)
    assert clock.follow(100, [0, span, 250], 50.0 + span / 1e6) is possible
    assert clock.seconds(0) == before
    assert clock.jumps == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**24 - 1),
            st.integers(-(2**40), 2**40),
            st.floats(-1e7, 1e7),
        )
    )
)
def test_whatever_it_says_the_newest_arrival_is_about_now(feedbacks):
    clock = PeerClock()
    for reference, newest, now in feedbacks:
        assert clock.follow(reference, [newest], now)
        assert abs(clock.seconds(newest) - now) <= 10 + 1e-6
