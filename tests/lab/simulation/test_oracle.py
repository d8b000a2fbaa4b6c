"""The oracle, against every path there is."""

from itertools import product

import pytest

from tests.lab.simulation.worlds import steady, steps
from trio_allocator.lab.simulation import oracle as oracle_module
from trio_allocator.lab.simulation.cameras import NOMINAL, UTILITY
from trio_allocator.lab.simulation.oracle import consult_oracle

AUDIO = 35_000
RATES = (0, *NOMINAL)
VALUES = (0.0, *UTILITY)


def best_by_trying(capacities, receivers):
    """The best total of utility less half for each switch."""
    states = list(product(range(4), repeat=receivers))
    scores = dict.fromkeys(states, 0.0)
    for second, capacity in enumerate(capacities):
        allowed = [
            s for s in states if not sum(s) or sum(RATES[v] for v in s) <= 0.98 * capacity - AUDIO
        ]
        scores = {
            state: sum(VALUES[v] for v in state)
            + max(
                score
                - (0.5 * sum(a != b for a, b in zip(state, before, strict=True)) if second else 0)
                for before, score in scores.items()
            )
            for state in allowed
        }
    return max(scores.values())


@pytest.mark.parametrize("receivers", [1, 2])
def test_it_finds_the_best_path(receivers):
    parts = [(21, 3.3e6), (1, 0.6e6), (3, 2.6e6), (1, 5.5e6), (2, 0), (3, 0.35e6), (4, 6e6)]
    trace = steps(*parts)
    found = consult_oracle(trace, receivers, AUDIO)
    capacities = [rate for seconds, rate in parts for _ in range(seconds)]
    best = best_by_trying(capacities, receivers)
    moves = found.switches * receivers * 15
    assert found.per_second.sum() * receivers - 0.5 * moves == pytest.approx(best)
    assert found.qoe == pytest.approx(found.utility - 0.5 * found.switches)


def test_a_switch_that_does_not_pay_is_not_made():
    # One second of medium instead of low is worth .257; to go there and back costs 1.
    short = consult_oracle(steps((30, 0.3e6), (1, 0.6e6), (9, 0.3e6)), 1, AUDIO)
    assert short.switches == 0
    long = consult_oracle(steps((30, 0.3e6), (5, 0.6e6), (5, 0.3e6)), 1, AUDIO)
    assert long.switches * 20 == pytest.approx(2)


@pytest.mark.parametrize(("capacity", "variant"), [(0.545e6, 0), (0.547e6, 1)])
def test_it_fills_98_percent_of_the_capacity(capacity, variant):
    # Medium and audio are 535k.
    assert consult_oracle(steady(capacity), 1, AUDIO).utility == UTILITY[variant]


def test_it_foresees_a_fall():
    """So it does not climb for the second before."""
    found = consult_oracle(steps((29, 0.3e6), (1, 3e6), (10, 0.3e6)), 1, AUDIO)
    assert found.per_second[29] == pytest.approx(UTILITY[0])


def test_without_capacity_it_sends_nothing():
    found = consult_oracle(steps((21, 1e6), (19, 0)), 3, 3 * AUDIO)
    assert found.per_second[25] == 0


def test_many_receivers_are_nearly_as_well_served(monkeypatch):
    trace = steps((25, 4e6), (5, 2e6), (10, 9e6), (10, 3e6))
    every = consult_oracle(trace, 12, 3 * AUDIO)
    monkeypatch.setattr(oracle_module, "ALL_STATES", 0)
    hull = consult_oracle(trace, 12, 3 * AUDIO)
    assert every.qoe - 0.02 < hull.qoe <= every.qoe
    assert consult_oracle(trace, 200, 3 * AUDIO).utility > 0
