"""Probes: short bursts of packets, faster than the estimate, that ask whether there is more."""

from __future__ import annotations

import math

from attrs import define, frozen

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
"""What arrives faster than it was sent by more than this was held up (libwebrtc)."""

FULL = 0.9
"""What arrives more slowly than this share of the rate of sending has met the end of the link
(libwebrtc, `kMinRatioForUnsaturatedLink`),"""

UTILISATION = 0.95
"""and this share of what arrived can be used (libwebrtc, `kTargetUtilizationFraction`)."""

REMEMBERED = 8
"""So many probes are on their way at most."""


@frozen
class ProbeCluster:
    """A probe that is worth sending: packets paced at a rate, until both minimums are reached.

    Attributes:
        id: What `SendSideEstimator.packet_sent` is to be told as `cluster`, from 1.
        bitrate: The rate to pace them at, bit/s.
        min_packets: Send at least so many packets,
        min_bytes: and at least so many bytes.
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


@define
class _Probe:
    sent_packets: int = 0
    sent_bytes: int = 0
    packets: int = 0
    bytes: int = 0
    first_sent: float = math.inf
    last_sent: float = -math.inf
    last_size: int = 0
    first_arrival: float = math.inf
    first_size: int = 0
    last_arrival: float = -math.inf


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
        probe.packets += 1
        probe.bytes += size
        probe.first_sent = min(probe.first_sent, sent_at)
        if sent_at >= probe.last_sent:
            probe.last_sent, probe.last_size = sent_at, size
        if arrival < probe.first_arrival:
            probe.first_arrival, probe.first_size = arrival, size
        probe.last_arrival = max(probe.last_arrival, arrival)

    def result(self, cluster: int) -> ProbeResult | None:
        """What it found; None as long as that is not enough, or makes no sense."""
        probe = self._probes.get(cluster)
        if (
            probe is None
            or probe.packets < FEWEST_RECEIVED
            or probe.packets < LEAST_SHARE * probe.sent_packets
            or probe.bytes < LEAST_SHARE * probe.sent_bytes
        ):
            return None
        sending = probe.last_sent - probe.first_sent
        arriving = probe.last_arrival - probe.first_arrival
        if not SHORTEST <= sending <= LONGEST or not SHORTEST <= arriving <= LONGEST:
            return None
        # The last packet's bits were sent after the span ends, the first's came before it begins.
        sent = 8 * (probe.bytes - probe.last_size) / sending
        arrived = 8 * (probe.bytes - probe.first_size) / arriving
        if arrived > GREATEST_RATIO * sent:
            return None
        if sending < FULL * arriving:
            return ProbeResult(cluster, UTILISATION * arrived, is_full=True)
        return ProbeResult(cluster, min(sent, arrived), is_full=False)
