"""Rates as people write them."""

import pytest

from trio_allocator.lab.rates import RateError, format_rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("0", 0),
        ("150000", 150_000),
        ("150k", 150_000),
        ("2.5M", 2_500_000),
        (" 1.5 m ", 1_500_000),
        ("1g", 1_000_000_000),
        (".5k", 500),
        ("1.9", 1),
        ("2e6", 2_000_000),
        ("1e+3k", 1_000_000),
    ],
)
def test_rates_are_read(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("-5k", "negative"),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("fast", "not a number"),
        ("1_000", "not a number"),
        ("10kbit", "not a number"),
        ("1e999", "more than"),
        ("9" * 400, "more than"),
        ("٣", "not a number"),
    ],
)
def test_what_is_no_rate_is_named_with_a_cure(text, problem):
    with pytest.raises(RateError, match=problem) as caught:
        parse_rate(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0, "0 bit/s"),
        (999.4, "999 bit/s"),
        (35_000, "35.0 kbit/s"),
        (485_300, "485 kbit/s"),
        (999_900, "1.00 Mbit/s"),
        (12_340_000, "12.3 Mbit/s"),
        (2.5e9, "2.50 Gbit/s"),
    ],
)
def test_rates_are_shown_with_three_digits(rate, text):
    assert format_rate(rate) == text
