"""An allocator that decides nothing: what one of your own can stand on."""

import pytest
import trio
import trio.testing

from examples.own_allocator import FirstComeAllocator
from trio_allocator import BareAllocator, DecreaseAllocation, GrantReason, RejectDecrease, Track

TRACK = Track("t")


def test_without_settle_there_is_none():
    with pytest.raises(TypeError, match="settle"):
        BareAllocator()  # type: ignore[abstract]


async def test_it_lives_in_a_nursery_of_the_caller_s(autojump_clock):
    async with trio.open_nursery() as nursery:
        allocator = FirstComeAllocator.create(nursery)
        receiver = allocator.register_track_receiver(TRACK, 100)
        await allocator.destroy()
        await allocator.destroy()
        with pytest.raises(trio.ClosedResourceError):
            receiver.request_allocation(200)
        with pytest.raises(trio.ClosedResourceError):
            allocator.update_bandwidth_estimation(100)


async def test_force_is_for_its_own_registrations(autojump_clock):
    one, other = FirstComeAllocator(), FirstComeAllocator()
    receiver, stranger = (a.register_track_receiver(TRACK, 100) for a in (one, other))
    with pytest.raises(ValueError, match="of this allocator"):
        one.force_allocation(stranger, 50)
    with pytest.raises(TypeError, match="of this allocator"):
        one.force_allocation(TRACK, 50)
    one.force_allocation(receiver, 200)
    assert receiver.allocation == 100
    one.force_allocation(receiver, 50)
    assert receiver.receive_nowait().reason is GrantReason.FORCED


@pytest.mark.parametrize(
    ("track", "bandwidth", "options", "error"),
    [
        ("t", 0, {}, TypeError),
        (TRACK, -1, {}, ValueError),
        (TRACK, 10, {"max_bitrate": 9}, ValueError),
        (TRACK, 0, {"fancy": 1}, TypeError),
    ],
)
def test_bad_input_registers_nobody(track, bandwidth, options, error):
    allocator = FirstComeAllocator()
    with pytest.raises(error):
        allocator.register_track_receiver(track, bandwidth, **options)
    assert not allocator.handles


def test_nobody_was_asked_and_so_nobody_can_answer():
    receiver = FirstComeAllocator().register_track_receiver(TRACK, 100)
    with pytest.raises(ValueError, match="request 7 was never sent to receiver 1"):
        receiver.accept_decrease(DecreaseAllocation(100, 50, 7, 1))
    with pytest.raises(TypeError, match="request_id must be an int"):
        receiver.send_answer(RejectDecrease("7", 1))
    with pytest.raises(ValueError, match="request 7 was sent to receiver 2, not to receiver 1"):
        receiver.send_answer(RejectDecrease(7, 2))
    assert receiver.allocation == 100


@pytest.mark.parametrize("cap", [0, 40])
def test_a_cap_lowers_what_is_held(cap):
    receiver = FirstComeAllocator().register_track_receiver(TRACK, 100)
    receiver.set_options(max_bitrate=cap)
    message = receiver.receive_nowait()
    assert (message.allocation, message.reason) == (cap, GrantReason.LOWERED)


async def test_a_waiting_reader_hears_of_a_grant_and_of_the_end(autojump_clock):
    allocator = FirstComeAllocator()
    receiver = allocator.register_track_receiver(TRACK)
    heard = []

    async def read():
        heard.extend([message.allocation async for message in receiver])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await receiver.receive()
        receiver.request_allocation(70)
        allocator.update_bandwidth_estimation(100, carried=100)
        await trio.testing.wait_all_tasks_blocked()
        allocator.close()
    assert heard == [70]
