"""What a reader found wrong in the allocators as they are used, by symptom."""

import math

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.shell.support import CAMERA, HIGH, MEDIUM, PLAIN, asked, granted, unread
from trio_allocator import (
    AcceptDecrease,
    BufferSent,
    DecreaseAllocation,
    ProbeStatus,
    RejectDecrease,
    RequestAllocation,
    SendPadding,
    SetNegotiabilityStatus,
    SetOptions,
    SetVariants,
    Shares,
    open_allocator,
    open_passthrough_allocator,
)


def virtually(main):
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# --- L1, L4: cancelled from outside ------------------------------------------------------------


@pytest.mark.invariant("L1", "L4")
@pytest.mark.parametrize("shielded", [False, True])
@given(st.random_module())
@settings(max_examples=30)
def test_a_cancelled_block_can_clean_up_whatever_the_task_order(shielded, _seed):
    cleaned = []

    async def main():
        with trio.move_on_after(1) as scope:
            async with open_allocator(initial_estimate=MEDIUM) as allocator:
                with allocator.register_track_receiver(CAMERA, MEDIUM) as receiver:
                    receiver.request_allocation(HIGH)
                    try:
                        await trio.sleep_forever()
                    finally:
                        if shielded:
                            with trio.CancelScope(shield=True):
                                await trio.sleep(0.5)
                        receiver.buffer_sent(100)
                        receiver.request_allocation(0)
                        allocator.update_bandwidth_estimation(HIGH)
                        cleaned.append(receiver.bytes_sent)
        assert scope.cancelled_caught
        with pytest.raises(trio.ClosedResourceError):
            receiver.buffer_sent(100)

    virtually(main)
    assert cleaned == [100]


# --- L3: a policy that answers almost rightly ---------------------------------------------------


@pytest.mark.invariant("L3")
@pytest.mark.parametrize(
    "range_", [{"lowest": None}, {"highest": "high"}, {"lowest": None, "highest": None}]
)
async def test_a_range_that_is_no_number_replaces_the_policy_and_leaves_the_block_whole(
    range_, autojump_clock
):
    def policy(claims, capacity):
        return Shares({claim.receiver_id: claim.wanted for claim in claims}, **range_)

    async with open_allocator(initial_estimate=1_000_000, policy=policy) as allocator:
        receiver = allocator.register_track_receiver(PLAIN)
        receiver.request_allocation(500_000)
        assert granted(receiver).allocation == 500_000
        assert "policy" in allocator.status.policy_fault
        allocator.update_bandwidth_estimation(2_000_000)
        await trio.sleep(1)


@pytest.mark.invariant("L3")
async def test_a_share_for_somebody_unknown_breaks_nothing(autojump_clock):
    def policy(claims, capacity):
        return Shares({claim.receiver_id: claim.wanted for claim in claims} | {10**6: None})

    async with open_allocator(initial_estimate=1_000_000, policy=policy) as allocator:
        receiver = allocator.register_track_receiver(PLAIN)
        receiver.request_allocation(500_000)
        assert granted(receiver).allocation == 500_000
        allocator.update_bandwidth_estimation(2_000_000)
        await trio.sleep(1)
        assert receiver.allocation == 500_000


# --- N4: a promise over a change of ladder ------------------------------------------------------


@pytest.mark.invariant("N4")
async def test_an_honest_promise_survives_a_change_of_ladder(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, HIGH)
        request = asked(receiver)
        receiver.set_variants({"low": 150_000, "medium": 800_000, "high": 2_500_000})
        assert receiver.accept_decrease(request, 880_000) is True
        await trio.sleep(0.06)
        status = allocator.status
        assert (receiver.allocation, status.asked) == (880_000, 0)
        assert (status.breaches, status.refusing, status.forced) == (0, 0, 0)


@pytest.mark.invariant("N4")
async def test_who_is_silent_after_its_minimum_rose_is_not_forced_below_it(autojump_clock):
    async with open_allocator(initial_estimate=200_000) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, HIGH)
        receiver.set_options(min_bitrate=400_000)
        await trio.sleep(1)
        assert receiver.allocation == MEDIUM


# --- P2, P4 --------------------------------------------------------------------------------------


@pytest.mark.invariant("P2")
async def test_what_an_earlier_probe_left_unsent_does_not_burst_in_the_next(autojump_clock):
    options = {"initial_estimate": 1_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, probe_patience=math.inf) as allocator:
        receiver = allocator.register_track_receiver(PLAIN, 1_000_000)
        receiver.request_allocation(1_200_000)
        receiver.buffer_sent(0, padding=True)  # it is one that reports
        await trio.sleep(0.2)
        (taken,) = unread(receiver)
        assert taken.size > 1_000
        receiver.request_allocation(1_000_000)
        assert allocator.status.probe is ProbeStatus.IDLE
        await trio.sleep(50)
        unread(receiver)
        receiver.request_allocation(1_200_000)
        start, sent = trio.current_time(), 0
        while trio.current_time() < start + 1:
            await trio.sleep(0.005)
            for message in unread(receiver):
                assert isinstance(message, SendPadding)
                sent += message.size
                receiver.buffer_sent(message.size, padding=True)
            assert sent <= (trio.current_time() - start) * 1_200_000 / 8 + 256
        assert sent > 100_000


@pytest.mark.invariant("P4")
async def test_a_probe_that_is_interrupted_again_and_again_gives_up_too(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        receiver = allocator.register_track_receiver(PLAIN)
        receiver.request_allocation(1_500_000)
        probing = 0
        for turn in range(1, 3_000):
            await trio.sleep(0.1)
            if turn % 10 == 0:
                allocator.update_bandwidth_estimation(1_000_000)
            if turn % 28 == 0:
                receiver.request_allocation(0)
                receiver.request_allocation(1_500_000)
            unread(receiver)
            probing += allocator.status.probe is ProbeStatus.PROBING
        assert allocator.status.probes_fruitless > 0
        assert probing < 1_000


# --- passthrough ----------------------------------------------------------------------------------


@pytest.mark.invariant("A1")
@pytest.mark.parametrize("wanted", [200_000, 150_000, 10**9])
async def test_a_request_for_more_under_a_cap_lowers_nothing(wanted, autojump_clock):
    async with open_passthrough_allocator() as allocator:
        receiver = allocator.register_track_receiver(CAMERA, 50_000, max_bitrate=100_000)
        receiver.request_allocation(wanted)
        assert receiver.allocation == 50_000
        receiver.request_allocation(20_000)
        assert receiver.allocation == 20_000


# --- messages as data -----------------------------------------------------------------------------


def messages(receiver_id):
    return [
        BufferSent(100, receiver_id=receiver_id),
        RequestAllocation(MEDIUM, receiver_id=receiver_id),
        SetNegotiabilityStatus(True, receiver_id=receiver_id),
        SetVariants({"low": 100_000}, receiver_id=receiver_id),
        SetOptions({"priority": 3}, receiver_id=receiver_id),
    ]


def state(receiver):
    return (
        receiver.allocation,
        receiver.claim,
        receiver.track,
        receiver.options,
        receiver.bytes_sent,
    )


ALLOCATORS = pytest.mark.parametrize("opener", [open_allocator, open_passthrough_allocator])


@pytest.mark.invariant("I1")
@ALLOCATORS
@pytest.mark.parametrize(("wrong", "error"), [(2, ValueError), ("1", TypeError), (1.5, TypeError)])
async def test_what_is_said_for_another_receiver_changes_nothing(
    opener, wrong, error, autojump_clock
):
    async with opener() as allocator:
        receiver, other = (
            allocator.register_track_receiver(CAMERA, negotiable=False) for _ in range(2)
        )
        assert (receiver.id, other.id) == (1, 2)
        before = state(receiver), state(other)
        for message in messages(wrong):
            with pytest.raises(error):
                receiver.send_nowait(message)
        assert (state(receiver), state(other)) == before
        assert unread(receiver) == unread(other) == []


@pytest.mark.invariant("I1")
@ALLOCATORS
@pytest.mark.parametrize("named", [True, False])
async def test_what_a_receiver_says_for_itself_counts_with_its_id_or_without(
    opener, named, autojump_clock
):
    async with opener() as allocator:
        receiver = allocator.register_track_receiver(CAMERA, negotiable=False)
        for message in messages(receiver.id if named else None):
            assert receiver.send_nowait(message) is True
        assert (receiver.claim, receiver.bytes_sent) == (MEDIUM, 100)
        assert (receiver.options.negotiable, receiver.options.priority) == (True, 3)
        assert receiver.track.variants == {"low": 100_000}


@pytest.mark.invariant("N2", "I1")
@pytest.mark.parametrize("kind", [AcceptDecrease, RejectDecrease])
@pytest.mark.parametrize(("wrong", "error"), [(2, ValueError), ("1", TypeError)])
async def test_an_answer_for_another_receiver_changes_nothing(kind, wrong, error, autojump_clock):
    async with open_allocator(initial_estimate=MEDIUM) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, HIGH)
        allocator.register_track_receiver(CAMERA)
        request = asked(receiver)
        with pytest.raises(error):
            receiver.send_nowait(kind(request.request_id, wrong))
        assert (allocator.status.asked, receiver.allocation) == (1, HIGH)
        assert receiver.send_nowait(kind(request.request_id, receiver.id)) is True


@pytest.mark.invariant("N4")
async def test_an_unread_request_never_asks_below_a_minimum_raised_meanwhile(autojump_clock):
    async with open_allocator(initial_estimate=200_000) as allocator:
        with allocator.register_track_receiver(CAMERA, HIGH) as receiver:
            receiver.set_options(min_bitrate=400_000)
            request = receiver.receive_nowait()
            assert isinstance(request, DecreaseAllocation)
            assert request.limit == CAMERA.allocation("medium")
            assert receiver.accept_decrease(request, request.limit)
            assert receiver.allocation == CAMERA.allocation("medium")
            await trio.sleep(1)
            assert allocator.status.breaches == 0
