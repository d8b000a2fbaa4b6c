"""The package's own estimator in the simulated world."""

import numpy as np
import pytest

from tests.lab.simulation.worlds import Script, steady, steps
from trio_allocator.lab.simulation.engine_subject import EngineSubject
from trio_allocator.lab.simulation.figures import measure
from trio_allocator.lab.simulation.link import Link
from trio_allocator.lab.simulation.real import Real
from trio_allocator.lab.simulation.run import oracle_of, run
from trio_allocator.lab.simulation.world import World
from trio_allocator.report.status import snapshot


def closed_loop(trace, sent, *, wanted=20e6):
    """Estimates every 0.1 s, while `sent(estimate)` is sent over a link, bit/s."""
    link = Link(trace, bank=0.01)
    real = Real(trace, link, wanted)
    estimates = []
    for tenth in range(1, trace.steps // 10 + 1):
        link.advance(np.full(10, float(sent(estimates[-1] if estimates else 0))))
        estimates.append(real.estimate(10 * tenth))
    return link, estimates


def test_it_begins_as_the_estimator_does_and_learns_from_what_it_sends():
    _, found = closed_loop(steady(5e6), lambda estimate: 0.95 * estimate)
    assert found[0] == 300_000
    assert 4e6 < np.mean(found[300:]) < 5.2e6


def test_probes_find_the_capacity_within_a_second_or_two():
    link, found = closed_loop(steady(5e6, 25), lambda _: 100_000)
    assert max(found[:20]) > 2e6
    assert 0 < sum(link.padding[:200]) < 0.5e6, "and cost next to nothing"


def test_none_goes_far_beyond_what_is_wanted():
    _, found = closed_loop(steady(5e6, 25), lambda _: 100_000, wanted=400_000)
    assert max(found) <= 1.3 * 400_000


def test_it_falls_with_the_capacity_within_a_few_tenths():
    trace = steps((30, 3e6), (30, 0.8e6))
    _, found = closed_loop(trace, lambda estimate: estimate)
    assert max(found[290:300]) > 2e6
    assert max(found[310:330]) < 0.85e6


def test_every_packet_is_told_of_once_and_in_order(monkeypatch):
    trace = steady(1e6, 25)
    link = Link(trace, bank=0.01)
    real = Real(trace, link, 20e6)
    told = []
    original = real._estimator.feedback

    def noting(results, now):
        told.extend(results)
        original(results, now)

    monkeypatch.setattr(real._estimator, "feedback", noting)
    for tenth in range(1, 100):
        link.advance(np.full(10, 3e6 if tenth < 50 else 0.0))
        real.estimate(10 * tenth)
    lost = [sequence for sequence, arrival in told if arrival is None]
    assert len(lost) > 0.4 * len(told)
    assert [sequence for sequence, _ in told] == list(range(len(told)))


def test_an_outage_is_silence():
    trace = steps((20, 2e6), (10, 0), (10, 2e6))
    _, found = closed_loop(trace, lambda _: 500_000)
    assert found[290] < found[205] / 16
    assert found[-1] > 100_000


def test_estimates_come_with_the_feedback_and_with_the_noise_of_their_second(monkeypatch):
    world = World(steady(3e6, 25), 1, Script({}), "real", 1, noise=0.02)
    exact = []
    original = world._estimator.estimate

    def noting(step):
        exact.append(original(step))
        return exact[-1]

    monkeypatch.setattr(world._estimator, "estimate", noting)
    world.run()
    assert [step for step, _ in world.estimates] == list(range(10, 2500, 10))
    factors = np.asarray([estimate for _, estimate in world.estimates]) / exact
    seconds = [set(factors[begin : begin + 10].round(9)) for begin in range(0, 240, 10)]
    assert {len(second) for second in seconds} == {1}
    assert len(set.union(*seconds)) == 24
    assert abs(factors - 1).max() <= 0.02


def test_probes_go_as_far_as_all_cameras_could():
    world = World(steady(50e6, 25), 1, Script({}), "real", 1, noise=0.0)
    world.run()
    assert 1e6 < max(estimate for _, estimate in world.estimates) <= 1.25 * 2_535_000


@pytest.mark.parametrize("policy", ["fair", "layered", "reference"])
def test_ample_capacity_ends_all_high(policy):
    world, subject = run(steady(20e6, 60), 2, policy, "real")
    assert world.cameras.flowing == [2, 2]
    if isinstance(subject, EngineSubject):
        assert snapshot(subject.engine).policy_fault is None


def test_an_estimate_counts_until_the_next_one_and_a_moment_more():
    trace = steps((30, 5e6), (30, 0.8e6))
    world = World(trace, 1, Script({1: [(0, 2)]}), "real", 1, noise=0.0)
    world.run()
    oracle = oracle_of(trace, 1, world.cameras.audio)
    often = measure(world, oracle).allocator_overuse
    assert often > 0.5
    world.interval = 100
    assert measure(world, oracle).allocator_overuse == pytest.approx(often - 0.9 / 40)
