"""G8 and G9: who waits how long, for its turn or because a raise is held back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from ...interface import ConnectionAllocator, ReceiverHandle
from ...messages import GrantReason
from ..bench import (
    CAMERA,
    HIGH,
    LADDER,
    LOW,
    MEDIUM,
    PLAIN,
    Bench,
    grants,
    obey,
    pass_time,
    requests,
    total,
)
from ..violation import demand

# --- G8 ------------------------------------------------------------------------------------------


async def minimums_come_first(bench: Bench) -> None:
    """G8: nobody of a class has more than a minimum while another lacks it."""
    for track, asked, minimum in ((CAMERA, 0, LOW), (CAMERA, LOW + 1, MEDIUM), (PLAIN, LOW, LOW)):
        for estimate in (2 * LOW, 3 * LOW, 3 * LOW + MEDIUM, 3 * MEDIUM, HIGH, HIGH + MEDIUM):
            for known in (False, True):
                async with bench.open() as allocator:
                    if known:
                        allocator.update_bandwidth_estimation(estimate)
                    cast = [
                        allocator.register_track_receiver(track, negotiable=True, min_bitrate=asked)
                        for _ in range(3)
                    ]
                    for receiver in cast:
                        receiver.request_allocation(HIGH)
                        obey(cast, "G8")
                    allocator.update_bandwidth_estimation(estimate)
                    obey(cast, "G8")
                    held = [receiver.allocation for receiver in cast]
                    demand(
                        min(held) >= minimum or max(held) <= minimum,
                        "G8",
                        f"allocations are {held} at an estimate of {estimate} bit/s: one has more "
                        f"than the minimum of {minimum}, another less",
                    )


async def low_steps_come_first(bench: Bench) -> None:
    """G8: of two who both wait, the one that waits for the lower step has it first."""
    for later in (False, True):
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(LOW + MEDIUM)
            high = allocator.register_track_receiver(CAMERA, MEDIUM)
            low = allocator.register_track_receiver(CAMERA, LOW)
            for receiver in (high, low) if later else (low, high):
                receiver.request_allocation(HIGH)
                await pass_time(allocator, LOW + MEDIUM, 1.0)
            # There is room for one step: from LOW to MEDIUM, or from MEDIUM to HIGH.
            allocator.update_bandwidth_estimation(LOW + HIGH)
            demand(
                low.allocation >= MEDIUM,
                "G8",
                f"with room for one step, one receiver goes from {MEDIUM} to {high.allocation} "
                f"bit/s, while another, which has {low.allocation}, waits for a lower step",
            )


async def who_waits_longest_is_first(bench: Bench) -> None:
    """G8: of equal claims the one that was there first is served first."""
    for backward in (False, True):
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(0)
            waiting = [allocator.register_track_receiver(PLAIN) for _ in range(3)]
            if backward:
                waiting.reverse()
            for receiver in waiting:
                receiver.request_allocation(MEDIUM)
                await pass_time(allocator, 0, 1.0)
            for room in range(1, 4):
                allocator.update_bandwidth_estimation(room * MEDIUM)
                held = [receiver.allocation for receiver in waiting]
                demand(
                    held == sorted(held, reverse=True),
                    "G8",
                    f"equal claims, those that wait longest first, hold {held} bit/s of "
                    f"{room * MEDIUM}",
                )


_THERE, _SMALL, _BIG = 1_000_000, 450_000, 900_000
_ROUNDS = 20
"""After this many rounds in which two small claims took turns, the receiver that they passed is not served."""
_LONGEST_HOLD = 5.0


def _overtaking(
    allocator: ConnectionAllocator,
) -> tuple[ReceiverHandle, ReceiverHandle, ReceiverHandle]:
    """Two small receivers hold all that there is, and one waits that needs almost all of it."""
    allocator.update_bandwidth_estimation(_THERE)
    small = [allocator.register_track_receiver(PLAIN, negotiable=False) for _ in range(2)]
    for receiver in small:
        receiver.request_allocation(_SMALL)
    big = allocator.register_track_receiver(PLAIN, negotiable=False)
    big.request_allocation(_BIG)
    return small[0], small[1], big


async def nobody_is_passed_for_ever(bench: Bench) -> None:
    """G8: a big claim is served, though small ones come and go and always fit."""
    async with bench.open() as allocator:
        *small, big = _overtaking(allocator)
        for _ in range(_ROUNDS):
            for receiver in small:
                receiver.request_allocation(0)
                receiver.request_allocation(_SMALL)
                await pass_time(allocator, _THERE, 0.2)
            if big.allocation == _BIG:
                break
        demand(
            big.allocation == _BIG,
            "G8",
            f"a claim of {_BIG} bit/s holds {big.allocation} after {_ROUNDS} rounds, in which two "
            f"of {_SMALL} came and went and fitted each time",
        )


async def a_turn_that_is_held_has_an_end(bench: Bench) -> None:
    """G8: what becomes free is held for five seconds at most, once, or until it is let go."""
    for let_go in ("waits", "claims nothing", "leaves"):
        async with bench.open() as allocator:
            mover, stayer, big = _overtaking(allocator)
            for _ in range(6):
                await pass_time(allocator, _THERE, 0.1)
                mover.request_allocation(0)
                mover.request_allocation(_SMALL)
            if let_go == "claims nothing":
                big.request_allocation(0)
            elif let_go == "leaves":
                big.close()
            else:
                await pass_time(allocator, _THERE, _LONGEST_HOLD + 0.1)
            demand(
                mover.allocation == _SMALL,
                "G8",
                f"a claim of {_SMALL} bit/s holds {mover.allocation}, where "
                f"{_THERE - total([stayer, mover])} are free; who was passed {let_go}",
            )
            mover.request_allocation(0)
            mover.request_allocation(_SMALL)
            demand(
                mover.allocation == _SMALL,
                "G8",
                f"what becomes free is held once more, right after that, and a claim of {_SMALL} "
                f"bit/s holds {mover.allocation}; who was passed {let_go}",
            )


# --- G9 ------------------------------------------------------------------------------------------

MOST_CHANGES = 48
"""So many changes of allocations may an estimate bring about that swings by two per cent for two
minutes: as many as one receiver makes that goes up whenever a hold of five seconds is over, and
down at once. That is generous. Two receivers without any hysteresis make more than a hundred, and
nearly as many if only the one that was lowered is held: its neighbour takes its place.
"""
SWING = (1.02, 0.98)
"""Two per cent up, two per cent down: the least steady noise of its size."""


async def what_is_sent_decides_nothing(bench: Bench) -> None:
    """G9: raise or lower is judged against the allocation, however much or little is sent."""
    for share in (0.0, 0.1, 6.0):
        outcomes = [await _raise_and_lower(bench, sent) for sent in (1.0, share)]
        demand(
            outcomes[0] == outcomes[1],
            "G9",
            f"sending {share} times the {MEDIUM} bit/s held, requests for {HIGH}, {HIGH} with room "
            f"for it, {MEDIUM} and {LOW} bit/s lead to {outcomes[1]}; sending all of it, "
            f"to {outcomes[0]}",
        )


async def _raise_and_lower(
    bench: Bench, share: float
) -> list[tuple[int, list[tuple[int, GrantReason]]]]:
    """What a receiver holds, and is told, that sends a share of its allocation of MEDIUM."""
    outcome: list[tuple[int, list[tuple[int, GrantReason]]]] = []
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, MEDIUM, negotiable=False)
        allocator.update_bandwidth_estimation(MEDIUM)
        for _ in range(30):
            await pass_time(allocator, MEDIUM, 0.1)
            for _ in range(5):
                camera.buffer_sent(MEDIUM * share / 8 / 10 / 5)
        allocator.update_bandwidth_estimation(MEDIUM)
        for room, claim in ((0, HIGH), (10 * HIGH, HIGH), (HIGH, MEDIUM), (0, LOW)):
            if room:  # much of it: what is sent beyond the allocation may count as used
                allocator.update_bandwidth_estimation(room)
            camera.request_allocation(claim)
            told = [(grant.allocation, grant.reason) for grant in grants(camera)]
            outcome.append((camera.allocation, told))
    return outcome


async def force_keeps_the_claim(bench: Bench) -> None:
    """G9: what was claimed stays claimed after force; a receiver that lowers itself claims that."""
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(HIGH)
        camera = allocator.register_track_receiver(CAMERA)
        camera.request_allocation(HIGH)
        allocator.force_allocation(camera, MEDIUM)
        _demand_claim(camera, HIGH, f"it was forced down to {MEDIUM}")
        demand(
            camera.allocation == MEDIUM,
            "G9",
            f"forced to hold {MEDIUM} at most, a receiver holds {camera.allocation} bit/s",
        )
        camera.request_allocation(LOW)
        _demand_claim(camera, LOW, f"it lowered itself to {LOW}")
        demand(
            camera.allocation == LOW,
            "G9",
            f"asking for {LOW}, less than {MEDIUM}, a receiver holds {camera.allocation} bit/s",
        )
        await pass_time(allocator, 2 * HIGH, bench.terms.calm)
        demand(
            camera.allocation == LOW,
            "G9",
            f"a receiver that lowered itself to {LOW} bit/s is raised to {camera.allocation}",
        )
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, HIGH)
        allocator.update_bandwidth_estimation(MEDIUM)
        for request in requests([camera]).values():
            camera.accept_decrease(request, LOW)
            _demand_claim(camera, LOW, f"it was asked to decrease, and went to {LOW}")


def _demand_claim(receiver: ReceiverHandle, claim: int, why: str) -> None:
    demand(receiver.claim == claim, "G9", f"a receiver claims {receiver.claim} bit/s: {why}")


async def noise_moves_little(bench: Bench) -> None:
    """G9: after a lowering an estimate that swings by two per cent soon moves nothing."""
    # Of low rates, for they are probed for in fewer ticks, and this takes two minutes.
    track = CAMERA.with_variants({name: rate / 10 for name, rate in LADDER.items()})
    high, medium = track.allocation("high"), track.allocation("medium")
    needed = high + medium
    async with bench.open() as allocator:
        allocator.update_bandwidth_estimation(needed)
        cameras = [allocator.register_track_receiver(track) for _ in range(2)]
        for camera in cameras:
            camera.request_allocation(high)
            obey(cameras)
        changes = 0
        held = [camera.allocation for camera in cameras]
        for second in range(120):
            for camera in cameras:
                camera.request_allocation(high)  # who gave way goes on claiming it
            await trio.sleep(1.0)
            allocator.update_bandwidth_estimation(needed * SWING[second % 2])
            obey(cameras)
            now = [camera.allocation for camera in cameras]
            changes += sum(one != other for one, other in zip(held, now, strict=True))
            held = now
        demand(
            changes <= MOST_CHANGES,
            "G9",
            f"an estimate of {needed} bit/s ± 2 % has changed allocations {changes} times in two "
            f"minutes, where {MOST_CHANGES} are many",
        )


async def no_raise_is_kept_back_for_ever(bench: Bench) -> None:
    """G9: a lowered receiver has its claim when the estimate was steady for long enough."""
    for willing in (True, False):
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(HIGH)
            camera = allocator.register_track_receiver(CAMERA, can_pad=False)
            camera.request_allocation(HIGH)
            await pass_time(allocator, HIGH, 1.0)
            allocator.update_bandwidth_estimation(MEDIUM)
            for request in requests([camera]).values():
                if willing:
                    camera.accept_decrease(request, request.limit)
                else:
                    camera.reject_decrease(request)
            await pass_time(allocator, MEDIUM, bench.terms.negotiation_timeout + 1.0)
            camera.request_allocation(HIGH)
            await pass_time(allocator, HIGH + MEDIUM, bench.terms.calm)
            demand(
                camera.allocation == HIGH,
                "G9",
                f"a receiver that {'gave way' if willing else 'was forced'} holds "
                f"{camera.allocation} bit/s and claims {camera.claim} when {HIGH + MEDIUM} were there "
                f"for {bench.terms.calm} s",
            )


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "G8": (
        minimums_come_first,
        low_steps_come_first,
        who_waits_longest_is_first,
        nobody_is_passed_for_ever,
        a_turn_that_is_held_has_an_end,
    ),
    "G9": (
        what_is_sent_decides_nothing,
        force_keeps_the_claim,
        noise_moves_little,
        no_raise_is_kept_back_for_ever,
    ),
}
