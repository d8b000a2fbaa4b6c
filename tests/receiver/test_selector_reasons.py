"""Why a selector wants nothing, and what it keeps while it does."""

from __future__ import annotations

import math

import pytest

from trio_allocator.messages import DecreaseAllocation, RejectDecrease, RequestAllocation
from trio_allocator.receiver import RequestVariant, SwitchReason, VariantSelector
from trio_allocator.receiver.selector import IDLE_GRACE
from trio_allocator.tracks import Track

LADDER = {"low": 150_000, "high": 2_500_000}
CAMERA = Track("camera", variants=LADDER)
LOW, HIGH = (CAMERA.allocation(name) for name in LADDER)


def sending(allocation: int = LOW, **settings) -> VariantSelector:
    selector = VariantSelector(CAMERA, **settings)
    selector.registered(allocation, 0.0)
    selector.variant_switched(selector.queued, 0.0)
    return selector


@pytest.mark.parametrize(
    ("event", "reason"),
    [("mute", SwitchReason.MUTED), ("variant_inactive", SwitchReason.INACTIVE)],
)
def test_with_nothing_left_to_send_the_reason_is_what_took_it_away(event, reason):
    selector = sending(active=["low"])
    actions = getattr(selector, event)("low", 1.0)
    assert RequestVariant(None, reason) in actions
    assert selector.current is None


def test_a_ladder_without_what_was_sent_is_as_if_its_source_had_stopped():
    selector = sending()
    actions = selector.set_variants({"other": 200_000_000}, 1.0)
    assert RequestVariant(None, SwitchReason.LOW_BANDWIDTH) in actions
    actions = sending(active=["low"]).set_variants({}, 1.0)
    assert RequestVariant(None, SwitchReason.INACTIVE) in actions


@pytest.mark.parametrize("pausable", [True, False])
@pytest.mark.parametrize("held", [1, 2, LOW - 1])
def test_what_carries_nothing_is_kept_for_a_moment_only(held, pausable):
    selector = VariantSelector(CAMERA, pausable=pausable)
    assert selector.registered(held, 0.0) == (RequestAllocation(HIGH),)
    assert selector.next_evaluation == IDLE_GRACE
    assert selector.evaluate(IDLE_GRACE) == (RequestAllocation(0), RequestAllocation(HIGH))
    assert (selector.allocation, selector.next_evaluation) == (0, math.inf)


@pytest.mark.invariant("N4")
def test_who_holds_nothing_has_nothing_to_promise():
    selector = VariantSelector(CAMERA, pausable=True)
    selector.registered(0, 0.0)
    request = DecreaseAllocation(500, 0, request_id=7, receiver_id=3)
    assert selector.answer(request) == RejectDecrease(7, 3)


@pytest.mark.invariant("N4")
def test_an_accepted_decrease_is_what_is_held_and_claimed_where_nothing_better_is_wanted():
    selector = VariantSelector(CAMERA, target="low", active=[])
    selector.registered(HIGH, 0.0)
    selector.lowered(LOW, 0.5)
    assert (selector.allocation, selector.claim) == (LOW, LOW)
