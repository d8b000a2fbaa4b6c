"""The standing queue: what even the quickest packet waited."""

from __future__ import annotations

import pytest

from trio_allocator.estimation.queueing import QueueDelay


def feed(queue, ways, *, since=0.0, interval=0.01):
    for index, way in enumerate(ways):
        queue.add(since + index * interval, way)


def test_nothing_known_is_no_queue():
    queue = QueueDelay()
    assert queue.standing == queue.newest == queue.jitter == 0.0


def test_bursts_that_drain_are_no_standing_queue():
    queue = QueueDelay()
    feed(queue, [0.05, 0.06, 0.07] * 20)
    assert queue.standing == 0.0
    assert queue.newest == pytest.approx(0.02)


def test_what_all_packets_wait_is_one_after_two_windows():
    queue = QueueDelay()
    feed(queue, [0.05] * 8)  # 75 ms: the second window begins
    feed(queue, [0.07] * 8, since=0.08)
    assert queue.standing == 0.0
    feed(queue, [0.07] * 8, since=0.16)
    assert queue.standing == pytest.approx(0.02)


def test_a_queue_that_is_gone_is_gone_at_once():
    queue = QueueDelay()
    feed(queue, [0.05, *([0.09] * 30)])
    assert queue.standing == pytest.approx(0.04)
    queue.add(0.31, 0.05)
    assert queue.standing == 0.0


def test_a_route_that_got_longer_is_no_queue_for_ever():
    queue = QueueDelay()
    queue.add(0.0, 0.05)
    feed(queue, [0.08] * 100, since=9.0, interval=0.1)
    assert queue.standing == pytest.approx(0.03)
    feed(queue, [0.08] * 10, since=19.0, interval=0.1)
    assert queue.standing == pytest.approx(0.03)
    queue.add(20.0, 0.08)
    assert queue.standing == 0.0


def test_the_shortest_way_of_a_window_counts_whenever_it_came():
    queue = QueueDelay()
    feed(queue, [0.08] * 10, interval=0.1)
    queue.add(5.0, 0.05)
    feed(queue, [0.08] * 60, since=5.1, interval=0.1)
    assert queue.standing == pytest.approx(0.03)


def test_clocks_that_are_off_make_no_difference():
    queue = QueueDelay()
    feed(queue, [-1e6, *([-1e6 + 0.02] * 30)])
    assert queue.standing == pytest.approx(0.02)


def test_what_is_settled_for_is_a_part_of_the_way():
    queue = QueueDelay()
    feed(queue, [0.05, *([0.09] * 30)])
    queue.settle()
    assert queue.standing == 0.0
    queue.add(0.31, 0.05)
    feed(queue, [0.09] * 30, since=0.32)
    assert queue.standing == pytest.approx(0.04)


def test_jitter_is_what_the_lows_of_windows_differ_by():
    queue = QueueDelay()
    for window in range(100):
        feed(queue, [0.05 + 0.01 * (window % 2)] * 8, since=0.08 * window)
    assert queue.jitter == pytest.approx(0.01, rel=0.01)
    even = QueueDelay()
    feed(even, [0.05, 0.07] * 400)
    assert even.jitter == 0.0


def test_jitter_is_smoothed_over_sixteen_windows():
    queue = QueueDelay()
    feed(queue, [0.05] * 16)
    feed(queue, [0.066] * 9, since=0.16)
    assert queue.jitter == pytest.approx(0.001)


def test_begun_anew_nothing_is_known():
    queue = QueueDelay()
    feed(queue, [0.05, *([0.09] * 30)])
    queue.clear()
    assert queue.standing == queue.jitter == 0.0
    queue.add(1.0, 5.0)
    assert queue.standing == queue.newest == 0.0
