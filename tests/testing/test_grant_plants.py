"""Allocators that grant too much, too late or to the wrong one, and the kit that finds them."""

import pytest
import trio
from attrs import evolve

from tests.testing.planting import asking
from trio_allocator import open_allocator, open_passthrough_allocator
from trio_allocator.engine import headroom
from trio_allocator.engine.effects import Cause, DecisionReason
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.estimates import Estimates
from trio_allocator.engine.headroom import Headroom
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.receiver import Receiver
from trio_allocator.engine.settings import NEVER
from trio_allocator.engine.settlement import Settlement
from trio_allocator.engine.sharing import policy_sharing
from trio_allocator.engine.sharing.first_fit import FirstFit
from trio_allocator.engine.sharing.need_queue import NeedQueue
from trio_allocator.engine.sharing.starvation import StarvationGuard
from trio_allocator.messages import AllocationGranted, GrantReason
from trio_allocator.policies.policy import Shares
from trio_allocator.shell.mailbox import Mailbox
from trio_allocator.testing.bench import Bench
from trio_allocator.testing.checks import grants

# --- G1: a grant is the last word ----------------------------------------------------------------


def the_oldest_unread_grant_is_kept(patch):
    """A mailbox that is full refuses what comes later."""
    put = Mailbox.put_grant
    patch.setattr(Mailbox, "put_grant", lambda self, new: put(self, self._grant or new))


def lowerings_are_not_confirmed(patch):
    """Who asked for less is told nothing: it knows."""
    tell = Settlement.tell

    def tell_others(self, receiver, before, grant, reason):
        if grant is not GrantReason.LOWERED:
            tell(self, receiver, before, grant, reason)

    patch.setattr(Settlement, "tell", tell_others)


def every_estimate_is_passed_on(patch):
    """Each estimate tells everybody what it holds, changed or not."""
    right = Engine.update_estimate

    def update_estimate(self, now, bitrate, carried=None):
        right(self, now, bitrate, carried)
        for receiver in self.ledger:
            self.settlement.tell(
                receiver, receiver.allocation, GrantReason.GRANTED, DecisionReason.FITS
            )

    patch.setattr(Engine, "update_estimate", update_estimate)


def grants_are_read_twice(patch):
    """A task that waits for a grant gets it, and it stays in the mailbox."""
    right = Mailbox.receive
    read = []

    async def receive(self):
        message = await right(self)
        if isinstance(message, AllocationGranted) and message not in read:
            read.append(message)
            self._grant = message
        return message

    patch.setattr(Mailbox, "receive", receive)


# --- G2: nothing useful lies idle ----------------------------------------------------------------


def what_leaves_is_shared_out_later(patch):
    """What a receiver leaves behind is granted when the next estimate comes."""

    def leave(self, now, receiver):
        self._begin(now, Cause.LEAVING)
        self.settlement.forget(receiver)
        self.prober.padding.leave(receiver.id)
        self.ledger.remove(receiver)

    patch.setattr(Engine, "leave", leave)


def force_is_carried_out_and_that_is_all(patch):
    """What force makes free is granted when the next estimate comes."""

    def force(self, now, receiver, bitrate):
        self._begin(now, Cause.FORCE)
        if bitrate < receiver.allocation:
            self.settlement.withdraw(receiver, DecisionReason.NO_NEED)
            self.settlement.force(now, receiver, bitrate, DecisionReason.APPLICATION)

    patch.setattr(Engine, "force", force)


def the_first_in_line_blocks_it(patch):
    """Nobody is served before whoever has waited longest."""

    right = NeedQueue.next_round

    def next_round(self, room):
        if not self._entries:
            return []
        first = min(self._entries, key=lambda member: (self._entries[member][::3], member))
        fits = self._entries[first][1] <= room
        return [step for step in right(self, room) if step[0] == first] if fits else []

    patch.setattr(NeedQueue, "next_round", next_round)


def options_count_from_the_next_event(patch):
    """A new ladder, or a cap that has gone, is noted, and of use when something else happens."""

    def configure(self, now, receiver, track, options, account):
        self._begin(now, Cause.CONFIGURE)
        self._configure(receiver, track, options, account)

    patch.setattr(Engine, "configure", configure)


# --- G3: saying it twice changes nothing ---------------------------------------------------------


def the_first_fall_is_forgiven(patch):
    """A lower estimate counts only when it is confirmed by another one."""
    right = Engine.update_estimate

    def update_estimate(self, now, bitrate, carried=None):
        before, self.unconfirmed = getattr(self, "unconfirmed", NEVER), bitrate
        held = self.estimates.value
        if held is not None and bitrate < held and bitrate < before:
            bitrate = held
        right(self, now, bitrate, carried)

    patch.setattr(Engine, "update_estimate", update_estimate)


def every_request_is_answered(patch):
    """Asking for what is held is always answered."""
    right = Engine.request

    def request(self, now, receiver, bitrate):
        if bitrate == receiver.allocation == receiver.claim:
            self.settlement.confirm(receiver)
        right(self, now, receiver, bitrate)

    patch.setattr(Engine, "request", request)


def asking_for_what_is_held_is_ignored(patch):
    """A raise that waits goes on waiting, whatever the receiver says."""
    right = Engine.request

    def request(self, now, receiver, bitrate):
        if bitrate != receiver.allocation:
            right(self, now, receiver, bitrate)

    patch.setattr(Engine, "request", request)


def who_is_asked_is_reminded(patch):
    """Each estimate sends the requests that are still open once more."""
    right = Mailbox.put_request
    sent = {}

    def put_request(self, request):
        sent[self._receiver_id] = request
        right(self, request)

    update = Engine.update_estimate

    def update_estimate(self, now, bitrate, carried=None):
        update(self, now, bitrate, carried)
        for receiver in self.settlement.negotiator.outstanding.values():
            if sent.get(receiver.id) is not None:
                self.settlement.effects.append(asking(receiver, sent[receiver.id]))

    patch.setattr(Mailbox, "put_request", put_request)
    patch.setattr(Engine, "update_estimate", update_estimate)


# --- G4: more bandwidth is never worse -----------------------------------------------------------


def above_a_megabit_half_is_kept_in_reserve(patch):
    """There is a threshold, and beyond it everything is different."""
    right = Estimates.update

    def update(self, now, bitrate):
        right(self, now, bitrate if bitrate < 1_000_000 else bitrate // 2)

    patch.setattr(Estimates, "update", update)


def unchecked(patch, policy):
    """An allocator with a policy that nobody looks at."""
    patch.setattr(policy_sharing, "check_shares", lambda *_: None)
    return lambda: open_allocator(policy=policy)


def _best_that_fits(claims, capacity):
    """Each in turn gets the best that still fits."""
    level = {claim.receiver_id: claim.lowest for claim in claims}
    free = capacity - sum(level.values())
    for claim in claims:
        best = max(claim.allocation, claim.wanted)
        for step in sorted({*claim.levels, best}, reverse=True):
            if 0 < step - level[claim.receiver_id] <= free:
                free -= step - level[claim.receiver_id]
                level[claim.receiver_id] = step
    return Shares(level)


def the_best_for_one_after_the_other(patch):
    """Each in turn, by class, gets the best step that still fits: the rest share what is left."""

    def policy(claims, capacity):
        return _best_that_fits(sorted(claims, key=lambda c: (-c.priority, c.receiver_id)), capacity)

    return unchecked(patch, policy)


# --- G5: the same state, the same decision -------------------------------------------------------


def the_order_of_events_counts(patch):
    """Of those who ask at one time, the first served is the first that happened to run."""
    right = Ledger.mark_waiting
    turns = iter(range(10**9))

    def mark_waiting(self, receiver, since):
        right(self, receiver, None if since is None else since + next(turns) * 1e-9)

    patch.setattr(Ledger, "mark_waiting", mark_waiting)


def ties_go_by_a_hash(patch):
    """Equals are served in the order of a hash of their ids."""
    right = Ledger.mark_waiting

    def mark_waiting(self, receiver, since):
        by_hash = receiver.id * 2_654_435_761 % 2**32 / 2**32
        right(self, receiver, None if since is None else since + by_hash * 1e-6)

    patch.setattr(Ledger, "mark_waiting", mark_waiting)


def whoever_answers_first_gives_all(patch):
    """The first that agrees is taken to the bottom before any other is touched."""
    right = Engine.answer

    def answer(self, now, receiver, request_id, *, accepted, bitrate=None):
        others = len(self.settlement.negotiator.outstanding) > 1
        if accepted and bitrate is not None and others:
            bitrate = min(bitrate, receiver.lowest)
        return right(self, now, receiver, request_id, accepted=accepted, bitrate=bitrate)

    patch.setattr(Engine, "answer", answer)


# --- G6: priority is kept ------------------------------------------------------------------------


def priorities_are_ignored(patch):
    """All are of one class."""
    right = Receiver.configure

    def configure(self, track, options):
        right(self, track, evolve(options, priority=0))

    patch.setattr(Receiver, "configure", configure)


def a_class_is_for_ever(patch):
    """The priority that a receiver registers with is kept, whatever is set later."""
    right = Receiver.configure

    def configure(self, track, options):
        first = getattr(self, "options", options)
        right(self, track, evolve(options, priority=first.priority))

    patch.setattr(Receiver, "configure", configure)


def the_first_number_counts_for_all_steps(patch):
    """A priority per step is that of its lowest step."""
    right = Receiver.configure

    def configure(self, track, options):
        right(self, track, evolve(options, priority=options.priorities[0]))

    patch.setattr(Receiver, "configure", configure)


def the_last_number_counts_for_all_steps(patch):
    """A priority per step is that of its highest step."""
    right = Receiver.configure

    def configure(self, track, options):
        right(self, track, evolve(options, priority=options.priorities[-1]))

    patch.setattr(Receiver, "configure", configure)


def nobody_is_asked_for_another(patch):
    """There are decreases in overuse only; who waits has what happens to be free."""
    right = FirstFit._serve_next
    patch.setattr(
        FirstFit,
        "_serve_next",
        lambda self, classes, capacity, now: right(
            self, classes, evolve(capacity, negotiate=False), now
        ),
    )


def who_refuses_is_left_alone(patch):
    """A refusal is final."""
    right = Settlement.force

    def force(self, now, receiver, bitrate, reason):
        if receiver.refusal is None:
            right(self, now, receiver, bitrate, reason)

    patch.setattr(Settlement, "force", force)


# --- G7: no rate is special ----------------------------------------------------------------------


def the_estimate_is_put_on_a_grid(patch):
    """Capacity comes in tens of kbit/s."""
    right = Estimates.update
    patch.setattr(
        Estimates, "update", lambda self, now, rate: right(self, now, rate - rate % 10_000)
    )


def a_margin_in_bits(patch):
    """20 kbit/s of the estimate are never given away."""
    right = Estimates.update
    patch.setattr(
        Estimates, "update", lambda self, now, rate: right(self, now, max(0, rate - 20_000))
    )


# --- G8: everyone in turn ------------------------------------------------------------------------


def smaller_claims_always_pass(patch):
    """Whoever fits is served, however long another waits."""
    return lambda: open_allocator(overtaken_limit=1_000_000)


def a_turn_is_held_for_ever(patch):
    """What becomes free is kept for whoever was passed, until it suffices."""
    patch.setattr(FirstFit, "advance", lambda self, now: None)
    patch.setattr(FirstFit, "wake_at", NEVER)


def a_turn_is_held_again_and_again(patch):
    """Who was passed three times has what becomes free held for it at each further time."""
    patch.setattr(StarvationGuard, "_back_off", lambda self, receiver, now: None)


def the_last_come_first(patch):
    """A stack instead of a queue."""
    right = Ledger.mark_waiting
    patch.setattr(
        Ledger,
        "mark_waiting",
        lambda self, receiver, since: right(self, receiver, None if since is None else -since),
    )


def high_steps_come_first(patch):
    """Who has much is given more."""
    right = NeedQueue.put

    def put(self, member, place):
        rank, need, turn, weight = place
        right(self, member, (-rank, need, turn, weight))

    patch.setattr(NeedQueue, "put", put)


def minimums_are_nothing_special(patch):
    """What is held is held, though another has nothing."""
    right = Receiver.configure

    def configure(self, track, options):
        right(self, track, options)
        self.minimum = self.floor = 0

    patch.setattr(Receiver, "configure", configure)


# --- G9: raises are judged against the allocation, and do not flap -------------------------------


def raises_are_not_held_back(patch):
    """Up and down with every estimate."""
    patch.setattr(Headroom, "trusted", lambda self, now: self._estimate)


def only_who_was_lowered_is_held(patch):
    """Its neighbour takes what it gave up, and gives it up in turn."""
    patch.setattr(headroom, "FAILURE_WEIGHT", 0.0)


def a_hold_has_no_end(patch):
    """Who was lowered once stays there."""
    right = Settlement._hold

    def hold(self, now, receiver):
        right(self, now, receiver)
        receiver.held_until = NEVER
        self._holds.put(receiver.id, (NEVER,))

    patch.setattr(Settlement, "_hold", hold)


def force_forgets_the_claim(patch):
    """Who is forced down wants no more than that."""
    right = Engine.force

    def force(self, now, receiver, bitrate):
        if bitrate < receiver.allocation:
            receiver.set_claim(bitrate)
        right(self, now, receiver, bitrate)

    patch.setattr(Engine, "force", force)


def a_lowering_leaves_the_claim(patch):
    """Who lowered itself is raised again as soon as there is room."""
    right = Engine.request

    def request(self, now, receiver, bitrate):
        claim = receiver.claim
        right(self, now, receiver, bitrate)
        if bitrate < receiver.allocation or (bitrate == receiver.allocation and bitrate < claim):
            receiver.set_claim(claim)
            self.settlement.refresh(now, receiver)

    patch.setattr(Engine, "request", request)


def _measured(patch):
    """Makes an engine know what is sent, on average since the last registration, bit/s."""
    right = Engine.register

    def register(self, now, *args):
        self.begun = now
        return right(self, now, *args)

    patch.setattr(Engine, "register", register)
    return lambda engine, now: engine.meter.media * 8 / max(now - engine.begun, 1.0)


def requests_are_judged_by_what_is_sent(patch):
    """A lowering that is above the measured rate is taken for a raise, and has to wait for room."""
    right, measured = Engine.request, _measured(patch)

    def request(self, now, receiver, bitrate):
        free = (self.estimates.value or 0) - self.ledger.committed
        if bitrate - measured(self, now) <= free or bitrate > receiver.allocation:
            right(self, now, receiver, bitrate)

    patch.setattr(Engine, "request", request)


def a_raise_below_what_is_sent_is_no_raise(patch):
    """A raise that is below the measured rate is taken for a lowering, and granted unchecked."""
    right, measured = Engine.request, _measured(patch)

    def request(self, now, receiver, bitrate):
        if receiver.allocation < bitrate < measured(self, now):
            receiver.set_claim(bitrate)
            self.settlement.lower(receiver, bitrate, DecisionReason.OWN_WISH)
        right(self, now, receiver, bitrate)

    patch.setattr(Engine, "request", request)


def all_are_asked_anew_after_each_answer(patch):
    right = Engine._settle
    patch.setattr(Engine, "_settle", lambda self, await_others=False: right(self))


PLANTS = {
    "G1": (
        the_oldest_unread_grant_is_kept,
        lowerings_are_not_confirmed,
        every_estimate_is_passed_on,
        grants_are_read_twice,
    ),
    "G2": (
        what_leaves_is_shared_out_later,
        force_is_carried_out_and_that_is_all,
        the_first_in_line_blocks_it,
        options_count_from_the_next_event,
    ),
    "G3": (
        the_first_fall_is_forgiven,
        every_request_is_answered,
        asking_for_what_is_held_is_ignored,
        who_is_asked_is_reminded,
    ),
    "G4": (above_a_megabit_half_is_kept_in_reserve, the_best_for_one_after_the_other),
    "G5": (
        the_order_of_events_counts,
        ties_go_by_a_hash,
        whoever_answers_first_gives_all,
        all_are_asked_anew_after_each_answer,
    ),
    "G6": (
        priorities_are_ignored,
        a_class_is_for_ever,
        the_first_number_counts_for_all_steps,
        the_last_number_counts_for_all_steps,
        nobody_is_asked_for_another,
        who_refuses_is_left_alone,
    ),
    "G7": (the_estimate_is_put_on_a_grid, a_margin_in_bits),
    "G8": (
        smaller_claims_always_pass,
        a_turn_is_held_for_ever,
        a_turn_is_held_again_and_again,
        the_last_come_first,
        high_steps_come_first,
        minimums_are_nothing_special,
    ),
    "G9": (
        raises_are_not_held_back,
        only_who_was_lowered_is_held,
        a_hold_has_no_end,
        force_forgets_the_claim,
        a_lowering_leaves_the_claim,
        requests_are_judged_by_what_is_sent,
        a_raise_below_what_is_sent_is_no_raise,
    ),
}


@pytest.mark.parametrize(
    ("invariant", "check"),
    [(invariant, check) for invariant, checks in grants.CHECKS.items() for check in checks],
)
@pytest.mark.invariant("G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9")
@pytest.mark.parametrize("make", [open_allocator, open_passthrough_allocator])
def test_the_allocators_of_the_package_pass(invariant, check, make):
    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(check, Bench(make), clock=clock)
