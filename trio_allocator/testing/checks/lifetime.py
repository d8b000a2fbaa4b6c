"""L1, L4 and what belongs to them: an allocator lives as long as its block.

Of L3 there is here what can be seen from outside, as a part of L2: a receiver that fails or is
cancelled is one that leaves, and disturbs no other.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence

import outcome
import trio
import trio.testing
from attrs import frozen

from ...interface import ConnectionAllocator, ReceiverHandle
from ...messages import AllocatorMessage, DecreaseAllocation
from ..bench import CAMERA, HIGH, LOW, MEDIUM, PLAIN, Bench, requests
from ..violation import demand
from . import registrations, watchers
from .registrations import PATIENCE, demand_closed, demand_ended


@frozen
class _Company:
    """An allocator at work, and what was going on.

    Attributes:
        allocator: The allocator.
        receivers: All of its receivers.
        request: A request that the first one has read and not answered, if it was asked.
    """

    allocator: ConnectionAllocator
    receivers: Sequence[ReceiverHandle]
    request: DecreaseAllocation | None = None


async def _negotiate(allocator: ConnectionAllocator) -> _Company:
    """Bring it to overuse: a request is open, its deadline is set, and somebody waits."""
    asked = allocator.register_track_receiver(CAMERA, HIGH)
    waiting = allocator.register_track_receiver(PLAIN, LOW, priority=1)
    waiting.request_allocation(MEDIUM)
    allocator.update_bandwidth_estimation(HIGH)
    await trio.testing.wait_all_tasks_blocked()
    return _Company(allocator, (asked, waiting), requests([asked]).get(asked))


async def _probe(allocator: ConnectionAllocator) -> _Company:
    """Let it probe, for somebody who waits and has padding and a grant unread."""
    allocator.update_bandwidth_estimation(MEDIUM)
    waiting = allocator.register_track_receiver(CAMERA)
    waiting.request_allocation(HIGH)
    await trio.sleep(0.15)
    return _Company(allocator, (waiting,))


# --- L1 ----------------------------------------------------------------------------------------

_Begin = Callable[[ConnectionAllocator], Awaitable[_Company]]


async def _leave(bench: Bench, begin: _Begin) -> _Company:
    async with bench.open() as allocator:
        return await begin(allocator)


async def _fail(bench: Bench, begin: _Begin) -> _Company:
    companies: list[_Company] = []

    async def fail() -> None:
        async with bench.open() as allocator:
            companies.append(await begin(allocator))
            raise KeyError("of the body's own")

    await outcome.acapture(fail)  # how it leaves the block is judged by L4
    return companies[0]


async def _cancel(bench: Bench, begin: _Begin) -> _Company:
    companies: list[_Company] = []
    with trio.CancelScope() as scope:
        async with bench.open() as allocator:
            companies.append(await begin(allocator))
            scope.cancel()
            await trio.sleep_forever()
    return companies[0]


async def _destroy(bench: Bench, begin: _Begin) -> _Company:
    async with bench.open() as allocator:
        company = await begin(allocator)
        await allocator.destroy()
        await allocator.destroy()
        return company


async def _destroy_in_own_nursery(bench: Bench, begin: _Begin) -> _Company:
    async with bench.open() as pattern:
        pass
    company = _Company(pattern, ())
    async with trio.open_nursery() as nursery:
        with contextlib.suppress(NotImplementedError):
            allocator = type(pattern).create(nursery)
            company = await begin(allocator)
            await allocator.destroy()
            await allocator.destroy()
    return company


ENDINGS = {
    "after its block was left": _leave,
    "after its block was left by an exception": _fail,
    "after its block was cancelled": _cancel,
    "after destroy()": _destroy,
    "after create() and destroy()": _destroy_in_own_nursery,
}


async def nothing_outlives_it(bench: Bench) -> None:
    """L1: however its block ended, its tasks have ended by then, and so have their deadlines."""
    for begin in (_negotiate, _probe):
        for when, end in ENDINGS.items():
            before = trio.lowlevel.current_statistics().tasks_living
            await end(bench, begin)
            left = trio.lowlevel.current_statistics().tasks_living - before
            demand(left == 0, "L1", f"{left} tasks are left {when}")


async def destroying_waits_for_the_end(bench: Bench) -> None:
    """L1: when `destroy` returns, no task is left in the nursery that was given to `create`."""
    async with bench.open() as pattern:
        pass
    left = 0
    async with trio.open_nursery() as nursery:
        with contextlib.suppress(NotImplementedError):
            allocator = type(pattern).create(nursery)
            await _negotiate(allocator)
            await allocator.destroy()
        left = len(nursery.child_tasks)
        nursery.cancel_scope.cancel()
    demand(left == 0, "L1", f"destroy() leaves {left} tasks in the nursery given to create()")


async def every_operation_says_that_it_has_ended(bench: Bench) -> None:
    """L1: afterwards each operation raises `trio.ClosedResourceError`, and closing is allowed."""
    for when, end in ENDINGS.items():
        company = await end(bench, _negotiate)
        allocator = company.allocator
        for receiver in company.receivers:
            await demand_ended(receiver, company.request, "L1", when)
            forced = outcome.capture(allocator.force_allocation, receiver, 0)
            demand_closed(forced, "L1", f"force_allocation {when}")
        registered = outcome.capture(allocator.register_track_receiver, PLAIN)
        demand_closed(registered, "L1", f"register_track_receiver {when}")
        estimated = outcome.capture(allocator.update_bandwidth_estimation, LOW)
        demand_closed(estimated, "L1", f"update_bandwidth_estimation {when}")


async def whoever_reads_is_told_of_the_end(bench: Bench) -> None:
    """L1: a receiver that waits for a message while the allocator ends does not wait for ever."""
    for when, end in ENDINGS.items():
        raised: list[outcome.Outcome[object]] = []
        iterated: list[AllocatorMessage] = []
        async with trio.open_nursery() as readers:
            company = await end(bench, functools.partial(_read, readers, raised, iterated))
            await trio.testing.wait_all_tasks_blocked()
            waiting = len(readers.child_tasks)
            readers.cancel_scope.cancel()
        demand(not waiting, "L1", f"{waiting} tasks still wait for a message {when}")
        demand(not iterated, "L1", f"a receiver that was iterated over got {iterated!r} {when}")
        for result in raised:
            demand_closed(result, "L1", f"waiting in receive() {when}")
        demand(len(raised) == len(company.receivers[1:]), "L1", f"a reader got lost {when}")


async def _read(
    readers: trio.Nursery,
    raised: list[outcome.Outcome[object]],
    iterated: list[AllocatorMessage],
    allocator: ConnectionAllocator,
) -> _Company:
    """Let one task wait in an ``async for``, and another in `receive`."""
    receivers = [allocator.register_track_receiver(PLAIN) for _ in range(2)]

    async def iterate() -> None:
        iterated.extend([message async for message in receivers[0]])

    async def receive() -> None:
        raised.append(await outcome.acapture(receivers[1].receive))

    readers.start_soon(iterate)
    readers.start_soon(receive)
    await trio.testing.wait_all_tasks_blocked()
    return _Company(allocator, receivers)


async def it_lives_until_its_block_ends(bench: Bench) -> None:
    """L1: a body that is cancelled may still use it to clean up."""
    with trio.CancelScope() as scope:
        async with bench.open() as allocator:
            company = await _negotiate(allocator)
            scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked()
            results = [
                outcome.capture(company.receivers[1].request_allocation, 0),
                outcome.capture(allocator.register_track_receiver, PLAIN),
            ]
            refused = [result for result in results if isinstance(result, outcome.Error)]
            demand(not refused, "L1", f"in its block, which is being cancelled: {refused!r}")


# --- L4 ----------------------------------------------------------------------------------------

YOURS: tuple[Callable[[], Exception], ...] = (
    lambda: KeyError("yours"),
    lambda: RuntimeError("yours"),
    lambda: StopAsyncIteration("yours"),
    lambda: trio.TooSlowError("yours"),
    lambda: trio.ClosedResourceError("another channel, of yours"),
    lambda: ExceptionGroup("yours", [KeyError(1), ValueError(2)]),
)


async def exceptions_leave_it_as_they_were(bench: Bench) -> None:
    """L4: what the body raises leaves the block as the same object, cancelled or not."""
    for make in YOURS:
        for cancelled in (False, True):
            yours = make()
            result: outcome.Outcome[None] | None = None
            with trio.CancelScope() as scope:
                result = await outcome.acapture(_raise, bench, yours, scope if cancelled else None)
            same = isinstance(result, outcome.Error) and result.error is yours
            demand(same, "L4", f"the body raised {yours!r}, and the block ended with {result!r}")


async def _raise(bench: Bench, yours: Exception, scope: trio.CancelScope | None) -> None:
    async with bench.open() as allocator:
        await _negotiate(allocator)
        if scope is not None:
            scope.cancel()
        raise yours


async def time_outs_are_time_outs(bench: Bench) -> None:
    """L4: a `trio.fail_after`, inside the block or around it, raises `trio.TooSlowError`."""

    async def inside() -> None:
        async with bench.open() as allocator:
            await _negotiate(allocator)
            with trio.fail_after(PATIENCE):
                await trio.sleep_forever()

    async def around() -> None:
        with trio.fail_after(PATIENCE):
            async with bench.open() as allocator:
                await _negotiate(allocator)
                await trio.sleep_forever()

    for sleep in (inside, around):
        result = await outcome.acapture(sleep)
        slow = isinstance(result, outcome.Error) and type(result.error) is trio.TooSlowError
        demand(slow, "L4", f"a time-out {sleep.__name__} the block made {result!r} of itself")


async def cancellation_passes_through(bench: Bench) -> None:
    """L4: a block that is cancelled from outside ends, and keeps none of it to itself."""
    for asleep in (False, True):
        went_on = False
        with trio.CancelScope() as scope:
            async with bench.open() as allocator:
                await _negotiate(allocator)
                scope.cancel()
                if asleep:
                    await trio.sleep_forever()
            went_on = asleep
            await trio.lowlevel.checkpoint()
        demand(not went_on, "L4", "its block was cancelled, and the code after it ran")
        demand(scope.cancelled_caught, "L4", "its block was cancelled, and swallowed that")


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "L1": (
        nothing_outlives_it,
        destroying_waits_for_the_end,
        every_operation_says_that_it_has_ended,
        whoever_reads_is_told_of_the_end,
        it_lives_until_its_block_ends,
    ),
    **registrations.CHECKS,
    "L4": (
        exceptions_leave_it_as_they_were,
        time_outs_are_time_outs,
        cancellation_passes_through,
    ),
    **watchers.CHECKS,
}
