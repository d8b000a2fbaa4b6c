"""A5 and A6: who is never disturbed, and when nobody is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import product

import trio

from ...interface import ConnectionAllocator, ReceiverHandle
from ...messages import AllocationGranted, DecreaseAllocation, GrantReason, SendPadding
from ..bench import (
    CAMERA,
    HIGH,
    LOW,
    MEDIUM,
    MICROPHONE,
    PLAIN,
    Bench,
    grants,
    obey,
    pass_time,
    requests,
    total,
    unread,
)
from ..violation import demand, demand_same

NOT_NEGOTIABLE_CAP = 0
"""How far beyond the estimate more is granted to one that may not be asked, bit/s (A5).

The contract allows it up to a stated cap; an allocator that grants any can be checked by
`more_comes_from_the_books` with its own cap.
"""
ENOUGH = 10 * HIGH
"""An estimate that everything fits in, bit/s."""
MEGABIT = 1_000_000
LONG = 10.0
"""Longer than any allowance lasts, s."""
ANSWERS: dict[str, Callable[[ReceiverHandle, DecreaseAllocation], object]] = {
    "comply": lambda receiver, request: receiver.accept_decrease(request, request.limit),
    "promise": lambda receiver, request: receiver.accept_decrease(request),
    "reject": lambda receiver, request: receiver.reject_decrease(request),
    "keep silent": lambda _receiver, _request: None,
}


# --- A5: not negotiable ------------------------------------------------------------------------


def _left_alone(calm: dict[ReceiverHandle, int], when: str) -> None:
    for receiver, held in calm.items():
        told = [message for message in unread(receiver) if not isinstance(message, SendPadding)]
        demand_same("A5", f"{when}, what one that is not negotiable is told", told, [])
        demand_same(
            "A5", f"{when}, what one that is not negotiable holds", receiver.allocation, held
        )


async def nobody_disturbs_the_not_negotiable(bench: Bench) -> None:
    """A5: what it registered with it keeps, however little there is and however others wait for it."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(ENOUGH)
        camera = allocator.register_track_receiver(CAMERA, HIGH)
        first = allocator.register_track_receiver(PLAIN, priority=9, negotiable=False)
        calm = {allocator.register_track_receiver(CAMERA, HIGH, negotiable=False): HIGH}
        for estimate in (2 * HIGH, MEDIUM, 1, 0):
            allocator.update_bandwidth_estimation(estimate)
            first.request_allocation(first.allocation + MEDIUM)
            calm[allocator.register_track_receiver(MICROPHONE, 100_000)] = 100_000
            for request in requests([camera]).values():
                camera.reject_decrease(request)
            await pass_time(allocator, estimate, 4)
            _left_alone(calm, f"at an estimate of {estimate} bit/s")
        allocator.update_bandwidth_estimation(0)
        await pass_time(allocator, 0, LONG)
        _left_alone(calm, "after a long time without any bandwidth")


async def a_receiver_may_cease_to_be_negotiable(bench: Bench) -> None:
    """A5: from then on it is left alone, whatever it was asked before and has answered."""
    for name in ("reject", "promise", "keep silent"):
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(ENOUGH)
            cameras = [allocator.register_track_receiver(CAMERA, HIGH) for _ in range(3)]
            allocator.update_bandwidth_estimation(HIGH)
            asked = requests(cameras)
            one = next(iter(asked), cameras[0])
            if one in asked:
                ANSWERS[name](one, asked.pop(one))
            one.set_negotiability_status(False)
            unread(one)
            calm = {one: one.allocation}
            cameras.remove(one)
            for _ in range(3):
                for camera, request in asked.items():
                    camera.reject_decrease(request)
                allocator.update_bandwidth_estimation(HIGH)
                await pass_time(allocator, HIGH, 4 * bench.terms.negotiation_timeout)
                _left_alone(calm, f"after it was asked and did {name}")
                asked = requests(cameras)


async def more_comes_from_the_books(bench: Bench, cap: int = NOT_NEGOTIABLE_CAP) -> None:
    """A5: what is more than it registered with must fit, but for a stated cap.

    Args:
        bench: Where to check.
        cap: See `NOT_NEGOTIABLE_CAP`.
    """
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEGABIT)
        camera = allocator.register_track_receiver(CAMERA, MEDIUM)
        microphone = allocator.register_track_receiver(MICROPHONE, 100_000)
        fitting = MEGABIT - MEDIUM
        for claim, wait in product((fitting, fitting + cap + 1, 10**12), (0, 1)):
            microphone.request_allocation(claim)
            await trio.sleep(wait)
            held = microphone.allocation
            seen = (
                f"a microphone asks for {claim} bit/s and holds {held} beside {camera.allocation}"
            )
            demand(held >= fitting, "A5", f"{seen}: it could have had {fitting}")
            demand(held + camera.allocation <= MEGABIT + cap, "A5", f"{seen}, of {MEGABIT}")
            allocator.update_bandwidth_estimation(MEGABIT)


async def the_application_may_force_anybody(bench: Bench) -> None:
    """A5: not negotiable means nothing to `force_allocation`."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEGABIT)
        microphone = allocator.register_track_receiver(MICROPHONE, 100_000)
        allocator.force_allocation(microphone, 30_000)
        told = [(grant.allocation, grant.reason) for grant in grants(microphone)]
        demand_same(
            "A5", "forced by the application, it is told", told, [(30_000, GrantReason.FORCED)]
        )
        demand_same("A5", "forced by the application, it holds", microphone.allocation, 30_000)


async def only_a_minimum_outlives_overuse(bench: Bench) -> None:
    """A2: without any bandwidth the lowest step is kept, but not by one that may be paused."""
    for live in (False, True):
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(ENOUGH)
            for pausable, lowest in ((False, LOW), (True, 0)):
                said = {} if live else {"pausable": pausable}
                camera = allocator.register_track_receiver(CAMERA, HIGH, **said)
                if live:
                    camera.set_options(pausable=pausable)
                allocator.update_bandwidth_estimation(0)
                obey([camera])
                what = f"without any bandwidth, pausable={pausable}, it holds"
                demand_same("A2", what, camera.allocation, lowest)
                camera.close()


# --- A6: not knowing ---------------------------------------------------------------------------


async def nothing_is_known_before_the_first_estimate(bench: Bench) -> None:
    """A6: what is held stays, what is given up is handed on at most, and raises wait."""
    async with bench.open() as allocator:
        rates = (HIGH, LOW, 0)
        cameras = [allocator.register_track_receiver(CAMERA, rate) for rate in rates]
        for camera in cameras[1:]:
            camera.request_allocation(HIGH)
        await _not_knowing(bench, allocator, cameras, rates)


async def nothing_is_known_after_silence(bench: Bench) -> None:
    """A6: nor is an estimate known any more that has not been repeated for long."""
    async with bench.open() as allocator:
        rates = (HIGH, LOW)
        cameras = [allocator.register_track_receiver(CAMERA, rate) for rate in rates]
        estimate = HIGH + MEDIUM - 1
        allocator.update_bandwidth_estimation(estimate)
        cameras[1].request_allocation(HIGH)
        await pass_time(allocator, estimate, 2)
        demand_same(
            "A6", "the estimate, a second after it came", allocator.estimate.value, estimate
        )
        await trio.sleep(bench.terms.silence)
        requests(cameras)  # whatever came before is not to be judged here
        await _nothing_moves(bench, allocator, cameras, rates)
        cameras.append(allocator.register_track_receiver(CAMERA, HIGH))
        await _not_knowing(bench, allocator, cameras, (*rates, HIGH))


async def _not_knowing(
    bench: Bench,
    allocator: ConnectionAllocator,
    cameras: Sequence[ReceiverHandle],
    rates: tuple[int, ...],
) -> None:
    """Only what the first camera gives up is settled, until an estimate comes that suits all."""
    await _nothing_moves(bench, allocator, cameras, rates)
    cameras[0].request_allocation(MEDIUM)
    told = [message.allocation for message in grants(cameras[0])]
    demand_same("A6", "told for a lowering", told, [MEDIUM])
    demand_same("A6", "held after a lowering", cameras[0].allocation, MEDIUM)
    cameras[0].request_allocation(rates[0])
    demand(
        total(cameras) <= sum(rates),
        "A6",
        f"a lowering and a raise later {total(cameras)} bit/s are allocated, and were {sum(rates)}",
    )
    others = [m for camera in cameras for m in unread(camera)]
    demand_same(
        "A6", "sent besides", [m for m in others if not isinstance(m, AllocationGranted)], []
    )
    allocator.update_bandwidth_estimation(ENOUGH)
    demand_same("A6", "the estimate that has come", allocator.estimate.value, ENOUGH)
    demand_same("A6", "granted", [c.allocation for c in cameras], [c.claim for c in cameras])


async def _nothing_moves(
    bench: Bench,
    allocator: ConnectionAllocator,
    cameras: Sequence[ReceiverHandle],
    rates: tuple[int, ...],
) -> None:
    """Look again and again, for longer than the pauses between probes."""
    for _ in range(20):
        demand_same("A6", "the unknown estimate", allocator.estimate.value, None)
        demand_same("A6", "held meanwhile", tuple(camera.allocation for camera in cameras), rates)
        demand_same("A6", "sent meanwhile", [m for camera in cameras for m in unread(camera)], [])
        await trio.sleep(bench.terms.probe_patience / 2)


async def zero_is_an_estimate(bench: Bench) -> None:
    """A6: an estimate of nothing is known, and acted upon."""
    for first in (0, ENOUGH):
        async with bench.open() as allocator:
            camera = allocator.register_track_receiver(CAMERA, HIGH)
            allocator.update_bandwidth_estimation(first)
            allocator.update_bandwidth_estimation(0)
            demand_same("A6", "the estimate", allocator.estimate.value, 0)
            held = f"of 0 bit/s {camera.allocation} are held, and nobody is asked"
            demand(requests([camera]), "A6", held)


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "A5": (
        nobody_disturbs_the_not_negotiable,
        a_receiver_may_cease_to_be_negotiable,
        more_comes_from_the_books,
        the_application_may_force_anybody,
    ),
    "A6": (
        nothing_is_known_before_the_first_estimate,
        nothing_is_known_after_silence,
        zero_is_an_estimate,
    ),
}
