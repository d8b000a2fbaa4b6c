"""What an estimate costs: one that changes nothing, and one that satisfies everybody."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial

import trio
import trio.testing

from trio_allocator import DecreaseAllocation, ProbingAllocator, Track, open_allocator
from trio_allocator.shell.registration import Registration

from .measure import CAMERA, HIGH, LOW, Row, micro, seconds

REFERENCE = {1: "7.6 µs", 10: "14.9 µs", 100: "85 µs", 1000: "961 µs"}
CALLS = 300
Prepare = Callable[[ProbingAllocator, list[Registration]], None]


def _idle(_allocator: ProbingAllocator, _receivers: list[Registration]) -> None:
    """Nobody wants anything."""


def _half_wait(_allocator: ProbingAllocator, receivers: list[Registration]) -> None:
    for receiver in receivers[::2]:
        receiver.request_allocation(HIGH)


def _all_refuse(allocator: ProbingAllocator, receivers: list[Registration]) -> None:
    """In overuse, everybody rejects: forced down to its floor, and still over the estimate."""
    allocator.update_bandwidth_estimation(LOW * len(receivers) // 2)
    for receiver in receivers:
        message = receiver.receive_nowait()
        if isinstance(message, DecreaseAllocation):
            receiver.reject_decrease(message)


async def _unchanged(count: int, prepare: Prepare, held: int) -> float:
    """Median time of an estimate that changes no allocation, s."""
    async with open_allocator(initial_estimate=held * count) as allocator:
        receivers = [allocator.register_track_receiver(CAMERA, held) for _ in range(count)]
        prepare(allocator, receivers)
        estimate = allocator.status.estimate or 0

        def run() -> None:
            for turn in range(CALLS):
                allocator.update_bandwidth_estimation(estimate + turn % 7)

        run()
        return statistics.median(seconds(run) for _ in range(15)) / CALLS


async def _satisfy(count: int) -> tuple[float, float]:
    """One estimate that grants everybody, and waking as many bare tasks, until all have run."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(7):
        async with trio.open_nursery() as nursery, open_allocator(initial_estimate=1) as allocator:
            receivers = [allocator.register_track_receiver(CAMERA) for _ in range(count)]
            for receiver in receivers:
                receiver.request_allocation(HIGH)
                nursery.start_soon(receiver.receive)
            await trio.testing.wait_all_tasks_blocked()
            start = trio.lowlevel.current_clock().current_time()
            allocator.update_bandwidth_estimation(HIGH * count)
            while nursery.child_tasks:  # noqa: ASYNC110 - to see the very pass that ends it
                await trio.lowlevel.checkpoint()
            ours.append(trio.current_time() - start)
        async with trio.open_nursery() as nursery:
            parked = [trio.Event() for _ in range(count)]
            for event in parked:
                nursery.start_soon(event.wait)
            await trio.testing.wait_all_tasks_blocked()
            start = trio.current_time()
            for event in parked:
                event.set()
            while nursery.child_tasks:  # noqa: ASYNC110 - to see the very pass that ends it
                await trio.lowlevel.checkpoint()
            bare.append(trio.current_time() - start)
    return statistics.median(ours), statistics.median(
        a / b for a, b in zip(ours, bare, strict=True)
    )


async def _half_satisfied(count: int, *, distinct: bool) -> float:
    """An estimate that serves about half of what is waited for, s."""
    times = []
    for _ in range(3):
        async with open_allocator(initial_estimate=1) as allocator:
            for turn in range(count):
                extra = 7 * turn if distinct else 0
                rates = {"low": 150_000, "medium": 500_000 + extra, "high": 2_500_000 + 3 * extra}
                receiver = allocator.register_track_receiver(Track("camera", variants=rates))
                receiver.request_allocation(2 * HIGH)
            times.append(
                seconds(lambda a=allocator: a.update_bandwidth_estimation(HIGH * count // 2))
            )
    return statistics.median(times)


def rows() -> Iterator[Row]:
    """Measure estimates at 1, 10, 100 and 1000 receivers."""
    cases: list[tuple[str, Prepare, int]] = [
        ("nothing deficient", _idle, LOW),
        ("half waiting for more", _half_wait, LOW),
        ("all refusing in overuse", _all_refuse, HIGH),
    ]
    for name, prepare, held in cases:
        at = {count: trio.run(_unchanged, count, prepare, held) for count in (1, 10, 100, 1000)}
        for count, each in at.items():
            ratio = at[1000] / at[10]
            last = count == 1000
            yield Row(
                f"estimate that changes nothing, {count} receivers, {name}",
                micro(each) + (f", {ratio:.2f} × the cost at 10" if last else ""),
                "≤ 2 × the cost at 10" if last else "",
                ratio <= 2 if last else None,
                REFERENCE[count],
            )
    for count in (10, 1000):
        total, ratio = trio.run(_satisfy, count)
        yield Row(
            f"estimate that grants {count} waiting receivers, until all have read it",
            f"{micro(total)}, {ratio:.2f} × waking bare tasks",
            "≤ 4 ×" if count == 1000 else "",
            ratio <= 4 if count == 1000 else None,
        )
    for distinct, name in ((False, "equal ladders"), (True, "all ladders different")):
        small, large = (
            trio.run(partial(_half_satisfied, n, distinct=distinct)) for n in (500, 1000)
        )
        yield Row(
            f"estimate that serves half of what 1000 wait for, {name}",
            f"{micro(large)}, {large / small:.2f} × that of 500",
        )
