"""From projections to messages: who is granted first, and what is dropped with whoever leaves."""

from __future__ import annotations

import pytest

from tests.engine.support import NOW, asked, granted, joined, opened
from trio_allocator.engine.settlement import RequestWithdrawn
from trio_allocator.messages import GrantReason

GRANTED = GrantReason.GRANTED


def two_waiting(first: dict, second: dict):
    """One of a lower class holds all, two of a higher one wait; what is freed is for one of them.

    Returns the engine, who gives, and who waits: the first joined first.
    """
    engine = opened(1_000)
    waiting = []
    held = sum(each.get("held", 0) for each in (first, second))
    giver = joined(engine, 1_000 - held, negotiable=False)
    for each in (first, second):
        options = {"priority": 1, **each.get("options", {})}
        waiting.append(joined(engine, each.get("held", 0), *each.get("ladder", ()), **options))
    for receiver, each in zip(waiting, (first, second), strict=True):
        engine.request(NOW + each.get("since", 0), receiver, each["wants"])
    engine.drain()
    engine.configure(
        NOW + 9,
        giver,
        giver.track,
        giver.options.changed({"negotiable": True}),
        None,
    )
    assert giver.id in asked(engine.drain())
    return engine, giver, waiting


def served_first(freed: int, first: dict, second: dict) -> int:
    """Which of the two is granted what is freed: 1 or 2."""
    engine, giver, waiting = two_waiting(first, second)
    engine.request(NOW + 9.01, giver, giver.allocation - freed)
    ((receiver_id, _, reason),) = [
        grant for grant in granted(engine.drain()) if grant[2] is not GrantReason.LOWERED
    ]
    assert reason is GRANTED
    return [receiver.id for receiver in waiting].index(receiver_id) + 1


@pytest.mark.invariant("G5", "G8")
def test_what_is_freed_goes_to_the_longest_waiting_then_to_the_earlier_registration():
    assert served_first(300, {"wants": 300, "since": 1}, {"wants": 300, "since": 0}) == 2
    assert served_first(300, {"wants": 300, "since": 0}, {"wants": 300, "since": 1}) == 1
    assert served_first(300, {"wants": 300}, {"wants": 300}) == 1


@pytest.mark.invariant("G5", "G6")
def test_it_goes_to_the_higher_class_though_that_has_not_waited_as_long():
    later = {"wants": 300, "since": 1, "options": {"priority": 2}}
    assert served_first(300, {"wants": 300}, later) == 2


@pytest.mark.invariant("G5", "G8")
def test_it_goes_to_a_minimum_before_anything_above_one():
    ladder = (100, 300, 500)
    extra = {"held": 110, "ladder": ladder, "wants": 330}
    minimum = {"held": 330, "ladder": ladder, "wants": 550, "since": 1}
    assert served_first(220, extra, {**minimum, "options": {"min_bitrate": 500}}) == 2
    assert served_first(220, extra, minimum) == 1


@pytest.mark.invariant("G5", "G8")
def test_it_goes_to_a_low_step_before_a_high_one():
    high = {"held": 330, "ladder": (100, 300, 500), "wants": 550}
    low = {"held": 110, "ladder": (100, 300), "wants": 330, "since": 1}
    assert served_first(220, high, low) == 2


def told_more(engine) -> list[int]:
    return [receiver for receiver, _, reason in granted(engine.drain()) if reason is GRANTED]


@pytest.mark.invariant("L2")
def test_a_raise_that_was_planned_for_a_leaver_is_given_to_nobody():
    engine, giver, (leaver, stayer) = two_waiting({"wants": 300}, {"wants": 300, "since": 1})
    engine.leave(NOW + 9.01, leaver)
    engine.request(NOW + 9.02, giver, 400)
    assert told_more(engine) == [stayer.id]
    assert engine.ledger.committed == engine.ledger.projected == 700


@pytest.mark.invariant("A1", "L2", "N8")
def test_a_refuser_that_leaves_before_it_is_forced_is_not_forced():
    engine = opened(660)
    other, refuser = joined(engine, 330, 100, 300), joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 300)
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    engine.update_estimate(NOW, 770)
    higher = joined(engine, 0, 500, priority=1)
    engine.request(NOW, higher, 550)  # needs what both of them have above their minimum
    assert asked(engine.drain())[other.id] == 110
    assert refuser.projected == 110
    engine.leave(NOW, refuser)
    assert told_more(engine) == []
    engine.request(NOW, other, 110)
    assert told_more(engine) == [higher.id]
    assert engine.settlement.forced == 0
    assert engine.ledger.committed == engine.ledger.projected == 660


@pytest.mark.invariant("N7", "G1")
def test_a_request_that_is_not_needed_any_more_is_withdrawn_once():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    engine.drain()
    engine.update_estimate(NOW, 330)
    assert engine.drain() == [RequestWithdrawn(receiver.id)]
    engine.update_estimate(NOW, 340)
    assert engine.drain() == []
    assert receiver.projected == receiver.allocation == 330


@pytest.mark.invariant("G9")
def test_holds_end_one_after_the_other():
    engine = opened(2_000)
    receivers = [joined(engine, 300) for _ in range(3)]
    for delay, receiver in enumerate(receivers):
        engine.force(NOW + delay, receiver, 100)
    engine.drain()
    for delay, receiver in enumerate(receivers):
        assert engine.settlement.wake_at == NOW + delay + 5
        engine.advance(NOW + delay + 5)
        assert granted(engine.drain()) == [(receiver.id, 300, GRANTED)]
    assert engine.settlement.holds == {}


@pytest.mark.invariant("G9")
def test_a_hold_that_begins_again_ends_last():
    engine = opened(2_000)
    first, second = joined(engine, 300), joined(engine, 300)
    engine.force(NOW, first, 200)
    engine.force(NOW + 1, second, 200)
    engine.force(NOW + 2, first, 100)
    assert list(engine.settlement.holds.items()) == [(second.id, NOW + 6), (first.id, NOW + 7)]


@pytest.mark.invariant("L2")
def test_a_hold_ends_with_whoever_had_it():
    engine = opened(2_000)
    receiver = joined(engine, 300)
    engine.force(NOW, receiver, 100)
    engine.leave(NOW, receiver)
    assert engine.settlement.holds == {}
