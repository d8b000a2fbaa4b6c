"""C3: what is kept of a receiver, counted in messages and objects."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ...interface import ConnectionAllocator, ReceiverHandle
from ...tracks import Track
from ..bench import CAMERA, HIGH, LADDER, LOW, MEDIUM, PLAIN, Bench, requests, unread
from ..violation import demand

TURNS = 100
"""How often a receiver does what must not cost memory each time."""

MOST_UNREAD = 50
"""However much a receiver is told, no mailbox needs room for more messages than that."""

MOST_KEPT = TURNS // 2
"""More objects than that are one for each time that something was done, kept."""


async def a_full_mailbox_does_not_grow(bench: Bench) -> None:
    """C3: who never reads has a bounded number of messages unread, whatever they are."""
    async with bench.open() as allocator:
        requesting = allocator.register_track_receiver(PLAIN, priority=1)
        silent = [allocator.register_track_receiver(CAMERA) for _ in range(2)]
        for camera in silent:
            camera.request_allocation(HIGH)
        for turn in range(TURNS):
            allocator.update_bandwidth_estimation(HIGH - turn % 2 * MEDIUM)
            requesting.request_allocation(LOW + turn % 2)
        for _ in range(6):
            allocator.update_bandwidth_estimation(HIGH)
            await trio.sleep(0.75)
        for receiver in (requesting, *silent):
            messages = len(unread(receiver))
            demand(messages <= MOST_UNREAD, "C3", f"{messages} messages were kept for one receiver")


async def doing_it_again_keeps_nothing(bench: Bench) -> None:
    """C3: a receiver that lives on takes no more objects the more it does."""
    async with bench.open() as allocator:
        receiver = allocator.register_track_receiver(CAMERA, LOW)

        def do() -> None:
            for turn in range(TURNS):
                allocator.update_bandwidth_estimation(HIGH if turn % 2 else MEDIUM)
                receiver.request_allocation(HIGH)
                for request in requests([receiver]).values():
                    receiver.accept_decrease(request, request.limit)
                receiver.set_options(priority=turn % 3)
                receiver.buffer_sent(1_200)
                receiver.buffer_sent(255, padding=True)

        do()
        kept = _objects_kept(do)
        if kept > MOST_KEPT:  # rings of garbage, perhaps: to make sure takes its time
            gc.collect()
            kept = _objects_kept(do, thoroughly=True)
        demand(kept <= MOST_KEPT, "C3", f"{kept} objects are kept of what was done {TURNS} times")


def _objects_kept(do: Callable[[], None], *, thoroughly: bool = False) -> int:
    """How many more objects there are when something was done."""
    collecting = gc.isenabled()
    gc.disable()  # or what others left would go meanwhile, and hide what is kept
    try:
        before = len(gc.get_objects())
        do()
        if thoroughly:
            gc.collect()
        return len(gc.get_objects()) - before
    finally:
        if collecting:
            gc.enable()


async def who_has_left_is_forgotten(bench: Bench) -> None:
    """C3: nothing holds on to a receiver that has left, or to its track, whatever it did."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEDIUM)
        stays = allocator.register_track_receiver(CAMERA, LOW)
        stays.request_allocation(HIGH)
        left = _come_and_go(allocator)
        await trio.sleep(0.1)
        allocator.update_bandwidth_estimation(MEDIUM)
        if any(reference() is not None for reference, _ in left):
            gc.collect()
        kept = [what for reference, what in left if reference() is not None]
        demand(not kept, "C3", f"long after they have left these are kept: {', '.join(kept)}")


def _come_and_go(allocator: ConnectionAllocator) -> list[tuple[weakref.ref[Any], str]]:
    """Let receivers come, do this or that, and leave."""
    left: list[tuple[weakref.ref[Any], str]] = []
    doings: dict[str, Callable[[ReceiverHandle], object]] = {
        "waited": lambda receiver: receiver.request_allocation(2 * HIGH),
        "was asked": lambda receiver: receiver.buffer_sent(1_200),
        "refused": lambda receiver: [
            receiver.reject_decrease(request) for request in requests([receiver]).values()
        ],
        "promised": lambda receiver: [
            receiver.accept_decrease(request) for request in requests([receiver]).values()
        ],
        "was forced": lambda receiver: allocator.force_allocation(receiver, LOW),
        "changed": lambda receiver: receiver.set_options(priority=5, can_pad=False),
    }
    for name, do in doings.items():
        with allocator.register_track_receiver(Track(name, variants=LADDER), HIGH) as receiver:
            do(receiver)
        left.append((weakref.ref(receiver), f"a receiver that {name}"))
        left.append((weakref.ref(receiver.track), f"the track of a receiver that {name}"))
    return left


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "C3": (
        a_full_mailbox_does_not_grow,
        doing_it_again_keeps_nothing,
        who_has_left_is_forgotten,
    ),
}
