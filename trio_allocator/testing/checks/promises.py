"""N4, N5, N6 and N8: promises, refusals, and the end of every negotiation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import trio
import trio.testing

from ...interface import ConnectionAllocator, ReceiverHandle
from ...messages import AllocationGranted, AllocatorMessage, DecreaseAllocation, GrantReason
from ..bench import (
    CAMERA,
    HIGH,
    LOW,
    MEDIUM,
    MICROPHONE,
    PLAIN,
    Bench,
    grants,
    pass_time,
    requests,
    total,
    unread,
)
from ..violation import InvariantError, demand

Answer: TypeAlias = Callable[[ReceiverHandle, DecreaseAllocation], bool]
"""How a receiver answers when it is asked to decrease; returns whether the answer counted."""

MOST_ROUNDS = 100
"""So often nobody has to be asked for one need."""

LONGEST_BACKOFF = 60.0
"""Refusals that are in force for longer are not waited for, s."""


def give_all(receiver: ReceiverHandle, request: DecreaseAllocation) -> bool:
    """Accept, and go to the limit."""
    return receiver.accept_decrease(request, request.limit)


def give_a_step(receiver: ReceiverHandle, request: DecreaseAllocation) -> bool:
    """Accept, and go down by one step of the ladder."""
    below = [step for step in receiver.track.steps if step < receiver.allocation]
    return receiver.accept_decrease(request, max(below, default=0))


def give_a_bit(receiver: ReceiverHandle, request: DecreaseAllocation) -> bool:
    """Accept, and give as little as one can."""
    return receiver.accept_decrease(request, receiver.allocation - 1)


def promise(receiver: ReceiverHandle, request: DecreaseAllocation) -> bool:
    """Accept, and leave it at that."""
    return receiver.accept_decrease(request)


def refuse(receiver: ReceiverHandle, request: DecreaseAllocation) -> bool:
    """Reject."""
    return receiver.reject_decrease(request)


def converse(
    answers: Mapping[ReceiverHandle, Answer], invariant: str = "N6"
) -> dict[ReceiverHandle, list[AllocatorMessage]]:
    """Let everybody answer in its own way, until nobody is asked.

    Args:
        answers: How each receiver answers.
        invariant: What is broken if it does not come to an end.

    Returns:
        What each of them was told.
    """
    told: dict[ReceiverHandle, list[AllocatorMessage]] = {receiver: [] for receiver in answers}
    for _ in range(MOST_ROUNDS):
        asked = False
        for receiver, answer in answers.items():
            for message in unread(receiver):
                told[receiver].append(message)
                if isinstance(message, DecreaseAllocation):
                    asked = True
                    answer(receiver, message)
        if not asked:
            return told
    raise InvariantError(invariant, f"after {MOST_ROUNDS} rounds somebody is still asked")


def cameras_at(
    allocator: ConnectionAllocator, count: int, bandwidth: int = HIGH
) -> list[ReceiverHandle]:
    """Register receivers that are equal and negotiable, each of which sends `bandwidth` bit/s."""
    return [allocator.register_track_receiver(CAMERA, bandwidth) for _ in range(count)]


def request_to(receiver: ReceiverHandle, invariant: str, occasion: str) -> DecreaseAllocation:
    """Take the request out of a mailbox where there has to be one."""
    request = requests([receiver]).get(receiver)
    if request is None:
        raise InvariantError(invariant, f"{occasion} it is not asked")
    return request


def by_force(messages: list[AllocatorMessage]) -> list[AllocationGranted]:
    """Keep the grants that took something: by force, or for a promise that was broken."""
    reasons = (GrantReason.FORCED, GrantReason.BREACH)
    return [m for m in messages if isinstance(m, AllocationGranted) and m.reason in reasons]


async def a_broken_promise_costs_one_step(bench: Bench) -> None:
    """N4: one accepts and never lowers, alone and beside others that do what they say."""
    deadline = bench.terms.negotiation_timeout
    for honest in (0, 2):
        async with bench.open() as allocator:
            breaker, *others = cameras_at(allocator, 1 + honest)
            estimate = (1 + honest) * MEDIUM
            allocator.update_bandwidth_estimation(estimate)
            converse({breaker: promise, **dict.fromkeys(others, give_all)})
            await pass_time(allocator, estimate, 0.8 * deadline)
            early = unread(breaker)
            demand(not early, "N4", f"before the deadline, who made a promise is told {early}")
            await pass_time(allocator, estimate, 0.4 * deadline)
            told = [(grant.allocation, grant.reason) for grant in grants(breaker)]
            step = [(MEDIUM, GrantReason.BREACH)]
            demand(told == step, "N4", f"who broke a promise is told {told}, not {step}")
            held = breaker.allocation
            demand(held == MEDIUM, "N4", f"who broke a promise holds {held}, not {MEDIUM}")


async def other_promises_cost_nothing(bench: Bench) -> None:
    """N4: kept before the deadline, or needed no more by then."""
    deadline = bench.terms.negotiation_timeout
    for end in ("kept", "recovery", "leaving"):
        async with bench.open() as allocator:
            camera, other = cameras_at(allocator, 2)
            estimate = HIGH
            allocator.update_bandwidth_estimation(estimate)
            promise(camera, request_to(camera, "N4", "where both must give"))
            if end == "kept":
                await pass_time(allocator, estimate, 0.8 * deadline)
                camera.request_allocation(LOW)
            elif end == "recovery":
                estimate = 2 * HIGH
                allocator.update_bandwidth_estimation(estimate)
            else:
                other.close()
            await pass_time(allocator, estimate, 2 * deadline)
            taken = by_force(unread(camera))
            demand(not taken, "N4", f"after a promise, and {end}, one is told {taken}")


async def who_refused_is_left_alone(bench: Bench) -> None:
    """N5: after a rejection and after silence, with a new need at the same estimate."""
    for silent in (False, True):
        async with bench.open() as allocator:
            (camera,) = cameras_at(allocator, 1)
            speaker = allocator.register_track_receiver(MICROPHONE, priority=9)
            allocator.update_bandwidth_estimation(MEDIUM)
            request = request_to(camera, "N5", "in overuse")
            if silent:
                await pass_time(allocator, MEDIUM, 1.5 * bench.terms.negotiation_timeout)
            else:
                refuse(camera, request)
            speaker.request_allocation(LOW // 4)
            again = list(requests([camera]).values())
            allocator.update_bandwidth_estimation(MEDIUM + 1)
            allocator.update_bandwidth_estimation(MEDIUM)
            await pass_time(allocator, MEDIUM, min(bench.terms.refusal_backoff, 1.0) / 2)
            again += requests([camera]).values()
            demand(not again, "N5", f"who refused is asked again: {again}")


async def a_refusal_lapses(bench: Bench) -> None:
    """N5: a receiver that refused is asked again at a lower estimate, and after the back-off."""
    backoff = bench.terms.refusal_backoff
    for wait in (False, True):
        if wait and backoff > LONGEST_BACKOFF:
            continue
        async with bench.open() as allocator:
            refuser, _ = pair = cameras_at(allocator, 2)
            # Both have to give. The other one is silent, and the need has gone before it is late.
            allocator.update_bandwidth_estimation(2 * MEDIUM)
            refuse(refuser, request_to(refuser, "N5", "where both have to give"))
            allocator.update_bandwidth_estimation(2 * HIGH)
            requests(pair)
            allocator.update_bandwidth_estimation(2 * MEDIUM)
            again = requests(pair).get(refuser)
            demand(not again, "N5", f"at the estimate of its refusal, one is told {again}")
            allocator.update_bandwidth_estimation(2 * HIGH)
            if wait:
                await pass_time(allocator, 2 * HIGH, 1.1 * backoff)
            allocator.update_bandwidth_estimation(2 * MEDIUM - (not wait))
            request_to(refuser, "N5", "after the back-off" if wait else "at a lower estimate")


async def who_was_raised_may_be_asked(bench: Bench) -> None:
    """N5: a receiver that refused, and got more since then, is asked again at the same estimate."""
    async with bench.open() as allocator:
        refuser, other = cameras_at(allocator, 2, MEDIUM)
        refuser.request_allocation(HIGH)
        allocator.update_bandwidth_estimation(2 * LOW)
        refuse(refuser, request_to(refuser, "N5", "where both have to give"))
        allocator.update_bandwidth_estimation(4 * HIGH)
        requests([refuser, other])
        allocator.update_bandwidth_estimation(2 * LOW)
        request_to(refuser, "N5", f"raised to {refuser.allocation} since it refused")


async def who_gave_is_asked_for_the_next_step(bench: Bench) -> None:
    """N5: for the same need and for a new one, at the same estimate and at once."""
    for estimate in (LOW, MEDIUM):
        async with bench.open() as allocator:
            (camera,) = cameras_at(allocator, 1)
            speaker = allocator.register_track_receiver(MICROPHONE, priority=9)
            allocator.update_bandwidth_estimation(estimate)
            give_a_step(camera, request_to(camera, "N5", "in overuse"))
            if estimate == MEDIUM:
                unread(camera)
                speaker.request_allocation(LOW // 4)
            request_to(camera, "N5", f"for a second step, holding {camera.allocation} bit/s")


async def whoever_gives_it_ends(bench: Bench) -> None:
    """N6: ten that all give what is asked for, or a step, or refuse."""
    for estimate in (10 * LOW, 3_000_000, 20 * MEDIUM, 10 * HIGH - 1):
        for answer in (give_all, give_a_step, refuse):
            async with bench.open() as allocator:
                cameras = cameras_at(allocator, 10)
                allocator.update_bandwidth_estimation(estimate)
                converse(dict.fromkeys(cameras, answer))
                await pass_time(allocator, estimate, 1.5 * bench.terms.negotiation_timeout)
                held, how = total(cameras), answer.__name__
                demand(held <= estimate, "N6", f"{how} leaves {held} bit/s of {estimate}")


async def giving_next_to_nothing_ends(bench: Bench) -> None:
    """N6: one without a ladder gives a bit at a time, and one is silent."""
    estimate = 1_000_000
    async with bench.open() as allocator:
        haggler, silent = pair = [
            allocator.register_track_receiver(PLAIN, estimate, negotiable=True) for _ in range(2)
        ]
        allocator.update_bandwidth_estimation(estimate)
        for _ in range(20):
            converse({haggler: give_a_bit})
            unread(silent)
            await pass_time(allocator, estimate, bench.terms.negotiation_timeout)
        held = total(pair)
        demand(held <= estimate, "N6", f"20 deadlines later {held} bit/s are held of {estimate}")


async def where_nobody_can_give_it_ends(bench: Bench) -> None:
    """N6: all are at their lowest step, and the estimate is below that, for a long time."""
    backoff = min(bench.terms.refusal_backoff, LONGEST_BACKOFF)
    async with bench.open() as allocator:
        cameras = cameras_at(allocator, 3, LOW)
        allocator.update_bandwidth_estimation(LOW)
        asked = 0
        for _ in range(5):
            told = converse(dict.fromkeys(cameras, refuse))
            asked += sum(isinstance(m, DecreaseAllocation) for mail in told.values() for m in mail)
            await pass_time(allocator, LOW, backoff / 2)
        demand(asked <= 4 * 3, "N6", f"three that can give nothing were asked {asked} times")


async def _answer_all(
    receiver: ReceiverHandle, answer: Answer, told: list[AllocatorMessage]
) -> None:
    async for message in receiver:
        told.append(message)
        if isinstance(message, DecreaseAllocation):
            answer(receiver, message)


async def the_honest_are_never_forced(bench: Bench) -> None:
    """N8: 30 Mbit/s become 3, and ten receivers of 2.5 Mbit/s do as they are asked at once."""
    for answer in (give_all, give_a_step):
        told: list[AllocatorMessage] = []
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(30_000_000)
            cameras = cameras_at(allocator, 10)
            async with trio.open_nursery() as nursery:
                for camera in cameras:
                    nursery.start_soon(_answer_all, camera, answer, told)
                await trio.testing.wait_all_tasks_blocked()
                start = trio.current_time()
                allocator.update_bandwidth_estimation(3_000_000)
                await trio.testing.wait_all_tasks_blocked()
                elapsed, held = trio.current_time() - start, total(cameras)
                nursery.cancel_scope.cancel()
            forced = by_force(told)
            cured = held <= 3_000_000 and elapsed == 0
            demand(not forced, "N8", f"all kept to the rules, but were told {forced}")
            demand(cured, "N8", f"all answered, and {held} bit/s are held after {elapsed} s")


async def refusers_do_not_harm_the_honest(bench: Bench) -> None:
    """N8: of six three refuse; where the others suffice nobody is forced, else only refusers."""
    for estimate in (6 * LOW, 3 * MEDIUM + 3 * LOW, 3 * HIGH + 3 * MEDIUM):
        async with bench.open() as allocator:
            cameras = cameras_at(allocator, 6)
            refusers, honest = cameras[::2], cameras[1::2]
            allocator.update_bandwidth_estimation(estimate)
            told = converse(dict.fromkeys(refusers, refuse) | dict.fromkeys(honest, give_all))
            for camera in cameras if estimate > 3 * HIGH else honest:
                forced = by_force(told[camera])
                demand(not forced, "N8", f"honest, or with others to ask, one is told {forced}")
            for camera in refusers:
                unasked = by_force(told[camera][:1])
                demand(not unasked, "N8", f"one that was never asked is told {unasked}")


async def nobody_is_forced_while_another_is_asked(bench: Bench) -> None:
    """N8: the first refuses, and the others take their time."""
    deadline = bench.terms.negotiation_timeout
    for estimate in (3 * MEDIUM, 3 * HIGH - 1):
        async with bench.open() as allocator:
            cameras = cameras_at(allocator, 3)
            allocator.update_bandwidth_estimation(estimate)
            answered: list[ReceiverHandle] = []
            mail = requests(cameras)
            while len(answered) < len(cameras):
                demand(mail, "N8", f"{len(answered)} of 3 have answered, and nobody else is asked")
                await pass_time(allocator, estimate, deadline / 5)
                taken = 3 * HIGH - total(cameras)
                demand(not taken, "N8", f"{len(answered)} of 3 refuse, {taken} bit/s are taken")
                receiver, request = mail.popitem()
                refuse(receiver, request)
                answered.append(receiver)
                mail |= requests(cameras)


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "N4": (a_broken_promise_costs_one_step, other_promises_cost_nothing),
    "N5": (
        who_refused_is_left_alone,
        a_refusal_lapses,
        who_was_raised_may_be_asked,
        who_gave_is_asked_for_the_next_step,
    ),
    "N6": (whoever_gives_it_ends, giving_next_to_nothing_ends, where_nobody_can_give_it_ends),
    "N8": (
        the_honest_are_never_forced,
        refusers_do_not_harm_the_honest,
        nobody_is_forced_while_another_is_asked,
    ),
}
