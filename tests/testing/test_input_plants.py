"""Allocators that let nonsense in, and those that forget nothing."""

import math
from collections import deque

import pytest
import trio
import trio.testing

from trio_allocator import open_allocator, open_passthrough_allocator, quantities
from trio_allocator.engine.negotiator import Negotiator
from trio_allocator.engine.settlement import Settlement
from trio_allocator.messages import AcceptDecrease, BufferSent
from trio_allocator.shell.allocator import ProbingAllocator
from trio_allocator.shell.mailbox import Mailbox
from trio_allocator.shell.registration import Registration
from trio_allocator.testing.bench import Bench
from trio_allocator.testing.checks import input_and_cost

# --- I1 --------------------------------------------------------------------------------------


def truth_is_a_number(patch):
    """True is taken for one bit per second."""
    patch.setattr(quantities, "_real", lambda _name, value, _unit: value + 0)


def nonsense_is_nothing(patch):
    """What is no rate is silently taken for none (defect 9)."""
    right = quantities.bitrate

    def bitrate(name, value):
        try:
            return right(name, value)
        except ValueError:
            return 0

    patch.setattr(quantities, "bitrate", bitrate)


def whatever_int_takes(patch):
    """What `int` makes of an argument is the rate, and so are its exceptions."""

    def bitrate(name, value):
        number = int(value)
        if number < 0:
            raise ValueError(f"{name} must not be negative")
        return number

    patch.setattr(quantities, "bitrate", bitrate)


def rates_are_rounded(patch):
    """Half a bit more becomes a bit."""
    patch.setattr(quantities, "math", _Rounding)


class _Rounding:
    isfinite = math.isfinite
    isinf = math.isinf
    floor = round


def ten_gigabit_are_enough(patch):
    """The stated maximum is below a terabit per second."""
    patch.setattr(quantities, "MAX_BITRATE", 10**10)


def options_one_by_one(patch):
    """Those options before the one that is refused are changed."""
    right = Registration.set_options

    def set_options(self, **changes):
        for name, value in changes.items():
            right(self, **{name: value})

    patch.setattr(Registration, "set_options", set_options)


def answered_by_nonsense(patch):
    """An answer is taken before its rate is looked at."""
    right = Registration.send_answer

    def send_answer(self, answer):
        bitrate = getattr(answer, "bitrate", None)
        if bitrate is None:
            return right(self, answer)
        counts = right(self, AcceptDecrease(answer.request_id, answer.receiver_id))
        self.request_allocation(bitrate)
        return counts

    patch.setattr(Registration, "send_answer", send_answer)


def registered_before_it_is_checked(patch):
    """A registration that is refused has been made, and holds what it asked for."""
    right = ProbingAllocator.register_track_receiver

    def register_track_receiver(self, track, bandwidth=0, **options):
        registration = right(self, track, bandwidth)
        registration.set_options(**options)
        return registration

    patch.setattr(ProbingAllocator, "register_track_receiver", register_track_receiver)


# --- C3 --------------------------------------------------------------------------------------


def grants_queue_up(patch):
    """A mailbox keeps all grants until they are read."""
    patch.setattr(Mailbox, "__slots__", ())
    queues = {}
    right = Mailbox._take

    def put_grant(self, grant):
        queues.setdefault(self, deque()).append(grant)
        self.wake()

    def take(self):
        if self._ending is None and queues.get(self):
            return queues[self].popleft()
        return right(self)

    patch.setattr(Mailbox, "put_grant", put_grant)
    patch.setattr(Mailbox, "_take", take)


def handles_are_kept(patch):
    """The allocator keeps a list of all receivers that there ever were."""
    right = ProbingAllocator.leave
    everybody = []

    def leave(self, registration):
        everybody.append(registration)
        right(self, registration)

    patch.setattr(ProbingAllocator, "leave", leave)


def who_refused_is_remembered(patch):
    """A refusal outlives the receiver, until its back-off is over."""
    right = Settlement.forget

    def forget(self, receiver):
        with patch.context() as meanwhile:
            meanwhile.setattr(Negotiator, "forget_refusal", lambda _self, _receiver: None)
            right(self, receiver)

    patch.setattr(Settlement, "forget", forget)


def every_packet_is_kept(patch):
    """A history of packets, for the statistics."""
    right = Registration.buffer_sent
    history = []

    def buffer_sent(self, size, *, padding=False):
        right(self, size, padding=padding)
        history.append(BufferSent(size, padding, self.id))

    patch.setattr(Registration, "buffer_sent", buffer_sent)


# --- the kit ---------------------------------------------------------------------------------

PLANTS = {
    "I1": (
        truth_is_a_number,
        nonsense_is_nothing,
        whatever_int_takes,
        rates_are_rounded,
        ten_gigabit_are_enough,
        options_one_by_one,
        answered_by_nonsense,
        registered_before_it_is_checked,
    ),
    "C3": (
        grants_queue_up,
        handles_are_kept,
        who_refused_is_remembered,
        every_packet_is_kept,
    ),
}


@pytest.mark.invariant("I1", "C3")
@pytest.mark.parametrize("opener", [open_allocator, open_passthrough_allocator])
@pytest.mark.parametrize(
    "check", [check for checks in input_and_cost.CHECKS.values() for check in checks]
)
def test_the_healthy_pass(check, opener):
    trio.run(check, Bench(opener), clock=trio.testing.MockClock(autojump_threshold=0))
