"""Each setting has its default, takes what is in its range, and refuses what is not (I1)."""

from __future__ import annotations

import importlib.util
import math

import pytest
from attrs import asdict, fields

pytestmark = pytest.mark.invariant("I1")

BOUNDS = {
    "negotiation_timeout": (math.ulp(0.0), 10.0),
    "hold": (math.ulp(0.0), 10.0),
    "overtaken_limit": (1, 1_000_000),
    "overtaken_hold": (math.ulp(0.0), 5.0),
    "probe_reach": (1.0, 2.0),
    "probe_tick": (0.001, 1.0),
    "padding_packet": (1, 65_535),
}
ENDLESS = ["refusal_backoff", "estimate_timeout", "probe_patience"]
FINITE = ["probe_pause", "probe_pause_limit", "escape_duration", "escape_pause"]
RATES = ["probe_increment", "escape_bitrate"]


@pytest.fixture
def settings():
    """The class, made anew: as what makes its fields is now, not as it was when it was imported."""
    spec = importlib.util.find_spec("trio_allocator.engine.settings")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Settings


def test_the_defaults_are_those_that_are_documented(settings):
    assert asdict(settings()) == {
        "estimates": "ramping",
        "negotiation_timeout": 0.05,
        "hold": 5.0,
        "refusal_backoff": 5.0,
        "overtaken_limit": 3,
        "overtaken_hold": 5.0,
        "estimate_timeout": None,
        "probe_increment": None,
        "probe_reach": 1.05,
        "probe_patience": 3.0,
        "probe_pause": 3.0,
        "probe_pause_limit": 60.0,
        "probe_tick": 0.01,
        "padding_packet": 256,
        "escape_bitrate": 200_000,
        "escape_duration": 0.5,
        "escape_pause": 2.0,
    }


def test_every_setting_is_tested_here(settings):
    names = {each.name for each in fields(settings)}
    assert {*BOUNDS, *ENDLESS, *FINITE, *RATES, "estimates"} == names


@pytest.mark.parametrize("kind", ["perfect", "", None, 3])
def test_a_kind_of_estimates_that_is_not_known_is_refused(kind, settings):
    assert settings(estimates="ideal").estimates == "ideal"
    with pytest.raises(ValueError, match=r"^estimates must be one of ideal, ramping, not "):
        settings(estimates=kind)


@pytest.mark.parametrize(("name", "bounds"), BOUNDS.items())
def test_a_setting_with_bounds_takes_both_of_them_and_nothing_beyond(name, bounds, settings):
    lowest, highest = bounds
    assert [getattr(settings(**{name: value}), name) for value in bounds] == [lowest, highest]
    for value in (_next(lowest, -1), _next(highest, 1)):
        with pytest.raises(ValueError, match=f"^{name} "):
            settings(**{name: value})


def _next(value: float, direction: int) -> float:
    if isinstance(value, int):
        return value + direction
    return math.nextafter(value, direction * math.inf)


@pytest.mark.parametrize("name", [*BOUNDS, *ENDLESS, *FINITE])
@pytest.mark.parametrize("value", [0, -1, -math.inf, math.nan])
def test_no_time_and_no_count_is_nothing_or_less(name, value, settings):
    with pytest.raises((TypeError, ValueError), match=f"^{name} "):
        settings(**{name: value})


@pytest.mark.parametrize("name", [*BOUNDS, *ENDLESS, *FINITE, *RATES])
@pytest.mark.parametrize("value", [True, "3", [3]])
def test_what_is_no_number_is_no_setting(name, value, settings):
    with pytest.raises(TypeError, match=f"^{name} "):
        settings(**{name: value})


@pytest.mark.parametrize("name", ENDLESS)
def test_what_may_last_for_ever_may(name, settings):
    assert getattr(settings(**{name: math.inf}), name) == math.inf


@pytest.mark.parametrize("name", [*BOUNDS, *FINITE, *RATES])
def test_what_must_end_must(name, settings):
    with pytest.raises((TypeError, ValueError), match=f"^{name} "):
        settings(**{name: math.inf})


@pytest.mark.parametrize("name", RATES)
def test_rates_are_whole_numbers_rounded_down(name, settings):
    assert getattr(settings(**{name: 1_000.9}), name) == 1_000


def test_the_longest_pause_is_no_shorter_than_the_first(settings):
    assert settings(probe_pause=7, probe_pause_limit=7).probe_pause_limit == 7
    with pytest.raises(ValueError, match=r"^probe_pause_limit "):
        settings(probe_pause=7, probe_pause_limit=6.9)
