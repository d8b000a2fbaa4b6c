"""A7 and G10: what is given back by one that cannot send, and how soon a raise is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import trio

from ...interface import ConnectionAllocator
from ...options import ReceiverOptionChanges
from ..bench import CAMERA, HIGH, LOW, MEDIUM, Bench, obey, pass_time
from ..violation import demand

# --- A7 ------------------------------------------------------------------------------------------

_OPTIONS: tuple[ReceiverOptionChanges, ...] = (
    {},
    {"negotiable": False},
    {"min_bitrate": LOW},
    {"priority": 3},
    {"pausable": True},
)


async def a_source_that_is_off_gives_back_all(bench: Bench) -> None:
    """A7: a receiver that asks for nothing holds nothing, and others have what it held."""
    for options in _OPTIONS:
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(MEDIUM)
            off = allocator.register_track_receiver(CAMERA, MEDIUM, **options)
            other = allocator.register_track_receiver(CAMERA)
            other.request_allocation(MEDIUM)
            off.request_allocation(0)
            obey([off, other], "A7")
            demand(
                (off.allocation, other.allocation) == (0, MEDIUM),
                "A7",
                f"a receiver with {options or 'default options'} asks for nothing and holds "
                f"{off.allocation} bit/s; another one that waits for {MEDIUM} holds "
                f"{other.allocation}",
            )


async def the_one_that_returns_is_served_first(bench: Bench) -> None:
    """A7: when it asks again, it comes before those of its class that have waited longer."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(LOW)
        returning = allocator.register_track_receiver(CAMERA, LOW)
        others = [allocator.register_track_receiver(CAMERA) for _ in range(2)]
        for other in others:
            other.request_allocation(LOW)
        returning.request_allocation(0)
        await pass_time(allocator, LOW, 3.0)
        returning.request_allocation(LOW)
        await pass_time(allocator, LOW, 1.0)
        before = [other.allocation for other in others]
        await pass_time(allocator, 2 * LOW, 3.0)  # there is room for one more
        demand(
            returning.allocation == LOW,
            "A7",
            f"with room for one more, the one that returns holds {returning.allocation} bit/s; two "
            f"that had waited longer held {before}, and hold {[o.allocation for o in others]}",
        )


# --- G10 -----------------------------------------------------------------------------------------

_SPARE = 1.25
_PROMPT = 2.6
"""2.5 s, and a tenth for an allocator that looks in tenths of a second."""


async def _lived_through(allocator: ConnectionAllocator, estimates: Iterable[int]) -> None:
    """Each of these estimates lasts a second, with nobody there."""
    for estimate in estimates:
        allocator.update_bandwidth_estimation(estimate)
        await trio.sleep(1.0)


async def a_raise_with_a_fifth_to_spare_is_prompt(bench: Bench) -> None:
    """G10: on an estimate that stays, a step that fits with a fifth to spare waits 2.5 s at most."""
    for before in ((), (LOW,), (4 * HIGH, LOW), (HIGH, LOW, HIGH, LOW)):
        for step in (LOW, MEDIUM, HIGH):
            async with bench.open() as allocator:
                await _lived_through(allocator, before)
                enough = int(_SPARE * step)
                allocator.update_bandwidth_estimation(enough)
                camera = allocator.register_track_receiver(CAMERA)
                camera.request_allocation(HIGH)
                await pass_time(allocator, enough, _PROMPT, every=0.5)
                demand(
                    camera.allocation >= step,
                    "G10",
                    f"after estimates of {before}, {enough} bit/s were there for {_PROMPT} s, and a "
                    f"receiver that claims more holds {camera.allocation}, not {step}",
                )


async def a_step_that_was_always_there_waits_ten_seconds_at_most(bench: Bench) -> None:
    """G10: a step that every estimate of ten seconds would have carried is granted."""
    for before in ((), (10 * HIGH, LOW), (HIGH, LOW, HIGH, LOW, HIGH, LOW)):
        async with bench.open() as allocator:
            await _lived_through(allocator, before)
            allocator.update_bandwidth_estimation(MEDIUM)
            camera = allocator.register_track_receiver(CAMERA)
            camera.request_allocation(MEDIUM)
            await pass_time(allocator, MEDIUM, 10.5, every=0.5)
            demand(
                camera.allocation == MEDIUM,
                "G10",
                f"after estimates of {before}, {MEDIUM} bit/s were there for 10.5 s, and a receiver "
                f"that claims them holds {camera.allocation}",
            )


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "A7": (a_source_that_is_off_gives_back_all, the_one_that_returns_is_served_first),
    "G10": (
        a_raise_with_a_fifth_to_spare_is_prompt,
        a_step_that_was_always_there_waits_ten_seconds_at_most,
    ),
}
