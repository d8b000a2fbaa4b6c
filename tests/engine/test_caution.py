"""Calm after a decrease: how far raises may go, for how long, and when that changes (G9)."""

from __future__ import annotations

import math

import pytest

from trio_allocator.engine.sharing.caution import Caution

pytestmark = pytest.mark.invariant("G9")

HOLD = 5.0
TERM = 10.0  # two holds


@pytest.fixture
def calm():
    return Caution(HOLD)


def test_until_somebody_is_lowered_the_estimate_itself_is_the_ceiling(calm):
    calm.note(0.0, 500)
    calm.raised(0.5)
    assert calm.ceiling(1.0, 1_000) == 1_000
    assert calm.rises_at(1.0, 1_000) == math.inf


def test_for_two_holds_after_a_lowering_the_lowest_estimate_counts(calm):
    calm.lowered(0.0, 1_000)
    assert calm.until == TERM
    calm.note(1.0, 1_030)
    assert calm.ceiling(1.0, 1_030) == 1_000
    calm.note(2.0, 1_010)
    assert calm.ceiling(2.0, 1_010) == 1_000
    calm.note(6.0, 1_040)
    assert calm.ceiling(6.0, 1_040) == 1_010


def test_a_lower_estimate_is_followed_at_once(calm):
    calm.lowered(0.0, 1_000)
    calm.note(1.0, 900)
    assert calm.ceiling(1.0, 900) == 900
    calm.note(2.0, 940)
    assert calm.ceiling(2.0, 940) == 900


def test_an_estimate_without_a_note_is_no_ceiling_above_itself(calm):
    calm.lowered(0.0, 1_000)
    assert calm.ceiling(0.5, 800) == 800


def test_a_rise_is_followed_to_a_twentieth_below(calm):
    calm.lowered(0.0, 1_000)
    calm.note(1.0, 2_019)
    assert calm.ceiling(1.0, 2_019) == 1_919


def test_the_term_ends_and_then_the_estimate_is_the_ceiling(calm):
    calm.lowered(0.0, 1_000)
    calm.note(9.0, 1_000)
    assert calm.ceiling(9.99, 1_030) == 1_000
    assert calm.ceiling(10.0, 1_030) == 1_030


def test_what_is_noted_when_the_term_is_over_is_not_kept(calm):
    calm.lowered(0.0, 1_000)
    calm.note(10.0, 500)
    calm.lowered(10.5, 1_000)
    assert calm.ceiling(10.5, 1_030) == 1_000


def test_a_new_term_begins_with_the_estimate_of_its_own_lowering(calm):
    calm.lowered(0.0, 1_000)
    calm.note(9.5, 500)
    calm.lowered(10.0, 1_000)
    assert calm.ceiling(10.0, 1_030) == 1_000


def test_a_lowering_within_a_term_forgets_none_of_its_lows(calm):
    calm.lowered(0.0, 1_000)
    calm.note(1.0, 900)
    calm.lowered(2.0, 1_000)
    assert calm.ceiling(2.0, 940) == 900
    assert calm.until == 2.0 + TERM


def test_a_lowering_within_a_term_adds_no_low_of_its_own(calm):
    calm.lowered(0.0, 1_000)
    calm.lowered(2.0, 990)
    assert calm.ceiling(2.0, 1_030) == 1_000


@pytest.mark.parametrize(("since", "term"), [(4.99, 20.0), (5.0, 10.0)])
def test_a_raise_that_had_to_be_taken_back_soon_doubles_the_term(since, term, calm):
    calm.raised(0.0)
    calm.lowered(since, 1_000)
    assert calm.until == since + term


def test_terms_double_up_to_two_minutes(calm):
    terms = []
    for attempt in range(6):
        now = attempt * 1_000.0
        calm.raised(now)
        calm.lowered(now, 1_000)
        terms.append(calm.until - now)
    assert terms == [20.0, 40.0, 80.0, 120.0, 120.0, 120.0]


def test_within_a_term_the_next_one_is_as_long_and_after_it_it_is_the_first_again(calm):
    calm.raised(0.0)
    calm.lowered(0.0, 1_000)
    calm.lowered(19.0, 1_000)
    assert calm.until == 39.0
    calm.lowered(39.0, 1_000)
    assert calm.until == 49.0


def test_the_ceiling_rises_when_its_low_has_passed_or_the_term_is_over(calm):
    calm.lowered(0.0, 1_000)
    calm.note(1.0, 1_010)
    assert calm.rises_at(1.0, 1_010) == 5.0
    calm.note(4.0, 1_005)
    calm.note(8.0, 1_030)
    assert calm.rises_at(8.0, 1_030) == 9.0
    calm.note(8.5, 1_005)
    calm.note(9.5, 1_030)
    assert calm.rises_at(9.5, 1_030) == 10.0


def test_a_ceiling_that_is_the_estimate_does_not_rise(calm):
    calm.lowered(0.0, 1_000)
    assert calm.rises_at(0.5, 1_000) == math.inf


def test_a_low_that_has_passed_counts_no_more_though_no_other_has_come(calm):
    calm.lowered(0.0, 1_000)
    assert calm.ceiling(4.99, 1_030) == 1_000
    assert calm.ceiling(5.0, 1_030) == 1_030
