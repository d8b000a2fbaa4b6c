"""What an event costs, in work done: calls of Python functions, never wall-clock time (C2)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from tests.engine.support import FAIR, EngineOfTests
from trio_allocator import Settings, Track
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.messages import DecreaseAllocation
from trio_allocator.options import ReceiverOptions

CAMERA = Track("camera", variants={"low": 150_000, "medium": 500_000, "high": 2_500_000})
LOW, MEDIUM, HIGH = CAMERA.steps
OPTIONS = ReceiverOptions.for_track(CAMERA, {})


def calls(act: Callable[[], object]) -> int:
    """How many Python functions run, generators resumed included."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count


def crowd(count: int, held: int, estimate: int) -> Engine:
    engine = EngineOfTests(Settings(), now=0.0, initial_estimate=estimate, policy=FAIR)
    for _ in range(count):
        engine.register(0.0, CAMERA, OPTIONS, held, PaddingAccount())
    return engine


def idle(count: int) -> Engine:
    return crowd(count, LOW, LOW * count)


def half_waiting(count: int) -> Engine:
    engine = crowd(count, LOW, LOW * count)
    for receiver in list(engine.ledger)[::2]:
        engine.request(0.0, receiver, HIGH)
    return engine


def all_refusing(count: int) -> Engine:
    """Everybody rejects, and is forced to its floor; that is still too much."""
    engine = crowd(count, HIGH, HIGH * count)
    engine.update_estimate(0.1, LOW * count // 2)
    for effect in engine.drain():
        message = effect.message
        assert isinstance(message, DecreaseAllocation)
        receiver = engine.ledger[message.receiver_id]
        engine.answer(0.1, receiver, message.request_id, accepted=False)
    assert engine.ledger.committed == LOW * count
    engine.update_estimate(0.2, LOW * count // 2)
    engine.drain()
    return engine


@pytest.mark.invariant("C2")
@pytest.mark.parametrize("prepare", [idle, half_waiting, all_refusing])
@pytest.mark.parametrize("change", [0, 1, 9])
def test_an_estimate_that_changes_nothing_costs_the_same_for_a_thousand(prepare, change):
    cost = {}
    for count in (10, 1000):
        engine = prepare(count)
        estimate = engine.estimates.value + change
        engine.update_estimate(0.3, estimate)
        cost[count] = calls(lambda engine=engine, rate=estimate: engine.update_estimate(0.4, rate))
        assert engine.drain() == []
    assert cost[1000] <= cost[10] * 1.5


@pytest.mark.invariant("C2")
def test_an_estimate_costs_in_proportion_to_what_it_changes():
    cost = {}
    for count in (100, 1000):
        engine = half_waiting(count)
        enough = LOW * count + (MEDIUM - LOW)
        cost[count] = calls(
            lambda engine=engine, enough=enough: engine.update_estimate(0.4, enough)
        )
        assert len(engine.drain()) == 1
    assert cost[1000] <= cost[100] * 1.5


@pytest.mark.invariant("C2")
@pytest.mark.parametrize("event", ["request", "leave", "register"])
def test_one_receiver_among_a_thousand_costs_what_it_costs_among_a_hundred(event):
    cost = {}
    for count in (100, 1000):
        engine = half_waiting(count)
        receiver = engine.ledger[count // 2]
        act = {
            "request": lambda e=engine, r=receiver: e.request(0.4, r, MEDIUM),
            "leave": lambda e=engine, r=receiver: e.leave(0.4, r),
            "register": lambda e=engine: e.register(0.4, CAMERA, OPTIONS, 0, PaddingAccount()),
        }[event]
        cost[count] = calls(act)
    assert cost[1000] <= cost[100] * 1.5


@pytest.mark.invariant("C2")
def test_asking_everybody_is_linear():
    cost = {}
    for count in (100, 1000):
        engine = crowd(count, HIGH, HIGH * count)
        cost[count] = calls(
            lambda engine=engine, count=count: engine.update_estimate(0.1, LOW * count)
        )
        assert len(engine.drain()) == count
    assert cost[1000] <= cost[100] * 11


@pytest.mark.invariant("C1")
def test_a_packet_is_two_additions_and_no_event():
    """The meter is all that the engine sees of a packet, and only a padding tick looks at it."""
    engine = idle(10)
    before = engine.wake_at

    def send() -> None:
        for _ in range(1000):
            engine.meter.media += 1200

    assert calls(send) == 1
    assert engine.wake_at == before
    assert engine.drain() == []


@pytest.mark.invariant("A4")
def test_all_bytes_on_the_wire_count_against_the_target():
    """A retransmission, a header or somebody's own padding: the probe sends that much less."""
    due = {}
    for sent in (0, 1000, 2500):
        engine = EngineOfTests(Settings(), now=0.0, initial_estimate=300_000)
        account = PaddingAccount()
        receiver = engine.register(0.0, CAMERA, OPTIONS, LOW, account)
        engine.request(0.0, receiver, MEDIUM)
        assert engine.prober.target > 0
        engine.meter.media += sent
        tick = engine.prober.next_tick
        assert engine.prober.tick(tick) == [receiver.id]
        owed = engine.prober.target / 8 * tick
        due[sent] = account.unread
        assert owed - sent - 256 < account.unread <= owed - sent
    assert due[0] > due[1000] > due[2500]
