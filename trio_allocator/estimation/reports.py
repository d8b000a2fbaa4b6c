"""What peers without transport-wide feedback send: a rate (REMB), and loss (receiver reports)."""

from __future__ import annotations

import struct

from attrs import frozen

from .. import quantities
from . import rtcp
from .rtcp import FeedbackError

APPLICATION_LAYER = 15
"""The format of payload-specific feedback that REMB is one kind of (RFC 4585, section 6.4)."""

_REMB = struct.Struct("!II4sBBH")
_REMB_SIZE = rtcp.HEADER_SIZE + _REMB.size
_IDENTIFIER = b"REMB"
_MANTISSA_BITS = 18
_MOST_SSRCS = 2**8 - 1

_BLOCK = struct.Struct("!IIIIII")
_MOST_BLOCKS = 2**5 - 1
_REPORT_SIZE = rtcp.HEADER_SIZE + 4
_SENDER_INFO_SIZE = 20
_REPORTS = (rtcp.SENDER_REPORT, rtcp.RECEIVER_REPORT)

_SHORT_NTP = 2**16
"""Units of a second in the middle 32 bits of an NTP time (RFC 3550, section 4)."""


@frozen
class Remb:
    """A receiver's estimate of what it can receive (draft-alvestrand-rmcat-remb-03, section 2.2).

    Attributes:
        sender_ssrc: Who estimates.
        bitrate: bit/s, at most 10¹⁵; a peer that sends more than that
            means that there is no limit.
        ssrcs: The streams that it is for, all of them together; at most 255.
    """

    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...] = ()

    @classmethod
    def parse(cls, packet: bytes) -> Remb:
        """Read one RTCP packet.

        Raises:
            FeedbackError: It is no REMB, or malformed.
        """
        end = rtcp.payload_end(packet, _REMB_SIZE)
        if not is_remb(packet):
            raise FeedbackError(
                f"a REMB has type {rtcp.PAYLOAD_SPECIFIC_FEEDBACK}, format {APPLICATION_LAYER} and "
                f"the identifier {_IDENTIFIER!r}, this is {rtcp.kind(packet)}"
            )
        sender, _, _, count, exponent, mantissa = _REMB.unpack_from(packet, rtcp.HEADER_SIZE)
        if _REMB_SIZE + 4 * count > end:
            raise FeedbackError(
                f"a REMB for {count} streams has {_REMB_SIZE + 4 * count} bytes, this one has {end}"
            )
        # The exponent has six bits, and the two below it are the highest ones of the mantissa.
        bitrate = (exponent & 0b11) << 16 | mantissa
        bitrate = min(bitrate << (exponent >> 2), quantities.MAX_BITRATE)
        return cls(sender, bitrate, struct.unpack_from(f"!{count}I", packet, _REMB_SIZE))

    def build(self) -> bytes:
        """Make the RTCP packet; the rate keeps its 18 leading bits, rounded down.

        Raises:
            FeedbackError: A field is out of its range.
        """
        rtcp.check("sender_ssrc", self.sender_ssrc, 0, rtcp.LARGEST_SSRC)
        rtcp.check("bitrate", self.bitrate, 0, quantities.MAX_BITRATE)
        rtcp.check("the number of ssrcs", len(self.ssrcs), 0, _MOST_SSRCS)
        for index, ssrc in enumerate(self.ssrcs):
            rtcp.check(f"ssrcs[{index}]", ssrc, 0, rtcp.LARGEST_SSRC)
        exponent = max(self.bitrate.bit_length() - _MANTISSA_BITS, 0)
        mantissa = self.bitrate >> exponent
        fixed = _REMB.pack(
            self.sender_ssrc,
            0,  # no media source: always so (section 2.2)
            _IDENTIFIER,
            len(self.ssrcs),
            exponent << 2 | mantissa >> 16,
            mantissa & 0xFFFF,
        )
        payload = fixed + struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs)
        return rtcp.build(rtcp.PAYLOAD_SPECIFIC_FEEDBACK, APPLICATION_LAYER, payload)


def is_remb(packet: bytes) -> bool:
    """Whether a packet that has a header is a REMB: others share its type and format."""
    identifier = packet[rtcp.HEADER_SIZE + 8 : rtcp.HEADER_SIZE + 12]
    return (
        rtcp.kind(packet) == (rtcp.PAYLOAD_SPECIFIC_FEEDBACK, APPLICATION_LAYER)
        and identifier == _IDENTIFIER
    )


@frozen
class ReportBlock:
    """How one stream was received (RFC 3550, section 6.4.1).

    Attributes:
        ssrc: The stream.
        fraction_lost: Lost since the previous report, in 256ths of what was sent: 0 to 255.
        cumulative_lost: Lost since the beginning; negative if duplicates came, −2²³ to 2²³ − 1.
        highest_sequence: Highest number received, its 16 bits extended by the count of wraps.
        jitter: Of arrival, in units of the stream's timestamps.
        last_sender_report: The middle 32 bits of the NTP time of the last sender report; 0 if
            there was none.
        delay: Between that report's arrival and this one, in 65536ths of a second.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int = 0
    last_sender_report: int = 0
    delay: int = 0

    @property
    def loss(self) -> float:
        """Share of the stream's packets lost since the previous report, 0 to 1."""
        return self.fraction_lost / 2**8

    def round_trip_time(self, arrived: int) -> float | None:
        """How long a packet takes there and back, s; None if no sender report has come to the peer.

        What a peer with a wrong clock makes negative counts as 0.

        Args:
            arrived: The middle 32 bits of the NTP time at which this block came.
        """
        if not self.last_sender_report:
            return None
        elapsed = (arrived - self.last_sender_report - self.delay) % 2**32
        return 0.0 if elapsed >= 2**31 else elapsed / _SHORT_NTP


@frozen
class ReceiverReport:
    """How streams were received, by a receiver report or the same part of a sender report.

    Attributes:
        sender_ssrc: Who reports.
        blocks: One for each stream, at most 31.
    """

    sender_ssrc: int
    blocks: tuple[ReportBlock, ...] = ()

    @classmethod
    def parse(cls, packet: bytes) -> ReceiverReport:
        """Read one RTCP packet, a receiver report (PT 201) or a sender report (PT 200).

        Raises:
            FeedbackError: It is neither, or malformed.
        """
        end = rtcp.payload_end(packet, _REPORT_SIZE)
        packet_type, count = rtcp.kind(packet)
        if packet_type not in _REPORTS:
            raise FeedbackError(f"a report has type {_REPORTS[0]} or {_REPORTS[1]}: {packet_type}")
        at = _REPORT_SIZE
        if packet_type == rtcp.SENDER_REPORT:
            at += _SENDER_INFO_SIZE
        if at + _BLOCK.size * count > end:
            raise FeedbackError(
                f"such a report on {count} streams has at least {at + _BLOCK.size * count} bytes, "
                f"this one has {end}"
            )
        blocks = tuple(_block(packet, at + _BLOCK.size * index) for index in range(count))
        return cls(int.from_bytes(packet[rtcp.HEADER_SIZE : _REPORT_SIZE], "big"), blocks)

    def build(self) -> bytes:
        """Make the RTCP packet, a receiver report.

        Raises:
            FeedbackError: A field is out of its range.
        """
        rtcp.check("sender_ssrc", self.sender_ssrc, 0, rtcp.LARGEST_SSRC)
        rtcp.check("the number of blocks", len(self.blocks), 0, _MOST_BLOCKS)
        payload = self.sender_ssrc.to_bytes(4, "big")
        for block in self.blocks:
            payload += _build_block(block)
        return rtcp.build(rtcp.RECEIVER_REPORT, len(self.blocks), payload)


def _block(packet: bytes, at: int) -> ReportBlock:
    ssrc, lost, highest, jitter, last_report, delay = _BLOCK.unpack_from(packet, at)
    cumulative = lost & 0xFFFFFF
    if cumulative >= 2**23:
        cumulative -= 2**24
    return ReportBlock(ssrc, lost >> 24, cumulative, highest, jitter, last_report, delay)


def _build_block(block: ReportBlock) -> bytes:
    rtcp.check("ssrc", block.ssrc, 0, rtcp.LARGEST_SSRC)
    rtcp.check("fraction_lost", block.fraction_lost, 0, 2**8 - 1)
    rtcp.check("cumulative_lost", block.cumulative_lost, -(2**23), 2**23 - 1)
    for name in ("highest_sequence", "jitter", "last_sender_report", "delay"):
        rtcp.check(name, getattr(block, name), 0, 2**32 - 1)
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | block.cumulative_lost & 0xFFFFFF,
        block.highest_sequence,
        block.jitter,
        block.last_sender_report,
        block.delay,
    )
