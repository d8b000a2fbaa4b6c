"""The best possible choice: exact, and fast enough for long recordings."""

import itertools
import math
import random
import time

import pytest

from trio_allocator.lab.replay.knapsack import best_choice


def exhaustive(sources, capacity):
    best = 0.0
    for choice in itertools.product(*([None, *layers] for layers in sources)):
        taken = [layer for layer in choice if layer is not None]
        if sum(weight for weight, _utility in taken) <= capacity:
            best = max(best, sum(utility for _weight, utility in taken))
    return best


@pytest.mark.parametrize("seed", range(100))
def test_it_is_the_best_of_all(seed):
    chance = random.Random(seed)
    sources = [
        [
            # Round utilities make ties, others make long fronts.
            (chance.randint(1, 40), chance.choice([chance.random(), chance.randint(1, 4) / 2]))
            for _layer in range(chance.randint(0, 3))
        ]
        for _source in range(chance.randint(0, 5))
    ]
    capacity = chance.randint(0, 120)
    utility, choice = best_choice(sources, capacity)
    assert utility == pytest.approx(exhaustive(sources, capacity))
    taken = [
        layers[index] for layers, index in zip(sources, choice, strict=True) if index is not None
    ]
    assert sum(weight for weight, _utility in taken) <= capacity
    assert sum(worth for _weight, worth in taken) == pytest.approx(utility)


def test_ten_sources_take_milliseconds():
    chance = random.Random(1)
    began = time.perf_counter()
    for _event in range(100):
        sources = [
            [
                (int(rate), math.log1p(rate / 50e3))
                for rate in (chance.uniform(0.7, 1.3) * base for base in (150e3, 500e3, 2.5e6))
            ]
            for _source in range(10)
        ]
        best_choice(sources, int(chance.uniform(0.05, 0.95) * 31e6))
    # Some 0.03 s; a hundred times slower would make long recordings unbearable.
    assert time.perf_counter() - began < 3


def by_capacity(sources, capacity):
    """The best for every capacity in turn: slow, and beyond doubt."""
    best = [0.0] * (capacity + 1)
    for layers in sources:
        best = [
            max(
                [best[room]]
                + [best[room - weight] + utility for weight, utility in layers if weight <= room]
            )
            for room in range(capacity + 1)
        ]
    return best[capacity]


@pytest.mark.parametrize("seed", range(8))
def test_many_sources_are_no_matter(seed):
    chance = random.Random(seed)
    sources = [
        [
            (weight, math.log1p(weight / 5))
            for weight in (chance.randint(9, 21), chance.randint(30, 70), chance.randint(150, 350))
        ]
        for _source in range(chance.choice([17, 40]))
    ]
    capacity = chance.randint(100, 2_000)
    utility, choice = best_choice(sources, capacity)
    assert utility == pytest.approx(by_capacity(sources, capacity), abs=1e-9)
    assert sum(
        layers[i][0] for layers, i in zip(sources, choice, strict=True) if i is not None
    ) <= (capacity)
