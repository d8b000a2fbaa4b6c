"""Opening and closing, registering and leaving, and what all of it weighs."""

from __future__ import annotations

import gc
import statistics
import tracemalloc
from collections.abc import Iterator

import trio

from trio_allocator import open_allocator

from .measure import CAMERA, HIGH, LOW, Row, micro, seconds


async def _open_and_close() -> tuple[float, float]:
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(300):
        start = trio.current_time()
        async with open_allocator():
            await trio.lowlevel.checkpoint()
        middle = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(trio.sleep_forever)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        ours.append(middle - start)
        bare.append(trio.current_time() - middle)
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    return statistics.median(ours), ratio


async def _join_and_leave(count: int) -> tuple[float, float]:
    """Registrations and departures while half of all wait and there is room for a tenth, s."""
    async with open_allocator(initial_estimate=LOW * count // 10) as allocator:
        receivers = []

        def join() -> None:
            for turn in range(count):
                receiver = allocator.register_track_receiver(CAMERA, LOW if turn % 10 == 0 else 0)
                receivers.append(receiver)
                if turn % 2:
                    receiver.request_allocation(HIGH)

        def leave() -> None:
            for receiver in receivers:
                receiver.close()

        return seconds(join), seconds(leave)


async def _weight(allocators: int, receivers: int) -> tuple[float, float, float]:
    """Bytes of an allocator, of a receiver, and of what is left of one when all is closed."""
    async with trio.open_nursery() as nursery:
        managers = [open_allocator(initial_estimate=1e9) for _ in range(allocators)]
        gc.collect()
        tracemalloc.start()
        opened = [await manager.__aenter__() for manager in managers]
        await trio.lowlevel.checkpoint()
        gc.collect()
        per_allocator = tracemalloc.get_traced_memory()[0] / allocators
        allocator = opened[0]
        before = tracemalloc.get_traced_memory()[0]
        held = []
        for turn in range(receivers):
            receiver = allocator.register_track_receiver(CAMERA, LOW)
            if turn % 2:
                receiver.request_allocation(HIGH)
            held.append(receiver)
        gc.collect()
        per_receiver = (tracemalloc.get_traced_memory()[0] - before) / receivers
        for receiver in held:
            receiver.close()
        held.clear()
        for manager in reversed(managers):
            await manager.__aexit__(None, None, None)
        del receiver, allocator, manager
        managers.clear()
        opened.clear()
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] / receivers
        nursery.cancel_scope.cancel()
    tracemalloc.stop()
    return per_allocator, per_receiver, left


def rows() -> Iterator[Row]:
    """Measure lifetimes and memory."""
    each, ratio = trio.run(_open_and_close)
    yield Row(
        "open and close an allocator",
        f"{micro(each)}, {ratio:.2f} × a nursery with two tasks",
        "≤ 2 ×",
        ratio <= 2,
    )
    small = [statistics.median(times) for times in zip(*_repeat(2500), strict=True)]
    large = [statistics.median(times) for times in zip(*_repeat(5000), strict=True)]
    for name, half, whole, reference in (
        ("registering", small[0], large[0], "0.9 s"),
        ("leaving", small[1], large[1], "1.0 s"),
    ):
        growth = whole / half
        yield Row(
            f"{name} of 5000 while short of capacity",
            f"{micro(whole)}, {growth:.2f} × that of 2500",
            "linear (≤ 2.5 ×)",
            growth <= 2.5,
            reference,
        )
    trio.run(_weight, 1, 10)  # what is made once is made now
    per_allocator, per_receiver, left = trio.run(_weight, 200, 5000)
    yield Row(
        "memory of an allocator",
        f"{per_allocator / 1000:.1f} kB",
        "≤ 15 kB",
        per_allocator <= 15_000,
        "1.8 kB",
    )
    yield Row(
        "memory of a receiver, half of them waiting",
        f"{per_receiver:.0f} B; {left:.0f} B when all is closed",
        "≤ 1500 B, released",
        per_receiver <= 1500 and left < 50,
        "320–430 B",
    )


def _repeat(count: int) -> list[tuple[float, float]]:
    return [trio.run(_join_and_leave, count) for _ in range(3)]
