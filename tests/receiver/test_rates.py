"""What is measured of a variant: windows, medians, and what is believed of them."""

from __future__ import annotations

import math

import pytest

from trio_allocator.receiver.rates import (
    LONGEST_MEMORY,
    MEMORY,
    WINDOW,
    LadderRates,
    VariantRate,
)

LADDER = {"low": 100_000, "high": 1_000_000}


def measured(declared: int, *rates: float, duration: float = 1.0):
    """After windows in which it was sent at these rates."""
    variant = VariantRate(declared)
    for number, rate in enumerate(rates):
        variant.measured(rate * duration / 8, duration, float(number))
    return variant


def sent(rates: LadderRates, rate: float, start: float, windows: int) -> list[bool]:
    """Send at a rate; whether each window changed what is believed."""
    changes = []
    for number in range(windows):
        rates.sent += rate / 8
        changes.append(rates.evaluate(start + number + 1))
    return changes


# --- one variant -------------------------------------------------------------------------------


@pytest.mark.invariant("A3")
@pytest.mark.parametrize("duration", [1.0, 2.5, 8.0])
def test_a_rate_is_what_was_sent_by_how_long_it_took(duration):
    assert measured(1_000, *[2_000] * 3, duration=duration).believed == 2_000


def test_what_is_not_measured_yet_is_taken_to_be_as_declared():
    assert measured(1_000, 2_000, 2_000).believed == 1_000
    assert measured(1_000, 2_000, 2_000, 2_000).believed == 2_000
    assert measured(1_000, 2_000, 3_000, 4_000, 5_000, 6_000).believed == 4_000


def test_only_the_last_five_windows_count():
    assert measured(1_000, *[2_000] * 5, *[5_000] * 2).believed == 2_000
    assert measured(1_000, *[2_000] * 5, *[5_000] * 3).believed == 5_000


def test_cheaper_is_only_what_has_flown_for_all_windows_and_still_is():
    assert [measured(1_000, *[600] * windows).believed for windows in (3, 4, 5)] == [
        1_000,
        1_000,
        600,
    ]
    # An encoder that ramps up: the median is of its past.
    assert measured(1_000, 300, 500, 700, 900, 1_000).believed == 1_000
    assert measured(1_000, 300, 500, 700, 700, 700).believed == 700


def test_silence_needs_no_more_windows_to_be_cheap():
    assert measured(1_000, 1_000, 0, 0, 0).believed == 500


@pytest.mark.parametrize(("declared", "kept"), [(1_000, 500), (1_001, 500), (3, 1), (2, 1), (1, 1)])
def test_of_a_picture_that_stands_still_half_is_kept_and_never_nothing(declared, kept):
    believed = measured(declared, *[0.01] * 5).believed
    assert (believed, type(believed)) == (kept, int)


def test_within_the_band_nothing_changes():
    variant = VariantRate(1_000)
    assert variant.cost == 1_100
    for rate in (1_045, 917):
        for _ in range(5):
            assert variant.measured(rate / 8, 1.0, 0.0) is False
        assert variant.believed == 1_000


def test_a_change_is_reported_once():
    variant = VariantRate(1_000)
    assert [variant.measured(250, 1.0, 0.0) for _ in range(4)] == [False, False, True, False]


def test_a_measurement_expires_and_is_forgotten_for_good():
    variant = measured(1_000, *[2_000] * 5)
    assert variant.expiry == 4 + MEMORY
    assert variant.forget() is True
    assert (variant.believed, variant.expiry) == (1_000, None)
    assert variant.forget() is False
    variant = measured(1_000, *[600] * 5)
    assert variant.forget() is True
    assert [variant.measured(75, 1.0, 9.0) for _ in range(2)] == [False, False]


# --- a ladder ----------------------------------------------------------------------------------


@pytest.fixture
def rates():
    return LadderRates(LADDER)


def test_at_first_nothing_flows_and_what_is_declared_is_believed(rates):
    assert (rates.flowing, rates.sent) == (None, 0)
    assert rates.quiet is False
    assert rates.believed(LADDER) == LADDER
    assert (rates.rate("high"), rates.cost("high")) == (1_000_000, 1_100_000)
    assert rates.next_evaluation == math.inf
    assert rates.evaluate(99.0) is False


@pytest.mark.invariant("A3")
def test_a_window_ends_when_it_is_long_enough(rates):
    rates.flow("low", 5.0)
    assert rates.next_evaluation == 5.0 + WINDOW
    rates.sent += 1
    rates.evaluate(5.99)
    assert rates.sent == 1
    rates.evaluate(6.0)
    assert rates.sent == 0
    assert rates.next_evaluation == 6.0 + WINDOW


@pytest.mark.invariant("A3")
def test_another_flow_begins_its_own_window_and_the_same_one_does_not(rates):
    rates.flow("low", 0.0)
    rates.sent += 100
    rates.flow("low", 0.5)
    assert (rates.sent, rates.next_evaluation) == (100, 1.0)
    rates.flow("high", 0.5)
    assert (rates.sent, rates.next_evaluation) == (0, 1.5)


def test_a_late_evaluation_measures_over_all_the_time_that_has_passed(rates):
    rates.flow("low", 0.0)
    for end in (4.0, 8.0, 12.0):
        rates.sent += 4 * 200_000 / 8
        rates.evaluate(end)
    assert rates.rate("low") == 200_000


def test_silence_is_no_measurement_and_ends_with_the_next_packet(rates):
    rates.flow("low", 0.0)
    assert rates.evaluate(1.0) is False
    assert (rates.quiet, rates.next_evaluation) == (True, math.inf)
    rates.sent += 1_000
    rates.wake(7.5)
    assert rates.quiet is False
    assert (rates.sent, rates.next_evaluation) == (1_000, 8.5)


def test_a_change_is_told_though_what_is_forgotten_beside_it_is_none(rates):
    rates.flow("high", 0.0)
    sent(rates, 1_000_000, 0.0, 1)  # measured, and just as declared
    rates.flow("low", MEMORY - 2.0)
    sent(rates, 200_000, MEMORY - 2.0, 2)
    rates.sent += 200_000 / 8
    assert rates.evaluate(1.0 + MEMORY) is True
    assert rates.believed(["low", "high"]) == {"low": 200_000, "high": 1_000_000}


def test_what_is_forgotten_first_is_told_though_the_second_changes_nothing():
    rates = LadderRates({"low": 100_000, "middle": 500_000, "high": 1_000_000})
    rates.flow("low", 0.0)
    sent(rates, 200_000, 0.0, 3)
    rates.flow("middle", 3.0)
    sent(rates, 500_000, 3.0, 1)
    rates.flow("high", 4.0)
    assert rates.evaluate(4.0 + MEMORY) is True
    assert rates.believed(["low", "middle", "high"]) == {
        "low": 100_000,
        "middle": 500_000,
        "high": 1_000_000,
    }


def test_while_it_flows_nothing_of_it_is_forgotten(rates):
    rates.flow("low", 0.0)
    sent(rates, 200_000, 0.0, 3)
    rates.sent = 200_000 / 8 * 2 * MEMORY
    assert rates.evaluate(3.0 + 2 * MEMORY) is False
    assert rates.rate("low") == 200_000
    rates.flow(None, 99.0)
    assert rates.next_evaluation == 3.0 + 3 * MEMORY
    assert rates.evaluate(99.0) is True
    assert rates.next_evaluation == math.inf


def test_what_was_measured_survives_as_long_as_its_declaration(rates):
    rates.flow("low", 0.0)
    sent(rates, 200_000, 0.0, 3)
    rates.redeclare({"low": 100_000, "new": 300_000})
    assert rates.believed(["low", "new"]) == {"low": 200_000, "new": 300_000}
    rates.redeclare({"low": 100_001})
    assert rates.believed(["low"]) == {"low": 100_001}


# --- what proved dearer ------------------------------------------------------------------------


def test_what_proved_dearer_is_believed_again_after_one_window_like_it():
    variant = measured(1_000, *[2_000] * 5)
    variant.forget()
    assert (variant.believed, variant.suspected) == (1_000, 2_000)
    assert variant.measured(250, 1.0, 9.0) is True
    assert variant.believed == 2_000


def test_one_window_as_declared_clears_nobody_and_five_do():
    variant = measured(1_000, *[2_000] * 5)
    variant.forget()
    for _ in range(5):
        assert variant.suspected == 2_000
        variant.measured(125, 1.0, 9.0)
    assert (variant.believed, variant.suspected) == (1_000, None)


def test_each_time_that_it_proves_dearer_again_it_is_remembered_for_longer():
    variant = measured(1_000, *[2_000] * 5)
    lasted = [MEMORY]
    for _ in range(6):
        variant.forget()
        variant.measured(250, 1.0, 0.0)
        lasted.append(variant.expiry)
    assert lasted == [MEMORY * 2**n for n in range(5)] + [LONGEST_MEMORY] * 2
    variant.forget()
    for _ in range(5):
        variant.measured(125, 1.0, 0.0)
    assert variant.expiry == MEMORY


# --- silence -----------------------------------------------------------------------------------


def test_nothing_is_measured_before_the_first_packet(rates):
    rates.flow("high", 0.0)
    assert rates.evaluate(1.0) is False
    assert rates.quiet
    assert rates.wake(50.0) is False


def test_silence_after_that_is_a_rate_and_needs_no_more_than_a_trickle(rates):
    believed = []
    for rate in (0, 4_000):
        flowing = LadderRates(LADDER)
        flowing.flow("high", 0.0)
        sent(flowing, LADDER["high"], 0.0, 5)
        sent(flowing, rate, 5.0, 5)
        believed.append(flowing.rate("high"))
        assert flowing.quiet is (rate == 0)
    assert believed == [LADDER["high"] // 2] * 2


@pytest.mark.parametrize("windows", [1, 0])
def test_whoever_was_heard_once_is_counted_so_silence_after_a_switch_is_a_rate_too(rates, windows):
    rates.flow("low", 0.0)
    sent(rates, LADDER["low"], 0.0, windows)
    rates.sent += 1_200  # and within the window that the switch cuts short
    rates.flow("high", windows + 0.5)
    sent(rates, 0, windows + 0.5, 3)
    assert rates.rate("high") == LADDER["high"] // 2
    assert rates.quiet
    assert rates.wake(60.0) is True
    assert rates.rate("high") == LADDER["high"]


def test_what_moves_again_is_as_declared_at_once(rates):
    rates.flow("high", 0.0)
    sent(rates, LADDER["high"], 0.0, 5)
    sent(rates, 0, 5.0, 5)
    assert rates.next_evaluation == math.inf
    assert rates.wake(110.0) is True
    assert rates.rate("high") == LADDER["high"]
    assert rates.next_evaluation == 110.0 + WINDOW
