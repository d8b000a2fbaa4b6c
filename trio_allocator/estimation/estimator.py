"""The send side's estimate: what was sent, what was acknowledged, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable

from .explanation import Explanation
from .probes import ProbeCluster
from .reader import PacketResult


class SendSideEstimator:
    """Estimates the bandwidth of a connection from feedback on the packets sent over it.

    Google Congestion Control (draft-ietf-rmcat-gcc-02), as libwebrtc has it today. It reads no
    clock: times are seconds of any one clock that does not go back; one that does is taken to
    stand still.

    Args:
        start_bitrate: The estimate before the first feedback, bit/s.
        min_bitrate: It never falls below this, bit/s,
        max_bitrate: and never rises above this, bit/s.

    Raises:
        TypeError, ValueError: One of them is not a rate, or they are not in this order.
    """

    def __init__(
        self,
        *,
        start_bitrate: float = 300_000,
        min_bitrate: float = 5_000,
        max_bitrate: float = 100_000_000,
    ) -> None:
        raise NotImplementedError

    @property
    def estimate(self) -> int:
        """The estimate, bit/s."""
        raise NotImplementedError

    @property
    def wake_at(self) -> float:
        """When `advance` is due; `math.inf` for never."""
        raise NotImplementedError

    def packet_sent(self, sequence: int, size: int, now: float, cluster: int | None = None) -> None:
        """A packet left. The hot path: once a packet.

        Args:
            sequence: Its transport-wide sequence number, extended: it does not wrap around. As
                `PacketResult.sequence`.
            size: Bytes, everything above UDP counted; retransmissions and padding are packets, too.
            now: When, s.
            cluster: The probe that it belongs to (`ProbeCluster.id`); None for none.
        """
        raise NotImplementedError

    def feedback(self, results: Iterable[PacketResult], now: float) -> None:
        """Feedback came, whatever it says: the estimate follows in this call.

        Args:
            results: What became of packets, in any order; what is not known is left out.
            now: When, s.
        """
        raise NotImplementedError

    def loss_reported(self, fraction: float, now: float) -> None:
        """A receiver report came, from a peer that sends nothing better.

        Args:
            fraction: The share of packets lost since its last one, 0 to 1.
            now: When, s.
        """
        raise NotImplementedError

    def limit_reported(self, bitrate: float, now: float) -> None:
        """The peer wants no more than this, bit/s (REMB)."""
        raise NotImplementedError

    def advance(self, now: float) -> None:
        """Nothing but time passed: feedback may be overdue. To be called at `wake_at`."""
        raise NotImplementedError

    def next_probe(self, now: float, wanted: float | None = None) -> ProbeCluster | None:
        """A probe that is worth sending now; each is handed out once.

        Who can not send it may leave it: nothing waits for it.

        Args:
            now: s.
            wanted: What the application could use, bit/s: no probe goes far beyond it. None for
                as much as there is.
        """
        raise NotImplementedError

    def explain(self) -> Explanation:
        """What the estimate rests on, and what holds it down."""
        raise NotImplementedError
