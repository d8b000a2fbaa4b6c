"""What a reader of the engine found wrong, by symptom."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from trio_allocator.engine.engine import Engine
from trio_allocator.engine.probing.padding import Meter, Padding, PaddingAccount
from trio_allocator.engine.report.status import snapshot
from trio_allocator.engine.settings import Settings
from trio_allocator.engine.sharing.caution import FIRST_TERM, LONGEST_TERM, Caution
from trio_allocator.engine.sharing.policies import Claim, Shares, check_shares
from trio_allocator.messages import AllocationGranted, DecreaseAllocation, GrantReason
from trio_allocator.options import ReceiverOptions
from trio_allocator.tracks import Track

NOW = 100.0
CAMERA = (150_000, 500_000, 2_500_000)
LOW, MEDIUM, HIGH = 165_000, 550_000, 2_750_000


@pytest.fixture
def lows_only(monkeypatch):
    """Leave nothing but the lows: no margin below the newest estimate."""
    monkeypatch.setattr("trio_allocator.engine.sharing.caution.MARGIN", 1)


@pytest.mark.invariant("G9")
def test_an_estimate_that_really_rises_is_followed_to_a_twentieth_below():
    calm = Caution(5.0)
    calm.lowered(0.0, 1_000)
    calm.note(0.2, 1_040)
    assert calm.ceiling(0.2, 1_040) == 1_000
    calm.note(0.4, 2_000)
    assert calm.ceiling(0.4, 2_000) == 1_900


def opened(estimate=None, policy=None, **settings) -> Engine:
    settings = {"estimate_timeout": math.inf, **settings}
    return Engine(Settings(**settings), now=NOW, initial_estimate=estimate, policy=policy)


def joined(engine: Engine, bandwidth: int, *ladder: int, now=NOW, **options):
    track = Track("t", variants={f"v{rate}": rate for rate in ladder})
    checked = ReceiverOptions.for_track(track, {"negotiable": True, **options})
    return engine.register(now, track, checked, bandwidth, PaddingAccount())


def changed(engine: Engine, receiver, *ladder: int, **changes) -> None:
    """Another ladder, if one is given, and other options."""
    track = Track("t", variants={f"v{rate}": rate for rate in ladder}) if ladder else receiver.track
    options = receiver.options.changed(changes)
    engine.configure(NOW, receiver, track, options, PaddingAccount())


def asked(engine: Engine) -> dict[int, int]:
    effects = engine.drain()
    return {e.receiver_id: e.limit for e in effects if isinstance(e, DecreaseAllocation)}


def first_fit(claims, capacity) -> Shares:
    """In order of registration: keep what each holds as far as it goes, then what fits."""
    chosen = {claim.receiver_id: claim.lowest for claim in claims}
    left = capacity - sum(chosen.values())
    for claim in claims:
        more = max(0, min(left, claim.allocation - claim.lowest))
        chosen[claim.receiver_id] += more
        left -= more
    for claim in claims:
        more = claim.wanted - chosen[claim.receiver_id]
        if more <= left:
            chosen[claim.receiver_id] += more
            left -= more
    return Shares(chosen)


# --- L3, N8: a policy is believed in nothing ---------------------------------------------------


@pytest.mark.invariant("A2", "N6", "L3")
@pytest.mark.parametrize("is_sound", [True, False])
def test_a_policy_that_claims_to_be_right_for_any_estimate_is_asked_again_when_it_is_not(is_sound):
    calls = []

    def policy(claims, capacity):
        calls.append(capacity)
        sound = first_fit(claims, capacity).allocations
        held = {claim.receiver_id: claim.allocation for claim in claims}
        return Shares(sound if is_sound else held, -math.inf, math.inf)

    engine = opened(2_000_000, policy)
    joined(engine, MEDIUM, *CAMERA)
    joined(engine, MEDIUM, *CAMERA)
    assert asked(engine) == {}
    engine.update_estimate(NOW, 500_000)
    assert 500_000 in calls
    assert (snapshot(engine).policy_fault is None) == is_sound
    assert asked(engine)
    assert engine.ledger.projected <= 500_000


@pytest.mark.invariant("N8")
def test_with_a_policy_too_nobody_is_forced_for_silence_while_another_can_be_asked():
    engine = opened(600_000, first_fit)
    plain = joined(engine, 100_000)
    camera = joined(engine, MEDIUM, *CAMERA)
    assert asked(engine) == {camera.id: 500_000}
    engine.advance(NOW + 0.05)
    assert camera.allocation == MEDIUM
    assert asked(engine) == {plain.id: 50_000}
    engine.answer(NOW + 0.05, plain, plain.request.id, accepted=True, bitrate=50_000)
    assert (camera.allocation, plain.allocation) == (MEDIUM, 50_000)
    assert engine.settlement.forced == 0
    assert snapshot(engine).policy_fault is None


@pytest.mark.invariant("L3", "G2", "G8")
def test_a_policy_that_leaves_less_than_a_minimum_to_nobody_is_sound():
    engine = opened(100, first_fit)
    plain = joined(engine, 50)
    waiting = joined(engine, 0, elastic=True, min_bitrate=120)
    engine.request(NOW, waiting, 500)
    assert snapshot(engine).policy_fault is None
    assert (plain.allocation, waiting.allocation) == (50, 0)


@pytest.mark.invariant("L3", "G2", "G8")
def test_a_minimum_that_fits_is_not_left_out():
    plain = Claim(1, 0, 1.0, 50, 0, 0, 50, (), elastic=False, waiting_since=None)
    waiting = Claim(2, 0, 1.0, 0, 0, 120, 500, (), elastic=True, waiting_since=NOW)
    check_shares([plain, waiting], 119, Shares({1: 50, 2: 0}))
    with pytest.raises(ValueError, match="G8: receiver 2 waits for 120"):
        check_shares([plain, waiting], 120, Shares({1: 50, 2: 0}))
    with pytest.raises(ValueError, match="G2: 120 bit/s for receiver 2"):
        check_shares([plain, waiting], 170, Shares({1: 50, 2: 0}))
    with pytest.raises(ValueError, match="G2: 1 bit/s for receiver 2"):
        check_shares([plain, waiting], 171, Shares({1: 50, 2: 120}))


# --- N4: a promise survives a change of what there is to promise -------------------------------


@pytest.mark.invariant("N4")
def test_who_goes_a_step_of_its_new_ladder_down_keeps_its_promise():
    engine = opened(1_000_000)
    camera = joined(engine, HIGH, *CAMERA)
    assert asked(engine) == {camera.id: MEDIUM}
    changed(engine, camera, 150_000, 800_000, 2_500_000)
    engine.answer(NOW, camera, camera.request.id, accepted=True, bitrate=880_000)
    assert (camera.allocation, camera.request) == (880_000, None)
    engine.advance(NOW + 0.05)
    assert (engine.breaches, camera.refusal) == (0, None)
    assert snapshot(engine).refusing == 0


@pytest.mark.invariant("N4", "G7")
@pytest.mark.parametrize("is_pledged", [False, True])
@pytest.mark.parametrize("minimum", [400_000, 1_000_000, 2_600_000, 3_000_000])
def test_a_minimum_raised_while_asked_is_not_gone_below(minimum, is_pledged):
    engine = opened(200_000)
    camera = joined(engine, HIGH, *CAMERA)
    assert asked(engine) == {camera.id: LOW}
    if is_pledged:
        engine.answer(NOW, camera, camera.request.id, accepted=True)
    changed(engine, camera, min_bitrate=minimum)
    floor = min(HIGH, camera.minimum)
    assert camera.request is None or camera.request.limit >= floor
    assert camera.projected >= floor
    if floor == HIGH:
        assert camera.request is None, "it cannot give anything any more"
    for turn in range(1, 5):
        engine.advance(NOW + 0.05 * turn)
        assert camera.allocation >= floor


# --- P2 ---------------------------------------------------------------------------------------


@pytest.mark.invariant("P2")
def test_padding_of_an_earlier_probe_that_was_not_sent_is_owed_to_nobody():
    padding, account = Padding(Meter(), 256), PaddingAccount()
    padding.join(1, account)
    padding.start(0.0, 80_000, 0.1)
    padding.due(0.1)
    padding.due(0.2)
    padding.sent(account, 0)  # it is one that reports
    assert padding.read(1, account) > 1_000
    padding.stop()
    padding.start(50.0, 80_000, 0.1)
    padding.due(50.03)
    assert padding.read(1, account) == 256
    padding.sent(account, 256)
    padding.due(50.06)
    assert padding.read(1, account) == 256


# --- I1 ---------------------------------------------------------------------------------------


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hold", "1000"),
        ("probe_tick", 1e-12),
        ("probe_tick", 0.000_99),
        ("probe_tick", 1.01),
        ("probe_tick", math.inf),
    ],
)
def test_a_setting_that_could_not_be_kept_is_refused_by_name(name, value):
    given = Fraction(value) if isinstance(value, str) else value
    with pytest.raises(ValueError, match=name):
        Settings(**{name: given})


@pytest.mark.invariant("I1")
def test_what_is_just_within_the_range_is_taken():
    assert (Settings(probe_tick=0.001).probe_tick, Settings(probe_tick=1).probe_tick) == (0.001, 1)


# --- G9: caution by itself --------------------------------------------------------------------

HOLD = 5.0


@pytest.fixture
def caution() -> Caution:
    """Somebody was lowered at 0 s, at an estimate of 1000."""
    caution = Caution(HOLD)
    caution.lowered(0.0, 1000)
    return caution


@pytest.mark.invariant("G9")
def test_before_any_decrease_nothing_is_kept_back():
    caution = Caution(HOLD)
    caution.note(0.0, 10)
    caution.note(0.1, 1000)
    assert (caution.ceiling(0.1, 1000), caution.rises_at(0.1, 1000)) == (1000, math.inf)


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9")
def test_the_ceiling_is_the_lowest_estimate_of_the_last_hold(caution):
    told = [(0.0, 1000)]
    for turn in range(1, 45):
        when, rate = turn * 0.2, 1000 + (turn * 7919) % 101
        caution.note(when, rate)
        told.append((when, rate))
        recent = [r for t, r in told if t + HOLD > when + 1e-9]
        assert caution.ceiling(when, rate) == min(recent)


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9")
def test_a_fall_counts_at_once_and_it_is_never_more_than_the_estimate(caution):
    caution.note(1.0, 2000)
    assert caution.ceiling(1.0, 2000) == 1000
    caution.note(1.01, 700)
    assert caution.ceiling(1.01, 700) == 700
    caution.note(1.02, 2000)
    assert caution.ceiling(1.02, 2000) == 700


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9")
def test_the_ceiling_ends_with_the_term(caution):
    end = FIRST_TERM * HOLD
    caution.note(end - 1, 500)
    caution.note(end - 0.5, 900)
    assert caution.ceiling(end - 0.01, 900) == 500
    assert caution.rises_at(end - 0.01, 900) == end
    assert (caution.ceiling(end, 900), caution.rises_at(end, 900)) == (900, math.inf)


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9")
def test_it_rises_when_the_low_has_passed(caution):
    caution.note(1.0, 1200)
    caution.note(2.0, 1500)
    assert (caution.ceiling(2.0, 1500), caution.rises_at(2.0, 1500)) == (1000, 5.0)
    assert (caution.ceiling(5.0, 1500), caution.rises_at(5.0, 1500)) == (1200, 6.0)
    assert (caution.ceiling(6.0, 1500), caution.rises_at(6.0, 1500)) == (1500, math.inf)


@pytest.mark.invariant("G9")
def test_the_term_doubles_with_each_raise_taken_back_up_to_two_minutes(caution):
    now = 0.0
    terms = []
    for _ in range(6):
        now = caution.until + 1
        caution.raised(now)
        now += 0.99 * HOLD
        caution.lowered(now, 1000)
        terms.append(round((caution.until - now) / HOLD, 6))
    assert terms == [4, 8, 16, LONGEST_TERM, LONGEST_TERM, LONGEST_TERM]
    now = caution.until + 1
    caution.raised(now)
    caution.lowered(now + HOLD, 1000)
    assert caution.until == pytest.approx(now + HOLD + FIRST_TERM * HOLD), "it lasted: afresh"


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9")
def test_another_decrease_within_the_term_prolongs_it_and_forgets_no_low(caution):
    caution.note(6.0, 900)
    caution.lowered(8.0, 950)
    assert caution.until == 8.0 + FIRST_TERM * HOLD
    assert caution.ceiling(8.0, 950) == 900


@pytest.mark.invariant("G9")
def test_lows_of_an_earlier_term_do_not_count(caution):
    caution.note(9.9, 10)
    caution.lowered(11.0, 1000)
    assert caution.ceiling(11.0, 1000) == 1000


@pytest.mark.invariant("G9")
@pytest.mark.parametrize("growth", [1, 0, -1])
def test_ten_thousand_estimates_take_no_more_room_than_a_hundred(caution, growth):
    most = 0
    for turn in range(10_000):
        when = turn / 1_000  # all within the term
        caution.note(when, 1_000_000 + growth * turn)
        caution.ceiling(when, 1_000_000 + growth * turn)
        most = max(most, len(caution._lows))
    assert most <= HOLD / 0.1 + 2


# --- G9: caution in the engine ----------------------------------------------------------------


def under_caution():
    """One that holds 550, one just lowered to its minimum of 400, and a low of 950 at `NOW`."""
    engine = opened(1_100)
    other = joined(engine, 550, negotiable=False)
    lowered = joined(engine, 550, min_bitrate=400)
    engine.update_estimate(NOW, 950)
    assert asked(engine) == {lowered.id: 400}
    engine.answer(NOW, lowered, lowered.request.id, accepted=True, bitrate=400)
    engine.drain()
    return engine, other, lowered


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9")
def test_a_neighbour_gets_nothing_by_noise_and_its_raise_once_the_lows_have_passed():
    engine, other, _ = under_caution()
    assert snapshot(engine).ceiling is None, "it is the estimate"
    engine.request(NOW, other, 600)
    engine.update_estimate(NOW + 1, 1_100)
    assert other.allocation == 550
    status = snapshot(engine)
    assert (status.ceiling, status.ceiling_until) == (950, NOW + 10)
    assert engine.wake_at <= NOW + 5
    engine.advance(NOW + 4.99)
    assert other.allocation == 550
    engine.advance(NOW + 5)
    assert other.allocation == 600
    assert snapshot(engine).ceiling is None


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9")
def test_no_raise_waits_longer_than_a_hold_once_the_estimate_has_risen_for_good():
    engine, other, _ = under_caution()
    engine.request(NOW, other, 600)
    for turn in range(1, 40):
        engine.update_estimate(NOW + 0.2 * turn, 1_100 if turn % 2 else 950)
    assert other.allocation == 550
    engine.update_estimate(NOW + 8.0, 1_100)
    wakes = []
    while other.allocation == 550 and len(wakes) < 20:
        wakes.append(engine.wake_at)
        engine.advance(wakes[-1])
    assert wakes[-1] <= NOW + 8.0 + HOLD
    assert other.allocation == 600


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9", "G2")
def test_what_a_leaver_frees_is_handed_on_in_the_same_call_even_under_the_ceiling():
    engine, other, lowered = under_caution()
    engine.request(NOW, other, 950)
    engine.update_estimate(NOW + 0.5, 500)  # nobody has more than must be
    engine.update_estimate(NOW + 1, 1_100)
    engine.drain()
    assert (other.allocation, snapshot(engine).ceiling) == (550, 500)
    engine.leave(NOW + 1, lowered)
    assert other.allocation == 950
    assert engine.drain() == [AllocationGranted(950, GrantReason.GRANTED, other.id)]


@pytest.mark.usefixtures("lows_only")
@pytest.mark.invariant("G9")
def test_a_raise_that_is_taken_back_at_once_doubles_the_term():
    engine, other, _ = under_caution()
    changed(engine, other, negotiable=True)
    engine.request(NOW, other, 600)
    engine.update_estimate(NOW + 1, 1_100)
    engine.advance(NOW + 5)
    assert other.allocation == 600
    engine.update_estimate(NOW + 7, 950)
    (limit,) = asked(engine).values()
    engine.answer(NOW + 7, other, other.request.id, accepted=True, bitrate=limit)
    assert engine.settlement.caution.until == NOW + 7 + 2 * FIRST_TERM * HOLD
