"""L5: when those who watch the estimate get to run, everything is settled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import outcome
import trio
import trio.testing

from ...interface import ConnectionAllocator, ReceiverHandle
from ..bench import CAMERA, HIGH, LOW, MEDIUM, PLAIN, Bench, grants, unread
from ..violation import demand


async def watchers_see_what_is_settled(bench: Bench) -> None:
    """L5: no watcher finds a book or a mailbox that changes once it has run."""
    for watch in (_watch_by_predicate, _watch_by_iteration):
        seen: list[tuple[int | None, list[int]]] = []
        complaints: list[str] = []
        async with bench.open() as allocator, trio.open_nursery() as watchers:
            receivers = [allocator.register_track_receiver(CAMERA) for _ in range(3)]
            for receiver in receivers:
                receiver.request_allocation(HIGH)

            def look(
                value: int | None,
                receivers: Sequence[ReceiverHandle] = receivers,
                seen: list[tuple[int | None, list[int]]] = seen,
            ) -> None:
                for receiver in receivers:
                    unread(receiver)
                seen.append((value, [receiver.allocation for receiver in receivers]))

            watchers.start_soon(watch, allocator, look)
            await trio.testing.wait_all_tasks_blocked()
            for estimate in (2 * LOW, 3 * HIGH, 2 * HIGH, 2 * MEDIUM):
                seen.clear()
                allocator.update_bandwidth_estimation(estimate)
                await trio.testing.wait_all_tasks_blocked()
                late = [message for receiver in receivers for message in unread(receiver)]
                held = [receiver.allocation for receiver in receivers]
                if late or seen[-1:] != [(estimate, held)]:
                    complaints.append(
                        f"at {estimate} bit/s {watch.__name__} saw {seen!r}; in the end "
                        f"{held!r} are held, and {late!r} came later"
                    )
            watchers.cancel_scope.cancel()
        demand(not complaints, "L5", "; ".join(complaints))


_Look = Callable[[int | None], None]


async def _watch_by_predicate(allocator: ConnectionAllocator, look: _Look) -> None:
    def never(value: int | None) -> bool:
        look(value)
        return False

    await allocator.estimate.wait_value(never)


async def _watch_by_iteration(allocator: ConnectionAllocator, look: _Look) -> None:
    async with allocator.estimate.eventual_values() as values:
        async for value in values:
            look(value)


async def what_a_watcher_calls_comes_after(bench: Bench) -> None:
    """L5: a watcher may call any operation; it is handled after the one that woke the watcher."""
    first, second = 6 * LOW, 5 * LOW
    values: dict[str, list[int | None]] = {"before": [], "after": []}
    acted: list[int | None] = []
    results: list[outcome.Outcome[object]] = []
    told: list[int] = []
    async with bench.open() as allocator, trio.open_nursery() as watchers:
        allocator.update_bandwidth_estimation(2 * LOW)
        raised = allocator.register_track_receiver(PLAIN, LOW)
        leaver = allocator.register_track_receiver(PLAIN, LOW)
        raised.request_allocation(4 * LOW)
        operations: tuple[Callable[[], object], ...] = (
            lambda: allocator.force_allocation(raised, 2 * LOW),
            leaver.close,
            lambda: allocator.update_bandwidth_estimation(second),
            lambda: allocator.register_track_receiver(PLAIN, 5).request_allocation(LOW),
            lambda: raised.set_options(priority=2),
            lambda: raised.request_allocation(LOW),
        )

        def act(value: int | None) -> None:
            if value == first and not acted:
                acted.append(value)
                results.extend(outcome.capture(operation) for operation in operations)

        for look in (values["before"].append, act, values["after"].append):
            watchers.start_soon(_watch_by_predicate, allocator, look)
            await trio.testing.wait_all_tasks_blocked()
        allocator.update_bandwidth_estimation(first)
        await trio.testing.wait_all_tasks_blocked()
        estimate, held = allocator.estimate.value, raised.allocation
        told.extend(grant.allocation for grant in grants(raised))
        gone = outcome.capture(leaver.request_allocation, 0)
        watchers.cancel_scope.cancel()
    failed = [result for result in results if isinstance(result, outcome.Error)]
    demand(acted, "L5", f"{first} bit/s were delivered, and a watcher was not told")
    demand(not failed, "L5", f"operations that a watcher called gave {failed!r}")
    demand(estimate == second, "L5", f"a watcher delivered {second}; {estimate} is in force")
    demand(held == LOW, "L5", f"a watcher lowered a receiver to {LOW}; it holds {held}")
    complaint = f"a receiver holds {held}, and was told {told!r}, the last one last"
    demand(told[-1:] == [held], "L5", complaint)
    demand(isinstance(gone, outcome.Error), "L5", "a receiver that a watcher closed is not closed")
    for seen in values.values():
        in_turn = second in seen and first not in seen[seen.index(second) :]
        demand(in_turn, "L5", f"{first} came before {second}, and another watcher saw {seen!r}")


async def a_watcher_that_raises_hurts_itself_alone(bench: Bench) -> None:
    """L5: an error of a watcher's predicate goes to the task that waits, and to nobody else."""
    waited: list[outcome.Outcome[object]] = []
    delivered: list[outcome.Outcome[object]] = []
    async with bench.open() as allocator, trio.open_nursery() as watchers:
        receiver = allocator.register_track_receiver(PLAIN)
        receiver.request_allocation(LOW)
        errors = (KeyError("first"), KeyError("second"))

        async def wait(error: Exception) -> None:
            def wrong(value: int | None) -> bool:
                if value == HIGH:
                    raise error
                return False

            waited.append(await outcome.acapture(allocator.estimate.wait_value, wrong))

        for error in errors:
            watchers.start_soon(wait, error)
        await trio.testing.wait_all_tasks_blocked()
        delivered.append(outcome.capture(allocator.update_bandwidth_estimation, HIGH))
        await trio.testing.wait_all_tasks_blocked()
        held = receiver.allocation
        watchers.cancel_scope.cancel()
    demand(delivered == [outcome.Value(None)], "L5", f"who delivered an estimate got {delivered!r}")
    got = [result.error for result in waited if isinstance(result, outcome.Error)]
    demand(set(got) == set(errors), "L5", f"those whose predicates raised got {waited!r}")
    demand(held == LOW, "L5", f"{held} bit/s are held, {LOW} were requested and {HIGH} are there")


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "L5": (
        watchers_see_what_is_settled,
        what_a_watcher_calls_comes_after,
        a_watcher_that_raises_hurts_itself_alone,
    ),
}
