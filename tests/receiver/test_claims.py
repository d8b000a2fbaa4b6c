"""What to ask for, in order: keep what is sent, give back, then climb."""

from __future__ import annotations

import math

import pytest

from trio_allocator.receiver.claims import CLIMB_PAUSE, LONGEST_PAUSE, Claims

HELD = 1_000


def registered(held: int = HELD, claim: int | None = None) -> Claims:
    claims = Claims()
    claims.registered(held)
    if claim is not None:
        claims.claim = claim
    return claims


def requests(claims: Claims, rate: int, need: int, climb: int | None = None, now: float = 0.0):
    return [each.bitrate for each in claims.requests(claims.allocation, rate, need, climb, now)]


def test_before_it_is_registered_nothing_is_held_asked_for_or_put_off():
    claims = Claims()
    assert (claims.allocation, claims.claim, claims.climb_from) == (None, 0, -math.inf)


def test_registering_begins_anew():
    claims = registered(claim=77)
    claims.climb_from = 9.0
    claims.registered(500)
    assert (claims.allocation, claims.claim, claims.climb_from) == (500, 500, -math.inf)


def test_a_grant_says_whether_it_is_less():
    claims = registered()
    assert [claims.granted(allocation, HELD) for allocation in (999, 1_000, 1_001)] == [
        True,
        False,
        False,
    ]
    assert claims.allocation == 1_001


def test_who_cannot_keep_what_it_sends_asks_for_that_and_nothing_better():
    assert requests(registered(), 951, 1_046, climb=5_000) == [1_046]


@pytest.mark.invariant("G3")
def test_nothing_is_asked_for_twice():
    claims = registered()
    assert requests(claims, 960, 1_056) == [1_056]
    assert requests(claims, 960, 1_056) == []
    assert requests(registered(claim=5_000), 900, 990, climb=5_000) == []


@pytest.mark.parametrize(("rate", "need"), [(950, 1_045), (960, 1_000)])
def test_who_can_just_keep_what_it_sends_asks_for_better(rate, need):
    assert requests(registered(), rate, need, climb=5_000) == [5_000]


def test_what_is_not_needed_is_given_back_before_it_climbs():
    claims = registered()
    assert requests(claims, 833, 917, climb=5_000) == [917, 5_000]
    assert (claims.allocation, claims.claim) == (917, 5_000)


@pytest.mark.parametrize(("rate", "need"), [(834, 918), (10, 1_000)])
def test_a_little_too_much_is_kept(rate, need):
    claims = registered(claim=500)
    assert requests(claims, rate, need) == []
    assert (claims.allocation, claims.claim) == (HELD, 500)


def test_what_was_asked_for_already_is_not_given_back_again():
    assert requests(registered(claim=300), 250, 300) == []


@pytest.mark.parametrize(("claim", "asked"), [(1_001, [1_000]), (1_000, []), (999, [])])
def test_a_raise_that_waits_for_more_than_can_be_used_is_called_off(claim, asked):
    assert requests(registered(claim=claim), 900, 990) == asked


def test_it_is_called_off_at_what_is_needed_if_that_is_more_than_is_held():
    assert requests(registered(claim=5_000), 940, 1_034) == [1_034]


# --- a raise that was of no use ----------------------------------------------------------------


def after_a_grant(allocation: int) -> Claims:
    claims = registered(500)
    claims.granted(allocation, 500)
    return claims


def test_a_raise_that_is_given_back_at_once_puts_off_the_next_climb():
    claims = after_a_grant(HELD)
    assert requests(claims, 400, 440, climb=5_000, now=7.0) == [440]
    assert claims.climb_from == 7.0 + CLIMB_PAUSE
    assert requests(claims, 400, 440, climb=5_000, now=11.99) == []
    assert requests(claims, 400, 440, climb=5_000, now=12.0) == [5_000]
    assert claims.climb_from == -math.inf


def pauses(claims: Claims, times: int) -> list[float]:
    """For how long each of some raises that are given back at once puts off the next climb."""
    found = []
    for _ in range(times):
        claims.granted(HELD, claims.allocation)
        requests(claims, 400, 440, climb=5_000, now=0.0)
        found.append(claims.climb_from)
        requests(claims, 400, 440, climb=5_000, now=found[-1])
    return found


def test_useless_raises_one_after_another_put_it_off_for_longer_and_longer():
    claims = registered(500)
    assert pauses(claims, 5) == [5.0, 10.0, 20.0, 40.0, LONGEST_PAUSE]
    claims.granted(HELD, 440)
    requests(claims, 900, 990)  # one that is of use
    claims.granted(440, HELD)
    assert pauses(claims, 2) == [5.0, 10.0]
    claims.changed()
    assert pauses(claims, 1) == [5.0]


@pytest.mark.parametrize("allocation", [HELD, 500])
def test_what_is_given_back_later_or_was_no_raise_puts_off_nothing(allocation):
    claims = after_a_grant(allocation)
    if allocation == HELD:
        requests(claims, 900, 990)  # it was of use for a while
    assert requests(claims, 300, 330, climb=5_000) == [330, 5_000]
    assert claims.climb_from == -math.inf
