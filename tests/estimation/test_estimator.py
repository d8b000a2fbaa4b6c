"""What an estimator makes of what it is told, step by step."""

from __future__ import annotations

import math

import pytest

from trio_allocator.estimation import Limit, PacketResult, SendSideEstimator, Usage

WAY = 0.05
START = 1_000_000


class Flow:
    """Packets sent and acknowledged, by hand."""

    def __init__(self, **options):
        self.estimator = SendSideEstimator(**{"start_bitrate": START} | options)
        self.now = 0.0
        self.sequence = 0
        self.untold = []

    def send(self, seconds, rate=START, *, size=1_250, way=WAY, lost=lambda _: False, cluster=None):
        """Packets at a rate; those told of are kept for `hear`."""
        interval = 8 * size / rate
        for _ in range(round(seconds / interval)):
            self.estimator.packet_sent(self.sequence, size, self.now, cluster)
            arrival = None if lost(self.sequence) else self.now + way
            self.untold.append(PacketResult(self.sequence, arrival))
            self.sequence += 1
            self.now += interval
        return self

    def hear(self, **options):
        # The peer's clock is another one: the way there and back takes no time.
        self.estimator.feedback(self.untold, self.now, **options)
        self.untold = []
        return self

    def run(self, seconds, rate=START, **options):
        """Send, and hear of it every tenth of a second."""
        for _ in range(round(seconds / 0.1)):
            self.send(0.1, rate, **options).hear()
        return self

    @property
    def estimate(self):
        return self.estimator.estimate

    @property
    def limit(self):
        return self.estimator.explain().limit


@pytest.fixture
def flow():
    return Flow()


# --- at first ----------------------------------------------------------------------------------


def test_it_begins_with_the_start_rate_and_says_so(flow):
    explanation = flow.estimator.explain()
    assert explanation.estimate == flow.estimate == START
    assert explanation.limit is Limit.START
    assert explanation.delay_based == START
    assert explanation.loss_based is explanation.acknowledged is explanation.rtt is None
    assert explanation.usage is Usage.NORMAL
    assert explanation.queue_delay == explanation.loss == explanation.silent_for == 0.0
    assert not explanation.application_limited
    assert flow.estimator.wake_at == math.inf


def test_packets_alone_change_nothing(flow):
    flow.send(0.9)
    assert flow.estimate == START
    assert flow.limit is Limit.START


def test_feedback_on_what_was_never_sent_is_none(flow):
    flow.estimator.feedback([PacketResult(7, 1.0), PacketResult(8, None)], 0.1)
    assert flow.limit is Limit.START


def test_used_it_grows_and_says_so(flow):
    flow.run(1.0)
    assert flow.estimate > 1.05 * START
    assert flow.limit is Limit.GROWTH


def test_unused_it_grows_no_further_than_half_as_much_again(flow):
    flow.run(20.0, 800_000)
    assert flow.estimate == pytest.approx(1_210_000, abs=1)
    explanation = flow.estimator.explain()
    assert explanation.limit is Limit.APPLICATION
    assert explanation.application_limited
    assert explanation.acknowledged == pytest.approx(800_000, rel=0.02)


def test_not_used_at_all_it_stays(flow):
    flow.run(5.0, 100_000)
    assert flow.estimate == START


# --- what it measures ----------------------------------------------------------------------


def test_the_round_trip_is_smoothed(flow):
    flow.send(0.1).hear()
    # The newest packet was sent 10 ms before.
    assert flow.estimator.explain().rtt == pytest.approx(0.01)
    flow.send(0.01)
    flow.now += 0.08
    flow.hear()
    assert flow.estimator.explain().rtt == pytest.approx(0.01 + 0.08 / 8)


def test_a_queue_lowers_it_and_it_says_so(flow):
    flow.run(1.0).run(0.5, way=WAY + 0.05)
    explanation = flow.estimator.explain()
    assert explanation.estimate < START
    assert explanation.limit is Limit.DELAY
    assert explanation.queue_delay == pytest.approx(0.05)


def test_when_the_queue_is_gone_it_comes_back(flow):
    flow.run(1.0).run(0.5, way=WAY + 0.05).run(0.3)
    assert flow.estimate > 0.95 * START


def test_a_growing_queue_is_overuse_before_it_stands(flow):
    flow.run(3.0)
    for index in range(60):
        flow.send(0.01, way=WAY + index * 0.002)
    flow.hear()
    assert flow.estimator.explain().usage is Usage.OVERUSED
    assert flow.limit is Limit.DELAY


def test_a_queue_that_does_not_drain_is_none_of_its_own(flow):
    flow.run(1.0)
    for _ in range(40):
        flow.run(0.1, flow.estimate, way=WAY + 0.15)
    # Halved and more, it has taken back most of it, and takes the queue for a part of the way.
    assert flow.estimate > 0.8 * START
    assert flow.estimator.explain().queue_delay == pytest.approx(0.0, abs=1e-9)


def test_a_clock_that_was_set_is_no_queue(flow):
    flow.run(2.0)
    before = flow.estimate
    flow.run(0.2, way=WAY + 5.0)
    assert flow.estimate >= before
    assert flow.estimator.explain().queue_delay == 0.0
    flow.run(0.2, way=WAY - 5.0)
    assert flow.estimate >= before


def test_nor_is_one_that_the_reader_knows_of_however_little_it_shows(flow):
    flow.run(2.0)
    before = flow.estimate
    flow.send(0.1, way=WAY + 0.2).hear(clock_jumps=1)
    assert flow.estimator.explain().queue_delay == 0.0
    flow.send(0.1, way=WAY + 0.2).hear(clock_jumps=1)
    assert flow.estimate >= before
    assert flow.limit is Limit.GROWTH


def test_a_clock_that_was_set_once_is_forgotten_once(flow):
    flow.run(0.5)
    for _ in range(5):
        flow.send(0.1, way=WAY + 0.2).hear(clock_jumps=1)
    flow.send(0.1, way=WAY + 0.3).hear(clock_jumps=1)
    assert flow.estimator.explain().queue_delay == pytest.approx(0.1)


# --- loss --------------------------------------------------------------------------------------


def test_much_loss_lowers_it_and_it_says_so(flow):
    flow.run(2.0, lost=lambda number: number % 5 == 0)
    explanation = flow.estimator.explain()
    assert explanation.limit is Limit.LOSS
    assert explanation.loss == pytest.approx(0.2, abs=0.03)
    assert explanation.estimate == explanation.loss_based < 0.85 * START
    assert explanation.delay_based > explanation.loss_based


def test_little_loss_is_no_concern(flow):
    flow.run(5.0, lost=lambda number: number % 20 == 0)
    assert flow.limit is not Limit.LOSS
    assert flow.estimator.explain().loss == pytest.approx(0.05, abs=0.02)


def test_what_arrives_after_all_was_not_lost(flow):
    for _ in range(30):
        flow.send(0.1)
        late = [PacketResult(number, None) for number, _ in flow.untold]
        flow.untold = late + flow.untold
        flow.hear()
    assert flow.limit is not Limit.LOSS
    assert flow.estimator.explain().loss == 0.0


def test_what_was_lost_before_a_decrease_is_answered_by_it(flow):
    flow.run(1.0)
    # A drop of the capacity: a queue, and half of what follows finds no room.
    flow.send(0.1, way=WAY + 0.1).hear()
    assert flow.limit is Limit.DELAY
    untold = [
        PacketResult(flow.sequence + index, None if index % 2 else flow.now + WAY + 0.1)
        for index in range(60)
    ]
    for result in untold:
        # They were sent before the feedback came.
        flow.estimator.packet_sent(result.sequence, 1_000, flow.now)
    flow.sequence += 60
    flow.untold = untold
    flow.hear().run(1.0, 700_000)
    assert flow.limit is not Limit.LOSS


def test_so_is_what_the_same_feedback_tells(flow):
    flow.run(1.0)
    flow.send(0.2, way=WAY + 0.1, lost=lambda number: number % 2 == 0).hear()
    assert flow.limit is Limit.DELAY
    flow.run(1.0, 700_000)
    assert flow.limit is not Limit.LOSS
    assert flow.estimator.explain().loss == 0.0


def test_what_was_not_counted_as_lost_is_not_taken_back(flow):
    flow.run(1.0).send(0.1, lost=lambda _: True).hear()
    late = [
        PacketResult(number, flow.now + WAY) for number in range(flow.sequence - 10, flow.sequence)
    ]
    flow.send(0.1, way=WAY + 0.1).hear()
    assert flow.limit is Limit.DELAY
    flow.run(0.2, 700_000, lost=lambda number: number % 2 == 0)
    flow.estimator.feedback(late, flow.now)
    flow.run(0.4, 700_000, lost=lambda number: number % 2 == 0)
    # Half of some 40 packets, and ten that arrived.
    assert flow.estimator.explain().loss == pytest.approx(20 / 50, abs=0.03)


# --- silence -----------------------------------------------------------------------------------


def test_silence_lowers_it_and_it_says_so_until_feedback_comes(flow):
    flow.run(1.0)
    before = flow.estimate
    flow.send(0.9)
    assert flow.estimate == before
    flow.send(0.2)
    assert flow.estimate == pytest.approx(before / 2, abs=1)
    assert flow.limit is Limit.SILENCE
    assert flow.estimator.explain().silent_for == pytest.approx(1.1, abs=0.02)
    flow.send(1.0)
    assert flow.estimate == pytest.approx(before / 4, abs=1)
    flow.untold = flow.untold[-10:]
    flow.hear()
    assert flow.limit is not Limit.SILENCE
    assert flow.estimator.explain().silent_for == 0.0


def test_time_alone_tells_too(flow):
    flow.run(1.0).send(0.9)
    assert flow.estimator.wake_at == pytest.approx(2.0)
    flow.estimator.advance(1.9)
    assert flow.limit is Limit.GROWTH
    flow.estimator.advance(flow.estimator.wake_at)
    assert flow.limit is Limit.SILENCE
    assert flow.estimator.wake_at == pytest.approx(3.0)


def test_sending_nothing_is_no_silence(flow):
    flow.run(1.0)
    before = flow.estimate
    flow.estimator.advance(1_000.0)
    assert flow.estimate == before
    assert flow.estimator.wake_at == math.inf


def test_loss_alone_is_feedback(flow):
    flow.run(1.0)
    for _ in range(20):
        flow.send(0.1, lost=lambda _: True).hear()
    assert flow.limit is Limit.LOSS


# --- bounds and the peer's wishes -------------------------------------------------------------


def test_it_says_when_its_bounds_hold_it():
    high = Flow(max_bitrate=1_050_000).run(3.0)
    assert (high.estimate, high.limit) == (1_050_000, Limit.MAXIMUM)
    low = Flow(min_bitrate=950_000)
    low.run(1.0).run(0.5, way=WAY + 0.2)
    assert (low.estimate, low.limit) == (950_000, Limit.MINIMUM)


def test_the_peer_may_want_less(flow):
    flow.run(1.0)
    flow.estimator.limit_reported(400_000, flow.now)
    assert (flow.estimate, flow.limit) == (400_000, Limit.RECEIVER)
    flow.run(1.0)
    assert (flow.estimate, flow.limit) == (400_000, Limit.RECEIVER)
    flow.estimator.limit_reported(5_000_000, flow.now)
    assert flow.estimate > START


def test_the_least_of_loss_and_limit_counts(flow):
    flow.estimator.limit_reported(900_000, 0.0)
    flow.run(2.0, lost=lambda number: number % 5 == 0)
    assert flow.limit is Limit.LOSS
    flow.estimator.limit_reported(100_000, flow.now)
    assert flow.limit is Limit.RECEIVER


def test_without_better_feedback_the_peer_s_limit_is_the_estimate(flow):
    for _ in range(20):
        flow.send(0.2)
        flow.estimator.limit_reported(1_300_000, flow.now)
    assert (flow.estimate, flow.limit) == (1_300_000, Limit.RECEIVER)
    flow.send(0.2)
    flow.estimator.limit_reported(9_000_000, flow.now)
    assert flow.estimate == pytest.approx(1_510_000, rel=0.02)
    flow.estimator.limit_reported(200_000, flow.now)
    assert (flow.estimate, flow.limit) == (200_000, Limit.RECEIVER)


def test_or_loss_is(flow):
    for _ in range(5):
        flow.send(1.0)
        flow.estimator.loss_reported(0.0, flow.now)
    assert flow.estimate == pytest.approx(START * 1.08**4, rel=0.001)
    assert flow.limit is Limit.GROWTH
    flow.send(0.5)
    flow.estimator.loss_reported(0.4, flow.now)
    assert flow.limit is Limit.LOSS
    assert flow.estimator.explain().loss == 0.4
    assert flow.estimate == pytest.approx(START * 1.08**4 * 0.8, rel=0.001)


def test_where_the_peer_names_a_limit_loss_does_not_raise_it(flow):
    flow.send(0.5)
    flow.estimator.limit_reported(500_000, flow.now)
    flow.send(0.5)
    flow.estimator.loss_reported(0.0, flow.now)
    assert flow.estimate == 500_000


def test_with_better_feedback_reports_of_loss_are_old_news(flow):
    flow.run(1.0)
    before = flow.estimator.explain()
    flow.estimator.loss_reported(0.9, flow.now)
    assert flow.estimator.explain() == before


def test_reports_are_no_silence(flow):
    for _ in range(6):
        flow.send(0.5)
        flow.estimator.loss_reported(0.05, flow.now)
    assert flow.limit is not Limit.SILENCE
    for _ in range(6):
        flow.send(0.5)
        flow.estimator.limit_reported(800_000, flow.now)
    assert flow.limit is Limit.RECEIVER


# --- probes ------------------------------------------------------------------------------------


def test_it_plans_probes_from_the_start(flow):
    first = flow.estimator.next_probe(0.0)
    assert (first.id, first.bitrate) == (1, 3 * START)
    assert flow.estimator.next_probe(0.0) is None
    assert flow.estimator.next_probe(0.1).bitrate == 6 * START


def test_none_goes_far_beyond_what_is_wanted_or_allowed():
    assert Flow().estimator.next_probe(0.0, 1_500_000).bitrate == 1_800_000
    assert Flow(max_bitrate=2_000_000).estimator.next_probe(0.0).bitrate == 2_400_000
    limited = Flow()
    limited.estimator.limit_reported(1_500_000, 0.0)
    assert limited.estimator.next_probe(0.0).bitrate == 1_800_000


def test_what_a_probe_finds_is_the_estimate(flow):
    probe = flow.estimator.next_probe(0.0)
    flow.send(0.03, probe.bitrate, cluster=probe.id).hear()
    assert flow.estimate == pytest.approx(3 * START)
    assert flow.estimator.next_probe(flow.now).bitrate == 6 * START


def test_a_probe_that_met_the_end_of_the_link_has_found_it(flow):
    flow.estimator.next_probe(0.0)
    probe = flow.estimator.next_probe(0.1)
    flow.now = 0.1
    for index in range(20):
        flow.send(0.01 / 6, probe.bitrate, way=WAY + index * 0.01 / 6, cluster=probe.id)
    flow.hear()
    assert flow.estimate == pytest.approx(0.95 * 3 * START, rel=0.01)
    assert flow.estimator.next_probe(flow.now) is None
    assert flow.estimator.carried == 0  # it had to wait


def test_a_cluster_of_somebody_else_s_counts_as_well(flow):
    flow.send(0.03, 2_000_000, cluster=77).hear()
    assert flow.estimate == pytest.approx(2_000_000)


def test_half_a_probe_is_none(flow):
    flow.send(0.03, 3_000_000, cluster=1, lost=lambda number: number % 2 == 0).hear()
    assert flow.estimate == START


def test_there_is_no_probe_while_a_queue_drains(flow):
    flow.run(1.0).run(0.2, way=WAY + 0.1)
    assert flow.estimator.next_probe(100.0) is None


def test_nor_while_much_is_lost(flow):
    flow.run(2.0, lost=lambda number: number % 5 == 0)
    assert flow.estimator.next_probe(100.0) is None


def test_nor_in_silence(flow):
    flow.run(1.0).send(1.2)
    assert flow.estimator.next_probe(flow.now) is None


def test_congestion_voids_what_was_planned(flow):
    flow.estimator.next_probe(0.0)
    flow.run(0.5).run(0.2, way=WAY + 0.1).run(1.2)
    assert flow.limit is not Limit.DELAY
    assert flow.estimator.next_probe(flow.now) is None


# --- input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_bitrate": -1}, "start_bitrate"),
        ({"min_bitrate": math.nan}, "min_bitrate"),
        ({"max_bitrate": math.inf}, "max_bitrate"),
        ({"start_bitrate": 1_000}, "must be from min_bitrate"),
        ({"max_bitrate": 100_000}, "must be from min_bitrate"),
        ({"min_bitrate": 0}, "above 0"),
    ],
)
def test_rates_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SendSideEstimator(**options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e: e.packet_sent(1.0, 100, 0.0), TypeError, "sequence"),
        (lambda e: e.packet_sent(True, 100, 0.0), TypeError, "sequence"),
        (lambda e: e.packet_sent(1, -1, 0.0), ValueError, "size"),
        (lambda e: e.packet_sent(1, "1", 0.0), TypeError, "size"),
        (lambda e: e.packet_sent(1, 100, 0.0, -1), ValueError, "cluster"),
        (lambda e: e.packet_sent(1, 100, 0.0, "a"), TypeError, "cluster"),
        (lambda e: e.packet_sent(1, 100, "soon"), TypeError, "now must be a number of seconds"),
        (lambda e: e.packet_sent(1, 100, math.inf), ValueError, "now must be finite"),
        (lambda e: e.feedback([], math.nan), ValueError, "now must be finite"),
        (lambda e: e.feedback([], None), TypeError, "now"),
        (lambda e: e.feedback([], 0.0, clock_jumps=0.5), TypeError, "clock_jumps"),
        (lambda e: e.loss_reported(1.1, 0.0), ValueError, "fraction"),
        (lambda e: e.limit_reported(-1, 0.0), ValueError, "bitrate"),
        (lambda e: e.next_probe(0.0, math.nan), ValueError, "wanted"),
        (lambda e: e.advance(math.inf), ValueError, "now"),
    ],
)
def test_what_is_not_usable_is_refused_and_changes_nothing(call, error, message):
    estimator = SendSideEstimator()
    with pytest.raises(error, match=message):
        call(estimator)
    assert estimator.explain() == SendSideEstimator().explain()
    assert estimator.wake_at == math.inf
    estimator.packet_sent(2, 100, 3.0)
    assert estimator.wake_at == 10.5  # its time is that of the packet


def test_sizes_are_floored_and_sequences_may_be_any_whole_number(flow):
    class Number(int):
        pass

    flow.estimator.packet_sent(Number(-5), 1_000.7, 0.0)
    flow.estimator.feedback([PacketResult(-5, 0.05)], 0.1)
    assert flow.limit is not Limit.START


def test_a_clock_that_goes_back_stands_still(flow):
    flow.run(1.0)
    before = flow.estimator.explain()
    flow.estimator.advance(-100.0)
    flow.estimator.packet_sent(9_999, 1_000, math.nan)
    flow.estimator.feedback([PacketResult(9_999, flow.now + WAY)], 0.5)
    assert flow.estimator.explain().estimate == pytest.approx(before.estimate, rel=0.01)


def test_times_that_no_clock_shows_are_ignored(flow):
    flow.run(1.0).send(0.1)
    before = flow.estimator.explain()
    for arrival in (math.nan, math.inf, -math.inf, 1e300):
        results = [PacketResult(number, arrival) for number, _ in flow.untold]
        flow.estimator.feedback(results, flow.now)
    assert flow.estimator.explain() == before


# --- what it knows comes back ------------------------------------------------------------------


def silent(flow, seconds):
    """Send without an answer."""
    flow.send(seconds)
    flow.estimator.advance(flow.now)
    flow.untold = []
    return flow


def test_after_silence_the_first_feedback_brings_back_a_half(flow):
    flow.run(2.0)
    known = flow.estimate
    silent(flow, 5.5)
    assert flow.estimate == pytest.approx(known / 2**5, rel=0.01)
    flow.send(0.1, 60_000).hear()
    assert flow.estimate == pytest.approx(known / 2, rel=0.01)
    assert flow.limit is not Limit.SILENCE


def test_and_a_probe_asks_for_the_rest(flow):
    flow.run(2.0)
    known = flow.estimate
    silent(flow, 5.5).send(0.1, 60_000).hear()
    probe = flow.estimator.next_probe(flow.now)
    assert probe.bitrate == pytest.approx(known, rel=0.01)
    flow.send(0.03, probe.bitrate, cluster=probe.id).hear()
    assert flow.estimate == pytest.approx(known, rel=0.02)


def test_what_was_carried_before_is_carried_again_as_far_as_the_estimate_goes(flow):
    flow.run(2.0)
    known, carried = flow.estimate, flow.estimator.carried
    assert known / 2 < carried < known
    silent(flow, 9.0)
    assert flow.estimator.carried == carried > flow.estimate  # nothing speaks against it
    flow.send(0.1, 60_000).hear()
    assert flow.estimator.carried == flow.estimate == pytest.approx(known / 2, rel=0.01)
    flow.run(4.0, 100_000)
    assert flow.estimator.carried == flow.estimate
    flow.run(1.5, 100_000)
    assert flow.estimator.carried < carried / 2  # nothing showed it again


def test_what_is_carried_is_not_believed_after_a_second_silence_that_follows_soon(flow):
    flow.run(2.0)
    carried = flow.estimator.carried
    silent(flow, 9.0).send(0.1, 60_000).hear()
    flow.run(5.5, 100_000)
    silent(flow, 9.0).send(0.1, 60_000).hear()
    assert flow.estimator.carried < carried / 2


def test_what_was_lost_in_the_silence_is_answered_by_it(flow):
    flow.run(2.0)
    known = flow.estimate
    flow.send(3.5, lost=lambda _: True)
    flow.estimator.advance(flow.now)
    flow.send(0.1, 60_000).hear()
    assert flow.estimate == pytest.approx(known / 2, rel=0.01)
    assert flow.estimator.explain().loss_based is None
    flow.run(1.0, known / 2)
    assert flow.estimator.explain().loss == 0


def test_the_next_connection_may_begin_with_a_half_of_what_is_known(flow):
    assert flow.estimator.explain().start_bitrate == START
    flow.run(2.0)
    known = flow.estimate
    assert flow.estimator.explain().start_bitrate == pytest.approx(known / 2, rel=0.01)
    silent(flow, 5.5)
    assert flow.estimator.explain().start_bitrate == pytest.approx(known / 2, rel=0.01)


def test_it_may_not_begin_below_the_least():
    flow = Flow(start_bitrate=30_000, min_bitrate=20_000).run(1.0, 30_000, size=75)
    assert flow.estimator.explain().start_bitrate == 20_000


def test_a_large_decrease_that_was_brief_is_followed_by_a_probe_for_what_was_before(flow):
    flow.run(2.0)
    for tenth in range(4):
        flow.run(0.1, way=WAY + 0.05 * tenth)
    fell_from = flow.estimator._control._before
    flow.run(0.3, 500_000)
    assert flow.estimate < 0.9 * fell_from
    assert flow.estimator.next_probe(flow.now).bitrate == round(fell_from)


# --- the way -----------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [0.02, 0.05, 0.2, 1.0, 2.9])
@pytest.mark.parametrize("rate", [400_000, 2_000_000, 9_000_000])
def test_a_way_that_becomes_longer_is_no_queue(extra, rate):
    flow = Flow(start_bitrate=rate)
    least, before = math.inf, rate
    for tenth in range(60):
        sending = min(flow.estimate, rate)
        flow.run(
            0.1, sending, size=round(max(rate / 8 / 100, 100)), way=WAY + extra * (tenth >= 20)
        )
        if tenth == 19:
            before = flow.estimate
        least = min(least, flow.estimate / before) if tenth >= 20 else least
        if tenth == 50:
            assert flow.estimate > 0.95 * before
    assert least > 0.69


# --- peers that say little ---------------------------------------------------------------------


def test_before_the_first_report_nothing_is_lowered_for_seven_seconds(flow):
    flow.send(7.4)
    flow.estimator.advance(flow.now)
    assert flow.estimate == START
    flow.send(0.2)
    flow.estimator.advance(flow.now)
    assert flow.estimate == START / 2


def test_reports_take_over_from_feedback_that_ends(flow):
    flow.run(2.0)
    known = flow.estimate
    flow.send(1.5)
    flow.estimator.loss_reported(0.0, flow.now)
    assert flow.limit is Limit.SILENCE  # feedback may come yet
    flow.send(1.0)
    flow.estimator.loss_reported(0.0, flow.now)
    assert flow.limit is not Limit.SILENCE
    assert flow.estimate == pytest.approx(known / 2, rel=0.01)
    for _ in range(4):
        flow.send(5.0)
        flow.estimator.loss_reported(0.0, flow.now)
    assert flow.estimate > known


def test_what_a_peer_wanted_ages(flow):
    flow.run(1.0)
    flow.estimator.limit_reported(200_000, flow.now)
    assert flow.estimator.wake_at <= flow.now + 7.5
    flow.run(7.4, 200_000)
    assert (flow.estimate, flow.limit) == (200_000, Limit.RECEIVER)
    flow.run(0.2, 200_000)
    assert flow.estimate > 500_000
    assert flow.limit is not Limit.RECEIVER


def test_that_is_so_if_nothing_else_comes(flow):
    flow.run(1.0)
    flow.estimator.limit_reported(200_000, flow.now)
    flow.estimator.advance(flow.now + 7.6)
    assert flow.estimate > 500_000
    assert flow.estimator.wake_at == math.inf


# --- feedback that was lost --------------------------------------------------------------------


@pytest.mark.parametrize("every", [2, 3, 5])
def test_what_lost_feedback_would_have_told_has_arrived(flow, every):
    for tenth in range(40):
        flow.send(0.1)
        if tenth % every:
            flow.hear()
        else:
            flow.untold = []
    assert flow.estimator.explain().acknowledged == pytest.approx(START, rel=0.02)
    assert flow.estimator.explain().loss == 0


def test_what_was_told_to_be_lost_has_not(flow):
    flow.run(2.0, lost=lambda number: number % 4 == 0)
    assert flow.estimator.explain().acknowledged == pytest.approx(0.75 * START, rel=0.03)


def test_a_late_feedback_is_not_counted_twice(flow):
    for _ in range(10):
        flow.send(0.1)
        late, flow.untold = flow.untold, []
        flow.send(0.1).hear()
        flow.untold = late
        flow.hear()
    assert flow.estimator.explain().acknowledged == pytest.approx(START, rel=0.03)
