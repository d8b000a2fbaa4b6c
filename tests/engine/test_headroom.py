"""How far raises may fill a connection whose estimator tells what was carried (G2)."""

from __future__ import annotations

import pytest

from tests.engine.support import NOW, asked, granted, joined, limit, opened
from trio_allocator.engine.effects import WakeReason
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.engine.probing.probe_status import ProbeStatus
from trio_allocator.engine.sharing.layered_policy import FairPolicy, LayeredPolicy
from trio_allocator.messages import GrantReason
from trio_allocator.report.statistics import statistics
from trio_allocator.report.status import snapshot

pytestmark = pytest.mark.invariant("G2")

LOW, MEDIUM, HIGH = 165_000, 550_000, 1_650_000
LADDER = (150_000, 500_000, 1_500_000)


def test_a_number_alone_is_taken_at_its_word():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, HIGH)
    engine.drain()
    engine.update_estimate(NOW, HIGH)
    assert granted(engine.drain()) == [(camera.id, HIGH, GrantReason.GRANTED)]


def test_raises_fill_only_a_share_of_what_was_not_carried():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    engine.drain()
    engine.update_estimate(NOW, MEDIUM, 0)
    assert granted(engine.drain()) == []
    engine.update_estimate(NOW + 1, MEDIUM * 100 // 83, 0)  # G10: a fifth to spare is enough
    assert granted(engine.drain()) == [(camera.id, MEDIUM, GrantReason.GRANTED)]


def test_what_was_carried_needs_no_headroom():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    engine.drain()
    engine.update_estimate(NOW, MEDIUM, MEDIUM - 1)
    assert granted(engine.drain()) == []
    engine.update_estimate(NOW, MEDIUM, MEDIUM)
    assert granted(engine.drain()) == [(camera.id, MEDIUM, GrantReason.GRANTED)]


def test_what_was_carried_is_no_more_than_the_estimate():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    engine.drain()
    engine.update_estimate(NOW, MEDIUM - 1, 10 * MEDIUM)
    assert granted(engine.drain()) == []


def test_a_decrease_is_judged_by_the_whole_estimate():
    engine = opened()
    camera = joined(engine, MEDIUM, *LADDER)
    engine.update_estimate(NOW, MEDIUM, 0)
    assert engine.drain() == []
    assert camera.allocation == MEDIUM


def test_what_is_freed_may_be_handed_on_whatever_was_carried():
    engine = opened()
    leaving = joined(engine, MEDIUM, *LADDER)
    staying = joined(engine, 0, *LADDER)
    engine.request(NOW, staying, MEDIUM)
    engine.update_estimate(NOW, MEDIUM, 0)
    engine.drain()
    engine.leave(NOW, leaving)
    assert granted(engine.drain()) == [(staying.id, MEDIUM, GrantReason.GRANTED)]


@pytest.mark.invariant("P1")
def test_a_step_that_fits_only_the_estimate_is_probed_for():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    engine.update_estimate(NOW, MEDIUM, LOW)
    assert engine.prober.status is ProbeStatus.PROBING
    engine.update_estimate(NOW, MEDIUM, MEDIUM)
    assert engine.prober.status is ProbeStatus.IDLE


# --- G9, G10: what is kept free, and for how long ------------------------------------------------


def swinging(*estimates: int, policy=None):
    """A camera that holds its lowest step while estimates come once a second."""
    engine = opened(policy=policy or LayeredPolicy())
    camera = joined(engine, LOW, *LADDER)
    for second, estimate in enumerate(estimates):
        engine.update_estimate(NOW + second, estimate)
    engine.drain()
    return engine, camera, NOW + len(estimates) - 1


@pytest.mark.invariant("G10")
def test_on_a_calm_estimate_a_raise_is_made_at_once():
    engine, camera, now = swinging(400_000, 400_000, 500_000, MEDIUM)
    engine.request(now, camera, MEDIUM)
    assert camera.allocation == MEDIUM


@pytest.mark.invariant("G10")
@pytest.mark.parametrize("fallen_from", [600_000, 2_000_000, 50_000_000])
def test_after_a_fall_a_step_with_a_fifth_to_spare_waits_two_seconds_and_a_half(fallen_from):
    spare = MEDIUM * 6 // 5
    engine, camera, now = swinging(fallen_from, 400_000, 100_000, spare)
    engine.request(now, camera, MEDIUM)
    assert camera.allocation == LOW
    assert engine.wake_reason is WakeReason.HEADROOM
    for step in range(1, 27):
        engine.advance(now + step / 10)
    assert camera.allocation == MEDIUM


@pytest.mark.invariant("G10", "G2")
def test_a_step_with_a_fifth_to_spare_waits_no_longer_where_the_source_tells_what_was_carried():
    engine = opened(policy=LayeredPolicy())
    camera = joined(engine, LOW, *LADDER)
    for second in range(9):
        engine.update_estimate(NOW + second, 50_000_000 if second < 8 else 400_000, LOW)
    engine.update_estimate(NOW + 9, MEDIUM * 6 // 5, LOW)
    engine.request(NOW + 9, camera, MEDIUM)
    assert camera.allocation == LOW
    for step in range(1, 27):
        engine.advance(NOW + 9 + step / 10)
    assert camera.allocation == MEDIUM


@pytest.mark.invariant("G9")
def test_falls_do_not_count_with_the_fair_policy():
    engine, camera, now = swinging(50_000_000, 400_000, 100_000, MEDIUM, policy=FairPolicy())
    engine.request(now, camera, MEDIUM)
    assert camera.allocation == MEDIUM


@pytest.mark.invariant("G9")
def test_after_a_fall_a_step_that_just_fits_waits_ten_seconds_at_most():
    engine, camera, now = swinging(50_000_000, 200_000, MEDIUM)
    engine.request(now, camera, MEDIUM)
    status = snapshot(engine)
    assert status.ceiling is not None
    assert status.ceiling < MEDIUM
    assert status.ceiling_until == pytest.approx(now + 10.0)
    engine.advance(now + 9)
    assert camera.allocation == LOW
    engine.advance(now + 10.2)
    assert camera.allocation == MEDIUM
    assert snapshot(engine).ceiling is None


def risen_again(*, carried: int) -> tuple[int, int]:
    """How far raises may go after an estimate that fell, and how many of them were taken back.

    Args:
        carried: What its source said while it was low, bit/s.
    """
    engine, camera, now = swinging(2_000_000)
    engine.request(now, camera, HIGH)
    engine.update_estimate(now + 2, 400_000, carried)
    assert camera.request is not None
    engine.answer(now + 2, camera, camera.request.id, accepted=True, bitrate=LOW)
    engine.update_estimate(now + 4, 2_000_000, 0)
    return engine.trusted, statistics(engine).raises_taken_back


@pytest.mark.invariant("G9", "G10")
def test_a_fall_below_what_was_carried_is_silence_and_keeps_no_raise_back():
    after_a_fall, taken_back = risen_again(carried=400_000)
    assert after_a_fall < 1_400_000
    assert taken_back == 1
    after_silence, taken_back = risen_again(carried=400_001)
    assert after_silence == 1_760_000  # .88: nothing else is kept free
    assert taken_back == 0


@pytest.mark.invariant("G9", "G10")
def test_a_raise_that_was_taken_back_makes_the_next_one_wait():
    engine, camera, now = swinging(MEDIUM, policy=FairPolicy())
    engine.request(now, camera, MEDIUM)
    assert camera.allocation == MEDIUM
    engine.update_estimate(now + 1, MEDIUM - 10_000)
    engine.answer(now + 1, camera, camera.request.id, accepted=True, bitrate=LOW)
    assert statistics(engine).raises_taken_back == 1
    engine.request(now + 1, camera, MEDIUM)
    engine.update_estimate(now + 2, MEDIUM + 10_000)
    assert camera.allocation == LOW
    engine.update_estimate(now + 3, MEDIUM * 5 // 4)
    assert camera.allocation == MEDIUM


@pytest.mark.invariant("G9")
@pytest.mark.parametrize(
    ("estimate", "taken_back"), [(LOW + MEDIUM, 1), (2 * LOW, 1), (2 * LOW - 1, 0), (LOW, 0)]
)
def test_a_fall_that_leaves_less_than_there_was_before_the_raises_proves_none_wrong(
    estimate, taken_back
):
    engine = opened(2 * MEDIUM, FairPolicy())
    one, other = (joined(engine, LOW, *LADDER, pausable=True) for _ in range(2))
    engine.request(NOW, one, MEDIUM)
    engine.request(NOW + 2, other, MEDIUM)
    assert engine.ledger.committed == 2 * MEDIUM
    engine.update_estimate(NOW + 5, estimate)
    assert statistics(engine).raises_taken_back == taken_back


@pytest.mark.invariant("G9")
@pytest.mark.parametrize(
    ("options", "taken_back"), [({}, 1), ({"negotiable": False}, 1), ({"pausable": True}, 0)]
)
@pytest.mark.parametrize("estimate", [2 * LOW - 1, 0])
def test_a_raise_from_where_nobody_could_be_lowered_is_wrong_however_far_the_estimate_falls(
    estimate, options, taken_back
):
    engine = opened(LOW + MEDIUM, FairPolicy())
    camera = joined(engine, LOW, *LADDER)
    joined(engine, LOW, 150_000, **options)
    joined(engine, 0, *LADDER, pausable=True)
    engine.request(NOW, camera, MEDIUM)
    assert engine.ledger.committed == LOW + MEDIUM
    engine.update_estimate(NOW + 5, estimate)
    assert statistics(engine).raises_taken_back == taken_back


@pytest.mark.invariant("G9")
def test_a_raise_is_judged_by_what_there_was_before_those_of_the_last_ten_seconds():
    engine = opened(2 * MEDIUM, FairPolicy())
    one, other = (joined(engine, LOW, *LADDER) for _ in range(2))
    engine.request(NOW, one, MEDIUM)
    engine.request(NOW + 10, other, MEDIUM)
    engine.update_estimate(NOW + 12, LOW + MEDIUM - 1)  # too little without the second as well
    assert statistics(engine).raises_taken_back == 0


def flap(engine, camera, now, *, seconds, times):
    """Each time an estimate that is too low follows a raise; return for how long each raise waits."""
    waits = []
    for _ in range(times):
        engine.request(now, camera, MEDIUM)
        began = now
        while camera.allocation < MEDIUM:  # high estimates, but too low one second in five
            now += 1.0
            low = (now - began) % 5 == 0
            engine.update_estimate(now, 400_000 if low else 1_300_000)
        waits.append(now - began)
        now += seconds
        engine.update_estimate(now, 400_000)
        engine.answer(now, camera, camera.request.id, accepted=True, bitrate=LOW)
    return waits


@pytest.mark.invariant("G9")
@pytest.mark.parametrize("policy", [FairPolicy(), LayeredPolicy()])
def test_raises_that_are_taken_back_one_after_another_wait_longer_and_longer(policy):
    engine, camera, now = swinging(1_300_000, policy=policy)
    waits = flap(engine, camera, now, seconds=1, times=16)
    assert waits[0] <= 1
    assert waits[-1] >= 25
    assert sum(waits[8:]) > 2 * sum(waits[:8])


@pytest.mark.invariant("G9")
def test_raises_that_last_are_not_punished_for_those_before():
    engine, camera, now = swinging(1_300_000, policy=FairPolicy())
    waits = flap(engine, camera, now, seconds=12, times=16)
    assert max(waits) <= 1


def test_what_is_lowered_long_after_a_raise_was_not_taken_back():
    engine, camera, now = swinging(MEDIUM, policy=FairPolicy())
    engine.request(now, camera, MEDIUM)
    engine.update_estimate(now + 10, MEDIUM - 10_000)
    assert statistics(engine).raises_taken_back == 0
    assert snapshot(engine).ceiling is None


@pytest.mark.invariant("G9")
def test_an_estimate_that_swings_is_remembered_though_one_without_a_ladder_is_raised_with_it():
    engine = opened(1_300_000)
    cameras = [joined(engine, 0, *LADDER[:2]) for _ in range(2)]
    bare = joined(engine, 0)
    wishes = {bare: 100_000, **dict.fromkeys(cameras, MEDIUM)}
    raises = [0, 0]
    for tick in range(300):
        now, half = NOW + tick, tick >= 150
        engine.update_estimate(now, 400_000 if tick // 5 % 2 else 1_300_000)
        while engine.settlement.negotiator.outstanding:
            receiver = next(iter(engine.settlement.negotiator.outstanding.values()))
            limit_of = receiver.request.limit
            engine.answer(now, receiver, receiver.request.id, accepted=True, bitrate=limit_of)
        for receiver, wish in wishes.items():
            engine.request(now, receiver, wish)
        told = granted(engine.drain())
        raises[half] += sum(level == MEDIUM for _, level, _ in told)
    assert raises[True] <= 4, "of 30 times that the estimate is high"


@pytest.mark.invariant("G9")
@pytest.mark.parametrize("wanted", [100_000, 112_000])
def test_one_without_a_ladder_that_needs_a_little_more_is_not_raised(wanted):
    engine = opened(MEDIUM)
    voice = joined(engine, 100_000)
    engine.request(NOW + 1, voice, wanted)
    assert voice.allocation == wanted
    assert (voice.raised_at == NOW + 1) is (wanted > 110_000)


@pytest.mark.invariant("G9", "G10")
@pytest.mark.parametrize("event", ["a join", "a limit"])
def test_what_a_join_or_a_limit_takes_proves_no_raise_wrong(event):
    engine = opened(MEDIUM)
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    if event == "a join":
        joined(engine, LOW, now=NOW + 1, negotiable=False)
    else:
        limit(engine, NOW + 1, max_bitrate=MEDIUM - 1)
    assert camera.request is not None
    assert statistics(engine).raises_taken_back == 0


@pytest.mark.invariant("A2")
@pytest.mark.parametrize("in_a_dip", [False, True])
def test_a_limit_is_no_dip_of_the_estimate(in_a_dip):
    engine = opened()
    camera = joined(engine, MEDIUM, *LADDER)
    engine.update_estimate(NOW, MEDIUM, MEDIUM)
    engine.update_estimate(NOW + 5, MEDIUM - 50_000 * in_a_dip, MEDIUM)
    engine.drain()
    limit(engine, NOW + 5.1, max_bitrate=MEDIUM - 60_000)
    assert asked(engine.drain()) == {camera.id: LOW}
    engine.update_estimate(NOW + 5.2, MEDIUM - 50_000 * in_a_dip, MEDIUM)
    assert engine.drain() == []


@pytest.mark.invariant("A2")
def test_a_short_dip_of_an_estimator_lowers_nobody_and_is_declared():
    engine = opened()
    joined(engine, MEDIUM, *LADDER)
    engine.update_estimate(NOW, MEDIUM, MEDIUM)
    engine.update_estimate(NOW + 5, MEDIUM - 50_000, MEDIUM)
    assert asked(engine.drain()) == {}
    (allowance,) = snapshot(engine).allowances
    assert (allowance.name, allowance.bitrate) == ("dip", 50_000)
    assert (engine.wake_at, engine.wake_reason) == (NOW + 5.5, WakeReason.DIP)
    engine.advance(NOW + 5.5)
    assert asked(engine.drain()) == {1: LOW}


@pytest.mark.invariant("A2")
def test_the_same_fall_of_a_number_alone_is_acted_upon_at_once():
    engine = opened()
    joined(engine, MEDIUM, *LADDER)
    engine.update_estimate(NOW, MEDIUM)
    engine.update_estimate(NOW + 5, MEDIUM - 50_000)
    assert asked(engine.drain()) == {1: LOW}


def is_taken_for_its_key_frame(engine: Engine, now: float) -> bool:
    """Whether nobody is lowered for a fall by a fifth, as soon after a raise (A2)."""
    engine.drain()
    engine.update_estimate(now, engine.ledger.committed * 8 // 10, 0)
    return not asked(engine.drain())


@pytest.mark.invariant("G9", "A2")
@pytest.mark.parametrize(("wanted", "raised"), [(572_000, False), (HIGH, True)])
def test_a_step_that_gets_dearer_is_no_raise(wanted, raised):
    engine = opened()
    camera = joined(engine, MEDIUM, *LADDER)
    engine.update_estimate(NOW, HIGH, HIGH)
    dearer = camera.track.with_variants({"l": 150_000, "m": 520_000, "h": 1_500_000})
    engine.configure(NOW + 1, camera, dearer, camera.options, PaddingAccount())
    engine.request(NOW + 1, camera, wanted)
    assert camera.allocation == wanted
    assert is_taken_for_its_key_frame(engine, NOW + 1.1) is raised


@pytest.mark.invariant("G10", "A2")
@pytest.mark.parametrize(("estimate", "fits"), [(726_000, True), (725_999, False)])
def test_a_lowest_step_that_gets_dearer_lowers_nobody_if_it_fits_the_estimate(estimate, fits):
    engine = opened()
    camera = joined(engine, MEDIUM, *LADDER)
    voice = joined(engine, LOW, *LADDER[:1], priority=1)
    engine.update_estimate(NOW, estimate, LOW + MEDIUM)
    dearer = voice.track.with_variants({f"v{LADDER[0]}": 160_000})
    engine.configure(NOW, voice, dearer, voice.options, PaddingAccount())
    assert engine.drain() == []
    engine.request(NOW, voice, 176_000)
    told = engine.drain()
    assert (asked(told) == {}) is fits
    assert granted(told) == ([(voice.id, 176_000, GrantReason.GRANTED)] if fits else [])
    assert camera.allocation == MEDIUM


@pytest.mark.invariant("N5")
def test_one_that_refused_and_is_granted_what_its_lowest_step_costs_more_may_be_asked_again():
    engine = opened(MEDIUM + LOW - 1)
    camera = joined(engine, MEDIUM, *LADDER, priority=1)
    voice = joined(engine, LOW, *LADDER[:1], pausable=True)
    engine.answer(NOW, voice, voice.request.id, accepted=False)
    engine.answer(NOW, camera, camera.request.id, accepted=True, bitrate=LOW)
    assert voice.refusal is not None
    dearer = voice.track.with_variants({f"v{LADDER[0]}": 160_000})
    engine.configure(NOW, voice, dearer, voice.options, PaddingAccount())
    engine.request(NOW, voice, 176_000)
    assert (voice.allocation, voice.refusal) == (176_000, None)


def test_a_ladder_with_other_steps_is_counted_anew():
    engine = opened()
    camera = joined(engine, MEDIUM, *LADDER)
    engine.update_estimate(NOW, HIGH, HIGH)
    fewer = camera.track.with_variants({"m": 500_000, "h": 1_500_000})
    engine.configure(NOW + 1, camera, fewer, camera.options, PaddingAccount())
    engine.request(NOW + 1, camera, HIGH)
    assert camera.allocation == HIGH
    assert is_taken_for_its_key_frame(engine, NOW + 1.1)


# --- a lowest step -------------------------------------------------------------------------------


def wait(engine, until):
    """Let time pass: the engine is woken whenever it asked for it."""
    while engine.wake_at <= until:
        engine.advance(engine.wake_at)


@pytest.mark.invariant("G8", "G9")
def test_whatever_fell_a_lowest_step_that_fits_is_not_kept_back():
    engine, camera, now = swinging(50_000_000, 400_000, 100_000, 2 * LOW)
    dark = joined(engine, 0, *LADDER)
    engine.request(now, dark, MEDIUM)
    engine.request(now, camera, MEDIUM)
    assert engine.trusted < 2 * LOW
    assert (camera.allocation, dark.allocation) == (LOW, LOW)


@pytest.mark.invariant("G9")
def test_a_lowest_step_that_was_taken_back_is_tried_again_later():
    engine, camera, now = swinging(*[2 * LOW] * 11)
    dark = joined(engine, 0, *LADDER, pausable=True)
    engine.request(now, dark, LOW)
    assert dark.allocation == LOW
    engine.update_estimate(now + 1, 2 * LOW - 1)
    engine.answer(now + 1, dark, dark.request.id, accepted=True, bitrate=0)
    engine.request(now + 1, dark, LOW)
    engine.update_estimate(now + 2, 350_000)
    wait(engine, now + 6.7)
    assert (camera.allocation, dark.allocation) == (LOW, 0)
    wait(engine, now + 6.8)  # 20 s × ln(.2 / .15) after it was taken back
    assert dark.allocation == LOW
    assert engine.trusted < 2 * LOW


def test_a_lowest_step_fills_no_more_than_the_share_of_what_was_not_carried():
    engine = opened()
    engine.update_estimate(NOW, 100_000, 0)
    dark = joined(engine, 0, *LADDER, now=NOW)
    engine.request(NOW, dark, LOW)
    engine.update_estimate(NOW + 1, LOW * 100 // 88 - 2, 0)
    assert dark.allocation == 0
    engine.update_estimate(NOW + 2, LOW * 100 // 88 + 2, 0)
    wait(engine, NOW + 4.5)
    assert dark.allocation == LOW


@pytest.mark.invariant("G9", "G10")
def test_while_the_estimate_falls_a_lowest_step_waits_as_others_do():
    engine, camera, now = swinging(1_000_000, LOW, *[900_000] * 3)
    dark = joined(engine, 0, *LADDER, now=now)
    engine.update_estimate(now + 1, 2 * LOW)
    engine.request(now + 1, dark, LOW)
    assert (camera.allocation, dark.allocation) == (LOW, 0)
    assert engine.wake_reason is WakeReason.HEADROOM
    wait(engine, now + 1.9)
    assert dark.allocation == 0
    wait(engine, now + 2.1)
    assert engine.trusted < 2 * LOW
    assert dark.allocation == LOW


# --- what is held needs no headroom ----------------------------------------------------------------


@pytest.mark.invariant("N7")
def test_a_request_is_withdrawn_as_soon_as_the_whole_estimate_covers_what_is_held():
    engine = opened(2_200, LayeredPolicy())
    cameras = [joined(engine, 550, 100, 500) for _ in range(4)]
    engine.update_estimate(NOW + 1, 900)
    engine.update_estimate(NOW + 2, 450)
    assert all(camera.request is not None for camera in cameras)
    engine.update_estimate(NOW + 2, 2_199)  # one of them has still to go
    assert engine.trusted < 1_760  # ... though raises might bring them to less
    assert [camera.id for camera in cameras if camera.request is not None] == [cameras[3].id]


@pytest.mark.invariant("G2", "G9")
def test_in_overuse_the_room_that_steps_leave_is_not_handed_on_beyond_what_raises_may_fill():
    engine = opened(3_000, LayeredPolicy())
    camera, other = joined(engine, 2_750, 100, 500, 2_500), joined(engine, 0, negotiable=False)
    engine.update_estimate(NOW + 2, 1_000)
    engine.update_estimate(NOW + 2, 2_700)
    room = engine.trusted - 550
    assert room < 2_700 - 550
    engine.request(NOW + 2, other, room + 1)
    engine.answer(NOW + 2, camera, camera.request.id, accepted=True, bitrate=550)
    assert (camera.allocation, other.allocation) == (550, 0)
    engine.request(NOW + 2, other, room)
    assert other.allocation == room


@pytest.mark.invariant("G2")
def test_once_a_leaver_has_cured_an_overuse_what_is_held_may_be_handed_on():
    engine = opened(2_000, LayeredPolicy())
    camera, leaver = joined(engine, 550, 100, 500), joined(engine, 300, negotiable=False)
    joined(engine, 250, negotiable=False)
    engine.update_estimate(NOW + 2, 660)
    engine.update_estimate(NOW + 2, 880)
    engine.answer(NOW + 2, camera, camera.request.id, accepted=True)  # it owes the step to 110
    waiting = joined(engine, 0, negotiable=False, now=NOW + 2)
    engine.request(NOW + 2, waiting, 400)
    engine.leave(NOW + 2, leaver)
    assert engine.trusted < 110 + 250 + 400 <= engine.ledger.committed == 800
    assert waiting.projected == 400


@pytest.mark.invariant("G9", "G10")
def test_what_a_fall_leaves_is_handed_on_once_the_estimate_is_steady():
    engine = opened(2_000_000, LayeredPolicy())
    one, other = (joined(engine, MEDIUM, 150_000, 500_000) for _ in range(2))
    third = joined(engine, LOW, 150_000, 300_000)
    engine.update_estimate(NOW, 1_365_000)
    engine.request(NOW, third, 330_000)
    engine.drain()
    engine.update_estimate(NOW + 1, 700_000)
    assert asked(engine.drain()) == {one.id: LOW, other.id: LOW}
    for receiver in (one, other):
        engine.answer(NOW + 1, receiver, receiver.request.id, accepted=True, bitrate=LOW)
    assert (third.allocation, engine.ledger.committed) == (LOW, 3 * LOW)
    engine.update_estimate(NOW + 1.9, 700_000)
    assert third.allocation == LOW
    engine.advance(NOW + 2.1)
    assert third.allocation == 330_000
