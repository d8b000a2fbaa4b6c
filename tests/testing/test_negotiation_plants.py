"""Allocators that negotiate wrongly, and the kit that finds them."""

import pytest
import trio
import trio.testing
from attrs import evolve

from tests.testing.planting import asking
from trio_allocator import open_allocator
from trio_allocator.engine import negotiator as negotiator_module
from trio_allocator.engine.effects import DecisionReason
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.negotiation import (
    TRANSITIONS,
    Negotiation,
    NegotiationEvent,
    RefusalKind,
)
from trio_allocator.engine.negotiator import Negotiator
from trio_allocator.engine.receiver import Receiver
from trio_allocator.engine.settings import NEVER
from trio_allocator.engine.settlement import Settlement
from trio_allocator.messages import DecreaseAllocation
from trio_allocator.options import ReceiverOptions
from trio_allocator.shell.mailbox import Mailbox
from trio_allocator.shell.tasks import Timekeeper
from trio_allocator.testing.bench import Bench, Terms
from trio_allocator.testing.checks.negotiation import CHECKS


def idle_and_askable(receiver):
    return (
        receiver.negotiation is Negotiation.IDLE
        and receiver.refusal is None
        and receiver.lowest < receiver.allocation
    )


# --- N1 --------------------------------------------------------------------------------------


def negotiability_is_ignored(patch):
    """Whoever holds more than a minimum is asked."""
    patch.setattr(Receiver, "lowest", property(lambda self: min(self.allocation, self.floor)))


def negotiability_never_changes(patch):
    """What was said at registration stays."""
    right = ReceiverOptions.changed

    def changed(self, changes):
        return right(self, {name: new for name, new in changes.items() if name != "negotiable"})

    patch.setattr(ReceiverOptions, "changed", changed)


def unread_requests_stay(patch):
    """A request withdrawn is void, but still handed out."""
    patch.setattr(Mailbox, "withdraw_request", lambda self: None)


# --- N2 --------------------------------------------------------------------------------------


def any_answer_is_to_the_open_request(patch):
    """Defect 4: a late answer is taken as the answer to the next request."""
    patch.setattr(
        Negotiator, "counts", lambda self, receiver, _id: receiver.negotiation is Negotiation.ASKED
    )


def second_answers_are_overlooked(patch):
    """They are taken for late ones."""
    patch.setattr(Negotiator, "_note_answer", staticmethod(lambda receiver: None))


def a_late_accept_is_a_promise(patch):
    """It does not count, but the receiver is held to it."""
    right = Engine.answer

    def answer(self, now, receiver, request_id, *, accepted, bitrate=None):
        counts = right(self, now, receiver, request_id, accepted=accepted, bitrate=bitrate)
        if not counts and accepted:
            receiver.claim = receiver.want = min(receiver.claim, receiver.allocation)
        return counts

    patch.setattr(Engine, "answer", answer)


def every_estimate_brings_another_request(patch):
    """Those of before stay open, too."""
    right = Engine.update_estimate

    def update_estimate(self, now, bitrate, carried=None):
        right(self, now, bitrate, carried)
        for receiver in self.settlement.negotiator.outstanding.values():
            if receiver.negotiation is Negotiation.ASKED:
                receiver.last_request += 2**32
                request = DecreaseAllocation(
                    receiver.allocation,
                    receiver.request.limit,
                    receiver.last_request,
                    receiver.id,
                )
                self.settlement.effects.append(asking(receiver, request))

    def counts(_self, receiver, request_id):
        return request_id not in receiver.answered

    def note_answer(receiver):
        receiver.answered = (*receiver.answered, receiver.last_request)

    patch.setattr(Engine, "update_estimate", update_estimate)
    patch.setattr(Negotiator, "counts", counts)
    patch.setattr(Negotiator, "_note_answer", staticmethod(note_answer))


# --- N3 --------------------------------------------------------------------------------------


def one_is_asked_after_the_other(patch):
    """As the known implementation asks."""
    right = Settlement._plan

    def plan(self, now, receiver, usable):
        if self.negotiator.outstanding and idle_and_askable(receiver):
            self.unplan(receiver)
        else:
            right(self, now, receiver, usable)

    patch.setattr(Settlement, "_plan", plan)


def nothing_is_granted_while_somebody_is_asked(patch):
    """As the known implementation, which is frozen while it negotiates."""
    right = Settlement._grant

    def grant(self, now, capacity):
        return not self.negotiator.outstanding and right(self, now, capacity)

    patch.setattr(Settlement, "_grant", grant)


def estimates_wait_for_the_answers(patch):
    """They are dropped while somebody is asked."""
    right = Engine.update_estimate

    def update_estimate(self, now, bitrate, carried=None):
        if not self.settlement.negotiator.outstanding:
            right(self, now, bitrate, carried)

    patch.setattr(Engine, "update_estimate", update_estimate)


def deadlines_are_judged_when_the_alarm_rings(patch):
    """Whoever had no chance to run is late."""

    async def judge_at_once(_self):
        pass

    patch.setattr(Timekeeper, "_let_them_answer", judge_at_once)


def everybody_has_two_passes(patch):
    """Whether answers still come in makes no difference."""

    async def wait_two_passes(_self):
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()

    patch.setattr(Timekeeper, "_let_them_answer", wait_two_passes)


# --- N4 --------------------------------------------------------------------------------------


def promises_are_believed(patch):
    """Defect 10: who accepts and never lowers keeps what it holds."""
    right = Negotiator.accept

    def accept(self, receiver):
        right(self, receiver)
        self._outstanding.move_to_end(receiver.id)
        receiver.request.deadline = NEVER

    patch.setattr(Negotiator, "accept", accept)


def a_breach_is_told_as_force(patch):
    """It is noted, and treated as a refusal."""
    patch.setattr(Engine, "_enforce_promise", lambda self, receiver: None)


def a_breach_costs_everything(patch):
    """All that can be taken is."""

    def punish(self, receiver):
        self.settlement.force(self.now, receiver, receiver.lowest, DecisionReason.BROKEN_PROMISE)

    patch.setattr(Engine, "_enforce_promise", punish)


def promises_outlive_the_need(patch):
    """A pledge is never withdrawn."""
    patch.delitem(TRANSITIONS[Negotiation.PLEDGED], NegotiationEvent.WITHDRAW)

    def punish(self, receiver):
        level = receiver.step_below(receiver.allocation, 1)
        self.settlement.force(self.now, receiver, level, DecisionReason.BROKEN_PROMISE)

    patch.setattr(Engine, "_enforce_promise", punish)


# --- N5 --------------------------------------------------------------------------------------


def refusals_are_forgotten(patch):
    """Who said no is asked again at once."""
    patch.setattr(Negotiator, "refuse", lambda self, *about: None)


def refusals_last_for_ever(patch):
    """Who said no once is never asked again."""
    patch.setattr(Negotiator, "lapsed", lambda self, now, estimate: iter(()))


def a_lower_estimate_changes_no_refusal(patch):
    """Only time does."""
    right = Negotiator.lapsed
    patch.setattr(Negotiator, "lapsed", lambda self, now, estimate: right(self, now, None))


def a_raise_changes_no_refusal(patch):
    """Who said no is left alone whatever it was granted since then."""
    right = Settlement._grant

    def grant(self, now, capacity):
        forget_refusal = self.negotiator.forget_refusal
        self.negotiator.forget_refusal = lambda receiver: None
        ended = right(self, now, capacity)
        self.negotiator.forget_refusal = forget_refusal
        return ended

    patch.setattr(Settlement, "_grant", grant)


def who_gave_a_step_is_left_alone(patch):
    """It counts as a refusal of the next."""
    right = Settlement.lower

    def lower(self, receiver, bitrate, reason):
        asked, deadline = receiver.request is not None, getattr(receiver.request, "deadline", 0)
        right(self, receiver, bitrate, reason)
        if asked and receiver.request is None and receiver.refusal is None:
            self.negotiator.refuse(deadline, receiver, RefusalKind.REJECTED, 0)

    patch.setattr(Settlement, "lower", lower)


# --- N6 --------------------------------------------------------------------------------------


def only_estimates_make_anybody_be_asked(patch):
    """Defects 5 and 15: on a flat estimate nothing goes on."""
    right = Engine.answer

    def answer(self, now, receiver, request_id, **kind):
        with pytest.MonkeyPatch.context() as for_now:
            settle = Settlement.settle
            for_now.setattr(
                Settlement,
                "settle",
                lambda self, now, capacity: settle(self, now, evolve(capacity, negotiate=False)),
            )
            return right(self, now, receiver, request_id, **kind)

    patch.setattr(Engine, "answer", answer)


def nobody_is_ever_forced(patch):
    """If all say no, so be it."""
    right = Settlement._plan

    def plan(self, now, receiver, usable):
        right(self, now, receiver, usable)
        self._pending.clear()

    patch.setattr(Settlement, "_plan", plan)


def a_bit_is_enough(patch):
    """Whoever gives one is asked for the next one."""
    patch.setattr(negotiator_module, "_enough", lambda receiver, limit: receiver.allocation - 1)


# --- N7 --------------------------------------------------------------------------------------


def everybody_is_asked(patch):
    """Some of them will say yes."""
    right = Engine.update_estimate

    def update_estimate(self, now, bitrate, carried=None):
        right(self, now, bitrate, carried)
        settlement = self.settlement
        if self.ledger.committed > bitrate:
            for receiver in filter(idle_and_askable, self.ledger):
                self.ledger.project(receiver, receiver.lowest)
                asked = settlement.negotiator.ask(now, receiver)
                settlement.effects.append(asking(receiver, asked))
                settlement.sharing.index(receiver)

    patch.setattr(Engine, "update_estimate", update_estimate)


def requests_outlive_the_need(patch):
    """What was asked for once is taken when it is offered."""
    patch.setattr(Settlement, "withdraw", lambda self, receiver, reason: None)


def a_late_accept_lowers(patch):
    """Defect 4: two are lowered for one need."""
    right = Engine.answer

    def answer(self, now, receiver, request_id, *, accepted, bitrate=None):
        counts = right(self, now, receiver, request_id, accepted=accepted, bitrate=bitrate)
        if not counts and bitrate is not None:
            self._request(receiver, bitrate)
        return counts

    patch.setattr(Engine, "answer", answer)


# --- N8 --------------------------------------------------------------------------------------


def who_refuses_is_forced_at_once(patch):
    """Whoever else could be asked."""
    right = Engine.answer

    def answer(self, now, receiver, request_id, *, accepted, bitrate=None):
        counts = right(self, now, receiver, request_id, accepted=accepted, bitrate=bitrate)
        if counts and not accepted and receiver.allocation > receiver.lowest:
            self.settlement.force(now, receiver, receiver.lowest, DecisionReason.NOBODY_LEFT)
            self._settle()
        return counts

    patch.setattr(Engine, "answer", answer)


def a_great_need_is_forced(patch):
    """With less than half of what is held, there is no time to ask."""
    right = Engine.update_estimate

    def update_estimate(self, now, bitrate, carried=None):
        if 2 * bitrate < self.ledger.committed:
            for receiver in self.ledger:
                if receiver.lowest < receiver.allocation:
                    self.settlement.force(
                        now, receiver, receiver.lowest, DecisionReason.NOBODY_LEFT
                    )
        right(self, now, bitrate, carried)

    patch.setattr(Engine, "update_estimate", update_estimate)


def the_first_fall_is_forgiven(patch):
    """Defect 5: only a second, lower estimate counts."""
    right = Engine.update_estimate

    def update_estimate(self, now, bitrate, carried=None):
        known = self.estimates.value
        fallen, self.fallen = getattr(self, "fallen", False), known is not None and bitrate < known
        right(self, now, known if self.fallen and not fallen else bitrate, carried)

    patch.setattr(Engine, "update_estimate", update_estimate)


PLANTS = {
    "N1": (negotiability_is_ignored, negotiability_never_changes, unread_requests_stay),
    "N2": (
        any_answer_is_to_the_open_request,
        second_answers_are_overlooked,
        a_late_accept_is_a_promise,
        every_estimate_brings_another_request,
    ),
    "N3": (
        one_is_asked_after_the_other,
        nothing_is_granted_while_somebody_is_asked,
        estimates_wait_for_the_answers,
        deadlines_are_judged_when_the_alarm_rings,
        everybody_has_two_passes,
    ),
    "N4": (
        promises_are_believed,
        a_breach_is_told_as_force,
        a_breach_costs_everything,
        promises_outlive_the_need,
    ),
    "N5": (
        refusals_are_forgotten,
        refusals_last_for_ever,
        a_lower_estimate_changes_no_refusal,
        a_raise_changes_no_refusal,
        who_gave_a_step_is_left_alone,
    ),
    "N6": (only_estimates_make_anybody_be_asked, nobody_is_ever_forced, a_bit_is_enough),
    "N7": (
        everybody_is_asked,
        requests_outlive_the_need,
        unread_requests_stay,
        a_late_accept_lowers,
    ),
    "N8": (who_refuses_is_forced_at_once, a_great_need_is_forced, the_first_fall_is_forgiven),
}


@pytest.mark.invariant("N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8")
@pytest.mark.parametrize("timeout", [0.05, 1.0])
@pytest.mark.parametrize("check", [check for checks in CHECKS.values() for check in checks])
def test_the_allocator_passes_every_check_whatever_its_times(check, timeout):
    terms = Terms(negotiation_timeout=timeout, refusal_backoff=10 * timeout)

    def opened():
        return open_allocator(negotiation_timeout=timeout, refusal_backoff=10 * timeout)

    trio.run(check, Bench(opened, terms), clock=trio.testing.MockClock(autojump_threshold=0))
