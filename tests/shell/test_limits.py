"""`set_limits`: what the connection may be used for, changed while it lives."""

import math

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, PLAIN, asked, granted, obey, unread
from trio_allocator import (
    Act,
    AllocationGranted,
    Cause,
    DecisionReason,
    GrantReason,
    Limits,
    PassthroughAllocator,
    ProbingAllocator,
    open_allocator,
    open_passthrough_allocator,
)

POLICIES = ["fair", "layered", "water-filling"]


async def test_without_any_all_of_the_estimate_may_be_used():
    async with open_allocator(initial_estimate=HIGH) as allocator:
        assert allocator.limits == Limits(max_bitrate=None, reserve=0)
        assert allocator.status.usable == HIGH


@pytest.mark.parametrize("policy", POLICIES)
async def test_it_may_be_opened_with_them(policy):
    async with open_allocator(
        initial_estimate=2 * HIGH, policy=policy, max_bitrate=HIGH + 10.5, reserve=10
    ) as allocator:
        assert allocator.limits == Limits(max_bitrate=HIGH + 10, reserve=10)
        assert (allocator.status.max_bitrate, allocator.status.reserve) == (HIGH + 10, 10)
        receiver = allocator.register_track_receiver(CAMERA)
        receiver.request_allocation(2 * HIGH)
        assert granted(receiver).allocation == HIGH
        allocator.set_limits(reserve=11)
        assert asked(receiver).limit == MEDIUM


async def test_so_may_one_in_a_nursery_of_the_callers(autojump_clock):
    async with trio.open_nursery() as nursery:
        allocator = ProbingAllocator.create(
            nursery, initial_estimate=HIGH, max_bitrate=MEDIUM, reserve=50
        )
        assert allocator.limits == Limits(max_bitrate=MEDIUM, reserve=50)
        assert allocator.status.usable == MEDIUM - 50
        await allocator.destroy()


@pytest.mark.invariant("A2", "G2")
@pytest.mark.parametrize("policy", POLICIES)
async def test_a_change_is_effective_in_that_call(policy):
    async with open_allocator(initial_estimate=HIGH, policy=policy) as allocator:
        receiver = allocator.register_track_receiver(CAMERA)
        receiver.request_allocation(HIGH)
        assert granted(receiver).allocation == HIGH
        allocator.set_limits(max_bitrate=MEDIUM)
        assert asked(receiver).limit == MEDIUM
        allocator.set_limits(max_bitrate=None)
        assert unread(receiver) == []
        assert allocator.status.asked == 0
        other = allocator.register_track_receiver(PLAIN)
        other.request_allocation(1_000)
        assert unread(other) == []
        allocator.set_limits(reserve=1_000)  # the camera would have to go down for that
        receiver.accept_decrease(asked(receiver), MEDIUM)
        assert granted(other) == AllocationGranted(1_000, GrantReason.GRANTED, other.id)
        assert allocator.status.policy_fault is None


async def test_what_is_not_named_stays():
    async with open_allocator(max_bitrate=HIGH) as allocator:
        allocator.set_limits(reserve=7)
        assert allocator.limits == Limits(max_bitrate=HIGH, reserve=7)
        allocator.set_limits()
        allocator.set_limits(max_bitrate=None)
        assert allocator.limits == Limits(reserve=7)


@pytest.mark.invariant("N8")
@pytest.mark.parametrize("policy", POLICIES)
async def test_honest_receivers_cure_it_before_time_moves(policy, autojump_clock):
    async with (
        open_allocator(initial_estimate=3 * HIGH, policy=policy) as allocator,
        trio.open_nursery() as nursery,
    ):
        receivers = [allocator.register_track_receiver(CAMERA) for _ in range(3)]
        for receiver in receivers:
            nursery.start_soon(obey, receiver)
            receiver.request_allocation(HIGH)
        await trio.testing.wait_all_tasks_blocked()
        assert allocator.status.committed == 3 * HIGH
        now = trio.current_time()
        allocator.set_limits(max_bitrate=2 * MEDIUM, reserve=100_000)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == now
        status = allocator.status
        assert status.committed <= status.usable == 2 * MEDIUM - 100_000
        assert (status.forced, status.breaches, status.policy_fault) == (0, 0, None)
        assert min(receiver.allocation for receiver in receivers) == LOW
        nursery.cancel_scope.cancel()


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"max_bitrate": -1}, ValueError),
        ({"max_bitrate": "much"}, TypeError),
        ({"max_bitrate": True}, TypeError),
        ({"reserve": math.nan}, ValueError),
        ({"reserve": None}, TypeError),
        ({"max_bitrate": 5, "reserve": -1}, ValueError),
        ({"reserve": 5, "bogus": 1}, TypeError),
    ],
)
async def test_what_is_no_limit_is_refused_at_the_call_and_changes_nothing(changes, error):
    async with open_allocator(initial_estimate=HIGH, max_bitrate=2 * HIGH) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, HIGH)
        before = (allocator.limits, allocator.status, allocator.statistics())
        with pytest.raises(error):
            allocator.set_limits(**changes)
        assert (allocator.limits, allocator.status, allocator.statistics()) == before
        assert unread(receiver) == []


@pytest.mark.invariant("L1")
async def test_once_it_has_ended_they_change_no_more(autojump_clock):
    async with open_allocator(reserve=5) as allocator:
        pass
    for changes in ({"reserve": 7}, {"reserve": -7}):
        with pytest.raises(trio.ClosedResourceError):
            allocator.set_limits(**changes)
    assert allocator.limits == Limits(reserve=5)


async def test_a_decision_names_the_limit_as_its_cause():
    async with open_allocator(initial_estimate=HIGH) as allocator:
        receiver = allocator.register_track_receiver(CAMERA)
        receiver.request_allocation(HIGH)
        with allocator.decisions() as decisions:
            allocator.set_limits(reserve=1)
            allocator.set_limits(reserve=0)
            asking, withdrawn = (decisions.receive_nowait() for _ in range(2))
        assert (asking.cause, asking.act, asking.reason) == (
            Cause.LIMIT,
            Act.ASKED,
            DecisionReason.OVERUSE,
        )
        assert (asking.before, asking.after, asking.estimate) == (HIGH, MEDIUM, HIGH)
        assert (withdrawn.cause, withdrawn.act) == (Cause.LIMIT, Act.WITHDRAWN)


async def test_an_allocator_that_knows_no_capacity_takes_none():
    assert not hasattr(PassthroughAllocator, "set_limits")
    with pytest.raises(TypeError):
        open_passthrough_allocator(max_bitrate=5)  # type: ignore[call-arg]
