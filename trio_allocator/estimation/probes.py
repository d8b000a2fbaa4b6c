"""Probes: short bursts of packets, faster than the estimate, that ask whether there is more."""

from __future__ import annotations

import math
from typing import NamedTuple

from attrs import define, field, frozen

FEWEST_PACKETS = 5
"""In a probe (libwebrtc, `min_probe_packets_sent`)."""

DURATION = 0.015
"""A probe lasts at least so long at its rate, s (libwebrtc, `min_probe_duration`)."""

LONGEST = 1.0
"""What was sent or arrived over a longer time is no burst, s (libwebrtc, `kMaxProbeIntervalMs`)."""

SHORTEST = 0.002
"""Nor is there a rate in a shorter time, s: a millisecond of jitter would make half of it."""

FEWEST_RECEIVED = 4
"""Of a probe (libwebrtc: 80 % of 5),"""

LEAST_SHARE = 0.8
"""and this share of its bytes (libwebrtc, `kMinReceivedBytesRatio`)."""

GREATEST_RATIO = 2.0
"""A probe that arrives in less time than its sending took, by more than this, was held up
(libwebrtc)."""

FULL = 0.9
"""A probe that arrived at less than this share of the rate of its sending (libwebrtc,
`kMinRatioForUnsaturatedLink`), and whose sending took less than this share of the time of its
arriving, has met the end of the link. (One of them alone can be due to the sizes of packets: a first
packet that is larger than the others hides a part of the rate, and the last one takes longer to arrive
if it is larger than the first.)"""

UTILISATION = 0.95
"""This share of what arrived then can be used (libwebrtc, `kTargetUtilizationFraction`)."""

REMEMBERED = 8
"""So many probes are on their way at most."""


MOST_PACKETS = 1_000
"""Of one probe, this number of packets counts at most."""


@frozen
class ProbeCluster:
    """A probe that is worth sending: packets paced at a rate, until both minimums are reached.

    Attributes:
        id: What `SendSideEstimator.packet_sent` is to be told as `cluster`, from 1.
        bitrate: The rate to pace them at, bit/s.
        min_packets: Send at least this many packets,
        min_bytes: and at least this many bytes.
    """

    id: int
    bitrate: int
    min_packets: int
    min_bytes: int

    @classmethod
    def at(cls, number: int, bitrate: int) -> ProbeCluster:
        """The probe that asks for a rate."""
        return cls(number, bitrate, FEWEST_PACKETS, math.ceil(bitrate * DURATION / 8))


@frozen
class ProbeResult:
    """What a probe found.

    Attributes:
        cluster: Its id.
        bitrate: What can be used, bit/s.
        is_full: It met the end of the link: there is no more.
    """

    cluster: int
    bitrate: float
    is_full: bool


class _Packet(NamedTuple):
    sent_at: float
    arrival: float
    size: int


@define
class _Probe:
    sent_packets: int = 0
    sent_bytes: int = 0
    bytes: int = 0
    received: list[_Packet] = field(factory=list[_Packet])


class ProbeResults:
    """Adds up what became of probes: the rate at which they arrived, bounded by that of sending."""

    def __init__(self) -> None:
        self._probes: dict[int, _Probe] = {}

    def sent(self, cluster: int, size: int) -> None:
        """A packet of a probe left."""
        probe = self._probes.get(cluster)
        if probe is None:
            if len(self._probes) >= REMEMBERED:
                del self._probes[next(iter(self._probes))]
            probe = self._probes[cluster] = _Probe()
        probe.sent_packets += 1
        probe.sent_bytes += size

    def received(self, cluster: int, sent_at: float, arrival: float, size: int) -> None:
        """It arrived."""
        probe = self._probes.get(cluster)
        if probe is None:
            return
        probe.bytes += size
        if len(probe.received) < MOST_PACKETS:
            probe.received.append(_Packet(sent_at, arrival, size))

    def result(self, cluster: int) -> ProbeResult | None:
        """What it found; None as long as that is not enough, or makes no sense."""
        probe = self._probes.get(cluster)
        if (
            probe is None
            or len(probe.received) < FEWEST_RECEIVED
            or len(probe.received) < LEAST_SHARE * min(probe.sent_packets, MOST_PACKETS)
            or probe.bytes < LEAST_SHARE * probe.sent_bytes
        ):
            return None
        packets = sorted(probe.received)
        result = _judge(cluster, packets)
        if result is None or result.is_full or packets[0].size <= packets[1].size:
            return result
        # The first packet only marks the begin of the arrivals. If it is larger than the others,
        # it hides a part of their rate.
        other = _judge(cluster, packets[1:])
        if other is None or other.is_full:
            return result
        return max(result, other, key=_bitrate)


def _judge(cluster: int, packets: list[_Packet]) -> ProbeResult | None:
    """What packets tell, in the order in which they were sent."""
    first = min(packets, key=_arrival)
    sending = packets[-1].sent_at - packets[0].sent_at
    arriving = max(packets, key=_arrival).arrival - first.arrival
    if not SHORTEST <= sending <= LONGEST or not SHORTEST <= arriving <= LONGEST:
        return None
    # The last packet's bits were sent after the span ends, the first's came before it begins.
    total = sum(packet.size for packet in packets)
    sent = 8 * (total - packets[-1].size) / sending
    arrived = 8 * (total - first.size) / arriving
    if arriving * GREATEST_RATIO < sending:
        return None
    if sending < FULL * arriving and arrived < FULL * sent:
        return ProbeResult(cluster, UTILISATION * arrived, is_full=True)
    return ProbeResult(cluster, min(sent, arrived), is_full=False)


def _arrival(packet: _Packet) -> float:
    return packet.arrival


def _bitrate(result: ProbeResult) -> float:
    return result.bitrate
