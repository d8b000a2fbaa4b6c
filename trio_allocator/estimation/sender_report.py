"""What a sender reports: which moment a stream's timestamps mean, and how much was sent."""

from __future__ import annotations

import struct

from attrs import frozen

from . import rtcp
from .reports import ReceiverReport, ReportBlock
from .rtcp import FeedbackError

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970, where Unix does (RFC 5905, section 6)."""

_INFO = struct.Struct("!QIII")
_FIXED_SIZE = rtcp.HEADER_SIZE + 4 + _INFO.size


@frozen
class SenderReport:
    """A sender report (RFC 3550, section 6.4.1).

    A peer needs it to play streams in step, and to tell the round-trip time
    (`ReportBlock.round_trip_time`).

    Attributes:
        sender_ssrc: The stream that is sent, 0 to 2³² − 1.
        ntp_time: A moment as NTP tells it, in units of 2⁻³² s since 1900, 0 to 2⁶⁴ − 1.
        timestamp: The same moment in the stream's own units, 0 to 2³² − 1.
        packets: Sent since the beginning, modulo 2³²; retransmissions are another stream.
        octets: Of payload, without headers and padding, sent since the beginning, modulo 2³².
        blocks: How streams of the other side were received; at most 31.
    """

    sender_ssrc: int
    ntp_time: int
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()

    @property
    def middle(self) -> int:
        """The middle 32 bits of `ntp_time`: what a peer's block repeats as `last_sender_report`."""
        return self.ntp_time >> 16 & 0xFFFFFFFF

    @classmethod
    def parse(cls, packet: bytes) -> SenderReport:
        """Read one RTCP packet.

        Raises:
            FeedbackError: It is no sender report, or malformed.
        """
        rtcp.payload_end(packet, _FIXED_SIZE)
        if rtcp.kind(packet)[0] != rtcp.SENDER_REPORT:
            raise FeedbackError(
                f"a sender report has type {rtcp.SENDER_REPORT}, not {rtcp.kind(packet)[0]}"
            )
        received = ReceiverReport.parse(packet)
        time, timestamp, packets, octets = _INFO.unpack_from(packet, rtcp.HEADER_SIZE + 4)
        return cls(received.sender_ssrc, time, timestamp, packets, octets, received.blocks)

    def build(self) -> bytes:
        """Make the RTCP packet.

        Raises:
            FeedbackError: A field is out of its range.
        """
        rtcp.check("ntp_time", self.ntp_time, 0, 2**64 - 1)
        for name in ("timestamp", "packets", "octets"):
            rtcp.check(name, getattr(self, name), 0, 2**32 - 1)
        received = ReceiverReport(self.sender_ssrc, self.blocks).build()
        head = rtcp.HEADER_SIZE + 4
        info = _INFO.pack(self.ntp_time, self.timestamp, self.packets, self.octets)
        payload = received[rtcp.HEADER_SIZE : head] + info + received[head:]
        return rtcp.build(rtcp.SENDER_REPORT, len(self.blocks), payload)


def ntp_time(unix_time: float) -> int:
    """A moment as `SenderReport.ntp_time` tells it.

    Args:
        unix_time: s since 1970, as `time.time()` returns.

    Raises:
        FeedbackError: It is not finite.
    """
    try:
        return int((unix_time + NTP_EPOCH) * 2**32) % 2**64
    except (OverflowError, ValueError):
        raise FeedbackError(f"unix_time must be finite (seconds), got {unix_time!r}") from None
