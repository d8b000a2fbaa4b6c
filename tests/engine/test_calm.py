"""When a raise is worth its risk."""

import math

import pytest

from trio_allocator.engine.sharing.calm import LONGEST_WAIT, Calm, Temper
from trio_allocator.engine.sharing.division import Raising

TEMPER = Temper(price=0.1, growth=1.0, slack=0.35, spread=0.13, unrest=2.0)


@pytest.fixture
def unrest():
    return {1: 0.0}


@pytest.fixture
def calm(unrest):
    calm = Calm(TEMPER, 5.0, lambda receiver_id, _now: unrest[receiver_id])
    calm.note(0.0, 1_000)
    calm.note(5.0, 2_000)
    calm.begin(5.0, 2_000, 0)
    return calm


def raising(rate, *, need=500, worth=2.0, gain=1.0, best=2.0, first=True, displaces=False):
    return Raising(1, first, rate, displaces, need, worth, gain, best)


def test_what_every_estimate_would_have_carried_needs_no_judgement(calm, unrest):
    unrest[1] = 1_000.0  # nothing else would be allowed
    assert calm.allows(raising(1_000))
    assert not calm.allows(raising(1_001))


def test_what_was_allocated_may_be_handed_on(calm, unrest):
    unrest[1] = 1_000.0
    calm.begin(5.0, 2_000, 1_500)
    assert calm.allows(raising(1_500))
    assert not calm.allows(raising(1_501))


def test_what_is_sent_beside_the_allocations_counts_as_sent(calm, unrest):
    full = raising(1_800, gain=0.35, worth=3.0, best=0.0)
    assert calm.allows(full)
    calm.begin(5.0, 2_000, 0, 600)
    assert not calm.allows(full)
    assert calm.floor == 400
    assert calm.clear_at(1_400) == calm.clear_at(401) == LONGEST_WAIT
    assert calm.clear_at(400) == -math.inf
    unrest[1] = 1_000.0
    assert calm.allows(raising(400))
    assert not calm.allows(raising(401))


def test_while_nothing_is_known_nothing_is_judged(calm, unrest):
    unrest[1] = 1_000.0
    calm.begin(5.0, None, 0)
    assert calm.allows(raising(5_000))


def test_a_switch_has_a_price_that_grows_with_restlessness(calm, unrest):
    cheap = raising(1_200, gain=0.25)
    assert calm.allows(cheap)
    unrest[1] = 1.0
    assert not calm.allows(cheap)
    assert calm.allows(raising(1_200, gain=0.25, first=False)), "a step in the same breath is free"


def test_the_more_is_at_stake_the_more_a_full_link_is_avoided(calm):
    full = raising(2_000, gain=0.5)
    assert calm.allows(full)
    assert not calm.allows(raising(2_000, gain=0.5, worth=20.0))
    assert calm.allows(raising(1_100, need=50, gain=0.5, worth=20.0))


def test_one_that_others_make_room_for_has_its_price_alone(calm, unrest):
    full = raising(2_000, gain=0.5, worth=20.0, displaces=True)
    assert calm.allows(full), "it adds no risk"
    calm.begin(5.0, 2_000, 2_000)
    assert calm.allows(full)
    unrest[1] = 5.0
    assert not calm.allows(full), "however much was allocated"
    assert calm.allows(raising(1_000, displaces=True)), "but every estimate would have carried it"


def test_falls_make_it_careful_and_are_forgotten(calm):
    risky = raising(1_900, gain=0.35, worth=3.0, best=0.0)
    assert calm.allows(risky)
    for second in range(6, 16):
        calm.note(float(second), (900, 2_000)[second % 2])
    calm.begin(15.0, 2_000, 0)
    assert not calm.allows(risky)
    calm.note(100.0, 2_000)
    calm.note(101.0, 1_950)
    calm.begin(101.0, 2_000, 0)
    assert calm.floor == 1_950
    assert calm.allows(risky)


def test_a_fall_to_nothing_counts_no_more_than_a_factor_of_e(calm):
    for second in range(6, 30):
        calm.note(float(second), (0, 2_000)[second % 2])
    assert calm._falls <= 1.0


def test_estimates_that_come_often_are_sampled(calm):
    calm.note(5.5, 10)
    assert calm._falls == 0.0
    calm.note(6.0, 1_000)
    assert calm._falls == pytest.approx((1 - math.exp(-1 / 9.5)) * math.log(2))


def test_no_raise_is_kept_back_for_longer_than_ten_seconds(calm):
    assert calm.clear_at(1_500) == 10.0
    assert calm.clear_at(900) == -math.inf
    assert calm.rises_at == 10.0
    calm.begin(10.0, 2_000, 0)
    assert calm.floor == 2_000
    assert calm.rises_at == math.inf
    assert LONGEST_WAIT == 10.0


def test_before_any_estimate_nothing_rises():
    calm = Calm(TEMPER, 5.0, lambda _id, _now: 0.0)
    assert calm.rises_at == math.inf
    assert calm.floor == 0
