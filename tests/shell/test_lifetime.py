"""An allocator lives as long as its block, fails loudly, and keeps its hands off what is yours."""

import contextlib
import gc
import logging
import math
import weakref
from functools import partial

import pytest
import trio
import trio.testing

from tests.shell.support import (
    CAMERA,
    HIGH,
    LOW,
    MEDIUM,
    PLAIN,
    asked,
    granted,
    next_deadline,
    obey,
    tasks,
    unread,
)
from trio_allocator import (
    DecreaseAllocation,
    ProbeStatus,
    ProbingAllocator,
    SendPadding,
    Shares,
    open_allocator,
    open_passthrough_allocator,
)
from trio_allocator.shell.tasks import Timekeeper
from trio_allocator.shell.watching import WatchedValue

OPENERS = {
    "probing": partial(open_allocator, initial_estimate=3_000_000),
    "passthrough": open_passthrough_allocator,
}


@pytest.fixture(params=OPENERS)
def opener(request):
    return OPENERS[request.param]


class BrokenPartError(Exception):
    """What a part of the engine raises in these tests."""


def breaks(*_args, **_kwargs):
    raise BrokenPartError("by a test")


def virtually(main):
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# --- L4: what is yours comes back as it was --------------------------------------------------

YOURS = (
    KeyError("yours"),
    ExceptionGroup("yours", [KeyError(1), ValueError(2)]),
    BaseExceptionGroup("yours", [KeyboardInterrupt()]),
    trio.TooSlowError(),
    trio.BrokenResourceError("another one's"),
    StopIteration(5),
    StopAsyncIteration(),
    KeyboardInterrupt(),
    SystemExit(3),
    RuntimeError("yours"),
)


@pytest.mark.invariant("L4")
@pytest.mark.parametrize("yours", YOURS, ids=repr)
@pytest.mark.parametrize("kind", OPENERS)
def test_an_exception_of_the_body_leaves_the_block_as_it_was(kind, yours):
    async def main():
        with pytest.raises(type(yours)) as caught:
            async with OPENERS[kind]() as allocator:
                allocator.register_track_receiver(PLAIN, 5)
                raise yours
        assert caught.value is yours

    virtually(main)
    assert yours.__cause__ is None
    assert yours.__context__ is None


@pytest.mark.invariant("L4")
async def test_a_group_of_an_inner_nursery_is_not_wrapped_again(opener, autojump_clock):
    with pytest.RaisesGroup(KeyError):
        async with opener(), trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.lowlevel.checkpoint()
            raise KeyError("inner")


@pytest.mark.invariant("L4")
async def test_a_time_out_inside_is_a_time_out(opener, autojump_clock):
    with pytest.raises(trio.TooSlowError):
        async with opener():
            with trio.fail_after(1):
                await trio.sleep_forever()


@pytest.mark.invariant("L4")
async def test_a_time_out_outside_is_a_time_out(opener, autojump_clock):
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(1):
            async with opener():
                await trio.sleep_forever()


@pytest.mark.invariant("L4")
@pytest.mark.parametrize("asleep", [True, False])
async def test_cancellation_from_outside_passes_through(opener, asleep, autojump_clock):
    with trio.CancelScope() as scope:
        async with opener():
            scope.cancel()
            if asleep:
                await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught


@pytest.mark.invariant("L4")
async def test_an_error_while_being_cancelled_is_the_users_error(opener, autojump_clock):
    with trio.CancelScope() as scope, pytest.raises(KeyError):
        async with opener():
            scope.cancel()
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("while leaving")


@pytest.mark.invariant("L4")
@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"initial_estimate": math.nan}, ValueError),
        ({"initial_estimate": True}, TypeError),
        ({"policy": "unfair"}, ValueError),
        ({"policy": 7}, TypeError),
        ({"max_bitrate": -1}, ValueError),
        ({"reserve": None}, TypeError),
        ({"hold": -1}, ValueError),
        ({"negotiation_timeout": math.inf}, ValueError),
        ({"probe_tick": "often"}, TypeError),
        ({"padding_packet": 0}, ValueError),
        ({"bogus": 1}, TypeError),
    ],
)
async def test_a_setting_that_is_not_usable_raises_at_the_call(options, error, autojump_clock):
    with pytest.raises(error):
        open_allocator(**options)
    async with trio.open_nursery() as nursery:
        with pytest.raises(error):
            ProbingAllocator.create(nursery, **options)
        assert not nursery.child_tasks


# --- L1: nothing is left ---------------------------------------------------------------------


@pytest.mark.invariant("L1")
async def test_no_task_and_no_deadline_outlives_the_block(autojump_clock):
    before, deadline = tasks(), next_deadline()
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        one = allocator.register_track_receiver(CAMERA, HIGH)
        two = allocator.register_track_receiver(CAMERA, LOW)
        two.request_allocation(HIGH)
        asked(one)
        await trio.testing.wait_all_tasks_blocked()
        assert tasks() != before
        assert next_deadline() != deadline
    assert tasks() == before
    assert next_deadline() == deadline


@pytest.mark.invariant("L1", "C3")
async def test_nothing_holds_on_to_an_ended_allocator(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        with allocator.register_track_receiver(CAMERA, LOW) as receiver:
            receiver.request_allocation(HIGH)
        kept = weakref.ref(allocator._engine), weakref.ref(allocator)
    del allocator, receiver
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


@pytest.mark.parametrize("not_one", [None, trio.Nursery])
async def test_it_is_created_in_a_nursery_and_nothing_else(not_one):
    with pytest.raises(TypeError, match="nursery must be a trio"):
        ProbingAllocator.create(not_one)


@pytest.mark.invariant("L1")
async def test_destroy_while_a_receiver_reads_tells_the_reader(autojump_clock):
    log: list[object] = []
    async with trio.open_nursery() as nursery:
        allocator = ProbingAllocator.create(nursery)
        receiver = allocator.register_track_receiver(PLAIN)

        async def read():
            log.extend([message async for message in receiver])
            log.append("end")

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await allocator.destroy()
    assert log == ["end"]


@pytest.mark.invariant("L1")
async def test_destroy_while_the_watcher_waits_for_answers(autojump_clock):
    async with trio.open_nursery() as nursery:
        allocator = ProbingAllocator.create(nursery, initial_estimate=1_000_000)
        receiver = allocator.register_track_receiver(CAMERA, HIGH)
        request = receiver.receive_nowait()
        await trio.sleep(0.05)  # until its deadline
        await trio.lowlevel.checkpoint()  # the watcher gives those who are late a last chance
        await allocator.destroy()
        with pytest.raises(trio.ClosedResourceError):
            receiver.accept_decrease(request)


async def test_destroy_before_its_tasks_have_run(autojump_clock):
    async with trio.open_nursery() as nursery:
        await ProbingAllocator.create(nursery).destroy()


@pytest.mark.invariant("L1")
async def test_two_tasks_may_destroy_it(autojump_clock):
    async with trio.open_nursery() as nursery:
        allocator = ProbingAllocator.create(nursery)
        nursery.start_soon(allocator.destroy)
        nursery.start_soon(allocator.destroy)
    assert not nursery.child_tasks


@pytest.mark.invariant("L1")
async def test_a_nursery_that_is_cancelled_ends_the_allocator(autojump_clock):
    async with trio.open_nursery() as nursery:
        allocator = ProbingAllocator.create(nursery)
        receiver = allocator.register_track_receiver(PLAIN)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.ClosedResourceError):
        allocator.update_bandwidth_estimation(1)
    with pytest.raises(trio.ClosedResourceError):
        receiver.request_allocation(1)
    await allocator.destroy()


@pytest.mark.invariant("L1")
async def test_a_block_left_early_ends_the_allocator(autojump_clock):
    async def left():
        async with open_allocator() as allocator:
            return allocator

    with pytest.raises(trio.ClosedResourceError):
        (await left()).update_bandwidth_estimation(1)


@pytest.mark.invariant("C3")
async def test_a_call_after_the_end_keeps_nothing_of_the_call(autojump_clock):
    async with open_allocator() as allocator:
        receiver = allocator.register_track_receiver(PLAIN)

    def depth():
        with pytest.raises(trio.ClosedResourceError) as caught:
            receiver.receive_nowait()
        return len(caught.traceback)

    assert depth() == depth() == depth()


# --- L2: leaving -----------------------------------------------------------------------------


@pytest.mark.invariant("L2")
async def test_what_a_leaver_held_goes_to_who_waits_in_the_same_call(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        waiting = allocator.register_track_receiver(PLAIN)
        with allocator.register_track_receiver(PLAIN, 900_000):
            waiting.request_allocation(950_000)
            assert unread(waiting) == []
        assert granted(waiting).allocation == 950_000
        assert allocator.status.receivers == 1


@pytest.mark.invariant("L2")
async def test_a_leaver_takes_its_request_and_its_mail_with_it(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        leaver = allocator.register_track_receiver(CAMERA, HIGH)
        other = allocator.register_track_receiver(CAMERA, LOW)
        request = asked(leaver)
        assert allocator.status.asked == 1
        allocator.update_bandwidth_estimation(900_000)
        leaver.close()
        assert allocator.status.asked == 0
        assert unread(other) == []
        for answer in (leaver.accept_decrease, leaver.reject_decrease):
            with pytest.raises(trio.ClosedResourceError):
                answer(request)
        with pytest.raises(trio.ClosedResourceError):
            leaver.receive_nowait()


@pytest.mark.invariant("L2", "L3")
async def test_a_receiver_that_fails_touches_no_other(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        other = allocator.register_track_receiver(PLAIN, 1)
        other.request_allocation(900_000)
        granted(other)

        async def fails():
            with allocator.register_track_receiver(PLAIN, 500_000):
                raise KeyError("a receiver's own")

        async def cancelled(scope):
            with scope, allocator.register_track_receiver(PLAIN, 500_000) as receiver:
                await receiver.receive()

        with pytest.raises(KeyError):
            await fails()
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            nursery.start_soon(cancelled, scope)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
        assert allocator.status.receivers == 1
        assert (other.allocation, allocator.status.committed) == (900_000, 900_000)


# --- L3: a failure of the engine is loud -----------------------------------------------------

CALLS = {
    "estimate": ("update_estimate", lambda a, r: a.update_bandwidth_estimation(2_000_000)),
    "limit": ("limit", lambda a, r: a.set_limits(reserve=2)),
    "register": ("register", lambda a, r: a.register_track_receiver(PLAIN)),
    "request": ("request", lambda a, r: r.request_allocation(2)),
    "configure": ("configure", lambda a, r: r.set_options(priority=2)),
    "variants": ("configure", lambda a, r: r.set_variants({})),
    "force": ("force", lambda a, r: a.force_allocation(r, 1)),
    "leave": ("leave", lambda a, r: r.close()),
    "answer": ("answer", lambda a, r: r.reject_decrease(DecreaseAllocation(1, 0, 1, r.id))),
    "padding": ("prober.padding.sent", lambda a, r: r.buffer_sent(255, padding=True)),
}


def plant(monkeypatch, allocator, path):
    """Let a part of the engine raise."""
    *way, name = path.split(".")
    part = allocator._engine
    for step in way:
        part = getattr(part, step)
    monkeypatch.setattr(type(part), name, breaks)


def check_failed(allocator, receiver, *, left=False):
    """Everybody is told, whatever they call."""
    for operation in (
        lambda: allocator.update_bandwidth_estimation(1),
        lambda: allocator.register_track_receiver(PLAIN),
        lambda: allocator.status,
    ):
        with pytest.raises(trio.BrokenResourceError) as caught:
            operation()
        assert isinstance(caught.value.__cause__, BrokenPartError)
    with pytest.raises(trio.ClosedResourceError):
        _ = allocator.estimate.value
    error = trio.ClosedResourceError if left else trio.BrokenResourceError
    for operation in (
        lambda: receiver.buffer_sent(1_200),
        lambda: receiver.request_allocation(1),
        receiver.receive_nowait,
    ):
        with pytest.raises(error):
            operation()
    receiver.close()


@pytest.mark.invariant("L3")
@pytest.mark.defect(23)
@pytest.mark.parametrize(("path", "call"), CALLS.values(), ids=CALLS)
def test_a_failure_in_a_call_reaches_caller_opener_and_receivers(path, call, monkeypatch):
    told = []

    async def read(receiver):
        try:
            await receiver.receive()
        except trio.BrokenResourceError as error:
            told.append(error)

    async def main():
        async with trio.open_nursery() as readers:
            with pytest.raises(BrokenPartError) as caught:
                async with open_allocator(initial_estimate=1_000_000) as allocator:
                    receiver = allocator.register_track_receiver(PLAIN, 1)
                    reading = allocator.register_track_receiver(PLAIN, 1)
                    readers.start_soon(read, reading)
                    await trio.testing.wait_all_tasks_blocked()
                    plant(monkeypatch, allocator, path)
                    with pytest.raises(trio.BrokenResourceError) as in_the_call:
                        call(allocator, receiver)
                    assert isinstance(in_the_call.value.__cause__, BrokenPartError)
                    check_failed(allocator, receiver, left=path == "leave")
                    await trio.sleep_forever()
            assert str(caught.value) == "by a test"
            check_failed(allocator, receiver, left=path == "leave")
            await allocator.destroy()
        (error,) = told
        assert error.__cause__ is caught.value

    virtually(main)


@pytest.mark.invariant("L3")
async def test_the_error_of_the_call_may_leave_the_block_and_the_cause_arrives(
    autojump_clock, monkeypatch
):
    with pytest.raises(BrokenPartError):
        async with open_allocator() as allocator:
            plant(monkeypatch, allocator, "update_estimate")
            allocator.update_bandwidth_estimation(1)


@pytest.mark.invariant("L3")
async def test_a_failure_at_the_end_of_the_body_is_not_lost(autojump_clock, monkeypatch):
    with pytest.raises(BrokenPartError):
        async with open_allocator() as allocator:
            plant(monkeypatch, allocator, "update_estimate")
            with contextlib.suppress(trio.BrokenResourceError):
                allocator.update_bandwidth_estimation(1)


@pytest.mark.invariant("L3")
async def test_where_both_fail_the_users_error_is_the_context(autojump_clock, monkeypatch):
    yours = KeyError("yours")
    with pytest.raises(BrokenPartError) as caught:
        async with open_allocator() as allocator:
            plant(monkeypatch, allocator, "update_estimate")
            with contextlib.suppress(trio.BrokenResourceError):
                allocator.update_bandwidth_estimation(1)
            raise yours
    assert caught.value.__context__ is yours


@pytest.mark.invariant("L3")
@pytest.mark.defect(23)
@pytest.mark.parametrize("path", ["advance", "prober.tick", "prober.padding.due"])
async def test_a_failure_while_nobody_calls_ends_the_block(path, autojump_clock, monkeypatch):
    with pytest.raises(BrokenPartError):
        # After the raise nothing is probed for 2 s: by then the estimate would be too old.
        async with open_allocator(
            initial_estimate=1_000_000, estimate_timeout=math.inf
        ) as allocator:
            receiver = allocator.register_track_receiver(CAMERA, LOW)
            receiver.request_allocation(HIGH)
            plant(monkeypatch, allocator, path)
            await trio.sleep_forever()
    check_failed(allocator, receiver)


@pytest.mark.invariant("L3")
async def test_a_failure_arrives_in_the_nursery_of_the_caller(autojump_clock, monkeypatch):
    with pytest.RaisesGroup(BrokenPartError):
        async with trio.open_nursery() as nursery:
            allocator = ProbingAllocator.create(nursery)
            plant(monkeypatch, allocator, "update_estimate")
            with pytest.raises(trio.BrokenResourceError):
                allocator.update_bandwidth_estimation(1)
            await trio.sleep_forever()
    await allocator.destroy()


@pytest.mark.invariant("L3")
async def test_a_call_from_outside_of_trio_does_not_break_the_allocator(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        with pytest.raises(RuntimeError):
            await trio.to_thread.run_sync(allocator.update_bandwidth_estimation, 5)
        allocator.update_bandwidth_estimation(2_000_000)
        assert allocator.estimate.value == 2_000_000


# --- L3: a policy of the user's --------------------------------------------------------------


def greedy_by_order(claims, capacity):
    """First come, first served, above what everybody is at the lowest."""
    given = {claim.receiver_id: claim.lowest for claim in claims}
    left = capacity - sum(given.values())
    for claim in claims:
        more = max(0, min(left, claim.allocation - claim.lowest))
        given[claim.receiver_id] += more
        left -= more
    for claim in claims:
        more = claim.wanted - given[claim.receiver_id]
        if more <= left:
            given[claim.receiver_id] += more
            left -= more
    return Shares(given)


def raising(claims, capacity):
    raise KeyError("in the policy")


@pytest.mark.invariant("L3")
@pytest.mark.parametrize(
    "policy",
    [
        raising,
        lambda claims, capacity: None,
        lambda claims, capacity: Shares({}),
        lambda claims, capacity: Shares({claim.receiver_id: 10**9 for claim in claims}),
        lambda claims, capacity: Shares({claim.receiver_id: -1 for claim in claims}),
        lambda claims, capacity: Shares({claim.receiver_id: 0.5 for claim in claims}),
    ],
)
async def test_a_policy_that_fails_is_replaced_and_reported(policy, autojump_clock, caplog):
    async with open_allocator(initial_estimate=1_000_000, policy=policy) as allocator:
        receiver = allocator.register_track_receiver(PLAIN)
        receiver.request_allocation(500_000)
        assert granted(receiver).allocation == 500_000
        assert "policy" in allocator.status.policy_fault
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


@pytest.mark.invariant("L3", "L5")
@pytest.mark.parametrize(
    "meddle",
    [
        lambda a, r: a.update_bandwidth_estimation(5),
        lambda a, r: a.set_limits(max_bitrate=5),
        lambda a, r: a.register_track_receiver(PLAIN, 5),
        lambda a, r: a.force_allocation(r, 5),
        lambda a, r: a.close(),
        lambda a, r: r.close(),
        lambda a, r: r.request_allocation(5),
        lambda a, r: r.set_options(priority=5),
        lambda a, r: r.accept_decrease(DecreaseAllocation(1, 0, 1, r.id)),
        lambda a, r: r.buffer_sent(5, padding=True),
    ],
)
@pytest.mark.parametrize("swallowed", [False, True])
async def test_a_policy_that_calls_its_allocator_changes_nothing(meddle, swallowed, autojump_clock):
    meddled = []

    def policy(claims, capacity):
        if len(claims) == 2 and not meddled:
            meddled.append(True)
            try:
                meddle(allocator, receiver)
            except RuntimeError:
                if not swallowed:
                    raise
            else:
                pytest.fail("a policy got through to its allocator")
        return greedy_by_order(claims, capacity)

    async with open_allocator(initial_estimate=1_000_000, policy=policy) as allocator:
        receiver = allocator.register_track_receiver(PLAIN, 700_000)
        other = allocator.register_track_receiver(PLAIN)
        assert meddled
        assert (allocator.status.policy_fault is None) == swallowed
        assert allocator.estimate.value == 1_000_000
        assert allocator.limits.max_bitrate is None
        assert allocator.status.receivers == 2
        assert (receiver.allocation, receiver.options.priority) == (700_000, 0)
        other.request_allocation(200_000)
        assert granted(other).allocation == 200_000
        receiver.close()
        assert allocator.status.committed == 200_000


# --- L5: watchers of the estimate ------------------------------------------------------------


@pytest.mark.invariant("L5")
async def test_when_a_watcher_runs_books_and_messages_are_settled(autojump_clock):
    seen = []
    async with open_allocator(initial_estimate=100_000) as allocator:
        receiver = allocator.register_track_receiver(PLAIN)
        receiver.request_allocation(500_000)

        def look(value):
            if value == 600_000:
                seen.append((receiver.allocation, granted(receiver).allocation))
                seen.append(allocator.status.committed)
            return value == 600_000

        async with trio.open_nursery() as nursery:
            nursery.start_soon(allocator.estimate.wait_value, look)
            await trio.testing.wait_all_tasks_blocked()
            allocator.update_bandwidth_estimation(600_000)
            assert seen[:2] == [(500_000, 500_000), 500_000]


@pytest.mark.invariant("L5")
async def test_what_a_watcher_calls_is_handled_after(autojump_clock):
    async with open_allocator(initial_estimate=100_000) as allocator:
        receiver = allocator.register_track_receiver(PLAIN)
        others = []

        def call_back(value):
            others.append(value)
            if value == 600_000:
                allocator.update_bandwidth_estimation(700_000)
                receiver.request_allocation(650_000)
            return value == 700_000

        async with trio.open_nursery() as nursery:
            nursery.start_soon(allocator.estimate.wait_value, call_back)
            await trio.testing.wait_all_tasks_blocked()
            allocator.update_bandwidth_estimation(600_000)
            assert allocator.estimate.value == 700_000
        assert others == [100_000, 600_000, 700_000]
        assert granted(receiver).allocation == 650_000


@pytest.mark.invariant("L5")
async def test_a_watcher_that_raises_hurts_itself_alone(autojump_clock):
    seen = []
    async with open_allocator() as allocator:

        async def wait_wrongly():
            with pytest.raises(ZeroDivisionError):
                await allocator.estimate.wait_value(lambda value: value and 1 // 0)
            seen.append("wrong")

        async def wait_rightly():
            seen.append(await allocator.estimate.wait_value(lambda value: value == 600_000))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait_wrongly)
                nursery.start_soon(wait_rightly)
            await trio.testing.wait_all_tasks_blocked()
            allocator.update_bandwidth_estimation(600_000)
        assert sorted(map(str, seen)) == ["600000"] * 3 + ["wrong"] * 3
        allocator.update_bandwidth_estimation(700_000)


@pytest.mark.invariant("L1", "L5")
async def test_a_watcher_that_closes_the_allocator_closes_it(autojump_clock):
    async with open_allocator() as allocator:

        def close(value):
            if value:
                allocator.close()
            return bool(value)

        async def wait():
            with pytest.raises(trio.ClosedResourceError):
                await allocator.estimate.wait_value(close)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            allocator.update_bandwidth_estimation(5)
        with pytest.raises(trio.ClosedResourceError):
            _ = allocator.estimate.value


@pytest.mark.invariant("L1")
async def test_whoever_waits_for_an_estimate_is_told_of_the_end(opener, autojump_clock):
    told = []
    async with trio.open_nursery() as nursery:
        async with opener() as allocator:

            async def wait():
                with pytest.raises(trio.ClosedResourceError):
                    await allocator.estimate.wait_value(-5)
                told.append("wait_value")

            async def iterate():
                async with allocator.estimate.eventual_values() as values:
                    async for _ in values:
                        pass
                told.append("eventual_values")

            nursery.start_soon(wait)
            nursery.start_soon(iterate)
            await trio.testing.wait_all_tasks_blocked()
    assert sorted(told) == ["eventual_values", "wait_value"]


async def test_a_slow_watcher_gets_the_first_value_and_then_the_newest(opener, autojump_clock):
    seen = []
    async with opener() as allocator:
        allocator.update_bandwidth_estimation(10)

        async def watch():
            async with allocator.estimate.eventual_values() as values:
                async for value in values:
                    seen.append(value)
                    await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            for value in (20, 30, 40):
                allocator.update_bandwidth_estimation(value)
            await trio.sleep(1.5)
            for value in (50, 40):  # there and back: nothing new for who was busy
                allocator.update_bandwidth_estimation(value)
            await trio.sleep(1.5)
            nursery.cancel_scope.cancel()
    assert seen == [10, 40]


async def test_a_value_that_went_and_came_back_is_no_news(opener, autojump_clock):
    seen = []
    async with opener() as allocator:
        allocator.update_bandwidth_estimation(10)

        async def watch():
            async with allocator.estimate.eventual_values() as values:
                seen.extend([value async for value in values])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            allocator.update_bandwidth_estimation(20)
            allocator.update_bandwidth_estimation(10)
            await trio.testing.wait_all_tasks_blocked()
            await allocator.destroy()
    assert seen == [10]


@pytest.mark.invariant("L1")
def test_a_value_whose_owner_has_ended_stays_ended():
    watched = WatchedValue(5)
    watched.end()
    watched.publish(6)
    with pytest.raises(trio.ClosedResourceError):
        _ = watched.value
    assert "ended" in repr(watched)


async def test_watching_checkpoints(opener, autojump_clock):
    async with opener() as allocator:
        allocator.update_bandwidth_estimation(10)
        with trio.testing.assert_checkpoints():
            await allocator.estimate.wait_value(10)
        async with allocator.estimate.eventual_values() as values:
            with trio.testing.assert_checkpoints():
                await anext(values)
            allocator.update_bandwidth_estimation(20)
            with trio.testing.assert_checkpoints():
                await anext(values)


# --- A6: estimates that stop -----------------------------------------------------------------


@pytest.mark.invariant("A6")
async def test_before_the_first_estimate_registrations_stand_and_raises_wait(autojump_clock):
    async with open_allocator() as allocator:
        one = allocator.register_track_receiver(CAMERA, HIGH)
        two = allocator.register_track_receiver(CAMERA, LOW)
        two.request_allocation(HIGH)
        await trio.sleep(60)
        assert (allocator.estimate.value, allocator.status.estimate) == (None, None)
        assert (one.allocation, two.allocation) == (HIGH, LOW)
        assert unread(one) == unread(two) == []
        assert allocator.status.waiting == 1
        assert allocator.status.probe is ProbeStatus.IDLE
        one.request_allocation(MEDIUM)  # what is freed is settled
        assert (one.allocation, two.allocation) == (MEDIUM, MEDIUM)


@pytest.mark.invariant("A6")
async def test_an_initial_estimate_starts_at_once(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000.5) as allocator:
        assert allocator.estimate.value == 1_000_000
        receiver = allocator.register_track_receiver(CAMERA, 0)
        receiver.request_allocation(MEDIUM)
        assert granted(receiver).allocation == MEDIUM


@pytest.mark.invariant("A6", "P1")
async def test_estimates_that_stop_are_unknown_and_nobody_is_disturbed(autojump_clock):
    log = []
    async with open_allocator(initial_estimate=HIGH + LOW) as allocator:
        one = allocator.register_track_receiver(CAMERA, HIGH)
        two = allocator.register_track_receiver(CAMERA, LOW)
        two.request_allocation(MEDIUM)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(obey, one, log)
            assert await allocator.estimate.wait_value(None) is None
            assert trio.current_time() == pytest.approx(2)
            assert allocator.status.probe is ProbeStatus.IDLE
            unread(two)
            log.clear()
            newcomer = allocator.register_track_receiver(CAMERA, HIGH)
            await trio.sleep(60)
            assert log == unread(two) == unread(newcomer) == []
            assert (one.allocation, two.allocation) == (HIGH, LOW)
            newcomer.close()
            allocator.update_bandwidth_estimation(LOW + HIGH + MEDIUM)
            assert two.allocation == MEDIUM
            nursery.cancel_scope.cancel()


@pytest.mark.invariant("A6")
async def test_a_request_under_way_is_withdrawn_when_estimates_stop(autojump_clock):
    settings = {"negotiation_timeout": 10, "initial_estimate": MEDIUM}
    async with open_allocator(**settings) as allocator:
        read, not_read = (allocator.register_track_receiver(CAMERA, HIGH) for _ in range(2))
        request = asked(read)
        await trio.sleep(3)
        assert allocator.status.asked == 0
        assert unread(not_read) == []
        assert read.accept_decrease(request, LOW) is False
        assert read.allocation == HIGH
        await trio.sleep(60)
        assert (unread(read), allocator.status.forced) == ([], 0)


@pytest.mark.invariant("A6")
async def test_slow_estimates_are_waited_for_three_times_as_long(autojump_clock):
    async with open_allocator(initial_estimate=5) as allocator:
        for _ in range(2):
            await trio.sleep(1.9)
            allocator.update_bandwidth_estimation(5)
        await trio.sleep(5.6)
        assert allocator.estimate.value == 5
        await trio.sleep(0.2)
        assert allocator.estimate.value is None


@pytest.mark.invariant("A6")
async def test_an_estimate_that_never_ages_if_so_wished(autojump_clock):
    async with open_allocator(initial_estimate=5, estimate_timeout=math.inf) as allocator:
        assert next_deadline() == math.inf
        await trio.sleep(80_000)
        assert allocator.estimate.value == 5


@pytest.mark.invariant("P1")
async def test_unread_padding_is_gone_when_the_estimate_is(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, LOW)
        receiver.request_allocation(HIGH)
        unread(receiver)
        await trio.sleep(1)
        await allocator.estimate.wait_value(None)
        assert not any(isinstance(message, SendPadding) for message in unread(receiver))


@pytest.mark.invariant("L4")
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "with a nursery in the body"])
def test_ctrl_c_in_a_task_of_the_allocator_is_not_lost_in_the_cancellation(nested, monkeypatch):
    async def struck(_timekeeper):
        await trio.sleep(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Timekeeper, "_probe", struck)

    async def main():
        async with open_allocator():
            if nested:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        virtually(main)


@pytest.mark.invariant("L4")
async def test_an_allocator_that_can_not_start_says_why(monkeypatch):
    monkeypatch.setattr("trio_allocator.shell.allocator.Engine", breaks)
    with pytest.raises(BrokenPartError):
        async with open_allocator():
            raise AssertionError("it never began")


@pytest.mark.invariant("L3")
def test_a_log_filter_that_raises_while_time_passes_closes_the_allocator():
    logger = logging.getLogger("trio_allocator")

    async def main():
        async with open_allocator(initial_estimate=3_000_000) as allocator:
            receiver = allocator.register_track_receiver(CAMERA, HIGH)
            allocator.update_bandwidth_estimation(LOW)
            assert receiver.accept_decrease(asked(receiver))  # and does not keep its word
            await trio.sleep_forever()

    logger.addFilter(breaks)
    try:
        with pytest.raises(BrokenPartError):
            virtually(main)
    finally:
        logger.removeFilter(breaks)
