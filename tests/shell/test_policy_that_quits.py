"""A policy that ends the program in the middle of a decision: nobody goes on with torn books (L3)."""

from __future__ import annotations

import pytest
import trio

from tests.shell.support import PLAIN
from trio_allocator import ProbingAllocator, WaterFillingPolicy, open_allocator

pytestmark = pytest.mark.invariant("L3")


class Quitting:
    """Wants to end the program once there are two receivers, or the estimate is low."""

    def __init__(self, error):
        self.error = error

    def __call__(self, claims, capacity):
        if len(claims) == 2 or capacity < 100_000:
            raise self.error
        return WaterFillingPolicy()(claims, capacity)


@pytest.fixture(params=[SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def quitting(request):
    return Quitting(request.param)


async def quits_in_a_call(allocator, quitting):
    """Let the policy quit while somebody registers; the allocator is of no use any more."""
    receiver = allocator.register_track_receiver(PLAIN, 165_000)
    with pytest.raises(type(quitting.error)) as caught:
        allocator.register_track_receiver(PLAIN, 500_000)
    assert caught.value is quitting.error
    assert allocator.failure is quitting.error
    for use in (
        lambda: allocator.status,
        lambda: allocator.update_bandwidth_estimation(2_000_000),
        lambda: receiver.request_allocation(5),
    ):
        with pytest.raises(trio.BrokenResourceError) as broken:
            use()
        assert broken.value.__cause__ is quitting.error


async def test_the_block_of_an_allocator_ends_with_what_its_policy_raised(quitting, autojump_clock):
    with pytest.raises(type(quitting.error)) as caught:
        async with open_allocator(policy=quitting, initial_estimate=1e6) as allocator:
            await quits_in_a_call(allocator, quitting)
            await trio.sleep_forever()
    assert caught.value is quitting.error


async def test_what_passes_through_the_block_is_not_chained_to_itself(quitting, autojump_clock):
    with pytest.raises(type(quitting.error)) as caught:
        async with open_allocator(policy=quitting, initial_estimate=1e6) as allocator:
            allocator.register_track_receiver(PLAIN, 165_000)
            allocator.register_track_receiver(PLAIN, 500_000)
    assert caught.value is quitting.error
    assert caught.value.__context__ is not caught.value


async def test_a_nursery_of_ones_own_hears_of_it(quitting, autojump_clock):
    with pytest.RaisesGroup(type(quitting.error)) as caught:
        async with trio.open_nursery() as nursery:
            allocator = ProbingAllocator.create(nursery, policy=quitting, initial_estimate=1e6)
            await quits_in_a_call(allocator, quitting)
    assert caught.value.exceptions == (quitting.error,)


async def test_a_policy_that_quits_while_time_passes_ends_the_block(quitting, autojump_clock):
    def late(claims, capacity):
        # At first nobody looks at this: it is asked again when estimates have stopped.
        if trio.current_time() > started + 1:
            raise quitting.error
        return WaterFillingPolicy()(claims, capacity)

    started = trio.current_time()
    with pytest.raises(type(quitting.error)) as caught:
        async with open_allocator(policy=late, initial_estimate=300_000, hold=2.0) as allocator:
            receiver = allocator.register_track_receiver(PLAIN, 165_000)
            allocator.force_allocation(receiver, 50_000)
            await trio.sleep_forever()
    assert caught.value is quitting.error
    assert allocator.failure is quitting.error
