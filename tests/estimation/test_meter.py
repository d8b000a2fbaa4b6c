"""What the times of sending and of arrival tell, put together."""

from __future__ import annotations

import pytest

from trio_allocator.estimation import Usage
from trio_allocator.estimation.meter import CLOCK_JUMP, ArrivalMeter

WAY = 0.05


def fed(meter, seconds, *, since=0.0, way=WAY, growth=0.0):
    """A kilobyte each 10 ms."""
    for index in range(round(seconds / 0.01)):
        sent_at = since + index * 0.01
        meter.arrived(sent_at, sent_at + way + growth * index, 1_000)
    return since + seconds


def observe(meter, now, newest, *, in_flight=0, told=0, carried=0.0, is_losing=False):
    return meter.observe(now, newest, in_flight, told, carried, is_losing=is_losing)


@pytest.fixture
def meter():
    return ArrivalMeter()


def test_it_sums_up_what_is_measured(meter):
    now = fed(meter, 1.0)
    now = fed(meter, 0.1, since=now, way=WAY + 0.02)
    now = fed(meter, 0.2, since=now, way=WAY + 0.01)
    seen = observe(meter, now + WAY, now - 0.01, in_flight=3_000, told=9_000, carried=7.0)
    assert seen.acknowledged == pytest.approx(800_000, rel=0.02)
    assert seen.arrivals is meter.acknowledged
    assert (seen.standing, seen.waited) == (pytest.approx(0.01), pytest.approx(0.01))
    assert seen.jitter == meter.queue.jitter > 0
    assert (seen.sent_at, seen.in_flight) == (now - 0.01, 3_000)
    assert (seen.told, seen.carried, seen.is_losing) == (9_000, 7.0, False)
    assert seen.growth == meter.queue.growth
    assert seen.round_trip == seen.rtt == meter.rtt == pytest.approx(WAY + 0.01)


def test_delay_that_grows_is_seen(meter):
    now = fed(meter, 1.0, growth=0.002)
    assert observe(meter, now, now).usage is meter.trendline.usage is Usage.OVERUSED


def test_the_newest_packet_is_not_that_of_a_feedback_that_was_late(meter):
    observe(meter, 1.0, 0.9)
    seen = observe(meter, 1.1, 0.8)
    assert seen.sent_at == 0.9
    assert seen.round_trip == pytest.approx(0.3)
    assert seen.rtt == pytest.approx(0.1 + 0.2 / 8)


@pytest.mark.parametrize("jump", [CLOCK_JUMP + 0.01, -CLOCK_JUMP - 0.01])
def test_a_clock_that_jumps_begins_it_anew(meter, jump):
    now = fed(meter, 1.0, growth=0.002)
    meter.arrived(now, now + WAY + 0.2 + jump, 1_000)
    seen = observe(meter, now + 0.1, now)
    assert seen.acknowledged is None
    assert seen.usage is Usage.NORMAL
    assert seen.standing == seen.waited == seen.jitter == 0


@pytest.mark.parametrize("jump", [CLOCK_JUMP, -CLOCK_JUMP])
def test_so_does_one_that_jumps_by_just_as_much(meter, jump):
    for eighth in range(8):  # these add up exactly
        meter.arrived(eighth / 8, 4 + eighth / 8, 1_000)
    assert meter.acknowledged.rate() is not None
    meter.arrived(1.0, 5 + jump, 1_000)
    assert meter.acknowledged.rate() is None


def test_a_step_of_less_may_be_a_queue(meter):
    now = fed(meter, 1.0)
    fed(meter, 0.3, since=now, way=WAY + CLOCK_JUMP - 0.01)
    assert meter.queue.standing == pytest.approx(CLOCK_JUMP - 0.01)


def test_what_is_known_to_have_been_set_is_forgotten_however_little_it_shows(meter):
    now = fed(meter, 1.0, growth=0.002)
    observe(meter, now, now - 0.1)
    meter.clear()
    fed(meter, 0.3, since=now, way=WAY + 1.0)
    seen = observe(meter, now + 0.3, now + 0.29)
    assert seen.acknowledged == pytest.approx(800_000)
    assert seen.usage is Usage.NORMAL
    assert seen.standing == pytest.approx(0)
    assert meter.rtt == pytest.approx(0.1 - 0.09 / 8)


def test_and_what_comes_then_is_measured_at_once(meter):
    now = fed(meter, 1.0)
    meter.clear()
    now = fed(meter, 0.5, since=now, way=WAY - 2.0, growth=0.002)
    assert observe(meter, now, now).usage is Usage.OVERUSED


def test_while_packets_get_lost_the_shortest_way_is_kept(meter):
    now = fed(meter, 1.0)
    for _ in range(30):
        now = fed(meter, 1.0, since=now, way=WAY + 0.03)
        seen = observe(meter, now, now, is_losing=True)
    assert seen.is_losing
    assert seen.standing == pytest.approx(0.03)
    for _ in range(21):
        now = fed(meter, 1.0, since=now, way=WAY + 0.03)
        seen = observe(meter, now, now)
    assert seen.standing == pytest.approx(0.0)


def test_bytes_whose_feedback_was_lost_count_with_those_that_are_told_of(meter):
    now = fed(meter, 1.0)
    meter.arrived(now + 0.1, now + 0.1 + WAY, 11_000, now)
    assert meter.acknowledged.rate() == pytest.approx(800_000, rel=0.03)
