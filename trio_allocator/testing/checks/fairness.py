"""G4 to G7: who is granted what, seen by comparing runs, and class by class."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import product

from ...interface import ConnectionAllocator, ReceiverHandle
from ...tracks import Track
from ..bench import (
    CAMERA,
    HIGH,
    LOW,
    MEDIUM,
    PLAIN,
    Bench,
    obey,
    pass_time,
    requests,
)
from ..violation import demand

# --- G4 ------------------------------------------------------------------------------------------

_ESTIMATES = (
    *(0, LOW - 1, LOW, 2 * LOW, 3 * LOW - 1, 3 * LOW, MEDIUM, 2 * LOW + MEDIUM - 1),
    *(2 * LOW + MEDIUM, LOW + 2 * MEDIUM, 3 * MEDIUM, HIGH - 1, HIGH, HIGH + 2 * LOW - 1),
    *(HIGH + 2 * LOW, HIGH + LOW + MEDIUM, 2 * HIGH, 2 * HIGH + LOW, 2 * HIGH + MEDIUM, 3 * HIGH),
)


async def _after(
    bench: Bench, before: int | None, estimate: int, priorities: Iterable[int]
) -> list[int]:
    """What cameras that claim HIGH hold at an estimate, coming from an earlier one."""
    async with bench.open() as allocator:
        if before is not None:
            allocator.update_bandwidth_estimation(before)
        cameras = [allocator.register_track_receiver(CAMERA, priority=p) for p in priorities]
        for camera in cameras:
            camera.request_allocation(HIGH)
        allocator.update_bandwidth_estimation(estimate)
        obey(cameras, "G4")
        return [camera.allocation for camera in cameras]


async def more_is_never_worse_for_those_who_come_first(bench: Bench) -> None:
    """G4: with one receiver in each class, what the first has does not fall, nor the next's."""
    for before in (None, 3 * HIGH):
        worst: list[int] = []
        for estimate in _ESTIMATES:
            held = await _after(bench, before, estimate, (2, 1, 0))
            worth = [part for rate in held for part in (min(rate, LOW), max(0, rate - LOW))]
            demand(
                worth >= worst,
                "G4",
                f"an estimate of {estimate} bit/s, coming from {before}, is worth {worth} from the "
                f"first class to the last (lowest step, and the rest); a smaller one was {worst}",
            )
            worst = worth


async def more_is_never_a_lowest_step_less(bench: Bench) -> None:
    """G4: of equals in the highest class, no fewer have their lowest step."""
    for before in (None, MEDIUM):
        most = 0
        for estimate in _ESTIMATES:
            held = await _after(bench, before, estimate, (1, 1, 1, 0))
            served = sum(rate >= LOW for rate in held[:3])
            demand(
                served >= most,
                "G4",
                f"at an estimate of {estimate} bit/s, coming from {before}, {served} of three "
                f"equals have {LOW} bit/s: {held}; at a smaller one {most} had",
            )
            most = served


# --- G5 ------------------------------------------------------------------------------------------


async def who_came_and_went_decides_nothing(bench: Bench) -> None:
    """G5: receivers that have left, other ids and the order of events at one time: all the same."""
    for estimate in (2 * LOW, 2 * LOW + MEDIUM, HIGH, HIGH + MEDIUM, 2 * HIGH + LOW):
        outcomes: list[list[int]] = []
        for winding in (False, True):
            async with bench.open() as allocator:
                cast = _cast(allocator, visitors=3 if winding else 0)
                for receiver in reversed(cast) if winding else cast:
                    receiver.request_allocation(HIGH)
                allocator.update_bandwidth_estimation(estimate)
                outcomes.append([receiver.allocation for receiver in cast])
        demand(
            outcomes[0] == outcomes[1],
            "G5",
            f"with an estimate of {estimate} bit/s receivers that have claimed {HIGH} hold "
            f"{outcomes[0]}; with their claims made in reverse order, and others gone that were "
            f"there before, {outcomes[1]}",
        )


def _cast(allocator: ConnectionAllocator, visitors: int) -> list[ReceiverHandle]:
    """Four cameras and something plain; before each of them others may come, and leave again."""
    cast: list[ReceiverHandle] = []
    for track in (CAMERA, CAMERA, PLAIN, CAMERA, CAMERA):
        passing = [allocator.register_track_receiver(CAMERA, LOW) for _ in range(visitors)]
        cast.append(allocator.register_track_receiver(track))
        for visitor in passing:
            visitor.close()
    return cast


async def the_order_of_answers_decides_nothing(bench: Bench) -> None:
    """G5: the order of the answers does not change where the asked ones end, nor does one that refuses."""
    estimates = (3 * LOW, HIGH + 2 * MEDIUM + LOW, HIGH + MEDIUM + 2 * LOW)
    for estimate, refuses, at_once in product(estimates, (False, True), (False, True)):
        outcomes: list[list[int]] = []
        for backward in (False, True):
            async with bench.open() as allocator:
                allocator.update_bandwidth_estimation(5 * HIGH)
                visitors = 2 if backward else 0
                cameras = [r for r in _cast(allocator, visitors) if r.track == CAMERA]
                for camera in cameras:
                    camera.request_allocation(HIGH)
                allocator.update_bandwidth_estimation(estimate)
                asked = requests(cameras)
                for camera in reversed(cameras) if backward else cameras:
                    if camera in asked and refuses and camera is cameras[1]:
                        camera.reject_decrease(asked[camera])
                    elif camera in asked and at_once:
                        camera.accept_decrease(asked[camera], asked[camera].limit)
                    elif camera in asked:
                        camera.accept_decrease(asked[camera])
                        camera.request_allocation(asked[camera].limit)
                obey(reversed(cameras) if backward else cameras, "G5")
                outcomes.append([camera.allocation for camera in cameras])
        demand(
            outcomes[0] == outcomes[1],
            "G5",
            f"an estimate that falls to {estimate} bit/s leaves {outcomes[0]} to those who answer "
            f"one after another{', the second with a refusal' * refuses}, and {outcomes[1]} if the "
            "last answers first",
        )


async def ties_go_to_the_earlier_registration(bench: Bench) -> None:
    """G5: of equals that have waited equally long, the first that came is the first served."""
    for backward in (False, True):
        async with bench.open() as allocator:
            equals = [allocator.register_track_receiver(PLAIN) for _ in range(3)]
            for receiver in reversed(equals) if backward else equals:
                receiver.request_allocation(MEDIUM)
            allocator.update_bandwidth_estimation(2 * MEDIUM)
            held = [receiver.allocation for receiver in equals]
            demand(
                held == sorted(held, reverse=True),
                "G5",
                f"of three equals, in the order of registration, {held} bit/s are held, with room "
                "for two",
            )


# --- G6 ------------------------------------------------------------------------------------------


async def a_lower_class_gives_way(bench: Bench) -> None:
    """G6: what a higher class waits for, a lower one is asked for, and forced if it refuses."""
    terms = bench.terms
    for answer in ("complies", "refuses", "keeps silent"):
        for first, second in ((CAMERA, CAMERA), (PLAIN, CAMERA), (CAMERA, PLAIN)):
            async with bench.open() as allocator:
                estimate = HIGH + MEDIUM
                allocator.update_bandwidth_estimation(estimate)
                lower = allocator.register_track_receiver(second, negotiable=True)
                lower.request_allocation(HIGH)
                higher = allocator.register_track_receiver(first, priority=1)
                higher.request_allocation(HIGH)
                asked = requests([lower])
                demand(
                    asked or higher.allocation == HIGH,
                    "G6",
                    f"a higher class waits for {HIGH} bit/s and holds {higher.allocation}; the "
                    f"lower one, with {lower.allocation}, is not asked",
                )
                if answer == "complies":
                    for request in asked.values():
                        lower.accept_decrease(request, request.limit)
                    obey([lower, higher], "G6")
                elif answer == "refuses":
                    for request in asked.values():
                        lower.reject_decrease(request)
                if answer != "complies":
                    await pass_time(allocator, estimate, terms.negotiation_timeout + 1.0)
                demand(
                    higher.allocation == HIGH,
                    "G6",
                    f"a higher class holds {higher.allocation} bit/s and waits for {HIGH}; the "
                    f"lower one, which {answer}, holds {lower.allocation} of {estimate}",
                )


_BECOMES_LOWER: tuple[tuple[bool, int, Callable[[ReceiverHandle, ReceiverHandle], None]], ...] = (
    (True, 4, lambda _lower, higher: higher.set_options(priority=5)),
    (True, 4, lambda lower, _higher: lower.set_options(priority=3)),
    (False, 3, lambda lower, _higher: lower.set_negotiability_status(True)),
)


async def a_class_counts_from_when_it_is_said(bench: Bench) -> None:
    """G6: it is the same if one becomes of a higher class, or negotiable, only later."""
    for negotiable, priority, change in _BECOMES_LOWER:
        async with bench.open() as allocator:
            allocator.update_bandwidth_estimation(HIGH + MEDIUM)
            lower = allocator.register_track_receiver(
                CAMERA, HIGH, priority=priority, negotiable=negotiable
            )
            higher = allocator.register_track_receiver(CAMERA, LOW, priority=4)
            higher.request_allocation(HIGH)
            change(lower, higher)
            obey([lower, higher], "G6")
            demand(
                higher.allocation == HIGH,
                "G6",
                f"of {HIGH + MEDIUM} bit/s the higher class holds {higher.allocation} and claims "
                f"{higher.claim}, the lower one, negotiable now, {lower.allocation}",
            )


async def classes_are_served_in_order(bench: Bench) -> None:
    """G6: of equal claims that come at one time, that of the highest class is served best."""
    for estimate in (2 * LOW + MEDIUM, LOW + 2 * MEDIUM, HIGH + 2 * LOW, HIGH + 2 * MEDIUM):
        async with bench.open() as allocator:
            classes = [allocator.register_track_receiver(CAMERA, priority=p) for p in (0, 9, 3)]
            for receiver in classes:
                receiver.request_allocation(HIGH)
            allocator.update_bandwidth_estimation(estimate)
            obey(classes, "G6")
            last, first, middle = (receiver.allocation for receiver in classes)
            demand(
                first >= middle >= last,
                "G6",
                f"of equal claims from classes 9, 3 and 0, {first}, {middle} and {last} bit/s are "
                f"held at an estimate of {estimate}",
            )


async def each_step_counts_in_its_class(bench: Bench) -> None:
    """G6: with a priority per step the lowest comes before all others, and the rest after them."""
    for estimate, steps in ((LOW, (LOW, 0)), (2 * LOW, (LOW, LOW)), (MEDIUM + LOW, (LOW, LOW))):
        for first in (False, True):
            async with bench.open() as allocator:
                register = allocator.register_track_receiver
                cast = [register(CAMERA, priority=(9, 0), pausable=True)] if first else []
                cast += [register(CAMERA, pausable=True, max_bitrate=LOW) for _ in range(2)]
                if not first:
                    cast.insert(0, register(CAMERA, priority=(9, 0), pausable=True))
                for receiver in cast:
                    receiver.request_allocation(HIGH)
                allocator.update_bandwidth_estimation(estimate)
                obey(cast, "G6")
                screen, *others = (receiver.allocation for receiver in cast)
                demand(
                    screen >= steps[0] and max(others) >= steps[1],
                    "G6",
                    f"with a priority of (9, 0) one holds {screen} bit/s at an estimate of {estimate}, "
                    f"and two of priority 0, which claim {LOW}, hold {others}",
                )
                if estimate >= 3 * LOW:
                    demand(
                        min(others) >= LOW,
                        "G6",
                        f"with a priority of (9, 0) one holds {screen} bit/s at an estimate of "
                        f"{estimate}, while one of priority 0 lacks its lowest step: {others}",
                    )


# --- G7 ------------------------------------------------------------------------------------------

_SCALES = (7, 1000)
_SMALL_LADDERS = ((1_000, 5_000, 25_000), (1_000, 2_000, 3_000, 40_000), (20_000,), ())
_SMALL_ESTIMATES = (1_099, 3_301, 27_500, 44_003, 62_000, 111_111, 5_501, 149_599, 20_000)


async def grants_scale_with_the_rates(bench: Bench) -> None:
    """G7: with every rate multiplied, so is every allocation."""
    once = await _allocations(bench, 1)
    for scale in _SCALES:
        scaled = await _allocations(bench, scale)
        expected = [[rate * scale for rate in rates] for rates in once]
        for estimate, wanted, seen in zip(_SMALL_ESTIMATES, expected, scaled, strict=True):
            demand(
                seen == wanted,
                "G7",
                f"with every rate {scale} times as high allocations are {seen} instead of "
                f"{wanted} at an estimate of {estimate * scale} bit/s",
            )


async def _allocations(bench: Bench, scale: int) -> list[list[int]]:
    """What everybody holds after each of some estimates, all rates scaled."""
    outcomes: list[list[int]] = []
    async with bench.open() as allocator:
        cast: list[ReceiverHandle] = []
        for position, ladder in enumerate(_SMALL_LADDERS):
            variants = {f"v{rate}": rate * scale for rate in ladder}
            track = Track("scaled", variants=variants)
            cast.append(
                allocator.register_track_receiver(
                    track, negotiable=bool(ladder), priority=position % 2
                )
            )
        for estimate in _SMALL_ESTIMATES:
            for receiver in cast:
                receiver.request_allocation(44_000 * scale)
            allocator.update_bandwidth_estimation(estimate * scale)
            obey(cast, "G7")
            outcomes.append([receiver.allocation for receiver in cast])
    return outcomes


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "G4": (more_is_never_worse_for_those_who_come_first, more_is_never_a_lowest_step_less),
    "G5": (
        who_came_and_went_decides_nothing,
        the_order_of_answers_decides_nothing,
        ties_go_to_the_earlier_registration,
    ),
    "G6": (
        a_lower_class_gives_way,
        a_class_counts_from_when_it_is_said,
        classes_are_served_in_order,
        each_step_counts_in_its_class,
    ),
    "G7": (grants_scale_with_the_rates,),
}
