"""A track as one subscriber gets it: its packets, also when sent again, and its sender reports."""

from __future__ import annotations

import secrets
import time
from typing import NamedTuple

from attrs import frozen

from trio_allocator.estimation import SenderReport, ntp_time

from .codecs import Codec
from .description import Description
from .rewriting import StreamRewriter
from .rtp import RtpPacket, RtpWriter


@frozen
class OutgoingFormat:
    """How a track is sent, as the subscriber's offer and the answer to it agree.

    Attributes:
        codec: Which.
        payload_type: Of its packets.
        repeated: Payload type of retransmissions; None if the subscriber takes none.
        mid: Name of the media section.
        mid_extension: Number of its header extension; None if there is none.
        transport_cc: Number of the header extension for transport-wide sequence numbers.
        ssrc: Of the media.
        repeated_ssrc: Of retransmissions and padding.
    """

    codec: Codec
    payload_type: int
    repeated: int | None
    mid: str
    mid_extension: int | None
    transport_cc: int
    ssrc: int
    repeated_ssrc: int

    @property
    def ssrcs(self) -> tuple[int, ...]:
        """Of both; the media's first, for a browser takes the first one in SDP for the media."""
        return (self.ssrc,) if self.repeated is None else (self.ssrc, self.repeated_ssrc)


class MediaPacket(NamedTuple):
    """A packet that is numbered, and waits to be sent.

    Attributes:
        sequence: 0 to 65535.
        timestamp: In units of the codec's clock.
        payload: As the subscriber gets it.
        is_marked: Last of a frame.
        size: Bytes on the wire, above UDP.
    """

    sequence: int
    timestamp: int
    payload: bytes
    is_marked: bool
    size: int


class OutgoingTrack:
    """The packets of one track on their way to one subscriber.

    Args:
        chosen: How it is sent.
        tag_size: Bytes that encryption adds to a packet.

    Attributes:
        format: How it is sent.
        overhead: Bytes of a packet besides its payload, above UDP.
    """

    def __init__(self, chosen: OutgoingFormat, tag_size: int) -> None:
        mid = None if chosen.mid_extension is None else (chosen.mid_extension, chosen.mid)
        self.format: OutgoingFormat = chosen
        self._writer = RtpWriter(
            chosen.payload_type, chosen.ssrc, transport_cc=chosen.transport_cc, mid=mid
        )
        self._repeater = RtpWriter(
            chosen.repeated or 0, chosen.repeated_ssrc, transport_cc=chosen.transport_cc, mid=mid
        )
        self.overhead: int = self._writer.overhead + tag_size
        self._rewriter = StreamRewriter(
            secrets.randbits(15), secrets.randbits(31), chosen.codec.clock_rate
        )
        self._repeats = secrets.randbits(15)
        self._packets = self._octets = 0

    @property
    def can_repeat(self) -> bool:
        """Whether the subscriber takes a stream of retransmissions."""
        return self.format.repeated is not None

    # --- from the publisher ----------------------------------------------------------------

    def begin(self, packet: RtpPacket, description: Description, now: float) -> None:
        """Another layer begins with this packet."""
        self._rewriter.begin(packet, description, now)

    def skip(self, packet: RtpPacket) -> None:
        """Leave a packet out, without a gap."""
        self._rewriter.skip(packet.sequence)

    def accept(self, packet: RtpPacket, description: Description, now: float) -> MediaPacket | None:
        """Number a packet; None if it is not to be sent."""
        written = self._rewriter.rewrite(packet, description, now)
        if written is None:
            return None
        sequence, timestamp, payload = written
        size = self.overhead + len(payload)
        return MediaPacket(sequence, timestamp, payload, packet.is_marked, size)

    # --- to the subscriber -----------------------------------------------------------------

    def build(self, packet: MediaPacket, number: int) -> bytes:
        """The packet, with its transport-wide number."""
        self._packets += 1
        self._octets += len(packet.payload)
        return self._writer.build(
            packet.sequence, packet.timestamp, packet.payload, number, is_marked=packet.is_marked
        )

    def build_repeated(self, packet: MediaPacket, number: int) -> bytes:
        """The packet once more, on the stream of retransmissions (RFC 4588)."""
        payload = packet.sequence.to_bytes(2, "big") + packet.payload
        return self._repeater.build(
            self._next_repeat(), packet.timestamp, payload, number, is_marked=packet.is_marked
        )

    def build_padding(self, padding: int, number: int) -> bytes:
        """A packet of 1 to 255 bytes of padding, on the stream of retransmissions."""
        timestamp = self._rewriter.timestamp
        return self._repeater.build_padding(self._next_repeat(), timestamp, padding, number)

    def _next_repeat(self) -> int:
        self._repeats = (self._repeats + 1) % 2**16
        return self._repeats

    def sender_report(self, now: float) -> bytes | None:
        """What lets the subscriber play tracks in step; None before the first packet."""
        sent_at = self._rewriter.sent_at
        if sent_at is None:
            return None
        passed = round((now - sent_at) * self.format.codec.clock_rate)
        return SenderReport(
            self.format.ssrc,
            ntp_time(time.time()),
            (self._rewriter.timestamp + passed) % 2**32,
            self._packets % 2**32,
            self._octets % 2**32,
        ).build()
