"""A mailbox conflates, keeps its order, loses nothing, and hands out nothing withdrawn."""

import random
import tracemalloc

import pytest
import trio
import trio.testing
from hypothesis import given, strategies as st

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, PLAIN, asked, granted, unread
from trio_allocator import (
    AllocationGranted,
    DecreaseAllocation,
    GrantReason,
    SendPadding,
    open_allocator,
    open_passthrough_allocator,
)
from trio_allocator.engine.probing.padding import Meter, Padding, PaddingAccount
from trio_allocator.shell.mailbox import Mailbox, RegistrationEndedError

OLD, NEW = (AllocationGranted(rate, GrantReason.GRANTED, 1) for rate in (1, 2))
REQUEST = DecreaseAllocation(2, 1, 1, 1)


def has_ended():
    return RegistrationEndedError("by a test")


@pytest.fixture
def account():
    return PaddingAccount()


@pytest.fixture
def mailbox(account):
    return Mailbox(1, account, Padding(Meter(), 256))


def taken(mailbox):
    messages = []
    while True:
        try:
            messages.append(mailbox.receive_nowait())
        except trio.WouldBlock:
            return messages


# --- conflation and order --------------------------------------------------------------------


@pytest.mark.invariant("G1")
def test_the_newest_grant_then_the_request_then_the_padding(mailbox, account):
    account.unread = 512
    mailbox.put_request(REQUEST)
    mailbox.put_grant(OLD)
    mailbox.put_grant(NEW)
    assert taken(mailbox) == [NEW, REQUEST, SendPadding(512, 1)]
    assert taken(mailbox) == []


def test_a_request_that_is_withdrawn_is_never_handed_out(mailbox):
    mailbox.put_request(REQUEST)
    mailbox.withdraw_request()
    mailbox.withdraw_request()
    assert taken(mailbox) == []


def test_padding_that_is_withdrawn_is_never_handed_out(mailbox, account):
    account.unread = 512
    account.unread = 0
    assert taken(mailbox) == []


@pytest.mark.invariant("L2")
def test_at_the_end_what_is_unread_dies(mailbox, account):
    mailbox.put_grant(NEW)
    mailbox.put_request(REQUEST)
    account.unread = 512
    mailbox.end(has_ended)
    with pytest.raises(trio.ClosedResourceError):
        mailbox.receive_nowait()
    assert account.unread == 0


@pytest.mark.invariant("C3")
def test_a_mailbox_nobody_reads_stays_small():
    async def main():
        async with open_passthrough_allocator() as allocator:
            receiver = allocator.register_track_receiver(PLAIN)

            def work(turns):
                for turn in range(turns):
                    receiver.request_allocation(turn % 2 + 1)
                    receiver.buffer_sent(1_200)

            work(100)
            grown = []
            tracemalloc.start()
            try:
                # What is kept shows in each round; a cache that fills, in one of them.
                for _ in range(3):
                    before, _ = tracemalloc.get_traced_memory()
                    work(1_000)
                    after, _ = tracemalloc.get_traced_memory()
                    grown.append(after - before)
            finally:
                tracemalloc.stop()
            assert min(grown) < 1_000
            granted(receiver)

    trio.run(main)


@pytest.mark.invariant("C3", "P2")
async def test_whoever_never_reads_holds_one_grant_one_request_and_two_ticks(autojump_clock):
    settings = {"estimate_timeout": float("inf"), "probe_patience": float("inf")}
    async with open_allocator(initial_estimate=2 * MEDIUM, **settings) as allocator:
        one, two = (allocator.register_track_receiver(CAMERA, MEDIUM) for _ in range(2))
        for _ in range(5):
            allocator.update_bandwidth_estimation(MEDIUM + LOW)
            await trio.sleep(0.2)
            allocator.update_bandwidth_estimation(2 * MEDIUM)
            one.request_allocation(HIGH)
            two.request_allocation(HIGH)
            await trio.sleep(6)
        for receiver in (one, two):
            assert len(unread(receiver)) <= 3


@pytest.mark.invariant("G1")
async def test_a_grant_replaces_the_unread_one_before_it(autojump_clock):
    async with open_allocator(initial_estimate=HIGH) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, LOW)
        receiver.request_allocation(HIGH)
        receiver.request_allocation(MEDIUM)
        assert granted(receiver).allocation == receiver.allocation == MEDIUM


@pytest.mark.invariant("G1")
@given(st.random_module(), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_the_last_grant_read_is_what_is_held(_seed, rates):
    async def main():
        read = []
        async with open_passthrough_allocator() as allocator, trio.open_nursery() as nursery:
            receiver = allocator.register_track_receiver(PLAIN)

            async def reader():
                async for message in receiver:
                    read.append(message.allocation)
                    for _ in range(random.randrange(3)):
                        await trio.lowlevel.checkpoint()

            nursery.start_soon(reader)
            changes = [0]
            for rate in rates:
                receiver.request_allocation(rate)
                if rate != changes[-1]:
                    changes.append(rate)
                if random.random() < 0.5:
                    await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert (read or [0])[-1] == rates[-1]
        following = iter(changes[1:])
        assert all(rate in following for rate in read)  # in order, each change at most once

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# --- waiting ---------------------------------------------------------------------------------


async def test_a_message_wakes_the_reader(mailbox):
    read = []

    async def reader():
        read.append(await mailbox.receive())

    for put, message in ((mailbox.put_grant, NEW), (mailbox.put_request, REQUEST)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader)
            await trio.testing.wait_all_tasks_blocked()
            put(message)
    assert read == [NEW, REQUEST]


@pytest.mark.invariant("N7")
async def test_a_reader_woken_for_what_is_withdrawn_sleeps_on(mailbox):
    read = []

    async def reader():
        read.append(await mailbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.put_request(REQUEST)
        mailbox.withdraw_request()
        await trio.testing.wait_all_tasks_blocked()
        assert read == []
        mailbox.put_grant(NEW)
    assert read == [NEW]


@pytest.mark.invariant("N7")
async def test_what_is_withdrawn_at_the_readers_checkpoint_is_not_handed_out(mailbox):
    read = []
    mailbox.put_request(REQUEST)

    async def reader():
        read.append(await mailbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.lowlevel.checkpoint()  # the reader has seen it, and is at its checkpoint
        mailbox.withdraw_request()
        mailbox.put_grant(NEW)
    assert read == [NEW]
    assert taken(mailbox) == []


async def test_a_newer_grant_overtakes_the_one_that_woke_the_reader(mailbox):
    read = []

    async def reader():
        read.append(await mailbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.put_grant(OLD)
        mailbox.put_grant(NEW)
    assert read == [NEW]


@pytest.mark.parametrize("exception", [trio.ClosedResourceError, trio.EndOfChannel])
async def test_the_end_wakes_the_reader(mailbox, exception):
    async def reader():
        with pytest.raises(exception):
            await mailbox.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.end(has_ended)


async def test_two_readers_collide(mailbox):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.receive)
        await trio.testing.wait_all_tasks_blocked()
        with trio.testing.assert_checkpoints(), pytest.raises(trio.BusyResourceError):
            await mailbox.receive()
        mailbox.put_grant(NEW)


async def test_a_reader_whose_message_was_taken_by_another_sleeps_on(mailbox):
    read = []

    async def reader():
        read.append(await mailbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.put_grant(OLD)
        assert taken(mailbox) == [OLD]
        await trio.testing.wait_all_tasks_blocked()
        mailbox.put_grant(NEW)
    assert read == [NEW]


# --- cancellation ----------------------------------------------------------------------------


async def test_a_cancelled_reader_can_be_followed_by_another(mailbox):
    with trio.move_on_after(0):
        await mailbox.receive()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.receive)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    mailbox.put_grant(NEW)
    assert await mailbox.receive() == NEW


async def test_a_cancelled_receive_takes_nothing(mailbox, account):
    account.unread = 256
    mailbox.put_grant(NEW)
    mailbox.put_request(REQUEST)
    for _ in range(3):
        with trio.CancelScope() as scope:
            scope.cancel()
            await mailbox.receive()
        assert scope.cancelled_caught
    assert taken(mailbox) == [NEW, REQUEST, SendPadding(256, 1)]


@pytest.mark.invariant("G1")
@given(st.random_module(), st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_wherever_a_receive_is_cancelled_nothing_is_lost(_seed, before, between, first):
    async def main():
        mailbox = Mailbox(1, PaddingAccount(), None)
        read = []

        async def reader(scope):
            with scope:
                read.append(await mailbox.receive())

        async def put():
            mailbox.put_grant(NEW)

        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            nursery.start_soon(reader, scope)
            for _ in range(before):
                await trio.lowlevel.checkpoint()
            acts = [put, trio.lowlevel.checkpoint]
            await acts[not first]()
            for _ in range(between):
                await trio.lowlevel.checkpoint()
            scope.cancel()
            await acts[first]()
        assert read + taken(mailbox) == [NEW]
        assert scope.cancelled_caught == (not read)

    trio.run(main)


# --- checkpoints -----------------------------------------------------------------------------


async def test_receiving_passes_a_checkpoint_each_time(mailbox, account):
    account.unread = 256
    mailbox.put_grant(NEW)
    mailbox.put_request(REQUEST)
    for _ in range(3):
        with trio.testing.assert_checkpoints():
            await mailbox.receive()
    mailbox.end(has_ended)
    with trio.testing.assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
        await mailbox.receive()


async def test_putting_and_taking_never_pass_one(mailbox):
    with trio.testing.assert_no_checkpoints():
        mailbox.put_grant(NEW)
        mailbox.put_request(REQUEST)
        mailbox.receive_nowait()
        mailbox.withdraw_request()
        with pytest.raises(trio.WouldBlock):
            mailbox.receive_nowait()
        mailbox.end(has_ended)


# --- L2: a leaver among those who get messages -----------------------------------------------


@pytest.mark.invariant("L2", "N7")
async def test_a_request_no_longer_needed_is_withdrawn_unread(autojump_clock):
    async with open_allocator(initial_estimate=HIGH) as allocator:
        one, two = (allocator.register_track_receiver(CAMERA, HIGH) for _ in range(2))
        assert allocator.status.asked == 2
        one.close()
        assert unread(two) == []


async def test_a_request_read_before_it_was_withdrawn_binds_nobody(autojump_clock):
    async with open_allocator(initial_estimate=MEDIUM) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, HIGH)
        request = asked(receiver)
        allocator.update_bandwidth_estimation(HIGH)
        assert receiver.accept_decrease(request, LOW) is False
        assert (receiver.allocation, unread(receiver)) == (HIGH, [])
