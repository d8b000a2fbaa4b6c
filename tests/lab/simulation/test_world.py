"""Whole runs: policies of this package drive the real engine in the simulated world."""

import json
import os
import subprocess
import sys

import pytest

from tests.lab.simulation.worlds import Script, steady, steps
from trio_allocator.engine.sharing.registry import POLICIES
from trio_allocator.lab.simulation.engine_subject import EngineSubject
from trio_allocator.lab.simulation.run import REFERENCE, make_engine, run, simulate
from trio_allocator.lab.simulation.world import World
from trio_allocator.report.status import snapshot

HIGH = 2

DROPS = steps((25, 6e6), (10, 1.2e6), (5, 0.2e6), (15, 3e6), (5, 0))
"""Up and down and nothing at all."""


@pytest.mark.parametrize("policy", [*POLICIES, REFERENCE])
@pytest.mark.parametrize("receivers", [1, 3, 10, 30])
def test_ample_capacity_ends_all_high(policy, receivers):
    world, subject = run(steady(receivers * 4e6, 40), receivers, policy, "ideal")
    assert world.cameras.flowing == [HIGH] * receivers
    assert subject.forced == 0


@pytest.mark.parametrize("policy", [*POLICIES, REFERENCE])
def test_so_it_does_in_a_closed_loop_that_has_to_be_probed(policy):
    world, _ = run(steady(20e6, 120), 2, policy, "gcc")
    assert world.cameras.flowing == [HIGH] * 2


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("receivers", [1, 10])
def test_honest_receivers_are_asked_and_never_forced_and_it_takes_no_time(policy, receivers):
    found = simulate(DROPS, receivers, policy, "ideal")
    assert found.asked > 0
    assert found.forced == 0
    assert found.allocator_overuse == 0
    assert found.longest_reaction == 0
    assert found.reactions > 0


def test_who_rejects_is_forced_and_that_is_counted():
    class OneNeverPauses(EngineSubject):
        def start(self, world):
            super().start(world)
            self._selectors[0].set_pausable(False)

    subject = OneNeverPauses(make_engine("fair"), 2)
    world = World(DROPS, 2, subject, "ideal", 1)
    world.run()
    assert subject.forced > 0
    assert world.cameras.requested == [-1, -1]


def engine_run(*arguments, **options):
    """As `run`; the subject is known to have an engine."""
    world, subject = run(*arguments, **options)
    assert isinstance(subject, EngineSubject)
    return world, subject


def test_selectors_measure_what_really_flows():
    _, subject = engine_run(steady(20e6, 40), 2, "fair", "ideal")
    believed = [selector.rates.rate("high") for selector in subject._selectors]
    assert all(2_200_000 < rate < 2_800_000 for rate in believed)
    ladders = [receiver.track.variants["high"] for receiver in subject._receivers]
    assert ladders == believed
    assert believed[0] != believed[1]


def test_the_engine_is_told_what_was_sent():
    world, subject = engine_run(steady(20e6, 40), 1, "fair", "ideal")
    # Up to the last event, within the last second.
    assert sum(world.link.media[:3900]) / 8 <= subject.engine.meter.media + 1
    assert subject.engine.meter.media <= sum(world.link.media) / 8


def test_settings_reach_the_engine_and_a_policy_may_be_ones_own():
    def nothing(claims, _capacity):
        from trio_allocator.policies.policy import Shares

        return Shares({claim.receiver_id: claim.lowest for claim in claims})

    world, subject = engine_run(steady(9e6, 30), 1, nothing, "ideal", settings={"hold": 1.0})
    assert subject.engine.settlement._settings.hold == 1.0
    assert snapshot(subject.engine).policy_fault is not None or HIGH not in world.cameras.flowing


def test_what_is_overdue_gets_its_turn_and_the_clock_goes_on():
    class Overdue(Script):
        wake_step = 0

        def __init__(self):
            super().__init__({})
            self.turns = 0

        def advance(self):
            self.turns += 1

    subject = Overdue()
    World(steady(1e6, 30), 1, subject, "ideal", 1).run()
    assert subject.turns == 2999


def test_padding_begins_when_it_is_aimed_at():
    class Late(Script):
        wake_step = 2550.0

        def advance(self):
            self.wake_step = float("inf")
            self.padding_target = 1e6

    world = World(steady(2e6, 30), 1, Late({}), "ideal", 1)
    world.run()
    assert world.link.sent(0, 2550) == pytest.approx(25.5 * 35_000)
    assert world.link.sent(2550, 2600) == pytest.approx(0.5e6)


@pytest.mark.parametrize("estimates", ["ideal", "gcc", "real"])
def test_the_same_seed_gives_the_same_figures_and_another_one_others(estimates):
    for policy in (*POLICIES, REFERENCE):
        first = simulate(DROPS, 3, policy, estimates, 1)
        assert simulate(DROPS, 3, policy, estimates, 1) == first
        assert simulate(DROPS, 3, policy, estimates, 2) != first


def test_it_is_the_same_in_another_process_whatever_its_hashes():
    program = (
        "import json\n"
        "from tests.lab.simulation.test_world import DROPS, simulate\n"
        "print(json.dumps([simulate(DROPS, 4, p, 'gcc', 5).as_dict() for p in "
        "('fair', 'reference')]))"
    )
    answers = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    ]
    here = [simulate(DROPS, 4, policy, "gcc", 5).as_dict() for policy in ("fair", "reference")]
    assert answers == [here, here]
