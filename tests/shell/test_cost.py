"""Reporting a packet costs the same always, and leaves nothing behind."""

import gc
import sys
import tracemalloc

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, unread
from trio_allocator import open_allocator

PACKETS = 5_000


def work_of(function):
    """Lines of Python that a call runs: the same on every machine."""
    lines = 0

    def trace(_frame, event, _argument):
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()  # that of a coverage measurement, perhaps
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines


@pytest.fixture
async def allocator(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        yield allocator


@pytest.mark.invariant("C1")
async def test_a_packet_reported_leaves_nothing_behind(allocator):
    receiver = allocator.register_track_receiver(CAMERA, LOW)
    receiver.request_allocation(HIGH)
    unread(receiver)

    def send():
        for _ in range(PACKETS):
            receiver.buffer_sent(1_200)
            receiver.buffer_sent(255, padding=True)

    send()
    gc.collect()
    objects = len(gc.get_objects())
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        send()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    gc.collect()
    assert after - before < 1_000
    assert len(gc.get_objects()) - objects < 50


@pytest.mark.invariant("C1")
@pytest.mark.parametrize("padding", [False, True])
async def test_a_packet_is_as_much_work_among_a_thousand_and_after_a_million(allocator, padding):
    receiver = allocator.register_track_receiver(CAMERA, LOW)

    def send():
        receiver.buffer_sent(255, padding=padding)

    send()
    alone = work_of(send)
    for _ in range(1_000):
        allocator.register_track_receiver(CAMERA).request_allocation(MEDIUM)
    allocator._engine.meter.media += 10**15
    assert work_of(send) == alone
    assert alone < 60


@pytest.mark.invariant("C3", "L2")
async def test_those_who_came_and_went_leave_nothing_behind(allocator):
    stays = allocator.register_track_receiver(CAMERA, LOW)
    stays.request_allocation(HIGH)

    def come_and_go():
        for _ in range(200):
            with allocator.register_track_receiver(CAMERA, MEDIUM) as receiver:
                receiver.request_allocation(HIGH)
                receiver.buffer_sent(1_200)
                receiver.set_options(priority=3)
                allocator.update_bandwidth_estimation(900_000)
            allocator.update_bandwidth_estimation(1_000_000)

    come_and_go()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        come_and_go()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000


@pytest.mark.invariant("C3")
async def test_whoever_never_reads_costs_no_more_for_it(allocator):
    receivers = [allocator.register_track_receiver(CAMERA, LOW) for _ in range(5)]

    def noise():
        for turn in range(300):
            for receiver in receivers:
                receiver.request_allocation((HIGH, LOW, MEDIUM)[turn % 3])
            allocator.update_bandwidth_estimation(500_000 + turn % 7 * 300_000)

    noise()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        noise()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
    await trio.testing.wait_all_tasks_blocked()
