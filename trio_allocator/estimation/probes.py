"""Probes: short bursts of packets, faster than the estimate, that ask whether there is more."""

from __future__ import annotations

from attrs import frozen


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
