"""The contract of `ConnectionAllocator`: whoever implements it passes the same tests."""

import math
from decimal import Decimal
from fractions import Fraction
from functools import partial

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, MICROPHONE, PLAIN, granted, unread
from trio_allocator import (
    AcceptDecrease,
    AllocationGranted,
    BufferSent,
    DecreaseAllocation,
    GrantReason,
    PassthroughAllocator,
    ProbingAllocator,
    RejectDecrease,
    RequestAllocation,
    SetNegotiabilityStatus,
    SetOptions,
    SetVariants,
    open_allocator,
    open_passthrough_allocator,
)
from trio_allocator.interface import ConnectionAllocator, ReceiverHandle

OPENERS = {
    "probing": partial(open_allocator, initial_estimate=100_000_000),
    "passthrough": open_passthrough_allocator,
}
CREATORS = {
    "probing": partial(ProbingAllocator.create, initial_estimate=100_000_000),
    "passthrough": PassthroughAllocator.create,
}


@pytest.fixture(params=OPENERS)
def opener(request):
    return OPENERS[request.param]


@pytest.fixture
async def allocator(opener):
    async with opener() as allocator:
        yield allocator


@pytest.fixture
def receiver(allocator):
    return allocator.register_track_receiver(PLAIN, 1_000_000)


# --- the seven operations --------------------------------------------------------------------


async def test_both_are_what_the_contract_names(allocator):
    assert isinstance(allocator, ConnectionAllocator)
    with allocator.register_track_receiver(CAMERA) as receiver:
        assert isinstance(receiver, ReceiverHandle)
        assert isinstance(receiver, trio.abc.ReceiveChannel)


async def test_what_a_newcomer_sends_is_allocated_without_question_or_message(allocator):
    receiver = allocator.register_track_receiver(CAMERA, bandwidth=165_000.9)
    assert (receiver.allocation, receiver.claim, unread(receiver)) == (165_000, 165_000, [])


async def test_it_registers_with_nothing_unless_told(allocator):
    assert allocator.register_track_receiver(CAMERA).allocation == 0


async def test_options_default_by_the_track(allocator):
    camera = allocator.register_track_receiver(CAMERA).options
    microphone = allocator.register_track_receiver(MICROPHONE).options
    assert (camera.negotiable, camera.can_pad) == (True, True)
    assert (microphone.negotiable, microphone.can_pad) == (False, False)
    assert (camera.priority, camera.weight, camera.pausable, camera.elastic) == (0, 1, False, False)


async def test_a_raise_is_granted_in_the_call_and_told(receiver):
    receiver.request_allocation(2_000_000.7)
    assert receiver.allocation == receiver.claim == 2_000_000
    assert granted(receiver) == AllocationGranted(2_000_000, GrantReason.GRANTED, receiver.id)


@pytest.mark.invariant("G9")
async def test_a_lowering_is_granted_in_the_call_and_replaces_the_claim(receiver):
    receiver.request_allocation(400_000)
    assert receiver.allocation == receiver.claim == 400_000
    assert granted(receiver) == AllocationGranted(400_000, GrantReason.LOWERED, receiver.id)


@pytest.mark.invariant("G3")
async def test_asking_for_what_is_held_is_not_answered(receiver):
    receiver.request_allocation(1_000_000)
    assert unread(receiver) == []


@pytest.mark.invariant("G3")
async def test_asking_twice_is_answered_once(receiver):
    receiver.request_allocation(2_000_000)
    granted(receiver)
    receiver.request_allocation(2_000_000)
    assert unread(receiver) == []


async def test_a_ladder_gets_the_whole_claim_where_it_fits(allocator):
    receiver = allocator.register_track_receiver(CAMERA, LOW)
    receiver.request_allocation(HIGH)
    assert granted(receiver).allocation == HIGH


async def test_a_claim_is_granted_up_to_the_cap(allocator):
    receiver = allocator.register_track_receiver(PLAIN, max_bitrate=700_000)
    receiver.request_allocation(2_000_000)
    assert (receiver.claim, granted(receiver).allocation) == (2_000_000, 700_000)
    receiver.set_options(max_bitrate=None)
    assert granted(receiver).allocation == 2_000_000


async def test_a_cap_below_what_is_held_takes_effect_in_the_call(receiver):
    receiver.set_options(max_bitrate=300_000)
    assert granted(receiver) == AllocationGranted(300_000, GrantReason.LOWERED, receiver.id)


async def test_the_ladder_changes_and_what_is_allocated_stays(allocator):
    receiver = allocator.register_track_receiver(CAMERA, MEDIUM)
    receiver.set_variants({"only": 300_000.5})
    assert receiver.track.variants == {"only": 300_000}
    assert (receiver.allocation, unread(receiver)) == (MEDIUM, [])
    assert CAMERA.allocation("low") == LOW  # the caller's value is the caller's


async def test_options_change_one_by_one(receiver):
    receiver.set_options(priority=7, weight=2.5)
    receiver.set_negotiability_status(True)
    assert (receiver.options.priority, receiver.options.weight) == (7, 2.5)
    assert receiver.options.negotiable is True
    receiver.set_negotiability_status(False)
    assert receiver.options.negotiable is False


async def test_what_was_sent_is_counted(receiver):
    for size in (1_200, 0, 65_536, 10.9):
        receiver.buffer_sent(size)
    receiver.buffer_sent(255, padding=True)
    assert receiver.bytes_sent == 1_200 + 65_536 + 10 + 255


async def test_estimates_are_shown_floored(allocator):
    allocator.update_bandwidth_estimation(3_000_000.9)
    assert allocator.estimate.value == 3_000_000
    assert await allocator.estimate.wait_value(3_000_000) == 3_000_000


# --- force -----------------------------------------------------------------------------------


@pytest.mark.invariant("G9")
async def test_force_lowers_without_asking_and_keeps_the_claim(allocator, receiver):
    allocator.force_allocation(receiver, 300_000.9)
    assert (receiver.allocation, receiver.claim) == (300_000, 1_000_000)
    assert granted(receiver) == AllocationGranted(300_000, GrantReason.FORCED, receiver.id)


async def test_force_leaves_alone_who_holds_no_more_than_that(allocator, receiver):
    allocator.force_allocation(receiver, 1_000_000)
    allocator.force_allocation(receiver, 2_000_000)
    assert (receiver.allocation, unread(receiver)) == (1_000_000, [])


@pytest.mark.invariant("A5")
async def test_force_reaches_who_is_not_negotiable(allocator):
    receiver = allocator.register_track_receiver(PLAIN, 1_000_000, negotiable=False)
    allocator.force_allocation(receiver, 0)
    assert granted(receiver).allocation == 0


@pytest.mark.invariant("G3")
@pytest.mark.defect(14)
async def test_asking_for_what_is_held_calls_off_a_raise_and_is_answered_once(allocator, receiver):
    allocator.force_allocation(receiver, 300_000)
    granted(receiver)
    receiver.request_allocation(300_000)
    assert receiver.claim == 300_000
    assert granted(receiver).allocation == 300_000
    receiver.request_allocation(300_000)
    assert unread(receiver) == []


@pytest.mark.invariant("G3")
async def test_an_option_that_changes_no_claim_does_not_undo_force(allocator, receiver):
    allocator.force_allocation(receiver, 300_000)
    granted(receiver)
    receiver.set_negotiability_status(False)
    receiver.set_options(weight=3)
    assert (receiver.allocation, unread(receiver)) == (300_000, [])


# --- identity and lifetime -------------------------------------------------------------------


@pytest.mark.defect(8)
async def test_the_same_track_registered_twice_is_two_receivers(allocator):
    first = allocator.register_track_receiver(CAMERA, LOW)
    second = allocator.register_track_receiver(CAMERA, MEDIUM)
    assert first.id < second.id
    assert first != second
    second.request_allocation(HIGH)
    assert granted(second).receiver_id == second.id
    assert unread(first) == []
    second.close()
    assert first.allocation == LOW
    first.request_allocation(MEDIUM)
    assert granted(first).allocation == MEDIUM


def operations(receiver):
    """Every operation of a handle, with arguments that it would take."""
    request = DecreaseAllocation(1, 0, 1, receiver.id)
    return {
        "buffer_sent": lambda: receiver.buffer_sent(1_200),
        "buffer_sent padding": lambda: receiver.buffer_sent(255, padding=True),
        "buffer_sent jumbo": lambda: receiver.buffer_sent(100_000),
        "request_allocation": lambda: receiver.request_allocation(1),
        "set_negotiability_status": lambda: receiver.set_negotiability_status(True),
        "set_options": lambda: receiver.set_options(priority=1),
        "set_variants": lambda: receiver.set_variants({}),
        "accept_decrease": lambda: receiver.accept_decrease(request),
        "reject_decrease": lambda: receiver.reject_decrease(request),
        "receive_nowait": receiver.receive_nowait,
        "send_nowait": lambda: receiver.send_nowait(RequestAllocation(1)),
    }


@pytest.mark.invariant("L2")
@pytest.mark.defect(1)
async def test_a_receiver_that_left_gets_closed_errors_and_hurts_nobody(allocator, receiver):
    other = allocator.register_track_receiver(PLAIN)
    receiver.request_allocation(2_000_000)
    with receiver:
        pass
    for operation in operations(receiver).values():
        with pytest.raises(trio.ClosedResourceError):
            operation()
    with pytest.raises(trio.ClosedResourceError):
        await receiver.receive()
    assert [message async for message in receiver] == []
    receiver.close()
    await receiver.aclose()
    other.request_allocation(500_000)
    assert granted(other).allocation == 500_000


@pytest.mark.invariant("L2")
async def test_a_reader_is_told_when_its_registration_ends(allocator, receiver):
    seen = []

    async def read():
        seen.extend([message async for message in receiver])
        seen.append("end")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        receiver.close()
    assert seen == ["end"]


@pytest.mark.invariant("L1")
async def test_a_reader_is_told_when_the_allocator_ends(opener, autojump_clock):
    seen = []
    async with trio.open_nursery() as nursery:
        async with opener() as allocator:
            receiver = allocator.register_track_receiver(PLAIN)

            async def wait():
                with pytest.raises(trio.ClosedResourceError):
                    await receiver.receive()
                seen.append("closed")

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
    assert seen == ["closed"]


async def check_ended(allocator, receiver):
    for operation in operations(receiver).values():
        with pytest.raises(trio.ClosedResourceError):
            operation()
    for operation in (
        lambda: allocator.register_track_receiver(PLAIN),
        lambda: allocator.update_bandwidth_estimation(1),
        lambda: allocator.force_allocation(receiver, 1),
        lambda: allocator.estimate.value,
    ):
        with pytest.raises(trio.ClosedResourceError):
            operation()
    assert [message async for message in receiver] == []
    with pytest.raises(trio.ClosedResourceError):
        await allocator.estimate.wait_value(1)
    async with allocator.estimate.eventual_values() as values:
        assert [value async for value in values] == []
    repr(allocator.estimate)
    repr(receiver)
    receiver.close()
    await allocator.destroy()


@pytest.mark.invariant("L1")
async def test_after_the_block_every_operation_is_closed(opener, autojump_clock):
    async with opener() as allocator:
        receiver = allocator.register_track_receiver(PLAIN, 5)
        receiver.request_allocation(6)
    await check_ended(allocator, receiver)


@pytest.mark.invariant("L1")
@pytest.mark.parametrize("kind", CREATORS)
async def test_create_and_destroy_in_a_nursery_of_the_callers(kind, autojump_clock):
    async with trio.open_nursery() as nursery:
        allocator = CREATORS[kind](nursery)
        receiver = allocator.register_track_receiver(PLAIN, 5)
        receiver.request_allocation(600)
        assert granted(receiver).allocation == 600
        with trio.testing.assert_checkpoints():
            await allocator.destroy()
        with trio.testing.assert_checkpoints():
            await allocator.destroy()
        assert not nursery.child_tasks
        await check_ended(allocator, receiver)


@pytest.mark.invariant("L1")
async def test_destroying_inside_the_block_is_no_error(opener, autojump_clock):
    async with opener() as allocator:
        await allocator.destroy()
        with pytest.raises(trio.ClosedResourceError):
            allocator.update_bandwidth_estimation(1)


async def test_an_async_with_on_the_handle_closes_it_too(allocator):
    async with allocator.register_track_receiver(PLAIN) as receiver:
        receiver.request_allocation(1)
    with pytest.raises(trio.ClosedResourceError):
        receiver.receive_nowait()


# --- typed data ------------------------------------------------------------------------------


async def test_every_message_does_what_its_method_does(allocator, receiver):
    assert receiver.send_nowait(BufferSent(1_200))
    assert receiver.send_nowait(BufferSent(255, padding=True))
    assert receiver.bytes_sent == 1_455
    assert receiver.send_nowait(RequestAllocation(2_000_000))
    assert granted(receiver).allocation == 2_000_000
    assert receiver.send_nowait(SetNegotiabilityStatus(True))
    assert receiver.options.negotiable is True
    assert receiver.send_nowait(SetOptions({"priority": 9, "elastic": True}))
    assert (receiver.options.priority, receiver.options.elastic) == (9, True)
    assert receiver.send_nowait(SetVariants({"a": 10, "b": 5}))
    assert receiver.track.steps == (5, 11)


@pytest.mark.parametrize(
    "message", [None, "request", 5, AllocationGranted(1, GrantReason.GRANTED, 1), BufferSent]
)
async def test_what_is_no_message_of_a_receiver_is_refused(receiver, message):
    with pytest.raises(TypeError):
        receiver.send_nowait(message)


@pytest.mark.invariant("N2")
@pytest.mark.defect(4)
async def test_an_answer_to_a_request_never_sent_raises_and_changes_nothing(allocator, receiver):
    other = allocator.register_track_receiver(PLAIN, 70)
    invented = DecreaseAllocation(1_000_000, 0, 77, receiver.id)
    for answer in (
        lambda: receiver.accept_decrease(invented),
        lambda: receiver.accept_decrease(invented, 5),
        lambda: receiver.reject_decrease(invented),
        lambda: other.accept_decrease(invented),
        lambda: other.reject_decrease(invented),
        lambda: receiver.send_nowait(AcceptDecrease(77, receiver.id)),
        lambda: receiver.send_nowait(RejectDecrease(0, receiver.id)),
        lambda: other.send_nowait(AcceptDecrease(77, receiver.id)),
    ):
        with pytest.raises(ValueError):
            answer()
    assert (receiver.allocation, other.allocation) == (1_000_000, 70)
    assert unread(receiver) == unread(other) == []


# --- what is refused at the door -------------------------------------------------------------

NO_NUMBERS = (True, "500", b"5", None, Decimal(5), 1j, [], object())
BAD_NUMBERS = (math.nan, math.inf, -math.inf, -1, -0.5, 10**16, 1e300, 10**400, Fraction(10**400))
RATES = {
    "estimate": lambda a, r, x: a.update_bandwidth_estimation(x),
    "bandwidth": lambda a, r, x: a.register_track_receiver(PLAIN, x),
    "registered minimum": lambda a, r, x: a.register_track_receiver(PLAIN, min_bitrate=x),
    "forced": lambda a, r, x: a.force_allocation(r, x),
    "requested": lambda a, r, x: r.request_allocation(x),
    "requested as data": lambda a, r, x: r.send_nowait(RequestAllocation(x)),
    "minimum": lambda a, r, x: r.set_options(min_bitrate=x),
    "minimum as data": lambda a, r, x: r.send_nowait(SetOptions({"min_bitrate": x})),
    "variant": lambda a, r, x: r.set_variants({"fine": 5, "bad": x}),
    "variant as data": lambda a, r, x: r.send_nowait(SetVariants({"bad": x})),
}
RATES_OR_NONE = {
    "registered cap": lambda a, r, x: a.register_track_receiver(PLAIN, max_bitrate=x),
    "cap": lambda a, r, x: r.set_options(max_bitrate=x),
}
SIZES = {
    "size": lambda a, r, x: r.buffer_sent(x),
    "size of padding": lambda a, r, x: r.buffer_sent(x, padding=True),
    "size as data": lambda a, r, x: r.send_nowait(BufferSent(x)),
}
WEIGHTS = {
    "registered weight": lambda a, r, x: a.register_track_receiver(PLAIN, weight=x),
    "weight": lambda a, r, x: r.set_options(weight=x),
}
FLAGS = {
    "padding": lambda a, r, x: r.buffer_sent(1_200, padding=x),
    "padding as data": lambda a, r, x: r.send_nowait(BufferSent(1_200, padding=x)),
    "negotiability": lambda a, r, x: r.set_negotiability_status(x),
    "negotiability as data": lambda a, r, x: r.send_nowait(SetNegotiabilityStatus(x)),
    **{
        name: lambda a, r, x, name=name: r.set_options(**{name: x})
        for name in ("negotiable", "pausable", "can_pad", "elastic")
    },
    "registered flag": lambda a, r, x: a.register_track_receiver(PLAIN, negotiable=x),
}
PRIORITIES = {
    "registered priority": lambda a, r, x: a.register_track_receiver(PLAIN, priority=x),
    "priority": lambda a, r, x: r.set_options(priority=x),
}
REFUSED = {
    **{
        f"{name} {value!r:.12}": (operation, value, TypeError)
        for name, operation in {**RATES, **SIZES, **WEIGHTS}.items()
        for value in NO_NUMBERS
    },
    **{
        f"{name} {value!r:.12}": (operation, value, TypeError)
        for name, operation in RATES_OR_NONE.items()
        for value in NO_NUMBERS
        if value is not None
    },
    **{
        f"{name} {value!r:.12}": (operation, value, ValueError)
        for name, operation in {**RATES, **RATES_OR_NONE, **SIZES}.items()
        for value in BAD_NUMBERS
    },
    **{
        f"{name} {value!r:.12}": (operation, value, ValueError)
        for name, operation in WEIGHTS.items()
        for value in (math.nan, math.inf, -1, 0, -0.5, 10**400, Fraction(10**400))
    },
    **{
        f"{name} {value!r:.12}": (operation, value, TypeError)
        for name, operation in FLAGS.items()
        for value in (0, 1, None, "yes", math.nan, [])
    },
    **{
        f"{name} {value!r:.12}": (operation, value, error)
        for name, operation in PRIORITIES.items()
        for value, error in (
            (-1, ValueError),
            (256, ValueError),
            (True, TypeError),
            (1.0, TypeError),
            ("1", TypeError),
            (None, TypeError),
        )
    },
    "track name": (lambda a, r, x: a.register_track_receiver(x), "camera", TypeError),
    "track None": (lambda a, r, x: a.register_track_receiver(x), None, TypeError),
    "unknown option": (lambda a, r, x: r.set_options(**{x: 1}), "colour", TypeError),
    "unknown option at the start": (
        lambda a, r, x: a.register_track_receiver(PLAIN, **{x: 1}),
        "colour",
        TypeError,
    ),
    "options no mapping": (lambda a, r, x: r.send_nowait(SetOptions(x)), 5, TypeError),
    "option no name": (lambda a, r, x: r.send_nowait(SetOptions(x)), {5: 5}, TypeError),
    "cap below minimum": (
        lambda a, r, x: r.set_options(min_bitrate=10, max_bitrate=x),
        9,
        ValueError,
    ),
    "bandwidth above cap": (
        lambda a, r, x: a.register_track_receiver(PLAIN, x, max_bitrate=5),
        6,
        ValueError,
    ),
    "variants list": (lambda a, r, x: r.set_variants(x), [1, 2], TypeError),
    "variants None": (lambda a, r, x: r.set_variants(x), None, TypeError),
    "variant without name": (lambda a, r, x: r.set_variants({x: 5}), 1, TypeError),
    "variant of nothing": (lambda a, r, x: r.set_variants({"none": x}), 0.5, ValueError),
    "forced None": (lambda a, r, x: a.force_allocation(x, 1), None, TypeError),
    "forced id": (lambda a, r, x: a.force_allocation(x, 1), 1, TypeError),
    "accepted None": (lambda a, r, x: r.accept_decrease(x), None, TypeError),
    "accepted id": (lambda a, r, x: r.accept_decrease(x, 5), 1, TypeError),
    "rejected text": (lambda a, r, x: r.reject_decrease(x), "1", TypeError),
    **{
        f"{kind.__name__} of {value!r}": (
            lambda a, r, x, kind=kind: r.send_nowait(kind(x, r.id)),
            value,
            TypeError,
        )
        for kind in (AcceptDecrease, RejectDecrease)
        for value in ("1", None, True, 1.0, [])
    },
    "answer of nobody": (
        lambda a, r, x: r.send_nowait(RejectDecrease(1, x)),
        "camera",
        TypeError,
    ),
}


def state(allocator, *receivers):
    """All that a caller can see."""
    return (
        getattr(allocator, "status", None),
        allocator.estimate.value,
        [
            (r.allocation, r.claim, r.options, r.track, r.bytes_sent, r.account.unconfirmed)
            for r in receivers
        ],
    )


@pytest.mark.invariant("I1")
@pytest.mark.defect(9)
@pytest.mark.parametrize(("operation", "value", "error"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("kind", OPENERS)
def test_nonsense_is_refused_at_the_call_and_changes_nothing(kind, operation, value, error):
    async def main():
        async with OPENERS[kind]() as allocator:
            receiver = allocator.register_track_receiver(PLAIN, 1_000_000)
            other = allocator.register_track_receiver(CAMERA, LOW)
            receiver.buffer_sent(1_200)
            before = state(allocator, receiver, other)
            with pytest.raises(error):
                operation(allocator, receiver, value)
            assert state(allocator, receiver, other) == before
            assert unread(receiver) == unread(other) == []
            newcomer = allocator.register_track_receiver(PLAIN)
            assert newcomer.id == other.id + 1
            receiver.request_allocation(2_000_000)
            assert granted(receiver).allocation == 2_000_000

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.invariant("I1")
async def test_a_stranger_can_not_be_forced(allocator, opener):
    async with opener() as elsewhere:
        stranger = elsewhere.register_track_receiver(PLAIN, 5)
        with pytest.raises(ValueError):
            allocator.force_allocation(stranger, 1)
        assert stranger.allocation == 5


@pytest.mark.invariant("L2")
async def test_who_left_can_not_be_forced(allocator, receiver):
    receiver.close()
    with pytest.raises(trio.ClosedResourceError):
        allocator.force_allocation(receiver, 1)


@pytest.mark.invariant("I1")
@pytest.mark.parametrize("name", ["float64", "float32", "int64", "uint8"])
async def test_numpy_numbers_are_numbers(allocator, receiver, name):
    number = getattr(pytest.importorskip("numpy"), name)
    receiver.request_allocation(number(250))
    receiver.buffer_sent(number(120))
    receiver.set_options(weight=number(2), min_bitrate=number(10))
    allocator.update_bandwidth_estimation(number(250))
    assert (receiver.allocation, receiver.bytes_sent, allocator.estimate.value) == (250, 120, 250)
    for value in (receiver.allocation, receiver.options.min_bitrate, allocator.estimate.value):
        assert type(value) is int
    assert type(receiver.options.weight) is float


@pytest.mark.invariant("I1")
async def test_the_largest_rate_is_a_terabit_and_more(allocator, receiver):
    allocator.update_bandwidth_estimation(10**12)
    receiver.request_allocation(10**12)
    receiver.request_allocation(0)
    receiver.request_allocation(-0.0)
    assert receiver.allocation == 0


# --- checkpoints -----------------------------------------------------------------------------


async def test_operations_never_checkpoint(allocator, receiver):
    with trio.testing.assert_no_checkpoints():
        other = allocator.register_track_receiver(CAMERA, LOW)
        allocator.update_bandwidth_estimation(3_000_000)
        allocator.force_allocation(receiver, 500_000)
        assert allocator.estimate.value == 3_000_000
        for name, operation in operations(receiver).items():
            if "decrease" in name:
                with pytest.raises(ValueError):
                    operation()
            else:
                operation()
        with pytest.raises(trio.WouldBlock):
            other.receive_nowait()
        with other:
            pass


async def test_receiving_and_closing_always_checkpoint(allocator, receiver):
    receiver.request_allocation(5)
    with trio.testing.assert_checkpoints():
        await receiver.receive()
    receiver.request_allocation(6)
    with trio.testing.assert_checkpoints():
        await anext(aiter(receiver))
    with trio.testing.assert_checkpoints():
        await receiver.aclose()
    with trio.testing.assert_checkpoints():
        await receiver.aclose()
    with trio.testing.assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
        await receiver.receive()
