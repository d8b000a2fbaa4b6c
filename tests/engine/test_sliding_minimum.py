"""The lows of a sliding window: never forgotten early, and kept in bounded memory."""

from __future__ import annotations

import pytest

from trio_allocator.engine.sliding_minimum import SlidingMinimum


def noted(*rates: tuple[float, int], window: float = 1.0) -> SlidingMinimum:
    lows = SlidingMinimum(window)
    for when, rate in rates:
        lows.add(when, rate)
    return lows


def test_a_lower_rate_leaves_nothing_of_the_higher_ones_before_it():
    assert list(noted((0.0, 5), (0.5, 7), (0.9, 4))) == [(0.9, 4)]


def test_a_rate_that_stays_is_one_low():
    assert list(noted((0.0, 5), (0.5, 5), (0.9, 5))) == [(0.9, 5)]


def test_a_higher_rate_is_the_low_of_what_comes_after_the_lower_one():
    assert list(noted((0.0, 4), (0.5, 5))) == [(0.0, 4), (0.5, 5)]


def test_a_tenth_of_a_second_makes_one_low_and_the_lower_rate_is_kept():
    assert list(noted((0.0, 4), (0.0999, 5))) == [(0.0999, 4)]
    assert list(noted((0.0, 4), (0.1, 5))) == [(0.0, 4), (0.1, 5)]


def test_a_low_counts_until_the_window_has_passed():
    lows = noted((0.0, 4), (0.5, 5))
    lows.prune(0.999)
    assert len(lows) == 2
    lows.prune(1.0)
    assert list(lows) == [(0.5, 5)]


def test_adding_forgets_what_has_passed():
    assert list(noted((0.0, 4), (0.5, 5), (1.5, 6))) == [(1.5, 6)]


@pytest.mark.invariant("C3")
def test_while_rates_rise_often_the_lowest_is_remembered_for_a_tenth_too_long_at_most():
    lows = SlidingMinimum(1.0)
    for step in range(200):  # every 1/32 s, a number that floats hold
        now = step / 32
        lows.add(now, step)
        _, lowest = next(iter(lows))
        assert max(0, step - 32 - 4) <= lowest <= max(0, step - 31)
        assert len(lows) <= 12
