"""Estimators: the ideal one by its formula, the closed loop by what it does to what is sent."""

import numpy as np
import pytest

from tests.lab.simulation.worlds import steady, steps
from trio_allocator.lab.simulation.estimates import FLOOR, Gcc, Ideal, noise_factors
from trio_allocator.lab.simulation.link import Link


def closed_loop(rate, sent, *, seconds=30, rtt=0.05):
    """Estimates of a link that carries `rate` while `sent(estimate)` is sent over it, bit/s."""
    trace = steady(rate, seconds, rtt=rtt)
    link = Link(trace, bank=0.01)
    gcc = Gcc(trace, link)
    estimates = []
    for second in range(1, seconds + 1):
        link.advance(np.full(100, float(sent(estimates[-1] if estimates else 0))))
        estimates.append(gcc.estimate(100 * second))
    return estimates


def test_the_ideal_one_is_95_percent_of_the_last_second_less_what_waits():
    trace = steps((1, 1e6), (2, 2e6), (27, 1e6))
    link = Link(trace, bank=0.01)
    ideal = Ideal(trace, link)
    link.advance(np.full(100, 0.5e6))
    assert ideal.estimate(100) == pytest.approx(0.95e6)
    link.advance(np.full(100, 2.2e6))
    assert ideal.estimate(200) == pytest.approx(1.9e6 - 0.2e6)
    link.advance(np.full(100, 0))
    assert ideal.estimate(300) == pytest.approx(1.9e6)


def test_it_is_never_less_than_nothing():
    trace = steps((20, 1e6), (10, 1e3))
    link = Link(trace, bank=0.01)
    link.advance(np.full(2100, 1.1e6))
    assert Ideal(trace, link).estimate(2100) == 0


def test_the_loop_grows_by_8_percent_a_second_up_to_what_is_received_one_and_a_half_times():
    found = closed_loop(10e6, lambda _: 400_000)
    assert found[0] == pytest.approx(1.08 * 300_000)
    assert found[5] == pytest.approx(1.08**6 * 300_000)
    assert found[-1] == found[-2] == pytest.approx(600_000)


def test_it_follows_what_is_sent_up_to_the_capacity_and_backs_off_to_85_percent():
    found = closed_loop(2e6, lambda estimate: 1.02 * estimate, seconds=60)
    peak = next(n for n, value in enumerate(found) if value < max(found[: n + 1]))
    assert found[peak - 1] > 2e6 / 1.02
    assert found[peak] == pytest.approx(0.85 * 2e6, rel=0.02)


def test_loss_cuts():
    calm = closed_loop(1e6, lambda _: 1e6)
    lossy = closed_loop(1e6, lambda _: 1.5e6)
    # The queue is full after a second and stands: no gradient, a third of it is lost.
    falling = [i for i in range(3, len(lossy)) if lossy[i - 1] > lossy[i] > FLOOR]
    assert falling
    for i in falling:
        assert lossy[i] == pytest.approx(lossy[i - 1] * (1 - (1 / 3) / 2), rel=1e-3)
    assert lossy[-1] == FLOOR
    assert calm[-1] > 1e6


def test_it_learns_of_the_link_a_round_trip_later():
    def first_fall(rtt):
        trace = steady(1e6, 30, rtt=rtt)
        link = Link(trace, bank=0.01)
        gcc = Gcc(trace, link)
        link.advance(np.full(100, 0.1e6))
        gcc.estimate(100)
        link.advance(np.concatenate([np.full(90, 0.1e6), np.full(10, 5e6)]))
        return gcc.estimate(200) < 300_000

    assert first_fall(0.01)
    assert not first_fall(0.2)


def test_a_very_slow_path_knows_nothing_yet():
    trace = steady(1e6, 30, rtt=5.0)
    link = Link(trace, bank=0.01)
    link.advance(np.full(100, 5e6))
    assert Gcc(trace, link).estimate(100) == 300_000


def test_noise_is_two_sided_bounded_and_repeatable():
    factors = noise_factors(1, 1000, 0.02)
    assert 0.98 <= factors.min() < 0.982
    assert 1.018 < factors.max() <= 1.02
    assert np.array_equal(factors, noise_factors(1, 1000, 0.02))
    assert not np.array_equal(factors, noise_factors(2, 1000, 0.02))
