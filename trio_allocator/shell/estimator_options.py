"""What a `ConnectionEstimator` is given, calls and counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, TypedDict, runtime_checkable

from attrs import asdict, frozen

from ..estimation import SendSideEstimator

SendCallback: TypeAlias = Callable[[int], object]
"""Called when a packet's turn has come, with its transport-wide sequence number: sends it, now."""

ProbeCallback: TypeAlias = Callable[[int], object]
"""Called with bytes of padding that are due now: sends packets of at least this many bytes, and
reports each by `ConnectionEstimator.packet_sent`."""

EstimateCallback: TypeAlias = Callable[[int, int | None], object]
"""Called with an estimate and what was carried, bit/s, in place of telling the allocator."""


@runtime_checkable
class PacketLog(Protocol):
    """What `EstimatorOptions.log` is told; times are s. A `FeedbackLog` writes it to a file."""

    def packet_sent(self, time: float, sequence: int, size: int, cluster: int | None) -> None:
        """A packet was sent: its extended number, its bytes, and the probe that it belongs to."""
        ...

    def probe_given(self, time: float, wanted: float | None) -> None:
        """A probe was begun, up to what could be used, bit/s."""
        ...

    def received(self, time: float, data: bytes) -> None:
        """RTCP came."""
        ...

    def estimated(self, time: float, estimate: int) -> None:
        """The allocator was told this, bit/s."""
        ...


class EstimatorOptions(TypedDict, total=False):
    """What a `ConnectionEstimator` may be opened with.

    Attributes:
        estimator: A fresh one, with bounds of your own. None for the usual ones.
        send_padding: Sends what a probe of the estimator's lacks in media. None: no probes.
        wanted: Returns what all tracks together could use, bit/s: no probe goes far beyond it, and
            there is none for 0. None for what the allocator's receivers claim, or for as much as
            there is where it does not say (`ConnectionAllocator.claims`).
        first_sequence: The transport-wide sequence number of the first packet, 0 to 65535.
            Default: 0.
        pacing_factor: Packets leave at this many times the estimate. Default: 1, for media that do
            not follow it. An encoder that follows it may have 2.5.
        pacing_burst: What is due within this time leaves at once, s: a picture does not wait for its own
            pace, and a voice behind it in the network waits for so much longer. Default: 0.01.
        max_queue_time: Whatever is paced leaves within this time, s. Default: 2.
        repeat_share: Packets may be sent again at this share of the estimate. Default: 0.25.
        connected: Whether anything can be sent from the start. With False, nothing is before
            `ConnectionEstimator.connected` is called: the allocator is told nothing, and what is
            handed over is dropped. Default: True.
        on_estimate: Called in place of telling the allocator, which is left to it: to cap an
            estimate, to log it, to keep something back. None to tell the allocator.
        log: Is told all that happens, for a replay: a `FeedbackLog`. None for none.
    """

    estimator: SendSideEstimator | None
    send_padding: ProbeCallback | None
    wanted: Callable[[], float] | None
    first_sequence: int
    pacing_factor: float
    pacing_burst: float
    max_queue_time: float
    repeat_share: float
    connected: bool
    on_estimate: EstimateCallback | None
    log: PacketLog | None


@frozen(kw_only=True)
class EstimatorStatistics:
    """What a `ConnectionEstimator` has seen since it was opened. All but `lost` count up only.

    Attributes:
        sent: Packets of all kinds.
        sent_bytes: Bytes of the packets sent.
        padding: Those of them that were padding.
        padding_bytes: Bytes of the padding packets.
        acknowledged: Packets told to have arrived.
        acknowledged_bytes: Bytes of the acknowledged packets.
        lost: Packets told lost, and not told to have arrived since.
        repeated: Packets that `may_repeat` allowed to be sent again.
        repeated_bytes: Bytes of the repeated packets.
        withdrawn: Packets withdrawn before their turn came.
        probes: Probes begun.
        feedbacks: Datagrams of RTCP in which something was feedback.
        estimates: Estimates told.
    """

    sent: int
    sent_bytes: int
    padding: int
    padding_bytes: int
    acknowledged: int
    acknowledged_bytes: int
    lost: int
    repeated: int
    repeated_bytes: int
    withdrawn: int
    probes: int
    feedbacks: int
    estimates: int

    def as_dict(self) -> dict[str, int]:
        """Name to count: ready for JSON, or for a metrics library."""
        return asdict(self)
