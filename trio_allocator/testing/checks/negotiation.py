"""N1 to N8: who is asked for what, which answers count, and who is forced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

import trio
import trio.testing

from ...interface import ReceiverHandle
from ...messages import AcceptDecrease, DecreaseAllocation
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
from ..violation import demand
from . import promises
from .promises import (
    Answer,
    by_force,
    cameras_at,
    converse,
    give_a_step,
    give_all,
    promise,
    refuse,
    request_to,
)


def _give_more_than_all(receiver: ReceiverHandle, request: DecreaseAllocation) -> bool:
    return receiver.accept_decrease(request, request.limit // 2)


def _give_nothing(receiver: ReceiverHandle, request: DecreaseAllocation) -> bool:
    return receiver.accept_decrease(request, receiver.allocation)


def _promise_as_data(receiver: ReceiverHandle, request: DecreaseAllocation) -> bool:
    return receiver.send_nowait(AcceptDecrease(request.request_id, request.receiver_id))


_ANSWERS = (promise, _give_more_than_all, refuse, _promise_as_data)


def _must_change_nothing(
    everybody: Collection[ReceiverHandle],
    answer: Answer,
    receiver: ReceiverHandle,
    request: DecreaseAllocation,
    outcome: bool | type[ValueError],
) -> None:
    """Insist that an answer does not count, and changes nothing for anybody."""
    for each in everybody:
        unread(each)
    before = [(each.allocation, each.claim) for each in everybody]
    seen: bool | type[ValueError]
    try:
        seen = answer(receiver, request)
    except ValueError:
        seen = ValueError
    what = f"the answer {answer.__name__} of receiver {receiver.id} to {request}"
    demand(seen is outcome, "N2", f"{what} gives {seen}, not {outcome}")
    after = [(each.allocation, each.claim) for each in everybody]
    demand(after == before, "N2", f"{what} turns {before} into {after} bit/s")
    told = [message for each in everybody for message in unread(each)]
    demand(not told, "N2", f"after {what} somebody is told {told}")


async def only_the_negotiable_are_asked(bench: Bench) -> None:
    """N1: in overuse, and with a higher priority waiting, whatever the others answer."""
    for answer in (give_all, refuse):
        async with bench.open() as allocator:
            willing = cameras_at(allocator, 2)
            exempt = [
                allocator.register_track_receiver(MICROPHONE, LOW),
                allocator.register_track_receiver(PLAIN, HIGH),
                allocator.register_track_receiver(CAMERA, HIGH, negotiable=False),
            ]
            held = total(exempt)
            first = allocator.register_track_receiver(CAMERA, priority=9)
            first.request_allocation(HIGH)
            for estimate in (held + 2 * HIGH, held + MEDIUM, held, 0):
                allocator.update_bandwidth_estimation(estimate)
                converse({first: give_all, **dict.fromkeys(willing, answer)})
                asked = list(requests(exempt).values())
                demand(not asked, "N1", f"some that are not negotiable are asked: {asked}")


async def who_is_negotiable_no_more_is_asked_no_more(bench: Bench) -> None:
    """N1: the status changes while a request is unread."""
    async with bench.open() as allocator:
        camera, other = cameras_at(allocator, 2)
        allocator.update_bandwidth_estimation(2 * MEDIUM)
        camera.set_negotiability_status(False)
        for estimate in (2 * MEDIUM, 2 * LOW, 0):
            allocator.update_bandwidth_estimation(estimate)
            converse({other: give_all})
            asked = list(requests([camera]).values())
            demand(not asked, "N1", f"one that is negotiable no more is asked: {asked}")


async def one_answer_counts(bench: Bench) -> None:
    """N2: the first answer counts, whatever it is, and a second one raises."""
    for first in _ANSWERS:
        async with bench.open() as allocator:
            camera, other = pair = cameras_at(allocator, 2)
            allocator.update_bandwidth_estimation(2 * MEDIUM)
            request, its_request = (request_to(one, "N2", "where both must give") for one in pair)
            _must_change_nothing(pair, _give_nothing, camera, request, ValueError)
            counts = first(camera, request)
            demand(counts is True, "N2", f"the first answer gives {counts}, not True")
            for second in _ANSWERS:
                _must_change_nothing(pair, second, camera, request, ValueError)
            counts = give_all(other, its_request)
            demand(counts is True, "N2", f"after another's second answer, one gives {counts}")


async def forged_answers_raise(bench: Bench) -> None:
    """N2: answers to another's request, and to one that was made up."""
    async with bench.open() as allocator:
        camera, other = pair = cameras_at(allocator, 2)
        allocator.update_bandwidth_estimation(2 * MEDIUM)
        request, its_request = (request_to(one, "N2", "where both must give") for one in pair)
        copied = replace(its_request, receiver_id=camera.id)
        made_up = replace(request, request_id=request.request_id + its_request.request_id)
        for wrong in (its_request, copied, made_up):
            for answer in _ANSWERS:
                _must_change_nothing(pair, answer, camera, wrong, ValueError)
        counts = refuse(camera, request), refuse(other, its_request)
        demand(counts == (True, True), "N2", f"after forged answers, the true ones give {counts}")


async def late_answers_are_void(bench: Bench) -> None:
    """N2: answers come after the deadline, or when the estimate has recovered."""
    late = 1.5 * bench.terms.negotiation_timeout
    for withdrawn in (False, True):
        async with bench.open() as allocator:
            cameras = cameras_at(allocator, len(_ANSWERS))
            estimate = len(cameras) * MEDIUM
            allocator.update_bandwidth_estimation(estimate)
            old = [request_to(camera, "N2", "where all must give") for camera in cameras]
            if withdrawn:
                estimate = len(cameras) * HIGH
                allocator.update_bandwidth_estimation(estimate)
            else:
                await pass_time(allocator, estimate, late)
            in_vain = list(zip(cameras, old, _ANSWERS, strict=True))
            for camera, request, answer in in_vain[:2]:
                _must_change_nothing(cameras, answer, camera, request, False)
            held = total(cameras)
            await pass_time(allocator, estimate, late)
            bound = held - total(cameras)
            demand(not bound, "N2", f"{bound} bit/s are taken for answers that do not count")
            allocator.update_bandwidth_estimation(len(cameras) * LOW)
            new = {camera: request_to(camera, "N2", "at a lower estimate") for camera in cameras}
            for camera, request, answer in in_vain[2:]:
                _must_change_nothing(cameras, answer, camera, request, False)
            counts = [give_all(camera, request) for camera, request in new.items()]
            demand(all(counts), "N2", f"answers to the requests that are open give {counts}")


async def one_request_is_open(bench: Bench) -> None:
    """N2: the estimate falls and falls, and another answers, before one answers itself."""
    async with bench.open() as allocator:
        camera, other = cameras_at(allocator, 2)
        read: dict[int, DecreaseAllocation] = {}
        identities: list[int] = []
        for estimate in (2 * MEDIUM, 2 * MEDIUM - 1, MEDIUM + LOW, 2 * LOW):
            allocator.update_bandwidth_estimation(estimate)
            for receiver, request in requests([camera, other]).items():
                if receiver is camera:
                    read[request.request_id] = request
                else:
                    identities.append(request.request_id)
                    give_a_step(receiver, request)
        identities += read
        distinct = len(set(identities)) == len(identities)
        demand(distinct, "N2", f"requests share an identity: {identities}")
        counts = [refuse(camera, request) for request in read.values()]
        demand(counts.count(True) == 1, "N2", f"one has these open: {list(read.values())}")


async def all_asked_together(bench: Bench) -> None:
    """N3: in the call that delivers the estimate, and with one deadline."""
    deadline = bench.terms.negotiation_timeout
    async with bench.open() as allocator:
        cameras = cameras_at(allocator, 10)
        allocator.update_bandwidth_estimation(10 * LOW)
        mail = requests(cameras)
        demand(len(mail) == 10, "N3", f"ten have to give, but {len(mail)} are asked")
        await pass_time(allocator, 10 * LOW, 0.8 * deadline)
        counts = [give_all(camera, mail[camera]) for camera in cameras[::2]]
        demand(all(counts), "N3", f"answers before the deadline give {counts}")
        await pass_time(allocator, 10 * LOW, 0.4 * deadline)
        counts = [refuse(camera, mail[camera]) for camera in cameras[1::2]]
        demand(not any(counts), "N3", f"answers after the deadline give {counts}")


async def the_rest_goes_on(bench: Bench) -> None:
    """N3: while two are asked and silent, all other operations are handled at once."""
    async with bench.open() as allocator:
        leaving, _ = pair = cameras_at(allocator, 2)
        other = allocator.register_track_receiver(PLAIN, HIGH)
        allocator.update_bandwidth_estimation(HIGH + 2 * MEDIUM)
        demand(len(requests(pair)) == 2, "N3", "two have to give, and are not asked")
        other.request_allocation(MEDIUM)
        held = other.allocation
        demand(held == MEDIUM, "N3", f"asking for {MEDIUM} leaves {held} while others are asked")
        demand(grants(other), "N3", "a lowering is not answered while others are asked")
        allocator.update_bandwidth_estimation(2 * MEDIUM + LOW)
        known = allocator.estimate.value
        demand(known == 2 * MEDIUM + LOW, "N3", f"the estimate stays {known} while some are asked")
        allocator.register_track_receiver(MICROPHONE, LOW).set_options(priority=3)
        leaving.close()
        allocator.force_allocation(other, LOW)
        held = other.allocation
        demand(held == LOW, "N3", f"force to {LOW} leaves {held} while another is asked")


async def free_rates_are_granted(bench: Bench) -> None:
    """N3: one is asked for the sake of a second, and what a third wants is free."""
    async with bench.open() as allocator:
        (camera,) = cameras_at(allocator, 1)
        first, second = (
            allocator.register_track_receiver(MICROPHONE, priority=9) for _ in range(2)
        )
        allocator.update_bandwidth_estimation(HIGH + LOW)
        first.request_allocation(MEDIUM)
        request_to(camera, "N3", "with a higher priority waiting")
        second.request_allocation(LOW)
        held = second.allocation
        demand(held == LOW, "N3", f"{LOW} bit/s are free, and wait for an answer from another")


async def _answer_after(passes: int, receiver: ReceiverHandle, late: list[str]) -> None:
    async for message in receiver:
        late += [f"is told {grant}" for grant in by_force([message])]
        if isinstance(message, DecreaseAllocation):
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            counts = receiver.accept_decrease(message)
            await trio.lowlevel.checkpoint()
            if not counts or receiver.allocation < message.allocation:
                late.append(f"answers {counts}, holds {receiver.allocation} before it lowers")
            receiver.request_allocation(message.limit)


async def busy_loops_are_forgiven(bench: Bench) -> None:
    """N3: no task runs until long after the deadline; then each answers as soon as it can."""
    deadline = bench.terms.negotiation_timeout
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    for passes in ([0] * 6, range(6)):
        late: list[str] = []
        async with bench.open() as allocator:
            cameras = cameras_at(allocator, 6)
            async with trio.open_nursery() as nursery:
                for camera, number in zip(cameras, passes, strict=True):
                    nursery.start_soon(_answer_after, number, camera, late)
                allocator.update_bandwidth_estimation(6 * HIGH)
                await trio.testing.wait_all_tasks_blocked()
                allocator.update_bandwidth_estimation(6 * LOW)
                # No longer than needed: an estimate that is a second old is still known.
                clock.jump(max(1.5 * deadline, min(10 * deadline, 1.0)))
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            held = total(cameras)
            demand(not late, "N3", f"who answers as soon as it can run {late}")
            demand(held <= 6 * LOW, "N3", f"all have answered, but hold {held} of {6 * LOW} bit/s")


async def few_are_asked_for_little(bench: Bench) -> None:
    """N7: a step of one would do, then of two; when they have given, nobody else is asked."""
    step = HIGH - MEDIUM
    async with bench.open() as allocator:
        cameras = cameras_at(allocator, 10)
        mail: dict[ReceiverHandle, DecreaseAllocation] = {}
        for lacking, most in ((1, 1), (2, 1), (step, 1), (step + 1, 2), (2 * step, 2)):
            allocator.update_bandwidth_estimation(10 * HIGH - lacking)
            mail |= requests(cameras)
            asked = len(mail)
            demand(asked <= most, "N7", f"for {lacking} bit/s {asked} are asked to give {step}")
        for camera in mail:
            camera.request_allocation(MEDIUM)
        more = requests(cameras)
        enough = total(cameras) <= 10 * HIGH - 2 * step
        demand(not (enough and more), "N7", f"all fits, and {len(more)} are asked for more")


async def needless_requests_are_withdrawn(bench: Bench) -> None:
    """N7: the estimate recovers, another leaves, another lowers itself."""
    for relief in ("recovery", "leaving", "lowering"):
        for read in (False, True):
            async with bench.open() as allocator:
                pair = cameras_at(allocator, 2)
                other = allocator.register_track_receiver(PLAIN, 2 * HIGH)
                allocator.update_bandwidth_estimation(2 * HIGH + 2 * MEDIUM)
                mail = requests(pair) if read else {}
                if relief == "recovery":
                    allocator.update_bandwidth_estimation(4 * HIGH)
                elif relief == "leaving":
                    other.close()
                else:
                    other.request_allocation(0)
                unanswered = list(requests(pair).values())
                demand(not unanswered, "N7", f"after {relief} there is still {unanswered}")
                counts = [give_all(receiver, request) for receiver, request in mail.items()]
                demand(not any(counts), "N7", f"after {relief}, answers give {counts}")
                taken = 2 * HIGH - total(pair)
                demand(not taken, "N7", f"after {relief}, answers lower by {taken} bit/s")


async def late_answers_lower_nobody(bench: Bench) -> None:
    """N7: one is silent, another gives in its place, and then the first accepts."""
    late = 1.5 * bench.terms.negotiation_timeout
    estimate = HIGH + MEDIUM
    async with bench.open() as allocator:
        cameras = cameras_at(allocator, 2)
        allocator.update_bandwidth_estimation(estimate)
        mail = requests(cameras)
        await pass_time(allocator, estimate, late)
        converse(dict.fromkeys(cameras, give_all), "N7")
        held = total(cameras)
        for camera, request in mail.items():
            if request.limit < camera.allocation:
                give_all(camera, request)
        await pass_time(allocator, estimate, late)
        taken = held - total(cameras)
        demand(not taken > 0, "N7", f"all fits, and a late answer takes {taken} bit/s more")


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "N1": (only_the_negotiable_are_asked, who_is_negotiable_no_more_is_asked_no_more),
    "N2": (one_answer_counts, forged_answers_raise, late_answers_are_void, one_request_is_open),
    "N3": (all_asked_together, the_rest_goes_on, free_rates_are_granted, busy_loops_are_forgiven),
    "N7": (few_are_asked_for_little, needless_requests_are_withdrawn, late_answers_lower_nobody),
    **promises.CHECKS,
}
