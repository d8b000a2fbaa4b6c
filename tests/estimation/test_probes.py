"""What a probe found: the rate at which it arrived, bounded by that of sending."""

from __future__ import annotations

import pytest

from trio_allocator.estimation import ProbeCluster
from trio_allocator.estimation.probes import MOST_PACKETS, REMEMBERED, ProbeResult, ProbeResults


def probe(
    sent_interval, arrival_interval, *, count=6, size=1_000, lost=(), cluster=1, results=None
):
    """A probe of equal packets."""
    results = ProbeResults() if results is None else results
    for _ in range(count):
        results.sent(cluster, size)
    for index in range(count):
        if index not in lost:
            results.received(cluster, index * sent_interval, 0.05 + index * arrival_interval, size)
    return results.result(cluster)


def test_a_cluster_for_a_rate_lasts_fifteen_milliseconds_and_has_five_packets():
    assert ProbeCluster.at(3, 4_000_000) == ProbeCluster(3, 4_000_000, 5, 7_500)
    assert ProbeCluster.at(4, 1_000_001).min_bytes == 1_876


def test_what_arrives_as_it_was_sent_has_room_for_more():
    assert probe(0.004, 0.004) == ProbeResult(1, pytest.approx(2_000_000), is_full=False)


def test_what_arrives_a_little_slower_counts_as_it_arrived():
    assert probe(0.004, 0.0044).bitrate == pytest.approx(8_000 / 0.0044)
    assert not probe(0.004, 0.0044).is_full


def test_what_arrives_faster_counts_as_it_was_sent():
    assert probe(0.004, 0.003) == ProbeResult(1, pytest.approx(2_000_000), is_full=False)


def test_what_arrives_much_slower_met_the_end_of_the_link():
    assert probe(0.004, 0.008) == ProbeResult(1, pytest.approx(950_000), is_full=True)


def test_what_was_held_up_and_let_go_says_nothing():
    assert probe(0.004, 0.0021) is not None
    assert probe(0.004, 0.0019) is None


def test_the_last_packet_sent_and_the_first_received_do_not_count():
    results = ProbeResults()
    for size in (500, 1_000, 1_000, 1_000, 1_500):
        results.sent(1, size)
    for index, size in enumerate((500, 1_000, 1_000, 1_000, 1_500)):
        results.received(1, index * 0.01, 1 + index * 0.01, size)
    # Sent: 3500 bytes in 40 ms; received: 4500.
    assert results.result(1).bitrate == pytest.approx(700_000)


def test_packets_may_arrive_in_any_order():
    results = ProbeResults()
    for _ in range(5):
        results.sent(1, 1_000)
    for index in (4, 0, 2, 3, 1):
        results.received(1, index * 0.01, 1 + index * 0.01, 1_000)
    assert results.result(1).bitrate == pytest.approx(800_000)


@pytest.mark.parametrize(
    ("count", "lost", "is_enough"),
    [(4, (), True), (3, (), False), (6, (1,), True), (6, (1, 2), False), (10, (1, 2), True)],
)
def test_four_packets_and_four_fifths_have_to_arrive(count, lost, is_enough):
    assert (probe(0.004, 0.004, count=count, lost=lost) is not None) is is_enough


def test_four_fifths_of_the_bytes_have_to_arrive():
    results = ProbeResults()
    for size in (2_000, 1_000, 1_000, 1_000, 1_000):
        results.sent(1, size)
    for index in range(4):
        results.received(1, index * 0.01, index * 0.01, 1_000)
    assert results.result(1) is None
    results.received(1, 0.04, 0.04, 800)
    assert results.result(1) is not None


@pytest.mark.parametrize("interval", [0.0001, 0.3])
def test_too_short_and_too_long_is_no_burst(interval):
    assert probe(interval, 0.01) is None
    assert probe(0.01, interval) is None


def test_nothing_is_known_of_a_probe_that_nobody_sent():
    results = ProbeResults()
    results.received(7, 0.0, 0.0, 1_000)
    assert results.result(7) is None


def test_the_oldest_is_forgotten():
    results = ProbeResults()
    for cluster in range(REMEMBERED + 1):
        probe(0.004, 0.004, cluster=cluster, results=results)
    assert results.result(0) is None
    assert results.result(1) is not None
    assert results.result(REMEMBERED) is not None


def found(packets):
    """(bytes, sent at, arrival): what such a probe finds."""
    results = ProbeResults()
    for size, _, _ in packets:
        results.sent(1, size)
    for size, sent_at, arrival in packets:
        results.received(1, sent_at, arrival, size)
    return results.result(1)


def test_a_first_packet_that_is_larger_does_not_decide():
    """Paced at 550 kbit/s, with a frame's packet before the padding."""
    first = 8 * 1_200 / 550_000
    packets = [(1_200, 0.0, 1.0)]
    packets += [(275, first + 0.004 * n, 1 + first + 0.004 * n) for n in range(7)]
    assert found(packets) == ProbeResult(1, pytest.approx(550_000), is_full=False)


def test_nor_does_a_last_packet_that_is_larger():
    """Paced at 1.8 Mbit/s over a link of 5: the frame's packet behind the padding takes longer."""
    sizes = [137, *[450] * 6, 1_200]
    packets, sent_at = [], 0.0
    for size in sizes:
        packets.append((size, sent_at, 1 + sent_at + 8 * size / 5_000_000))
        sent_at += 8 * size / 1_800_000
    assert found(packets) == ProbeResult(1, pytest.approx(1_800_000), is_full=False)


def test_unless_without_it_there_is_no_burst():
    packets = [(1_200, 0.0, 1.0), *((275, 0.02 + 1e-5 * n, 1.02 + 1e-5 * n) for n in range(6))]
    assert found(packets).bitrate == pytest.approx(8 * 6 * 275 / 0.02, rel=0.01)


def test_a_probe_counts_a_bounded_number_of_packets():
    results = ProbeResults()
    for number in range(MOST_PACKETS + 500):
        results.sent(1, 100)
        results.received(1, number * 1e-5, 1 + number * 1e-5, 100)
    assert len(results._probes[1].received) == MOST_PACKETS
    assert results.result(1).bitrate == pytest.approx(80_000_000, rel=0.01)


def test_a_probe_that_is_half_lost_has_no_result_however_it_was_sent():
    assert probe(0.004, 0.004, count=20, lost=range(5, 20)) is None
    assert probe(0.004, 0.004, count=20, lost=range(17, 20)) is not None


def test_arrivals_out_of_order_count_from_the_first_to_the_last():
    # A little slower than they were sent, so that this is the rate that counts.
    packets = [(1_000, 0.01 * n, 1 + 0.0104 * at) for n, at in enumerate((2, 0, 1, 4, 3))]
    assert found(packets) == ProbeResult(1, pytest.approx(800_000 / 1.04), is_full=False)


@pytest.mark.parametrize(
    ("seconds", "is_burst"), [(0.0019, False), (0.0021, True), (0.999, True), (1.001, False)]
)
def test_a_burst_takes_two_milliseconds_to_a_second(seconds, is_burst):
    assert (probe(seconds / 5, seconds / 5) is not None) is is_burst
