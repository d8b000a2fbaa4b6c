"""The options of a registration: each may change while it lives, and counts in that call."""

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, PLAIN, asked, granted, obey, unread
from trio_allocator import (
    GrantReason,
    ReceiverOptions,
    SetOptions,
    Track,
    TrackReceiver,
    open_allocator,
)


@pytest.fixture(params=["fair", "layered", "water-filling"])
async def allocator(request):
    # An estimate that sees the capacity: what is there is trusted.
    async with open_allocator(policy=request.param, estimates="ideal") as allocator:
        yield allocator
        assert allocator.status.policy_fault is None


def camera(allocator, holds, **options):
    """A camera that holds so much, and claims the best."""
    receiver = allocator.register_track_receiver(CAMERA, holds, **options)
    receiver.request_allocation(HIGH)
    return receiver


def two_cameras(allocator):
    """Two that hold the same, and not both can have more."""
    cameras = [camera(allocator, MEDIUM) for _ in range(2)]
    allocator.update_bandwidth_estimation(HIGH + LOW)
    assert [unread(receiver) for receiver in cameras] == [[], []]
    return cameras


@pytest.mark.invariant("G6")
async def test_a_higher_priority_takes_and_a_lower_one_gives_in_that_call(allocator):
    first, second = two_cameras(allocator)
    second.set_options(priority=1)
    assert asked(first).limit == LOW
    second.set_options(priority=0)
    assert unread(first) == []
    first.set_options(priority=3)
    second.set_options(priority=255)
    first.accept_decrease(asked(first), LOW)
    assert granted(second).allocation == HIGH


async def test_a_larger_weight_counts_from_that_call_on(allocator):
    first = allocator.register_track_receiver(CAMERA, MEDIUM)
    second = allocator.register_track_receiver(CAMERA, MEDIUM)
    allocator.update_bandwidth_estimation(MEDIUM + LOW)
    assert (unread(first), asked(second).limit) == ([], LOW)
    allocator.update_bandwidth_estimation(2 * MEDIUM)
    assert unread(second) == []
    second.set_options(weight=10.0)
    allocator.update_bandwidth_estimation(MEDIUM + LOW)
    assert (asked(first).limit, unread(second)) == (LOW, [])


@pytest.mark.invariant("G8")
async def test_a_minimum_comes_before_what_others_have_above_theirs(allocator):
    first, second = two_cameras(allocator)
    second.set_options(min_bitrate=MEDIUM + 1)
    assert asked(first).limit == LOW
    second.set_options(min_bitrate=0)
    assert unread(first) == []
    second.set_options(min_bitrate=MEDIUM + 1)
    first.accept_decrease(asked(first), LOW)
    assert granted(second).allocation == HIGH


async def test_a_minimum_is_kept_from_that_call_on(allocator):
    receiver = camera(allocator, MEDIUM, min_bitrate=MEDIUM)
    allocator.update_bandwidth_estimation(LOW)
    assert unread(receiver) == []
    assert [allowance.name for allowance in allocator.status.allowances] == ["minimum"]
    receiver.set_options(min_bitrate=0)
    assert asked(receiver).limit == LOW
    receiver.set_options(min_bitrate=MEDIUM)
    assert unread(receiver) == []


async def test_a_cap_gives_back_in_that_call_and_what_is_free_is_granted_without_one(allocator):
    first, second = two_cameras(allocator)
    first.set_options(max_bitrate=MEDIUM - 1)
    lowered = granted(first)
    assert (lowered.allocation, lowered.reason) == (LOW, GrantReason.LOWERED)
    assert granted(second).allocation == HIGH
    assert first.claim == HIGH
    first.set_options(max_bitrate=None)
    second.set_options(max_bitrate=MEDIUM)
    assert granted(second).allocation == MEDIUM
    assert granted(first).allocation in (MEDIUM, HIGH)
    second.set_options(max_bitrate=None)
    assert allocator.status.committed <= HIGH + LOW


async def test_who_may_be_paused_is_asked_for_all_in_that_call(allocator):
    receiver = camera(allocator, LOW)
    allocator.update_bandwidth_estimation(LOW - 1)
    assert unread(receiver) == []
    receiver.set_options(pausable=True)
    assert asked(receiver).limit == 0
    receiver.set_options(pausable=False)
    assert unread(receiver) == []
    receiver.set_options(pausable=True)
    receiver.accept_decrease(asked(receiver), 0)
    assert allocator.status.allowances == ()


async def test_who_is_no_longer_negotiable_is_left_alone_in_that_call(allocator):
    receiver = camera(allocator, HIGH)
    allocator.update_bandwidth_estimation(MEDIUM)
    receiver.set_options(negotiable=False)
    assert unread(receiver) == []
    assert [allowance.name for allowance in allocator.status.allowances] == ["not negotiable"]
    receiver.set_options(negotiable=True)
    assert asked(receiver).limit == MEDIUM


async def test_part_of_a_request_is_of_use_from_that_call_on(allocator):
    receiver = allocator.register_track_receiver(PLAIN)
    allocator.update_bandwidth_estimation(1_000)
    receiver.request_allocation(5_000)
    assert unread(receiver) == []
    receiver.set_options(elastic=True)
    assert granted(receiver).allocation == 1_000


@pytest.mark.invariant("G6")
@pytest.mark.parametrize(
    "path", ["at registration", "by the handle", "by a message", "by a receiver"]
)
async def test_a_priority_per_step_by_every_path(allocator, autojump_clock, path):
    screen = Track("screen", kind="screen", variants={"few": 600_000, "many": 1_200_000})
    options = {"priority": (9, 0), "pausable": True}
    face = Track("face", variants={"only": 57_000})
    others = [allocator.register_track_receiver(face, pausable=True) for _ in range(2)]
    for other in others:
        other.request_allocation(62_700)
    async with trio.open_nursery() as nursery:
        if path == "by a receiver":
            receiver = TrackReceiver(allocator, screen, request_variant=lambda *_: None, **options)
            handle = await nursery.start(receiver.run)
        else:
            first = options if path == "at registration" else {}
            handle = allocator.register_track_receiver(screen, **first)
            if path == "by the handle":
                handle.set_options(**options)
            elif path == "by a message":
                handle.send_nowait(SetOptions(options))
            handle.request_allocation(screen.allocation("many"))
        allocator.update_bandwidth_estimation(1_320_000)
        # The second step would fit in place of a thumbnail.
        assert [other.allocation for other in others] == [62_700, 62_700]
        assert 600_000 <= handle.allocation < 1_200_000
        assert handle.options.priorities == (9, 0)
        nursery.cancel_scope.cancel()


@pytest.mark.invariant("N8")
async def test_honest_receivers_carry_any_change_out_before_time_moves(allocator, autojump_clock):
    async with trio.open_nursery() as nursery:
        receivers = [camera(allocator, LOW) for _ in range(3)]
        for receiver in receivers:
            nursery.start_soon(obey, receiver)
        allocator.update_bandwidth_estimation(HIGH + 2 * LOW)
        await trio.testing.wait_all_tasks_blocked()
        for change in (
            {"priority": 9},
            {"min_bitrate": MEDIUM},
            {"max_bitrate": MEDIUM},
            {"weight": 4.0},
            {"pausable": True},
            {"priority": 0},
            {"max_bitrate": None, "min_bitrate": 0},
        ):
            for receiver in receivers:
                now = trio.current_time()
                receiver.set_options(**change)
                await trio.testing.wait_all_tasks_blocked()
                assert trio.current_time() == now
                status = allocator.status
                assert status.committed <= status.usable
                assert (status.asked, status.forced) == (0, 0)
        nursery.cancel_scope.cancel()


# What can be paused can be asked


@pytest.mark.parametrize("ladder", [{}, {"only": 80_000}, {"low": 80_000, "high": 500_000}])
def test_what_can_be_paused_is_negotiable(ladder):
    track = Track("t", variants=ladder)
    assert ReceiverOptions.for_track(track, {"pausable": True}).negotiable
    options = ReceiverOptions.for_track(track, {"negotiable": False})
    assert options.changed({"pausable": True}).negotiable


def test_a_pausable_receiver_may_forbid_to_be_asked_for_a_while():
    options = ReceiverOptions.for_track(Track("t"), {"pausable": True})
    fixed = options.changed({"negotiable": False})
    assert not fixed.negotiable
    assert not fixed.changed({"pausable": True}).negotiable, "nothing new was said"


def test_pausable_and_not_negotiable_contradict_each_other():
    both = {"pausable": True, "negotiable": False}
    with pytest.raises(ValueError, match=r"negotiable=False contradicts pausable=True"):
        ReceiverOptions.for_track(Track("t"), both)
    with pytest.raises(ValueError, match=r"negotiable=False contradicts pausable=True"):
        ReceiverOptions.for_track(Track("t"), {}).changed(both)
