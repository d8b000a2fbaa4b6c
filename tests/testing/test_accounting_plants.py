"""Allocators whose books are wrong, and the kit that finds them."""

import math

import pytest
from attrs import evolve

from trio_allocator import open_allocator, quantities
from trio_allocator.engine.effects import DecisionReason
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.estimates import Estimates
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.negotiation import Negotiation
from trio_allocator.engine.negotiator import Negotiator
from trio_allocator.engine.probing.padding import Padding
from trio_allocator.engine.receiver import Receiver
from trio_allocator.engine.settlement import Settlement
from trio_allocator.engine.sharing.sharing import Capacity
from trio_allocator.messages import AllocationGranted, GrantReason
from trio_allocator.options import ReceiverOptions
from trio_allocator.shell.registration import Registration
from trio_allocator.testing.bench import Bench
from trio_allocator.testing.checks.exemptions import more_comes_from_the_books
from trio_allocator.testing.violation import InvariantError


def breaks(patch, owner, name, wrong):
    """Put `wrong` in the place of a method; it is called with the right one and its arguments."""
    right = getattr(owner, name)
    patch.setattr(owner, name, lambda *given, **named: wrong(right, *given, **named))


# --- A1: sums ----------------------------------------------------------------------------------


def whoever_leaves_while_it_waits_stays_in_the_sum(patch):
    def remove(right, self, receiver):
        held = receiver.allocation if receiver.waiting_since is not None else 0
        right(self, receiver)
        self.projected += held
        self.committed += held

    breaks(patch, Ledger, "remove", remove)


def leaving_is_subtracted_at_the_rate_of_registration(patch):
    def add(right, self, receiver):
        receiver_rates[receiver.id] = receiver.allocation
        right(self, receiver)

    def remove(right, self, receiver):
        drift = receiver.allocation - receiver_rates[receiver.id]
        right(self, receiver)
        self.projected += drift
        self.committed += drift

    receiver_rates = {}
    breaks(patch, Ledger, "add", add)
    breaks(patch, Ledger, "remove", remove)


def rates_are_rounded_up(patch):
    """A part of a bit/s more than was asked for, once for each rate."""

    def bitrate(right, name, value):
        return right(name, math.ceil(value) if right(name, value) < value else value)

    breaks(patch, quantities, "bitrate", bitrate)


def rates_are_rounded_to_the_nearest(patch):
    breaks(patch, quantities, "bitrate", lambda right, name, value: right(name, value + 0.5))


def the_grant_says_what_was_claimed(patch):
    def tell(right, self, receiver, before, grant, reason):
        right(self, receiver, before, grant, reason)
        self.effects[-1].message = AllocationGranted(receiver.claim, grant, receiver.id)

    breaks(patch, Settlement, "tell", tell)


# --- A2: no more than there is -----------------------------------------------------------------


def books_count_half(patch):
    """What is granted is booked at half its rate."""

    def allocate(right, self, receiver, bitrate):
        raised = bitrate - receiver.allocation
        right(self, receiver, bitrate)
        self.committed -= raised // 2
        self.projected -= raised // 2

    breaks(patch, Ledger, "allocate", allocate)


def grants_are_remembered_until_the_next_estimate(patch):
    """Defect 12: what was measured counts, and those who send nothing use nothing."""

    def update_estimate(right, self, now, bitrate, carried):
        self.ledger.projected = self.ledger.committed = 0
        right(self, now, bitrate)

    breaks(patch, Engine, "update_estimate", update_estimate)


def registering_is_not_added_but_leaving_is_subtracted(patch):
    """Defect 11."""

    def add(right, self, receiver):
        right(self, receiver)
        self.committed -= receiver.allocation
        self.projected -= receiver.projected

    breaks(patch, Ledger, "add", add)


def what_is_given_up_in_overuse_is_handed_on(patch):
    def settle(right, self, now, capacity):
        budget = max(capacity.usable, self._ledger.committed)
        if self.effects and isinstance(self.effects[-1].message, AllocationGranted):
            budget += 100_000
        right(self, now, Capacity(budget, budget, budget, negotiate=False))
        right(self, now, capacity)

    breaks(patch, Settlement, "settle", settle)


def a_small_overuse_is_tolerated(patch):
    """Defect 15: nobody is asked in an overuse of less than a fifth."""

    def settle(right, self, now, capacity):
        tolerable = self._ledger.committed * 4 <= 5 * capacity.usable
        right(self, now, evolve(capacity, negotiate=capacity.negotiate and not tolerable))

    breaks(patch, Settlement, "settle", settle)


def silence_goes_unpunished(patch):
    def expire(right, self, now, estimate, heard_until):
        for receiver, kind in right(self, now, estimate, heard_until):
            self.forget_refusal(receiver)
            yield receiver, kind

    breaks(patch, Negotiator, "expire", expire)


# --- A3: rates need time -----------------------------------------------------------------------


def measures_rates(patch, shortest):
    """Defect 3: what was sent since the last estimate is divided by the time since then, s."""

    def update_estimate(right, self, now, bitrate, carried):
        seen, since = last.get(id(self), (0, now - 1.0))
        last[id(self)] = self.meter.media, now
        if self.meter.media > seen:
            rate = 8 * (self.meter.media - seen) / max(now - since, shortest)
            bitrate = int(max(0, bitrate - max(0, rate - bitrate)))
        right(self, now, bitrate)

    last = {}
    breaks(patch, Engine, "update_estimate", update_estimate)


def a_rate_is_divided_by_nothing(patch):
    measures_rates(patch, 0)


def a_rate_of_a_microsecond_is_believed(patch):
    measures_rates(patch, 1e-6)


def no_time_means_no_use(patch):
    """Two estimates at one instant: nothing was sent in between, so everything is free."""

    def update_estimate(right, self, now, bitrate, carried):
        if self.estimates._updated == now:
            self.ledger.projected = self.ledger.committed = 0
        right(self, now, bitrate)

    breaks(patch, Engine, "update_estimate", update_estimate)


# --- A4: what is sent --------------------------------------------------------------------------


def only_payload_counts(patch):
    """Defect 22: without the headers."""
    breaks(
        patch,
        Registration,
        "buffer_sent",
        lambda right, self, size, *, padding=False: right(
            self, size if padding else max(0, size - 12), padding=padding
        ),
    )


def only_video_counts(patch):
    def buffer_sent(right, self, size, *, padding=False):
        if self.track.kind == "video":
            right(self, size, padding=padding)

    breaks(patch, Registration, "buffer_sent", buffer_sent)


def padding_does_not_count(patch):
    breaks(patch, Padding, "sent", lambda _right, _self, _account, _size: None)


def padding_counts_twice(patch):
    def sent(right, self, account, size):
        right(self, account, size)
        self._debt -= size

    breaks(patch, Padding, "sent", sent)


# --- A5: not negotiable ------------------------------------------------------------------------


def everybody_is_brought_down(patch):
    patch.setattr(Receiver, "lowest", property(lambda self: min(self.allocation, self.floor)))


def a_refusal_is_remembered_against_one_that_is_not_negotiable_now(patch):
    """Its request is not taken back, and it may still be brought down."""

    def lowest(right, self):
        asked = self.negotiation is not Negotiation.IDLE or self.refusal is not None
        return min(self.allocation, self.floor) if asked else right.fget(self)

    right = Receiver.lowest
    patch.setattr(Receiver, "lowest", property(lambda self: lowest(right, self)))
    breaks(patch, Settlement, "withdraw", lambda _right, _self, _receiver, _reason: None)


def granted_beyond_the_books(patch, cap):
    """What a receiver that is not negotiable asks for, it gets, up to so much beyond, bit/s."""

    def request(right, self, receiver, bitrate):
        right(self, receiver, bitrate)
        room = (self.estimates.value or 0) + cap - self.ledger.committed
        if not receiver.options.negotiable and 0 < bitrate - receiver.allocation <= room:
            self.ledger.allocate(receiver, bitrate)
            before, why = receiver.allocation - bitrate, DecisionReason.FITS
            self.settlement.tell(receiver, before, GrantReason.GRANTED, why)
            self.settlement.refresh(self.now, receiver)

    breaks(patch, Engine, "_request", request)


def it_is_granted_any_number(patch):
    """Defect 20."""
    granted_beyond_the_books(patch, math.inf)


def it_is_never_granted_more(patch):
    def request(right, self, receiver, bitrate):
        if receiver.options.negotiable or bitrate < receiver.allocation:
            right(self, receiver, bitrate)

    breaks(patch, Engine, "_request", request)


def the_application_may_not_force_it(patch):
    def force(right, self, now, receiver, bitrate):
        if receiver.options.negotiable:
            right(self, now, receiver, bitrate)

    breaks(patch, Engine, "force", force)


# --- A6: not knowing ---------------------------------------------------------------------------


def unknown_is_zero(patch):
    def settle(right, self, now, capacity):
        most = capacity.usable if capacity.negotiate else 0
        right(self, now, Capacity(most, most, most))

    breaks(patch, Settlement, "settle", settle)


def unknown_is_unlimited(patch):
    def settle(right, self, now, capacity):
        most = capacity.usable if capacity.negotiate else 10**15
        right(self, now, Capacity(most, most, most, capacity.negotiate))

    breaks(patch, Settlement, "settle", settle)


def unknown_freezes_everything(patch):
    """The first state of the reference: not even lowerings are settled."""

    def request(right, self, receiver, bitrate):
        if self.estimates.value is not None:
            right(self, receiver, bitrate)

    breaks(patch, Engine, "_request", request)


def an_estimate_is_good_for_ever(patch):
    patch.setattr(Estimates, "stale_at", math.inf)


def an_old_estimate_is_taken_for_one_of_zero(patch):
    def forget(_right, self):
        self.update(self._updated + 10, 0)

    breaks(patch, Estimates, "forget", forget)


def zero_is_unknown(patch):
    def update(right, self, now, bitrate):
        right(self, now, bitrate)
        self.value = self.value or None

    breaks(patch, Estimates, "update", update)


def probing_goes_on_without_estimates(patch):
    """Defect 19."""
    stale = {}

    def forget(right, self):
        stale[id(self)] = self.value
        right(self)

    def review(right, self):
        value = self.estimates.value
        self.estimates.value = stale.get(id(self.estimates)) if value is None else value
        right(self)
        self.estimates.value = value

    breaks(patch, Estimates, "forget", forget)
    breaks(patch, Engine, "_review_probe", review)


def whether_it_may_be_paused_is_not_noted(patch):
    right = ReceiverOptions.for_track

    def for_track(track, changes):
        return right(track, {**changes, "pausable": False})

    patch.setattr(ReceiverOptions, "for_track", for_track)


PLANTS = {
    "A1": (
        whoever_leaves_while_it_waits_stays_in_the_sum,
        leaving_is_subtracted_at_the_rate_of_registration,
        rates_are_rounded_up,
        rates_are_rounded_to_the_nearest,
        the_grant_says_what_was_claimed,
    ),
    "A2": (
        whether_it_may_be_paused_is_not_noted,
        books_count_half,
        grants_are_remembered_until_the_next_estimate,
        registering_is_not_added_but_leaving_is_subtracted,
        what_is_given_up_in_overuse_is_handed_on,
        a_small_overuse_is_tolerated,
        silence_goes_unpunished,
    ),
    "A3": (
        a_rate_is_divided_by_nothing,
        a_rate_of_a_microsecond_is_believed,
        no_time_means_no_use,
    ),
    "A4": (only_payload_counts, only_video_counts, padding_does_not_count, padding_counts_twice),
    "A5": (
        everybody_is_brought_down,
        a_refusal_is_remembered_against_one_that_is_not_negotiable_now,
        it_is_granted_any_number,
        it_is_never_granted_more,
        the_application_may_not_force_it,
    ),
    "A6": (
        unknown_is_zero,
        unknown_is_unlimited,
        unknown_freezes_everything,
        an_estimate_is_good_for_ever,
        an_old_estimate_is_taken_for_one_of_zero,
        zero_is_unknown,
        probing_goes_on_without_estimates,
    ),
}


async def test_a_stated_cap_for_the_not_negotiable_is_allowed(monkeypatch, autojump_clock):
    granted_beyond_the_books(monkeypatch, 50_000)
    await more_comes_from_the_books(Bench(open_allocator), cap=50_000)
    for lower in (0, 49_999):
        with pytest.raises(InvariantError, match="A5"):
            await more_comes_from_the_books(Bench(open_allocator), cap=lower)
