"""What is granted in the call that asks for it is told with it: one event, one word."""

from __future__ import annotations

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

    def request_allocation(self, bitrate):
        self.told.append(bitrate)
        if bitrate <= self.room:
            self.allocation = bitrate

    def set_variants(self, variants):
        self.told.append(list(variants))

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
