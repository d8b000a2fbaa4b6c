"""A thousand allocators in one process: what probing costs, and what it does to a neighbour."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import trio

from trio_allocator import ProbingAllocator, SendPadding, open_allocator
from trio_allocator.shell.registration import Registration

from .measure import CAMERA, HIGH, Row, micro

SECONDS = 5.0


async def _pad(receiver: Registration) -> None:
    async for message in receiver:
        if isinstance(message, SendPadding):
            receiver.buffer_sent(message.size, padding=True)


async def _estimates(allocators: list[ProbingAllocator], estimate: int) -> None:
    """Keep the estimates alive, a slice of the allocators at a time, once a second each."""
    slices = 50
    while True:
        for start in range(slices):
            for allocator in allocators[start::slices]:
                allocator.update_bandwidth_estimation(estimate)
            await trio.sleep(1 / slices)


async def _crowd(count: int, probing: int) -> tuple[float, float, float, float]:
    """Run allocators side by side, some of them probing at 300 kbit/s, each with a receiver.

    Returns:
        The share of a core that all of it takes; what is sent over what should be; median and
        largest time that an idle allocator needs for an estimate, s.
    """
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        allocators = []
        receivers = []
        for turn in range(count):
            allocator = await stack.enter_async_context(
                open_allocator(
                    initial_estimate=100_000, probe_increment=200_000, probe_patience=math.inf
                )
            )
            allocators.append(allocator)
            receiver = allocator.register_track_receiver(CAMERA, elastic=False, min_bitrate=0)
            nursery.start_soon(_pad, receiver)
            if turn < probing:
                # 150 kbit/s make the target 300 kbit/s, twice the estimate at most.
                receiver.request_allocation(HIGH)
                receivers.append(receiver)
            await trio.lowlevel.checkpoint()
        idle = await stack.enter_async_context(open_allocator(initial_estimate=1e6))
        idle.register_track_receiver(CAMERA, 165_000)
        nursery.start_soon(_estimates, allocators, 150_000)
        await trio.sleep(2)
        sent = sum(receiver.bytes_sent for receiver in receivers)
        cpu, wall = time.process_time(), time.perf_counter()
        handled = []
        for turn in range(int(SECONDS / 0.05)):
            await trio.sleep(0.05)
            start = time.perf_counter()
            idle.update_bandwidth_estimation(1_000_000 + turn)
            handled.append(time.perf_counter() - start)
        elapsed = time.perf_counter() - wall
        share = (time.process_time() - cpu) / elapsed
        sent = sum(receiver.bytes_sent for receiver in receivers) - sent
        due = 300_000 / 8 * elapsed * len(receivers)
        nursery.cancel_scope.cancel()
    return share, sent / due if due else 1.0, statistics.median(handled), max(handled)


def rows() -> Iterator[Row]:
    """Measure a crowd."""
    share, rate, median, worst = trio.run(_crowd, 1000, 1000)
    yield Row(
        "1000 allocators, all probing at 300 kbit/s",
        f"{share:.0%} of a core, {rate:.1%} of the padding due",
        "≤ 60 %",
        share <= 0.6,
        "43–60 %",
    )
    for probing, value in ((1000, (median, worst)), (500, trio.run(_crowd, 1000, 500)[2:])):
        yield Row(
            f"an idle allocator's estimate, beside 1000 of which {probing} probe",
            f"{micro(value[0])} (median), {micro(value[1])} (worst)",
            "≤ 1 ms",
            value[0] <= 1e-3,
            "36 ms",
        )
