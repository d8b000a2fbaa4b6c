"""What once went wrong in the engine, by symptom. Each was found by the machine beside this."""

from __future__ import annotations

import math

import pytest

from tests.engine import support
from tests.engine.support import EngineOfTests
from trio_allocator.engine.effects import Act
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.estimates import Estimates
from trio_allocator.engine.negotiator import AnswerError
from trio_allocator.engine.probing.padding import Meter, Padding, PaddingAccount
from trio_allocator.engine.settings import Settings
from trio_allocator.options import ReceiverOptions
from trio_allocator.policies.water_filling import WaterFillingPolicy
from trio_allocator.report.status import snapshot
from trio_allocator.tracks import Track

NOW = 100.0


def opened(estimate=None, **settings) -> Engine:
    return EngineOfTests(
        Settings(estimate_timeout=math.inf, **settings), now=NOW, initial_estimate=estimate
    )


def joined(engine: Engine, bandwidth: int, *ladder: int, now=NOW, **options):
    track = Track("t", variants={f"v{rate}": rate for rate in ladder})
    checked = ReceiverOptions.for_track(track, {"negotiable": True, **options})
    return engine.register(now, track, checked, bandwidth, PaddingAccount())


def reconfigured(engine: Engine, receiver, now=NOW, **changes) -> None:
    options = receiver.options.changed(changes)
    engine.configure(now, receiver, receiver.track, options, PaddingAccount())


def asked(engine: Engine) -> dict[int, int]:
    return support.asked(engine.drain())


@pytest.mark.invariant("G3", "A6")
def test_an_estimate_told_five_times_at_once_does_not_shorten_the_wait_for_the_next():
    estimates = Estimates(None)
    for when in (0.0, 5.0, 10.0):
        estimates.update(when, 1000)
    assert estimates.stale_at == 25.0
    for _ in range(5):
        estimates.update(10.0, 1000)
    assert estimates.stale_at == 25.0


@pytest.mark.invariant("P1")
def test_a_fall_from_a_maximum_shortly_after_a_higher_one_is_noticed():
    estimates = Estimates(None)
    estimates.update(0.0, 1000)
    estimates.update(0.05, 900)
    estimates.update(2.01, 800)  # below 0.95 × 900, which was 1.96 s ago
    assert estimates.steady_at(2.01) > 2.01


@pytest.mark.invariant("P1")
def test_a_fall_is_noticed_across_a_silence():
    estimates = Estimates(0.5)
    estimates.update(0.0, 1000)
    estimates.forget()
    estimates.update(1.0, 500)
    assert estimates.steady_at(1.0) == 2.0


@pytest.mark.invariant("A2", "N6")
def test_one_without_a_ladder_that_lacks_its_minimum_is_asked_all_the_same():
    engine = opened(1)
    receiver = joined(engine, 50, min_bitrate=60, pausable=True)
    assert asked(engine) == {receiver.id: 0}


@pytest.mark.invariant("A2", "N6")
def test_an_estimate_that_falls_on_while_one_is_asked_is_not_reported_as_unrelieved():
    engine = opened(880)
    joined(engine, 1018)
    engine.update_estimate(NOW, 83)  # the limit that was asked for will not do any more
    status = snapshot(engine)
    assert status.unrelieved == 0
    assert [allowance.name for allowance in status.allowances] == ["decrease under way"]


@pytest.mark.invariant("N7", "G2")
def test_one_whose_request_was_withdrawn_is_served_in_the_same_call():
    engine = opened(500)
    receiver = joined(engine, 550, 100, 500, 1000)
    engine.request(NOW, receiver, 1100)
    engine.update_estimate(NOW, 5000)
    assert receiver.request is None
    assert receiver.allocation == 1100


@pytest.mark.invariant("N7", "A1")
def test_one_whose_request_was_withdrawn_can_be_asked_again():
    engine = opened(500)
    receiver = joined(engine, 550, 100, 500)
    engine.update_estimate(NOW, 550)
    engine.drain()
    engine.update_estimate(NOW, 500)
    assert asked(engine) == {receiver.id: 110}


@pytest.mark.invariant("G3", "N7")
def test_a_higher_class_is_let_off_at_once_at_the_cost_of_a_lower_one_just_let_off():
    engine = opened(1561)
    lower = joined(engine, 200, pausable=True, weight=0.5)
    joined(engine, 1, min_bitrate=60, pausable=True)
    joined(engine, 1000, 100, 300, 500, 800, priority=1, negotiable=False)
    joined(engine, 2750, min_bitrate=165, weight=3.0)
    higher = joined(engine, 550, 150, 500, 2500, priority=1, pausable=True, weight=0.5)
    engine.update_estimate(NOW, 2069)
    engine.drain()
    before = (higher.request, lower.request)
    engine.update_estimate(NOW, 2069)
    assert engine.drain() == []
    assert (higher.request, lower.request) == before
    assert higher.request is None


@pytest.mark.invariant("N2")
def test_an_answer_to_an_older_request_of_somebody_else_raises():
    engine = opened(0)
    first = joined(engine, 550, 100, 500)
    second = joined(engine, 550, 100, 500)
    assert first.request is not None
    with pytest.raises(AnswerError):
        engine.answer(NOW, second, first.request.id, accepted=True)
    assert second.request is not None


@pytest.mark.invariant("N5")
def test_who_refused_is_not_asked_again_for_having_been_not_negotiable_in_between():
    engine = opened(200)
    receiver = joined(engine, 550, 100, 500)
    other = joined(engine, 110, 100, 500)
    engine.drain()
    engine.answer(NOW, receiver, receiver.request.id, accepted=False)
    reconfigured(engine, other, negotiable=False)
    engine.update_estimate(NOW, 10_000)
    reconfigured(engine, receiver, negotiable=False)
    reconfigured(engine, receiver, negotiable=True)
    engine.drain()
    engine.update_estimate(NOW, 200)
    assert asked(engine) == {}


@pytest.mark.invariant("N5")
def test_who_refused_and_was_forced_to_its_floor_is_not_asked_again_below_it():
    engine = opened(100)
    receiver = joined(engine, 550, 100, 500)
    engine.drain()
    engine.answer(NOW, receiver, receiver.request.id, accepted=False)
    assert receiver.allocation == 110
    engine.drain()
    reconfigured(engine, receiver, pausable=True)
    assert asked(engine) == {}
    assert receiver.allocation == 0, "N8: but forced, on the same refusal"


@pytest.mark.invariant("N8")
def test_nobody_is_forced_while_another_can_be_asked_even_if_it_will_not_do():
    engine = opened(1624)
    other = joined(engine, 100, 150, 500, 2500, pausable=True)
    refuser = joined(engine, 1973, 100, 500, priority=255)
    assert asked(engine) == {refuser.id: 550}
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    assert asked(engine) == {other.id: 0}
    assert refuser.allocation == 1973
    engine.answer(NOW, other, other.request.id, accepted=True, bitrate=0)
    assert refuser.allocation == 550


@pytest.mark.invariant("N8")
def test_nobody_is_forced_to_spare_a_higher_class_the_question():
    engine = opened(3000)
    refuser = joined(engine, 2750, 100, priority=1)
    other = joined(engine, 101, 150, 500, 2500, priority=255, pausable=True)
    engine.update_estimate(NOW, 2850)
    assert asked(engine) == {refuser.id: 110}
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    assert refuser.allocation == 2750
    assert asked(engine) == {other.id: 0}


@pytest.mark.invariant("P2")
def test_a_lower_target_withdraws_unread_padding_beyond_two_ticks():
    padding = Padding(Meter(), 100)
    account = PaddingAccount()
    padding.join(1, account)
    padding.start(0.0, 80_000, 0.1)
    padding.due(0.1)
    padding.due(0.2)
    assert account.unread == 2000
    padding.start(0.2, 8_000, 0.1)
    assert account.unread == 200


@pytest.mark.invariant("G5")
def test_what_is_freed_goes_to_the_higher_class_whoever_was_to_have_it_first():
    engine = opened(3000)
    giver, other = joined(engine, 1000, 100, 900), joined(engine, 2000)
    high, low = joined(engine, 0, priority=2), joined(engine, 0, priority=1)
    engine.request(NOW, low, 600)
    engine.request(NOW, high, 600)
    assert (low.projected, high.projected) == (600, 600)
    engine.request(NOW, other, 1300)  # room for one of the two
    assert (low.allocation, high.allocation) == (0, 600)
    assert giver.allocation == 1000


@pytest.mark.invariant("G3", "G8")
def test_the_same_options_again_do_not_count_as_overtaking():
    engine = opened(1000, overtaken_limit=3)
    joined(engine, 990, 100, 900)
    senior, junior = joined(engine, 0), joined(engine, 0)
    engine.request(NOW, senior, 950)
    engine.request(NOW, junior, 500)
    engine.update_estimate(NOW, 980)  # a decrease is under way, and the junior is to have of it
    assert junior.projected == 500
    overtaken = senior.overtaken
    for _ in range(5):
        reconfigured(engine, junior)
    assert senior.overtaken == overtaken


@pytest.mark.invariant("G4", "G5")
def test_who_is_cut_first_is_restored_last_among_minimums_too():
    engine = opened(220)
    light = joined(engine, 110, 100, pausable=True, weight=0.5)
    heavy = joined(engine, 110, 100, pausable=True, weight=1.0)
    engine.update_estimate(NOW, 110)
    assert asked(engine) == {light.id: 0}
    engine.update_estimate(NOW, 220)
    engine.drain()
    newcomer = joined(engine, 330, 100, priority=1)  # the whole class below is cut, one restored
    assert asked(engine) == {newcomer.id: 110, light.id: 0}
    assert heavy.request is None


@pytest.mark.invariant("A2")
def test_nothing_is_granted_while_a_single_bit_is_still_held():
    engine = opened(1000)
    giver, taker = joined(engine, 600), joined(engine, 0, priority=1)
    engine.request(NOW, taker, 401)
    assert asked(engine) == {giver.id: 599}
    assert taker.allocation == 0
    engine.request(NOW, giver, 599)
    assert taker.allocation == 401


@pytest.mark.invariant("A6")
def test_when_estimates_stop_requests_are_withdrawn_before_anything_else_happens():
    engine = EngineOfTests(Settings(estimate_timeout=2.0), now=NOW, initial_estimate=500)
    receiver = joined(engine, 550, 100, 500)
    assert receiver.request is not None
    joined(engine, 0, now=NOW + 2.0)  # nobody has looked at the clock since
    assert receiver.request is None
    assert receiver.refusal is None
    assert engine.ledger.projected == engine.ledger.committed == 550


# What the machine finds too seldom in a short run: each of these catches a planted mutant.


@pytest.mark.invariant("G8")
def test_what_is_held_for_one_that_was_overtaken_is_free_again_after_five_seconds():
    engine = opened(1000, overtaken_limit=1)
    joined(engine, 500, negotiable=False)
    senior, junior, last = joined(engine, 0), joined(engine, 0), joined(engine, 0)
    engine.request(NOW, senior, 600)
    engine.request(NOW, junior, 100)
    assert snapshot(engine).favoured == {senior.id: NOW + 5.0}
    engine.request(NOW, last, 100)
    assert last.allocation == 0
    engine.advance(NOW + 5.0)
    assert snapshot(engine).favoured == {}
    assert last.allocation == 100


@pytest.mark.invariant("P2")
def test_a_probe_that_ends_leaves_nothing_unread():
    padding, account = Padding(Meter(), 100), PaddingAccount()
    padding.join(1, account)
    padding.start(0.0, 80_000, 0.1)
    assert padding.due(0.1) == [1]
    padding.stop()
    assert account.unread == 0


@pytest.mark.invariant("N2")
def test_an_answer_to_a_request_that_was_withdrawn_does_not_count_for_the_next():
    engine = opened(500)
    receiver = joined(engine, 550, 100, 500)
    late = receiver.request.id
    engine.update_estimate(NOW, 550)
    engine.update_estimate(NOW, 500)
    assert receiver.request.id != late
    assert engine.answer(NOW, receiver, late, accepted=True, bitrate=110) is False
    assert receiver.allocation == 550


@pytest.mark.invariant("N4", "N6")
def test_who_gives_one_bit_at_a_time_breaks_its_promise():
    engine = opened(0)
    receiver = joined(engine, 1000)
    engine.answer(NOW, receiver, receiver.request.id, accepted=True, bitrate=999)
    assert receiver.request is not None
    engine.advance(NOW + 0.05)
    assert engine.breaches == 1


@pytest.mark.invariant("P4")
def test_who_can_use_any_part_is_probed_for_with_all_that_it_lacks():
    engine = opened(300_000, probe_reach=2.0)
    receiver = joined(engine, 0, elastic=True)
    engine.request(NOW, receiver, 500_000)
    assert receiver.allocation == 300_000
    assert engine.prober.target == 500_000


@pytest.mark.invariant("N7")
def test_a_thousand_withdrawals_in_one_event_are_no_deep_recursion():
    engine = opened(3_000_000)
    receivers = [joined(engine, 3_000, 1_000, 2_000, priority=rank % 256) for rank in range(1000)]
    engine.update_estimate(NOW, 1_200_000)
    assert len(asked(engine)) > 900
    engine.update_estimate(NOW, 2_999_999)
    assert 0 < sum(receiver.request is not None for receiver in receivers) < 5
    engine.update_estimate(NOW, 3_000_000)
    assert all(receiver.request is None for receiver in receivers)


@pytest.mark.invariant("N7", "N8")
@pytest.mark.parametrize("held", [1, 49])
def test_nobody_else_is_asked_where_that_does_not_spare_the_one_that_refused(held):
    engine = opened(1050 + held)
    honest = joined(engine, held)
    joined(engine, 500, negotiable=False)
    refuser = joined(engine, 50, 100, pausable=True)
    higher = joined(engine, 0, 100, 500, priority=1)
    engine.request(NOW, higher, 550)
    assert asked(engine) == {refuser.id: 0}
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    told = [(e.act, e.receiver_id) for e in engine.drain()]
    assert told == [(Act.FORCED, refuser.id), (Act.GRANTED, higher.id)]
    assert honest.allocation == held


@pytest.mark.invariant("N8")
def test_what_another_was_to_be_forced_to_give_spares_nobody_who_can_be_asked():
    engine = opened(1_210)
    honest, refuser = joined(engine, 330, 100, 500), joined(engine, 330, 100, 500)
    first = joined(engine, 550, 100, 500, 800, priority=1)
    second = joined(engine, 0, 100, 500, priority=1)
    engine.update_estimate(NOW, 1_160)
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    engine.request(NOW, first, 880)
    assert honest.request is not None
    engine.drain()
    engine.request(NOW, second, 880)
    assert engine.drain() == []
    engine.answer(NOW, honest, honest.request.id, accepted=True, bitrate=110)
    assert (honest.allocation, refuser.allocation, second.allocation) == (110, 330, 110)


@pytest.mark.invariant("N8")
def test_what_is_forced_too_much_spares_one_that_refused_before_one_that_can_be_asked():
    engine = opened(1_540)
    honest = joined(engine, 330, 100, 500)
    small, large = joined(engine, 330, 100, 300, 500, 800), joined(engine, 880, 100, 500)
    higher = joined(engine, 0, 100, 500, 800, priority=1)
    engine.update_estimate(NOW, 1_440)
    for refuser in (large, small):
        engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    engine.request(NOW, higher, 880)
    assert honest.request is not None
    engine.answer(NOW, honest, honest.request.id, accepted=True, bitrate=110)
    assert (honest.allocation, small.allocation, large.allocation) == (110, 330, 110)
    assert higher.allocation == 880


@pytest.mark.invariant("G3", "N8")
def test_a_plan_to_force_that_waits_for_an_answer_changes_nothing_when_nothing_changes():
    engine = opened(1_000)
    higher = joined(engine, 110, priority=1, pausable=True)
    honest, refuser = joined(engine, 110), joined(engine, 110, 100, pausable=True)
    engine.force(NOW, higher, 1)
    held_until = higher.held_until
    engine.update_estimate(held_until, 165)
    engine.answer(held_until, honest, honest.request.id, accepted=True, bitrate=82)
    engine.answer(held_until, refuser, refuser.request.id, accepted=False)
    assert (honest.request.limit, refuser.allocation) == (55, 110)
    engine.drain()
    for _ in range(2):
        engine.advance(held_until)
        assert engine.drain() == []
    engine.answer(held_until, honest, honest.request.id, accepted=True, bitrate=55)
    assert (higher.allocation, honest.allocation, refuser.allocation) == (110, 55, 0)


@pytest.mark.invariant("N8")
@pytest.mark.parametrize(("held", "asked_for", "kept"), [(500, 169, 550), (300, 189, 330)])
def test_who_can_be_asked_only_since_a_plan_to_force_was_made_is_asked_before_it(
    held, asked_for, kept
):
    engine = opened(880 + held)
    honest = joined(engine, 330, 100, 300)
    refuser = joined(engine, 550, 100, 300, 500, pausable=True)
    exempt = joined(engine, held, negotiable=False)
    higher = joined(engine, 0, 100, 300, 500, priority=1)
    engine.update_estimate(NOW, 880 + held - 1)
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    engine.answer(NOW, honest, honest.request.id, accepted=True)
    engine.request(NOW, higher, 550)
    assert refuser.projected < refuser.allocation
    reconfigured(engine, exempt, negotiable=True)
    engine.request(NOW, honest, 110)
    assert (exempt.request.limit, refuser.allocation) == (asked_for, 550)
    engine.answer(NOW, exempt, exempt.request.id, accepted=True, bitrate=asked_for)
    assert (refuser.allocation, higher.allocation) == (kept, 550)


@pytest.mark.invariant("N5", "N8")
def test_whose_refusal_lapses_is_asked_though_it_was_to_be_forced():
    engine = opened(880)
    honest = joined(engine, 330, 100, 300)
    refuser = joined(engine, 550, 100, 300, 500, pausable=True)
    higher = joined(engine, 0, 100, 300, 500, priority=1)
    engine.update_estimate(NOW, 879)
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    engine.request(NOW, higher, 550)
    assert honest.request is not None
    assert (refuser.request, refuser.projected) == (None, 110)
    engine.update_estimate(NOW, 878)
    assert refuser.request is not None


@pytest.mark.invariant("N8")
def test_what_was_planned_for_a_minimum_keeps_nobody_from_being_asked_before_one_is_forced():
    engine = opened(727)
    first = joined(engine, 713, priority=(255, 1, 0), pausable=True)
    waiting = joined(engine, 0, 150, 500, 2_500, pausable=True)
    engine.request(NOW, first, 1_100)
    engine.request(NOW, waiting, 2_750)
    refuser = joined(engine, 200, 7, 13, max_bitrate=200)
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    assert (first.request.limit, refuser.allocation) == (548, 200)


@pytest.mark.invariant("N3", "N5")
def test_a_deadline_is_judged_before_what_else_time_brings_in_the_same_moment():
    engine = opened(1_000)
    refuser = joined(engine, 550, 100, 300, 500, pausable=True)
    joined(engine, 185, negotiable=False)
    forced = joined(engine, 10, pausable=True)
    engine.force(NOW, forced, 0)
    engine.update_estimate(NOW, 515)
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    assert refuser.allocation == 330
    later = refuser.refusal.until
    assert later == forced.held_until
    engine.update_estimate(later - 0.05, 515)
    silent = joined(engine, 220, 7, 200, now=later - 0.05, priority=255)
    assert silent.request.deadline <= later
    engine.advance(later)
    assert (silent.refusal is not None, refuser.request is not None) == (True, True)


@pytest.mark.invariant("G3", "N5")
def test_who_refused_and_is_raised_is_asked_again_in_the_same_event():
    engine = support.opened(1_100, WaterFillingPolicy(resume_least=100))
    one = joined(engine, 0, 150, 500, 2_500, pausable=True, elastic=True)
    other = joined(engine, 935, pausable=True, elastic=True, min_bitrate=200)
    engine.request(NOW, one, 165)
    engine.request(NOW, one, 10**6)
    engine.request(NOW, other, 10**6)
    assert (one.allocation, other.allocation) == (165, 935)
    engine.update_estimate(NOW, 1_226)
    engine.drain()
    engine.answer(NOW, other, other.request.id, accepted=False)
    told = [(e.act, e.before, e.after) for e in engine.drain()]
    assert told == [(Act.GRANTED, 935, 1_061), (Act.ASKED, 1_061, 676)]
    engine.advance(NOW)
    assert engine.drain() == []


@pytest.mark.invariant("N6", "G6")
@pytest.mark.parametrize("wanted", [300, 400, 500, 600])
@pytest.mark.parametrize("cameras", [2, 3, 4])
def test_what_was_given_for_a_higher_class_is_not_given_away_to_those_who_ask_for_it_back(
    cameras, wanted
):
    engine = opened(110 * cameras + 500 + 100)
    for _ in range(cameras):
        joined(engine, 110, 100, pausable=True)
    refusing = joined(engine, 500)
    urgent = joined(engine, 100, priority=255, negotiable=False)
    engine.drain()
    engine.request(NOW, urgent, wanted)
    requests = [effect.message for effect in engine.drain() if effect.act is Act.ASKED]
    answers = 0
    while requests and answers < 50:
        request = requests.pop(0)
        receiver = engine.ledger[request.receiver_id]
        if receiver is refusing:
            engine.answer(NOW, receiver, request.request_id, accepted=False)
        else:  # a flapping one: it gives what it is asked for, and asks for it again
            engine.answer(NOW, receiver, request.request_id, accepted=True, bitrate=request.limit)
            engine.request(NOW, receiver, 110)
        answers += 1
        requests += [effect.message for effect in engine.drain() if effect.act is Act.ASKED]
    assert urgent.allocation == wanted
    assert answers <= 2 * (cameras + 1)


@pytest.mark.invariant("N4", "G6")
def test_a_broken_promise_costs_nothing_for_the_sake_of_a_lower_class():
    engine = opened(0)
    waiting = joined(engine, 0, 100)
    engine.request(NOW, waiting, 1_000)
    higher = joined(engine, 111, priority=1, pausable=True)
    assert asked(engine) == {higher.id: 0}
    engine.update_estimate(NOW, 110)
    engine.answer(NOW, higher, higher.last_request, accepted=True, bitrate=110)
    engine.advance(NOW + 0.05)
    assert (higher.allocation, waiting.allocation) == (110, 0)


@pytest.mark.invariant("N4", "G8")
def test_a_broken_promise_costs_nothing_where_what_it_has_for_others_of_its_class_would_not_do():
    engine = opened(0)
    waiting = joined(engine, 0, 100)
    engine.request(NOW, waiting, 1_000)
    steps = joined(engine, 330, 100, 300, 500, priority=(255, 1, 0), bare_steps=True)
    assert asked(engine) == {steps.id: 100}
    engine.update_estimate(NOW, 330)
    engine.answer(NOW, steps, steps.last_request, accepted=True, bitrate=329)
    engine.advance(NOW + 0.05)
    assert (steps.allocation, waiting.allocation) == (329, 0)
