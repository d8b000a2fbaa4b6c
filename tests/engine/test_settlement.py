"""From projections to messages: who is granted first, and what is dropped with whoever leaves."""

from __future__ import annotations

import pytest

from tests.engine.support import NOW, asked, granted, joined, ladder, opened, withdrawn
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.messages import GrantReason
from trio_allocator.policies.policy import Shares
from trio_allocator.report.status import snapshot

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


def pending(**settings):
    """One of a lower class is asked, one beside it refused, and one of a higher class waits."""
    engine = opened(660, **settings)
    other, refuser = joined(engine, 330, 100, 300), joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 300)
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    engine.update_estimate(NOW, 770)
    higher = joined(engine, 0, 500, priority=1)
    engine.drain()
    engine.request(NOW, higher, 550)  # needs what both of them have above their minimum
    assert asked(engine.drain()) == {other.id: 110}
    assert (other.projected, refuser.projected, higher.projected) == (110, 110, 550)
    return engine, other, refuser, higher


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
    engine, other, refuser, higher = pending()
    engine.leave(NOW, refuser)
    assert told_more(engine) == []
    engine.request(NOW, other, 110)
    assert told_more(engine) == [higher.id]
    assert snapshot(engine).forced == 0
    assert engine.ledger.committed == engine.ledger.projected == 660


@pytest.mark.invariant("N7", "G1")
def test_a_request_that_is_not_needed_any_more_is_withdrawn_once():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    engine.drain()
    engine.update_estimate(NOW, 330)
    assert withdrawn(engine.drain()) == [receiver.id]
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
        assert min(snapshot(engine).holds.values()) == NOW + delay + 5
        engine.advance(NOW + delay + 5)
        assert granted(engine.drain()) == [(receiver.id, 300, GRANTED)]
    assert snapshot(engine).holds == {}


@pytest.mark.invariant("G9")
def test_a_hold_that_begins_again_ends_last():
    engine = opened(2_000)
    first, second = joined(engine, 300), joined(engine, 300)
    engine.force(NOW, first, 200)
    engine.force(NOW + 1, second, 200)
    engine.force(NOW + 2, first, 100)
    assert sorted(snapshot(engine).holds.items()) == [(first.id, NOW + 7), (second.id, NOW + 6)]


@pytest.mark.invariant("G6", "N8")
def test_a_refuser_is_forced_when_whoever_was_asked_has_given():
    engine, other, refuser, higher = pending()
    engine.request(NOW, other, 110)
    assert granted(engine.drain())[1:] == [
        (refuser.id, 110, GrantReason.FORCED),
        (higher.id, 550, GRANTED),
    ]


@pytest.mark.invariant("N5", "N8")
def test_a_refuser_whose_refusal_has_lapsed_by_then_is_asked_instead():
    engine, other, refuser, _ = pending(refusal_backoff=1.0, negotiation_timeout=5.0)
    engine.request(NOW + 2, other, 110)
    assert asked(engine.drain()) == {refuser.id: 110}
    assert snapshot(engine).forced == 0


@pytest.mark.invariant("N7", "N8")
def test_a_refuser_that_need_not_give_any_more_is_not_forced():
    engine, other, refuser, higher = pending()
    engine.update_estimate(NOW, 1_210)
    effects = engine.drain()
    assert other.id in withdrawn(effects)
    assert granted(effects) == [(higher.id, 550, GRANTED)]
    assert (refuser.projected, snapshot(engine).forced) == (330, 0)


@pytest.mark.invariant("G2")
def test_a_refuser_that_need_not_give_any_more_is_served_what_it_waits_for():
    # G2: at the end there are 3790 bit/s free, and 220 are waited for until the next event.
    engine, other, refuser, _ = pending(negotiation_timeout=5.0)
    engine.configure(NOW, refuser, ladder(100, 300, 500), refuser.options, PaddingAccount())
    engine.request(NOW, refuser, 550)
    engine.answer(NOW, other, other.request.id, accepted=True)
    engine.update_estimate(NOW, 5_000)
    assert refuser.allocation == 550


@pytest.mark.invariant("G1")
def test_a_raise_that_is_planned_no_more_is_not_told():
    engine = opened(330)
    giver, taker = joined(engine, 330, 100, 300), joined(engine, 0, 100, priority=1)
    engine.request(NOW, taker, 110)
    engine.update_estimate(NOW, 200)
    engine.request(NOW, giver, 110)
    assert taker.projected == 0
    assert told_more(engine) == []


@pytest.mark.invariant("G2")
def test_what_is_freed_for_the_first_and_too_little_goes_to_a_smaller_claim():
    assert served_first(110, {"wants": 300}, {"wants": 110, "since": 1}) == 2


@pytest.mark.invariant("G8")
@pytest.mark.parametrize(("free", "granted_to"), [(220, 330), (440, 550)])
def test_who_is_served_counts_as_passed_no_more(free, granted_to):
    engine = opened(600)
    blocker = joined(engine, 490, negotiable=False)
    senior = joined(engine, 110, 100, 300, 500)
    engine.request(NOW, senior, 550)
    small = joined(engine, 0)
    engine.update_estimate(NOW, 610)
    engine.request(NOW + 1, small, 10)
    assert (small.allocation, senior.overtaken) == (10, 1)
    engine.request(NOW + 2, blocker, 490 - free)
    assert (senior.allocation, senior.overtaken) == (granted_to, 0)


@pytest.mark.invariant("G8", "L3")
def test_where_a_policy_fails_the_built_in_sharing_takes_over_in_the_same_event():
    failing = []

    def first_come(claims, _capacity):
        if failing:
            raise failing[0]
        return Shares({claim.receiver_id: claim.allocation for claim in claims})

    engine = opened(1_000, first_come, overtaken_limit=1)
    joined(engine, 400, negotiable=False)
    large, small = joined(engine, 0), joined(engine, 0)
    engine.request(NOW, large, 900)
    failing.append(LookupError("it has slipped my mind"))
    engine.request(NOW + 1, small, 100)
    assert small.allocation == 100
    assert snapshot(engine).favoured == {large.id: NOW + 6}


@pytest.mark.invariant("L3", "N8")
def test_where_a_policy_fails_whoever_may_be_forced_is_forced_all_the_same():
    refused = []

    def lowering(claims, capacity):
        if refused:
            raise refused[0]
        over = sum(claim.allocation for claim in claims) > capacity
        return Shares({c.receiver_id: c.lowest if over else c.allocation for c in claims})

    engine = opened(330, lowering)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    refused.append(LookupError("it has slipped my mind"))
    engine.answer(NOW, receiver, receiver.request.id, accepted=False)
    assert (receiver.allocation, snapshot(engine).forced) == (110, 1)


@pytest.mark.invariant("L2")
def test_a_hold_ends_with_whoever_had_it():
    engine = opened(2_000)
    receiver = joined(engine, 300)
    engine.force(NOW, receiver, 100)
    engine.leave(NOW, receiver)
    assert snapshot(engine).holds == {}


@pytest.mark.invariant("G8", "N8")
def test_who_is_forced_gives_for_the_minimum_of_another_in_the_same_event():
    engine = opened(303)
    fixed = joined(engine, 165, min_bitrate=200, negotiable=False)
    silent = joined(engine, 165)
    engine.request(NOW, fixed, 330)
    engine.advance(NOW + 0.05)
    assert (fixed.allocation, silent.allocation) == (200, 103)
