"""A pacer: packets in, by priority; when and which to send out."""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import frozen

from .probes import ProbeCluster

T = TypeVar("T")

PACING_FACTOR = 2.5
"""How much faster than the estimate packets leave (libwebrtc, `kDefaultPaceMultiplier`)."""


@frozen
class Departure(Generic[T]):
    """A packet to be sent now.

    Attributes:
        packet: What was enqueued.
        size: Bytes.
        cluster: The probe that it belongs to, for `SendSideEstimator.packet_sent`; None for none.
    """

    packet: T
    size: int
    cluster: int | None


class Pacer(Generic[T]):
    """Spreads packets over time, so that bursts of a coder do not become queues in the network.

    Args:
        bitrate: The estimate, bit/s.
        factor: How much faster than the estimate packets may leave.
        max_queue_time: Whatever is enqueued leaves within this time, s: the pace rises if it must.
    """

    def __init__(
        self, bitrate: float, *, factor: float = PACING_FACTOR, max_queue_time: float = 2.0
    ) -> None:
        raise NotImplementedError

    @property
    def queue_bytes(self) -> int:
        """Bytes that wait."""
        raise NotImplementedError

    @property
    def next_send_time(self) -> float:
        """When `pop` (or, within a probe, `padding_due`) has something; `math.inf` for never."""
        raise NotImplementedError

    def set_bitrate(self, bitrate: float, now: float) -> None:
        """A new estimate, bit/s."""
        raise NotImplementedError

    def enqueue(self, packet: T, size: int, now: float, *, priority: int = 0) -> None:
        """A packet is ready.

        Args:
            packet: Anything.
            size: Bytes.
            now: s.
            priority: Larger leaves first; among equals, the one that came first.
        """
        raise NotImplementedError

    def pop(self, now: float) -> Departure[T] | None:
        """The next packet to send, None if none is due. To be called until there is none."""
        raise NotImplementedError

    def start_probe(self, cluster: ProbeCluster, now: float) -> None:
        """Pace at the probe's rate, until it is sent."""
        raise NotImplementedError

    def padding_due(self, now: float) -> int:
        """Bytes of padding that a probe needs now, because nothing waits; 0 for none."""
        raise NotImplementedError

    def padding_sent(self, size: int, now: float) -> int | None:
        """Padding was sent, of which the pacer knew nothing.

        Returns:
            The probe that it belongs to, None for none.
        """
        raise NotImplementedError
