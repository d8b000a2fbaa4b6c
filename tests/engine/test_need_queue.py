"""A waiting line: who is first among those who fit, and what does not fit."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.engine.sharing.need_queue import NeedQueue


def line(*places: tuple[float, int, float]) -> NeedQueue:
    """Members 0, 1, … at these places: rank, need, turn."""
    made = NeedQueue()
    for member, place in enumerate(places):
        made.put(member, (*place, (1.0, 0)))
    return made


def test_the_lowest_rank_is_first_then_the_earliest_turn_then_the_lowest_number():
    assert line((1, 5, 0), (0, 5, 9)).first_fitting(5) == 1
    assert line((0, 5, 9), (0, 5, 3)).first_fitting(5) == 1
    assert line((0, 5, 3), (0, 5, 3)).first_fitting(5) == 0


def test_who_needs_more_than_there_is_lets_pass():
    made = line((0, 5, 0), (0, 2, 1), (1, 1, 2))
    assert [made.first_fitting(room) for room in (0, 1, 2, 4, 5)] == [None, 2, 1, 1, 0]


def test_a_round_is_of_one_rank_in_turn_and_no_more_of_a_kind_than_would_fit():
    made = line((1, 5, 0), (0, 7, 9), (0, 5, 3), (0, 5, 1), (2, 9, 0))
    rounds = [made.next_round(room) for room in (4, 5, 7, 10)]
    assert rounds == [[], [(3, 5)], [(3, 5), (1, 7)], [(3, 5), (2, 5), (1, 7)]]


def test_weights_and_levels_make_kinds():
    made = NeedQueue()
    for member, kind in enumerate(((1.0, 0), (1.0, 0), (2.0, 0), (1.0, 9))):
        made.put(member, (0, 5, member, kind))
    assert made.next_round(5) == [(0, 5), (2, 5), (3, 5)]


def test_nobody_is_first_in_an_empty_line():
    made = NeedQueue()
    assert made.first_fitting(10**9) is None
    assert made.smallest_need_above(-1) is None


def test_the_smallest_need_above_is_of_any_rank_and_really_above():
    made = line((0, 5, 0), (1, 2, 1), (0, 9, 1))
    needs = [made.smallest_need_above(room) for room in (1, 2, 4, 5, 8, 9)]
    assert needs == [2, 5, 5, 9, 9, None]


def test_what_a_member_needs_is_known_while_it_waits():
    made = line((0, 5, 0), (0, 7, 0))
    assert (made.need_of(0), made.need_of(1), made.need_of(2)) == (5, 7, None)
    made.discard(0)
    assert made.need_of(0) is None


def test_a_member_stands_in_one_place_the_last_it_took():
    made = line((0, 5, 0), (0, 5, 1))
    made.put(0, (0, 3, 2, (1.0, 0)))
    assert len(made) == 2
    assert made.first_fitting(3) == 0
    assert made.first_fitting(5) == 1
    assert made.smallest_need_above(3) == 5


def test_who_has_left_counts_no_more_and_its_equals_still_do():
    made = line((0, 5, 0), (0, 5, 1), (2, 5, 0))
    for member in (0, 0, 99):
        made.discard(member)
    assert (len(made), list(made)) == (2, [1, 2])
    assert made.first_fitting(5) == 1
    made.discard(1)
    assert made.first_fitting(5) == 2
    assert made.smallest_need_above(0) == 5
    made.discard(2)
    assert made.smallest_need_above(0) is None
    assert made.first_fitting(5) is None


@pytest.mark.invariant("C3")
def test_a_rank_that_nobody_stands_in_is_not_kept():
    made = NeedQueue()
    for rank in range(1000):
        made.put(1, (rank, 5, 0, (1.0, 0)))
    assert len(made._entries) == len(made._order) == 1


PLACES = st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 2))


@given(st.lists(st.tuples(st.integers(0, 4), st.none() | PLACES), max_size=60))
def test_it_answers_as_a_search_through_everybody_does(events):
    made = NeedQueue()
    places: dict[int, tuple[int, int, int]] = {}
    for member, place in events:
        if place is None:
            made.discard(member)
            places.pop(member, None)
        else:
            made.put(member, (*place, (1.0, 0)))
            places[member] = place
        for room in range(6):
            fit = [(r, turn, m) for m, (r, need, turn) in places.items() if need <= room]
            assert made.first_fitting(room) == (min(fit)[2] if fit else None)
            above = [need for _, need, _ in places.values() if need > room]
            assert made.smallest_need_above(room) == min(above, default=None)
        assert sorted(made) == sorted(places)
