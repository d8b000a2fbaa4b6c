"""What the link carried when it was full, and when that is of no use any more."""

from __future__ import annotations

import math

import pytest

from trio_allocator.estimation.capacity import LinkCapacity


def known(*rates):
    capacity = LinkCapacity()
    for rate in rates:
        capacity.measured(rate)
    return capacity


def spread(mean, variance=0.4):
    """Three standard deviations, bit/s."""
    return 1000 * 3 * math.sqrt(variance * mean / 1000)


def test_at_first_nothing_is_known_and_nothing_exceeds_it():
    capacity = known()
    assert capacity.mean is None
    capacity.exceeded_by(1e9)
    assert capacity.mean is None


def test_measurements_near_the_mean_move_it_by_a_twentieth():
    assert known(1_000_000).mean == 1_000_000
    assert known(1_000_000, 1_020_000).mean == pytest.approx(1_001_000)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_measurement_far_off_takes_its_place(sign):
    near = 1_000_000 + sign * (spread(1e6) - 1)
    far = 1_000_000 + sign * (spread(1e6) + 1)
    assert known(1_000_000, near).mean != near
    assert known(1_000_000, far).mean == far


def test_what_got_through_and_is_clearly_more_makes_it_unknown():
    capacity = known(1_000_000)
    capacity.exceeded_by(1_000_000 + spread(1e6) - 1)
    assert capacity.mean == 1_000_000
    capacity.exceeded_by(1_000_000 + spread(1e6) + 1)
    assert capacity.mean is None


def test_measurements_that_scatter_widen_the_bounds_up_to_a_limit():
    steady, scattered = known(1_000_000), known(1_000_000)
    for index in range(200):
        steady.measured(1_000_000)
        scattered.measured(1_000_000 + (1 if index % 2 else -1) * 0.99 * spread(scattered.mean))
    assert steady._variance == 0.4
    assert scattered._variance == pytest.approx(2.5, rel=0.2)
    assert scattered._variance <= 2.5
    far = scattered.mean + spread(scattered.mean, 1.0)
    scattered.exceeded_by(far)
    assert scattered.mean is not None
    steady.exceeded_by(far)
    assert steady.mean is None


def test_the_variance_is_that_over_the_mean_smoothed():
    capacity = known(1_000_000, 1_040_000)
    # 40 kbit/s off, 38 off the new mean of 1002: 38² / 1002 = 1.441.
    assert capacity._variance == pytest.approx(0.4 + 0.05 * (38**2 / 1002 - 0.4))
    slow = known(500, 530)
    assert slow._variance == pytest.approx(0.4)


def test_a_new_mean_begins_with_narrow_bounds():
    capacity = known(1_000_000, 1_055_000, 950_000, 1_055_000)
    assert capacity._variance > 0.4
    capacity.measured(2_000_000)
    assert capacity._variance == 0.4


def test_it_can_be_forgotten():
    capacity = known(1_000_000)
    capacity.forget()
    assert capacity.mean is None
