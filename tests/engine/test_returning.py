"""What cannot be sent is not held, and who returns is served first of its class (A7)."""

from __future__ import annotations

import pytest

from tests.engine.support import NOW, asked, granted, joined, opened
from tests.engine.test_metamorphic import PureFairPolicy
from trio_allocator.engine.sharing.layered_policy import FairPolicy, LayeredPolicy
from trio_allocator.messages import GrantReason
from trio_allocator.policies.water_filling import WaterFillingPolicy

pytestmark = pytest.mark.invariant("A7")
EVERY_POLICY = pytest.mark.parametrize("policy", [LayeredPolicy(), WaterFillingPolicy()])


@EVERY_POLICY
@pytest.mark.parametrize(
    "options",
    [{}, {"negotiable": False}, {"min_bitrate": 165}, {"pausable": True}, {"priority": 3}],
)
def test_a_request_for_nothing_gives_back_all_whatever_its_options(policy, options):
    engine = opened(1_000, policy)
    muted = joined(engine, 330, 150, 300, **options)
    engine.request(NOW, muted, 0)
    assert (muted.allocation, engine.ledger.committed) == (0, 0)
    assert granted(engine.drain()) == [(muted.id, 0, GrantReason.LOWERED)]
    engine.update_estimate(NOW + 1, 2_000)
    assert engine.drain() == []  # nor is its minimum pressed upon it


@EVERY_POLICY
def test_who_returns_is_served_before_those_who_have_waited_longer(policy):
    engine = opened(330, policy)
    muted = joined(engine, 165, 150)
    holder = joined(engine, 165, 150, negotiable=False)
    engine.request(NOW, muted, 0)
    engine.force(NOW, holder, 165)
    others = [joined(engine, 0, 150, now=NOW + 1) for _ in range(3)]
    engine.request(NOW + 1, joined(engine, 165, 150, negotiable=False), 165)
    for other in others:
        engine.request(NOW + 1, other, 165)
    engine.request(NOW + 2, muted, 165)
    assert [r.allocation for r in (muted, *others)] == [0, 0, 0, 0]
    engine.update_estimate(NOW + 3, 495)
    assert [r.allocation for r in (muted, *others)] == [165, 0, 0, 0]


def test_its_minimum_comes_before_what_others_hold_above_theirs():
    engine = opened(1_100)
    muted, other = joined(engine, 165, 150, 500), joined(engine, 165, 150, 500, 800)
    engine.request(NOW, muted, 0)
    engine.request(NOW, other, 880)
    engine.request(NOW + 1, joined(engine, 165, 150, now=NOW + 1), 165)
    engine.drain()
    engine.request(NOW + 60, muted, 550)
    assert asked(engine.drain()) == {other.id: 550}


def test_its_second_step_has_no_precedence():
    engine = opened(330)
    muted, other = joined(engine, 165, 150, 500), joined(engine, 165, 150, 500)
    engine.request(NOW, muted, 0)
    engine.request(NOW + 1, other, 550)
    engine.request(NOW + 2, muted, 550)
    assert (muted.allocation, other.allocation) == (165, 165)
    engine.update_estimate(NOW + 3, 715)  # enough for one of them
    assert (muted.allocation, other.allocation) == (165, 550)


@pytest.mark.parametrize("policy", [FairPolicy(), PureFairPolicy()])
def test_a_plan_for_it_stands_while_room_is_made(policy):
    engine = opened(55, policy)
    small, large = joined(engine, 55, 100, priority=1), joined(engine, 0, 150, priority=1)
    engine.request(NOW, small, 0)
    engine.request(NOW, large, 1)
    engine.request(NOW, large, 0)
    holder = joined(engine, 55, pausable=True)
    engine.request(NOW + 1, small, 110)
    engine.request(NOW + 1, large, 165)
    engine.update_estimate(NOW + 2, 165)  # what is worth more of the two
    engine.answer(NOW + 2, holder, holder.request.id, accepted=True, bitrate=0)
    assert (small.allocation, large.allocation) == (0, 165)


def test_of_planned_raises_its_own_is_the_first_that_there_is_room_for():
    engine = opened(660)
    muted, other = joined(engine, 165, 150, priority=1), joined(engine, 0, 150, priority=1)
    engine.request(NOW, muted, 0)
    holders = [joined(engine, 330, 150, 300) for _ in range(2)]
    engine.request(NOW, other, 165)
    engine.request(NOW + 1, muted, 165)
    assert [receiver.request.limit for receiver in holders] == [165, 165]
    engine.answer(NOW + 1, holders[0], holders[0].request.id, accepted=True, bitrate=165)
    assert (muted.allocation, other.allocation) == (165, 0)


@pytest.mark.invariant("G8")
@pytest.mark.parametrize("at_once", [True, False])
def test_one_that_was_asked_to_give_all_takes_its_turn_as_any_other(at_once):
    engine = opened(165)
    paused, other = (joined(engine, held, 150, pausable=True) for held in (165, 0))
    engine.request(NOW, other, 165)
    engine.update_estimate(NOW + 1, 0)
    request = paused.request.id
    engine.answer(NOW + 1, paused, request, accepted=True, bitrate=0 if at_once else None)
    engine.request(NOW + 1, paused, 0)
    engine.request(NOW + 1, paused, 165)
    engine.update_estimate(NOW + 100, 165)
    assert (paused.allocation, other.allocation) == (0, 165)


def test_one_that_gives_more_than_it_was_asked_for_may_have_been_muted():
    engine = opened(330)
    muted, other = joined(engine, 330, 150, 300), joined(engine, 0, 150, pausable=True)
    engine.request(NOW, other, 165)
    assert muted.request.limit == 165
    engine.answer(NOW, muted, muted.request.id, accepted=True, bitrate=0)
    joined(engine, 165, 150, negotiable=False)
    later = joined(engine, 0, 150, pausable=True)
    engine.request(NOW + 1, later, 165)
    engine.request(NOW + 2, muted, 165)
    engine.update_estimate(NOW + 3, 495)
    assert (muted.allocation, later.allocation) == (165, 0)
