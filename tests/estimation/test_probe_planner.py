"""When a probe is worth sending, and how fast."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from trio_allocator.estimation.probe_planner import (
    LONGEST_PAUSE,
    PAUSE,
    PAUSE_GROWTH,
    ProbePlanner,
)
from trio_allocator.estimation.probes import ProbeResult

START = 300_000


@pytest.fixture
def planner():
    return ProbePlanner(START)


def ask(planner, now, estimate=START, wanted=math.inf):
    probe = planner.next(now, estimate, wanted)
    return None if probe is None else probe.bitrate


@pytest.fixture
def later(planner):
    """After the first two, of which nothing came."""
    assert ask(planner, 0.0) == 3 * START
    assert ask(planner, 0.1) == 6 * START
    return planner


def found(planner, cluster, bitrate, estimate=START, *, is_full=False):
    planner.found(ProbeResult(cluster, bitrate, is_full=is_full), estimate)


def test_it_begins_with_three_and_six_times_the_start(planner):
    first, second = planner.next(0.0, START, math.inf), planner.next(0.1, START, math.inf)
    assert (first.id, first.bitrate, second.id, second.bitrate) == (1, 900_000, 2, 1_800_000)
    assert ask(planner, 0.2) is None


def test_one_has_to_be_sent_before_the_next_is_due(planner):
    planner.next(0.0, START, math.inf)  # five packets: 53 ms
    assert ask(planner, 0.053) is None
    assert ask(planner, 0.054) == 1_800_000


def test_a_fast_one_lasts_as_long_as_its_bytes():
    planner = ProbePlanner(10_000_000)
    assert ask(planner, 0.0, 1e7) == 30_000_000
    assert ask(planner, 0.0149, 1e7) is None
    assert ask(planner, 0.0151, 1e7) == 60_000_000


def test_then_it_asks_for_twice_the_estimate_now_and_then(later):
    sent = 0.1 + 5 * 1_200 * 8 / 1_800_000
    pause = PAUSE * PAUSE_GROWTH  # the second one, too, found nothing
    assert ask(later, sent + pause - 0.01, 500_000) is None
    assert ask(later, sent + pause + 0.01, 500_000) == 1_000_000


def test_the_pauses_grow_up_to_a_limit(later):
    ticks = [tick / 100 for tick in range(1, 4_000)]
    times = [time for time in ticks if ask(later, time, 5_000_000) is not None]
    pauses = [b - a for a, b in pairwise(times)]
    assert pauses == pytest.approx([4.5, *[LONGEST_PAUSE] * (len(pauses) - 1)], abs=0.03)


def test_no_probe_goes_far_beyond_what_is_wanted(planner):
    assert ask(planner, 0.0, wanted=500_000) == 600_000


def test_nor_is_one_sent_for_little(planner):
    assert ask(planner, 0.0, wanted=1.09 * START / 1.2) is None
    # ... and what was planned is void, but there is no pause to wait for.
    assert ask(planner, 0.0) == 2 * START


def test_a_tenth_more_is_worth_it(planner):
    assert ask(planner, 0.0, wanted=1.101 * START / 1.2) == pytest.approx(1.101 * START, abs=1)


def test_what_got_through_is_asked_twice_as_much(later):
    found(later, 2, 1_300_000)
    assert ask(later, 0.2, 1_300_000) == 2_600_000


def test_unless_more_is_to_be_asked_anyhow(planner):
    planner.next(0.0, START, math.inf)
    found(planner, 1, 700_000)
    assert ask(planner, 0.1, 700_000) == 6 * START
    found(planner, 2, 6 * START, 700_000)
    assert ask(planner, 0.2, 6 * START) == 12 * START


def test_unless_it_was_far_from_what_was_asked(later):
    found(later, 2, 1_250_000)
    assert ask(later, 0.2, 1_250_000) is None


def test_what_met_the_end_of_the_link_is_followed_by_nothing(later):
    found(later, 2, 1_700_000, is_full=True)
    assert ask(later, 0.2) is None


def test_what_is_to_be_asked_is_asked_at_once(later):
    later.ask(800_000)
    assert ask(later, 0.101) == 800_000
    assert ask(later, 0.2) is None


def test_unless_it_is_little_more_than_the_estimate(later):
    later.ask(1.05 * START)
    assert ask(later, 0.2) is None


def test_what_was_there_before_a_silence_is_asked_for_though_little_is_wanted(later):
    later.restore(800_000)
    assert ask(later, 0.101, wanted=100_000) == 800_000
    later.ask(800_000)
    assert ask(later, 0.2, wanted=500_000) == 600_000  # others are not


def test_but_not_if_nothing_is_wanted(later):
    later.restore(800_000)
    assert ask(later, 0.101, wanted=0) is None


def test_nor_in_congestion(later):
    later.restore(800_000)
    later.congested()
    later.ask(800_000)
    assert ask(later, 0.2, wanted=500_000) == 600_000


def test_a_result_is_taken_once(later):
    found(later, 2, 1_300_000)
    found(later, 2, 1_400_000)
    assert ask(later, 0.2, START) == 2_600_000
    assert ask(later, 0.3, START) is None


def test_a_result_of_an_older_one_is_too_late(later):
    found(later, 1, 900_000)
    assert ask(later, 0.2) is None


def test_so_is_a_result_that_was_known(later):
    found(later, 2, 1_300_000, estimate=1_200_000)
    assert ask(later, 0.2, 1_200_000) is None
    found(later, 2, 1_300_000)
    assert ask(later, 0.2, 1_200_000) is None


def test_what_finds_something_shortens_the_pause(later):
    assert ask(later, 10.0, 5e6) == 10_000_000
    found(later, 3, 6_000_000, estimate=5e6)
    assert ask(later, 11.9, 6e6) is None
    assert ask(later, 12.1, 6e6) == 12_000_000


def test_congestion_is_no_time_to_ask(planner):
    planner.next(0.0, START, math.inf)
    planner.congested()
    assert ask(planner, 0.1) is None
