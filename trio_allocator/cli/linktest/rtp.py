"""RTP packets as far as a link test needs them: a header, and a transport-wide sequence number.

The layout is that of RFC 3550, section 5.1, with one extension of one byte's head (RFC 8285,
section 4.2): the transport-wide sequence number of draft-holmer-rmcat-transport-wide-cc-extensions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attrs import frozen

EXTENSION_ID = 5
"""The extension's number, where no SDP says another."""

HEADER_SIZE = 20
"""Of `build_rtp`'s packets, bytes: RTP's twelve, four of the extension's head and four of it."""

_HEADER = struct.Struct("!BBHIIHHBHB")
_ONE_BYTE_EXTENSIONS = 0xBEDE
_VERSION = 2 << 6
_HAS_EXTENSION = 0x10
_FEEDBACK = 205
_TRANSPORT_WIDE = 15


@frozen
class RtpHeader:
    """What distinguishes one packet from another.

    Attributes:
        payload_type: 0 to 127.
        sequence: Of its stream, 0 to 65535.
        timestamp: In units of the stream's clock rate.
        ssrc: Its stream.
        transport_sequence: Across the streams, 0 to 65535.
        is_marked: Last packet of a frame.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    transport_sequence: int
    is_marked: bool = False


def build_rtp(header: RtpHeader, payload: bytes) -> bytes:
    """One packet, `HEADER_SIZE` bytes longer than its payload."""
    return (
        _HEADER.pack(
            _VERSION | _HAS_EXTENSION,
            header.is_marked << 7 | header.payload_type,
            header.sequence & 0xFFFF,
            header.timestamp & 0xFFFFFFFF,
            header.ssrc,
            _ONE_BYTE_EXTENSIONS,
            1,
            EXTENSION_ID << 4 | 1,
            header.transport_sequence & 0xFFFF,
            0,
        )
        + payload
    )


def transport_sequence(packet: bytes) -> int | None:
    """The transport-wide sequence number of a packet made by `build_rtp`; None for any other."""
    if len(packet) < HEADER_SIZE or packet[16] != EXTENSION_ID << 4 | 1:
        return None
    return int.from_bytes(packet[17:19], "big")


def rtcp_packets(datagram: bytes) -> Iterator[bytes]:
    """The packets of a compound RTCP packet (RFC 3550, section 6.1); ends at what is cut off."""
    start = 0
    while start + 4 <= len(datagram):
        end = start + 4 * (int.from_bytes(datagram[start + 2 : start + 4], "big") + 1)
        if end > len(datagram):
            return
        yield datagram[start:end]
        start = end


def is_transport_feedback(packet: bytes) -> bool:
    """Whether an RTCP packet is transport-wide feedback (PT 205, FMT 15)."""
    return packet[1] == _FEEDBACK and packet[0] & 0x1F == _TRANSPORT_WIDE
