"""Which variants may be sent: active, not muted, up to the target."""

from __future__ import annotations

import pytest

from trio_allocator.receiver.availability import Availability
from trio_allocator.tracks import Track

CAMERA = Track("camera", variants={"low": 100, "middle": 300, "high": 500})


def available(target=None, active=None, pin=None) -> Availability:
    return Availability(CAMERA, target, active, pin)


def test_at_first_the_whole_ladder_is_there_from_low_to_high():
    availability = available()
    assert availability.candidates() == ["low", "middle", "high"]
    assert (availability.track, availability.target) == (CAMERA, None)
    assert availability.active == {"low", "middle", "high"}
    assert availability.muted == set()
    assert availability.track_muted is False
    assert [availability.rank(name) for name in CAMERA.variants] == [0, 1, 2]


def test_only_what_its_source_sends_is_there():
    availability = available(active=["high", "low"])
    assert availability.candidates() == ["low", "high"]
    assert [availability.sendable(name) for name in CAMERA.variants] == [True, False, True]
    assert available(active=[]).candidates() == []


@pytest.mark.parametrize(
    ("target", "active", "candidates"),
    [
        ("high", None, ["low", "middle", "high"]),
        ("middle", None, ["low", "middle"]),
        ("low", ["middle", "high"], ["middle"]),
        ("low", [], []),
    ],
)
def test_up_to_the_target_or_the_next_one_above_if_there_is_nothing_else(
    target, active, candidates
):
    assert available(target, active).candidates() == candidates


@pytest.mark.parametrize(
    ("pin", "active", "candidates"),
    [
        ("high", None, ["high"]),
        ("middle", None, ["middle"]),
        ("middle", ["low", "high"], []),
    ],
)
@pytest.mark.parametrize("target", [None, "low", "middle", "high"])
def test_one_that_is_pinned_or_nothing_whatever_the_target(target, pin, active, candidates):
    availability = available(target, active, pin)
    assert availability.pin == pin
    assert availability.sendable_ones() == availability.candidates() == candidates


def test_without_a_pin_all_that_is_sent_is_of_use_whatever_the_target():
    availability = available("low", ["middle", "high"])
    assert (availability.pin, availability.sendable_ones()) == (None, ["middle", "high"])


def test_a_pin_that_stays_is_still_the_pin_and_one_that_is_gone_is_none():
    availability = available(pin="middle")
    availability.set_variants({"middle": 200, "high": 500})
    assert availability.sendable_ones() == ["middle"]
    availability.set_variants({"high": 500, "low": 100})
    assert (availability.pin, availability.sendable_ones()) == (None, ["low", "high"])


def test_the_track_and_its_variants_are_muted_apart():
    availability = available()
    availability.set_muted("low", muted=True)
    assert availability.candidates() == ["middle", "high"]
    availability.set_muted(None, muted=True)
    assert (availability.track_muted, availability.candidates()) == (True, [])
    assert not availability.sendable("high")
    availability.set_muted(None, muted=False)
    assert availability.candidates() == ["middle", "high"]
    assert [availability.sendable(name) for name in ("low", "high")] == [False, True]
    availability.set_muted("low", muted=False)
    availability.set_muted("high", muted=False)
    assert availability.candidates() == ["low", "middle", "high"]


def test_with_another_ladder_what_came_is_active_and_what_went_is_forgotten():
    availability = available("high", ["low", "high"])
    availability.set_muted("low", muted=True)
    availability.set_muted("high", muted=True)
    availability.set_variants({"low": 100, "middle": 300, "new": 700})
    assert availability.track.variants == {"low": 100, "middle": 300, "new": 700}
    assert availability.active == {"low", "new"}
    assert availability.muted == {"low"}
    assert availability.target is None
    assert availability.candidates() == ["new"]


def test_a_target_that_stays_is_still_the_target():
    availability = available("middle")
    availability.set_variants({"middle": 200, "high": 500})
    assert availability.target == "middle"


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("track", "target", "active", "error", "name"),
    [
        ("camera", None, None, TypeError, "track"),
        (CAMERA, 3, None, TypeError, "target"),
        (CAMERA, "best", None, ValueError, "target"),
        (CAMERA, None, "low", TypeError, "active"),
        (CAMERA, None, [3], TypeError, "active"),
        (CAMERA, None, ["low", "best"], ValueError, "active"),
    ],
)
def test_what_is_not_on_the_ladder_is_refused_by_its_name(track, target, active, error, name):
    with pytest.raises(error, match=f"^{name} "):
        Availability(track, target, active)


@pytest.mark.invariant("I1")
@pytest.mark.parametrize("muted", [True, False])
def test_a_name_that_is_refused_mutes_nothing(muted):
    availability = available()
    with pytest.raises(ValueError, match=r"^variant .*best"):
        availability.set_muted("best", muted=muted)
    assert availability.muted == set()


def test_an_empty_ladder_has_nothing_to_send():
    availability = Availability(Track("plain"), None, None)
    assert availability.candidates() == []
    with pytest.raises(ValueError, match="empty"):
        availability.known("variant", "low")
