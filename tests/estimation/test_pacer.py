"""When packets leave: spread at a pace, by priority, in time, and faster for a probe."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import Departure, Pacer, ProbeCluster
from trio_allocator.estimation.pacer import LATENESS, LEAST_PADDING

# At 0.4 Mbit/s and a factor of 2.5, 1250 bytes take 10 ms.
BITRATE = 400_000
SIZE = 1_250


@pytest.fixture
def pacer():
    return Pacer(BITRATE)


def fill(pacer, count, now=0.0, **options):
    for number in range(count):
        pacer.enqueue(number, SIZE, now, **options)


def drain(pacer, until=math.inf, late=0.0):
    """Send whenever something is due: times and packets."""
    sent = []
    while (due := pacer.next_send_time) < until:
        now = due + late
        while (departure := pacer.pop(now)) is not None:
            sent.append((now, departure.packet))
    return sent


def test_an_empty_one_has_nothing_and_waits_for_ever(pacer):
    assert pacer.next_send_time == math.inf
    assert pacer.pop(1.0) is None
    assert pacer.queue_bytes == 0


def test_the_first_packet_leaves_at_once_and_others_at_the_pace(pacer):
    fill(pacer, 4, now=5.0)
    assert pacer.queue_bytes == 4 * SIZE
    assert pacer.next_send_time == 5.0
    assert pacer.pop(5.0) == Departure(0, SIZE, None)
    assert pacer.pop(5.0) is None
    assert pacer.next_send_time == pytest.approx(5.01)
    assert [time for time, _ in drain(pacer)] == pytest.approx([5.01, 5.02, 5.03])
    assert pacer.queue_bytes == 0
    assert pacer.next_send_time == math.inf


def test_what_comes_after_an_idle_time_leaves_at_once_and_no_more_with_it(pacer):
    fill(pacer, 1)
    drain(pacer)
    fill(pacer, 3, now=9.0)
    assert [time for time, _ in drain(pacer)] == pytest.approx([9.0, 9.01, 9.02])


def test_what_comes_too_early_waits(pacer):
    fill(pacer, 1)
    drain(pacer)
    fill(pacer, 1, now=0.004)
    assert pacer.next_send_time == pytest.approx(0.01)


def test_a_late_timer_does_not_slow_the_pace(pacer):
    fill(pacer, 11)
    assert drain(pacer, late=0.003)[-1][0] == pytest.approx(0.103)


def test_but_a_very_late_one_makes_no_burst(pacer):
    fill(pacer, 11)
    sent = [pacer.pop(1.0) for _ in range(3)]
    assert sent[0] is not None
    assert sent[1] is None
    assert pacer.next_send_time == pytest.approx(1.01 - LATENESS)


def test_a_burst_is_what_is_due_within_its_time():
    pacer = Pacer(BITRATE, burst=0.025)
    fill(pacer, 5)  # 10 ms each
    sent = list(iter(lambda: pacer.pop(0.0), None))
    assert len(sent) == 3
    assert pacer.next_send_time == pytest.approx(0.005)
    assert pacer.pop(0.005) is not None


def test_on_average_bursts_keep_the_pace():
    pacer = Pacer(BITRATE, burst=0.025)
    fill(pacer, 101)
    assert drain(pacer)[-1][0] == pytest.approx(1.0 - 0.025)


def test_a_probe_is_not_sent_in_bursts():
    pacer = Pacer(BITRATE, burst=0.025)
    fill(pacer, 5)
    pacer.start_probe(ProbeCluster(1, 2 * BITRATE, 5, 1), 0.0)
    assert pacer.pop(0.0) is not None
    assert pacer.pop(0.001) is None


def test_larger_priorities_leave_first_and_equals_in_their_order(pacer):
    for packet, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)):
        pacer.enqueue(packet, SIZE, 0.0, priority=priority)
    assert [packet for _, packet in drain(pacer)] == ["b", "d", "a", "c", "e"]


def test_a_new_estimate_changes_the_pace_of_what_waits(pacer):
    fill(pacer, 4)
    pacer.pop(0.0)
    pacer.set_bitrate(2 * BITRATE, 0.004)
    assert [time for time, _ in drain(pacer)] == pytest.approx([0.007, 0.012, 0.017])


def test_nothing_to_wait_for_is_not_changed_by_it(pacer):
    fill(pacer, 2)
    drain(pacer)
    pacer.set_bitrate(2 * BITRATE, 7.0)
    fill(pacer, 1, now=7.0)
    assert pacer.next_send_time == 7.0


def test_whatever_waits_leaves_in_time():
    slow = Pacer(10_000, max_queue_time=1.0)
    fill(slow, 40)
    assert drain(slow)[-1][0] <= 1.0
    assert slow.queue_bytes == 0


def test_a_queue_that_is_late_leaves_at_once():
    slow = Pacer(10_000, max_queue_time=1.0)
    fill(slow, 3)
    assert [slow.pop(1.0).packet for _ in range(3)] == [0, 1, 2]


def test_the_oldest_counts_whatever_its_priority():
    slow = Pacer(10_000, max_queue_time=1.0)
    fill(slow, 1, priority=0)
    for tick in range(100):
        fill(slow, 1, now=tick / 100, priority=1)
    times = {}
    for time, packet in drain(slow, until=2.5):
        times.setdefault(packet, time)
    assert max(times.values()) <= 1.0


def test_at_an_estimate_of_nothing_the_queue_still_moves():
    stopped = Pacer(0, max_queue_time=60.0)
    fill(stopped, 2)
    assert [time for time, _ in drain(stopped)] == pytest.approx([0.0, 8 * SIZE / 8_000])


@given(
    st.lists(
        st.tuples(st.floats(0, 0.05), st.integers(1, 1_500), st.integers(0, 2)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 5_000_000),
)
def test_all_leave_once_each_in_time_and_no_faster_than_they_must(packets, bitrate):
    pacer = Pacer(bitrate, max_queue_time=0.5)
    now = 0.0
    enqueued = {}
    left = []

    def send(until):
        while pacer.next_send_time <= until:
            departure = pacer.pop(pacer.next_send_time)
            left.append((departure.packet, pacer.next_send_time))
            assert departure.size == packets[departure.packet][1]

    for number, (pause, size, priority) in enumerate(packets):
        now += pause
        send(now)
        pacer.enqueue(number, size, now, priority=priority)
        enqueued[number] = now
        assert pacer.next_send_time <= now + 0.5 + 1e-9
    send(now + 0.5 + 1e-9)
    assert sorted(number for number, _ in left) == list(enqueued)


# --- probes ------------------------------------------------------------------------------------

PROBE = ProbeCluster(7, 2_000_000, 5, 5_000)  # 1250 bytes take 5 ms


def test_a_probe_is_paced_at_its_own_rate_and_names_its_packets(pacer):
    fill(pacer, 8)
    pacer.start_probe(PROBE, 0.0)
    sent = []
    while pacer.queue_bytes:
        now = pacer.next_send_time
        while (departure := pacer.pop(now)) is not None:
            sent.append((now, departure.cluster))
    assert [cluster for _, cluster in sent] == [7] * 5 + [None] * 3
    assert [time for time, _ in sent[:5]] == pytest.approx([0.0, 0.005, 0.010, 0.015, 0.020])
    assert sent[5][0] > 0.025


def test_it_takes_both_minimums(pacer):
    pacer.start_probe(ProbeCluster(7, 2_000_000, 2, 4_000), 0.0)
    fill(pacer, 8)
    assert [packet for _, packet in drain(pacer, until=0.0151)] == [0, 1, 2, 3]
    assert pacer.padding_sent(SIZE) is None


def test_where_nothing_waits_it_asks_for_padding(pacer):
    pacer.start_probe(PROBE, 3.0)
    assert pacer.next_send_time == 3.0
    assert pacer.padding_due(2.999) == 0
    assert pacer.pop(3.0) is None
    assert pacer.padding_due(3.0) == 500  # of two milliseconds
    assert pacer.padding_sent(SIZE) == 7
    assert pacer.next_send_time == pytest.approx(3.005)
    assert pacer.padding_due(3.004) == 0
    assert pacer.padding_due(3.005) == 500
    assert pacer.padding_due(3.006) == 0
    assert pacer.next_send_time == pytest.approx(3.007)


def test_a_late_timer_is_asked_for_more(pacer):
    pacer.start_probe(PROBE, 3.0)
    assert pacer.padding_due(3.010) == 3_000


def test_media_comes_before_padding(pacer):
    pacer.start_probe(PROBE, 0.0)
    fill(pacer, 1)
    assert pacer.padding_due(0.0) == 0
    assert pacer.pop(0.0).cluster == 7
    assert pacer.padding_due(0.005) == 500


def test_padding_ends_it_too(pacer):
    pacer.start_probe(PROBE, 0.0)
    for _ in range(5):
        now = pacer.next_send_time
        assert pacer.padding_due(now) > 0
        assert pacer.padding_sent(SIZE) == 7
    assert pacer.padding_due(1.0) == 0
    assert pacer.next_send_time == math.inf


def ask_until(pacer, end):
    """Ask for padding whenever it is due, and send none."""
    now = 0.0
    while now <= end:
        assert pacer.padding_due(now) > 0
        now = pacer.next_send_time


def test_one_that_nobody_sends_ends(pacer):
    pacer.start_probe(PROBE, 0.0)
    # Its five packets of 1500 bytes would have taken 30 ms.
    ask_until(pacer, 0.128)
    fill(pacer, 1, now=0.131)
    assert pacer.pop(0.131).cluster is None
    assert pacer.padding_due(0.2) == 0


def test_a_large_one_has_more_time(pacer):
    pacer.start_probe(ProbeCluster(7, 2_000_000, 5, 50_000), 0.0)
    ask_until(pacer, 0.298)
    assert pacer.padding_due(0.301) == 0


def test_one_that_is_served_late_ends(pacer):
    pacer.start_probe(PROBE, 0.0)
    assert pacer.padding_due(0.0) > 0  # due again after 2 ms
    assert pacer.padding_due(0.0521) == 0
    assert pacer.padding_sent(100) is None


def test_it_never_asks_for_more_than_it_has_left(pacer):
    pacer.start_probe(ProbeCluster(7, 2_000_000, 5, 5_000), 0.0)
    assert pacer.padding_due(0.0) == 500
    assert pacer.padding_sent(500) == 7
    assert pacer.padding_due(0.05) == 4_500  # 13 kB would have been due by now
    assert pacer.padding_sent(4_500) == 7
    # All of its bytes, not all of its packets.
    assert pacer.padding_due(0.06) == LEAST_PADDING


def test_a_new_one_takes_the_place_of_another(pacer):
    pacer.start_probe(PROBE, 0.0)
    pacer.start_probe(ProbeCluster(8, 2_000_000, 5, 5_000), 0.001)
    assert pacer.padding_sent(100) == 8


# --- what waits ---------------------------------------------------------------------------------


def test_it_says_how_long_its_queue_is(pacer):
    fill(pacer, 4)
    assert pacer.queue_time == pytest.approx(0.04)
    pacer.pop(0.0)
    assert pacer.queue_time == pytest.approx(0.03)


def test_what_is_sent_anyhow_is_never_paced_below_its_rate(pacer):
    pacer.set_bitrate(5_000, 0.0, floor=100_000)
    fill(pacer, 3)
    assert [time for time, _ in drain(pacer)] == pytest.approx([0.0, 0.1, 0.2])
    pacer.set_bitrate(5_000, 0.2)
    assert pacer.next_send_time == math.inf


def test_what_belongs_to_something_is_withdrawn_and_nothing_else(pacer):
    for packet, priority, key in (
        ("a", 0, "low"),
        ("b", 5, "low"),
        ("c", 0, "high"),
        ("d", 1, None),
        ("e", 5, "low"),
    ):
        pacer.enqueue(packet, SIZE, 0.0, priority=priority, key=key)
    assert pacer.withdraw("low") == ["b", "e", "a"]
    assert pacer.queue_bytes == 2 * SIZE
    assert pacer.withdraw("low") == []
    assert [packet for _, packet in drain(pacer)] == ["d", "c"]


def test_with_everything_withdrawn_it_waits_for_nothing(pacer):
    pacer.enqueue("a", SIZE, 0.0, key=1)
    assert pacer.withdraw(1) == ["a"]
    assert (pacer.queue_bytes, pacer.next_send_time, pacer.pop(1.0)) == (0, math.inf, None)
    with pytest.raises(ValueError, match="key must not be None"):
        pacer.withdraw(None)


# --- input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pacer(-1), "bitrate"),
        (lambda: Pacer(1, factor=0), "factor"),
        (lambda: Pacer(1, max_queue_time=0), "max_queue_time"),
        (lambda: Pacer(1).set_bitrate(math.nan, 0.0), "bitrate"),
        (lambda: Pacer(1).set_bitrate(1, 0.0, floor=-1), "floor"),
        (lambda: Pacer(1).enqueue(None, 0, 0.0), "size"),
        (lambda: Pacer(1).padding_sent(-1), "size"),
    ],
)
def test_what_is_no_number_of_its_kind_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_refused_it_changes_nothing(pacer):
    for size, priority in ((1.5, 0), (True, 0), (100, 0.5)):
        with pytest.raises(TypeError):
            pacer.enqueue(None, size, 0.0, priority=priority)
    assert pacer.next_send_time == math.inf
    assert pacer.queue_bytes == 0


def test_priorities_are_of_32_bits(pacer):
    for priority in (-(2**31), 2**31):
        pacer.enqueue("x", SIZE, 0.0, priority=priority)
    for priority in (-(2**31) - 1, 2**31 + 1):
        with pytest.raises(ValueError, match="priority"):
            pacer.enqueue("x", SIZE, 0.0, priority=priority)


def test_what_has_no_priority_leaves_after_1_and_before_minus_1(pacer):
    for priority in (-1, 1):
        pacer.enqueue(priority, SIZE, 0.0, priority=priority)
    pacer.enqueue(0, SIZE, 0.0)
    pacer.enqueue(2, SIZE, 0.0, priority=1)
    assert [packet for _, packet in drain(pacer)] == [1, 2, 0, -1]


def test_the_pace_rises_as_far_as_it_must_and_no_further():
    """1000 packets of 10 ms have two seconds: 500 a second."""
    pacer = Pacer(BITRATE)
    fill(pacer, 1_000)
    times = [time for time, _ in drain(pacer)]
    assert times[-1] == pytest.approx(2.0, abs=0.01)
    assert times[499] == pytest.approx(1.0, abs=0.01)
