"""An alarm for one task: when it rings, and when it does not."""

from __future__ import annotations

import pytest
import trio

from trio_allocator.shell.alarm import Alarm


async def rings_after(alarm: Alarm) -> float:
    """Wait for it, ten seconds at most; return how long that took."""
    began = trio.current_time()
    with trio.move_on_after(10):
        await alarm.rings()
    return trio.current_time() - began


async def test_it_rings_when_it_was_set_for(autojump_clock):
    alarm = Alarm()
    alarm.ring_by(trio.current_time() + 3)
    assert await rings_after(alarm) == pytest.approx(3)
    assert await rings_after(alarm) == pytest.approx(10)  # now it is set for no time


@pytest.mark.parametrize("later", [1, 5])
async def test_it_is_moved_forward_and_never_back(later, autojump_clock):
    alarm = Alarm()
    alarm.ring_by(trio.current_time() + 3)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def move() -> None:
            await trio.sleep(0.5)
            alarm.ring_by(trio.current_time() + later)

        assert await rings_after(alarm) == pytest.approx(min(3, 0.5 + later))


async def test_a_task_that_comes_later_hears_that_it_rang(autojump_clock):
    alarm = Alarm()
    alarm.ring()
    assert await rings_after(alarm) == 0
    assert await rings_after(alarm) == pytest.approx(10)


async def test_it_rings_for_a_task_that_waits(autojump_clock):
    alarm = Alarm()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def ring() -> None:
            await trio.sleep(2)
            alarm.ring()

        assert await rings_after(alarm) == pytest.approx(2)
