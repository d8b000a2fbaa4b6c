"""Probers that break their promises, and the kit that finds them."""

import math

import attrs
import pytest
import trio
import trio.testing

from trio_allocator import open_allocator, open_passthrough_allocator
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.estimates import Estimates
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.probing import padding, prober
from trio_allocator.engine.probing.padding import Padding
from trio_allocator.engine.probing.probe_status import ProbeEvent, ProbeStatus
from trio_allocator.engine.probing.prober import Prober
from trio_allocator.engine.settings import NEVER, Settings
from trio_allocator.testing.bench import LOW, Bench
from trio_allocator.testing.checks.probing import CHECKS


def demanding(patch, **changes):
    """The books say something else about probing; a callable is given what they say."""
    right = Prober.review

    def review(self, now, demand):
        new = {name: what(demand) for name, what in changes.items()}
        right(self, now, attrs.evolve(demand, **new))

    patch.setattr(Prober, "review", review)


# --- P1: a reason ----------------------------------------------------------------------------


def never_probes(patch):
    patch.setattr(Prober, "review", lambda self, now, demand: None)


def always_probes(patch):
    demanding(patch, wanted=lambda _: 10**7, allowed=lambda _: True)


def probes_in_overuse(patch):
    demanding(patch, allowed=lambda demand: demand.wanted > 0, wanted=lambda _: 10**7)


def probes_while_the_estimate_falls(patch):
    patch.setattr(Estimates, "steady_at", lambda self, now: now)


def estimates_never_stop(patch):
    patch.setattr(Estimates, "stale_at", property(lambda self: NEVER))


def probes_before_the_first_estimate(patch):
    demanding(patch, stuck=lambda demand: demand.estimate is None)


def never_probes_after_a_fall(patch):
    right, fallen = Estimates.steady_at, []

    def steady_at(self, now):
        steady = right(self, now)
        if steady > now:
            fallen.append(self)
        return NEVER if self in fallen else steady

    patch.setattr(Estimates, "steady_at", steady_at)


# --- P2: to the packet -----------------------------------------------------------------------


def accruing(patch, *, late=True, surplus=True, media=1.0):
    """The account runs up in another way."""

    def accrue(self, now):
        elapsed = now - self._since
        if late:
            elapsed = min(elapsed, padding.LATE_TICKS * self.tick)
        sent = self._meter.media
        self._debt += self.target / 8 * elapsed - media * (sent - self._seen)
        if surplus:
            self._debt = max(self._debt, -self.target / 8 * self.tick)
        self._since, self._seen = now, sent

    patch.setattr(Padding, "_accrue", accrue)


def surplus_is_banked_without_limit(patch):
    accruing(patch, surplus=False)


def media_is_forgotten(patch):
    accruing(patch, media=0.0)


def media_counts_without_headers(patch):
    accruing(patch, media=0.9)


def a_stall_is_made_up_for(patch):
    for name in ("LATE_TICKS", "MADE_UP_TICKS", "UNREAD_TICKS"):
        patch.setattr(padding, name, 10**6)


def unread_padding_piles_up(patch):
    patch.setattr(padding, "UNREAD_TICKS", 10**6)


def remainders_are_dropped(patch):
    right = Padding.due

    def due(self, now):
        grown = right(self, now)
        self._debt = min(self._debt, 0.0)
        return grown

    patch.setattr(Padding, "due", due)


def unread_padding_stays(patch):
    def stop(self):
        self.target = 0

    patch.setattr(Padding, "stop", stop)


def what_is_asked_for_counts_as_sent(patch):
    patch.setattr(Padding, "sent", lambda self, account, size: None)


def a_probe_begins_with_a_second_of_padding(patch):
    right = Padding.start

    def start(self, now, target, tick):
        fresh = not self.target
        right(self, now, target, tick)
        if fresh:
            self._debt = target / 8

    patch.setattr(Padding, "start", start)
    for name in ("LATE_TICKS", "MADE_UP_TICKS", "UNREAD_TICKS"):
        patch.setattr(padding, name, 10**6)


# --- P3: equal shares ------------------------------------------------------------------------


def the_dead_stay_in_the_round(patch):
    """What is due to them is taken for sent."""
    right_due, dead = Padding.due, {}

    def leave(self, receiver_id):
        if receiver_id in self._ring:
            dead[self, receiver_id] = self._ring[receiver_id]

    def due(self, now):
        grown = right_due(self, now)
        for (owner, receiver_id), account in dead.items():
            if owner is self and receiver_id in grown:
                account.unread = 0
                grown.remove(receiver_id)
        return grown

    patch.setattr(Padding, "leave", leave)
    patch.setattr(Padding, "due", due)


def each_round_begins_with_the_eldest(patch):
    right = Padding.due

    def due(self, now):
        grown = right(self, now)
        for receiver_id in sorted(self._ring):
            self._ring.move_to_end(receiver_id)
        return grown

    patch.setattr(Padding, "due", due)


def everybody_is_able_to_pad(patch):
    right = Engine.register

    def register(self, now, track, options, bandwidth, account):
        receiver = right(self, now, track, options, bandwidth, account)
        self.prober.padding.join(receiver.id, account)
        return receiver

    patch.setattr(Engine, "register", register)
    patch.setattr(Padding, "leave", lambda self, receiver_id: None)


def what_nobody_can_send_is_saved_up(patch):
    right = Padding.due

    def due(self, now):
        self._accrue(now)
        owed = self._debt
        unread = sum(account.unread for account in self._ring.values())
        grown = right(self, now)
        self._debt = owed + unread - sum(account.unread for account in self._ring.values())
        return grown

    patch.setattr(padding, "MADE_UP_TICKS", 10**6)
    patch.setattr(Padding, "due", due)
    patch.setattr(Padding, "able", True)


def those_who_do_not_read_have_their_share(patch):
    """A full mailbox takes what it is sent, and nobody else gets it."""
    right = Padding.due

    def due(self, now):
        grown = right(self, now)
        for account in self._ring.values():
            if account.unread > 1.5 * self.target / 8 * self.tick:
                account.unread = 0
        return grown

    patch.setattr(Padding, "due", due)


# --- P4: how far -----------------------------------------------------------------------------


def aims_at_three_times_the_estimate(patch):
    patch.setattr(prober, "TARGET_FACTOR", 3)
    right = Settings.__attrs_post_init__

    def reach_further(self):
        right(self)
        object.__setattr__(self, "probe_reach", 3.0)

    patch.setattr(Settings, "__attrs_post_init__", reach_further)


def the_floor_is_half_a_megabit(patch):
    patch.setattr(prober, "TARGET_FLOOR", 500_000)


def takes_bits_for_bytes(patch):
    right = Padding.start

    def start(self, now, target, tick):
        right(self, now, 8 * target, tick)

    patch.setattr(Padding, "start", start)


def probes_for_ever(patch):
    return lambda: open_allocator(probe_patience=math.inf)


def rests_for_ever(patch):
    right = Prober._give_up

    def give_up(self, demand):
        right(self, demand)
        self._rest_until = NEVER

    patch.setattr(Prober, "_give_up", give_up)


def raises_are_probed_beyond_at_once(patch):
    patch.setattr(prober, "PROVING", 0.0)


def pauses_do_not_grow(patch):
    patch.setattr(prober, "PAUSE_GROWTH", 1.0)


# --- P5: the way out -------------------------------------------------------------------------


def there_is_no_way_out(patch):
    demanding(patch, stuck=lambda _: False)


def there_is_a_way_out_of_silence_only(patch):
    demanding(patch, stuck=lambda demand: demand.stuck and demand.estimate is None)


def there_is_a_way_out_with_estimates_only(patch):
    demanding(patch, stuck=lambda demand: demand.stuck and demand.estimate is not None)


def the_way_out_does_not_listen(patch):
    def escape(self):
        if self.status is ProbeStatus.LISTENING and self._now >= self._phase_until:
            self._enter(ProbeEvent.QUIET)
        elif self._episode_over(self._now):
            self._enter(ProbeEvent.OVER)

    patch.setattr(Prober, "_escape", escape)


def the_way_out_is_for_everybody(patch):
    nobody = property(lambda self: 0, lambda self, value: None)
    patch.setattr(Ledger, "waiting_with_allocation", nobody)


def an_episode_hardly_ends(patch):
    return lambda: open_allocator(escape_duration=3600)


PLANTS = {
    "P1": (
        never_probes,
        always_probes,
        probes_in_overuse,
        probes_while_the_estimate_falls,
        never_probes_after_a_fall,
        estimates_never_stop,
        probes_before_the_first_estimate,
    ),
    "P2": (
        surplus_is_banked_without_limit,
        media_is_forgotten,
        media_counts_without_headers,
        a_stall_is_made_up_for,
        unread_padding_piles_up,
        remainders_are_dropped,
        unread_padding_stays,
        what_is_asked_for_counts_as_sent,
        a_probe_begins_with_a_second_of_padding,
    ),
    "P3": (
        the_dead_stay_in_the_round,
        each_round_begins_with_the_eldest,
        everybody_is_able_to_pad,
        what_nobody_can_send_is_saved_up,
        those_who_do_not_read_have_their_share,
    ),
    "P4": (
        aims_at_three_times_the_estimate,
        the_floor_is_half_a_megabit,
        takes_bits_for_bytes,
        probes_for_ever,
        rests_for_ever,
        raises_are_probed_beyond_at_once,
        pauses_do_not_grow,
    ),
    "P5": (
        there_is_no_way_out,
        there_is_a_way_out_of_silence_only,
        there_is_a_way_out_with_estimates_only,
        the_way_out_does_not_listen,
        the_way_out_is_for_everybody,
        an_episode_hardly_ends,
    ),
}


def passes(check, make):
    trio.run(check, Bench(make), clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("invariant", CHECKS)
def test_our_own_prober_passes(invariant):
    for check in CHECKS[invariant]:
        passes(check, open_allocator)


def other_habits(patch):
    """Larger packets, slower ticks, longer pauses, and the increment of the reference."""
    patch.setattr(padding, "UNREAD_TICKS", 1.5)
    patch.setattr(prober, "COARSEST", 1)
    return lambda: open_allocator(
        padding_packet=1_200,
        probe_tick=0.02,
        probe_increment=200_000,
        probe_pause=5.0,
        escape_pause=6.0,
        escape_bitrate=100_000,
    )


@pytest.mark.parametrize("invariant", CHECKS)
def test_so_does_one_with_other_habits(invariant, monkeypatch):
    make = other_habits(monkeypatch)
    for check in CHECKS[invariant]:
        passes(check, make)


@pytest.mark.parametrize("invariant", ["P2", "P3", "P4"])
def test_who_never_probes_breaks_nothing_of_how(invariant):
    for check in CHECKS[invariant]:
        passes(check, open_passthrough_allocator)


@pytest.mark.parametrize("invariant", ["P4"])
def test_where_nobody_is_raised_no_raise_has_to_prove_itself(invariant):
    for check in CHECKS[invariant]:
        passes(check, lambda: open_allocator(max_bitrate=LOW))
