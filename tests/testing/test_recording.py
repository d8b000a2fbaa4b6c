"""The allocator that records what it is told, and does only what the test says."""

import math

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, MICROPHONE, PLAIN, asked, granted, unread
from trio_allocator import TrackReceiver
from trio_allocator.messages import (
    AcceptDecrease,
    AllocationGranted,
    BufferSent,
    GrantReason,
    RejectDecrease,
    RequestAllocation,
    SendPadding,
    SetNegotiabilityStatus,
    SetOptions,
    SetVariants,
)
from trio_allocator.testing.recording import (
    AllocationForced,
    Call,
    Ended,
    EstimateDelivered,
    RecordingAllocator,
    Registered,
)


@pytest.fixture
async def allocator():
    with RecordingAllocator() as allocator:
        yield allocator


# --- what it writes down ---------------------------------------------------------------------


async def test_everything_that_it_is_told_is_there_in_order_and_with_its_time(
    allocator, autojump_clock
):
    start = trio.current_time()
    with allocator.register_track_receiver(CAMERA, LOW, priority=3) as receiver:
        receiver.buffer_sent(1_200)
        receiver.buffer_sent(255, padding=True)
        await trio.sleep(1)
        receiver.request_allocation(HIGH)
        request = allocator.ask(receiver, MEDIUM)
        receiver.accept_decrease(request, MEDIUM)
        receiver.set_options(weight=2.0)
        receiver.set_negotiability_status(False)
        receiver.set_variants({"only": 1_000})
        allocator.update_bandwidth_estimation(2e6)
        allocator.update_bandwidth_estimation(2e6, carried=1.5e6)
        allocator.force_allocation(receiver, 1_000)
    one = receiver.id
    assert [(call.time - start, call.receiver_id, call.what) for call in allocator.calls] == [
        (
            0,
            one,
            Registered(CAMERA, LOW, receiver.options.changed({"weight": 1.0, "negotiable": True})),
        ),
        (0, one, BufferSent(1_200, False, one)),
        (0, one, BufferSent(255, True, one)),
        (1, one, RequestAllocation(HIGH, one)),
        (1, one, AcceptDecrease(request.request_id, one, MEDIUM)),
        (1, one, SetOptions({"weight": 2.0}, one)),
        (1, one, SetNegotiabilityStatus(False, one)),
        (1, one, SetVariants({"only": 1_000}, one)),
        (1, None, EstimateDelivered(2_000_000)),
        (1, None, EstimateDelivered(2_000_000, 1_500_000)),
        (1, one, AllocationForced(1_000)),
        (1, one, Ended()),
    ]
    assert all(call.taken and call.error is None for call in allocator.calls)


async def test_what_comes_as_data_is_there_once(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(PLAIN, 1_000, negotiable=True)
    request = allocator.ask(receiver, 10)
    said = [
        BufferSent(5, False, receiver.id),
        SetNegotiabilityStatus(True, receiver.id),
        SetOptions({"priority": 1}, receiver.id),
        SetVariants({"a": 5}, receiver.id),
        RejectDecrease(request.request_id, receiver.id),
        RequestAllocation(2_000, receiver.id),
    ]
    for message in said:
        receiver.send_nowait(message)
    assert [call.what for call in allocator.calls[1:]] == said


async def test_what_is_refused_is_marked_and_changes_nothing(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, LOW)
    for operation in (
        lambda: receiver.buffer_sent(-1),
        lambda: receiver.request_allocation(math.nan),
        lambda: receiver.set_options(priority=256),
        lambda: receiver.set_variants({"a": 0}),
    ):
        with pytest.raises(ValueError) as caught:
            operation()
        call = allocator.calls[-1]
        assert not call.taken
        assert call.error is caught.value
    assert (receiver.allocation, receiver.options.priority) == (LOW, 0)
    assert allocator.told(BufferSent) == []
    assert len(allocator.calls_of(BufferSent)) == 1


async def test_nonsense_in_the_test_itself_is_refused_too(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, LOW)
    for operation in (
        lambda: allocator.register_track_receiver(CAMERA, -1),
        lambda: allocator.update_bandwidth_estimation(-1),
        lambda: allocator.force_allocation(receiver, -1),
        lambda: allocator.grant(receiver, -1),
        lambda: allocator.ask(receiver, -1),
        lambda: allocator.pad(receiver, -1),
    ):
        with pytest.raises(ValueError):
            operation()
    assert len(allocator.calls) == 1
    for operation in (allocator.grant, allocator.ask, allocator.pad):
        with pytest.raises(TypeError):
            operation("camera", 5)
        with RecordingAllocator() as other, pytest.raises(ValueError):
            operation(other.register_track_receiver(PLAIN, 9), 5)
    with pytest.raises(TypeError):
        RecordingAllocator(grant_requests=1)
    with pytest.raises(ValueError):
        RecordingAllocator(negotiation_timeout=0)


async def test_calls_are_found_by_kind_and_receiver(allocator, autojump_clock):
    one, two = (allocator.register_track_receiver(PLAIN) for _ in range(2))
    one.request_allocation(1)
    two.request_allocation(2)
    one.close()
    assert allocator.told(RequestAllocation) == [
        RequestAllocation(1, one.id),
        RequestAllocation(2, two.id),
    ]
    assert allocator.told(RequestAllocation, one) == [RequestAllocation(1, one.id)]
    assert allocator.calls_of(Ended) == [Call(trio.current_time(), one.id, Ended())]


# --- who is there ----------------------------------------------------------------------------


async def test_the_receivers_that_are_alive_are_known_in_order(allocator, autojump_clock):
    one, two, three = (allocator.register_track_receiver(PLAIN) for _ in range(3))
    two.close()
    assert allocator.receivers == (one, three)
    allocator.close()
    assert allocator.receivers == ()
    assert [call.receiver_id for call in allocator.calls_of(Ended)] == [two.id, one.id, three.id]


async def test_one_can_wait_for_receivers(allocator, nursery, autojump_clock):
    async def come():
        for _ in range(2):
            await trio.sleep(1)
            allocator.register_track_receiver(PLAIN)

    start = trio.current_time()
    nursery.start_soon(come)
    assert await allocator.wait_for_receivers(2) == allocator.receivers
    assert trio.current_time() - start == 2
    with trio.testing.assert_checkpoints():
        await allocator.wait_for_receivers(1)


async def test_nobody_waits_for_receivers_of_an_allocator_that_has_ended(
    allocator, nursery, autojump_clock
):
    async def end():
        await trio.sleep(1)
        allocator.close()

    nursery.start_soon(end)
    with pytest.raises(trio.ClosedResourceError):
        await allocator.wait_for_receivers(1)


# --- what the test says ----------------------------------------------------------------------


async def test_a_request_is_granted_at_once_by_itself(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(PLAIN)
    receiver.request_allocation(500)
    assert granted(receiver) == AllocationGranted(500, GrantReason.GRANTED, receiver.id)


async def test_or_it_waits_for_the_test(autojump_clock):
    with RecordingAllocator(grant_requests=False) as allocator:
        receiver = allocator.register_track_receiver(PLAIN, 100)
        receiver.request_allocation(500)
        assert (receiver.allocation, receiver.claim, unread(receiver)) == (100, 500, [])
        allocator.grant(receiver, 300)
        assert granted(receiver) == AllocationGranted(300, GrantReason.GRANTED, receiver.id)
        receiver.request_allocation(50)
        assert granted(receiver) == AllocationGranted(50, GrantReason.LOWERED, receiver.id)
        receiver.request_allocation(500)
        receiver.request_allocation(50)  # calls it off
        assert granted(receiver).allocation == 50
        allocator.grant_requests = True
        receiver.request_allocation(500)
        assert granted(receiver).allocation == 500


async def test_a_grant_may_be_anything_for_any_reason(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(PLAIN, 100)
    allocator.grant(receiver, 0)
    assert granted(receiver) == AllocationGranted(0, GrantReason.FORCED, receiver.id)
    allocator.grant(receiver, 0, GrantReason.BREACH)
    assert granted(receiver) == AllocationGranted(0, GrantReason.BREACH, receiver.id)


async def test_padding_adds_up_until_it_is_read(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA)
    allocator.pad(receiver, 1_000)
    allocator.pad(receiver, 200)
    assert unread(receiver) == [SendPadding(1_200, receiver.id)]
    allocator.pad(receiver, 5)
    assert await receiver.receive() == SendPadding(5, receiver.id)
    with pytest.raises(ValueError, match="able to pad"):
        allocator.pad(allocator.register_track_receiver(MICROPHONE), 5)


async def test_a_reader_is_woken(allocator, nursery, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, LOW)
    heard = []

    async def read():
        while True:
            heard.append(await receiver.receive())

    nursery.start_soon(read)
    for say in (allocator.pad, allocator.grant):
        await trio.testing.wait_all_tasks_blocked()
        say(receiver, 70)
    await trio.testing.wait_all_tasks_blocked()
    request = allocator.ask(receiver, 0)
    await trio.testing.wait_all_tasks_blocked()
    assert heard[0] == SendPadding(70, receiver.id)
    assert heard[2] == request
    nursery.cancel_scope.cancel()


# --- negotiation -----------------------------------------------------------------------------


async def test_one_answer_counts_and_a_second_one_raises(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, HIGH)
    request = allocator.ask(receiver, MEDIUM)
    assert asked(receiver) == request
    assert (request.allocation, request.limit) == (HIGH, MEDIUM)
    assert receiver.accept_decrease(request, MEDIUM) is True
    assert granted(receiver) == AllocationGranted(MEDIUM, GrantReason.LOWERED, receiver.id)
    with pytest.raises(ValueError, match="answered already"):
        receiver.reject_decrease(request)
    assert [call.taken for call in allocator.calls_of(AcceptDecrease | RejectDecrease)] == [
        True,
        False,
    ]


async def test_another_receivers_request_can_not_be_answered(allocator, autojump_clock):
    one, two = (allocator.register_track_receiver(CAMERA, HIGH) for _ in range(2))
    request = allocator.ask(one, LOW)
    with pytest.raises(ValueError):
        two.accept_decrease(request, LOW)
    with pytest.raises(ValueError, match="never sent"):
        two.send_nowait(RejectDecrease(request.request_id, two.id))
    assert one.reject_decrease(request) is True


async def test_an_answer_that_is_late_does_not_count(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, HIGH)
    request = allocator.ask(receiver, LOW)
    await trio.sleep(0.05)
    assert receiver.accept_decrease(request, LOW) is False
    assert receiver.allocation == HIGH
    assert not allocator.calls[-1].taken
    assert allocator.told(AcceptDecrease) == []


async def test_how_long_an_answer_may_take_can_be_said(autojump_clock):
    with RecordingAllocator(negotiation_timeout=2) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, HIGH)
        request = allocator.ask(receiver, LOW)
        await trio.sleep(1.9)
        assert receiver.reject_decrease(request) is True


@pytest.mark.parametrize("read", [True, False])
async def test_a_request_that_was_withdrawn_binds_nobody(allocator, read, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, HIGH)
    allocator.withdraw(receiver)  # there is none
    request = allocator.ask(receiver, LOW)
    if read:
        assert unread(receiver) == [request]
    allocator.withdraw(receiver)
    assert unread(receiver) == []
    assert receiver.accept_decrease(request, LOW) is False
    assert receiver.allocation == HIGH


async def test_a_new_request_withdraws_the_one_before(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, HIGH)
    old, new = allocator.ask(receiver, MEDIUM), allocator.ask(receiver, LOW)
    assert asked(receiver) == new
    assert receiver.accept_decrease(old, MEDIUM) is False
    assert receiver.accept_decrease(new, LOW) is True


async def test_an_acceptance_must_be_of_less(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, HIGH)
    request = allocator.ask(receiver, LOW)
    with pytest.raises(ValueError, match="below"):
        receiver.accept_decrease(request, HIGH)
    assert receiver.accept_decrease(request) is True  # that one has not counted
    receiver.request_allocation(LOW)
    assert receiver.allocation == LOW


@pytest.mark.parametrize("force", [True, False])
async def test_who_is_low_enough_has_not_to_answer(allocator, force, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, HIGH)
    request = allocator.ask(receiver, LOW)
    if force:
        allocator.grant(receiver, LOW)
    else:
        receiver.request_allocation(LOW)
    assert granted(receiver).allocation == LOW
    assert receiver.accept_decrease(request, 0) is False


async def test_only_what_an_allocator_may_ask_is_asked(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, LOW)
    with pytest.raises(ValueError, match="below"):
        allocator.ask(receiver, LOW)
    receiver.set_negotiability_status(False)
    with pytest.raises(ValueError, match="negotiable"):
        allocator.ask(receiver, 0)


# --- its life --------------------------------------------------------------------------------


async def test_it_ends_as_others_do(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, HIGH)
    allocator.ask(receiver, LOW)
    allocator.close()
    allocator.close()
    before = list(allocator.calls)
    assert [message async for message in receiver] == []
    for operation in (
        lambda: receiver.buffer_sent(1),
        lambda: receiver.request_allocation(1),
        lambda: receiver.set_options(priority=1),
        lambda: allocator.grant(receiver, 1),
        lambda: allocator.ask(receiver, 1),
        lambda: allocator.withdraw(receiver),
        lambda: allocator.pad(receiver, 1),
        lambda: allocator.register_track_receiver(PLAIN),
        lambda: allocator.update_bandwidth_estimation(1),
    ):
        with pytest.raises(trio.ClosedResourceError):
            operation()
    assert allocator.calls == before


async def test_it_can_be_created_and_destroyed_as_others(autojump_clock, nursery):
    allocator = RecordingAllocator.create(nursery)
    assert type(allocator) is RecordingAllocator
    receiver = allocator.register_track_receiver(PLAIN)
    await allocator.destroy()
    await allocator.destroy()
    assert allocator.calls_of(Ended, receiver)
    assert not nursery.child_tasks


def test_it_needs_no_trio_to_be_made():
    with RecordingAllocator() as allocator:
        assert allocator.calls == []


async def test_a_track_receiver_can_be_watched(allocator, nursery, autojump_clock):
    camera = TrackReceiver(allocator, CAMERA, request_variant=lambda *_: None, bare_steps=False)
    nursery.start_soon(camera.run)
    (handle,) = await allocator.wait_for_receivers(1)
    await trio.testing.wait_all_tasks_blocked()
    assert allocator.told(RequestAllocation, handle) == [RequestAllocation(HIGH, handle.id)]
    allocator.ask(handle, MEDIUM)
    await trio.testing.wait_all_tasks_blocked()
    (answer,) = allocator.told(AcceptDecrease)
    assert answer.bitrate == MEDIUM
    allocator.close()
