"""The baseline keeps the known implementation's rules, defects included."""

import pytest

from tests.lab.simulation.worlds import steady, steps
from trio_allocator.lab.simulation.cameras import NONE
from trio_allocator.lab.simulation.reference import ReferenceSubject, Status
from trio_allocator.lab.simulation.run import run, simulate
from trio_allocator.lab.simulation.world import World

HIGH = 2


class Told(ReferenceSubject):
    """It is given estimates, {second: bit/s}, instead of those that come; and notes its status."""

    def __init__(self, receivers, estimates):
        super().__init__(receivers)
        self.told = estimates
        self.seen = []

    def estimate(self, _estimate):
        second = self._world.step // 100
        if second in self.told:
            before = self.asked
            super().estimate(self.told[second])
            self.seen.append((second, self.status, self.asked - before))


def told(receivers, estimates, seconds=30):
    subject = Told(receivers, estimates)
    world = World(steady(100e6, seconds), receivers, subject, "ideal", 1)
    world.run()
    return subject, world


def test_it_starts_with_the_highest_variant_and_its_headroom():
    subject, world = told(2, {})
    assert world.cameras.requested == [HIGH, HIGH]
    assert [entry.allocation for entry in subject._entries] == pytest.approx(
        [38_500, 38_500, 2_750_000, 2_750_000]
    )
    assert subject.status is Status.ALLOWED_OVERUSE


def test_without_overuse_it_maintains():
    subject, _ = told(2, {3: 6e6})
    assert subject.seen == [(3, Status.MAINTAIN_ALLOCATION, 0)]


def test_overuse_begins_below_four_fifths_of_the_usage():
    subject, _ = told(2, {3: 6e6, 6: 4.5e6, 9: 3.8e6}, seconds=25)
    # Usage is about 5.07M: 4.5M is more than 0.8 of it.
    assert subject.seen[1] == (6, Status.MAINTAIN_ALLOCATION, 0)
    assert subject.seen[2] == (9, Status.ALLOWED_OVERUSE, 0)


def test_a_first_fall_is_forgiven_and_only_a_smaller_estimate_asks():
    subject, _ = told(3, {1: 3e6, 3: 3e6, 5: 3e6, 7: 3.1e6, 9: 3.09e6})
    assert subject.seen == [
        (1, Status.ALLOWED_OVERUSE, 0),
        (3, Status.ALLOWED_OVERUSE, 0),
        (5, Status.ALLOWED_OVERUSE, 0),
        (7, Status.ALLOWED_OVERUSE, 0),
        (9, Status.ALLOWED_OVERUSE, 1),
    ]


def test_the_smallest_is_taken_to_the_bottom_before_any_other_is_touched():
    _, world = told(3, {1: 1e6, 3: 0.99e6, 5: 0.98e6, 7: 0.97e6, 9: 0.96e6})
    order = [(camera, variant) for _, camera, variant in world.cameras.decisions[3:]]
    assert order == [(0, 1), (0, 0), (1, 1), (1, 0)]


def test_nobody_is_paused():
    subject, world = told(2, {second: 10e3 - second for second in range(1, 25)})
    assert world.cameras.requested == [0, 0]
    assert NONE not in world.cameras.flowing
    assert subject.seen[-1] == (24, Status.DISALLOWED_OVERUSE, 2)  # everybody rejects


def test_freed_capacity_goes_to_whom_it_fits_first():
    estimates = {1: 1e6, 3: 0.99e6, 5: 0.98e6, 7: 0.97e6, 9: 0.96e6, 12: 10e6}
    _, world = told(3, estimates)
    order = [(camera, variant) for _, camera, variant in world.cameras.decisions[7:]]
    # One variant at a time, camera 0 first, and the next wish only at the key frame.
    assert order[:2] == [(0, 1), (1, 1)]
    assert order[2:] == [(0, 2), (1, 2)] or sorted(order[2:]) == [(0, 2), (1, 2)]


def test_what_it_grants_counts_at_once():
    estimates = {1: 1e6, 3: 0.99e6, 5: 0.98e6, 7: 0.97e6, 9: 0.96e6, 11: 0.95e6, 13: 0.94e6}
    # Three times low and audio are 555k: of 1M one more medium fits, and not two.
    _, world = told(3, {**estimates, 24: 1.0e6}, seconds=25)
    assert sorted(world.cameras.requested) == [0, 0, 1]


def test_to_request_what_one_holds_is_no_answer():
    """Its fourteenth defect: nor does it call off a raise that waits."""
    subject, _ = told(1, {1: 1e6, 2: 0.99e6, 4: 1.0e6}, seconds=25)
    entry = subject._entries[1]
    waiting = entry.target
    assert waiting == pytest.approx(2_750_000)
    subject.request(entry, entry.allocation)
    subject._handle_requests()
    assert entry.target == waiting


def test_it_probes_200k_above_the_estimate_while_somebody_waits():
    subject, world = told(1, {1: 1e6, 2: 0.99e6, 4: 1.0e6}, seconds=25)
    assert subject.status is Status.INCREASE_ESTIMATION
    assert subject.padding_target == 1.2e6
    sent = world.link.sent(1000, 2000) / 10
    assert sent == pytest.approx(1.2e6)


def test_before_the_first_estimate_it_does_not_probe():
    assert ReferenceSubject(1).padding_target == 0


@pytest.mark.parametrize("receivers", [1, 10])
def test_it_never_forces_and_ends_all_high_with_ample_capacity(receivers):
    found = simulate(steady(40e6), receivers, "reference", "ideal")
    assert found.utility == 1
    assert found.forced == found.switches == 0


def test_an_exactly_constant_estimate_dead_locks_it():
    """Its fifth defect: 30 to 3 Mbit/s with ten receivers never converges without noise."""
    trace = steps((30, 30e6), (150, 3e6))
    world, subject = run(trace, 10, "reference", "ideal", noise=0.0)
    assert subject.asked == 0
    assert world.cameras.requested == [HIGH] * 10
    # With noise it takes its time, but it gets there.
    world, subject = run(trace, 10, "reference", "ideal", noise=0.01)
    assert subject.asked > 10
    assert HIGH not in world.cameras.requested
