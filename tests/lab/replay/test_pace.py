"""The clock of a run: the same virtual times, at once or with real time in between."""

import math
import time

import pytest
import trio
import trio.testing

from trio_allocator.lab.replay.pace import PacedClock


def notes(clock):
    """Two tasks with timers of their own, and one that waits for all others."""

    async def run():
        noted = []

        async def tick(name, period):
            for number in range(1, 4):
                await trio.sleep_until(number * period)
                noted.append((trio.current_time(), name))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick, "a", 0.01)
            nursery.start_soon(tick, "b", 0.017)
            await trio.sleep_until(0.02)
            with clock.standing():
                await trio.testing.wait_all_tasks_blocked()
            noted.append((trio.current_time(), "all wait"))
        return noted

    return trio.run(run, clock=clock)


EXPECTED = [
    *((0.01, "a"), (0.017, "b"), (0.02, "a"), (0.02, "all wait")),
    *((0.03, "a"), (0.034, "b"), (0.051, "b")),
]


def test_time_jumps_to_what_is_due():
    assert notes(PacedClock()) == [(pytest.approx(t), name) for t, name in EXPECTED]


def test_at_a_pace_the_same_happens():
    began = time.perf_counter()
    assert notes(PacedClock(speed=0.5)) == [(pytest.approx(t), name) for t, name in EXPECTED]
    # Never early; how late it is, is the machine's business.
    assert time.perf_counter() - began >= 0.051 / 0.5


def test_where_nothing_is_due_trio_sleeps():
    clock = PacedClock()
    clock.start_clock()
    assert clock.deadline_to_sleep_time(math.inf) == math.inf
    assert clock.deadline_to_sleep_time(3.0) == 0
    assert clock.current_time() == 3.0
    assert clock.deadline_to_sleep_time(2.0) == 0
    assert clock.current_time() == 3.0
