"""Peers that send REMB or receiver reports alone."""

from __future__ import annotations

import pytest

from trio_allocator.estimation.reported import ReportedRate


@pytest.fixture
def reported():
    return ReportedRate()


def test_a_lower_limit_is_taken_at_once(reported):
    assert reported.limited(300_000, 200_000, 0.0, 0) == 200_000


def test_a_higher_one_as_far_as_what_is_sent_goes(reported):
    assert reported.limited(300_000, 9e6, 0.0, 0) == 300_000
    # 50 kB a second are 400 kbit/s: 1.5 of that, and 10 kbit/s.
    assert reported.limited(300_000, 9e6, 1.0, 50_000) == 610_000
    assert reported.limited(300_000, 500_000, 2.0, 100_000) == 500_000


def test_what_was_sent_since_the_last_report_counts(reported):
    reported.limited(1e6, 9e6, 0.0, 1_000_000)
    assert reported.limited(100_000, 9e6, 0.5, 1_025_000) == 610_000


def test_too_short_a_time_is_no_measurement(reported):
    reported.limited(1e6, 9e6, 0.0, 0)
    assert reported.limited(300_000, 9e6, 0.14, 1_000_000) == 300_000
    assert reported.limited(300_000, 9e9, 0.16, 1_000_000) == 1.5 * 50e6 + 1e4


def test_without_loss_it_rises_by_eight_per_cent_a_second(reported):
    assert reported.lost(300_000, 0.0, 0.0, 0) == 300_000
    assert reported.lost(300_000, 0.02, 0.5, 20_000) == pytest.approx(300_000 * 1.08**0.5)
    assert reported.lost(300_000, 0.0, 5.5, 900_000) == pytest.approx(300_000 * 1.08**5)
    assert reported.lost(300_000, 0.0, 60.0, 9_000_000) == pytest.approx(300_000 * 1.08**7.5)


def test_with_loss_it_does_not(reported):
    reported.lost(300_000, 0.0, 0.0, 0)
    assert reported.lost(300_000, 0.021, 1.0, 50_000) == 300_000


def test_nor_beyond_what_is_sent(reported):
    reported.lost(300_000, 0.0, 0.0, 0)
    assert reported.lost(300_000, 0.0, 1.0, 1_000) == 300_000
    assert reported.lost(300_000, 0.0, 2.0, 25_250) == pytest.approx(301_000)
