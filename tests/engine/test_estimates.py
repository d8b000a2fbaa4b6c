"""What is known of the estimate: how long it counts, and whether it falls."""

from __future__ import annotations

import math

import pytest

from trio_allocator.engine.estimates import Estimates


def heard(*updates: tuple[float, int], timeout: float | None = None) -> Estimates:
    estimates = Estimates(timeout)
    for when, bitrate in updates:
        estimates.update(when, bitrate)
    return estimates


@pytest.mark.invariant("A6")
def test_before_the_first_nothing_is_known_and_nothing_is_due():
    estimates = Estimates(None)
    assert (estimates.value, estimates.ever) == (None, False)
    assert estimates.stale_at == estimates.steady_at(0.0) == math.inf


@pytest.mark.invariant("A6")
def test_the_newest_counts_and_that_there_was_one_is_not_forgotten():
    estimates = heard((0.0, 5), (1.0, 7))
    assert (estimates.value, estimates.ever) == (7, True)
    estimates.forget()
    assert (estimates.value, estimates.ever) == (None, True)
    assert estimates.stale_at == estimates.steady_at(1.0) == math.inf


@pytest.mark.invariant("A6")
def test_a_timeout_that_is_given_counts_from_the_newest():
    assert heard((1.0, 5), (4.0, 5), timeout=0.5).stale_at == 4.5
    assert heard((1.0, 5), timeout=math.inf).stale_at == math.inf


@pytest.mark.invariant("A6")
@pytest.mark.parametrize(
    ("times", "patience"),
    [
        ((0,), 2),
        ((0, 0.5), 2),
        ((0, 0.75), 2.25),
        ((0, 1, 1.5), 3),
        ((0, 10), 30),
        ((0, 11), 30),
        ((0, 4, 5, 6, 7, 8), 12),
        ((0, 4, 5, 6, 7, 8, 9), 3),
        ((0, 4, 4), 12),
    ],
)
def test_it_learns_to_wait_for_three_of_the_longest_of_the_last_five_intervals(times, patience):
    estimates = heard(*((when, 5) for when in times))
    assert estimates.stale_at == times[-1] + patience


@pytest.mark.invariant("A6")
def test_the_silence_in_which_it_was_forgotten_is_an_interval_too():
    estimates = heard((0.0, 5))
    estimates.forget()
    estimates.update(5.0, 5)
    assert estimates.stale_at == 20.0


@pytest.mark.invariant("C3")
def test_no_more_intervals_are_kept_than_count():
    estimates = heard(*((float(when), 5) for when in range(100)))
    assert len(estimates._intervals) == 5


@pytest.mark.invariant("P1")
@pytest.mark.parametrize(
    ("bitrate", "steady"), [(950, 1.0), (949, 2.0), (1_000, 1.0), (2_000, 1.0)]
)
def test_it_falls_while_it_is_a_twentieth_below_its_maximum_of_two_seconds(bitrate, steady):
    assert heard((0.0, 1_000), (1.0, bitrate)).steady_at(1.0) == steady


@pytest.mark.invariant("P1")
def test_it_has_stopped_falling_when_the_last_higher_one_is_two_seconds_ago():
    estimates = heard((0.0, 2_000), (0.5, 1_500), (1.0, 1_000))
    assert estimates.steady_at(1.0) == 2.5
    assert estimates.steady_at(2.0) == 2.5
    assert estimates.steady_at(2.5) == 2.5
    assert estimates.steady_at(3.0) == 3.0
