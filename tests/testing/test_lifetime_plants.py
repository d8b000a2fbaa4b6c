"""Allocators that outlive their blocks, or are careless with what is their users'."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from trio_allocator import open_allocator, open_passthrough_allocator, quantities
from trio_allocator.engine.effects import Cause, DecisionReason
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.probing.padding import Meter, Padding
from trio_allocator.engine.settlement import Settlement
from trio_allocator.shell import opening
from trio_allocator.shell.allocator import ProbingAllocator
from trio_allocator.shell.mailbox import Mailbox
from trio_allocator.shell.registration import Registration
from trio_allocator.shell.tasks import Timekeeper
from trio_allocator.shell.watching import WatchedValue
from trio_allocator.testing.bench import Bench
from trio_allocator.testing.checks import lifetime

# --- L1 --------------------------------------------------------------------------------------


def tasks_that_nobody_waits_for(patch):
    """Its tasks belong to the run, and end some time after the block."""

    async def dawdle(work):
        await work()
        for _ in range(3):  # in whatever order tasks run, it is there when the block is left
            await trio.lowlevel.checkpoint()

    def start(self, _nursery):
        self._running = 2
        self.arm()
        trio.lowlevel.spawn_system_task(dawdle, self._watch)
        trio.lowlevel.spawn_system_task(dawdle, self._probe)

    patch.setattr(Timekeeper, "start", start)


def destroy_does_not_wait(patch):
    """Destroying says that it is over while the tasks still run."""

    async def wait_ended(_self):
        pass

    patch.setattr(Timekeeper, "wait_ended", wait_ended)


def receivers_are_not_told(patch):
    """When it ends its receivers are left to their own devices."""

    def end_registrations(self):
        self._registrations.clear()
        self._estimate.end()
        self._time.stop()

    patch.setattr(ProbingAllocator, "_end_registrations", end_registrations)


def readers_sleep_on(patch):
    """Who waits for a message when it ends is not woken."""

    def end(self, ending):
        self._grant = self._request = None
        self._ending = ending

    patch.setattr(Mailbox, "end", end)


def packets_of_the_dead_are_counted(patch):
    """The hot path does not look whether the allocator has ended."""
    patch.setattr("trio_allocator.shell.registration._EndedMeter", lambda _ending: Meter())


def it_ends_with_its_tasks(patch):
    """A block that is cancelled loses its allocator before its body has ended."""
    patch.setattr(ProbingAllocator, "_start_in_block", ProbingAllocator._start)


# --- L2 --------------------------------------------------------------------------------------


def nothing_is_freed(patch):
    """What a leaver held stays booked."""

    def remove(self, receiver):
        self.mark_waiting(receiver, None)
        del self._receivers[receiver.id]

    patch.setattr(Ledger, "remove", remove)


def freed_at_the_next_estimate(patch):
    """What a leaver held is free, but nobody hears of it."""

    def leave(self, now, receiver):
        self._begin(now, Cause.LEAVING)
        self.settlement.forget(receiver)
        self.prober.padding.leave(receiver.id)
        self.ledger.remove(receiver)

    patch.setattr(Engine, "leave", leave)


def leaving_twice_frees_twice(patch):
    """Each call of close() takes what the receiver held off the books."""
    right = Registration.close
    engines = {}

    def close(self):
        if self._desk is not None:
            engines[self] = self._desk._engine
        elif self in engines:
            engines[self].ledger.committed -= self.allocation
            engines[self].ledger.projected -= self.allocation
        right(self)

    patch.setattr(Registration, "close", close)


def its_request_stays_open(patch):
    """An answer is waited for from somebody who has left."""
    right = Settlement.withdraw

    def withdraw(self, receiver, reason):
        if reason is not DecisionReason.CLOSED:
            right(self, receiver, reason)

    patch.setattr(Settlement, "withdraw", withdraw)


def its_mail_stays(patch):
    """A receiver that has left can still read what it was sent."""

    def end(self, ending):
        self._ending = ending
        self.wake()

    right = Mailbox._take

    def take(self):
        ending, self._ending = self._ending, None
        try:
            message = right(self)
        finally:
            self._ending = ending
        return message if message is not None or ending is None else right(self)

    patch.setattr(Mailbox, "end", end)
    patch.setattr(Mailbox, "_take", take)


def who_has_left_may_still_ask(patch):
    """A receiver that has left is served like any other (defect 1, without the crash)."""

    def end(self, ending):
        self.mailbox.end(ending)

    patch.setattr(Registration, "end", end)


def padding_for_those_who_left(patch):
    """The rotation keeps who has left, and what they do not get counts as sent (defect 2)."""

    def pad(self):
        for receiver_id in self._decide(self._engine.prober.tick):
            if receiver_id in self._registrations:
                self._registrations[receiver_id].mailbox.wake()

    patch.setattr(Padding, "leave", lambda _self, _receiver_id: None)
    patch.setattr(ProbingAllocator, "_pad", pad)


def cancelling_a_reader_ends_its_registration(patch):
    """A receiver is closed by whatever cancels one receive()."""
    right = Registration.receive

    async def receive(self):
        try:
            return await right(self)
        except trio.Cancelled:
            self.close()
            raise

    patch.setattr(Registration, "receive", receive)


# --- L4 --------------------------------------------------------------------------------------


@asynccontextmanager
async def in_a_plain_nursery(start):
    """What the body raises comes out in a group."""
    async with trio.open_nursery() as nursery:
        being = start(nursery)
        try:
            yield being
        finally:
            being.close()


@asynccontextmanager
async def in_a_collapsing_nursery(start):
    """A group of one is unwrapped; cancelled, there are more in it."""
    try:
        async with in_a_plain_nursery(start) as being:
            yield being
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None  # noqa: ASYNC123 - that is what is wrong
        raise


@asynccontextmanager
async def swallowing(start):
    """Cancellation is taken for the wish to close the allocator, and no more."""
    async with trio.open_nursery() as nursery:
        being = start(nursery)
        try:
            yield being
        except trio.Cancelled:  # noqa: ASYNC103 - that is what is wrong
            pass
        finally:
            being.close()


@asynccontextmanager
async def translating(start):
    """All errors are made its own."""
    try:
        async with in_a_collapsing_nursery(start) as being:
            yield being
    except Exception as error:
        raise trio.BrokenResourceError("something went wrong in the allocator") from error


def blocks(manager):
    """Open allocators in another kind of block."""

    def plant(patch):
        patch.setattr(opening, "living", manager)

    plant.__name__ = manager.__name__
    return plant


# --- L5 --------------------------------------------------------------------------------------


def watchers_come_before_messages(patch):
    """Watchers run when the books are settled, and before anybody has been told."""

    def deliver(self):
        self._estimate.publish(self._engine.estimates.value)
        self._hand_out()
        self._reporter.report()

    patch.setattr(ProbingAllocator, "_deliver", deliver)


def watchers_come_before_decisions(patch):
    """Watchers hear of an estimate first, and then it is acted upon."""
    right = ProbingAllocator.update_bandwidth_estimation

    def update_bandwidth_estimation(self, estimate, *, carried=None):
        self._check_open()
        self._estimate.publish(quantities.bitrate("estimate", estimate))
        right(self, estimate, carried=carried)

    patch.setattr(ProbingAllocator, "update_bandwidth_estimation", update_bandwidth_estimation)


def watchers_interrupt_each_other(patch):
    """What a watcher delivers is published in the midst of what it was told of."""

    def publish(self, value):
        self._next = value
        self._value.value = value

    patch.setattr(WatchedValue, "_publish", publish)


def watchers_fail_who_delivers(patch):
    """What a watcher's predicate raises comes out of the call that delivers an estimate."""

    async def wait_value(self, wanted):
        return await self._value.wait_value(wanted)

    patch.setattr(WatchedValue, "wait_value", wait_value)


# --- the kit ---------------------------------------------------------------------------------

PLANTS = {
    "L1": (
        tasks_that_nobody_waits_for,
        destroy_does_not_wait,
        receivers_are_not_told,
        readers_sleep_on,
        packets_of_the_dead_are_counted,
        it_ends_with_its_tasks,
    ),
    "L2": (
        nothing_is_freed,
        freed_at_the_next_estimate,
        leaving_twice_frees_twice,
        its_request_stays_open,
        its_mail_stays,
        who_has_left_may_still_ask,
        padding_for_those_who_left,
        cancelling_a_reader_ends_its_registration,
    ),
    "L4": tuple(
        map(blocks, (in_a_plain_nursery, in_a_collapsing_nursery, swallowing, translating))
    ),
    "L5": (
        watchers_come_before_messages,
        watchers_come_before_decisions,
        watchers_interrupt_each_other,
        watchers_fail_who_delivers,
    ),
}


@pytest.mark.invariant("L1", "L2", "L4", "L5")
@pytest.mark.parametrize("opener", [open_allocator, open_passthrough_allocator])
@pytest.mark.parametrize(
    "check", [check for checks in lifetime.CHECKS.values() for check in checks]
)
def test_the_healthy_pass(check, opener):
    trio.run(check, Bench(opener), clock=trio.testing.MockClock(autojump_threshold=0))
