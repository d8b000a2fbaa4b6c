"""A heap whose members change their keys and leave: right, and no larger than its members."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.engine.lazy_heap import LazyHeap


def heap(**keys: float) -> LazyHeap:
    """Members by letter: `a` is 0."""
    made: LazyHeap[tuple[float]] = LazyHeap()
    for name, key in keys.items():
        made.put(ord(name) - ord("a"), (key,))
    return made


def test_the_smallest_key_comes_first_and_equals_in_the_order_of_their_numbers():
    assert heap(a=2, b=1).first() == ((1,), 1)
    assert heap(c=1, b=1).first() == ((1,), 1)
    assert heap().first() is None


def test_a_member_has_one_key_the_last_it_was_given():
    made = heap(a=1, b=2)
    made.put(0, (3,))
    assert made.first() == ((2,), 1)
    made.put(0, (1,))
    assert made.first() == ((1,), 0)
    assert len(made) == 2


def test_whoever_left_is_not_there():
    made = heap(a=1, b=2)
    made.discard(0)
    made.discard(0)
    made.discard(7)
    assert made.first() == ((2,), 1)
    assert len(made) == 1
    made.discard(1)
    assert made.first() is None


def test_members_are_listed_as_they_joined_or_by_their_keys():
    made = heap(a=3, c=1, b=2)
    assert list(made) == [0, 2, 1]
    assert made.in_order() == [2, 1, 0]


@pytest.mark.invariant("C3")
def test_it_stays_as_small_as_its_members_whatever_they_do():
    made = heap(a=1, b=2, c=3)
    for key in range(1000):
        made.put(0, (key,))
        assert len(made._heap) <= 2 * 3 + 16
    for member in range(100, 200):
        made.put(member, (0,))
    for member in range(100, 200):
        made.discard(member)
        assert len(made._heap) <= 2 * len(made) + 16
    assert made.first() == ((2,), 1)


@pytest.mark.invariant("C2")
def test_what_is_void_is_swept_out_once_it_outnumbers_what_is_not():
    made = heap(a=1)
    for key in range(17):  # 18 entries for one member: as many as are put up with
        made.put(0, (-key,))
    swept = made._heap
    assert len(swept) == 18
    made.put(0, (-17.5,))
    assert made._heap is not swept
    assert made._heap == [((-17.5,), 0)]


def test_the_same_key_again_adds_no_entry():
    made = heap(a=1)
    made.put(0, (1,))
    assert len(made._heap) == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 5)), max_size=60))
def test_it_is_a_sorted_dict_that_forgets_nothing(events):
    made: LazyHeap[tuple[float]] = LazyHeap()
    keys: dict[int, tuple[float]] = {}
    for member, key in events:
        if key is None:
            made.discard(member)
            keys.pop(member, None)
        else:
            made.put(member, (key,))
            keys[member] = (key,)
        assert len(made) == len(keys)
        assert made.first() == min(((key, m) for m, key in keys.items()), default=None)
        assert made.in_order() == sorted(keys, key=keys.__getitem__)
