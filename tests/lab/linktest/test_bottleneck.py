"""The emulated link, in virtual time."""

import math
import random

import pytest
from hypothesis import given, strategies as st

from trio_allocator.lab.linktest.bottleneck import Bottleneck, Impairment, RateSchedule

STEPS = ((0.0, 1e6), (10.0, 2.5e6), (20.0, 0.6e6), (30.0, 1e6))


def never():
    return 1.0


def link(steps=((0.0, 1e6),), *, delay=0.0, queue=10**9, loss=0.0, chance=never):
    return Bottleneck(RateSchedule(steps), Impairment(delay, queue, loss), chance)


def test_a_packet_takes_its_own_time_and_the_delay():
    passage = link(delay=0.05).offer(3.0, 1_250)
    assert passage.waited == 0
    assert passage.left == pytest.approx(3.01)
    assert passage.delivered == pytest.approx(3.06)


def test_packets_wait_for_those_before():
    bottleneck = link()
    passages = [bottleneck.offer(0.0, 1_250) for _packet in range(3)]
    assert [passage.waited for passage in passages] == pytest.approx([0, 0.01, 0.02])
    assert bottleneck.offer(1.0, 1_250).waited == 0


def test_full_it_carries_what_the_schedule_says_to_a_tenth_of_a_per_cent():
    schedule = RateSchedule(STEPS)
    bottleneck = link(STEPS)
    chance = random.Random(1)
    left = []
    while not left or left[-1][0] < 40:
        size = chance.randint(40, 1_200)
        left.append((bottleneck.offer(0.0, size).left, size))
    for begin, end in ((0, 10), (5, 15), (10, 20), (19, 21), (20, 30), (0, 40)):
        carried = sum(8 * size for time, size in left if begin < time <= end)
        assert carried == pytest.approx(schedule.bits_between(begin, end), rel=0.001, abs=9_600)
    assert sum(8 * size for _time, size in left) == pytest.approx(
        schedule.bits_between(0, left[-1][0])
    )


def test_a_change_of_rate_within_a_packet():
    bottleneck = link(((0.0, 1e6), (1.0, 2e6)))
    # 5 ms at the first rate carry 5000 bits, and the other 5000 take 2.5 ms.
    assert bottleneck.offer(0.995, 1_250).left == pytest.approx(1.0025)


def test_what_finds_no_room_is_dropped():
    bottleneck = link(queue=3_000)
    passages = [bottleneck.offer(0.0, 1_000) for _packet in range(5)]
    assert [passage is None for passage in passages] == [False, False, False, True, True]
    assert bottleneck.overflowed == 2
    # After 8 ms one has left, and there is room for one.
    assert bottleneck.offer(0.0081, 1_000) is not None
    assert bottleneck.offer(0.0081, 1_000) is None


def test_a_packet_larger_than_the_queue_passes_an_empty_link():
    assert link(queue=100).offer(0.0, 1_000) is not None


def test_losses_are_as_frequent_as_wanted_and_take_no_capacity():
    bottleneck = link(loss=0.05, chance=random.Random(3).random)
    passages = [bottleneck.offer(0.0, 1_250) for _packet in range(20_000)]
    arrived = [passage for passage in passages if passage is not None]
    assert bottleneck.lost == 20_000 - len(arrived)
    assert bottleneck.lost == pytest.approx(1_000, rel=0.1)
    assert arrived[-1].left == pytest.approx(0.01 * len(arrived))


def test_the_same_seed_loses_the_same_packets():
    def lost(seed):
        bottleneck = link(loss=0.1, chance=random.Random(seed).random)
        return [bottleneck.offer(0.0, 100) is None for _packet in range(200)]

    assert lost(1) == lost(1)
    assert lost(1) != lost(2)


def test_a_full_queue_does_not_change_which_packets_are_lost():
    def lost(queue):
        draws = []
        chance = random.Random(1)

        def draw():
            draws.append(chance.random())
            return draws[-1]

        bottleneck = link(loss=0.1, queue=queue, chance=draw)
        for _packet in range(100):
            bottleneck.offer(0.0, 1_000)
        return draws

    assert lost(10**9) == lost(2_000)


def test_time_does_not_run_backwards():
    bottleneck = link()
    bottleneck.offer(5.0, 1_250)
    assert bottleneck.offer(4.0, 1_250).left == pytest.approx(5.02)


def test_before_the_first_step_its_rate_counts():
    schedule = RateSchedule(((5.0, 1e6), (6.0, 2e6)))
    assert schedule.rate_at(-1.0) == 1e6
    assert schedule.bits_between(4.0, 7.0) == pytest.approx(4e6)


@given(
    st.lists(st.floats(1e3, 1e9), min_size=1, max_size=8),
    st.floats(-5, 20),
    st.floats(0, 1e9),
)
def test_finish_is_the_inverse_of_bits_between(rates, start, bits):
    schedule = RateSchedule([(2.0 * number, rate) for number, rate in enumerate(rates)])
    end = schedule.finish(start, bits)
    assert end >= start
    assert schedule.bits_between(start, end) == pytest.approx(bits, rel=1e-6, abs=1e-3 * max(rates))


@pytest.mark.parametrize(
    "steps",
    [
        (),
        ((1.0, 1e6), (0.0, 1e6)),
        ((0.0, 1e6), (0.0, 2e6)),
        ((0.0, 0.0),),
        ((0.0, math.nan),),
        ((0.0, math.inf),),
    ],
)
def test_schedules_that_make_no_sense(steps):
    with pytest.raises(ValueError, match="must be"):
        RateSchedule(steps)
