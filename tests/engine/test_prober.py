"""When the prober starts, how far it aims, when it gives up, and its way out of a deadlock."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from attrs import evolve

from trio_allocator.engine.probing.padding import Meter, PaddingAccount
from trio_allocator.engine.probing.probe_status import ProbeStatus
from trio_allocator.engine.probing.prober import Demand, Prober
from trio_allocator.engine.settings import Settings

NOW = 100.0
WANTED = Demand(estimate=1_000_000, wanted=1_500_000, allowed=True, stuck=False, free_to=1_000_000)
NOTHING = evolve(WANTED, wanted=0, allowed=False)
STUCK = Demand(estimate=None, wanted=0, allowed=False, stuck=True)


def rising(estimate: int) -> Demand:
    return evolve(WANTED, estimate=estimate, free_to=estimate)


class Bench:
    """A prober, and a meter to send media past."""

    def __init__(self, **settings) -> None:
        self.meter = Meter()
        # What it aims at is told from how far it may reach.
        reaching = {"probe_reach": 2.0, **settings}
        self.prober = Prober(Settings(**reaching), self.meter, NOW)
        self.account = PaddingAccount()
        self.prober.padding.join(1, self.account)

    def after(self, seconds: float, demand: Demand) -> ProbeStatus:
        self.prober.review(NOW + seconds, demand)
        return self.prober.status

    @property
    def due(self) -> float:
        """When it wants to be asked again, seconds from the start."""
        return self.prober.wake_at - NOW


@pytest.fixture
def bench():
    return Bench()


# --- P1: only while there is a reason ----------------------------------------------------------


@pytest.mark.invariant("P1")
def test_at_first_it_does_nothing_and_waits_for_nothing(bench):
    assert bench.prober.status is ProbeStatus.IDLE
    assert (bench.prober.target, bench.prober.fruitless) == (0, 0)
    assert bench.prober.wake_at == bench.prober.next_tick == math.inf
    assert bench.prober.tick(NOW + 1000) == []


@pytest.mark.invariant("P1")
def test_it_probes_while_it_is_wanted_and_allowed(bench):
    assert bench.after(0, WANTED) is ProbeStatus.PROBING
    assert bench.prober.target == 1_500_000
    assert bench.after(1, evolve(WANTED, allowed=False)) is ProbeStatus.IDLE
    assert (bench.prober.target, bench.prober.next_tick) == (0, math.inf)
    assert bench.after(2, WANTED) is ProbeStatus.PROBING
    assert bench.after(3, evolve(WANTED, wanted=0)) is ProbeStatus.IDLE
    assert bench.prober.target == 0


@pytest.mark.invariant("P1", "P2")
def test_what_nobody_has_read_is_taken_back_when_it_ends(bench):
    bench.after(0, WANTED)
    bench.prober.tick(NOW + 0.5)
    assert bench.account.unread > 0
    bench.after(0.5, NOTHING)
    assert bench.account.unread == 0


# --- P4: how far -------------------------------------------------------------------------------


@pytest.mark.invariant("P4")
@pytest.mark.parametrize(
    ("estimate", "wanted", "target"),
    [
        (1_000_000, 1_000_001, 1_000_001),
        (1_000_000, 2_000_000, 2_000_000),
        (1_000_000, 2_000_001, 2_000_000),
        (100_000, 300_000, 200_000),
        (100_001, 300_000, 200_002),
        (0, 150_000, 150_000),
        (0, 1, 1),
        (0, 300_000, 200_000),
    ],
)
def test_it_aims_at_the_step_but_not_above_twice_the_estimate(estimate, wanted, target, bench):
    bench.after(0, Demand(estimate, wanted, allowed=True, stuck=False))
    assert bench.prober.target == target


@pytest.mark.invariant("P4")
@pytest.mark.parametrize(
    ("estimate", "target"), [(1_000_000, 1_050_000), (1_450_000, 1_500_000), (100_000, 200_000)]
)
def test_it_reaches_no_further_above_the_estimate_than_it_may(estimate, target):
    bench = Bench(probe_reach=1.05)
    bench.after(0, evolve(WANTED, estimate=estimate))
    assert bench.prober.target == target


@pytest.mark.invariant("P4")
def test_it_follows_what_is_wanted_as_that_changes(bench):
    bench.after(0, WANTED)
    bench.after(0.1, evolve(WANTED, wanted=1_200_000))
    assert bench.prober.target == 1_200_000


@pytest.mark.invariant("P4")
def test_with_an_increment_it_aims_above_the_estimate_whatever_is_wanted():
    bench = Bench(probe_increment=200_000)
    bench.after(0, WANTED)
    assert bench.prober.target == 1_200_000
    bench.after(1, rising(1_100_000))
    assert bench.prober.target == 1_300_000
    bench.after(1, rising(150_000))
    assert bench.prober.target == 300_000


@pytest.mark.invariant("P4")
def test_an_estimate_of_nothing_with_no_increment_leaves_nothing_to_follow():
    bench = Bench(probe_increment=0)
    bench.after(0, WANTED)
    assert bench.prober.next_tick < math.inf
    assert bench.after(1, rising(0)) is ProbeStatus.PROBING
    assert (bench.prober.target, bench.prober.next_tick) == (0, math.inf)
    assert bench.prober.tick(NOW + 10) == []


# --- P4: for how long --------------------------------------------------------------------------


@pytest.mark.invariant("P4")
def test_it_gives_up_when_the_estimate_has_not_moved_and_rests(bench):
    bench.after(0, WANTED)
    assert bench.due == 3
    assert bench.after(2.99, WANTED) is ProbeStatus.PROBING
    assert bench.after(3, WANTED) is ProbeStatus.RESTING
    assert (bench.prober.target, bench.prober.fruitless) == (0, 1)
    assert bench.due == 6
    assert bench.after(5.99, WANTED) is ProbeStatus.RESTING
    assert bench.after(6, WANTED) is ProbeStatus.PROBING
    assert bench.due == 9


@pytest.mark.invariant("P4")
def test_pauses_grow_by_half_up_to_a_limit():
    bench = Bench(probe_patience=1.0, probe_pause=2.0, probe_pause_limit=5.0)
    pauses = []
    now = 0.0
    for attempt in range(1, 6):
        assert bench.after(now, WANTED) is ProbeStatus.PROBING
        assert bench.after(now + 1, WANTED) is ProbeStatus.RESTING
        assert bench.prober.fruitless == attempt
        pauses.append(bench.due - now - 1)
        now = bench.due
    assert pauses == [2.0, 3.0, 4.5, 5.0, 5.0]


@pytest.mark.invariant("P4")
def test_patience_without_end_never_gives_up():
    bench = Bench(probe_patience=math.inf)
    bench.after(0, WANTED)
    assert bench.after(1e6, WANTED) is ProbeStatus.PROBING
    assert bench.prober.wake_at == math.inf


def lacking(estimate: int) -> Demand:
    """What waits is near."""
    return evolve(rising(estimate), wanted=1_080_000)


@pytest.mark.invariant("P4")
def test_half_of_what_lacked_renews_patience_and_less_does_not(bench):
    bench.after(0, lacking(1_000_000))
    bench.after(1, lacking(1_039_999))
    assert bench.due == 3
    bench.after(2, lacking(1_040_000))
    assert bench.due == 5
    bench.after(3, lacking(1_059_999))  # half of what lacked then
    assert bench.due == 5
    bench.after(4, lacking(1_060_000))
    assert bench.due == 7


@pytest.mark.invariant("P4")
def test_of_a_step_further_away_eight_per_cent_count(bench):
    bench.after(0, rising(1_000_000))
    bench.after(1, rising(1_039_999))
    assert bench.due == 3
    bench.after(2, rising(1_040_000))
    assert bench.due == 5
    bench.after(3, rising(1_081_599))
    assert bench.due == 5
    bench.after(4, rising(1_081_600))
    assert bench.due == 7


@pytest.mark.invariant("P4")
def test_swings_of_the_estimate_are_no_progress(bench):
    """They made every probe on a link that did not change a fruitful one: half of it was padding."""
    ends = []
    for tenth in range(1_200):
        swing = 20_000 * (tenth % 40 < 20)
        before = bench.prober.fruitless
        bench.after(tenth / 10, rising(1_000_000 + swing))
        if bench.prober.fruitless > before:
            ends.append(tenth / 10)
    gaps = [later - end - 3 for end, later in pairwise(ends)]
    assert gaps == pytest.approx([3.0, 4.5, 6.75, 10.125, 15.1875, 22.78125], abs=0.4)


@pytest.mark.invariant("P4")
def test_what_raises_may_rely_on_is_what_counts_not_the_estimate(bench):
    demand = evolve(WANTED, estimate=1_600_000, free_to=1_400_000)
    bench.after(0, demand)
    bench.after(1, evolve(demand, estimate=3_000_000))
    assert bench.due == 3
    bench.after(1, evolve(demand, free_to=1_450_000))
    assert bench.due == 4


@pytest.mark.invariant("P4")
def test_where_a_probe_is_a_proof_it_aims_a_little_above_the_step(bench):
    bench.after(0, evolve(WANTED, wanted=1_000_000, carried=1_000_000))
    assert bench.prober.target == 1_060_000


@pytest.mark.invariant("P4")
def test_where_a_probe_is_a_proof_it_creeps_ahead_of_what_was_carried(bench):
    proven = evolve(WANTED, carried=800_000)
    bench.after(0, proven)
    assert bench.prober.target == 920_000
    bench.after(0.5, evolve(proven, carried=900_000))
    assert bench.prober.target == 1_035_000
    bench.after(1, evolve(proven, carried=0))
    assert bench.prober.target == 200_000


@pytest.mark.invariant("P4")
def test_progress_beyond_what_failed_ends_the_rest_and_its_growth(bench):
    for start in (0, 6):  # the second pause would be 4.5 s
        bench.after(start, WANTED)
        bench.after(start + 3, WANTED)
    assert bench.due == 13.5
    assert bench.after(10, rising(1_039_999)) is ProbeStatus.RESTING
    assert bench.after(11, rising(1_040_000)) is ProbeStatus.PROBING
    assert bench.due == 14
    assert bench.after(14, rising(1_040_000)) is ProbeStatus.RESTING
    assert bench.due == 17


@pytest.mark.invariant("P4")
def test_progress_counts_from_the_best_that_a_probe_has_reached(bench):
    bench.after(0, WANTED)
    bench.after(2, rising(1_030_000))
    bench.after(3, WANTED)
    assert bench.prober.fruitless == 1
    bench.after(6, WANTED)
    bench.after(7, rising(1_071_199))  # it takes 41.2 k more than the 1.03 M
    assert bench.due == 9
    bench.after(8, rising(1_071_200))
    assert bench.due == 11


@pytest.mark.invariant("P4", "G3")
def test_the_same_step_is_no_nearer_one_though_the_estimate_has_been_above_it(bench):
    bench.after(0, rising(1_520_000))
    below = evolve(rising(1_490_000), wanted=1_510_000)
    bench.after(0.1, evolve(below, estimate=1_505_000, free_to=1_505_000))
    for seconds in (0.2, 3.0, 3.1):
        bench.after(seconds, below)
    fruitless, due = bench.prober.fruitless, bench.due
    assert fruitless == 1
    assert bench.after(3.1, below) is ProbeStatus.RESTING
    assert (bench.prober.fruitless, bench.due) == (fruitless, due)


@pytest.mark.invariant("P4")
def test_a_nearer_step_than_what_would_have_been_progress_is_tried_at_once(bench):
    bench.after(0, WANTED)
    bench.after(3, WANTED)
    assert bench.after(4, evolve(WANTED, wanted=1_040_000)) is ProbeStatus.RESTING
    assert bench.after(4, evolve(WANTED, wanted=1_039_999)) is ProbeStatus.PROBING


@pytest.mark.invariant("P4")
def test_what_was_reached_on_a_better_link_is_forgotten(bench):
    bench.after(0, evolve(rising(4_000_000), wanted=5_000_000))
    bench.after(3, evolve(rising(4_000_000), wanted=5_000_000))
    fallen = evolve(rising(1_000_000), wanted=5_000_000)
    bench.after(6, fallen)
    assert bench.due == 9
    bench.after(7, evolve(fallen, free_to=1_300_000))  # from 1.25 M, not from 4 M
    assert bench.due == 10


@pytest.mark.invariant("P4")
def test_an_estimate_of_nothing_that_stays_ends_the_probe(bench):
    bench.after(0, rising(0))
    assert bench.after(3, rising(0)) is ProbeStatus.RESTING


@pytest.mark.invariant("P4")
def test_an_estimate_that_falls_ends_the_probe_which_has_met_the_end_of_the_link(bench):
    bench.after(0, WANTED)
    fallen = evolve(rising(940_000), allowed=False, fell=True)
    bench.after(0.5, fallen)
    assert (bench.prober.fruitless, bench.prober.target) == (1, 0)
    assert bench.after(1, rising(1_000_000)) is ProbeStatus.RESTING
    assert bench.due == 2.5
    bench.after(2.5, WANTED)
    bench.after(3, fallen)
    assert bench.after(4, WANTED) is ProbeStatus.RESTING
    assert bench.due == 7.5  # the second pause has grown


# --- P4: after a raise, and how much -----------------------------------------------------------


@pytest.mark.invariant("P4")
def test_after_a_raise_nothing_is_probed_until_it_has_carried_for_two_seconds(bench):
    raised = evolve(WANTED, raised_at=NOW + 1)
    bench.after(0, WANTED)
    assert bench.after(1, raised) is ProbeStatus.RESTING
    assert bench.prober.target == 0
    assert bench.due == 3
    assert bench.after(2.99, raised) is ProbeStatus.RESTING
    assert bench.after(3, raised) is ProbeStatus.PROBING


@pytest.mark.invariant("P4")
@pytest.mark.parametrize("media", [2_000, 5_000, 50_000])
def test_out_of_reach_padding_is_at_most_a_tenth_of_any_minute_but_the_first(media):
    """Whatever the media are, bytes a second: with next to none a probe is nearly all padding."""
    bench = Bench(probe_pause=1.0, probe_pause_limit=1.0)
    sent = []
    for tick in range(2, 3_000):
        now = tick / 10
        bench.meter.media += media // 10
        bench.after(now, WANTED)
        if bench.prober.next_tick <= NOW + now:
            bench.prober.tick(NOW + now)
            bench.prober.padding.read(1, bench.account)
        sent.append((bench.prober.padding.booked, bench.meter.media))
    for (padding, before), (padded, after) in zip(sent[600:], sent[1200:], strict=False):
        total = padded - padding + after - before
        assert padded - padding <= 0.1 * total + 8_192  # two ticks' worth is the grain


@pytest.mark.invariant("P4")
def test_the_first_minute_and_a_fruitful_probe_have_no_such_limit(bench):
    for tick in range(2, 30):
        bench.after(tick / 10, WANTED)
        bench.prober.tick(NOW + tick / 10)
        bench.prober.padding.read(1, bench.account)
    assert bench.prober.padding.booked > 100_000


@pytest.mark.invariant("P4")
def test_a_short_interruption_neither_renews_patience_nor_uses_it_up(bench):
    bench.after(0, WANTED)
    bench.after(2, NOTHING)
    assert bench.after(4.5, WANTED) is ProbeStatus.PROBING
    assert bench.due == 5.5
    bench.after(5, NOTHING)
    bench.after(5.25, WANTED)
    assert bench.due == 5.75


@pytest.mark.invariant("P4")
@pytest.mark.parametrize(("back", "estimate"), [(5.0, 1_000_000), (2.1, 1_040_000)])
def test_after_a_long_interruption_or_a_rise_it_is_a_new_probe(back, estimate, bench):
    bench.after(0, WANTED)
    bench.after(2, NOTHING)
    bench.after(back, rising(estimate))
    assert bench.due == pytest.approx(back + 3)


@pytest.mark.invariant("P4")
def test_after_a_rise_just_not_worth_it_it_is_still_the_same_probe(bench):
    bench.after(0, WANTED)
    bench.after(2, NOTHING)
    bench.after(2.5, rising(1_039_999))
    assert bench.due == 3.5


@pytest.mark.invariant("P4")
def test_after_giving_up_the_next_probe_is_a_new_one_however_short_the_rest():
    bench = Bench(probe_pause=10.0, probe_pause_limit=10.0)
    bench.after(0, WANTED)
    bench.after(3, WANTED)
    bench.after(3.5, evolve(rising(2_000_000), wanted=2_500_000))  # progress ends the rest
    assert bench.due == 6.5


@pytest.mark.invariant("P4")
def test_who_is_not_wanted_while_it_rests_rests_on_when_wanted_again(bench):
    bench.after(0, WANTED)
    bench.after(3, WANTED)
    assert bench.after(4, NOTHING) is ProbeStatus.IDLE
    assert bench.prober.wake_at == math.inf
    assert bench.after(5, WANTED) is ProbeStatus.RESTING
    assert bench.due == 6


# --- P2: ticks ---------------------------------------------------------------------------------


@pytest.mark.invariant("P2")
@pytest.mark.parametrize(
    ("wanted", "tick"),
    [(100_000, 0.1), (300_000, 0.1), (600_000, 0.05), (2_000_000, 0.015), (3_000_000, 0.01)],
)
def test_a_tick_is_worth_its_packets_within_bounds(wanted, tick, bench):
    bench.after(0, Demand(5_000_000, wanted, allowed=True, stuck=False))
    assert bench.prober.next_tick == pytest.approx(NOW + tick)


@pytest.mark.invariant("P2")
def test_another_target_does_not_put_off_the_next_tick(bench):
    bench.after(0, Demand(5_000_000, 600_000, allowed=True, stuck=False))
    bench.after(0.03, Demand(5_000_000, 300_000, allowed=True, stuck=False))
    assert bench.prober.next_tick == pytest.approx(NOW + 0.05)
    bench.after(0.04, Demand(5_000_000, 6_000_000, allowed=True, stuck=False))
    assert bench.prober.next_tick == pytest.approx(NOW + 0.05)
    bench.after(0.02, Demand(5_000_000, 5_000_000, allowed=True, stuck=False))
    assert bench.prober.next_tick == pytest.approx(NOW + 0.03)


@pytest.mark.invariant("P2")
def test_nothing_is_booked_before_the_tick_and_ticks_keep_their_rhythm(bench):
    bench.after(0, Demand(5_000_000, 600_000, allowed=True, stuck=False))
    assert bench.prober.tick(NOW + 0.049) == []
    assert bench.account.unread == 0
    assert bench.prober.tick(NOW + 0.05) == [1]
    assert bench.account.unread > 0
    assert bench.prober.next_tick == pytest.approx(NOW + 0.1)
    bench.prober.tick(NOW + 0.17)  # one was missed: the rhythm is kept
    assert bench.prober.next_tick == pytest.approx(NOW + 0.2)


@pytest.mark.invariant("P2")
def test_the_next_tick_is_later_than_this_one_whatever_floats_make_of_it():
    for hundredths in range(1, 200):
        bench = Bench()
        bench.after(0, Demand(5_000_000, 3_000_000, allowed=True, stuck=False))
        now = NOW + hundredths / 100  # just when a tick is due, or by rounding a little beside it
        bench.prober.tick(now)
        assert now < bench.prober.next_tick <= now + 0.0101


# --- P5: the way out of a deadlock -------------------------------------------------------------


@pytest.mark.invariant("P5")
def test_stuck_it_listens_then_pads_for_a_moment_then_listens_again(bench):
    assert bench.after(0, STUCK) is ProbeStatus.LISTENING
    assert (bench.due, bench.prober.target) == (2, 0)
    assert bench.after(1.99, STUCK) is ProbeStatus.LISTENING
    assert bench.after(2, STUCK) is ProbeStatus.ESCAPING
    assert (bench.due, bench.prober.target) == (2.5, 200_000)
    assert bench.after(2.49, STUCK) is ProbeStatus.ESCAPING
    assert bench.after(2.5, STUCK) is ProbeStatus.LISTENING
    assert (bench.due, bench.prober.target) == (4.5, 0)


@pytest.mark.invariant("P5")
def test_while_media_flows_it_goes_on_listening(bench):
    bench.meter.media = 7
    bench.after(0, STUCK)
    bench.meter.media += 1
    assert bench.after(2, STUCK) is ProbeStatus.LISTENING
    assert bench.due == 4
    assert bench.after(4, STUCK) is ProbeStatus.ESCAPING


@pytest.mark.invariant("P5")
def test_media_ends_an_episode(bench):
    bench.after(0, STUCK)
    bench.after(2, STUCK)
    bench.meter.media += 1
    assert bench.after(2.25, STUCK) is ProbeStatus.LISTENING
    assert (bench.due, bench.prober.target) == (4.25, 0)


@pytest.mark.invariant("P5")
@pytest.mark.parametrize(("media", "when"), [(1, 2.2), (0, 2.5)])
def test_the_tick_that_finds_an_episode_over_books_nothing(media, when, bench):
    bench.after(0, STUCK)
    bench.after(2, STUCK)
    bench.meter.media += media
    assert bench.prober.tick(NOW + when) == []
    assert bench.prober.status is ProbeStatus.LISTENING
    assert (bench.prober.target, bench.prober.next_tick) == (0, math.inf)
    assert bench.due == pytest.approx(when + 2)
    assert bench.account.unread == 0


@pytest.mark.invariant("P5")
def test_until_then_a_tick_of_an_episode_books_padding(bench):
    bench.after(0, STUCK)
    bench.after(2, STUCK)
    assert bench.prober.tick(NOW + 2.1) == [1]
    assert bench.prober.status is ProbeStatus.ESCAPING


@pytest.mark.invariant("P5")
def test_the_floor_and_its_times_are_settings():
    bench = Bench(escape_bitrate=64_000, escape_duration=1.0, escape_pause=5.0)
    bench.after(0, STUCK)
    assert bench.due == 5
    bench.after(5, STUCK)
    assert (bench.due, bench.prober.target) == (6, 64_000)


@pytest.mark.invariant("P5")
def test_a_probe_that_may_run_is_preferred_and_without_need_it_is_idle(bench):
    assert bench.after(0, evolve(WANTED, stuck=True)) is ProbeStatus.PROBING
    bench.after(0.5, STUCK)
    assert bench.after(1, evolve(WANTED, stuck=True)) is ProbeStatus.PROBING
    assert bench.after(2, STUCK) is ProbeStatus.LISTENING
    assert bench.due == 4
    assert bench.after(3, NOTHING) is ProbeStatus.IDLE
    bench.after(4, STUCK)
    bench.after(6, STUCK)
    assert bench.after(6.1, NOTHING) is ProbeStatus.IDLE
    assert bench.prober.target == 0


@pytest.mark.invariant("P5")
def test_whoever_rests_listens_when_it_is_stuck(bench):
    bench.after(0, WANTED)
    bench.after(3, WANTED)
    assert bench.after(4, evolve(WANTED, stuck=True)) is ProbeStatus.LISTENING
