"""What an allocator says of itself is what its books say."""

from __future__ import annotations

import math

import pytest
from attrs import asdict

from tests.engine.support import NOW, joined, opened
from trio_allocator.engine.effects import WakeReason
from trio_allocator.engine.probing.probe_status import ProbeStatus
from trio_allocator.report.status import AllocatorStatus, Allowance, snapshot

QUIET = AllocatorStatus(
    estimate=None,
    max_bitrate=None,
    reserve=0,
    usable=None,
    committed=0,
    free=0,
    allowances=(),
    unrelieved=0,
    receivers=0,
    waiting=0,
    asked=0,
    refusing=0,
    holds={},
    ceiling=None,
    ceiling_until=None,
    favoured={},
    bars={},
    probe=ProbeStatus.IDLE,
    probe_target=0,
    probes_fruitless=0,
    forced=0,
    breaches=0,
    policy_fault=None,
    next_look=None,
    next_look_for=WakeReason.NOTHING,
)


def differs(engine, **expected) -> bool:
    """Whether anything but this, and when it looks again, differs from an allocator that nothing has happened to."""
    expected.setdefault("usable", expected.get("estimate"))
    status = snapshot(engine)
    looks = {"next_look": status.next_look, "next_look_for": status.next_look_for}
    return asdict(status, recurse=False) != {**asdict(QUIET, recurse=False), **looks, **expected}


@pytest.mark.invariant("A6")
def test_while_the_estimate_is_unknown_nothing_is_free_and_nothing_is_too_much():
    engine = opened()
    assert snapshot(engine) == QUIET
    joined(engine, 300)
    joined(engine, 200)
    assert not differs(engine, committed=500, receivers=2)


def test_what_is_not_allocated_is_free():
    engine = opened(1_000)
    joined(engine, 300)
    assert not differs(engine, estimate=1_000, committed=300, free=700, receivers=1)
    joined(engine, 700)
    assert snapshot(engine).free == 0


def test_a_step_that_does_not_fit_is_waited_and_probed_for():
    engine = opened(500)
    engine.request(NOW, joined(engine, 110, 100, 300, 500), 550)
    known = {"estimate": 500, "committed": 330, "free": 170, "receivers": 1, "waiting": 1}
    engine.advance(NOW + 2)
    assert not differs(engine, **known, probe=ProbeStatus.PROBING, probe_target=550)
    engine.advance(NOW + 5)
    assert not differs(engine, **known, probe=ProbeStatus.RESTING, probes_fruitless=1)


@pytest.mark.invariant("A2")
def test_an_excess_is_what_is_being_negotiated_then_what_cannot_be_then_minimums():
    engine = opened(480)
    joined(engine, 150, negotiable=False)
    joined(engine, 330, 100, 300)
    assert not differs(engine, estimate=480, committed=480, receivers=2)
    for estimate, under_way, fixed, minimum in (
        (479, 1, 0, 0),
        (260, 220, 0, 0),
        (259, 220, 1, 0),
        (110, 220, 150, 0),
        (100, 220, 150, 10),
    ):
        engine.update_estimate(NOW, estimate)
        named = {
            "decrease under way": under_way,
            "not negotiable": fixed,
            "minimum": minimum,
        }
        assert not differs(
            engine,
            estimate=estimate,
            committed=480,
            receivers=2,
            asked=1,
            allowances=tuple(Allowance(name, size) for name, size in named.items() if size),
            unrelieved=fixed + minimum,
        )


@pytest.mark.invariant("A2", "N5")
def test_what_a_refuser_may_yet_be_forced_to_give_is_under_way_while_others_are_asked():
    engine = opened(660)
    one, _ = joined(engine, 330, 100, 300), joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 230)
    engine.answer(NOW, one, one.request.id, accepted=False)
    status = snapshot(engine)
    assert (status.asked, status.refusing, status.unrelieved) == (1, 1, 0)
    assert status.allowances == (Allowance("decrease under way", 430),)


@pytest.mark.invariant("G9", "N4")
def test_a_breach_is_counted_as_such_and_as_force_and_followed_by_a_hold():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    engine.answer(NOW, receiver, receiver.request.id, accepted=True)
    engine.advance(NOW + 0.05)
    assert not differs(
        engine,
        estimate=200,
        committed=110,
        free=90,
        receivers=1,
        waiting=1,
        refusing=1,
        holds={receiver.id: NOW + 5.05},
        forced=1,
        breaches=1,
    )


@pytest.mark.invariant("L3")
def test_a_policy_that_failed_is_named_with_what_it_raised():
    def forgetful(_claims, _capacity):
        raise LookupError("it has slipped my mind")

    engine = opened(1_000, forgetful)
    fault = snapshot(engine).policy_fault
    assert fault is None
    joined(engine, 300)
    fault = snapshot(engine).policy_fault
    assert fault is not None
    assert "forgetful" in fault
    assert "it has slipped my mind" in fault


@pytest.mark.invariant("G8")
def test_for_whom_something_is_held_is_said_until_it_is_over():
    engine = opened(1_000, overtaken_limit=1)
    for _ in range(3):
        joined(engine, 200, negotiable=False)
    large, small = joined(engine, 0), joined(engine, 0)
    engine.request(NOW, large, 900)
    engine.request(NOW + 1, small, 100)
    assert snapshot(engine).favoured == {large.id: NOW + 6}
    engine.advance(NOW + 6)
    assert snapshot(engine).favoured == {}


def test_it_is_said_when_it_looks_again_and_for_what():
    def next_look():
        status = snapshot(engine)
        return status.next_look, status.next_look_for

    engine = opened(1_000, estimates="ideal", estimate_timeout=None)
    assert next_look() == (NOW + 2, WakeReason.ESTIMATE)
    engine.update_estimate(NOW, 1_000_000)
    receiver = joined(engine, 330, 100, 300, now=NOW)
    engine.update_estimate(NOW + 0.5, 200)
    assert next_look() == (NOW + 0.55, WakeReason.DEADLINE)
    engine.advance(NOW + 0.55)
    assert receiver.allocation == 110
    assert next_look() == (NOW + 2.5, WakeReason.ESTIMATE)
    engine = opened(1_000, estimates="ideal")
    engine.force(NOW, joined(engine, 330, 100, 300), 110)
    assert next_look() == (NOW + 5, WakeReason.HOLD)


def test_a_snapshot_does_not_change_with_what_it_was_taken_of():
    engine = opened(math.floor(1e6))
    receiver = joined(engine, 300, 200, 400)
    before = snapshot(engine)
    engine.force(NOW, receiver, 100)
    assert before.holds == {}
    assert snapshot(engine).holds == {receiver.id: NOW + 5}
