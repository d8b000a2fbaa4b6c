"""RTP and RTCP as far as a link test needs them: a header, a transport-wide sequence number, NACK.

The layout is that of RFC 3550, section 5.1, with one extension of one byte's head (RFC 8285,
section 4.2): the transport-wide sequence number of draft-holmer-rmcat-transport-wide-cc-extensions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from attrs import frozen

EXTENSION_ID = 5
"""The extension's number, where no SDP says another."""

MEDIA = 96
"""Payload type of media."""

REPEATED = 97
"""Payload type of retransmissions (RFC 4588) and of padding, on a stream of their own."""

HEADER_SIZE = 20
"""Of `build_rtp`'s packets, bytes: RTP's twelve, four of the extension's head and four of it."""

_HEADER = struct.Struct("!BBHIIHHBHB")
_ONE_BYTE_EXTENSIONS = 0xBEDE
_VERSION = 2 << 6
_HAS_PADDING = 0x20
_HAS_EXTENSION = 0x10
_FEEDBACK = 205
_NACK = 1
_TRANSPORT_WIDE = 15
_NACK_HEADER = struct.Struct("!BBHII")
_NACK_ENTRY = struct.Struct("!HH")


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
        is_padding: Nothing but padding (RFC 3550, section 5.1).
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    transport_sequence: int
    is_marked: bool = False
    is_padding: bool = False


def build_rtp(header: RtpHeader, payload: bytes) -> bytes:
    """One packet, `HEADER_SIZE` bytes longer than its payload."""
    return (
        _HEADER.pack(
            _VERSION | _HAS_PADDING * header.is_padding | _HAS_EXTENSION,
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


def parse_rtp(packet: bytes) -> RtpHeader | None:
    """The header of a packet made by `build_rtp`; None for any other."""
    if len(packet) < HEADER_SIZE:
        return None
    first, second, sequence, timestamp, ssrc, profile, _words, extension, transport, _pad = (
        _HEADER.unpack_from(packet)
    )
    if first & 0xD0 != _VERSION | _HAS_EXTENSION or profile != _ONE_BYTE_EXTENSIONS:
        return None
    if extension != EXTENSION_ID << 4 | 1:
        return None
    return RtpHeader(
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        transport_sequence=transport,
        is_marked=second >> 7 == 1,
        is_padding=first & _HAS_PADDING != 0,
    )


def padding(size: int) -> bytes:
    """Padding of 1 to 255 bytes: the last byte says how many (RFC 3550, section 5.1)."""
    return bytes(size - 1) + bytes([size])


def repetition(original: RtpHeader, payload: bytes) -> bytes:
    """The payload of a retransmission: the original's number, and its payload (RFC 4588, 4)."""
    return original.sequence.to_bytes(2, "big") + payload


def repeated_sequence(packet: bytes) -> int:
    """Which packet a retransmission made by `build_rtp` repeats."""
    return int.from_bytes(packet[HEADER_SIZE : HEADER_SIZE + 2], "big")


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


def build_nack(ssrc: int, sequences: Iterable[int]) -> bytes:
    """Ask for packets of a stream once more (RFC 4585, section 6.2.1).

    Args:
        ssrc: The stream.
        sequences: At least one number, ascending but for a wrap.
    """
    entries: list[tuple[int, int]] = []
    for sequence in sequences:
        if entries and 0 < (distance := (sequence - entries[-1][0]) & 0xFFFF) <= 16:
            first, mask = entries[-1]
            entries[-1] = (first, mask | 1 << distance - 1)
        else:
            entries.append((sequence & 0xFFFF, 0))
    header = _NACK_HEADER.pack(_VERSION | _NACK, _FEEDBACK, 2 + len(entries), 0, ssrc)
    return header + b"".join(_NACK_ENTRY.pack(*entry) for entry in entries)


def parse_nack(packet: bytes) -> tuple[int, list[int]] | None:
    """The stream of which packets are asked for, and their numbers; None if it is no NACK."""
    if len(packet) < _NACK_HEADER.size or packet[1] != _FEEDBACK or packet[0] & 0x1F != _NACK:
        return None
    ssrc = _NACK_HEADER.unpack_from(packet)[4]
    whole = len(packet) - len(packet) % 4
    return ssrc, [
        (first + offset) & 0xFFFF
        for first, mask in _NACK_ENTRY.iter_unpack(packet[_NACK_HEADER.size : whole])
        for offset in range(17)
        if offset == 0 or mask >> offset - 1 & 1
    ]
