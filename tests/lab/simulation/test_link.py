"""The link, against what can be worked out by hand. Rates are per step: 100 bit/s is 1 bit."""

import numpy as np
import pytest

from tests.lab.simulation.worlds import steady, steps
from trio_allocator.lab.simulation.link import Link


def sending(link, *rates):
    link.advance(np.asarray(rates, dtype=float))


@pytest.fixture
def link():
    """1 Mbit/s: 10 kbit a step; the queue holds 0.3 s: 300 kbit."""
    return Link(steady(1e6), bank=0.01)


def test_what_fits_passes_at_once(link):
    sending(link, 0.5e6, 1e6)
    assert link.queue == [0, 0]
    assert link.received(0, 2) == pytest.approx(15_000)
    assert link.lost(0, 2) == 0


def test_what_does_not_fit_waits_and_then_is_dropped(link):
    sending(link, *[11e6] * 4)  # 100 kbit more than fit, a step
    assert link.queue == pytest.approx([100_000, 200_000, 300_000, 300_000])
    assert link.dropped == pytest.approx([0, 0, 0, 100_000])
    assert link.received(0, 4) == pytest.approx(40_000)
    sending(link, *[0] * 40)
    assert link.queue[-1] == 0
    assert link.received(0, 44) + link.lost(0, 44) == pytest.approx(link.sent(0, 44))


def test_a_link_without_capacity_still_has_a_queue_for_a_packet():
    link = Link(steady(1000), bank=0.01)
    assert link.room == 12_000


def test_waits_are_those_of_the_capacity_to_come():
    link = Link(steps((30, 1e6), (1, 0), (30, 1e6)), bank=0.01)
    sending(link, *[0] * 2999, 1.5e6, *[0] * 3100)
    delays = link.delays()
    assert delays[2998] == 0
    # 5 kbit are left when the second of nothing begins, and need half a step after it.
    assert delays[2999] == pytest.approx(1.01)


def test_padding_fills_up_to_the_target(link):
    link.aim(0.8e6)
    sending(link, 0.5e6, 0.8e6, 0.2e6)
    assert link.padding == pytest.approx([3000, 0, 6000])
    link.aim(0)
    sending(link, 0.1e6)
    assert link.padding[-1] == 0


def test_surplus_media_silence_padding_for_one_tick_at_most(link):
    link.aim(0.8e6)
    sending(link, *[6e6] * 3, 0, 0)
    assert link.padding == pytest.approx([0, 0, 0, 0, 8000])


def test_the_baseline_banks_surplus_without_limit():
    link = Link(steady(1e6), bank=float("inf"))
    link.aim(0.8e6)
    sending(link, 4e6, *[0] * 5)  # four steps' worth too much
    assert link.padding == pytest.approx([0, 0, 0, 0, 0, 8000])


def test_another_target_takes_the_account_over_and_a_pause_ends_it(link):
    link = Link(steady(1e6), bank=1.0)
    link.aim(0.8e6)
    sending(link, 1.6e6)
    link.aim(1.6e6)
    sending(link, 0)
    assert link.padding == pytest.approx([0, 8000])
    sending(link, 3e6)
    link.aim(0)
    link.aim(0.8e6)
    sending(link, 0)
    assert link.padding[-1] == pytest.approx(8000)


def test_a_burst_fills_up_to_its_rate_until_so_much_has_been_put_in():
    link = Link(steady(10e6), bank=0.01)
    link.burst(2e6, 6_000)  # 20 kbit a step, 48 kbit in all
    sending(link, 0.5e6, 3e6, *[0.5e6] * 3)
    assert link.padding == pytest.approx([15_000, 0, 0, 0, 0])
    link.burst(2e6, 6_000)
    sending(link, *[0.5e6] * 4)
    assert link.padding[5:] == pytest.approx([15_000, 15_000, 3_000, 0])


def test_a_burst_is_no_addition_to_padding_that_is_due_anyway():
    link = Link(steady(10e6), bank=0.01)
    link.aim(1.5e6)
    link.burst(2e6, 5_000)
    sending(link, *[1e6] * 3)
    assert link.padding == pytest.approx([10_000, 10_000, 5_000])
