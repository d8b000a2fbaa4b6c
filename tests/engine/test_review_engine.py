"""What a reader of the engine found wrong, by symptom."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from tests.engine import support
from tests.engine.support import FAIR, EngineOfTests
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.probing.padding import Meter, Padding, PaddingAccount
from trio_allocator.engine.settings import Settings
from trio_allocator.options import ReceiverOptions
from trio_allocator.policies.policy import Claim, Shares, check_shares
from trio_allocator.report.status import snapshot
from trio_allocator.tracks import Track

NOW = 100.0
CAMERA = (150_000, 500_000, 2_500_000)
LOW, MEDIUM, HIGH = 165_000, 550_000, 2_750_000


def opened(estimate=None, policy=FAIR, **settings) -> Engine:
    settings = {"estimate_timeout": math.inf, **settings}
    return EngineOfTests(Settings(**settings), now=NOW, initial_estimate=estimate, policy=policy)


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
    return support.asked(engine.drain())


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
    assert snapshot(engine).forced == 0
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
