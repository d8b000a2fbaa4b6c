"""Which falls of the estimate lower nobody, and for how long (A2)."""

from __future__ import annotations

import math

import pytest

from tests.engine.support import asked, joined, opened
from trio_allocator.engine.dips import Dips

NOW = 100.0
COMMITTED = 1_000_000

pytestmark = pytest.mark.invariant("A2")


@pytest.fixture
def dips():
    """Everything committed was covered a moment ago."""
    dips = Dips()
    dips.note(NOW - 1, COMMITTED, 1_100_000)
    return dips


def kept(dips: Dips, after: float, usable: int, committed: int = COMMITTED) -> int:
    return dips.kept(NOW + after, committed, usable)


def fall(dips: Dips, usable: int, after: float = 0.0) -> None:
    dips.note(NOW + after, COMMITTED, usable)


def test_a_small_fall_keeps_what_is_committed_for_half_a_second(dips):
    fall(dips, 850_001)
    assert kept(dips, 0, 850_001) == COMMITTED
    assert dips.ends_at(COMMITTED, 850_001) == NOW + 0.5
    assert kept(dips, 0.499, 850_001) == COMMITTED
    assert kept(dips, 0.5, 850_001) == 850_001


def test_a_fall_by_fifteen_per_cent_is_none(dips):
    fall(dips, 850_000)
    assert kept(dips, 0, 850_000) == 850_000
    assert dips.ends_at(COMMITTED, 850_000) <= NOW


def test_a_dip_that_deepens_is_over_in_that_call(dips):
    fall(dips, 950_000)
    fall(dips, 700_000, 0.1)
    assert kept(dips, 0.1, 700_000) == 700_000


def test_without_a_fall_nothing_is_kept_beyond_what_is_usable(dips):
    assert kept(dips, 0, 1_100_000) == 1_100_000
    assert dips.ends_at(COMMITTED, 1_100_000) == math.inf


def test_what_never_was_covered_is_no_dip():
    dips = Dips()
    dips.note(NOW, COMMITTED, 950_000)
    assert kept(dips, 0, 950_000) == 950_000
    dips.note(NOW + 1, COMMITTED, 940_000)
    assert kept(dips, 1, 940_000) == 940_000


def test_a_moment_of_cover_does_not_renew_the_time(dips):
    for tenth in range(5):
        fall(dips, 1_000_000 if tenth == 3 else 950_000, tenth / 10)
    assert kept(dips, 0.4, 950_000) == COMMITTED
    assert kept(dips, 0.5, 950_000) == 950_000


def test_cover_for_half_a_second_does(dips):
    fall(dips, 950_000)
    fall(dips, 1_000_000, 0.2)
    fall(dips, 1_000_000, 0.5)
    fall(dips, 950_000, 0.7)
    assert kept(dips, 1.19, 950_000) == COMMITTED
    assert kept(dips, 1.2, 950_000) == 950_000


def test_what_is_freed_in_a_dip_is_not_handed_out_again(dips):
    fall(dips, 900_000)
    assert kept(dips, 0.1, 900_000, committed=950_000) == 950_000
    assert kept(dips, 0.2, 900_000, committed=1_000_000) == 950_000
    assert kept(dips, 0.3, 900_000, committed=800_000) == 900_000


def test_after_a_raise_a_small_fall_has_until_the_key_frame_has_drained(dips):
    dips.raised(NOW)
    fall(dips, 900_000, 0.3)
    assert dips.ends_at(COMMITTED, 900_000) == NOW + 2.0
    assert kept(dips, 1.99, 900_000) == COMMITTED
    assert kept(dips, 2.0, 900_000) == 900_000


def test_after_a_raise_a_deeper_fall_is_a_dip_but_no_longer_one(dips):
    dips.raised(NOW)
    fall(dips, 700_001, 0.3)
    assert kept(dips, 0.79, 700_001) == COMMITTED
    assert kept(dips, 0.8, 700_001) == 700_001
    assert kept(dips, 0.4, 700_000) == 700_000


@pytest.mark.invariant("G10")
def test_a_dip_in_which_padding_was_sent_may_last_a_second(dips):
    dips.note(NOW, COMMITTED, 950_000, padded=True)
    dips.note(NOW + 0.1, COMMITTED, 950_000)
    assert dips.ends_at(COMMITTED, 950_000) == NOW + 1.0
    assert kept(dips, 0.99, 950_000) == COMMITTED
    assert kept(dips, 1.0, 950_000) == 950_000


@pytest.mark.invariant("G10")
def test_an_allocator_takes_a_dip_for_its_own_paddings_doing():
    engine = opened()
    camera = joined(engine, 550_000, 150_000, 500_000, 1_500_000, can_pad=True)
    engine.update_estimate(NOW, 550_000, 550_000)
    engine.request(NOW, camera, 1_650_000)
    for tenth in range(1, 11):
        engine.update_estimate(NOW + tenth / 10, 560_000, 550_000)
    assert engine.prober.target > 0
    engine.drain()
    for tenth in range(11, 20):
        engine.update_estimate(NOW + tenth / 10, 530_000, 550_000)
        assert asked(engine.drain()) == {}
    engine.update_estimate(NOW + 2.2, 530_000, 550_000)
    assert asked(engine.drain()) == {camera.id: 165_000}


def test_late_after_a_raise_a_small_fall_still_has_its_half_second(dips):
    dips.raised(NOW)
    fall(dips, 900_000, 1.8)
    assert kept(dips, 2.29, 900_000) == COMMITTED
    assert kept(dips, 2.3, 900_000) == 900_000


def test_once_forgotten_it_takes_cover_for_there_to_be_a_dip_again(dips):
    fall(dips, 950_000)
    dips.forget()
    assert kept(dips, 0, 950_000) == 950_000
    fall(dips, 950_000, 0.1)
    assert kept(dips, 0.1, 950_000) == 950_000
