"""The channel of decisions: what was decided, on which event, and why; and never a brake."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, PLAIN, asked, unread
from trio_allocator import Act, Cause, DecisionReason, ProbingAllocator, Track, open_allocator

R = DecisionReason


@pytest.fixture
async def allocator(autojump_clock):
    async with open_allocator(policy="fair", estimate_timeout=1_000.0) as opened:
        yield opened


def told(channel):
    """All that is unread: cause, receiver, act, before, after, reason."""
    decisions = []
    while True:
        try:
            d = channel.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return decisions
        decisions.append((d.cause, d.receiver_id, d.act, d.before, d.after, d.reason))


async def test_a_life_in_decisions(allocator):
    allocator.update_bandwidth_estimation(3_000_000)
    with allocator.decisions() as channel:
        camera = allocator.register_track_receiver(CAMERA, LOW)
        camera.request_allocation(HIGH)
        allocator.update_bandwidth_estimation(600_000)
        camera.accept_decrease(asked_last(camera), MEDIUM)
        camera.request_allocation(LOW)
        camera.close()
        assert told(channel) == [
            (Cause.REGISTRATION, 1, Act.JOINED, 0, LOW, R.REGISTERED),
            (Cause.REQUEST, 1, Act.GRANTED, LOW, HIGH, R.FITS),
            (Cause.ESTIMATE, 1, Act.ASKED, HIGH, MEDIUM, R.OVERUSE),
            (Cause.ANSWER, 1, Act.LOWERED, HIGH, MEDIUM, R.KEPT_WORD),
            (Cause.REQUEST, 1, Act.LOWERED, MEDIUM, LOW, R.OWN_WISH),
            (Cause.LEAVING, 1, Act.LEFT, LOW, 0, R.CLOSED),
        ]


def asked_last(receiver):
    return unread(receiver)[-1]


async def test_who_gives_before_it_answers(allocator):
    allocator.update_bandwidth_estimation(3_000_000)
    camera = allocator.register_track_receiver(CAMERA, HIGH)
    with allocator.decisions() as channel:
        allocator.update_bandwidth_estimation(600_000)
        camera.request_allocation(MEDIUM)
        assert told(channel)[1:] == [
            (Cause.REQUEST, 1, Act.WITHDRAWN, HIGH, HIGH, R.GIVEN),
            (Cause.REQUEST, 1, Act.LOWERED, HIGH, MEDIUM, R.KEPT_WORD),
        ]


async def test_room_is_made_for_a_higher_class_and_the_need_may_go(allocator):
    allocator.update_bandwidth_estimation(HIGH)
    camera = allocator.register_track_receiver(CAMERA, HIGH)
    screen = allocator.register_track_receiver(CAMERA, priority=1)
    with allocator.decisions() as channel:
        screen.request_allocation(MEDIUM)
        screen.request_allocation(0)
        assert told(channel) == [
            (Cause.REQUEST, camera.id, Act.ASKED, HIGH, MEDIUM, R.MAKE_ROOM),
            (Cause.REQUEST, screen.id, Act.LOWERED, 0, 0, R.OWN_WISH),
            (Cause.REQUEST, camera.id, Act.WITHDRAWN, HIGH, HIGH, R.NO_NEED),
        ]


async def test_a_request_is_void_when_its_receiver_leaves(allocator):
    """The log says how each request ended; the receiver is told nothing any more."""
    allocator.update_bandwidth_estimation(3_000_000)
    camera = allocator.register_track_receiver(CAMERA, HIGH)
    with allocator.decisions() as channel:
        allocator.update_bandwidth_estimation(600_000)
        camera.close()
        assert told(channel) == [
            (Cause.ESTIMATE, 1, Act.ASKED, HIGH, MEDIUM, R.OVERUSE),
            (Cause.LEAVING, 1, Act.WITHDRAWN, HIGH, HIGH, R.CLOSED),
            (Cause.LEAVING, 1, Act.LEFT, HIGH, 0, R.CLOSED),
        ]


async def test_silence_and_then_force(allocator, autojump_clock):
    allocator.update_bandwidth_estimation(3_000_000)
    camera = allocator.register_track_receiver(CAMERA, HIGH)
    with allocator.decisions() as channel:
        allocator.update_bandwidth_estimation(600_000)
        await trio.sleep(1)
        decisions = told(channel)
    assert (Cause.TIME, camera.id, Act.WITHDRAWN, HIGH, HIGH, R.SILENCE) in decisions
    assert (Cause.TIME, camera.id, Act.FORCED, HIGH, MEDIUM, R.NOBODY_LEFT) in decisions


async def test_a_broken_promise(allocator, autojump_clock):
    allocator.update_bandwidth_estimation(3_000_000)
    camera = allocator.register_track_receiver(CAMERA, HIGH)
    with allocator.decisions() as channel:
        allocator.update_bandwidth_estimation(600_000)
        camera.accept_decrease(asked(camera))
        await trio.sleep(1)
        assert told(channel)[-1] == (
            Cause.TIME, camera.id, Act.FORCED, HIGH, MEDIUM, R.BROKEN_PROMISE
        )  # fmt: skip


async def test_the_application_takes_it(allocator):
    allocator.update_bandwidth_estimation(3_000_000)
    camera = allocator.register_track_receiver(CAMERA, HIGH)
    with allocator.decisions() as channel:
        allocator.force_allocation(camera, LOW)
        assert told(channel) == [(Cause.FORCE, 1, Act.FORCED, HIGH, LOW, R.APPLICATION)]


async def test_options_and_ladders(allocator):
    allocator.update_bandwidth_estimation(3_000_000)
    camera = allocator.register_track_receiver(CAMERA, HIGH)
    with allocator.decisions() as channel:
        allocator.update_bandwidth_estimation(600_000)
        camera.set_variants({"low": 500_000, "high": 2_500_000})
        camera.set_options(pausable=False, min_bitrate=2_000_000)
        camera.set_options(min_bitrate=0)
        camera.set_options(negotiable=False)
        camera.set_options(max_bitrate=600_000)
        reasons = {(decision[2], decision[5]) for decision in told(channel)}
    assert (Act.LOWERED, R.RECONFIGURED) in reasons
    assert (Act.WITHDRAWN, R.NOT_NEGOTIABLE) in reasons or (Act.WITHDRAWN, R.NO_NEED) in reasons


async def test_a_request_that_is_revised(allocator):
    allocator.update_bandwidth_estimation(3_000_000)
    camera = allocator.register_track_receiver(CAMERA, HIGH)
    with allocator.decisions() as channel:
        allocator.update_bandwidth_estimation(100_000)
        camera.set_options(min_bitrate=500_000)
        assert (Cause.CONFIGURE, 1, Act.REVISED, HIGH, MEDIUM, R.RECONFIGURED) in told(channel)
        camera.set_options(negotiable=False)
        assert (Cause.CONFIGURE, 1, Act.WITHDRAWN, HIGH, HIGH, R.NOT_NEGOTIABLE) in told(channel)


async def test_estimates_that_stop(autojump_clock):
    async with open_allocator(negotiation_timeout=9, estimate_timeout=1.0) as allocator:
        allocator.update_bandwidth_estimation(3_000_000)
        camera = allocator.register_track_receiver(CAMERA, HIGH)
        with allocator.decisions() as channel:
            allocator.update_bandwidth_estimation(600_000)
            await trio.sleep(2)
            decision = told(channel)[-1]
        assert decision == (Cause.TIME, camera.id, Act.WITHDRAWN, HIGH, HIGH, R.NO_ESTIMATE)


async def test_what_time_had_brought_is_not_laid_to_the_event_that_came_after(
    allocator, autojump_clock
):
    """The hold has ended, and nobody has noticed before the next event comes."""
    allocator.update_bandwidth_estimation(HIGH)
    camera = allocator.register_track_receiver(CAMERA)
    camera.request_allocation(HIGH)
    allocator.force_allocation(camera, LOW)
    other = allocator.register_track_receiver(PLAIN)
    with allocator.decisions() as channel:
        autojump_clock.jump(20.0)
        other.request_allocation(0)
        assert told(channel)[:1] == [(Cause.TIME, camera.id, Act.GRANTED, LOW, HIGH, R.FITS)]


async def test_what_time_had_brought_to_one_that_leaves_is_told_before(allocator, autojump_clock):
    allocator.update_bandwidth_estimation(HIGH)
    camera = allocator.register_track_receiver(CAMERA)
    camera.request_allocation(HIGH)
    allocator.force_allocation(camera, LOW)
    with allocator.decisions() as channel:
        autojump_clock.jump(20.0)
        camera.close()
        assert told(channel) == [
            (Cause.TIME, camera.id, Act.GRANTED, LOW, HIGH, R.FITS),
            (Cause.LEAVING, camera.id, Act.LEFT, HIGH, 0, R.CLOSED),
        ]


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(allocator):
    allocator.update_bandwidth_estimation(3_000_000)
    with allocator.decisions(2) as channel:
        for rate in (1, 2, 3, 4):
            allocator.register_track_receiver(PLAIN, rate)
        assert [d[4] for d in told(channel)] == [3, 4]
        assert channel.dropped == 2


async def test_several_listen_and_one_that_leaves_is_forgotten(allocator):
    first, second = allocator.decisions(), allocator.decisions()
    allocator.register_track_receiver(PLAIN)
    assert len(told(first)) == len(told(second)) == 1
    first.close()
    await first.aclose()
    allocator.register_track_receiver(PLAIN)
    assert len(told(second)) == 1
    with pytest.raises(trio.ClosedResourceError):
        first.receive_nowait()
    with second:
        pass
    allocator.register_track_receiver(PLAIN)


async def test_nothing_is_made_while_nobody_listens(allocator, monkeypatch):
    monkeypatch.setattr("trio_allocator.shell.decisions.Decision", None)
    allocator.register_track_receiver(PLAIN, 5).request_allocation(0)


async def test_who_waits_is_woken_and_it_ends_with_the_allocator(autojump_clock):
    seen = []
    async with trio.open_nursery() as nursery:
        async with open_allocator() as allocator:
            channel = allocator.decisions()

            async def listen() -> None:
                async with channel:
                    seen.extend([str(decision) async for decision in channel])

            nursery.start_soon(listen)
            await trio.testing.wait_all_tasks_blocked()
            allocator.register_track_receiver(PLAIN, 7)
            await trio.testing.wait_all_tasks_blocked()
            allocator.register_track_receiver(PLAIN, 8)
    assert len(seen) == 2
    assert seen[1].endswith(
        f"{PLAIN.id} (receiver 2) joined, 0 to 8 bit/s, on registration: "
        "what it already sends is allocated without question (estimate unknown)"
    )
    with pytest.raises(trio.ClosedResourceError):
        allocator.decisions()


async def test_what_is_unread_at_the_end_can_still_be_read():
    async with open_allocator() as allocator:
        channel = allocator.decisions()
        allocator.register_track_receiver(PLAIN)
    assert (await channel.receive()).act is Act.JOINED
    with pytest.raises(trio.EndOfChannel):
        await channel.receive()
    with pytest.raises(trio.EndOfChannel):
        channel.receive_nowait()
    channel.close()


def fail(*_arguments):
    raise RuntimeError("planted")


async def test_a_failure_is_told_to_who_listens(monkeypatch):
    with pytest.raises(RuntimeError, match="planted"):
        async with open_allocator() as allocator:
            channel = allocator.decisions()
            monkeypatch.setattr(allocator._engine, "register", fail)
            with pytest.raises(trio.BrokenResourceError):
                allocator.register_track_receiver(PLAIN)
    with pytest.raises(trio.BrokenResourceError):
        await channel.receive()
    with pytest.raises(trio.BrokenResourceError):
        channel.receive_nowait()
    channel.close()


@pytest.mark.parametrize("capacity", [0, True, 1.5, "many"])
async def test_the_capacity_is_checked(allocator: ProbingAllocator, capacity):
    with pytest.raises((TypeError, ValueError), match="capacity"):
        allocator.decisions(capacity)


async def test_explain_and_status_need_a_live_allocator():
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        receiver = allocator.register_track_receiver(Track("plain"))
        assert allocator.explain().of(receiver.id).track_id == "plain"
        assert allocator.status.committed == 0
    for ask in (allocator.explain, lambda: allocator.status):
        with pytest.raises(trio.ClosedResourceError):
            ask()


async def test_after_the_end_one_may_still_read_how_it_stood(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        receiver = allocator.register_track_receiver(CAMERA)
        receiver.request_allocation(HIGH)
        before = allocator.explain()
        assert allocator.last_explanation == before
    assert allocator.last_explanation == before
    head, line = str(before).splitlines()
    assert head == f"estimate 1000000 bit/s, {MEDIUM} bit/s allocated"
    assert line == str(before.of(receiver.id))


async def test_who_is_off_and_that_nobody_can_pad_is_said(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, LOW, negotiable=True, can_pad=False)
        receiver.request_allocation(0)
        answer = allocator.explain()
        assert str(answer) == (
            "estimate 1000000 bit/s, 0 bit/s allocated; nobody can pad\n"
            f"{CAMERA.id} is off: it asked for nothing"
        )
        assert answer.padding == ()
        receiver.set_options(can_pad=True)
        receiver.request_allocation(LOW)
        answer = allocator.explain()
        assert answer.padding == (receiver.id,)
        assert not answer.of(receiver.id).is_off
        assert "nobody" not in str(answer)
        assert "is off" not in str(answer)


async def test_an_unknown_estimate_is_said_to_be_unknown(autojump_clock):
    async with open_allocator() as allocator:
        assert str(allocator.explain()) == "estimate unknown, 0 bit/s allocated"
