"""The knapsack against brute force."""

import math
import random
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


def test_without_effort_one_thing_may_still_give_way_to_the_first_that_does_not_fit(monkeypatch):
    monkeypatch.setattr(knapsack, "EFFORT", 0)
    assert best_subset([4, 3, 8], [5.0, 3.6, 9.0], 12) == [0, 2]


CROWDS = st.lists(
    st.tuples(st.integers(90_000, 3_500_000), st.integers(5, 30)), min_size=2, max_size=2
)


@given(CROWDS, st.floats(0.05, 0.95))
def test_of_two_crowds_as_many_are_taken_of_each_as_is_best(crowds, load):
    costs = [cost for cost, count in crowds for _ in range(count)]
    worths = [math.log1p(cost / 50_000) for cost in costs]
    room = int(sum(costs) * load)
    chosen = best_subset(costs, worths, room)
    (first, many), (second, others) = crowds
    best = max(
        count * math.log1p(first / 50_000)
        + min(others, (room - count * first) // second) * math.log1p(second / 50_000)
        for count in range(min(many, room // first) + 1)
    )
    assert sum(worths[i] for i in chosen) == pytest.approx(best)
    few = sum(i < many for i in chosen)
    assert chosen == [*range(few), *range(many, many + len(chosen) - few)]


def test_things_that_are_worth_nothing_are_taken_where_they_fit():
    assert best_subset([7, 5, 5, 1], [7.7, 5.0, 5.0, 0.0], 11) == [1, 2, 3]


@pytest.mark.parametrize("most", [0, 4, 20])
@pytest.mark.parametrize("limit", ["STATES", "EFFORT"])
def test_a_shorter_search_is_no_worse_than_none(limit, most, monkeypatch):
    for seed in range(10):
        chance = random.Random(seed)
        costs = [chance.randrange(50, 150) for _ in range(40)]
        worths = [cost**0.5 * chance.uniform(0.9, 1.1) for cost in costs]
        found = []
        for effort in (0, knapsack.EFFORT):
            monkeypatch.setattr(knapsack, "EFFORT", effort)
            if effort:
                monkeypatch.setattr(knapsack, limit, most)
            chosen = best_subset(costs, worths, 1_000)
            left = 1_000 - sum(costs[i] for i in chosen)
            assert all(costs[i] > left >= 0 for i in set(range(40)) - set(chosen))
            found.append(sum(worths[i] for i in chosen))
        monkeypatch.undo()
        assert found[1] >= found[0]
