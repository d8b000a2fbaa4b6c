"""A1 to A4: the books; A5 and A6 are in `exemptions`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product

import trio

from ...interface import ConnectionAllocator, ReceiverHandle
from ...messages import AllocationGranted, DecreaseAllocation, SendPadding
from ..bench import (
    CAMERA,
    HIGH,
    LOW,
    MEDIUM,
    MICROPHONE,
    PLAIN,
    Bench,
    obey,
    pass_time,
    requests,
    total,
    unread,
)
from ..violation import demand, demand_same
from . import exemptions
from .exemptions import ANSWERS, ENOUGH

MEGABIT = 1_000_000
ALLOWANCE_SECONDS = 10.0
"""Within so long an allowance has ended, if anybody can give (A2)."""
BATCH, PACKET, BATCH_SECONDS = 5, 50, 0.005
"""Small packets, for headers are a good part of them: how many at a time, bytes of each, how often.

Together they are less than the estimate, and so less than any probe aims at.
"""
PADDING_SLACK = 3_000
"""What rounding to packets and to a batch may make of a difference between runs, bytes (A4)."""


# --- A1: sums ----------------------------------------------------------------------------------


async def what_is_told_is_what_is_held(bench: Bench) -> None:
    """A1: after every event the handle says what was registered, or what the last grant said."""
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, LOW)
        other = allocator.register_track_receiver(CAMERA, MEDIUM)
        plain = allocator.register_track_receiver(PLAIN, 100_000)
        told = {camera: LOW, other: MEDIUM, plain: 100_000}
        events: dict[str, Callable[[], object]] = {
            "registering": lambda: None,
            "an estimate": partial(allocator.update_bandwidth_estimation, 2 * HIGH),
            "a request": partial(camera.request_allocation, HIGH),
            "one too many": partial(other.request_allocation, HIGH),
            "a raise": partial(plain.request_allocation, MEGABIT),
            "force": partial(allocator.force_allocation, camera, MEDIUM),
            "a cap": partial(other.set_options, max_bitrate=LOW),
            "room for all": partial(allocator.update_bandwidth_estimation, ENOUGH),
            "overuse": partial(allocator.update_bandwidth_estimation, MEDIUM),
            "a lowering": partial(plain.request_allocation, 12_345),
        }
        for name, event in events.items():
            event()
            _read(told)
            for receiver, said in told.items():
                demand_same("A1", f"after {name}, what is held, bit/s", receiver.allocation, said)
        demand_same("A1", "after going down, what is held, bit/s", plain.allocation, 12_345)


def _read(told: dict[ReceiverHandle, int]) -> None:
    """Read everything, and note the grants; go to the limit where that is asked for."""
    for _ in range(10):
        messages = [(receiver, message) for receiver in told for message in unread(receiver)]
        for receiver, message in messages:
            match message:
                case AllocationGranted(allocation):
                    told[receiver] = allocation
                case DecreaseAllocation(limit=limit):
                    receiver.accept_decrease(message, limit)


async def churn_leaves_no_trace(bench: Bench) -> None:
    """A1: after all have come and gone, as much can be granted as by a new allocator."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEGABIT)
        fresh = _room(allocator)
    async with bench.open() as allocator:
        for first in range(3):
            _churn(allocator, first)
        await pass_time(allocator, MEGABIT, bench.terms.calm)
        demand_same("A1", "what can be granted after all have left, bit/s", _room(allocator), fresh)


def _room(allocator: ConnectionAllocator) -> int:
    """How much is granted to one who can use any part of more than there is, bit/s."""
    with allocator.register_track_receiver(PLAIN, elastic=True) as greedy:
        greedy.request_allocation(ENOUGH)
        return greedy.allocation


def _churn(allocator: ConnectionAllocator, first: int) -> None:
    """Let some come, get more and less in every way, and leave in another order each time."""
    allocator.update_bandwidth_estimation(2 * HIGH)
    receivers = [
        allocator.register_track_receiver(CAMERA, LOW),
        allocator.register_track_receiver(CAMERA),
        allocator.register_track_receiver(CAMERA, MEDIUM, negotiable=False),
        allocator.register_track_receiver(PLAIN, 77_777.7, negotiable=True),
    ]
    for receiver in receivers:
        receiver.request_allocation(HIGH)
    allocator.force_allocation(receivers[first], 33_333.3)
    receivers[1].set_variants({"low": 200_000.5, "high": 3_000_000})
    receivers[3].set_options(max_bitrate=55_555.5)
    allocator.update_bandwidth_estimation(MEDIUM)
    for name, (receiver, request) in zip(ANSWERS, requests(receivers).items(), strict=False):
        ANSWERS[name](receiver, request)
    receivers[first].request_allocation(11_111.1)
    allocator.update_bandwidth_estimation(MEGABIT)
    for receiver in receivers[first:] + receivers[:first]:
        receiver.close()


async def rates_are_floored_once(bench: Bench) -> None:
    """A1: a rate is a whole number of bit/s, rounded down where it comes in."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(1_000_000.9)
        demand_same("A1", "an estimate of 1000000.9 bit/s", allocator.estimate.value, MEGABIT)
        ten = [allocator.register_track_receiver(PLAIN) for _ in range(10)]
        for receiver in ten:
            receiver.request_allocation(100_000.9)
            demand_same("A1", "of 100000.9 bit/s, granted", receiver.allocation, 100_000)
            demand_same("A1", "of 100000.9 bit/s, claimed", receiver.claim, 100_000)
        allocator.force_allocation(ten[0], 50_000.9)
        demand_same("A1", "left by force of 50000.9 bit/s", ten[0].allocation, 50_000)
        ten[0].request_allocation(40_000.9)
        demand_same("A1", "left by lowering to 40000.9 bit/s", ten[0].allocation, 40_000)
        ten[1].set_options(max_bitrate=30_000.9)
        demand_same("A1", "left by a cap of 30000.9 bit/s", ten[1].allocation, 30_000)
        ten.append(allocator.register_track_receiver(PLAIN, 99.9))
        demand_same("A1", "registered with 99.9 bit/s", ten[-1].allocation, 99)
        demand_same("A1", "kinds of number", {type(receiver.allocation) for receiver in ten}, {int})


# --- A2: no more than there is -----------------------------------------------------------------


@contextmanager
def _within(estimate: int, receivers: Sequence[ReceiverHandle]) -> Generator[None, None, None]:
    """Where all have one priority, more is granted only if everything fits then."""
    before = {receiver: receiver.allocation for receiver in receivers}
    yield
    raises = [r.allocation - before[r] for r in receivers if r.allocation > before[r]]
    held = total(receivers)
    complaint = f"raises of {raises} bit/s are granted, and {held} are allocated of {estimate}"
    demand(not raises or held <= estimate, "A2", complaint)


async def grants_stay_within_the_estimate(bench: Bench) -> None:
    """A2: a receiver that sends nothing still holds what was granted, however many estimates come."""
    async with bench.open() as allocator:
        cameras = [allocator.register_track_receiver(CAMERA) for _ in range(6)]
        for estimate in (MEDIUM, 2 * HIGH, 2 * HIGH, 2 * HIGH + MEDIUM):
            with _within(estimate, cameras):
                allocator.update_bandwidth_estimation(estimate)
            for claim in (LOW, MEDIUM, HIGH):
                for camera in cameras:
                    with _within(estimate, cameras):
                        camera.request_allocation(claim)
            with _within(estimate, cameras):
                obey(cameras)
                await trio.sleep(1)


async def what_is_freed_is_booked(bench: Bench) -> None:
    """A2: what is freed by leaving, by force, by a cap or by lowering is handed on just once."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEGABIT)
        there = [allocator.register_track_receiver(PLAIN, MEGABIT // 5) for _ in range(5)]
        there += [allocator.register_track_receiver(PLAIN) for _ in range(5)]
        for size, receiver in enumerate(there[5:], start=1):
            with _within(MEGABIT, there):
                receiver.request_allocation(size * 60_000)
        for event in (
            partial(there[2].request_allocation, 0),
            partial(allocator.force_allocation, there[3], 100_000),
            partial(there[4].set_options, max_bitrate=50_000),
            partial(allocator.update_bandwidth_estimation, MEGABIT),
        ):
            with _within(MEGABIT, there):
                event()
        for leaving in (there[0], there[5], there[1]):
            there.remove(leaving)
            with _within(MEGABIT, there):
                leaving.close()


async def a_newcomer_is_an_allowance(bench: Bench) -> None:
    """A2: while a newcomer holds more than there is, nobody of its priority is granted anything."""
    for negotiable in (False, True):
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(MEGABIT)
            old = allocator.register_track_receiver(CAMERA, MEDIUM, negotiable=negotiable)
            poor = allocator.register_track_receiver(PLAIN)
            new = allocator.register_track_receiver(CAMERA, MEGABIT, negotiable=negotiable)
            for event in (
                partial(poor.request_allocation, 1_000),
                partial(new.request_allocation, MEGABIT - 100_000),
                partial(allocator.update_bandwidth_estimation, MEGABIT),
                partial(allocator.force_allocation, old, MEDIUM - 10_000),
                partial(obey, (old, new)),
            ):
                with _within(MEGABIT, (old, poor, new)):
                    event()
            held = total((old, poor, new))
            complaint = f"all have complied, and {held} bit/s are allocated of {MEGABIT}"
            demand(held <= MEGABIT or not negotiable, "A2", complaint)


async def overuse_comes_to_an_end(bench: Bench) -> None:
    """A2: when the estimate falls, all fits again within ten seconds, whatever they answer."""
    for name, estimate in product(ANSWERS, (3 * MEDIUM - 1, MEDIUM)):
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(3 * MEDIUM)
            cameras = [allocator.register_track_receiver(CAMERA, MEDIUM) for _ in range(3)]
            cameras[0].request_allocation(HIGH)
            end = trio.current_time() + ALLOWANCE_SECONDS
            with _within(estimate, cameras):
                allocator.update_bandwidth_estimation(estimate)
            while total(cameras) > estimate and trio.current_time() < end:
                with _within(estimate, cameras):
                    for camera, request in requests(cameras).items():
                        ANSWERS[name](camera, request)
                    await trio.sleep(1)
                    allocator.update_bandwidth_estimation(estimate)
            held = total(cameras)
            complaint = f"long after a fall to {estimate} bit/s {held} are allocated: all {name}"
            demand(held <= estimate, "A2", complaint)


# --- A3: rates need time -----------------------------------------------------------------------


async def no_time_makes_no_rate(bench: Bench) -> None:
    """A3: packets and estimates at one instant, or microseconds apart, say nothing of a rate."""
    estimate = HIGH + MEDIUM
    for gap in (0, 1e-6):
        async with bench.open() as allocator:
            cameras = [allocator.register_track_receiver(CAMERA, rate) for rate in (MEDIUM, LOW)]
            for claims in (False, True):
                if claims:
                    for camera in cameras:
                        camera.request_allocation(HIGH)
                    await pass_time(allocator, estimate, 1)
                requests(cameras)  # whatever came before is not to be judged here
                before = [camera.allocation for camera in cameras]
                most = max(estimate, total(cameras))
                seen = f"packets and estimates {gap} s apart, of {before} bit/s"
                for size in (1_200, 0) * 5:
                    cameras[1].buffer_sent(size)
                    await trio.sleep(gap)
                    allocator.update_bandwidth_estimation(estimate)
                    demand_same("A3", f"{seen}, who is asked", requests(cameras), {})
                after = [camera.allocation for camera in cameras]
                lost = [old - new for old, new in zip(before, after, strict=True) if old > new]
                demand_same("A3", f"{seen}, taken", lost, [])
                demand(sum(after) <= most, "A3", f"{seen}, {after} are left: more than {most}")


# --- A4: what is sent --------------------------------------------------------------------------


async def what_is_sent_counts(bench: Bench) -> None:
    """A4: padding makes up for what is not sent, be it media or padding that nobody asked for."""
    quiet, _ = await _probe(bench, None)
    if not quiet:
        return  # an allocator that never probes has no use for the count
    for sender, padding in (("camera", False), ("microphone", False), ("camera", True)):
        due, sent = await _probe(bench, sender, padding=padding)
        what = f"{sent} bytes of {'padding' if padding else 'media'} that a {sender} sends"
        complaint = f"for {what} besides, {quiet - due} bytes less of padding are due"
        demand(abs(quiet - due - sent) <= PADDING_SLACK, "A4", complaint)


async def _probe(bench: Bench, sender: str | None, *, padding: bool = False) -> tuple[int, int]:
    """Let a claim wait, send all padding that is due, and let somebody send something besides.

    Returns:
        Bytes of padding that were due, and bytes that were sent besides.
    """
    due = sent = 0
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(MEDIUM + 50_000)
        camera = allocator.register_track_receiver(CAMERA, MEDIUM)
        senders = {"camera": camera, "microphone": allocator.register_track_receiver(MICROPHONE)}
        camera.request_allocation(HIGH)
        await trio.sleep(BATCH_SECONDS / 2)  # lest it be chance what comes first at a tick
        for _ in range(int(min(0.9, bench.terms.probe_patience / 2) / BATCH_SECONDS)):
            await trio.sleep(BATCH_SECONDS)
            for message in unread(camera):
                if isinstance(message, SendPadding):
                    camera.buffer_sent(message.size, padding=True)
                    due += message.size
            for _ in range(BATCH if sender else 0):
                senders[sender or "camera"].buffer_sent(PACKET, padding=padding)
                sent += PACKET
    return due, sent


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "A1": (what_is_told_is_what_is_held, churn_leaves_no_trace, rates_are_floored_once),
    "A2": (
        grants_stay_within_the_estimate,
        what_is_freed_is_booked,
        a_newcomer_is_an_allowance,
        overuse_comes_to_an_end,
        exemptions.only_a_minimum_outlives_overuse,
    ),
    "A3": (no_time_makes_no_rate,),
    "A4": (what_is_sent_counts,),
    **exemptions.CHECKS,
}
