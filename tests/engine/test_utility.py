"""What a rate is worth if nobody says otherwise."""

import math

import pytest
from hypothesis import given, strategies as st

from trio_allocator.policies.utility import KNEE, log_utility

RATES = st.integers(1, 10**9)


@pytest.mark.parametrize(
    ("bitrate", "worth"), [(0, 0.0), (150_000, 1.39), (500_000, 2.40), (2_500_000, 3.93)]
)
def test_the_figures_that_its_documentation_gives(bitrate, worth):
    assert log_utility(2_500_000)(bitrate) == pytest.approx(worth, abs=0.005)


def test_at_the_knee_it_is_worth_ln_2():
    assert log_utility(KNEE * 1_000)(1_000) == pytest.approx(math.log(2))


@given(RATES, st.integers(0, 10**9), RATES)
def test_it_grows_ever_more_slowly(best, bitrate, more):
    worth = log_utility(best)
    first, second, third = (worth(bitrate + n * more) for n in range(3))
    assert 0.0 <= first < second < third
    assert third - second <= second - first + 1e-12


@pytest.mark.invariant("G7")
@given(RATES, RATES, st.integers(2, 1000))
def test_no_rate_is_special(best, bitrate, k):
    assert log_utility(best * k)(bitrate * k) == pytest.approx(log_utility(best)(bitrate))
