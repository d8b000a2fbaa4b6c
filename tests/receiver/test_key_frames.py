"""A key frame that does not come: asked for again, given up, tried again, and never held for."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from trio_allocator.receiver import SwitchReason, VariantSelector
from trio_allocator.receiver.conversation import Conversation
from trio_allocator.receiver.key_frames import (
    FIRST_PAUSE,
    FIRST_REPEAT,
    LONGEST_PATIENCE,
    LONGEST_PAUSE,
    LONGEST_REPEAT,
    PATIENCE,
    KeyFrames,
)
from trio_allocator.tracks import Track

LADDER = {"low": 200_000, "medium": 600_000, "high": 2_000_000}
CAMERA = Track("camera", variants=LADDER)


def waiting(variant="high", now=0.0, **how):
    frames = KeyFrames()
    frames.wait_for(variant, now, **how)
    return frames


def run(frames, until):
    """Evaluate whenever it is due; returns when the request was repeated."""
    repeats = []
    while frames.next_due <= until:
        now = frames.next_due
        if frames.evaluate(now):
            repeats.append(now)
        assert frames.next_due > now
    return repeats


def test_it_is_asked_for_again_and_then_given_up():
    frames = waiting()
    assert run(frames, PATIENCE) == [FIRST_REPEAT]
    assert frames.stalled("high")
    assert not frames.stalled("low")


def test_the_same_again_changes_nothing_and_another_begins_anew():
    frames = waiting()
    frames.wait_for("high", 0.5)
    assert frames.next_due == FIRST_REPEAT
    frames.wait_for("low", 0.5)
    assert frames.next_due == 0.5 + FIRST_REPEAT
    frames.wait_for(None, 0.6)
    assert frames.next_due == math.inf
    assert frames.evaluate(9.0) is False


def test_pauses_and_patience_grow_up_to_a_limit():
    frames = KeyFrames()
    now, waits, pauses = 0.0, [], []
    for _ in range(7):
        frames.wait_for("high", now)
        begun = now
        while not frames.stalled("high"):
            now = frames.next_due
            frames.evaluate(now)
        waits.append(now - begun)
        frames.wait_for("low", now)
        frames.came("low")
        frames.wait_for(None, now)
        stalled = now
        now = frames.next_due
        frames.evaluate(now)
        assert not frames.stalled("high")
        pauses.append(now - stalled)
    assert waits == [PATIENCE, 2 * PATIENCE, *[LONGEST_PATIENCE] * 5]
    assert pauses == pytest.approx(
        [FIRST_PAUSE, 3 * FIRST_PAUSE, 9 * FIRST_PAUSE, *[LONGEST_PAUSE] * 4]
    )


def test_one_that_comes_has_never_stalled():
    frames = waiting()
    run(frames, PATIENCE)
    frames.came("high")
    assert not frames.stalled("high")
    frames.wait_for(None, 3.0)
    frames.wait_for("high", 3.0)
    run(frames, 3.0 + PATIENCE)
    assert frames.stalled("high"), "as at first: its patience is short again"


def test_without_a_choice_it_is_asked_for_ever_less_often_and_never_given_up():
    frames = waiting(patient=True)
    repeats = run(frames, 60.0)
    gaps = [after - before for before, after in pairwise([0.0, *repeats])]
    assert gaps[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(gaps) == LONGEST_REPEAT
    assert not frames.stalled("high")


def test_one_that_is_hoped_for_stays_stalled_until_it_comes():
    frames = waiting()
    run(frames, PATIENCE)
    frames.wait_for("high", PATIENCE, patient=True)
    run(frames, 10 * LONGEST_PAUSE)
    assert frames.stalled("high")


def test_what_is_gone_from_the_ladder_is_forgotten():
    frames = waiting()
    run(frames, PATIENCE)
    frames.keep(frozenset({"low", "high"}))
    assert frames.stalled("high")
    frames.keep(frozenset({"low"}))
    assert not frames.stalled("high")


# The selector


class Source:
    """An allocator that grants what is asked, a source that sends what it has, and time."""

    def __init__(self, *, comes=(), delay=0.1, room=10**9, **settings):
        self.selector = VariantSelector(CAMERA, bare_steps=True, **settings)
        self.comes = set(comes)
        self.delay = delay
        self.room = room
        self.now = 0.0
        self.told = []
        self.allocation = LADDER["low"]
        self._key_at = math.inf
        self._conversation = Conversation(self.selector, self, self.request_variant)
        self.do(self.selector.registered(self.allocation, 0.0))

    def do(self, actions):
        self._conversation.perform(actions, self.now)

    def request_variant(self, request):
        self.told.append((self.now, request.variant, request.reason))
        if request.variant in self.comes:
            self._key_at = min(self._key_at, self.now + self.delay)

    def request_allocation(self, bitrate):
        if bitrate <= self.room:
            self.allocation = bitrate

    def set_variants(self, variants):
        pass

    def let(self, seconds):
        end = self.now + seconds
        while (due := min(self.selector.next_evaluation, self._key_at)) <= end:
            assert due >= self.now
            self.now = due
            if due == self._key_at:
                self._key_at = math.inf
                if self.selector.queued in self.comes:
                    self.do(self.selector.variant_switched(self.selector.queued, due))
            else:
                self.do(self.selector.evaluate(due))
                assert self.selector.next_evaluation > due
        self.now = end


def test_it_falls_back_to_what_comes_holds_that_and_says_why():
    source = Source(comes={"low", "medium"})
    source.let(PATIENCE + 0.5)
    assert source.selector.current == "medium"
    assert source.selector.allocation == LADDER["medium"]
    assert [told[1:] for told in source.told][-3:] == [
        ("high", SwitchReason.GRANTED),
        ("high", SwitchReason.REPEATED),
        ("medium", SwitchReason.STALLED),
    ]
    assert not source.selector.stalled


@pytest.mark.parametrize("comes", [{"low"}, {"medium"}, {"low", "medium"}])
def test_one_that_never_comes_is_held_for_a_tenth_of_the_time(comes):
    source = Source(comes=comes)
    held = 0.0
    for _ in range(6_000):
        source.let(0.1)
        held += 0.1 * (source.selector.allocation > LADDER["medium"])
    assert source.selector.current in comes
    assert held < 0.1 * 600


def test_what_flows_goes_on_meanwhile():
    source = Source(comes={"low"})
    source.do(source.selector.variant_switched("low", 0.0))
    for _ in range(60):
        source.let(0.1)
        assert source.selector.current == "low"
    assert source.selector.allocation == LADDER["low"]


def test_with_nothing_that_comes_nothing_is_held_and_it_is_asked_for_still():
    source = Source()
    dark = 0
    for _ in range(1_200):
        source.let(0.5)
        assert source.selector.current is None
        assert source.selector.stalled == (source.allocation == 0)
        dark += source.allocation == 0
    assert dark > 0.75 * 1_200, "two are tried again now and then"
    asked = [now for now, variant, _ in source.told if variant == "low"]
    assert max(after - before for before, after in pairwise([*asked, 600.0])) < 20
    assert None not in {variant for _, variant, _ in source.told}


def test_once_it_comes_it_flows_at_once():
    source = Source()
    source.let(30.0)
    source.comes = {"low"}
    source.let(LONGEST_REPEAT + 0.5)
    assert source.selector.current == "low"
    assert source.selector.allocation >= LADDER["low"]
    assert not source.selector.stalled


def test_what_flows_without_an_allocation_ends_if_none_is_given():
    source = Source()
    source.let(8.5)
    assert (source.selector.allocation, source.selector.queued) == (0, "low")
    source.room = 0
    source.do(source.selector.variant_switched("low", source.now))
    assert source.selector.current == "low"
    source.let(5.5)
    assert source.told[-1][1:] == (None, SwitchReason.LOW_BANDWIDTH)


@pytest.mark.parametrize("event", ["variant_active", "variant_switched"])
def test_a_source_that_says_it_sends_is_believed(event):
    source = Source(comes={"low", "medium"})
    source.let(3.0)
    assert source.selector.current == "medium"
    source.comes.add("high")
    source.do(getattr(source.selector, event)("high", source.now))
    source.let(0.5)
    assert source.selector.current == "high"


def test_a_slow_encoder_gets_there_in_the_end():
    """A key frame every 5 s, and none on request."""
    source = Source(comes={"low", "medium", "high"}, delay=5.0)
    source.do(source.selector.variant_switched("low", 0.0))
    source.let(120.0)
    assert source.selector.current == "high"


def test_a_ladder_without_the_stalled_one_and_with_it_again_is_a_fresh_start():
    source = Source(comes={"low", "medium"})
    source.let(3.0)
    selector = source.selector
    source.do(selector.set_variants({"low": 200_000, "medium": 600_000}, source.now))
    source.comes.add("high")
    source.do(selector.set_variants(LADDER, source.now))
    source.let(0.5)
    assert selector.current == "high"


def test_one_that_is_hoped_for_may_be_held_for_again():
    frames = waiting(patient=True)
    frames.wait_for("high", 0.5)
    assert run(frames, 0.5 + PATIENCE)[0] == FIRST_REPEAT, "it is not asked for anew"
    assert frames.stalled("high")
