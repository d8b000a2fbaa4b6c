"""What is granted in the call that asks for it is told with it: one event, one word."""

from __future__ import annotations

import pytest

from trio_allocator.messages import AllocationGranted, DecreaseAllocation, GrantReason
from trio_allocator.receiver import SwitchReason, VariantSelector
from trio_allocator.receiver.conversation import Conversation
from trio_allocator.tracks import Track

CAMERA = Track("camera", variants={"low": 150_000, "medium": 500_000, "high": 2_500_000})


class Allocator:
    """Grants at once up to its room, and keeps what it was told."""

    def __init__(self, allocation, room):
        self.allocation = allocation
        self.room = room
        self.told = []
        self.late = False
        self.grants_with_ladder = None

    def request_allocation(self, bitrate):
        self.told.append(bitrate)
        if bitrate <= self.room:
            self.allocation = bitrate

    def set_variants(self, variants):
        self.told.append(list(variants))
        if self.grants_with_ladder is not None:
            self.allocation = self.grants_with_ladder

    def accept_decrease(self, request, bitrate=None):
        self.told.append(("accept", request.request_id, bitrate))
        if not self.late:
            self.allocation = bitrate
        return not self.late

    def reject_decrease(self, request):
        self.told.append(("reject", request.request_id))


class Talk:
    def __init__(self, allocation=150_000, room=10**9, **settings):
        self.selector = VariantSelector(CAMERA, bare_steps=True, **settings)
        self.allocator = Allocator(allocation, room)
        self.switches = []
        self.conversation = Conversation(self.selector, self.allocator, self.switched)
        self.event(self.selector.registered(allocation, 0.0))

    def switched(self, request):
        self.switches.append((request.variant, request.reason))

    def event(self, actions, now=0.0):
        self.conversation.perform(actions, now)

    def flows(self):
        self.event(self.selector.variant_switched(self.selector.queued, 0.0))
        self.switches.clear()
        self.allocator.told.clear()


def test_at_the_start_only_the_variant_that_is_sent_is_asked_for():
    talk = Talk()
    assert talk.switches == [("high", SwitchReason.GRANTED)]
    assert talk.selector.allocation == 2_500_000


def test_below_the_target_all_vanish_and_the_next_above_is_asked_for_in_one_word():
    talk = Talk(target="medium")
    talk.flows()
    talk.event(talk.selector.variant_inactive("low", 1.0), 1.0)
    talk.event(talk.selector.variant_inactive("medium", 1.0), 1.0)
    assert talk.switches == [("high", SwitchReason.INACTIVE)]
    assert talk.allocator.told == [["medium", "high"], ["high"], 2_500_000]


def test_where_that_does_not_fit_nothing_is_sent_and_the_grant_says_why_it_came():
    talk = Talk(target="medium", room=600_000)
    talk.flows()
    talk.event(talk.selector.variant_inactive("low", 1.0), 1.0)
    talk.event(talk.selector.variant_inactive("medium", 1.0), 1.0)
    assert talk.switches == [(None, SwitchReason.LOW_BANDWIDTH)]
    talk.allocator.allocation = 2_500_000
    talk.conversation.obey(AllocationGranted(2_500_000, GrantReason.GRANTED, 1), 9.0)
    assert talk.switches[1:] == [("high", SwitchReason.INACTIVE)]


def test_a_message_about_what_is_known_already_changes_nothing():
    talk = Talk()
    talk.flows()
    talk.conversation.obey(AllocationGranted(2_500_000, GrantReason.GRANTED, 1), 1.0)
    assert (talk.switches, talk.allocator.told) == ([], [])


def dearer(talk, seconds=3):
    """What flows proves to be dearer than declared."""
    for second in range(1, seconds + 1):
        talk.selector.rates.sent += 600_000 / 8
        talk.event(talk.selector.evaluate(second), second)


def at_medium(granted_with_the_ladder):
    talk = Talk(500_000, room=500_000)
    talk.flows()
    assert (talk.selector.current, talk.selector.claim) == ("medium", 2_500_000)
    talk.allocator.grants_with_ladder = granted_with_the_ladder
    dearer(talk)
    return talk


@pytest.mark.invariant("G3")
def test_a_raise_that_comes_with_the_new_ladder_is_not_given_back_by_an_older_request():
    talk = at_medium(2_500_000)
    assert talk.allocator.told == [["low", "medium", "high"]]
    assert talk.allocator.allocation == talk.selector.claim == 2_500_000
    assert talk.switches == [("high", SwitchReason.GRANTED)]


def test_what_the_new_ladder_gives_enough_for_is_not_asked_for():
    talk = at_medium(600_000)
    assert talk.allocator.told == [["low", "medium", "high"]]
    assert (talk.switches, talk.selector.claim) == ([], 2_500_000)


def test_what_the_new_ladder_does_not_bring_is_asked_for():
    talk = at_medium(None)
    assert talk.allocator.told == [["low", "medium", "high"], 600_000]
    assert (talk.switches, talk.selector.claim) == ([], 600_000)


def test_what_the_new_ladder_costs_is_obeyed_at_once_and_asked_for_again():
    talk = at_medium(150_000)
    assert talk.allocator.told == [["low", "medium", "high"]]
    assert talk.switches == [("low", SwitchReason.LOW_BANDWIDTH)]


def test_after_the_end_a_ladder_that_was_told_asks_for_nothing():
    selector = VariantSelector(CAMERA)
    assert selector.ladder_told(150_000, 0.0) == ()


def test_a_ladder_that_no_one_waits_to_hear_of_asks_for_nothing_new():
    talk = Talk()
    talk.flows()
    assert talk.selector.ladder_told(2_500_000, 1.0) == ()


def test_a_decrease_is_accepted_and_obeyed():
    talk = Talk()
    talk.flows()
    talk.allocator.room = 600_000
    talk.conversation.obey(DecreaseAllocation(2_500_000, 600_000, 4, 1), 1.0)
    assert talk.allocator.told[0] == ("accept", 4, 500_000)
    assert talk.switches == [("medium", SwitchReason.LOW_BANDWIDTH)]
    assert talk.selector.allocation == 500_000


def test_an_answer_that_came_too_late_binds_nobody():
    talk = Talk()
    talk.flows()
    talk.allocator.late = True
    talk.conversation.obey(DecreaseAllocation(2_500_000, 600_000, 4, 1), 1.0)
    assert talk.switches == []
    assert talk.selector.allocation == 2_500_000


def test_what_was_forced_meanwhile_is_obeyed_first():
    talk = Talk()
    talk.flows()
    talk.allocator.allocation, talk.allocator.room = 150_000, 150_000
    talk.conversation.obey(DecreaseAllocation(150_000, 0, 4, 1), 1.0)
    assert talk.switches == [("low", SwitchReason.LOW_BANDWIDTH)]
    assert talk.allocator.told[-1] == ("reject", 4)
