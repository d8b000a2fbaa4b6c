"""Receivers of all kinds: a manner that takes its time looks again before it answers."""

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, HIGH, LOW
from trio_allocator import AcceptDecrease
from trio_allocator.testing import RecordingAllocator
from trio_allocator.testing.bench import Terms
from trio_allocator.testing.manners import Behaviour, Manner
from trio_allocator.testing.observer import Observer


@pytest.mark.parametrize("manner", [Manner.SLOW, Manner.LATE])
@pytest.mark.parametrize(("lowered", "answers"), [(True, 0), (False, 1)])
async def test_a_receiver_that_is_there_already_does_not_answer_any_more(
    manner, lowered, answers, autojump_clock
):
    with RecordingAllocator(negotiation_timeout=10) as allocator:
        allocator.update_bandwidth_estimation(LOW)
        handle = allocator.register_track_receiver(CAMERA, HIGH)
        observer = Observer(allocator, Terms())
        member = observer.join(handle, HIGH, honest=False)
        behaviour = Behaviour(observer, member, manner, Terms())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(behaviour.run)
            allocator.ask(handle, LOW)
            await trio.testing.wait_all_tasks_blocked()
            assert allocator.calls_of(AcceptDecrease) == []
            if lowered:
                handle.request_allocation(LOW)
            await trio.sleep(1)
            assert len(allocator.calls_of(AcceptDecrease)) == answers
            assert handle.allocation == LOW
            assert observer.violations == []
            behaviour.scope.cancel()
