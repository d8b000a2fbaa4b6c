"""What befalls packets, by kind: how often, how much, and the same for the same seed."""

import math
from itertools import pairwise
from random import Random

import pytest

from trio_allocator.network.impairments import KEPT, Episodes, feedback_interval
from trio_allocator.testing import (
    IMPAIRMENTS,
    Batches,
    Bottleneck,
    BurstLoss,
    ClockDrift,
    ClockSteps,
    CompetingFlow,
    DeepQueue,
    FeedbackEvery,
    Jitter,
    LateFeedback,
    LongerWay,
    Loss,
    LostFeedback,
    Outages,
    Pauses,
    Policer,
    find_impairments,
)

RATE = 2_000_000
SIZE = 1_250
"""5 ms at that rate."""


def link(*impairments, capacity=RATE, seed=1, **options):
    return Bottleneck(
        capacity, delay=0.02, impairments=impairments, seed=seed, **{"start": 100.0, **options}
    )


def passages(bottleneck, seconds=50.0, interval=0.01, start=100.0):
    """Half of the link's capacity is used, unless the interval says otherwise."""
    count = round(seconds / interval)
    return [
        (start + number * interval, bottleneck.offer(start + number * interval, SIZE))
        for number in range(count)
    ]


def ways(bottleneck, **options):
    """How long each took, s."""
    return [passage.arrives_at - at for at, passage in passages(bottleneck, **options)]


@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_each_has_a_source_and_is_the_same_for_the_same_seed(name):
    known = IMPAIRMENTS[name]
    assert known.name == name
    assert known.description
    assert known.source

    def lived(seed):
        impaired = link(*find_impairments(name), seed=seed)
        seen = passages(impaired, interval=0.05)
        return (
            seen,
            [impaired.report(100 + second) for second in range(100)],
            [impaired.far_clock(100 + second) for second in range(100)],
            impaired.statistics(200.0),
        )

    assert lived(1) == lived(1)
    if name not in ("policer", "deep-queue", "clock-drift", "feedback-50ms", "feedback-100ms"):
        assert lived(1) != lived(2)


def test_several_at_once_do_not_change_each_others_chances():
    alone = ways(link(Jitter()))
    both = ways(link(Jitter(), ClockSteps(), LostFeedback()))
    assert alone == both


def test_names_are_found_and_others_are_refused():
    assert find_impairments("") == ()
    assert find_impairments(" pauses, loss ,pauses") == (Pauses(), Loss())
    with pytest.raises(ValueError, match=r"no impairment 'rain'.*pauses"):
        find_impairments("pauses,rain")
    with pytest.raises(TypeError, match="IMPAIRMENTS"):
        link("pauses")


def test_what_pauses_waits_and_then_comes_at_the_links_rate():
    paused = link(Pauses(at=((10.0, 0.5),)))
    arrived = [passage.arrives_at for at, passage in passages(paused, 12.0) if at >= 110 - 1e-9]
    assert arrived[0] == pytest.approx(110.5 + 0.005 + 0.02)
    assert arrived[1] - arrived[0] == pytest.approx(0.005)
    # A hundred packets take 0.5 s, in which fifty more come: after 1 s it has caught up.
    assert arrived[-1] - arrived[-2] == pytest.approx(0.01)


def test_random_pauses_are_within_their_bounds():
    drawn = ways(link(Pauses(lengths=(0.1, 0.5), every=5.0)), seconds=150.0)
    peaks = [b for a, b, c in zip(drawn, drawn[1:], drawn[2:], strict=False) if a <= b > c > 0.1]
    longest = max(drawn)
    assert 0.3 < longest <= 0.5 + 0.03
    assert min(drawn) == pytest.approx(0.025)
    assert len(peaks) >= 10


def test_a_pause_within_a_packet():
    paused = link(Pauses(at=((1.0, 0.25),)), capacity=8_000)
    assert paused.offer(100.5, 1_000).left == pytest.approx(101.75)


def test_in_an_outage_everything_gets_lost_and_nothing_else_does():
    cut = link(Outages(at=((10.0, 2.0),)))
    lost = [at for at, passage in passages(cut, 20.0) if passage.arrives_at == math.inf]
    assert (lost[0], lost[-1]) == (pytest.approx(110.0), pytest.approx(111.99))
    assert len(lost) == cut.lost == 200
    assert cut.report(111.0) is None
    assert cut.report(112.0) == pytest.approx(112.02)


def test_a_longer_way_is_longer_until_it_is_not():
    moved = link(LongerWay(at=((5.0, 0.1), (10.0, 0.0))))
    taken = ways(moved, seconds=15.0)
    assert taken[400] == pytest.approx(0.025)
    assert taken[600] == pytest.approx(0.125)
    # Nothing overtakes: those behind the slow ones arrive with the last of them.
    assert taken[1001] == pytest.approx(0.105)
    assert taken[1400] == pytest.approx(0.025)


def test_random_ways_come_back():
    taken = ways(link(LongerWay(every=5.0)), seconds=100.0)
    extra = {round(way - 0.025, 6) for way in taken}
    assert all(0 <= more <= 0.2 for more in extra)
    assert max(extra) > 0.05
    assert sum(way == pytest.approx(0.025) for way in taken) > 2_500


def test_batches_arrive_at_once():
    arrived = [passage.arrives_at for _, passage in passages(link(Batches(spans=(0.06, 0.06))))]
    assert all(time / 0.06 == pytest.approx(round(time / 0.06)) for time in arrived)
    assert len(set(arrived)) < len(arrived) / 4
    assert link(Batches(), capacity=[(0, 8_000), (1, 0)]).offer(102.0, 500).arrives_at == math.inf


def test_jitter_overtakes_if_it_may():
    def backwards(overtaking):
        jittered = link(Jitter(most=0.05, overtaking=overtaking))
        arrived = [passage.arrives_at for _, passage in passages(jittered)]
        return sum(b < a for a, b in pairwise(arrived))

    assert backwards(overtaking=False) == 0
    assert backwards(overtaking=True) > 1_000
    assert 0.06 < max(ways(link(Jitter(most=0.05, overtaking=True)))) <= 0.075


def test_what_overtakes_is_taken_out_first():
    jittered = link(Jitter(most=0.05, overtaking=True))
    for number in range(50):
        jittered.send(100 + 0.001 * number, number, 100)
    orders = []
    while (delivery := jittered.take(1000.0)) is not None:
        orders.append(delivery.order)
    assert orders != sorted(orders) == list(range(50))


def test_losses_are_as_frequent_as_they_should_be():
    alone = link(Loss(share=0.1))
    passages(alone)
    assert alone.lost == pytest.approx(500, rel=0.2)
    bursts = link(BurstLoss(good=95.0, bad=5.0))
    gone = [passage.arrives_at == math.inf for _, passage in passages(bursts)]
    assert sum(gone) == pytest.approx(250, rel=0.5)
    begins = sum(b and not a for a, b in pairwise(gone))
    assert sum(gone) / begins == pytest.approx(5, rel=0.4)


def test_feedback_gets_lost_and_late_in_order():
    lossy = link(LostFeedback(share=0.25))
    reports = [lossy.report(float(second)) for second in range(1_000)]
    assert reports.count(None) == pytest.approx(250, rel=0.2)
    late = link(LateFeedback(most=0.3))
    times = [late.report(second / 20) for second in range(1_000)]
    assert times == sorted(at for at in times if at is not None)
    assert max(at - second / 20 for second, at in enumerate(times) if at is not None) > 0.25
    both = link(LostFeedback(share=1.0), LateFeedback())
    assert both.report(0.0) is None


def test_a_way_back_of_its_own():
    assert link(report_delay=0.1).report(1.0) == pytest.approx(1.1)


def test_a_policer_drops_and_never_queues():
    policed = link(Policer(share=0.5, depth=0.1))
    taken = passages(policed, interval=0.0075)
    assert max(passage.waited for _, passage in taken) == 0
    carried = sum(8 * SIZE for _, passage in taken if passage.arrives_at < math.inf)
    assert carried == pytest.approx(0.5 * RATE * 50, rel=0.01)


def test_a_deep_queue_holds_seconds():
    deep = link(DeepQueue(seconds=1.5))
    waits = [deep.offer(100.0, SIZE) for _ in range(1_000)]
    assert max(passage.waited for passage in waits if passage) == pytest.approx(1.495, abs=0.011)
    assert link(DeepQueue(seconds=0.001)).queue_size == 100_000


def test_a_competing_flow_fills_the_queue_and_goes():
    shared = link(CompetingFlow(at=((10.0, 20.0),)), queue_size=75_000)
    seen = passages(shared, 60.0)
    waits = [passage.waited if passage else math.nan for _, passage in seen]
    before, during, after = waits[:1_000], waits[1_200:3_000], waits[3_200:]
    assert max(before) == max(after) == 0
    there = [wait for wait in during if not math.isnan(wait)]
    assert 0.2 < max(there) <= 0.3
    assert sorted(there)[len(there) // 2] > 0.1
    assert shared.dropped > 0
    # Nobody else sends: it has the link to itself.
    alone = link(CompetingFlow(at=((0.0, 10.0),)), queue_size=75_000)
    assert alone.statistics(109.0).queue_bytes > 20_000
    assert alone.statistics(109.0).sent == 0
    assert alone.statistics(120.0).queue_bytes == 0


def test_random_competitors_come_and_go():
    shared = link(CompetingFlow(lengths=(2.0, 5.0), every=5.0), queue_size=75_000)
    busy = [passage is None or passage.waited > 0.05 for _, passage in passages(shared, 60.0)]
    assert sum(b and not a for a, b in pairwise(busy)) > 3
    assert 0.1 < sum(busy) / len(busy) < 0.95


def test_clocks_step_and_drift():
    stepped = link(ClockSteps(at=((5.0, 1.0), (8.0, -3.0))))
    assert [stepped.far_clock(t) - t for t in (104.0, 106.0, 109.0)] == [0.0, 1.0, -2.0]
    drawn = link(ClockSteps(every=2.0))
    offsets = [drawn.far_clock(100.0 + t) - 100 - t for t in range(100)]
    steps = [b - a for a, b in pairwise(offsets) if b != a]
    assert min(steps) < 0 < max(steps)
    fast = link(ClockDrift(share=0.001), ClockSteps(at=((50.0, 1.0),)))
    assert fast.far_clock(200.0) - 200 == pytest.approx(0.1 + 1.0)


def test_the_interval_of_feedback_is_what_the_last_says():
    assert feedback_interval([], 0.1) == 0.1
    assert feedback_interval([Pauses(), FeedbackEvery(interval=0.05), Loss()], 0.1) == 0.05


def test_memory_is_bounded():
    chance = Random(1)
    episodes = Episodes((second + chance.random() / 2, 0.1) for second in range(10**6))
    inside = sum(episodes.inside(time / 10) for time in range(20_000))
    assert 1_000 < inside < 3_000
    assert len(episodes._begins) <= 2 * KEPT


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Pauses, {"every": 0}),
        (Pauses, {"lengths": (0.5, 0.1)}),
        (Pauses, {"lengths": (0.0, 0.1)}),
        (Loss, {"share": 1.5}),
        (LostFeedback, {"share": -0.5}),
        (Jitter, {"most": "long"}),
        (FeedbackEvery, {"interval": math.inf}),
    ],
)
def test_nonsense_is_refused(kind, arguments):
    (name,) = arguments
    with pytest.raises((TypeError, ValueError), match=name):
        kind(**arguments)


# --- a link that is turned while it works ------------------------------------------------------------


def test_what_waits_leaves_at_the_new_rate():
    turned = link(capacity=1_000_000)
    for number in range(10):
        turned.send(100.0, number, SIZE)
    assert turned.statistics(100.0).queue_delay == pytest.approx(0.1)
    turned.set_capacity(100.025, 100_000)
    # Two and a half are through; the rest of the third takes 50 ms, and each other one 100 ms.
    arrivals = []
    while (delivery := turned.take(1000.0)) is not None:
        arrivals.append(delivery.arrives_at - 0.02 - 100)
    assert arrivals[:4] == pytest.approx([0.01, 0.02, 0.075, 0.175])
    assert turned.capacity(100.03) == 100_000
    assert turned.statistics(100.8).queue_bytes == 0


def test_a_link_that_is_stopped_goes_on_later():
    turned = link(capacity=1_000_000)
    turned.send(100.0, "first", SIZE)
    turned.set_capacity(100.005, 0)
    turned.send(100.006, "second", SIZE)
    assert turned.next_arrival == math.inf
    turned.set_capacity(105.0, 1_000_000)
    first, second = turned.take(200.0), turned.take(200.0)
    assert first.payload == "first"
    assert 105.005 <= first.arrives_at - 0.02 <= 105.0101
    assert second.arrives_at - first.arrives_at == pytest.approx(0.01)
    assert turned.take(200.0) is None


def test_a_link_that_is_empty_can_be_turned():
    turned = link(Jitter(overtaking=True), capacity=1_000_000)
    turned.send(100.0, "under way", SIZE)
    turned.set_capacity(100.015, 2_000_000)
    turned.set_capacity(100.015, 2_000_000)
    assert turned.take(101.0).payload == "under way"
    assert turned.offer(101.0, SIZE).left == pytest.approx(101.005)
    with pytest.raises(ValueError, match="capacity"):
        turned.set_capacity(102.0, -1)


def test_what_got_lost_behind_the_link_takes_its_time_all_the_same():
    lossy = link(capacity=1_000_000, loss=1.0)
    for _ in range(4):
        lossy.send(100.0, None, SIZE)
    lossy.set_capacity(100.0, 500_000)
    assert lossy.statistics(100.0).queue_delay == pytest.approx(0.08)
    assert lossy.lost == 4


def test_nothing_is_transmitted_while_it_is_held():
    held = link()
    held.offer(100.0, SIZE)
    held.hold(100.002)
    assert held.free_at == pytest.approx(100.005)
    held.hold(100.1)
    assert held.offer(100.0, SIZE).left == pytest.approx(100.105)


def test_time_does_not_run_backwards():
    running = link()
    running.offer(105.0, SIZE)
    assert running.offer(104.0, SIZE).left == pytest.approx(105.01)
