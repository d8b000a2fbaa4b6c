"""A pause for want of bandwidth ends at the lowest step, and not too soon after the last."""

from __future__ import annotations

import math

import pytest

from trio_allocator.messages import RequestAllocation
from trio_allocator.receiver import RequestVariant, SwitchReason, VariantSelector
from trio_allocator.receiver.pause import FIRST_WAIT, LONGEST_WAIT, PROVEN, Pause
from trio_allocator.receiver.selector import RESUMED
from trio_allocator.tracks import Track

LADDER = {"low": 150_000, "medium": 500_000, "high": 2_500_000}
CAMERA = Track("camera", variants=LADDER)


def test_a_first_pause_may_end_at_once():
    pause = Pause()
    pause.began(0.0)
    assert pause.lasts
    assert pause.may_end(0.0)
    assert pause.next_due == math.inf


def test_pauses_that_follow_each_other_grow_up_to_a_limit():
    pause, now, waits = Pause(), 0.0, []
    for _ in range(8):
        pause.began(now)
        waits.append(max(0.0, pause.until - now))
        now = max(now, pause.until) + 1.0
        assert pause.may_end(now)
        pause.over(now)
    assert waits == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_WAIT, LONGEST_WAIT]


def test_a_resume_that_lasted_was_right():
    pause = Pause()
    for now in (0.0, 1.0):
        pause.began(now)
        pause.over(now + 0.5)
    pause.began(1.5 + PROVEN)
    assert pause.may_end(1.5 + PROVEN)


def test_it_may_not_end_before_its_time():
    pause = Pause()
    pause.began(0.0)
    pause.over(0.5)
    pause.began(1.0)
    assert (pause.may_end(1.5), pause.next_due) == (False, 1.0 + FIRST_WAIT)
    assert (pause.may_end(1.0 + FIRST_WAIT), pause.next_due) == (True, math.inf)


# The selector


def sending(variant="high"):
    selector = VariantSelector(CAMERA, pausable=True, bare_steps=True)
    selector.registered(LADDER[variant], 0.0)
    selector.variant_switched(variant, 0.0)
    return selector


def requests(actions):
    return [action.bitrate for action in actions if isinstance(action, RequestAllocation)]


def test_what_was_paused_climbs_at_once():
    selector = sending()
    assert requests(selector.granted(0, 10.0)) == [150_000]
    resumed = selector.granted(150_000, 11.0)
    assert resumed == (
        RequestAllocation(2_500_000),
        RequestVariant("low", SwitchReason.RESUMED),
    )
    assert selector.granted(2_500_000, 11.0) == (RequestVariant("high", SwitchReason.RESUMED),)
    selector.variant_switched("high", 11.2)
    selector.granted(500_000, 12.0)
    (back,) = selector.granted(2_500_000, 13.0)
    assert back == RequestVariant("high", SwitchReason.GRANTED), "it flows: that pause is over"


def test_after_a_resume_that_was_taken_back_the_lowest_has_to_flow_first():
    selector = sending()
    selector.granted(0, 10.0)
    selector.granted(150_000, 11.0)
    selector.granted(0, 12.0)
    selector.evaluate(12.0 + FIRST_WAIT)
    resumed = selector.granted(150_000, 14.0)
    assert resumed == (RequestVariant("low", SwitchReason.RESUMED),)
    assert selector.variant_switched("low", 14.2) == ()
    assert requests(selector.evaluate(14.0 + RESUMED)) == [2_500_000]


def test_a_resume_that_is_taken_back_waits_longer():
    selector = sending()
    selector.granted(0, 10.0)
    selector.granted(150_000, 11.0)
    selector.variant_switched("low", 11.2)
    assert requests(selector.granted(0, 12.0)) == [0], "what waits claims nothing"
    assert selector.next_evaluation == 12.0 + FIRST_WAIT
    assert requests(selector.evaluate(12.0 + FIRST_WAIT)) == [150_000]


@pytest.mark.parametrize("event", ["variant_inactive", "mute"])
def test_a_source_that_was_off_meanwhile_comes_back_to_the_best(event):
    selector = sending()
    selector.granted(0, 10.0)
    for variant in LADDER:
        getattr(selector, event)(variant, 11.0)
    undo = {"variant_inactive": "variant_active", "mute": "unmute"}[event]
    for variant in LADDER:
        getattr(selector, undo)(variant, 12.0)
        selector.ladder_told(selector.allocation, 12.0)
    assert selector.claim == 2_500_000
