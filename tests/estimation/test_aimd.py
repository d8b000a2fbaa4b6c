"""The rate that delay allows: when it grows and how fast, when it falls and how far."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from trio_allocator.estimation import Limit, Usage
from trio_allocator.estimation.acknowledged import AcknowledgedRate
from trio_allocator.estimation.aimd import (
    BEYOND,
    BRIEF,
    CALM,
    COLLAPSE,
    DEEPEST,
    EMPTY,
    EPISODE,
    FULL_SHARE,
    GREATEST_GROWTH,
    GROWING,
    RESTORED,
    RESUME,
    SECOND_MARGIN,
    SETTLED,
    STANDING_QUEUE,
    Observation,
    Phase,
    RateControl,
)
from trio_allocator.estimation.queueing import STANDING_WINDOW

RTT = 0.1
START = 1_000_000


def arrivals(rate):
    """Arrivals of the last 300 ms at a rate, bit/s; at none of them with None."""
    acknowledged = AcknowledgedRate()
    for index in range(31 if rate is not None else 0):
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
    step(control, 1.0, standing=0.0106)
    step(control, 2.0, standing=0.0106)
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
    step(control, 0.2, acknowledged=1_800_000, standing=0.0106)
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
    step(control, 1.0, acknowledged=1_100_000, standing=0.0106)
    assert control.capacity.mean is None
    assert control.rate == pytest.approx(1_080_000)


def test_bounds_hold(control):
    for second in range(40):
        step(control, float(second), acknowledged=1e9)
    assert control.rate == 10_000_000
    lowered(control, 40.0, acknowledged=1_000, recent=1_000, growth=0.075)
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


def test_where_the_queue_changes_anyhow_it_takes_four_times_that(control):
    step(control, 0.0, standing=0.039, jitter=0.01)
    assert control.phase is Phase.RISING
    step(control, 0.1, standing=0.041, jitter=0.01)
    assert control.phase is Phase.DRAINING


def test_where_packets_are_held_up_it_takes_half_of_that(control):
    step(control, 0.0, standing=0.049, held=0.1)
    assert control.phase is Phase.RISING
    step(control, 0.1, standing=0.051, held=0.1)
    assert control.phase is Phase.DRAINING


# --- decrease --------------------------------------------------------------------------------


def test_it_falls_a_twentieth_below_what_arrives_of_late(control):
    lowered(control, standing=0.016, waited=0.0, acknowledged=950_000, recent=900_000)
    assert control.rate == pytest.approx(900_000 * 0.95)
    assert control.lowered_at == 0.0
    assert control.capacity.mean == pytest.approx(900_000)


def test_no_lower_than_what_was_lately_carried_without_a_queue(control):
    lowered(control, standing=0.016, waited=0.0, recent=850_000, carried=900_000)
    assert control.rate == pytest.approx(900_000 * 0.95)


def test_unless_the_queue_grows_fast(control):
    growth = GROWING * STANDING_WINDOW
    even = RateControl(START, 10_000, 1e7)
    lowered(even, standing=0.016, waited=0.0, recent=500_000, carried=900_000, growth=growth)
    assert even.rate > 900_000
    lowered(
        control, standing=0.016, waited=0.0, recent=500_000, carried=900_000, growth=growth + 0.001
    )
    assert control.rate == pytest.approx(500_000 * 0.95)


@pytest.mark.parametrize(
    ("share", "base"),
    [(FULL_SHARE - 0.01, START), (FULL_SHARE + 0.01, (FULL_SHARE + 0.01) * START)],
)
def test_who_sends_too_little_to_tell_loses_a_share_of_the_estimate(control, share, base):
    lowered(control, standing=0.016, waited=0.0, recent=share * START)
    assert control.rate == pytest.approx(base * 0.95, rel=0.002)


def test_on_a_slower_link_a_packet_is_no_queue(control):
    growth = 0.05
    lowered(control, 1.0, standing=0.1, recent=100_000, growth=growth)
    # A packet and a half takes 144 ms: less is tolerable, and seven tenths of it as good as none.
    step(control, 1.2, standing=0.1)
    assert control.phase is Phase.RISING


def test_a_packet_or_two_behind_a_long_gap_make_no_rate(control):
    """A pause longer than a rate is measured over: the first of what waited has come."""
    lowered(control, 1.0, recent=None, acknowledged=40_000, carried=0.95 * START, growth=0.075)
    assert control.rate >= 0.7 * START


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
    assert deep.rate == pytest.approx(DEEPEST * START)


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


class Draining:
    """A decrease, and what becomes of the queue at what is sent since then."""

    def __init__(self, control, standing=0.1, **changes):
        self.control = control
        self.now = 1.0
        self.told = 0
        lowered(control, self.now, standing=standing, waited=standing, **changes)

    def send(self, seconds, standing, rate=None, **changes):
        """Send evenly at what is allowed, or at a rate; then hear of the queue."""
        rate = self.control.rate if rate is None else rate
        self.told += round(seconds * rate / 8)
        self.now += seconds
        return step(
            self.control, self.now, standing=standing, waited=standing, told=self.told, **changes
        )

    def settle(self, standing, rate=None):
        """Until packets that were sent since the decrease make the standing queue."""
        return self.send(SETTLED + RTT + 0.01, standing, rate)


def test_until_an_answer_comes_nothing_changes(control):
    before = lowered(control, 1.0).rate
    step(control, 1.05, standing=0.2)
    step(control, 1.1, standing=0.3, sent_at=1.0)
    assert (control.rate, control.phase) == (before, Phase.DRAINING)


def test_not_even_if_the_queue_is_gone(control):
    lowered(control, 1.0)
    step(control, 1.05, standing=0.0)
    assert control.phase is Phase.DRAINING


def test_but_a_queue_that_grows_fast_is_not_waited_for(control):
    before = lowered(control, 1.0).rate
    # 0.2 s of queue take 0.185 s more than is tolerable: what would do is 0.765 of what arrives.
    share = COLLAPSE / 0.765
    growth = GROWING * STANDING_WINDOW + 0.001
    step(control, 1.05, standing=0.2, growth=growth, recent=share * before + 1_000)
    assert control.rate == before
    step(control, 1.05, standing=0.2, growth=growth - 0.002, recent=before / 2)
    assert control.rate == before
    step(control, 1.05, standing=0.2, growth=growth, jitter=growth, recent=before / 2)
    assert control.rate == before
    step(control, 1.06, standing=0.2, growth=growth, recent=share * before - 1_000)
    assert control.rate < COLLAPSE * before
    step(control, 1.07, standing=0.2, growth=growth, recent=None)
    assert control.lowered_at == 1.06


def test_when_the_queue_is_gone_it_goes_back_to_nearly_what_the_link_carried(control):
    lowered(control, 1.0, standing=0.2, recent=900_000)
    step(control, 1.2, standing=EMPTY * STANDING_QUEUE)
    assert control.phase is Phase.RISING
    assert control.rate == pytest.approx(0.97 * 900_000)


def test_but_never_above_where_it_came_from(control):
    lowered(control, 1.0, standing=0.2, recent=5_000_000)
    step(control, 1.2)
    assert control.rate == START


def test_a_rate_that_hardly_fell_is_kept(control):
    control.rate = 499_000
    lowered(control, 1.0, standing=0.03, acknowledged=520_000)
    before = control.rate
    step(control, 1.2, acknowledged=520_000)
    assert control.rate >= before


def test_a_queue_that_shrinks_as_it_should_is_waited_for(control):
    draining = Draining(control)
    before = control.rate
    draining.settle(0.1)
    standing = 0.1
    for _ in range(20):
        # At 0.865 of what the link carries: it shrinks by 13.5 ms in 0.1 s.
        standing -= 0.0135
        if standing < 0.02:
            break
        assert draining.send(0.1, standing)
        assert (control.rate, control.phase) == (before, Phase.DRAINING)
    draining.send(0.1, 0.0)
    assert control.phase is Phase.RISING
    assert control.rate == pytest.approx(RESUME * START)


def test_one_that_stays_is_judged_when_half_of_it_should_be_gone(control):
    draining = Draining(control)
    before = control.rate
    draining.settle(0.1)
    draining.send(0.36, 0.1)  # 49 ms
    assert control.rate == before
    draining.send(0.02, 0.1)
    assert control.rate == pytest.approx((1 - SECOND_MARGIN - 0.085) * START)


@pytest.mark.parametrize(("share", "is_lowered"), [(0.86, True), (0.84, False)])
def test_no_second_decrease_asks_for_what_was_sent_anyhow(control, share, is_lowered):
    draining = Draining(control)
    before = control.rate
    draining.settle(0.1)
    draining.send(0.4, 0.1, share * START)
    assert (control.rate < before) is is_lowered
    assert (control.phase is Phase.DRAINING) is is_lowered
    if not is_lowered:
        assert control.rate == START  # it was no queue


def test_of_a_long_one_a_tenth_of_a_second_should_be_gone(control):
    draining = Draining(control, 2.0)
    assert control.rate == pytest.approx(DEEPEST * START)
    draining.settle(2.0)
    draining.send(0.35, 2.0)  # 98 ms
    assert control.phase is Phase.DRAINING
    draining.send(0.02, 2.0)
    assert control.phase is Phase.RISING


def test_what_no_decrease_shortens_is_a_part_of_the_way(control):
    """The way became longer: nothing is taken from what the link was known to carry."""
    draining = Draining(control)
    draining.settle(0.1)
    assert draining.send(0.4, 0.1)
    draining.settle(0.1)
    assert draining.send(0.2, 0.1)
    assert not draining.send(0.05, 0.1)
    assert control.phase is Phase.RISING
    assert control.rate == START


def test_a_quarter_of_what_was_expected_is_enough(control):
    draining = Draining(control)
    draining.settle(0.1)
    assert draining.send(0.4, 0.1 - 0.0136)  # 54 ms were expected
    assert control.rate == pytest.approx(0.865 * START)
    other = RateControl(START, 10_000, 10_000_000)
    draining = Draining(other)
    draining.settle(0.1)
    draining.send(0.4, 0.1 - 0.0134)
    assert other.rate < 0.8 * START


def test_what_shrank_at_first_and_stays_then_gives_back_what_the_link_carries(control):
    control.rate = 1_200_000
    draining = Draining(control, acknowledged=START)
    draining.settle(0.1)
    draining.send(0.4, 0.05)
    draining.send(0.2, 0.05)
    draining.settle(0.05)
    assert not draining.send(0.3, 0.05)
    assert control.rate == pytest.approx(RESUME * START)


def test_who_sends_no_less_learns_nothing_for_two_seconds(control):
    draining = Draining(control)
    before = control.rate
    draining.settle(0.1, START)
    draining.send(EPISODE - 0.01, 0.1, START)
    assert (control.rate, control.phase) == (before, Phase.DRAINING)
    draining.send(0.02, 0.1, START)
    assert control.rate < before


def test_unless_the_queue_shrinks_all_the_same(control):
    draining = Draining(control)
    before = control.rate
    draining.settle(0.1, START)
    draining.send(EPISODE + 0.01, 0.094, START)
    assert (control.rate, control.phase) == (before, Phase.DRAINING)
    draining.send(EPISODE + 0.01, 0.092, START)
    assert control.rate < before


def test_a_short_one_that_no_decrease_shortens_is_a_part_of_the_way_at_once(control):
    """Left to stand, it would be overuse again with the next feedback."""
    draining = Draining(control, 0.016)
    assert control.rate == pytest.approx(0.949 * START)
    draining.settle(0.014)
    assert draining.send(0.29, 0.014)  # 14.8 ms
    assert control.phase is Phase.DRAINING
    assert not draining.send(0.02, 0.014)
    assert control.phase is Phase.RISING
    assert control.rate == START


def test_the_next_episode_begins_with_a_twentieth_again(control):
    draining = Draining(control)
    draining.settle(0.1)
    draining.send(0.4, 0.1)
    draining.send(0.3, 0.0)
    assert control.phase is Phase.RISING
    control.rate = START
    lowered(control, draining.now + 0.1, standing=0.016, waited=0.0)
    assert control.rate == pytest.approx(0.949 * START)


def test_what_the_queue_will_be_is_what_it_has_to_grow_from(control):
    draining = Draining(control, 0.02, in_flight=100_000, round_trip=0.1)
    before = control.rate
    # 0.8 s in flight: 0.7 s of queue is less than was to be expected.
    draining.settle(0.7)
    assert control.lowered_at == 1.0
    draining.settle(0.9)
    assert control.lowered_at > 1.0
    assert control.rate <= before


# --- somebody else's queue -------------------------------------------------------------------


FAST = 100_000_000
"""bit/s, at which a packet is short even when little is left."""


@pytest.fixture
def fast():
    return RateControl(FAST, 10_000, 1e9)


def outgrown(control, episodes=1, **changes):
    """Others make the queue longer whatever is given up, and what is given up arrives no more."""
    now = 0.0
    for _ in range(episodes):
        standing = 0.1
        for _round in range(40):
            now += 0.2
            rate = control.rate
            seen_ = {"standing": standing, "acknowledged": rate, "recent": rate} | changes
            if not step(control, now, waited=standing, **seen_):
                break
            standing *= 1.25
        else:
            pytest.fail("it never gives up")
    return now


def test_a_queue_that_grows_in_spite_of_decreases_lowers_it_again(control):
    lowered(control, 1.0)
    before = control.rate
    step(control, 1.2, standing=0.06, recent=900_000)
    assert control.rate == before  # no more than was expected
    step(control, 1.2, standing=0.0601, recent=900_000)
    assert control.rate == pytest.approx(900_000 * (0.95 - 0.0441))
    step(control, 1.4, standing=0.5, recent=None)
    assert control.rate == pytest.approx(DEEPEST * 900_000)


def test_what_arrives_then_is_no_more_than_the_link_carries(control):
    lowered(control, 1.0)
    step(control, 1.2, standing=0.5, recent=2_000_000)
    assert control.rate == pytest.approx(DEEPEST * START)


def test_one_that_grows_for_two_seconds_is_left_to_others(fast):
    assert outgrown(fast) == pytest.approx(0.2 + EPISODE, abs=0.21)
    assert fast.phase is Phase.RISING
    # Nine tenths of where it would have gone back to, had the queue drained.
    assert fast.rate == pytest.approx(0.9 * 0.97 * FAST)


def test_a_full_queue_from_which_packets_get_lost_is_no_part_of_the_way(control):
    draining = Draining(control)
    draining.settle(0.1)
    draining.send(0.4, 0.1)
    draining.settle(0.1)
    before = control.rate
    assert draining.send(0.3, 0.1, recent=700_000, is_losing=True)
    assert control.phase is Phase.DRAINING
    assert control.rate < before


def test_nor_is_one_that_grows_instead(control):
    draining = Draining(control)
    draining.settle(0.1)
    draining.send(0.4, 0.1)
    draining.settle(0.1)
    before = control.rate
    assert draining.send(0.3, 0.13, recent=700_000)
    assert control.phase is Phase.DRAINING
    assert control.rate < before


def test_a_queue_is_compared_with_what_it_shrank_to(control):
    draining = Draining(control)
    draining.settle(0.1)
    draining.send(0.4, 0.05)
    draining.send(0.1, 0.0601, recent=700_000)
    assert control.rate == pytest.approx(700_000 * 0.905, rel=0.01)


def test_then_twice_as_much_is_tolerated(fast):
    end = outgrown(fast)
    step(fast, end + 0.1, standing=0.0295)
    assert fast.phase is Phase.RISING
    step(fast, end + 0.2, standing=0.0301)
    assert fast.phase is Phase.DRAINING


def test_up_to_five_times_as_much(fast):
    end = outgrown(fast, episodes=4)
    step(fast, end + 0.01, standing=0.0745)
    assert fast.phase is Phase.RISING
    step(fast, end + 0.02, standing=0.0755)
    assert fast.phase is Phase.DRAINING


def test_that_is_forgotten_in_time(fast):
    end = outgrown(fast)
    for second in range(1, 15):
        step(fast, end + second, acknowledged=100_000)
    # 0.95¹⁴ is a half.
    step(fast, end + 14.1, standing=0.0220)
    assert fast.phase is Phase.RISING
    step(fast, end + 14.2, standing=0.0226)
    assert fast.phase is Phase.DRAINING


# --- others ----------------------------------------------------------------------------------


def test_what_a_probe_finds_is_the_new_rate(control):
    control.probed(900_000, 0.0)
    assert control.rate == START
    control.probed(1_800_000, 0.0)
    assert control.rate == 1_800_000
    control.probed(1e9, 0.0)
    assert control.rate == 10_000_000


def grown(control, since, seconds, **changes):
    """The rate after a time without a queue."""
    for tick in range(1, round(20 * seconds) + 1):
        control.update(since + tick / 20, seen(since + tick / 20, **changes))
    return control.rate


def test_little_that_arrives_tells_nothing_of_more_than_the_link_carried(control):
    lowered(control, 1.0)
    link = control.capacity.mean
    assert grown(control, 1.2, 18.7, acknowledged=0.89 * link) == pytest.approx(BEYOND * link)
    assert control.limit is Limit.APPLICATION
    # Some time later the link may be another one.
    assert grown(control, 19.9, 10.0, acknowledged=0.89 * link) > 1.1 * link


def test_a_probe_that_found_no_more_says_so_again(control):
    lowered(control, 1.0)
    link = control.capacity.mean
    grown(control, 1.2, 10.0, acknowledged=0.8 * link)
    control.probed(0.95 * link, 11.2, is_full=True)
    assert grown(control, 11.2, 19.9, acknowledged=0.8 * link) == pytest.approx(BEYOND * link)
    control.probed(0.95 * link, 31.1)
    assert grown(control, 31.1, 5.0, acknowledged=0.8 * link) > 1.1 * link


def test_a_link_that_is_nearly_full_is_tried(control):
    lowered(control, 1.0)
    link = control.capacity.mean
    assert grown(control, 1.2, 18.0, acknowledged=0.91 * link) > 1.1 * link


def test_soon_after_an_overuse_it_makes_it_grow_fast(control):
    lowered(control, 1.0)
    before = control.rate
    control.probed(5_000_000, 1.1)
    assert control.rate == before
    step(control, 1.2)
    rate = control.rate
    control.probed(rate, 1.25)
    assert control.capacity.mean is not None
    control.probed(5_000_000, 1.0 + CALM)
    assert control.rate == rate
    assert control.capacity.mean is None
    step(control, 1.3)
    assert control.rate == pytest.approx(rate * 1.5**0.1)
    control.probed(5_000_000, 1.001 + CALM)
    assert control.rate == 5_000_000


def test_what_was_known_before_the_overuse_is_brought_back_by_a_probe(control):
    lowered(control, 1.0, recent=500_000, growth=0.075)
    step(control, 1.2)
    assert control.rate < 500_000
    assert control.missed == START
    control.probed(START, 1.3)
    assert control.rate == START


def test_after_silence_an_overuse_is_measured_against_what_was_known_before(control):
    control.expect(1_800_000, 0.9)
    lowered(control, 1.0, recent=1_500_000, growth=0.075)
    assert control.rate <= START
    step(control, 1.2)
    assert control.rate == pytest.approx(RESUME * 1_500_000)


def test_but_only_the_first_and_only_one_that_follows_soon(control):
    control.expect(3_000_000, 0.9)
    lowered(control, 1.0, recent=1_500_000, growth=0.075)
    step(control, 1.2)
    before = control.rate
    lowered(control, 2.0, recent=2_500_000, growth=0.075)
    step(control, 2.2)
    assert control.rate == before

    control.expect(3_000_000, 3.0)
    lowered(control, 3.0 + CALM, recent=2_500_000, growth=0.075)
    step(control, 3.2 + CALM)
    assert control.rate == before


def test_nor_does_it_lower_what_there_is(control):
    control.expect(500_000, 0.9)
    lowered(control, 1.0, recent=1_500_000, growth=0.075)
    step(control, 1.2)
    assert control.rate == START


def test_what_was_kept_is_not_missed(control):
    lowered(control, 1.0, recent=930_000)
    step(control, 1.2)
    assert control.rate > 0.9 * START
    assert control.missed == 0


def test_after_a_long_overuse_the_link_is_another_one(control):
    lowered(control, 1.0, recent=500_000, growth=0.075)
    step(control, 1.0 + BRIEF)
    assert control.phase is Phase.RISING
    assert control.missed == 0


def test_lowered_for_other_reasons_it_forgets_what_it_knew(control):
    control.capacity.measured(START)
    control.probed(2_000_000, 0.0)
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
    assert control.missed == 0


@pytest.mark.parametrize(("apart", "needed"), [(0.6, 4), (1.2, 4), (0.3, 7)])
def test_after_more_than_three_rounds_and_two_seconds_others_fill_the_queue(control, apart, needed):
    """Each round the queue is a half longer than expected, in spite of the decrease before."""
    lowered(control, 1.0)
    rounds, now, queue = 0, 1.0, 0.2
    while control.phase is Phase.DRAINING and rounds < 20:
        now += apart
        queue *= 1.5
        before = control.lowered_at
        step(control, now, standing=queue, waited=queue, sent_at=now - 0.1)
        rounds += control.lowered_at != before or control.phase is Phase.RISING
    assert rounds == needed
    assert control.rate >= RESTORED * RESUME * START * 0.99


def test_lowered_for_other_reasons_it_grows_as_at_first(control):
    for tick in range(60):
        step(control, tick / 10)
    control.scale(0.5)
    rate = control.rate
    step(control, 6.0)
    assert control.rate == pytest.approx(max(rate * 1.08**0.1, min(START, 1.5 * START)), rel=0.02)
