"""The knapsack against brute force."""

from itertools import combinations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.policies import knapsack
from trio_allocator.policies.knapsack import best_subset

COSTS = st.sampled_from([1, 3, 10, 35, 100]) | st.integers(1, 200)
THINGS = st.lists(st.tuples(COSTS, st.sampled_from([0.0, 0.5, 1.0, 2.0]) | st.floats(0, 5)))


def worth_of(things, chosen):
    return sum(things[position][1] for position in chosen)


def cost_of(things, chosen):
    return sum(things[position][0] for position in chosen)


def best_of_all(things, room):
    every = (c for k in range(len(things) + 1) for c in combinations(range(len(things)), k))
    return max(worth_of(things, c) for c in every if cost_of(things, c) <= room)


@given(THINGS.filter(lambda things: len(things) <= 9), st.integers(0, 600))
def test_it_is_the_best_there_is(things, room):
    chosen = best_subset([c for c, _ in things], [w for _, w in things], room)
    assert chosen == sorted(set(chosen))
    assert cost_of(things, chosen) <= room
    assert worth_of(things, chosen) == pytest.approx(best_of_all(things, room))


@given(st.lists(st.tuples(COSTS, st.floats(0.01, 5)), max_size=80), st.integers(0, 3000))
def test_nothing_left_out_would_fit(things, room):
    chosen = best_subset([c for c, _ in things], [w for _, w in things], room)
    left = room - cost_of(things, chosen)
    assert left >= 0
    assert all(things[i][0] > left for i in set(range(len(things))) - set(chosen))


def test_of_equal_things_the_first_are_taken():
    assert best_subset([10] * 5, [1.0] * 5, 30) == [0, 1, 2]


def test_greedy_alone_would_be_fooled():
    # Most worth per bit first takes the first, after which neither of the others fits.
    assert best_subset([6, 5, 5], [6.6, 5.0, 5.0], 10) == [1, 2]


def test_with_many_kinds_what_is_far_from_the_break_is_not_searched(monkeypatch):
    monkeypatch.setattr(knapsack, "CORE", 4)
    costs = list(range(10, 40))
    worths = [float(cost) + 5 / cost for cost in costs]
    chosen = best_subset(costs, worths, 400)
    left = 400 - sum(costs[i] for i in chosen)
    assert all(costs[i] > left for i in set(range(30)) - set(chosen))


def test_what_is_better_around_the_break_may_cost_more_behind_it(monkeypatch):
    monkeypatch.setattr(knapsack, "CORE", 2)
    costs, worths = [12, 11, 12, 6, 2, 8], [11.0, 9.0, 2.0, 3.0, 9.0, 7.0]
    chosen = best_subset(costs, worths, 12)
    assert sum(worths[i] for i in chosen) == 16.0  # 4 and 5; the core alone would prefer less


def test_a_search_without_effort_is_the_greedy_choice(monkeypatch):
    monkeypatch.setattr(knapsack, "EFFORT", 0)
    assert best_subset([6, 5, 5], [6.6, 5.0, 5.0], 10) == [0]
