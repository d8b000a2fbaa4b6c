"""The emulated link, in virtual time."""

import math
import random

import pytest
from hypothesis import given, strategies as st

from trio_allocator.lab.relay.link import UNLIMITED, Link
from trio_allocator.network.capacity import RateSchedule
from trio_allocator.network.impairments import find_impairments

STEPS = ((0.0, 1e6), (10.0, 2.5e6), (20.0, 0.6e6), (30.0, 1e6))


def never():
    return 1.0


def link(steps=((0.0, 1e6),), *, delay=0.0, queue=10**7, loss=0.0, chance=never, **more):
    return Link(steps, start=0.0, delay=delay, queue=queue, loss=loss, chance=chance, **more)


def offered(one, *sizes, at=0.0):
    for number, size in enumerate(sizes):
        one.offer(at, size, number)
    return one


def test_a_packet_takes_its_own_time_and_the_delay():
    one = offered(link(delay=0.05), 1_250, at=3.0)
    assert one.next_at == pytest.approx(3.06)
    assert one.take(3.0599) == []
    (passage,) = one.take(3.0601)
    assert (passage.sent_at, passage.waited) == (3.0, 0)
    assert (passage.left, passage.arrives_at) == pytest.approx((3.01, 3.06))
    assert one.next_at == math.inf


def test_packets_wait_for_those_before():
    one = offered(link(), 1_250, 1_250, 1_250)
    assert one.queued(0.005) == (3_750, pytest.approx(0.025))
    assert [packet.waited for packet in one.take(1.0)] == pytest.approx([0, 0.01, 0.02])
    assert one.queued(1.0) == (0, 0)
    offered(one, 1_250, at=1.0)
    assert one.take(2.0)[0].waited == 0


def test_full_it_carries_what_the_schedule_says_to_a_tenth_of_a_per_mille():
    schedule = RateSchedule(STEPS)
    one = link(STEPS)
    chance = random.Random(1)
    for number in range(11_000):
        one.offer(0.0, chance.randint(40, 1_200), number)
    taken = one.take(1e9)
    assert [packet.payload for packet in taken] == list(range(11_000))
    for begin, end in ((0, 10), (5, 15), (10, 20), (19, 21), (20, 30), (0, 40)):
        carried = sum(8 * packet.size for packet in taken if begin < packet.left <= end)
        assert carried == pytest.approx(schedule.bits_between(begin, end), abs=9_600)
    assert sum(8 * packet.size for packet in taken) == pytest.approx(
        schedule.bits_between(0, taken[-1].left), rel=1e-4
    )


def test_a_change_of_rate_within_a_packet():
    one = offered(link(((0.0, 1e6), (1.0, 2e6))), 1_250, at=0.995)
    # 5 ms at the first rate carry 5000 bits, and the other 5000 take 2.5 ms.
    assert one.next_at == pytest.approx(1.0025)


def test_what_finds_no_room_is_dropped():
    one = link(queue=3_000)
    assert [one.offer(0.0, 1_000, n) for n in range(5)] == [True, True, True, False, False]
    assert one.counters.overflowed == 2
    # After 8 ms one has left, and there is room for one.
    assert one.offer(0.0081, 1_000, 5)
    assert not one.offer(0.0081, 1_000, 6)


def test_a_reader_who_is_late_changes_nothing():
    # Packets come each 4 ms, and take 8 ms: the queue of 3 fills, and drops every other one.
    def run(period):
        one, taken, came = link(queue=3_000), [], []
        for number in range(100):
            if number % period == 0:
                taken += one.take(0.004 * (number + period))
            came.append(one.offer(0.004 * number, 1_000, number))
        return came, [(p.payload, p.waited, p.left) for p in [*taken, *one.take(10.0)]]

    came, taken = run(1)
    assert 0 < came.count(False) < 60
    assert run(7) == (came, taken)


def test_a_packet_larger_than_the_queue_passes_an_empty_link():
    assert link(queue=100).offer(0.0, 1_000, 0)


def test_what_is_under_way_is_bounded_where_nothing_is_narrow(monkeypatch):
    monkeypatch.setattr("trio_allocator.lab.relay.link.MOST_UNDER_WAY", 10_000)
    one = link(((0, UNLIMITED),), delay=10.0)
    assert [one.offer(0.001 * n, 1_000, n) for n in range(12)] == [True] * 10 + [False] * 2
    assert len(one.take(10.0055)) == 6
    assert one.offer(10.0055, 1_000, 12)


def test_losses_are_as_frequent_as_wanted_and_take_no_capacity():
    one = link(loss=0.05, queue=10**9, chance=random.Random(3).random)
    for number in range(20_000):
        one.offer(0.0, 1_250, number)
    arrived = one.take(1e9)
    assert one.counters.lost == 20_000 - len(arrived)
    assert one.counters.lost == pytest.approx(1_000, rel=0.1)
    assert arrived[-1].left == pytest.approx(0.01 * len(arrived))


def test_the_same_seed_loses_the_same_packets():
    def lost(seed):
        one = link(loss=0.1, chance=random.Random(seed).random)
        return [one.offer(0.0, 100, n) for n in range(200)]

    assert lost(1) == lost(1)
    assert lost(1) != lost(2)


def test_a_full_queue_does_not_change_which_packets_are_lost():
    def draws(queue):
        drawn = []
        chance = random.Random(1)

        def draw():
            drawn.append(chance.random())
            return drawn[-1]

        offered(link(loss=0.1, queue=queue, chance=draw), *[1_000] * 100)
        return drawn

    assert draws(10**9) == draws(2_000)


def test_time_does_not_run_backwards():
    one = offered(link(), 1_250, at=5.0)
    offered(one, 1_250, at=4.0)
    assert [packet.left for packet in one.take(9.0)] == pytest.approx([5.01, 5.02])


# --- changes while packets wait ------------------------------------------------------------------


def test_what_waits_leaves_at_the_new_rate():
    one = offered(link(), 1_250, 1_250)
    one.set_rate(0.005, 0.5e6)
    # Half of the first is left, which takes 10 ms now.
    assert one.next_at == pytest.approx(0.015)
    assert [packet.left for packet in one.take(1.0)] == pytest.approx([0.015, 0.035])


def test_what_has_left_before_a_change_has_left():
    one = offered(link(), 1_250)
    one.set_rate(0.5, 1e3)
    assert [packet.left for packet in one.take(0.5)] == pytest.approx([0.01])


def test_a_longer_way_is_for_what_is_sent_from_now_on():
    one = offered(link(delay=0.02), 1_250)
    one.set_delay(0.1)
    offered(one, 1_250)
    assert [packet.arrives_at for packet in one.take(1.0)] == pytest.approx([0.03, 0.12])


def test_on_a_shorter_way_nothing_overtakes():
    one = offered(link(delay=0.1), 1_250)
    one.set_delay(0.01)
    one.offer(0.0, 1_250, "later")
    assert [packet.payload for packet in one.take(1.0)] == [0, "later"]


def test_a_pause_keeps_all_and_then_carries_on():
    one = offered(link(), 1_250, 1_250)
    one.pause(0.005, 0.3)
    offered(one, 1_250, at=0.1)
    assert one.queued(0.1) == (3_750, pytest.approx(0.305 + 0.025 - 0.1))
    taken = one.take(1.0)
    assert [packet.left for packet in taken] == pytest.approx([0.31, 0.32, 0.33])
    assert [packet.waited for packet in taken] == pytest.approx([0.3, 0.31, 0.22])


def test_a_pause_of_an_empty_link():
    one = link()
    one.pause(1.0, 0.3)
    assert one.queued(1.1) == (0, pytest.approx(0.2))
    offered(one, 1_250, at=1.1)
    (packet,) = one.take(2.0)
    assert packet.left == pytest.approx(1.31)


def test_a_rate_that_changes_in_a_pause_counts_after_it():
    one = offered(link(), 1_250)
    one.pause(0.005, 0.3)
    one.set_rate(0.1, 2e6)
    assert one.next_at == pytest.approx(0.3075)


def test_a_cut_loses_what_comes():
    one = offered(link(delay=0.05), 1_250)
    one.cut(0.015, 5.0)
    assert not one.offer(5.0, 1_250, 3)
    assert one.counters.cut == 1
    assert [packet.payload for packet in one.take(5.014)] == [0]
    assert one.offer(5.016, 1_250, 4)
    assert one.take(6.0)[0].left == pytest.approx(5.026)


def test_a_cut_can_be_ended():
    one = link()
    one.cut(0.0, 60.0)
    one.cut(1.0, 0.0)
    assert one.offer(1.0, 1_250, 0)


def test_a_pause_leaves_the_rest_of_a_schedule():
    one = link(((0.0, 1e6), (1.0, 2e6)))
    one.pause(0.5, 0.2)
    assert one.rate(0.6) == 1e6
    offered(one, 1_250, at=0.6)
    offered(one, 1_250, at=1.5)
    assert [packet.left for packet in one.take(2.0)] == pytest.approx([0.71, 1.505])


def test_impairments_befall_packets_and_reports():
    one = link(impairments=find_impairments("loss"), seed=1)
    for number in range(500):
        one.offer(0.02 * number, 1_000, number)
    assert 0 < one.counters.lost < 40
    assert len(one.take(1e9)) == 500 - one.counters.lost
    assert link().report(3.0) == 0
    late = link(impairments=find_impairments("late-feedback"), seed=1)
    assert 0 < max(late.report(0.1 * n) for n in range(50)) <= 0.3
    lossy = link(impairments=find_impairments("lost-feedback"), seed=1)
    assert None in [lossy.report(0.1 * n) for n in range(50)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["offer", "take", "rate", "delay", "pause", "cut", "wait"]),
            st.floats(0.001, 0.2),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_track_of_whatever_is_turned(acts):
    one, now, taken = link(queue=4_000, delay=0.01), 0.0, []
    for act, value in acts:
        match act:
            case "offer":
                one.offer(now, int(10_000 * value), None)
            case "take":
                taken += one.take(now)
            case "rate":
                one.set_rate(now, 1e6 * value)
            case "delay":
                one.set_delay(value)
            case "pause":
                one.pause(now, value)
            case "cut":
                one.cut(now, value)
            case "wait":
                now += value
        assert one.queued(now)[0] <= 4_000
    taken += one.take(1e6)
    counters = one.counters
    assert counters.delivered == len(taken)
    assert counters.packets == counters.delivered + counters.overflowed + counters.cut
    assert sorted(p.left for p in taken) == [p.left for p in sorted(taken, key=lambda p: p.left)]
    assert all(p.waited >= 0 and p.sent_at <= p.left <= p.arrives_at + 1e-9 for p in taken)
    assert one.next_at == math.inf
