"""Packets on the fluid link: the same bits, cut; and where they can be worked out, their times."""

import math

import numpy as np
import pytest

from tests.lab.simulation.worlds import steady, steps
from trio_allocator.lab.simulation.link import Link
from trio_allocator.lab.simulation.packets import LARGEST, Packets


def sent_over(trace, *parts):
    """A link over which (seconds, bit/s) were sent, one after the other, and its packets."""
    link = Link(trace, bank=0.01)
    for seconds, rate in parts:
        link.advance(np.full(round(seconds * 100), float(rate)))
    return link, list(Packets(trace, link).cut(link.step))


def test_all_bits_are_in_packets_and_these_are_evenly_apart():
    link, packets = sent_over(steady(5e6), (20, 2.4e6))
    assert {packet.size for packet in packets} == {LARGEST}
    assert sum(packet.size for packet in packets) * 8 == pytest.approx(link.sent(0, 2000), abs=9600)
    gaps = np.diff([packet.sent_at for packet in packets])
    assert gaps == pytest.approx([8 * LARGEST / 2.4e6] * len(gaps))


def test_little_leaves_every_20_ms():
    _, packets = sent_over(steady(5e6), (20, 35_000))
    assert 999 <= len(packets) <= 1000
    assert {packet.size for packet in packets} <= {87, 88}
    assert sum(packet.size for packet in packets) == pytest.approx(20 * 35_000 / 8, abs=100)


def test_nothing_makes_no_packets():
    assert sent_over(steady(5e6), (20, 0))[1] == []


def test_an_idle_link_takes_the_time_of_the_packet_and_of_the_way():
    _, packets = sent_over(steady(2e6, rtt=0.08), (20, 1e6))
    assert [packet.arrival - packet.sent_at for packet in packets] == pytest.approx(
        [8 * LARGEST / 2e6 + 0.04] * len(packets)
    )


def test_what_is_too_much_waits_as_long_as_the_link_says():
    link, packets = sent_over(steady(1e6, rtt=0.02), (1.0, 1.2e6))
    waits = [packet.arrival - packet.sent_at - 0.01 for packet in packets]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(link.queue[-1] / 1e6 + 8 * LARGEST / 1e6, abs=0.01)
    assert waits[-1] > 0.2


def test_what_is_dropped_is_lost_and_the_rest_waits_no_longer_than_the_queue():
    link, packets = sent_over(steady(1e6, rtt=0.02), (10, 2e6))
    lost = sum(8 * packet.size for packet in packets if packet.arrival is None)
    assert lost == pytest.approx(link.lost(0, 1000), abs=8 * LARGEST)
    waits = [p.arrival - p.sent_at - 0.01 for p in packets if p.arrival is not None]
    assert max(waits) <= 0.3 + 3 * 8 * LARGEST / 1e6


def test_while_there_is_no_capacity_nothing_leaves_and_then_it_does_in_order():
    trace = steps((1, 1e6), (1, 0), (30, 1e6))
    _, packets = sent_over(trace, (3, 0.2e6))
    held = [p.arrival - 0.025 for p in packets if 1.0 < p.sent_at < 2.0 and p.arrival]
    assert min(held) > 2.0
    arrivals = [packet.arrival for packet in packets if packet.arrival is not None]
    assert arrivals == sorted(arrivals)
    assert packets[-1].arrival - packets[-1].sent_at < 0.1


def test_what_the_trace_ends_before_never_arrives():
    trace = steps((40, 1e6), (5, 0))
    _, packets = sent_over(trace, (45, 0.05e6))
    assert packets[-1].arrival == math.inf
    assert packets[100].arrival < 40


def test_it_is_the_same_in_one_cut_or_many():
    trace = steps((10, 1e6), (10, 0.3e6), (10, 2e6))
    link, packets = sent_over(trace, (30, 0.9e6))
    parts = Packets(trace, link)
    assert [packet for end in range(7, 3007, 7) for packet in parts.cut(min(end, 3000))] == packets
