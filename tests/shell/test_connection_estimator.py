"""A connection's estimator: packets and feedback in, estimates out, for as long as a block."""

import gc
import io
import json
import math
import weakref
from collections import Counter
from functools import partial
from itertools import pairwise

import pytest
import trio
import trio.lowlevel
import trio.testing

from tests.estimation.feedbacks import SDES, arrived, reported
from tests.shell.support import CAMERA, LOW, next_deadline, tasks
from trio_allocator import (
    ConnectionEstimator,
    PassthroughAllocator,
    ReceiverHandle,
    Track,
    open_allocator,
    open_connection_estimator,
)
from trio_allocator.estimation import (
    FeedbackError,
    FeedbackLog,
    FeedbackRecorder,
    Limit,
    Remb,
    SendSideEstimator,
)
from trio_allocator.shell.connection_estimator import BURST, UNCHANGED
from trio_allocator.testing import EstimateDelivered, MemoryLink, RecordingAllocator

START = 300_000


@pytest.fixture
async def allocator():
    with RecordingAllocator() as recording:
        yield recording


def told(allocator):
    """Estimates that an allocator was told of, with their times."""
    return [(call.time, call.what.estimate) for call in allocator.calls_of(EstimateDelivered)]


class Peer:
    """The far end of a link of 5 Mbit/s and 40 ms there and back: it reports every 50 ms."""

    def __init__(self, estimator, capacity=5_000_000):
        self.estimator = estimator
        self.link = MemoryLink(capacity, delay=0.02)
        self.sizes = []

    def send(self, size):
        """A packet that leaves at once."""
        self.link.send_nowait(self.estimator.packet_sent(size), size)
        self.sizes.append(size)

    def forward(self, size, sequence):
        """A packet whose turn has come."""
        self.link.send_nowait(sequence, size)
        self.sizes.append(size)

    async def run(self):
        recorder = FeedbackRecorder(1, 1)
        while True:
            await trio.sleep(0.05)
            arrived = False
            while True:
                try:
                    delivery = self.link.receive_nowait()
                except trio.WouldBlock:
                    break
                recorder.received(delivery.payload, delivery.arrives_at)
                arrived = True
            if arrived:
                data = b"".join(feedback.build() for feedback in recorder.build_feedback())
                self.estimator.feedback_received(data)


async def talk(peer, seconds, rate=400_000):
    """Send so much, bit/s, in packets of 500 bytes; meanwhile, the peer reports."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.run)
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            peer.send(500)
            await trio.sleep(4000 / rate)
        nursery.cancel_scope.cancel()


# --- what an allocator is told ---------------------------------------------------------------


async def test_the_start_rate_is_told_at_once(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        assert told(allocator) == [(trio.current_time(), START)]
        assert estimator.estimate == START
        assert estimator.explain().limit is Limit.START


async def test_an_estimator_of_ones_own_brings_its_bounds(allocator, autojump_clock):
    own = SendSideEstimator(start_bitrate=1_000_000, max_bitrate=1_200_000)
    async with open_connection_estimator(allocator, estimator=own) as estimator:
        assert told(allocator)[0][1] == 1_000_000
        await talk(Peer(estimator), 8, rate=1_100_000)
        assert estimator.estimate == 1_200_000


async def test_feedback_is_an_estimate_within_the_call(autojump_clock):
    async with open_allocator() as allocator, open_connection_estimator(allocator) as estimator:
        peer = Peer(estimator)
        await talk(peer, 10)
        assert allocator.estimate.value == estimator.estimate
        assert 500_000 < estimator.estimate <= 1.5 * 400_000 + 20_000


async def test_what_changes_nothing_is_told_all_the_same_for_it_is_news(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        estimator.feedback_received(Remb(1, 200_000).build())
        await trio.sleep(0.5)
        estimator.feedback_received(Remb(1, 200_000).build())
    assert [estimate for _, estimate in told(allocator)] == [START, 200_000, 200_000]


async def test_what_changes_nothing_is_not_told_with_each_feedback(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        for _ in range(20):
            estimator.feedback_received(Remb(1, 200_000).build())
            await trio.sleep(0.3 * UNCHANGED)
        estimator.feedback_received(Remb(1, 190_000).build())
        assert estimator.statistics().feedbacks == 21
    begun, *times, changed = [time for time, _ in told(allocator)]
    assert begun == times[0]
    # With every fourth feedback.
    periods = [after - before for before, after in pairwise(times)]
    assert periods == pytest.approx([1.2 * UNCHANGED] * 4)
    assert changed - times[0] == pytest.approx(6 * UNCHANGED), "at once"


async def test_a_peer_may_have_an_estimate_of_its_own(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        for _ in range(100):
            estimator.packet_sent(1_000)
            await trio.sleep(0.01)
            estimator.feedback_received(Remb(1, 700_000).build())
        assert estimator.estimate == 700_000


async def test_or_may_tell_no_more_than_its_losses(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        estimator.feedback_received(reported(0, 0))
        for second in range(1, 6):
            for _ in range(100):
                estimator.packet_sent(1_000)
                await trio.sleep(0.01)
            estimator.feedback_received(reported(100 * second, 0) + SDES)
        risen = estimator.estimate
        assert risen > START
        estimator.feedback_received(reported(600, 50))
        assert estimator.estimate == told(allocator)[-1][1] < 0.8 * risen


async def test_other_rtcp_is_skipped(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        estimator.feedback_received(SDES)
        assert len(told(allocator)) == 1


async def test_feedback_on_nothing_changes_nothing(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        estimator.feedback_received(arrived((7, 0.0), (8, 0.1)))
        assert estimator.explain().limit is Limit.START


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_bytes_of_any_kind_will_do(allocator, kind, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        estimator.feedback_received(kind(Remb(1, 200_000).build()))
        assert estimator.estimate == 200_000


@pytest.mark.parametrize("data", [b"\x00", Remb(1, 200_000).build()[:-4]])
async def test_garbage_raises_at_the_call_and_changes_nothing(allocator, data, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        with pytest.raises(FeedbackError):
            estimator.feedback_received(data)
        assert told(allocator) == [(trio.current_time(), START)]
        assert estimator.explain().limit is Limit.START


@pytest.mark.parametrize("data", [7, "text", None])
async def test_what_is_no_bytes_is_refused(allocator, data, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        with pytest.raises(TypeError, match="data must be bytes"):
            estimator.feedback_received(data)


# --- what time brings ------------------------------------------------------------------------


async def test_in_a_pause_the_estimate_is_told_again_every_second(autojump_clock):
    async with open_allocator() as allocator, open_connection_estimator(allocator):
        await trio.sleep(60)
        assert allocator.estimate.value == START


async def test_it_is_told_no_more_often_than_that(allocator, autojump_clock):
    async with open_connection_estimator(allocator):
        await trio.sleep(3.5)
    times = [time for time, _ in told(allocator)]
    assert [time - times[0] for time in times] == pytest.approx([0, 1, 2, 3])


async def test_packets_without_feedback_lower_it_when_the_longest_time_between_reports_is_over(
    allocator, autojump_clock
):
    async with open_connection_estimator(allocator) as estimator:
        await trio.sleep(0.25)
        begun = trio.current_time()
        for _ in range(160):
            estimator.packet_sent(500)
            await trio.sleep(0.1)
        assert estimator.explain().limit is Limit.SILENCE
    falls = [(time - begun, estimate) for time, estimate in told(allocator) if estimate < START]
    assert sorted({estimate for _, estimate in falls}) == [START // 4, START // 2]
    assert falls[0][0] == pytest.approx(7.5)


# --- numbers ---------------------------------------------------------------------------------


async def test_packets_are_numbered_as_on_the_wire(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        assert [estimator.packet_sent(10) for _ in range(3)] == [0, 1, 2]
    async with open_connection_estimator(allocator, first_sequence=65_535) as estimator:
        assert [estimator.packet_sent(10) for _ in range(3)] == [65_535, 0, 1]


async def test_numbers_may_come_from_elsewhere_in_any_order(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        given = [65_534, 1, 65_535, 0]
        assert [estimator.packet_sent(1_000, number) for number in given] == given
        assert estimator.packet_sent(1_000) == 2
        estimator.feedback_received(arrived((65_534, 0.0), (65_535, 0.1), (1, 0.2), (2, 0.3)))
        assert estimator.explain().loss == 0
        assert estimator.explain().rtt == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((-1,), ValueError), (("7",), TypeError), ((7, 65_536), ValueError), ((7, 1.0), TypeError)],
)
async def test_a_packet_that_can_not_be_is_not_counted(allocator, arguments, error, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        with pytest.raises(error):
            estimator.packet_sent(*arguments)
        assert estimator.packet_sent(7) == 0


# --- pacing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "factor"), [({}, 1.0), ({"pacing_factor": 2.5}, 2.5)])
async def test_packets_leave_in_turn_at_the_pace(allocator, options, factor, autojump_clock):
    sent = []

    def send(name, number):
        sent.append((name, number, trio.current_time()))

    pace = 8 * 1_500 / (factor * START)
    async with open_connection_estimator(allocator, **options) as estimator:
        begun = trio.current_time()
        for name in "abc":
            estimator.pace(partial(send, name), 1_500)
        estimator.pace(partial(send, "first"), 1_500, priority=1)
        assert not sent, "not within the call"
        assert (estimator.queue_bytes, estimator.queue_time) == (6_000, pytest.approx(4 * pace))
        await trio.sleep(1.5 * pace - BURST)
        assert estimator.packet_sent(100) == 2
        await trio.sleep(1)
    assert [row[:2] for row in sent] == [("first", 0), ("a", 1), ("b", 3), ("c", 4)]
    times = [time - begun for _name, _number, time in sent]
    second = max(pace - BURST, BURST)  # no two wake-ups are closer
    assert times == pytest.approx([0, second, 2 * pace - BURST, 3 * pace - BURST])


async def test_a_new_estimate_is_a_new_pace(allocator, autojump_clock):
    sent = []
    async with open_connection_estimator(allocator) as estimator:
        begun = trio.current_time()
        for _ in range(3):
            estimator.pace(lambda _number: sent.append(trio.current_time() - begun), 1_500)
        await trio.lowlevel.checkpoint()
        estimator.feedback_received(Remb(1, 100_000).build())
        await trio.sleep(1)
    pace = 8 * 1_500 / 100_000
    assert sent == pytest.approx([0, pace - BURST, 2 * pace - BURST])


@pytest.mark.parametrize("burst", [0.005, 0.02, 0.05])
async def test_a_picture_leaves_whole_where_bursts_may_be_long(burst, allocator, autojump_clock):
    fast = SendSideEstimator(start_bitrate=2_000_000)
    sent = []
    options = {"estimator": fast, "pacing_burst": burst}
    async with open_connection_estimator(allocator, **options) as estimator:
        begun = trio.current_time()
        for _ in range(5):  # 5 ms each
            estimator.pace(lambda _number: sent.append(trio.current_time() - begun), 1_250)
        await trio.sleep(1)
    assert sum(at == 0 for at in sent) == min(1 + burst / 0.005, 5)


@pytest.mark.parametrize("burst", [0, -1, math.nan, "long"])
async def test_a_burst_is_a_time(burst, allocator, autojump_clock):
    with pytest.raises((TypeError, ValueError), match="pacing_burst must be"):
        async with open_connection_estimator(allocator, pacing_burst=burst):
            pass


async def test_what_is_due_together_leaves_in_one_wake_up(allocator, autojump_clock):
    fast = SendSideEstimator(start_bitrate=10_000_000)
    sent = []
    async with open_connection_estimator(allocator, estimator=fast) as estimator:
        begun = trio.current_time()
        for _ in range(1_000):
            estimator.pace(lambda _number: sent.append(trio.current_time() - begun), 125)
        await trio.sleep(1)
    # 0.1 ms for each: by so many single wake-ups, or by ten.
    assert len(set(sent)) <= 11
    assert sent[-1] == pytest.approx(0.1, abs=BURST + 0.001)


async def test_a_packet_that_brings_nothing_forward_sets_no_timer(
    allocator, monkeypatch, autojump_clock
):
    # Setting a deadline costs more than all else of a packet, even to what it is.
    deadlines = []
    setter = trio.CancelScope.deadline.fset  # type: ignore[attr-defined]

    def counted(scope, deadline):
        deadlines.append(deadline)
        setter(scope, deadline)

    async with open_connection_estimator(allocator) as estimator:
        await trio.testing.wait_all_tasks_blocked()
        counting = property(trio.CancelScope.deadline.fget, counted)  # type: ignore[attr-defined]
        monkeypatch.setattr(trio.CancelScope, "deadline", counting)
        for _ in range(10):
            estimator.pace(lambda _number: None, 1_000)
        monkeypatch.undo()
    assert len(deadlines) == 1
    assert deadlines[0] <= trio.current_time()


async def test_audio_is_never_paced_below_what_it_holds(autojump_clock):
    slow = SendSideEstimator(start_bitrate=8_000)
    sent = []
    async with (
        open_allocator() as allocator,
        open_connection_estimator(allocator, estimator=slow) as estimator,
    ):
        allocator.register_track_receiver(Track("voice", kind="audio"), 40_000)
        await trio.sleep(1.1)  # it is told again
        for _ in range(50):
            made = trio.current_time()

            def send(_number, made=made):
                sent.append(trio.current_time() - made)

            estimator.pace(send, 140, priority=9)
            await trio.sleep(0.02)
    assert len(sent) == 50
    assert max(sent) < 0.02


async def test_what_waits_of_a_layer_that_is_left_is_withdrawn(allocator, autojump_clock):
    sent = []
    async with open_connection_estimator(allocator) as estimator:
        for layer in ("low", "low", "high", "low"):
            estimator.pace(lambda _number, layer=layer: sent.append(layer), 1_000, key=layer)
        await trio.sleep(0.001)  # the first has left
        assert estimator.withdraw("low") == 2
        assert estimator.withdraw("low") == 0
        with pytest.raises(ValueError, match="key"):
            estimator.withdraw(None)
        await trio.sleep(1)
        assert estimator.statistics().withdrawn == 2
    assert sent == ["low", "high"]


# --- retransmissions -------------------------------------------------------------------------


async def test_a_packet_may_be_repeated_once_a_round_trip_and_the_queues_time(
    allocator, autojump_clock
):
    async with open_connection_estimator(allocator) as estimator:
        await talk(Peer(estimator), 2)
        rtt = estimator.explain().rtt
        assert estimator.may_repeat("a", 100)
        assert not estimator.may_repeat("a", 100)
        await trio.sleep(rtt + 0.001)
        assert estimator.may_repeat("a", 100)
        await trio.sleep(rtt - 0.001)
        for _ in range(10):
            estimator.pace(lambda _number: None, 1_000)
        await trio.sleep(0.002)
        assert not estimator.may_repeat("a", 100)
        await trio.sleep(1)
        assert estimator.may_repeat("a", 100)
        statistics = estimator.statistics()
        assert (statistics.repeated, statistics.repeated_bytes) == (3, 300)


@pytest.mark.parametrize("share", [0.25, 0.5])
async def test_all_repeated_are_a_share_of_the_estimate(allocator, share, autojump_clock):
    options = {} if share == 0.25 else {"repeat_share": share}
    repeated = 0
    async with open_connection_estimator(allocator, **options) as estimator:
        for number in range(1_000):
            repeated += 500 * estimator.may_repeat(number, 500)
            await trio.sleep(0.01)
    assert repeated == pytest.approx(share * START / 8 * 10, rel=0.05)


# --- before there is a connection ------------------------------------------------------------


async def test_before_it_is_connected_nothing_happens(allocator, autojump_clock):
    sent = []
    async with open_connection_estimator(allocator, connected=False) as estimator:
        assert not estimator.is_connected
        assert not estimator.pace(sent.append, 1_000)
        with pytest.raises(RuntimeError, match="connected"):
            estimator.packet_sent(1_000)
        with pytest.raises(ValueError, match="size"):
            estimator.pace(sent.append, 0)
        assert not estimator.may_repeat("a", 100)
        estimator.feedback_received(Remb(1, 200_000).build())
        await trio.sleep(10)
        assert not told(allocator)
        assert not sent
        estimator.connected()
        estimator.connected()
        assert told(allocator) == [(trio.current_time(), START)]
        assert estimator.is_connected
        assert estimator.pace(sent.append, 1_000)
        await trio.sleep(1)
    assert sent == [0]
    with pytest.raises(trio.ClosedResourceError):
        estimator.connected()


# --- between estimator and allocator ---------------------------------------------------------


async def test_who_takes_the_estimates_tells_the_allocator(allocator, autojump_clock):
    def cap(estimate, carried):
        allocator.update_bandwidth_estimation(min(estimate, 250_000), carried=carried)

    async with open_connection_estimator(allocator, on_estimate=cap) as estimator:
        await talk(Peer(estimator), 2)
        assert estimator.estimate > 250_000
    assert {estimate for _time, estimate in told(allocator)} == {250_000}


async def test_with_feedback_the_allocator_is_told_most_of_what_was_carried(
    allocator, autojump_clock
):
    async with open_connection_estimator(allocator) as estimator:
        assert allocator.calls_of(EstimateDelivered)[-1].what.carried is None
        assert estimator.carried is None
        await talk(Peer(estimator), 2)
        carried = allocator.calls_of(EstimateDelivered)[-1].what.carried
        assert carried == int(0.95 * estimator.carried)
        assert carried == pytest.approx(0.95 * 400_000, rel=0.05)


async def test_probes_go_as_far_as_receivers_claim(autojump_clock):
    estimates = []
    for claim in (0, 500_000):
        async with open_allocator() as allocator, trio.open_nursery() as nursery:
            peers = []

            def pad(due, peers=peers):
                while due > 0:
                    peers[0].send(250)
                    due -= 250

            async with open_connection_estimator(allocator, send_padding=pad) as estimator:
                peers.append(Peer(estimator))
                if claim:
                    receiver = allocator.register_track_receiver(CAMERA, 0, pausable=True)
                    receiver.request_allocation(claim)
                await talk(peers[0], 3, rate=50_000)
                estimates.append(estimator.estimate)
                assert (estimator.statistics().probes > 0) == bool(claim)
            nursery.cancel_scope.cancel()
    assert estimates[0] == START
    assert START < estimates[1] <= 1.2 * 500_000


# --- what it has seen ------------------------------------------------------------------------


async def test_it_counts_what_was_sent_and_what_became_of_it(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        peer = Peer(estimator)
        await talk(peer, 2)
        estimator.packet_sent(200, padding=True)
        estimator.packet_sent(1_000)  # goes nowhere
        peer.send(500)
        await talk(peer, 1)
        statistics = estimator.statistics()
        assert statistics.sent == len(peer.sizes) + 2
        assert statistics.sent_bytes == sum(peer.sizes) + 1_200
        assert (statistics.padding, statistics.padding_bytes) == (1, 200)
        assert statistics.lost == 2
        under_way = statistics.sent - statistics.lost - statistics.acknowledged
        assert 0 <= under_way <= 10
        assert statistics.acknowledged_bytes == 500 * statistics.acknowledged
        assert statistics.feedbacks == pytest.approx(60, abs=4)
        assert statistics.estimates == len(told(allocator))
    assert estimator.statistics().as_dict()["sent"] == statistics.sent


async def test_a_log_has_all_of_it(allocator, autojump_clock):
    file = io.StringIO()
    log = FeedbackLog(file, {"camera": {"low": 150_000}}, START)

    def pad(size):
        peer.send(size)

    async with open_connection_estimator(
        allocator, log=log, send_padding=pad, wanted=lambda: 2_000_000
    ) as estimator:
        peer = Peer(estimator)
        await talk(peer, 1)
    head, *lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert head["start_bitrate"] == START
    kinds = Counter(next(name for name in line if name != "t") for line in lines)
    sent = [line["sent"] for line in lines if "sent" in line]
    assert [(number, size) for number, size, _cluster in sent] == list(enumerate(peer.sizes))
    assert kinds["rtcp"] == estimator.statistics().feedbacks
    assert kinds["estimate"] == estimator.statistics().estimates
    assert kinds["probe"] == estimator.statistics().probes > 0
    assert {line["probe"] for line in lines if "probe" in line} == {2_000_000}
    assert {cluster for _number, _size, cluster in sent} > {None}  # media, and a probe


async def test_paced_packets_are_estimated_by(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        peer = Peer(estimator)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)
            for _ in range(250):
                for _ in range(2):
                    estimator.pace(partial(peer.forward, 1_000), 1_000)
                await trio.sleep(0.04)
            nursery.cancel_scope.cancel()
        assert estimator.explain().acknowledged == pytest.approx(400_000, rel=0.1)
        assert estimator.estimate > 500_000


async def test_a_packet_may_enqueue_the_next_one(allocator, autojump_clock):
    sent = []

    async with open_connection_estimator(allocator) as estimator:

        def send(number):
            sent.append(number)
            if number < 3:
                estimator.pace(send, 100)

        estimator.pace(send, 100)
        await trio.sleep(1)
    assert sent == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((None, 5), TypeError), ((print, 0), ValueError), ((trio.sleep, 5), TypeError)],
)
async def test_what_can_not_be_paced_is_refused(allocator, arguments, error, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        with pytest.raises(error):
            estimator.pace(*arguments)


# --- probes ----------------------------------------------------------------------------------


@pytest.fixture
def probed(allocator):
    """Where a voice of 50 kbit/s and probes take the estimate within three seconds."""

    async def probe(*, responds=True, **options):
        peers = []

        def pad(due):
            while responds and due > 0:
                peers[0].send(250)
                due -= 250

        async with open_connection_estimator(allocator, send_padding=pad, **options) as estimator:
            peers.append(Peer(estimator))
            await talk(peers[0], 3, rate=50_000)
            return estimator.estimate, peers[0].sizes.count(250)

    return probe


async def test_probes_find_what_a_voice_alone_would_not(probed, autojump_clock):
    estimate, padding = await probed()
    assert estimate > 1_000_000
    assert 5 < padding < 400


async def test_without_somebody_who_pads_there_are_none(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        await talk(Peer(estimator), 3, rate=50_000)
        assert estimator.estimate <= START


async def test_no_probe_goes_far_beyond_what_is_wanted(probed, autojump_clock):
    estimate, padding = await probed(wanted=lambda: 500_000)
    assert START < estimate <= 1.2 * 500_000
    assert padding >= 5


async def test_where_nothing_is_wanted_nothing_is_probed(probed, autojump_clock):
    assert await probed(wanted=lambda: 0) == (START, 0)


async def test_what_is_wanted_later_is_probed_for_then(probed, autojump_clock):
    later = trio.current_time() + 1
    estimate, _ = await probed(wanted=lambda: 5_000_000 if trio.current_time() > later else 0)
    assert estimate > 1_000_000


async def test_a_probe_that_nobody_sends_ends(probed, autojump_clock):
    assert await probed(responds=False) == (START, 0)


async def test_media_that_wait_are_sent_as_a_probe(allocator, autojump_clock):
    padded = []
    async with open_connection_estimator(allocator, send_padding=padded.append) as estimator:
        peer = Peer(estimator)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)
            for _ in range(90):
                for _ in range(12):
                    estimator.pace(partial(peer.forward, 250), 250)
                await trio.sleep(0.08)
            nursery.cancel_scope.cancel()
        assert estimator.estimate > START
        assert sum(peer.sizes) == 90 * 12 * 250


# --- lifetime --------------------------------------------------------------------------------


class YoursError(Exception):
    """What the user's own code raises."""


@pytest.mark.parametrize(
    "yours",
    [
        YoursError(),
        ExceptionGroup("yours", [KeyError(1)]),
        trio.TooSlowError(),
        trio.ClosedResourceError("another one's"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
async def test_what_the_body_raises_leaves_the_block_as_it_was(allocator, yours, autojump_clock):
    with pytest.raises(type(yours)) as caught:
        async with open_connection_estimator(allocator):
            raise yours
    assert caught.value is yours


@pytest.mark.parametrize(
    "yours",
    [YoursError(), OSError("no route"), trio.BrokenResourceError("the socket"), SystemExit(3)],
    ids=repr,
)
@pytest.mark.parametrize("asleep", [True, False])
async def test_what_a_packet_raises_ends_it_and_leaves_the_block_unwrapped(
    allocator, yours, asleep, autojump_clock
):
    sent = []

    def send(_number):
        raise yours

    with pytest.raises(type(yours)) as caught:
        async with open_connection_estimator(allocator) as estimator:
            estimator.pace(send, 100)
            estimator.pace(sent.append, 100)
            if asleep:
                await trio.sleep_forever()
            await trio.testing.wait_all_tasks_blocked()
    assert caught.value is yours
    assert estimator.failure is yours
    assert not sent
    with pytest.raises(trio.ClosedResourceError):
        estimator.packet_sent(1)


async def test_what_padding_raises_does_so_too(allocator, autojump_clock):
    def pad(_due):
        raise YoursError

    with pytest.raises(YoursError):
        async with open_connection_estimator(allocator, send_padding=pad) as estimator:
            await talk(Peer(estimator), 3)


async def test_what_an_allocator_of_ones_own_raises_does_so_too(autojump_clock):
    class Picky(PassthroughAllocator):
        told = False

        def update_bandwidth_estimation(self, estimate, *, carried=None):
            if self.told:
                raise YoursError
            self.told = True

    with pytest.raises(YoursError):
        async with open_connection_estimator(Picky()):
            await trio.sleep(5)


async def test_what_the_wish_raises_is_raised_at_the_call(allocator, autojump_clock):
    def wish():
        raise YoursError

    async with open_connection_estimator(
        allocator, wanted=wish, send_padding=lambda _due: None
    ) as estimator:
        with pytest.raises(YoursError):
            estimator.feedback_received(Remb(1, 200_000).build())
        assert told(allocator)[-1][1] == 200_000


async def test_of_two_errors_the_packets_tells_of_the_bodys(allocator, autojump_clock):
    def send(_number):
        raise YoursError

    body = KeyError("body")
    with pytest.raises(YoursError) as caught:
        async with open_connection_estimator(allocator) as estimator:
            estimator.pace(send, 100)
            try:
                await trio.sleep_forever()
            finally:
                raise body
    assert caught.value.__context__ is body


async def test_a_time_out_around_it_is_a_time_out(allocator, autojump_clock):
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(1):
            async with open_connection_estimator(allocator):
                await trio.sleep_forever()


async def test_while_the_body_cleans_up_it_still_works(allocator, autojump_clock):
    numbers = []
    with trio.CancelScope() as scope:
        async with open_connection_estimator(allocator) as estimator:
            scope.cancel()
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                numbers.append(estimator.packet_sent(1))
    assert numbers == [0]


OPERATIONS = {
    "packet_sent": lambda estimator: estimator.packet_sent(1),
    "pace": lambda estimator: estimator.pace(print, 1),
    "feedback_received": lambda estimator: estimator.feedback_received(b""),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_after_the_block_nothing_is_left_and_every_call_says_so(
    allocator, operation, autojump_clock
):
    before, deadline = tasks(), next_deadline()
    async with open_connection_estimator(allocator) as estimator:
        estimator.pace(lambda _number: None, 100)
        await trio.testing.wait_all_tasks_blocked()
        assert tasks() != before
        assert next_deadline() != deadline
    assert tasks() == before
    assert next_deadline() == deadline
    with pytest.raises(trio.ClosedResourceError):
        OPERATIONS[operation](estimator)
    estimator.close()


async def test_nothing_holds_on_to_one_that_has_ended(allocator, autojump_clock):
    async with open_connection_estimator(allocator) as estimator:
        estimator.pace(lambda _number: None, 100)
        kept = weakref.ref(estimator)
    del estimator
    gc.collect()
    assert kept() is None


async def test_what_waits_when_it_is_closed_is_not_sent(allocator, autojump_clock):
    sent = []
    async with open_connection_estimator(allocator) as estimator:

        def send(number):
            sent.append(number)
            estimator.close()

        for _ in range(5):
            estimator.pace(send, 1)
        autojump_clock.jump(1)  # all of them are due at once
        await trio.sleep(1)
    assert sent == [0]


async def test_when_its_allocator_ends_so_does_it(autojump_clock):
    async with trio.open_nursery() as nursery:
        allocator = PassthroughAllocator.create(nursery)
        async with open_connection_estimator(allocator) as estimator:
            allocator.close()
            with pytest.raises(trio.ClosedResourceError, match="the allocator"):
                estimator.feedback_received(Remb(1, 200_000).build())
            assert estimator.packet_sent(1) == 0
            await trio.sleep(1.5)
            with pytest.raises(trio.ClosedResourceError, match="the connection estimator"):
                estimator.packet_sent(1)
        assert estimator.failure is None


async def test_it_can_not_begin_after_its_allocator_has_ended(allocator, autojump_clock):
    allocator.close()
    opened = open_connection_estimator(allocator)
    with pytest.raises(trio.ClosedResourceError):
        async with opened:
            raise AssertionError("it began")


async def test_in_a_nursery_of_ones_own(allocator, autojump_clock):
    async with trio.open_nursery() as nursery:
        estimator = ConnectionEstimator.create(nursery, allocator, first_sequence=7)
        assert estimator.packet_sent(1) == 7
        await trio.sleep(1.5)
        assert len(told(allocator)) == 2
        await estimator.destroy()
        assert not nursery.child_tasks
        with pytest.raises(trio.ClosedResourceError):
            estimator.packet_sent(1)
        await estimator.destroy()


async def test_it_may_be_destroyed_before_its_task_has_run(allocator, autojump_clock):
    async with trio.open_nursery() as nursery:
        await ConnectionEstimator.create(nursery, allocator).destroy()


async def test_a_nursery_that_is_cancelled_ends_it(allocator, autojump_clock):
    async with trio.open_nursery() as nursery:
        estimator = ConnectionEstimator.create(nursery, allocator)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.ClosedResourceError):
        estimator.packet_sent(1)
    await estimator.destroy()


async def test_in_a_nursery_of_ones_own_a_packets_error_is_raised_there(allocator, autojump_clock):
    def send(_number):
        raise YoursError

    with pytest.RaisesGroup(YoursError):
        async with trio.open_nursery() as nursery:
            ConnectionEstimator.create(nursery, allocator).pace(send, 1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"estimator": 7}, TypeError),
        ({"send_padding": 7}, TypeError),
        ({"send_padding": trio.sleep}, TypeError),
        ({"wanted": 7}, TypeError),
        ({"first_sequence": 65_536}, ValueError),
        ({"first_sequence": "1"}, TypeError),
        ({"pacing_factor": 0}, ValueError),
        ({"max_queue_time": -1}, ValueError),
        ({"repeat_share": 0}, ValueError),
        ({"connected": 1}, TypeError),
        ({"on_estimate": 7}, TypeError),
        ({"log": "file"}, TypeError),
        ({"bogus": 1}, TypeError),
    ],
)
async def test_an_option_that_is_not_usable_raises_at_the_call(
    allocator, options, error, autojump_clock
):
    (name,) = options
    with pytest.raises(error, match=rf"\b{name}\b"):
        open_connection_estimator(allocator, **options)
    async with trio.open_nursery() as nursery:
        with pytest.raises(error, match=rf"\b{name}\b"):
            ConnectionEstimator.create(nursery, allocator, **options)
    assert not told(allocator)


async def test_it_needs_an_allocator_and_a_nursery(allocator, autojump_clock):
    with pytest.raises(TypeError, match="allocator must be"):
        open_connection_estimator(7)
    with pytest.raises(TypeError, match="nursery must be"):
        ConnectionEstimator.create(7, allocator)


# --- together --------------------------------------------------------------------------------


async def test_who_waits_is_granted_what_feedback_finds(autojump_clock):
    async with (
        open_allocator() as allocator,
        open_connection_estimator(allocator) as estimator,
    ):
        receiver: ReceiverHandle = allocator.register_track_receiver(CAMERA, LOW)
        receiver.request_allocation(CAMERA.allocation("medium"))
        assert receiver.allocation == LOW
        await talk(Peer(estimator), 20, rate=450_000)
        assert receiver.allocation == CAMERA.allocation("medium")
        assert allocator.status.policy_fault is None
