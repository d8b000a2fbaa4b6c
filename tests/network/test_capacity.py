"""A capacity over time."""

import math

import pytest
from hypothesis import given, strategies as st

from trio_allocator.testing import Bottleneck, RateSchedule


def test_before_the_first_step_its_rate_counts():
    schedule = RateSchedule([(0.0, 1e6), (1.0, 2e6)], start=5.0)
    assert schedule.rate_at(-1.0) == 1_000_000
    assert schedule.bits_between(4.0, 7.0) == pytest.approx(4e6)
    assert (schedule.next_change(4.0), schedule.next_change(6.0)) == (5.0, math.inf)
    assert schedule.steps == ((0.0, 1_000_000), (1.0, 2_000_000))


@given(
    st.lists(st.floats(1e3, 1e9), min_size=1, max_size=8),
    st.floats(0, 20),
    st.integers(1, 10**8),
)
def test_what_leaves_is_what_fits_between(rates, start, size):
    schedule = RateSchedule([(2.0 * number, rate) for number, rate in enumerate(rates)])
    left = Bottleneck(schedule).offer(start, size).left
    assert schedule.bits_between(start, left) == pytest.approx(
        8 * size, rel=1e-6, abs=1e-3 * max(rates)
    )
