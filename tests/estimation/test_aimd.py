"""The rate that delay allows: when it grows and how fast, when it falls and how far."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from trio_allocator.estimation import Limit, Usage
from trio_allocator.estimation.acknowledged import AcknowledgedRate
from trio_allocator.estimation.aimd import (
    EMPTY,
    EPISODE,
    GREATEST_GROWTH,
    STANDING_QUEUE,
    Observation,
    Phase,
    RateControl,
)

RTT = 0.1
START = 1_000_000


def arrivals(rate):
    """Arrivals of the last 150 ms at a rate, bit/s; at none of them with None."""
    acknowledged = AcknowledgedRate()
    for index in range(11 if rate is not None else 0):
        acknowledged.add(index * 0.01, index * 0.01, round(rate / 800))
    return acknowledged


def seen(now, **changes):
    """A link that is not full, on which the media arrives at the rate of the start."""
    recent = changes.pop("recent", changes.get("acknowledged", START))
    values = {
        "usage": Usage.NORMAL,
        "standing": 0.0,
        "waited": 0.0,
        "jitter": 0.0,
        "acknowledged": START,
        "arrivals": arrivals(recent),
        "sent_at": now - RTT,
        "round_trip": RTT,
        "in_flight": 0,
        "rtt": RTT,
    }
    return Observation(**values | changes)


@pytest.fixture
def control():
    return RateControl(START, 10_000, 10_000_000)


def step(control, now, **changes):
    return control.update(now, seen(now, **changes))


def lowered(control, now=0.0, **changes):
    """Bring it to where it drains a queue."""
    step(control, now, **{"standing": 0.05, "waited": 0.05} | changes)
    assert control.phase is Phase.DRAINING
    return control


# --- growth ----------------------------------------------------------------------------------


def test_it_grows_by_eight_per_cent_a_second_at_first_and_twice_as_much_each_second(control):
    step(control, 0.0)
    assert control.rate == START
    step(control, 1.0)
    assert control.rate == pytest.approx(1_080_000)
    step(control, 2.0)
    assert control.rate == pytest.approx(1_080_000 * 1.16)
    assert control.limit is Limit.GROWTH


def test_a_part_of_a_second_is_a_part_of_the_growth(control):
    step(control, 0.0)
    step(control, 0.25)
    assert control.rate == pytest.approx(START * 1.08**0.25)
    step(control, 0.5)
    assert control.rate == pytest.approx(START * 1.08**0.25 * (1 + 0.08 * 2**0.25) ** 0.25)


def test_a_long_pause_is_a_second_of_growth(control):
    step(control, 0.0)
    step(control, 60.0)
    assert control.rate == pytest.approx(1_080_000)


def test_growth_has_an_end(control):
    rates = []
    for second in range(12):
        step(control, float(second), acknowledged=control.rate)
        rates.append(control.rate)
    assert max(b / a for a, b in pairwise(rates)) == pytest.approx(1 + GREATEST_GROWTH)


def test_it_does_not_speed_up_while_there_is_some_queue(control):
    step(control, 0.0)
    step(control, 1.0, standing=0.0091)
    step(control, 2.0, standing=0.0091)
    assert control.rate == pytest.approx(START * 1.08**2)


def test_it_grows_to_half_as_much_again_as_what_arrives_and_ten_kilobits(control):
    step(control, 0.0)
    for second in range(1, 20):
        step(control, float(second), acknowledged=800_000)
    assert control.rate == 1_210_000
    assert control.limit is Limit.APPLICATION
    step(control, 20.0, acknowledged=700_000)
    assert control.rate == 1_210_000


def test_unused_it_begins_to_grow_slowly_again(control):
    for second in range(4):
        step(control, float(second))
    step(control, 4.0, acknowledged=100_000)
    before = control.rate
    step(control, 5.0, acknowledged=before)
    assert control.rate == pytest.approx(before * 1.08)


def test_what_arrives_without_a_queue_can_be_used(control):
    step(control, 0.0)
    step(control, 0.1, acknowledged=1_400_000)
    assert control.rate == 1_400_000
    step(control, 0.2, acknowledged=1_800_000, standing=0.0091)
    assert control.rate < 1_500_000


def test_nothing_known_of_arrivals_is_no_growth(control):
    step(control, 0.0)
    step(control, 1.0, acknowledged=None)
    assert control.rate == START


def test_underuse_holds_it(control):
    step(control, 0.0)
    step(control, 1.0, usage=Usage.UNDERUSED)
    assert control.rate == START
    assert control.limit is Limit.DELAY


def test_near_what_the_link_carried_it_grows_by_a_packet_in_two_reactions(control):
    control.capacity.measured(START)
    step(control, 0.0)
    step(control, 1.0)
    # A frame of 33.3 kbit in 4 packets; twice a round trip and 100 ms.
    assert control.rate - START == pytest.approx(START / 30 / 4 / 0.4)
    slow = RateControl(60_000, 10_000, 1e7)
    slow.capacity.measured(60_000)
    step(slow, 0.0, acknowledged=60_000)
    step(slow, 1.0, acknowledged=60_000)
    assert slow.rate == pytest.approx(60_000 + 60_000 / 30 / 0.4)
    idle = RateControl(10_000, 10_000, 1e7)
    idle.capacity.measured(10_000)
    step(idle, 0.0, acknowledged=10_000, rtt=1.0)
    step(idle, 1.0, acknowledged=10_000, rtt=1.0)
    assert idle.rate == 14_000


def test_above_what_the_link_carried_that_is_forgotten(control):
    control.capacity.measured(START)
    step(control, 0.0)
    step(control, 1.0, acknowledged=1_100_000, standing=0.01)
    assert control.capacity.mean is None
    assert control.rate == pytest.approx(1_080_000)


def test_bounds_hold(control):
    for second in range(40):
        step(control, float(second), acknowledged=1e9)
    assert control.rate == 10_000_000
    lowered(control, 40.0, acknowledged=1_000, recent=1_000)
    assert control.rate == 10_000


# --- overuse ---------------------------------------------------------------------------------


def test_a_standing_queue_is_overuse(control):
    step(control, 0.0, standing=STANDING_QUEUE)
    assert control.phase is Phase.RISING
    step(control, 0.1, standing=STANDING_QUEUE + 0.001)
    assert control.phase is Phase.DRAINING
    assert control.limit is Limit.DELAY


def test_a_growing_one_is_as_soon_as_it_stands_at_all(control):
    step(control, 0.0, usage=Usage.OVERUSED, standing=EMPTY * STANDING_QUEUE)
    assert control.phase is Phase.RISING
    step(control, 0.1, usage=Usage.OVERUSED, standing=EMPTY * STANDING_QUEUE + 0.001)
    assert control.phase is Phase.DRAINING


def test_on_a_slow_link_a_packet_and_a_half_is_no_queue():
    slow = RateControl(200_000, 10_000, 1e7)  # 48 ms a packet
    step(slow, 0.0, standing=0.071, acknowledged=200_000)
    assert slow.phase is Phase.RISING
    step(slow, 0.1, standing=0.073, acknowledged=200_000)
    assert slow.phase is Phase.DRAINING


def test_what_the_link_carried_says_how_slow_it_is(control):
    control.capacity.measured(200_000)
    step(control, 0.0, standing=0.071, acknowledged=200_000)
    assert control.phase is Phase.RISING


def test_where_the_queue_changes_anyhow_it_takes_three_times_that(control):
    step(control, 0.0, standing=0.029, jitter=0.01)
    assert control.phase is Phase.RISING
    step(control, 0.1, standing=0.031, jitter=0.01)
    assert control.phase is Phase.DRAINING


# --- decrease --------------------------------------------------------------------------------


def test_it_falls_a_twentieth_below_what_arrives_of_late(control):
    lowered(control, standing=0.016, waited=0.015, acknowledged=900_000, recent=800_000)
    # 1 ms above what is tolerable: a thousandth.
    assert control.rate == pytest.approx(800_000 * (0.95 - 0.001))
    assert control.lowered_at == 0.0
    assert control.capacity.mean == 800_000


def test_it_makes_do_with_what_is_known(control):
    lowered(control, standing=0.016, acknowledged=900_000, recent=None)
    assert control.capacity.mean == 900_000
    other = RateControl(START, 10_000, 1e7)
    lowered(other, standing=0.016, acknowledged=None, recent=None)
    assert other.capacity.mean == START


def test_it_never_rises_by_overuse(control):
    lowered(control, standing=0.016, recent=5_000_000)
    assert control.rate == START


def test_the_longer_the_queue_the_lower_it_falls(control):
    lowered(control, standing=0.02, waited=0.115)
    assert control.rate == pytest.approx(0.85 * START)
    deep = RateControl(START, 10_000, 1e7)
    lowered(deep, standing=0.5)
    assert deep.rate == pytest.approx(0.7 * START)


def test_the_queue_to_come_counts(control):
    # 0.8 Mbit in flight takes 0.4 s where 2 Mbit/s are carried; 0.2 s of that had to be anyhow.
    control.rate = 2_000_000
    lowered(
        control,
        standing=0.02,
        waited=0.02,
        round_trip=0.22,
        in_flight=100_000,
        acknowledged=2_000_000,
    )
    assert control.rate == pytest.approx(2_000_000 * (0.95 - (0.2 - 0.015)))


# --- draining --------------------------------------------------------------------------------


def test_until_an_answer_comes_nothing_changes(control):
    before = lowered(control, 1.0).rate
    step(control, 1.05, standing=0.2)
    step(control, 1.1, standing=0.3, sent_at=1.0)
    assert (control.rate, control.phase) == (before, Phase.DRAINING)


def test_but_a_collapse_is_not_waited_for(control):
    before = lowered(control, 1.0).rate
    step(control, 1.05, standing=0.2, recent=before / 2 + 1_000)
    assert control.rate == before
    step(control, 1.06, standing=0.2, recent=before / 2 - 1_000)
    assert control.rate < before / 2
    step(control, 1.07, standing=0.2, recent=None)
    assert control.lowered_at == 1.06


def test_when_the_queue_is_gone_it_goes_back_to_nearly_what_the_link_carried(control):
    lowered(control, 1.0, standing=0.2, recent=800_000)
    step(control, 1.2, standing=EMPTY * STANDING_QUEUE)
    assert control.phase is Phase.RISING
    assert control.rate == pytest.approx(0.97 * 800_000)


def test_but_never_above_where_it_came_from(control):
    lowered(control, 1.0, standing=0.2, recent=5_000_000)
    step(control, 1.2)
    assert control.rate == START


def test_a_rate_that_hardly_fell_is_kept(control):
    control.rate = 500_000
    lowered(control, 1.0, standing=0.03, acknowledged=510_000)
    assert control.rate < 500_000
    control.rate = 499_000
    step(control, 1.2, acknowledged=510_000)
    assert control.rate == 499_000


def test_a_queue_that_shrinks_is_waited_for(control):
    before = lowered(control, 1.0, standing=0.2).rate
    step(control, 1.2, standing=0.18)
    assert control.lowered_at == 1.2
    step(control, 1.3, standing=0.18, sent_at=1.2)  # no answer since then
    step(control, 1.4, standing=0.17)
    step(control, 1.6, standing=0.16)
    assert (control.rate, control.phase) == (before, Phase.DRAINING)


def test_one_that_does_not_shrink_lowers_it_again_by_more(control):
    lowered(control, 1.0, standing=0.04, waited=0.04)
    step(control, 1.2, standing=0.039, waited=0.039, recent=900_000)
    assert control.rate == pytest.approx(900_000 * (1 - 0.075 - 0.024))
    step(control, 1.4, standing=0.039, waited=0.039, recent=800_000)
    # At 0.9 Mbit/s a packet and a half is 16 ms.
    assert control.rate == pytest.approx(800_000 * (1 - 0.1125 - 0.023))
    for now in (1.6, 1.8, 2.0):
        step(control, now, standing=0.039, waited=0.039, recent=700_000)
    assert control.rate == pytest.approx(0.7 * 700_000)
    # The next time begins with a twentieth. (At 0.7 Mbit/s a packet and a half is 20.6 ms.)
    step(control, 2.3)
    control.rate = START
    step(control, 2.5, standing=0.021, waited=0.0)
    assert control.rate == pytest.approx(0.95 * START, abs=500)


def test_one_that_is_small_enough_to_tolerate_is_left(control):
    before = lowered(control, 1.0, standing=0.016, waited=0.0).rate
    step(control, 1.2, standing=0.0155, recent=900_000)
    assert control.phase is Phase.DRAINING
    step(control, 1.4, standing=0.015)
    assert control.phase is Phase.RISING
    assert control.rate < before


def test_what_the_queue_will_be_is_what_it_has_to_shrink_from(control):
    before = lowered(control, 1.0, standing=0.02, in_flight=100_000, round_trip=0.1).rate
    # 0.8 s in flight: 0.6 s of queue is less than was to be expected.
    step(control, 1.7, standing=0.6)
    assert control.rate == before


# --- somebody else's queue -------------------------------------------------------------------


FAST = 100_000_000
"""bit/s, at which a packet is short even when little is left."""


@pytest.fixture
def fast():
    return RateControl(FAST, 10_000, 1e9)


def undrained(control, episodes=1):
    """Somebody keeps 0.1 s of queue, and what is given up arrives no more."""
    now = 0.0
    for _ in range(episodes):
        for _round in range(30):
            now += 0.2
            rate = control.rate
            if not step(control, now, standing=0.1, waited=0.1, acknowledged=rate, recent=rate):
                break
        else:
            pytest.fail("it never gives up")
    return now


def test_a_queue_that_nobody_drains_for_two_seconds_is_left_to_others(fast):
    assert undrained(fast) == pytest.approx(0.2 + EPISODE, abs=0.21)
    assert fast.phase is Phase.RISING
    assert fast.rate == pytest.approx(0.9 * FAST)


def test_then_twice_as_much_is_tolerated(fast):
    end = undrained(fast)
    step(fast, end + 0.1, standing=0.0295)
    assert fast.phase is Phase.RISING
    step(fast, end + 0.2, standing=0.0301)
    assert fast.phase is Phase.DRAINING


def test_up_to_five_times_as_much(fast):
    end = undrained(fast, episodes=4)
    step(fast, end + 0.01, standing=0.0745)
    assert fast.phase is Phase.RISING
    step(fast, end + 0.02, standing=0.0755)
    assert fast.phase is Phase.DRAINING


def test_that_is_forgotten_in_time(fast):
    end = undrained(fast)
    for second in range(1, 15):
        step(fast, end + second, acknowledged=100_000)
    # 0.95¹⁴ is a half.
    step(fast, end + 14.1, standing=0.0220)
    assert fast.phase is Phase.RISING
    step(fast, end + 14.2, standing=0.0226)
    assert fast.phase is Phase.DRAINING


# --- others ----------------------------------------------------------------------------------


def test_before_the_first_overuse_a_probe_is_the_new_rate(control):
    control.probed(900_000)
    assert control.rate == START
    control.probed(1_800_000)
    assert control.rate == 1_800_000
    control.probed(1e9)
    assert control.rate == 10_000_000


def test_later_it_makes_it_grow_fast(control):
    lowered(control, 1.0)
    before = control.rate
    control.probed(5_000_000)
    assert control.rate == before
    step(control, 1.2)
    rate = control.rate
    control.probed(rate)
    assert control.capacity.mean is not None
    control.probed(5_000_000)
    assert control.rate == rate
    assert control.capacity.mean is None
    step(control, 1.3)
    assert control.rate == pytest.approx(rate * 1.5**0.1)


def test_lowered_for_other_reasons_it_forgets_what_it_knew(control):
    control.capacity.measured(START)
    control.probed(2_000_000)
    control.scale(0.5)
    assert control.rate == 1_000_000
    assert control.capacity.mean is None
    for _ in range(20):
        control.scale(0.5)
    assert control.rate == 10_000


def test_a_rate_found_by_somebody_else_is_taken_within_bounds(control):
    for rate, expected in ((5e5, 5e5), (1.0, 1e4), (1e9, 1e7)):
        control.follow(rate)
        assert control.rate == expected


def test_at_first_it_has_never_been_lowered(control):
    assert control.lowered_at == -math.inf
