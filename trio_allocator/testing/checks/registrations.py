"""L2: a registration lives as long as its block."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import outcome
import trio

from ...interface import ReceiverHandle
from ...messages import (
    AllocationGranted,
    AllocatorMessage,
    DecreaseAllocation,
    RejectDecrease,
    RequestAllocation,
    SendPadding,
)
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

PATIENCE = 1.0
"""A receiver that has to be told at once, and was not after this time in virtual s, never will be."""


def _operations(
    receiver: ReceiverHandle, request: DecreaseAllocation | None
) -> dict[str, Callable[[], object]]:
    """All that can be called on a receiver, by name; its answers if it was asked."""
    operations: dict[str, Callable[[], object]] = {
        "buffer_sent": lambda: receiver.buffer_sent(1_200),
        "buffer_sent of padding": lambda: receiver.buffer_sent(255, padding=True),
        "request_allocation": lambda: receiver.request_allocation(LOW),
        "set_negotiability_status": lambda: receiver.set_negotiability_status(True),
        "set_options": lambda: receiver.set_options(priority=3),
        "set_variants": lambda: receiver.set_variants(LADDER),
        "receive_nowait": receiver.receive_nowait,
        "send_nowait": lambda: receiver.send_nowait(RequestAllocation(LOW)),
    }
    if request is not None and request.receiver_id == receiver.id:
        answer = RejectDecrease(request.request_id, request.receiver_id)
        operations["accept_decrease"] = lambda: receiver.accept_decrease(request, request.limit)
        operations["reject_decrease"] = lambda: receiver.reject_decrease(request)
        operations["send_nowait of an answer"] = lambda: receiver.send_nowait(answer)
    return operations


async def demand_ended(
    receiver: ReceiverHandle, request: DecreaseAllocation | None, invariant: str, when: str
) -> None:
    """Insist that a receiver refuses all operations, and that reading it comes to its end."""
    for name, operation in _operations(receiver, request).items():
        demand_closed(outcome.capture(operation), invariant, f"{name} {when}")
    with trio.move_on_after(PATIENCE):
        demand_closed(await outcome.acapture(receiver.receive), invariant, f"receive {when}")
    messages: list[AllocatorMessage] | None = None
    with trio.move_on_after(PATIENCE):
        messages = [message async for message in receiver]
    complaint = f"iterating {when} gave {messages!r}, and should just end"
    demand(messages == [], invariant, complaint)
    receiver.close()


def demand_closed(result: outcome.Outcome[object], invariant: str, what: str) -> None:
    """Insist that what was called has raised `trio.ClosedResourceError`."""
    closed = isinstance(result, outcome.Error) and isinstance(
        result.error, trio.ClosedResourceError
    )
    demand(closed, invariant, f"{what} gave {result!r}, not a trio.ClosedResourceError")


async def _close(receiver: ReceiverHandle) -> None:
    receiver.close()


async def _close_asynchronously(receiver: ReceiverHandle) -> None:
    await receiver.aclose()


async def _leave_block(receiver: ReceiverHandle) -> None:
    with receiver:
        pass


async def _fail_in_block(receiver: ReceiverHandle) -> None:
    with contextlib.suppress(KeyError), receiver:
        raise KeyError("of the receiver's own")


async def _cancel_in_block(receiver: ReceiverHandle) -> None:
    unread(receiver)
    with trio.move_on_after(0.001), receiver:
        await receiver.receive()


LEAVINGS = (_close, _close_asynchronously, _leave_block, _fail_in_block, _cancel_in_block)


async def what_a_leaver_held_is_granted_at_once(bench: Bench) -> None:
    """L2: however a receiver leaves, those that wait get what it held, and once only."""
    for leave in LEAVINGS:
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(10 * LOW)
            stays = allocator.register_track_receiver(PLAIN, LOW)
            leaver = allocator.register_track_receiver(PLAIN, 8 * LOW)
            waiting = [allocator.register_track_receiver(PLAIN) for _ in range(2)]
            for receiver in waiting:
                receiver.request_allocation(5 * LOW)
            await leave(leaver)
            held = sorted(receiver.allocation for receiver in waiting)
            after = f"after {leave.__name__}, of {10 * LOW} bit/s {stays.allocation} and {held}"
            demand(held[-1] == 5 * LOW, "L2", f"what was freed was not granted: {after} are held")
            told = [grant.allocation for receiver in waiting for grant in grants(receiver)]
            demand(set(told) == set(held) - {0}, "L2", f"{told} were told: {after} are held")
            await demand_ended(leaver, None, "L2", "of a receiver that has left")
            forced = outcome.capture(allocator.force_allocation, leaver, 0)
            demand_closed(forced, "L2", "force_allocation of a receiver that has left")
            allocator.update_bandwidth_estimation(10 * LOW)
            again = sorted(receiver.allocation for receiver in waiting)
            demand(again == held, "L2", f"leaving twice frees more: {again} are held then, {after}")
            demand(stays.allocation == LOW, "L2", f"another receiver was touched: {after} are held")


async def a_request_leaves_with_its_receiver(bench: Bench) -> None:
    """L2: what a receiver that was asked would have given counts no more: it gave everything."""
    async with bench.open() as allocator:
        leaver = allocator.register_track_receiver(CAMERA, HIGH)
        waiting = allocator.register_track_receiver(CAMERA, priority=1)
        allocator.update_bandwidth_estimation(HIGH)
        waiting.request_allocation(HIGH)
        leaver.close()
        held = f"{waiting.allocation} bit/s are granted, all {HIGH} are free"
        demand(waiting.allocation == HIGH, "L2", f"who was asked to make room has left: {held}")
        await pass_time(allocator, HIGH, 3 * bench.terms.negotiation_timeout)
        demand(waiting.allocation == HIGH, "L2", f"after the leaver's deadline {held}")
    async with bench.open() as allocator:
        leaver, other = (allocator.register_track_receiver(CAMERA, HIGH) for _ in range(2))
        allocator.update_bandwidth_estimation(MEDIUM)
        asked = requests([leaver, other])
        if len(asked) == 2:
            other.reject_decrease(asked[other])
            leaver.close()
            held = f"{other.allocation} bit/s are held of {MEDIUM}"
            demand(other.allocation <= MEDIUM, "L2", f"nobody is left to ask, and {held}")


async def its_messages_die_with_it(bench: Bench) -> None:
    """L2: what a receiver had not read when it left is never read."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(2 * HIGH)
        granted = allocator.register_track_receiver(CAMERA)
        granted.request_allocation(HIGH)
        asked = allocator.register_track_receiver(CAMERA, HIGH)
        allocator.update_bandwidth_estimation(LOW)
        for receiver in (granted, asked):
            receiver.close()
            await demand_ended(receiver, None, "L2", "of a receiver that left with messages unread")


async def an_answer_dies_with_it(bench: Bench) -> None:
    """L2: a receiver that has left cannot answer any more, and disturbs nobody by trying."""
    async with bench.open() as allocator:
        asked = allocator.register_track_receiver(CAMERA, HIGH)
        stays = allocator.register_track_receiver(PLAIN, LOW)
        allocator.update_bandwidth_estimation(HIGH)
        request = requests([asked]).get(asked)
        asked.close()
        await demand_ended(asked, request, "L2", "of a receiver that left while it was asked")
        stays.request_allocation(MEDIUM)
        held = f"{stays.allocation} bit/s are granted to who stays and wants {MEDIUM} of {HIGH}"
        demand(stays.allocation == MEDIUM, "L2", held)


async def the_padding_rotation_forgets_it(bench: Bench) -> None:
    """L2: who stays is given as much padding as if those who left had never been there."""
    alone, among_leavers = [await _padding_given(bench, leavers) for leavers in (0, 9)]
    demand(
        2 * among_leavers >= alone,
        "L2",
        f"{alone} bytes of padding are given alone, {among_leavers} after nine others have left",
    )


async def _padding_given(bench: Bench, leavers: int) -> int:
    """Bytes of padding that one receiver is given after others have come and gone."""
    size = 0
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEDIUM)
        stays = allocator.register_track_receiver(CAMERA, MEDIUM)  # a raise would put off probes
        others = [allocator.register_track_receiver(CAMERA) for _ in range(leavers)]
        stays.request_allocation(HIGH)
        await trio.sleep(0.1)
        for receiver in others:
            receiver.close()
        for _ in range(25):
            await trio.sleep(0.02)
            for message in unread(stays):
                if isinstance(message, SendPadding):
                    size += message.size
                    stays.buffer_sent(message.size, padding=True)
    return size


async def a_cancelled_reader_is_no_leaver(bench: Bench) -> None:
    """L2: a registration lives as long as its block, whatever becomes of those who read it."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(HIGH)
        receiver = allocator.register_track_receiver(PLAIN, LOW)
        with trio.CancelScope() as scope:
            scope.cancel()
            await receiver.receive()
        with trio.move_on_after(0.001):
            await receiver.receive()
        receiver.request_allocation(MEDIUM)
        result: outcome.Outcome[AllocatorMessage] | None = None
        with trio.move_on_after(PATIENCE):
            result = await outcome.acapture(receiver.receive)
        told = isinstance(result, outcome.Value) and isinstance(result.value, AllocationGranted)
        demand(told, "L2", f"the next reader after one that was cancelled got {result!r}")


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "L2": (
        what_a_leaver_held_is_granted_at_once,
        a_request_leaves_with_its_receiver,
        its_messages_die_with_it,
        an_answer_dies_with_it,
        the_padding_rotation_forgets_it,
        a_cancelled_reader_is_no_leaver,
    ),
}
