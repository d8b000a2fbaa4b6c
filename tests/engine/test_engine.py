"""One event in, messages out: each operation of the engine on its own."""

from __future__ import annotations

import math

import pytest

from tests.engine.support import NOW, asked, granted, joined, ladder, opened, revised, withdrawn
from trio_allocator.engine.effects import Act, DecisionReason
from trio_allocator.engine.negotiation import Negotiation, RefusalKind
from trio_allocator.engine.negotiator import AnswerError
from trio_allocator.engine.probing.padding import Meter, Padding, PaddingAccount
from trio_allocator.engine.probing.padding_share import PaddingShare
from trio_allocator.engine.settings import NEVER
from trio_allocator.messages import DecreaseAllocation, GrantReason
from trio_allocator.report.statistics import statistics
from trio_allocator.report.status import snapshot

FORCED, BREACH = GrantReason.FORCED, GrantReason.BREACH
GRANTED, LOWERED = GrantReason.GRANTED, GrantReason.LOWERED


def reconfigured(engine, receiver, *rates, now=NOW, account=None, **changes) -> None:
    track = ladder(*rates) if rates else receiver.track
    options = receiver.options.changed(changes)
    engine.configure(now, receiver, track, options, account or PaddingAccount())


def pledging(estimate: int, held: int, *rates: int, **options):
    """A receiver that has promised to come down, and has not."""
    engine = opened(held)
    receiver = joined(engine, held, *rates, **options)
    engine.update_estimate(NOW, estimate)
    assert engine.answer(NOW, receiver, receiver.request.id, accepted=True) is True
    engine.drain()
    return engine, receiver


# --- joining and leaving -----------------------------------------------------------------------


def test_receivers_are_numbered_as_they_join():
    engine = opened()
    assert [joined(engine, 10).id for _ in range(3)] == [1, 2, 3]
    assert engine.now == NOW


@pytest.mark.invariant("L2", "G2")
def test_what_a_leaver_held_goes_to_those_who_wait():
    engine = opened(500)
    leaver, stayer = joined(engine, 400), joined(engine, 100)
    engine.request(NOW, stayer, 300)
    engine.drain()
    engine.leave(NOW + 1, leaver)
    assert granted(engine.drain()) == [(stayer.id, 300, GRANTED)]
    assert engine.now == NOW + 1


@pytest.mark.invariant("A6", "G2")
def test_while_the_estimate_is_unknown_what_is_freed_is_handed_on_and_no_more():
    engine = opened()
    leaver, stayer = joined(engine, 400), joined(engine, 100)
    engine.request(NOW, stayer, 600)
    assert granted(engine.drain()) == []
    reconfigured(engine, stayer, elastic=True)
    engine.leave(NOW, leaver)
    assert granted(engine.drain()) == [(stayer.id, 500, GRANTED)]


# --- requests ----------------------------------------------------------------------------------


@pytest.mark.invariant("G9", "G3")
def test_a_request_is_judged_against_what_is_held():
    engine = opened(1_000)
    receiver = joined(engine, 300)
    engine.request(NOW, receiver, 300)
    assert engine.drain() == []
    engine.request(NOW, receiver, 200)
    assert granted(engine.drain()) == [(receiver.id, 200, LOWERED)]
    engine.request(NOW, receiver, 900)
    assert granted(engine.drain()) == [(receiver.id, 900, GRANTED)]


@pytest.mark.invariant("G3")
def test_to_ask_for_what_is_held_calls_off_a_raise_and_only_that_is_answered():
    engine = opened(1_000)
    receiver = joined(engine, 300)
    engine.request(NOW, receiver, 2_000)
    assert (receiver.waiting_since, engine.drain()) == (NOW, [])
    engine.request(NOW, receiver, 300)
    assert granted(engine.drain()) == [(receiver.id, 300, LOWERED)]
    assert receiver.waiting_since is None
    engine.request(NOW, receiver, 300)
    assert engine.drain() == []


@pytest.mark.invariant("G3")
def test_a_claim_that_waits_anyway_may_grow_without_a_word():
    engine = opened(1_000)
    receiver = joined(engine, 300)
    for claim in (2_000, 3_000):
        engine.request(NOW, receiver, claim)
        assert engine.drain() == []


@pytest.mark.invariant("G3")
def test_to_ask_for_what_is_held_is_not_answered_where_a_cap_allows_no_more_anyway():
    engine = opened(1_000)
    receiver = joined(engine, 330, 100, 300, 500, max_bitrate=330)
    engine.request(NOW, receiver, 550)
    engine.request(NOW, receiver, 330)
    assert engine.drain() == []


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.invariant("N2")
def test_an_answer_counts_once_and_is_counted():
    engine = opened(660)
    receivers = [joined(engine, 330, 100, 300) for _ in range(2)]
    engine.update_estimate(NOW, 220)
    ids = [receiver.request.id for receiver in receivers]
    assert engine.answers == 0
    assert engine.answer(NOW, receivers[0], ids[0], accepted=False) is True
    assert engine.answers == 1
    assert engine.answer(NOW, receivers[1], ids[1], accepted=True) is True
    assert engine.answers == 2
    with pytest.raises(AnswerError):
        engine.answer(NOW, receivers[1], ids[1], accepted=True)
    assert engine.answers == 2


@pytest.mark.invariant("N2")
def test_an_answer_to_a_request_that_was_withdrawn_changes_nothing():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    late = receiver.request.id
    engine.update_estimate(NOW, 330)
    engine.drain()
    assert engine.answer(NOW, receiver, late, accepted=True, bitrate=0) is False
    assert (engine.answers, engine.drain(), receiver.allocation) == (0, [], 330)


@pytest.mark.invariant("N2", "N4")
@pytest.mark.parametrize("bitrate", [330, 331])
def test_to_accept_a_decrease_to_no_less_is_an_error_and_no_answer(bitrate):
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    with pytest.raises(AnswerError, match=f"^bitrate .*{bitrate}"):
        engine.answer(NOW, receiver, receiver.request.id, accepted=True, bitrate=bitrate)
    assert (receiver.negotiation, engine.answers) == (Negotiation.ASKED, 0)
    assert engine.answer(NOW, receiver, receiver.request.id, accepted=True, bitrate=329) is True
    assert receiver.allocation == 329


@pytest.mark.invariant("N5")
@pytest.mark.parametrize(("estimate", "again"), [(100, {}), (101, {}), (99, {1: 0})])
def test_who_rejected_is_asked_again_when_the_estimate_is_lower(estimate, again):
    engine = opened(600)
    receivers = [joined(engine, 300, pausable=True) for _ in range(2)]
    engine.update_estimate(NOW, 100)
    rejecting = receivers[0]
    engine.answer(NOW, rejecting, rejecting.request.id, accepted=False)
    engine.drain()
    engine.update_estimate(NOW, estimate)
    requests = asked(engine.drain())
    assert requests.keys() == again.keys()


@pytest.mark.invariant("N5")
def test_a_rejection_at_an_estimate_of_nothing_is_respected_at_nothing():
    engine = opened(600)
    receivers = [joined(engine, 300, pausable=True) for _ in range(2)]
    engine.update_estimate(NOW, 0)
    engine.answer(NOW, receivers[0], receivers[0].request.id, accepted=False)
    assert receivers[0].refusal.estimate == 0
    engine.drain()
    engine.update_estimate(NOW, 0)
    assert engine.drain() == []


# --- deadlines ---------------------------------------------------------------------------------


@pytest.mark.invariant("N5")
@pytest.mark.parametrize("estimate", [200, 0])
def test_silence_is_a_refusal_at_this_estimate_and_the_request_is_void(estimate):
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, estimate)
    engine.drain()
    assert engine.wake_at == NOW + 0.05
    engine.advance(NOW + 0.05)
    effects = engine.drain()
    assert withdrawn(effects[:1]) == [receiver.id]
    assert granted(effects) == [(receiver.id, 110, FORCED)]
    assert (receiver.refusal.kind, receiver.refusal.estimate) == (RefusalKind.SILENT, estimate)
    assert engine.breaches == 0


@pytest.mark.invariant("N3")
def test_whoever_had_no_turn_yet_is_not_judged():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    engine.advance(NOW + 1, heard_until=NOW + 0.04)
    assert receiver.refusal is None
    engine.advance(NOW + 1)
    assert receiver.refusal is not None


@pytest.mark.invariant("N4")
def test_a_broken_promise_costs_a_step_down_to_the_last_bit_of_need():
    engine, receiver = pledging(219, 220, 100, 200)
    engine.advance(NOW + 0.05)
    assert granted(engine.drain()) == [(receiver.id, 110, BREACH)]
    assert (engine.breaches, receiver.claim) == (1, 220)
    assert receiver.refusal.kind is RefusalKind.BREACH
    assert receiver.held_until == NOW + 5.05


@pytest.mark.invariant("N4", "N7")
def test_a_broken_promise_that_is_not_needed_any_more_costs_nothing():
    engine, receiver = pledging(219, 220, 100, 200)
    engine.update_estimate(NOW + 0.01, 220)
    engine.advance(NOW + 0.05)
    assert granted(engine.drain()) == []
    assert (engine.breaches, receiver.allocation) == (1, 220)


@pytest.mark.invariant("N4", "N7")
def test_without_steps_a_broken_promise_costs_no_more_than_is_needed():
    engine, receiver = pledging(990, 1_000)
    engine.advance(NOW + 0.05)
    assert granted(engine.drain()) == [(receiver.id, 990, BREACH)]


@pytest.mark.invariant("N4")
def test_each_broken_promise_is_counted():
    engine = opened(1_100)
    receivers = [joined(engine, 550, 100, 500) for _ in range(2)]
    engine.update_estimate(NOW, 300)
    for receiver in receivers:
        engine.answer(NOW, receiver, receiver.request.id, accepted=True)
    engine.drain()
    engine.advance(NOW + 0.05)
    assert engine.breaches == 2
    assert sorted(granted(engine.drain())) == [(1, 110, BREACH), (2, 110, BREACH)]


@pytest.mark.invariant("N4")
def test_a_promise_kept_in_part_is_kept():
    engine, receiver = pledging(120, 550, 100, 300, 500)
    engine.request(NOW + 0.01, receiver, 330)
    effects = engine.drain()
    assert granted(effects) == [(receiver.id, 330, LOWERED)]
    assert asked(effects) == {receiver.id: 110}
    assert receiver.id not in withdrawn(effects)  # it was answered: nothing is unread
    assert engine.breaches == 0


@pytest.mark.invariant("N4", "N7")
def test_who_comes_down_unasked_for_an_answer_is_asked_no_more():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    engine.drain()
    engine.request(NOW, receiver, 110)
    assert receiver.id in withdrawn(engine.drain())
    assert receiver.request is None


# --- force -------------------------------------------------------------------------------------


@pytest.mark.invariant("G9")
def test_the_application_takes_what_it_says_and_the_claim_stays():
    engine = opened(1_000)
    receiver = joined(engine, 300, 100, 300)
    engine.force(NOW + 1, receiver, 50)
    assert granted(engine.drain()) == [(receiver.id, 50, FORCED)]
    assert (receiver.claim, receiver.waiting_since) == (300, NOW + 1)
    assert receiver.held_until == engine.wake_at == NOW + 6
    engine.advance(NOW + 6)
    assert granted(engine.drain()) == [(receiver.id, 300, GRANTED)]


@pytest.mark.invariant("G3")
@pytest.mark.parametrize("bitrate", [300, 301])
def test_force_that_takes_nothing_does_nothing(bitrate):
    engine = opened(1_000)
    receiver = joined(engine, 300)
    engine.force(NOW, receiver, bitrate)
    assert engine.drain() == []
    assert (receiver.allocation, snapshot(engine).forced) == (300, 0)


def test_each_use_of_force_is_counted():
    engine = opened(1_000)
    receiver = joined(engine, 300)
    for bitrate in (200, 100, 0):
        engine.force(NOW, receiver, bitrate)
    assert snapshot(engine).forced == 3


@pytest.mark.invariant("N7")
def test_force_takes_back_what_was_asked():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    engine.drain()
    engine.force(NOW, receiver, 150)
    assert withdrawn(engine.drain()[:1]) == [receiver.id]
    assert receiver.request is None


# --- options -----------------------------------------------------------------------------------


@pytest.mark.invariant("A5", "N1")
def test_who_may_not_be_asked_any_more_is_let_off_and_who_still_may_is_not():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    engine.drain()
    reconfigured(engine, receiver, weight=2.0)
    assert (engine.drain(), receiver.negotiation) == ([], Negotiation.ASKED)
    reconfigured(engine, receiver, negotiable=False)
    assert withdrawn(engine.drain()) == [receiver.id]
    assert (receiver.negotiation, receiver.allocation) == (Negotiation.IDLE, 330)


@pytest.mark.invariant("P3")
def test_padding_is_shared_by_those_who_can_send_it_now():
    engine = opened(500)
    receiver = joined(engine, 110, 100, 300, 500, can_pad=False)
    engine.request(NOW, receiver, 550)
    account = PaddingAccount()
    assert engine.prober.next_tick == NEVER
    reconfigured(engine, receiver, account=account, can_pad=True)
    engine.advance(NOW + 2)  # the raise has carried for long enough
    for _ in range(100):
        engine.prober.tick(engine.prober.next_tick)
    assert account.unread > 0
    reconfigured(engine, receiver, account=account, can_pad=False)
    assert account.unread == 0
    assert engine.prober.next_tick == NEVER


@pytest.mark.invariant("P3")
def test_who_could_send_padding_all_along_keeps_its_place_and_its_account():
    engine = opened(500)
    receiver = joined(engine, 110, 100, 300, 500)
    engine.request(NOW, receiver, 550)
    other = PaddingAccount()
    reconfigured(engine, receiver, account=other, weight=2.0)
    engine.advance(NOW + 2)
    for _ in range(100):
        engine.prober.tick(engine.prober.next_tick)
    assert other.unread == 0


def test_a_cap_below_what_is_held_takes_effect_at_once():
    engine = opened(1_000)
    receiver = joined(engine, 550, 100, 300, 500)
    reconfigured(engine, receiver, max_bitrate=550)
    assert engine.drain() == []
    reconfigured(engine, receiver, max_bitrate=500)
    assert granted(engine.drain()) == [(receiver.id, 330, LOWERED)]
    assert receiver.held_until is None


@pytest.mark.invariant("G9", "N4")
def test_a_cap_may_be_what_keeps_a_promise():
    engine, receiver = pledging(400, 550, 100, 300, 500)
    reconfigured(engine, receiver, now=NOW + 0.01, max_bitrate=400)
    assert granted(engine.drain()) == [(receiver.id, 330, LOWERED)]
    assert (receiver.request, receiver.held_until) == (None, None)


def test_a_cap_that_is_lifted_makes_the_claim_wait_from_then_on():
    engine = opened(200)
    receiver = joined(engine, 110, 100, 300, max_bitrate=110)
    engine.request(NOW, receiver, 330)
    assert engine.ledger.waiting == 0
    reconfigured(engine, receiver, now=NOW + 2, max_bitrate=None)
    assert receiver.waiting_since == NOW + 2
    engine.update_estimate(NOW + 3, 330)
    assert granted(engine.drain()) == [(receiver.id, 330, GRANTED)]


@pytest.mark.invariant("N4")
def test_a_request_follows_a_floor_that_rises_and_says_so():
    engine = opened(550)
    receiver = joined(engine, 550, 100, 300, 500)
    engine.update_estimate(NOW, 200)
    request = receiver.request.id
    engine.drain()
    reconfigured(engine, receiver, 100, 300, 500, min_bitrate=300)
    assert revised(engine.drain()) == [DecreaseAllocation(550, 330, request, receiver.id)]
    assert (receiver.projected, engine.ledger.projected) == (330, 330)
    reconfigured(engine, receiver, 100, 300, 500, min_bitrate=300, weight=2.0)
    assert engine.drain() == []  # nothing new: nothing to say
    reconfigured(engine, receiver, 100, 300, 500, min_bitrate=500)
    assert withdrawn(engine.drain()) == [receiver.id]


@pytest.mark.invariant("G3")
def test_the_same_ladder_and_options_again_change_nothing():
    engine = opened(200)
    receiver = joined(engine, 110, 100, 300)
    engine.request(NOW, receiver, 330)
    before = receiver.steps
    reconfigured(engine, receiver, 100, 300, now=NOW + 1)
    assert (receiver.waiting_since, engine.drain()) == (NOW, [])
    assert receiver.steps is before


# --- time --------------------------------------------------------------------------------------


@pytest.mark.invariant("A6")
def test_an_estimate_that_has_stopped_is_forgotten_and_nobody_is_asked_any_more():
    engine = opened(330, estimate_timeout=2.0)
    receiver = joined(engine, 330, 100, 300)
    engine.update_estimate(NOW, 200)
    engine.drain()
    engine.advance(NOW + 2, heard_until=NOW)
    assert engine.estimates.value is None
    assert withdrawn(engine.drain()) == [receiver.id]
    assert (receiver.projected, engine.ledger.projected) == (330, 330)


@pytest.mark.invariant("A6")
def test_a_raise_that_was_planned_is_planned_no_more_when_estimates_have_stopped():
    engine = opened(330, estimate_timeout=2.0, negotiation_timeout=5.0)
    giver, taker = joined(engine, 330, 100, 300), joined(engine, 0, 100, priority=1)
    engine.request(NOW, taker, 110)
    assert asked(engine.drain()) == {giver.id: 110}
    assert taker.projected == 110
    engine.advance(NOW + 2)
    assert (taker.projected, giver.projected) == (0, 330)
    assert granted(engine.drain()) == []


@pytest.mark.invariant("A6", "C2")
def test_nothing_is_due_while_nothing_waits():
    engine = opened(1_000)
    joined(engine, 300)
    assert engine.wake_at == engine.prober.next_tick == math.inf


@pytest.mark.invariant("G9", "P1")
def test_nothing_is_due_for_nobody_though_there_is_calm_and_the_estimate_falls():
    engine = opened(1_000)
    joined(engine, 300)
    leaver = joined(engine, 100)
    engine.force(NOW, leaver, 0)
    engine.leave(NOW, leaver)
    engine.update_estimate(NOW + 1, 2_000)
    engine.update_estimate(NOW + 2, 1_500)
    assert engine.wake_at == math.inf


@pytest.mark.invariant("P1")
def test_there_is_no_probe_while_anything_is_negotiated_though_there_is_no_overuse():
    engine = opened(440)
    waiting, giver = joined(engine, 110, 100, 500), joined(engine, 330, 100, 300)
    engine.request(NOW, waiting, 550)
    assert engine.prober.target > 0
    higher = joined(engine, 0, 100, priority=1)
    engine.request(NOW, higher, 110)
    assert (engine.ledger.committed, asked(engine.drain())) == (440, {giver.id: 110})
    assert engine.prober.target == 0
    engine.request(NOW, giver, 110)
    assert engine.prober.target == 0  # somebody was raised
    engine.advance(NOW + 2)
    assert engine.prober.target > 0


@pytest.mark.invariant("A6", "P1")
def test_padding_dies_with_the_estimate_though_the_next_one_comes_at_that_instant():
    engine = opened(500_000, estimate_timeout=4.0, probe_reach=2.0)
    account = PaddingAccount()
    receiver = joined(engine, 110_000, 100_000, 300_000, 500_000, can_pad=False)
    reconfigured(engine, receiver, account=account, can_pad=True)
    engine.request(NOW, receiver, 550_000)
    engine.advance(NOW + 2)
    engine.prober.tick(NOW + 3)
    assert account.unread > 0
    engine.update_estimate(NOW + 4, 500_000)
    assert account.unread == 0
    assert engine.prober.target == 550_000


@pytest.mark.invariant("P1")
def test_when_the_estimate_has_stopped_falling_it_probes():
    engine = opened(1_000)
    receiver = joined(engine, 110, 100, 300)
    engine.update_estimate(NOW + 1, 300)
    engine.request(NOW + 1, receiver, 330)
    assert engine.prober.target == 0
    assert engine.wake_at == NOW + 2
    engine.advance(NOW + 2)
    assert engine.prober.target == 330


@pytest.mark.invariant("P1")
def test_there_is_no_probe_in_overuse_nor_while_anything_is_negotiated():
    engine = opened(440)
    waiting = joined(engine, 110, 100, 300, 500)
    other = joined(engine, 330, 100, 300, priority=1)
    engine.request(NOW, waiting, 330)
    assert engine.prober.target == 660
    engine.update_estimate(NOW, 430)
    assert other.request is not None or waiting.request is not None
    assert engine.prober.target == 0


@pytest.mark.invariant("G9")
def test_when_calm_is_over_whoever_waits_is_served():
    engine = opened(330)
    receiver = joined(engine, 330, 100, 300)
    other = joined(engine, 0, 100)
    engine.update_estimate(NOW, 320)
    engine.request(NOW, receiver, 110)  # as it was asked to
    engine.update_estimate(NOW + 1, 110)
    engine.update_estimate(NOW + 1.5, 330)
    engine.request(NOW + 2, other, 110)
    assert granted(engine.drain())[-1] == (other.id, 110, GRANTED)


@pytest.mark.invariant("G5", "G9")
def test_what_time_alone_has_brought_comes_before_the_event():
    engine = opened(1_000)
    joined(engine, 700, negotiable=False)
    lower, higher = joined(engine, 300), joined(engine, 0, priority=1)
    engine.force(NOW, lower, 100)
    engine.drain()
    engine.request(NOW + 5, higher, 200)  # just when the hold of the other ends
    assert granted(engine.drain()) == [(lower.id, 300, GRANTED)]


@pytest.mark.invariant("G5", "G8")
def test_what_was_held_for_one_is_free_before_the_event_too():
    engine = opened(1_000, overtaken_limit=1)
    joined(engine, 400, negotiable=False)
    senior, passer, lower = (joined(engine, 0) for _ in range(3))
    higher = joined(engine, 0, priority=1)
    engine.request(NOW, senior, 900)
    engine.request(NOW, passer, 10)  # from here on the rest is held for the senior
    engine.request(NOW, lower, 500)
    engine.drain()
    assert engine.wake_at == NOW + 2  # a probe; that changes nothing here
    assert list(snapshot(engine).favoured.values()) == [NOW + 5]
    engine.request(NOW + 5, higher, 590)
    assert granted(engine.drain()) == [(lower.id, 500, GRANTED)]


@pytest.mark.invariant("G9", "G10")
def test_what_time_brings_in_the_moment_of_an_estimate_is_judged_by_that_one():
    engine = opened(600)
    camera = joined(engine, 550, 150, 500)
    engine.force(NOW, camera, 165)
    engine.drain()
    engine.update_estimate(NOW + 5, 300)  # the hold ends as well
    assert (engine.drain(), camera.allocation) == ([], 165)
    assert statistics(engine).raises_taken_back == 0


@pytest.mark.invariant("P4")
def test_an_estimate_that_rises_at_the_last_moment_is_no_fruitless_probe():
    engine = opened(500)
    engine.request(NOW, joined(engine, 110, 100, 300, 500), 550)
    assert engine.wake_at == NOW + 2
    engine.advance(NOW + 2)
    assert engine.wake_at == NOW + 5
    engine.update_estimate(NOW + 5, 525)
    assert (engine.prober.fruitless, engine.wake_at) == (0, NOW + 8)


# --- what is counted and told ----------------------------------------------------------------------


def test_each_estimate_and_each_refusal_is_counted():
    engine = opened(3_000)
    receivers = [joined(engine, 550, 100, 500) for _ in range(2)]
    engine.update_estimate(NOW, 200)
    for receiver in receivers:
        engine.answer(NOW, receiver, receiver.request.id, accepted=False)
    engine.update_estimate(NOW + 1, 3_000)
    counted = statistics(engine)
    assert (counted.estimates, counted.decreases_rejected) == (3, 2)  # it opened with one


def test_what_the_application_takes_needs_no_request_any_more():
    engine = opened(3_000)
    receiver = joined(engine, 550, 100, 500)
    engine.update_estimate(NOW, 200)
    engine.drain()
    engine.force(NOW, receiver, 110)
    request, forced = engine.drain()
    assert (request.act, request.reason) == (Act.WITHDRAWN, DecisionReason.NO_NEED)
    assert (forced.act, forced.reason) == (Act.FORCED, DecisionReason.APPLICATION)


@pytest.mark.invariant("G5")
def test_of_two_the_one_that_holds_most_for_its_weight_is_asked_first():
    engine = opened(4_000)
    smaller = joined(engine, 550, 100, 500)
    larger = joined(engine, 2_750, 100, 500, 2_500)
    engine.drain()
    engine.update_estimate(NOW, 220)
    assert list(asked(engine.drain())) == [larger.id, smaller.id]


@pytest.mark.invariant("N7")
def test_one_that_was_asked_keeps_what_it_holds_while_another_waits_for_more_than_there_is():
    engine = opened(1_200)
    held = joined(engine, 550, 100, 500)
    engine.request(NOW, joined(engine, 0, 1_000, min_bitrate=0), 1_100)
    engine.update_estimate(NOW, 500)
    assert held.request is not None
    engine.update_estimate(NOW, 550)
    assert held.request is None


@pytest.mark.invariant("P4")
def test_the_share_of_padding_is_of_a_minute_to_the_moment():
    meter = Meter()
    padding = Padding(meter, 1_000)
    share = PaddingShare(meter, padding)
    share.note(NOW)
    meter.media += 1_000
    share.note(NOW + 10)
    padding.booked += 100
    share.note(NOW + 70)
    assert share.exceeds(0.99)  # nothing but padding in this minute
