"""Requests, grants and rounds of negotiation."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Literal

import trio
import trio.testing

from trio_allocator import DecreaseAllocation, open_allocator
from trio_allocator.shell.registration import Registration

from .measure import CAMERA, HIGH, LOW, MEDIUM, Row, micro

REQUEST_REFERENCE = {1: "2.0 µs", 10: "2.4 µs", 100: "9.3 µs", 1000: "26.5 µs"}
REJECT_REFERENCE = {1: "0.11 ms", 10: "0.15 ms", 100: "0.53 ms", 1000: "4.7 ms"}
SILENT_REFERENCE = {1: "11 ms", 10: "111 ms", 100: "1.1 s", 1000: "11.1 s"}
Manner = Literal["accept", "reject", "silent"]


async def _request_to_grant(count: int) -> float:
    """From the request until the receiver has the grant in its hands, s."""
    async with open_allocator(initial_estimate=1e12) as allocator:
        receivers = [allocator.register_track_receiver(CAMERA, LOW) for _ in range(count)]
        receiver = receivers[count // 2]
        times = []
        for turn in range(400):
            start = time.perf_counter()
            receiver.request_allocation(LOW if turn % 2 else MEDIUM)
            await receiver.receive()
            times.append(time.perf_counter() - start)
        return statistics.median(times)


async def _answer(receiver: Registration, manner: Manner) -> None:
    async for message in receiver:
        if isinstance(message, DecreaseAllocation):
            if manner == "accept":
                receiver.accept_decrease(message, message.limit)
            elif manner == "reject":
                receiver.reject_decrease(message)


async def _round(count: int, manner: Manner) -> tuple[float, float, float, int]:
    """One drop of the estimate, on the real clock.

    Returns:
        How long the call took; how long until nobody owes an answer; the largest delay of a task
        that wakes every millisecond meanwhile (all s); how many were forced.
    """
    async with trio.open_nursery() as nursery:
        async with open_allocator(initial_estimate=HIGH * count) as allocator:
            for _ in range(count):
                receiver = allocator.register_track_receiver(CAMERA, HIGH)
                nursery.start_soon(_answer, receiver, manner)
            await trio.testing.wait_all_tasks_blocked()
            worst = 0.0

            async def tick() -> None:
                nonlocal worst
                while True:
                    due = time.perf_counter() + 0.001
                    await trio.sleep(0.001)
                    worst = max(worst, time.perf_counter() - due)

            nursery.start_soon(tick)
            await trio.sleep(0.02)
            worst = 0.0
            start = time.perf_counter()
            allocator.update_bandwidth_estimation(LOW * count)
            call = time.perf_counter() - start
            while allocator.status.asked:  # noqa: ASYNC110 - to see the very pass that ends it
                await trio.lowlevel.checkpoint()
            total = time.perf_counter() - start
            await trio.sleep(0.005)
            forced = allocator.status.forced
        nursery.cancel_scope.cancel()
    return call, total, worst, forced


def rows() -> Iterator[Row]:
    """Measure the way from request to grant, and whole rounds."""
    for count in (1, 10, 100, 1000):
        each = trio.run(_request_to_grant, count)
        yield Row(
            f"request → grant in the receiver's hands, {count} receivers",
            micro(each),
            reference=REQUEST_REFERENCE[count],
        )
    manners: tuple[Manner, ...] = ("accept", "reject", "silent")
    references = {"accept": {}, "reject": REJECT_REFERENCE, "silent": SILENT_REFERENCE}
    for manner in manners:
        for count in (1, 10, 100, 1000):
            runs = [trio.run(_round, count, manner) for _ in range(5)]
            call, total, worst = (statistics.median(run[i] for run in runs) for i in range(3))
            forced = max(run[3] for run in runs)
            bar, met = "", None
            if count == 1000 and manner == "accept":
                bar, met = "nobody forced", forced == 0
            elif count == 1000 and manner == "silent":
                bar, met = "call ≤ 5 ms, delay ≤ 25 ms", call <= 5e-3 and worst <= 25e-3
            yield Row(
                f"round of {count}, all {manner}",
                f"call {micro(call)}, over after {micro(total)}, others late by ≤ {micro(worst)}, "
                f"{forced} forced",
                bar,
                met,
                references[manner].get(count, ""),
            )
