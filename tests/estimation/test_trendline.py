"""When a slope is overuse, and how the threshold follows."""

from __future__ import annotations

import pytest

from trio_allocator.estimation import Usage
from trio_allocator.estimation.trendline import (
    GREATEST_THRESHOLD,
    LEAST_THRESHOLD,
    START_THRESHOLD,
    Trendline,
)


def feed(trend, count, delay_delta, *, interval=0.02, since=0.0):
    """Groups at an interval, each slower than the one before by so much."""
    usages = []
    for index in range(count):
        arrival = since + index * (interval + delay_delta)
        trend.add(arrival, interval, delay_delta)
        usages.append(trend.usage)
    return usages


def test_it_begins_with_normal_use():
    assert Trendline().usage is Usage.NORMAL


def test_even_groups_are_normal_use():
    assert set(feed(Trendline(), 100, 0.0)) == {Usage.NORMAL}


def test_a_growing_queue_is_overuse_once_there_is_a_line():
    usages = feed(Trendline(), 40, 0.01)
    assert usages[:20] == [Usage.NORMAL] * 20
    assert usages[20] is Usage.OVERUSED


def test_a_shrinking_queue_is_underuse():
    trend = Trendline()
    feed(trend, 40, 0.01)
    assert feed(trend, 60, -0.01, since=2.0)[-1] is Usage.UNDERUSED


def test_one_group_above_the_threshold_is_not_enough():
    trend = Trendline()
    feed(trend, 19, 0.01, interval=0.02)
    trend.add(0.6, 0.02, 0.01)
    assert trend.usage is Usage.NORMAL
    trend.add(0.63, 0.02, 0.01)
    assert trend.usage is not Usage.NORMAL


def test_overuse_has_to_last_for_ten_milliseconds_of_sending():
    trend = Trendline()
    usages = feed(trend, 30, 0.003, interval=0.003)
    # Half of an interval, then whole ones: 1.5, 4.5, 7.5, 10.5 ms.
    assert usages.index(Usage.OVERUSED) == 22


def test_a_slope_that_falls_is_no_new_overuse():
    trend = Trendline()
    trend.threshold = 12.5
    feed(trend, 60, 0.0)
    assert trend.usage is Usage.NORMAL
    # One step up: the slope rises at first, then falls; overuse ends with it.
    trend.add(1.3, 0.02, 0.1)
    usages = feed(trend, 60, 0.0, since=1.32)
    assert usages[-1] is Usage.NORMAL


def test_the_threshold_falls_to_its_least_where_nothing_happens():
    trend = Trendline()
    assert trend.threshold == START_THRESHOLD
    trend.add(0.0, 0.02, 0.0)
    trend.add(0.01, 0.01, 0.0)
    assert trend.threshold == pytest.approx(12.5 - 0.039 * 10 * 12.5)
    feed(trend, 50, 0.0, since=0.03)
    assert trend.threshold == LEAST_THRESHOLD


def test_a_gap_moves_it_for_a_tenth_of_a_second_at_most():
    trend = Trendline()
    trend.add(0.0, 0.02, 0.0)
    trend.threshold = 600.0
    trend.add(5.0, 5.0, 0.0)
    # More than all of it: to the least.
    assert trend.threshold == LEAST_THRESHOLD
    trend.threshold = 20.0
    trend._adapt(30.0, 10.0)
    assert trend.threshold == pytest.approx(20 + 0.0087 * 100 * 10)


def test_it_follows_what_exceeds_it_by_little_and_not_a_sudden_drop():
    trend = Trendline()
    trend.add(1.0, 0.02, 0.0)
    trend.threshold = 20.0
    trend._adapt(30.0, 1.01)
    assert trend.threshold == pytest.approx(20 + 0.0087 * 10 * 10)
    trend.threshold = 20.0
    trend._adapt(35.0, 1.02)
    assert trend.threshold > 20
    trend.threshold = 20.0
    trend._adapt(35.01, 1.03)
    assert trend.threshold == 20


def test_it_never_exceeds_its_greatest():
    trend = Trendline()
    trend.add(1.0, 0.02, 0.0)
    trend.threshold = GREATEST_THRESHOLD
    trend._adapt(GREATEST_THRESHOLD + 10, 1.1)
    assert trend.threshold == GREATEST_THRESHOLD


def test_a_clock_that_goes_back_moves_nothing():
    trend = Trendline()
    trend.add(1.0, 0.02, 0.0)
    before = trend.threshold
    trend.add(0.5, 0.02, 0.0)
    assert trend.threshold == before


def test_begun_anew_the_threshold_stays_and_the_rest_goes():
    trend = Trendline()
    feed(trend, 40, 0.01)
    trend.threshold = 100.0
    trend.clear()
    assert trend.usage is Usage.NORMAL
    assert trend.threshold == 100.0
    assert feed(trend, 19, 0.01, since=2.0)[-1] is Usage.NORMAL


def test_groups_that_arrive_all_at_once_leave_the_judgement():
    trend = Trendline()
    feed(trend, 40, 0.01)
    before = trend.usage
    for _ in range(3):
        trend.add(1.2, 0.02, 0.0)
    assert trend.usage is before
