"""Tracks, their ladders, and the options that follow from them."""

import copy
import math
import pickle

import attrs
import pytest
from hypothesis import given, strategies as st

from trio_allocator import ReceiverOptions, Track, Variant

RATES = st.dictionaries(st.text(), st.integers(1, 10**12), max_size=6)


@given(RATES)
def test_the_ladder_ascends_whatever_the_order_given(variants):
    track = Track("camera", variants=variants)
    rates = [variant.bitrate for variant in track.ladder]
    assert rates == sorted(variants.values())
    assert {variant.name: variant.bitrate for variant in track.ladder} == variants
    assert list(track.steps) == sorted({rate * 11 // 10 for rate in variants.values()})


@given(RATES)
def test_an_allocation_is_the_rate_with_headroom_in_whole_bits(variants):
    track = Track("camera", variants=variants)
    for name, rate in variants.items():
        assert type(track.allocation(name)) is int
        assert track.allocation(name) == rate + rate // 10
        assert Variant(name, rate).allocation == track.allocation(name)


@pytest.mark.invariant("A1")
def test_rates_are_floored_where_they_come_in():
    assert Track("camera", variants={"low": 150_000.9}).variants == {"low": 150_000}


def test_the_ladder_of_a_track_is_nobodys_to_change():
    rates = {"low": 1}
    track = Track("camera", variants=rates)
    rates["low"] = 2
    assert track.variants["low"] == 1
    with pytest.raises(TypeError):
        track.variants["low"] = 3  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        track.id = "other"


def test_tracks_are_values():
    one = Track("camera", variants={"low": 1, "high": 2})
    other = Track("camera", variants={"high": 2, "low": 1})
    assert one == other
    assert hash(one) == hash(other)
    assert one != other.with_variants({"low": 1})
    assert one.with_variants({}).variants == {}


def test_an_unknown_variant_is_a_key_error():
    with pytest.raises(KeyError):
        Track("camera").allocation("low")


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"id": 5}, TypeError),
        ({"id": None}, TypeError),
        ({"id": "a", "kind": "film"}, ValueError),
        ({"id": "a", "kind": None}, ValueError),
        ({"id": "a", "kind": []}, ValueError),
        ({"id": "a", "variants": [1]}, TypeError),
        ({"id": "a", "variants": None}, TypeError),
        ({"id": "a", "variants": {1: 1}}, TypeError),
        ({"id": "a", "variants": {"low": 0}}, ValueError),
        ({"id": "a", "variants": {"low": 0.9}}, ValueError),
        ({"id": "a", "variants": {"low": -1}}, ValueError),
        ({"id": "a", "variants": {"low": math.nan}}, ValueError),
        ({"id": "a", "variants": {"low": True}}, TypeError),
        ({"id": "a", "variants": {"low": "1"}}, TypeError),
    ],
)
def test_what_is_no_track_is_refused(arguments, error):
    with pytest.raises(error):
        Track(**arguments)


@pytest.mark.parametrize(
    ("variants", "negotiable"), [({}, False), ({"one": 5}, False), ({"one": 5, "two": 6}, True)]
)
def test_by_default_more_than_one_variant_is_negotiable(variants, negotiable):
    track = Track("camera", variants=variants)
    assert ReceiverOptions.for_track(track, {}).negotiable is negotiable
    assert ReceiverOptions.for_track(track, {"negotiable": True}).negotiable is True


@pytest.mark.parametrize(
    ("kind", "can_pad"), [("video", True), ("audio", False), ("screen", False)]
)
def test_by_default_video_can_pad(kind, can_pad):
    assert ReceiverOptions.for_track(Track("track", kind=kind), {}).can_pad is can_pad


def test_options_change_into_new_options():
    options = ReceiverOptions.for_track(Track("track"), {"min_bitrate": 5.9})
    changed = options.changed({"max_bitrate": 10.9, "weight": 2})
    assert (options.min_bitrate, options.max_bitrate) == (5, None)
    assert (changed.min_bitrate, changed.max_bitrate, changed.weight) == (5, 10, 2.0)
    with pytest.raises(ValueError, match="min_bitrate"):
        changed.changed({"max_bitrate": 4})


def test_a_track_travels():
    track = Track("screen", kind="screen", variants={"motion": 1_200_000, "slides": 300_000})
    for same in (copy.deepcopy(track), pickle.loads(pickle.dumps(track))):
        assert same == track
        assert list(same.variants) == ["slides", "motion"]
