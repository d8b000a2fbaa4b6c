"""G1 to G3: what is granted when, and how it is told; with what decides who is granted it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio
import trio.testing

from ...interface import ConnectionAllocator, ReceiverHandle
from ...messages import AllocationGranted, AllocatorMessage, DecreaseAllocation, GrantReason
from ..bench import (
    CAMERA,
    HIGH,
    LADDER,
    LOW,
    MEDIUM,
    PLAIN,
    Bench,
    grants,
    pass_time,
    requests,
    unread,
)
from ..violation import demand
from . import fairness, waiting

# --- G1 ------------------------------------------------------------------------------------------


async def every_change_is_told_once(bench: Bench) -> None:
    """G1: a receiver is told, once and why, if it holds something else after an event; nobody else is."""
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, LOW, negotiable=False)
        plain = allocator.register_track_receiver(PLAIN, MEDIUM, negotiable=False)
        held = {camera: camera.allocation, plain: plain.allocation}
        estimate = allocator.update_bandwidth_estimation
        lowered, forced = GrantReason.LOWERED, GrantReason.FORCED
        events: tuple[tuple[str, Callable[[], None], GrantReason], ...] = (
            ("the first estimate", lambda: estimate(MEDIUM + LOW), lowered),
            ("a claim of another", lambda: camera.request_allocation(HIGH), lowered),
            ("room for its claim", lambda: estimate(MEDIUM + HIGH), lowered),
            ("its lowering", lambda: camera.request_allocation(LOW), lowered),
            ("the same claim again", lambda: camera.request_allocation(LOW), lowered),
            ("a request for more", lambda: plain.request_allocation(HIGH), lowered),
            ("force", lambda: allocator.force_allocation(plain, MEDIUM), forced),
            ("force that takes nothing", lambda: allocator.force_allocation(camera, HIGH), forced),
            ("a request, after force", lambda: camera.request_allocation(MEDIUM), lowered),
            ("another ladder", lambda: camera.set_variants({"low": LADDER["low"]}), lowered),
        )
        for event, happen, lowering in events:
            happen()
            for receiver in (camera, plain):
                _demand_told_once(receiver, held[receiver], event, lowering)
                held[receiver] = receiver.allocation


def _demand_told_once(
    receiver: ReceiverHandle, before: int, event: str, lowering: GrantReason
) -> None:
    now = receiver.allocation
    reason = GrantReason.GRANTED if now > before else lowering
    due = [] if now == before else [AllocationGranted(now, reason, receiver.id)]
    told = grants(receiver)
    demand(
        told == due,
        "G1",
        f"after {event} a receiver holds {now} bit/s, {before} before: it is told {told}, not {due}",
    )


async def a_lowering_agreed_on_is_told_once(bench: Bench) -> None:
    """G1: a receiver that goes down when asked is told so, in one act or in two."""
    for at_once in (True, False):
        async with bench.open() as allocator:
            camera = allocator.register_track_receiver(CAMERA, HIGH)
            allocator.update_bandwidth_estimation(MEDIUM)
            for request in requests([camera]).values():
                before = camera.allocation
                if at_once:
                    camera.accept_decrease(request, request.limit)
                else:
                    camera.accept_decrease(request)
                    told = grants(camera)
                    demand(not told, "G1", f"a promise alone is answered by {told}")
                    camera.request_allocation(request.limit)
                _demand_told_once(camera, before, "accepting a decrease", GrantReason.LOWERED)


async def the_newest_grant_is_the_one_to_read(bench: Bench) -> None:
    """G1: a grant takes the place of one not read yet."""
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA)
        allocator.update_bandwidth_estimation(2 * HIGH)
        for claim in (LOW, HIGH, MEDIUM):
            camera.request_allocation(claim)
        told = [grant.allocation for grant in grants(camera)]
        demand(
            told == [camera.allocation],
            "G1",
            f"the unread grants of a receiver that holds {camera.allocation} bit/s, after claims "
            f"of {LOW}, {HIGH} and {MEDIUM}, are {told}",
        )


async def a_reader_sees_every_change(bench: Bench) -> None:
    """G1: a receiver that reads all the time gets every grant, one by one and in order."""
    heard: list[AllocatorMessage] = []

    async def read(camera: ReceiverHandle) -> None:
        while True:
            heard.append(await camera.receive())

    async with bench.open() as allocator, trio.open_nursery() as nursery:
        camera = allocator.register_track_receiver(CAMERA)
        allocator.update_bandwidth_estimation(2 * HIGH)
        nursery.start_soon(read, camera)
        held = [camera.allocation]
        for claim in (LOW, HIGH, HIGH, MEDIUM, HIGH, LOW):
            await trio.testing.wait_all_tasks_blocked()
            camera.request_allocation(claim)
            if camera.allocation != held[-1]:
                held.append(camera.allocation)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    seen = [grant.allocation for grant in heard if isinstance(grant, AllocationGranted)]
    demand(seen == held[1:], "G1", f"allocations were {held}, and the grants that were read {seen}")


# --- G2 ------------------------------------------------------------------------------------------


def _crowded(allocator: ConnectionAllocator) -> tuple[ReceiverHandle, ReceiverHandle]:
    """One receiver holds all that there is, HIGH; another waits for MEDIUM of any rate."""
    allocator.update_bandwidth_estimation(HIGH)
    holder = allocator.register_track_receiver(CAMERA, negotiable=False)
    holder.request_allocation(HIGH)
    waiter = allocator.register_track_receiver(PLAIN, negotiable=False)
    waiter.request_allocation(MEDIUM)
    return holder, waiter


_MakesRoom = Callable[[ConnectionAllocator, ReceiverHandle, ReceiverHandle], None]
_MAKES_ROOM: dict[str, _MakesRoom] = {
    "a larger estimate": lambda allocator, _holder, _waiter: allocator.update_bandwidth_estimation(
        HIGH + MEDIUM
    ),
    "a leaving": lambda _allocator, holder, _waiter: holder.close(),
    "a lowering": lambda _allocator, holder, _waiter: holder.request_allocation(LOW),
    "force": lambda allocator, holder, _waiter: allocator.force_allocation(holder, LOW),
    "a cap": lambda _allocator, holder, _waiter: holder.set_options(max_bitrate=LOW),
}


async def what_becomes_free_is_granted(bench: Bench) -> None:
    """G2: whatever makes room, a claim that waits and fits is granted when that call returns."""
    for event, make_room in _MAKES_ROOM.items():
        async with bench.open() as allocator:
            holder, waiter = _crowded(allocator)
            make_room(allocator, holder, waiter)
            _demand_holds(waiter, MEDIUM, f"{event} made room for it")
    async with bench.open() as allocator:
        early = allocator.register_track_receiver(PLAIN, negotiable=False)
        early.request_allocation(MEDIUM)
        allocator.update_bandwidth_estimation(MEDIUM)
        _demand_holds(early, MEDIUM, "the first estimate made room for it")
    for separately in (False, True):
        async with bench.open() as allocator:
            camera = allocator.register_track_receiver(CAMERA, HIGH)
            allocator.update_bandwidth_estimation(HIGH)
            first = allocator.register_track_receiver(PLAIN, priority=1, negotiable=False)
            first.request_allocation(MEDIUM)
            for request in requests([camera]).values():
                if separately:
                    camera.accept_decrease(request)
                    camera.request_allocation(LOW)
                else:
                    camera.accept_decrease(request, LOW)
                _demand_holds(first, MEDIUM, "a lower class gave way")


def _demand_holds(receiver: ReceiverHandle, least: int, why: str) -> None:
    held = receiver.allocation
    demand(
        held >= least,
        "G2",
        f"a receiver holds {held} bit/s where {least} would fit: it claims {receiver.claim}, and {why}",
    )


async def a_claim_that_comes_to_fit_is_granted(bench: Bench) -> None:
    """G2: whatever makes a claim fit, it is granted when that call returns."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(HIGH)
        capped = allocator.register_track_receiver(CAMERA, max_bitrate=LOW)
        capped.request_allocation(HIGH)
        _demand_holds(capped, LOW, f"its cap is {LOW}")
        capped.set_options(max_bitrate=MEDIUM)
        _demand_holds(capped, MEDIUM, f"its cap is {MEDIUM} now")
        capped.set_options(max_bitrate=None)
        _demand_holds(capped, HIGH, "its cap is gone")
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(HIGH - 1)
        camera = allocator.register_track_receiver(CAMERA.with_variants({"only": LADDER["high"]}))
        camera.request_allocation(HIGH)
        camera.set_variants(LADDER)
        _demand_holds(camera, MEDIUM, "its ladder has that step now")
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEDIUM)
        plain = allocator.register_track_receiver(PLAIN)
        plain.request_allocation(HIGH)
        plain.set_options(elastic=True)
        _demand_holds(plain, MEDIUM, "part of it is of use now")
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEDIUM)
        plain = allocator.register_track_receiver(PLAIN)
        plain.request_allocation(HIGH)
        plain.request_allocation(MEDIUM)
        _demand_holds(plain, MEDIUM, "it claims less now")


async def nobody_is_kept_back_by_what_does_not_fit(bench: Bench) -> None:
    """G2: a claim that fits is granted, though one that comes before it does not."""
    for priority in (0, 1):
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(MEDIUM)
            big = allocator.register_track_receiver(PLAIN, priority=priority)
            big.request_allocation(HIGH)
            await pass_time(allocator, MEDIUM, 1.0)
            small = allocator.register_track_receiver(PLAIN)
            small.request_allocation(MEDIUM)
            _demand_holds(small, MEDIUM, f"{HIGH} for another, who comes first, does not fit")
    async with bench.open() as allocator:
        cameras = [allocator.register_track_receiver(CAMERA) for _ in range(3)]
        for camera in cameras:
            camera.request_allocation(HIGH)
        allocator.update_bandwidth_estimation(2 * LOW + MEDIUM - 1)
        free = 2 * LOW + MEDIUM - 1 - sum(camera.allocation for camera in cameras)
        for camera in cameras:
            _demand_holds(camera, LOW, f"{free} are free")


# --- G3 ------------------------------------------------------------------------------------------


def _repeatable(
    allocator: ConnectionAllocator, camera: ReceiverHandle, waiter: ReceiverHandle
) -> tuple[tuple[str, Callable[[], None]], ...]:
    return (
        ("an estimate", lambda: allocator.update_bandwidth_estimation(MEDIUM)),
        ("a request", lambda: waiter.request_allocation(HIGH)),
        ("an option", lambda: waiter.set_options(max_bitrate=2 * HIGH)),
        ("a weight", lambda: camera.set_options(weight=2.0)),
        ("a ladder", lambda: camera.set_variants({**LADDER, "top": 2 * LADDER["high"]})),
        ("a negotiability", lambda: camera.set_negotiability_status(True)),
        ("force", lambda: allocator.force_allocation(camera, MEDIUM)),
    )


async def the_same_again_changes_nothing(bench: Bench) -> None:
    """G3: an event that is repeated at once, or when all is settled, has no effect."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(HIGH)
        camera = allocator.register_track_receiver(CAMERA, HIGH)
        waiter = allocator.register_track_receiver(PLAIN, negotiable=False)
        everybody = (camera, waiter)
        for event, happen in _repeatable(allocator, camera, waiter):
            happen()
            for receiver in everybody:
                unread(receiver)  # a request to decrease stays open, and is not sent again
            _demand_silence(everybody, happen, f"{event} was repeated at once")
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, LOW)
        waiter = allocator.register_track_receiver(PLAIN, negotiable=False)
        everybody = (camera, waiter)
        for _, happen in _repeatable(allocator, camera, waiter):
            happen()
        for receiver in everybody:
            unread(receiver)
        for event, happen in _repeatable(allocator, camera, waiter):
            await pass_time(allocator, MEDIUM, 2.0)
            _demand_silence(everybody, happen, f"{event} was repeated two seconds later")


async def asking_for_what_is_held_calls_off_a_raise(bench: Bench) -> None:
    """G3: asking for what is held is answered if it called off a raise, and only then."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEDIUM)
        camera = allocator.register_track_receiver(CAMERA, LOW, negotiable=False)
        held = camera.allocation
        _demand_silence([camera], lambda: camera.request_allocation(held), "it holds that already")
        camera.request_allocation(HIGH)
        unread(camera)
        waits = camera.claim > camera.allocation
        held = camera.allocation
        camera.request_allocation(held)
        told = grants(camera)
        demand(
            len(told) == waits and camera.claim == held,
            "G3",
            f"asking for the {held} bit/s held {'while' if waits else 'without'} waiting for more "
            f"is answered by {told}, and the claim is {camera.claim}",
        )
        _demand_silence([camera], lambda: camera.request_allocation(held), "it did so before")
        larger = 2 * HIGH
        _demand_silence(
            [camera],
            lambda: allocator.update_bandwidth_estimation(larger),
            f"the raise was called off before an estimate of {larger}",
        )


def _spoken(receiver: ReceiverHandle) -> list[AllocationGranted | DecreaseAllocation]:
    return [
        message
        for message in unread(receiver)
        if isinstance(message, AllocationGranted | DecreaseAllocation)
    ]


def _demand_silence(
    receivers: Sequence[ReceiverHandle], happen: Callable[[], None], why: str
) -> None:
    before = [(receiver.allocation, receiver.claim) for receiver in receivers]
    happen()
    after = [(receiver.allocation, receiver.claim) for receiver in receivers]
    demand(before == after, "G3", f"allocations and claims {before} became {after}: {why}")
    for receiver in receivers:
        told = _spoken(receiver)
        demand(not told, "G3", f"{told}, where nothing has changed: {why}")


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "G1": (
        every_change_is_told_once,
        a_lowering_agreed_on_is_told_once,
        the_newest_grant_is_the_one_to_read,
        a_reader_sees_every_change,
    ),
    "G2": (
        what_becomes_free_is_granted,
        a_claim_that_comes_to_fit_is_granted,
        nobody_is_kept_back_by_what_does_not_fit,
    ),
    "G3": (the_same_again_changes_nothing, asking_for_what_is_held_calls_off_a_raise),
    **fairness.CHECKS,
    **waiting.CHECKS,
}
