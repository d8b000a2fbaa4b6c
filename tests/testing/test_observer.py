"""What an outsider may object to, at a time when it hears late."""

from contextlib import nullcontext

import pytest

from tests.shell.support import CAMERA, HIGH, LOW
from trio_allocator.testing import InvariantError, RecordingAllocator
from trio_allocator.testing.bench import Terms
from trio_allocator.testing.observer import Observer


@pytest.fixture
async def refuser(autojump_clock):
    """An observer, and a way for one that refused at an estimate to be asked after others."""
    with RecordingAllocator() as allocator:

        def ask(at, *estimates):
            allocator.update_bandwidth_estimation(at)
            handle = allocator.register_track_receiver(CAMERA, HIGH)
            observer = Observer(allocator, Terms())
            member = observer.join(handle, HIGH, honest=False)
            observer.answer(member, asked(handle, allocator), accept=False)
            for estimate in estimates:
                observer.call(None, allocator.update_bandwidth_estimation, estimate)
            observer.heard(member, asked(handle, allocator))

        yield ask


def asked(handle, allocator):
    request = allocator.ask(handle, LOW)
    assert handle.receive_nowait() == request
    return request


@pytest.mark.invariant("N5")
@pytest.mark.parametrize("estimates", [(), (1_000,), (1_001,)])
async def test_who_refused_is_left_alone_where_the_estimate_has_not_fallen(refuser, estimates):
    with pytest.raises(InvariantError, match="N5"):
        refuser(1_000, *estimates)


@pytest.mark.invariant("N5")
async def test_an_estimate_of_nothing_is_one_to_refuse_at(refuser):
    with pytest.raises(InvariantError, match="N5"):
        refuser(0, 0)


@pytest.mark.invariant("N5")
@pytest.mark.parametrize("estimates", [(999,), (999, 2_000)])
async def test_who_is_asked_after_a_fall_may_hear_of_it_when_that_is_over(refuser, estimates):
    refuser(1_000, *estimates)


@pytest.mark.invariant("P1")
@pytest.mark.parametrize(
    ("estimate", "broken"),
    [(None, "without a live estimate"), (LOW - 1, "in overuse, of 1 bit/s"), (LOW, None)],
)
async def test_padding_that_is_due_needs_an_estimate_that_covers_what_is_held(
    estimate, broken, autojump_clock
):
    with RecordingAllocator(grant_requests=False) as allocator:
        handle = allocator.register_track_receiver(CAMERA, LOW)
        observer = Observer(allocator, Terms())
        member = observer.join(handle, LOW, honest=True)
        if estimate is not None:
            observer.call(None, allocator.update_bandwidth_estimation, estimate)
        observer.call(member, handle.request_allocation, HIGH)
        allocator.pad(handle, 1_000)
        with nullcontext() if broken is None else pytest.raises(InvariantError, match=broken):
            observer.heard(member, handle.receive_nowait())
