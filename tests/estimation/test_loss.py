"""The rate that loss allows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation.loss import FEWEST, PERIOD, LossControl, allowed

shares = st.floats(0, 1)
rates = st.floats(1_000, 1e9)


def test_above_a_tenth_half_of_the_share_lost_goes():
    assert allowed(1_000_000, 0.2, 0.5) == pytest.approx(900_000)
    assert allowed(1_000_000, 1.0, 0.5) == pytest.approx(500_000)


def test_up_to_two_per_cent_it_rises_by_eight_per_cent_a_second_and_ever_less_up_to_ten():
    assert allowed(1_000_000, 0.0, 1.0) == pytest.approx(1_080_000)
    assert allowed(1_000_000, 0.02, 1.0) == pytest.approx(1_080_000)
    assert allowed(1_000_000, 0.02, 0.5) == pytest.approx(1_000_000 * 1.08**0.5)
    assert allowed(1_000_000, 0.06, 1.0) == pytest.approx(1_040_000)
    assert allowed(1_000_000, 0.10, 1.0) == pytest.approx(1_000_000)


@given(rates, shares, shares, st.floats(0, 1))
def test_more_loss_never_allows_more(rate, one, other, elapsed):
    less, more = sorted((one, other))
    assert allowed(rate, more, elapsed) <= allowed(rate, less, elapsed)


@given(st.lists(st.tuples(shares, shares, st.floats(0.1, 2), rates), min_size=1, max_size=30))
def test_the_part_is_monotone_in_loss_all_else_equal(steps):
    """Whatever the history: who loses more at each judgement is never allowed more at any."""
    little, much = LossControl(), LossControl()
    now = 0.0
    for one, other, elapsed, rate in steps:
        now += elapsed
        little.follow(min(one, other), now, rate)
        much.follow(max(one, other), now, rate)
        assert (much.rate or rate) <= (little.rate or rate) * (1 + 1e-12)


def test_there_is_no_limit_while_little_is_lost():
    control = LossControl()
    for second in range(10):
        control.follow(0.09, float(second), 1_000_000)
        assert control.rate is None


def test_a_limit_stays_until_it_reaches_what_everything_else_allows():
    control = LossControl()
    control.follow(0.2, 0.0, 1_000_000)
    assert control.rate == pytest.approx(900_000)
    control.follow(0.0, 1.0, 1_000_000)
    assert control.rate == pytest.approx(972_000)
    control.follow(0.0, 2.0, 1_000_000)
    assert control.rate is None


def test_it_takes_what_is_least_to_lower_it_from():
    control = LossControl()
    control.follow(0.2, 0.0, 1_000_000)
    control.follow(0.2, 1.0, 500_000)
    assert control.rate == pytest.approx(450_000)


def test_after_a_long_time_it_rises_by_no_more_than_a_second_s_worth():
    control = LossControl()
    control.follow(0.5, 0.0, 1_000_000)
    control.follow(0.0, 60.0, 1_000_000)
    assert control.rate == pytest.approx(750_000 * 1.08)


def test_in_half_a_second_it_rises_by_less():
    control = LossControl()
    control.follow(0.5, 10.0, 1_000_000)
    control.follow(0.0, 10.5, 1_000_000)
    assert control.rate == pytest.approx(750_000 * 1.08**0.5)


def followed(*losses):
    """The limit after each of these, a second apart, where 100 Mbit/s are allowed otherwise."""
    control = LossControl()
    rates = []
    for second, loss in enumerate(losses):
        control.follow(loss, float(second), 100_000_000)
        rates.append(control.rate)
    return rates


def test_without_loss_it_rises_faster_each_second_up_to_half_as_much_again():
    rates = followed(*[1.0] * 9, *[0.02] * 6)[8:]
    growths = [after / before - 1 for before, after in pairwise(rates)]
    assert growths == pytest.approx([0.08, 0.16, 0.32, 0.5, 0.5, 0.5])


def test_with_any_that_matters_it_begins_again_with_eight_per_cent():
    rates = followed(*[1.0] * 9, 0.0, 0.0, 0.06, 0.0)
    assert rates[-2] == pytest.approx(rates[-3] * (1 + 0.32 / 2))
    assert rates[-1] == pytest.approx(rates[-2] * 1.08)


def test_it_does_so_after_it_has_been_no_limit():
    rates = followed(*[1.0] * 3, *[0.0] * 10, *[1.0] * 3, 0.0)
    assert rates[12] is None
    assert rates[-1] == pytest.approx(rates[-2] * 1.08)


def counted(*periods):
    """Counts of (received, lost), half a second each."""
    control = LossControl()
    control.judge(0.0, 1_000_000)
    for index, (received, lost) in enumerate(periods, 1):
        control.count(received, lost)
        control.judge(index * PERIOD, 1_000_000)
    return control


def test_it_judges_when_half_a_second_has_passed_and_twenty_packets_are_known():
    control = LossControl()
    control.judge(0.0, 1_000_000)
    control.count(10, FEWEST - 11)
    control.judge(PERIOD, 1_000_000)
    assert control.rate is None
    control.count(0, 1)
    control.judge(PERIOD - 0.01, 1_000_000)
    assert control.rate is None
    control.judge(PERIOD, 1_000_000)
    assert control.loss == 0.5
    assert control.rate == pytest.approx(750_000)


def test_a_judgement_is_about_two_periods():
    assert counted((20, 20), (40, 0)).loss == pytest.approx(20 / 80)
    assert counted((20, 20), (40, 0), (40, 0)).loss == 0.0


def test_what_arrives_after_all_was_not_lost():
    assert counted((20, 20), (40, -20)).loss == 0.0
    assert counted((20, 20), (40, -10)).loss == pytest.approx(10 / 70)


def test_nor_was_it_in_the_period_before():
    assert counted((20, 20), (40, -20)).loss == 0.0
    # What is left of then: 10 of 40 packets; and now there are 20.
    assert counted((20, 20), (30, -10)).loss == pytest.approx(10 / 60)
    # Of a period that is not judged any more nothing can be taken back.
    assert counted((0, 40), (20, 20), (50, -25)).loss == 0.0


def test_what_is_taken_back_is_not_taken_from_what_is_lost_later():
    control = counted((20, 20))
    control.count(60, -40)
    control.count(0, 20)
    control.judge(2 * PERIOD, 1_000_000)
    assert control.loss == pytest.approx(20 / 80)


def test_counts_that_make_no_sense_are_within_bounds():
    assert counted((50, -30)).loss == 0.0
    control = counted((40, -50), (0, 60))
    assert 0 <= control.loss <= 1
    assert counted((-10, 60)).loss == 1.0


def test_what_a_decrease_has_answered_counts_no_more():
    control = counted((40, 0))
    control.count(10, 30)
    control.answered(0.7)
    control.count(30, 10)
    control.judge(1.0, 1_000_000)
    assert control.loss == 0.0
    control.judge(1.2, 1_000_000)
    assert control.loss == pytest.approx(0.25)
