"""RTP packets, taken apart and put together (RFC 3550, section 5.1; RFC 8285)."""

from __future__ import annotations

import struct

from attrs import define

TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
LAYERS = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
"""Names of the header extensions that are used here."""

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_VERSION = 0x80
_PADDED = 0x20
_EXTENDED = 0x10
_ONE_BYTE = 0xBEDE
_TWO_BYTE = 0x1000


class RtpError(ValueError):
    """What came is no RTP packet. Count it and drop it."""


@define
class RtpPacket:
    """One packet.

    Attributes:
        payload_type: 0 to 127.
        sequence: 0 to 65535.
        timestamp: In units of the stream's clock.
        ssrc: The stream.
        payload: Without padding; empty if there is nothing else.
        is_marked: Last packet of a frame of video.
        extensions: The data of each header extension, by its number.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    is_marked: bool
    extensions: dict[int, bytes]


def parse_rtp(data: bytes) -> RtpPacket:
    """Read a packet.

    Raises:
        RtpError: It is malformed.
    """
    if len(data) < _HEADER.size:
        raise RtpError(f"an RTP packet has at least {_HEADER.size} bytes, not {len(data)}")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first & 0xC0 != _VERSION:
        raise RtpError(f"RTP has version 2, not {first >> 6}")
    start = _HEADER.size + 4 * (first & 0x0F)
    extensions: dict[int, bytes] = {}
    if first & _EXTENDED:
        if start + _EXTENSION.size > len(data):
            raise RtpError("the header extension was cut off")
        profile, words = _EXTENSION.unpack_from(data, start)
        begin = start + _EXTENSION.size
        start = begin + 4 * words
        if start > len(data):
            raise RtpError("the header extension was cut off")
        if profile == _ONE_BYTE:
            extensions = _one_byte(data, begin, start)
        elif profile & 0xFFF0 == _TWO_BYTE:
            extensions = _two_byte(data, begin, start)
    end = len(data)
    if first & _PADDED:
        end -= data[-1]
    if end < start:
        raise RtpError("header and padding are longer than the packet")
    return RtpPacket(
        second & 0x7F, sequence, timestamp, ssrc, data[start:end], second >= 0x80, extensions
    )


def _one_byte(data: bytes, at: int, end: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at < end:
        head = data[at]
        if head == 0:  # padding
            at += 1
            continue
        size = (head & 0x0F) + 1
        if head >> 4 == 15 or at + 1 + size > end:
            break
        found[head >> 4] = data[at + 1 : at + 1 + size]
        at += 1 + size
    return found


def _two_byte(data: bytes, at: int, end: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + 1 < end:
        if data[at] == 0:  # padding
            at += 1
            continue
        size = data[at + 1]
        if at + 2 + size > end:
            break
        found[data[at]] = data[at + 2 : at + 2 + size]
        at += 2 + size
    return found


class RtpWriter:
    """Makes the packets of one stream, each with its transport-wide number and its MID.

    Args:
        payload_type: Of all of them.
        ssrc: The stream.
        transport_cc: Number of the extension for transport-wide sequence numbers, 1 to 14.
        mid: Number of the extension for the MID, 1 to 14, and the MID; None for none.

    Attributes:
        overhead: Bytes before the payload.
    """

    def __init__(
        self, payload_type: int, ssrc: int, *, transport_cc: int, mid: tuple[int, str] | None
    ) -> None:
        self._payload_type = payload_type
        self._ssrc = ssrc
        tail = b""
        if mid is not None:
            number, name = mid
            encoded = name.encode()
            tail = bytes([number << 4 | len(encoded) - 1]) + encoded
        tail += bytes(-(3 + len(tail)) % 4)
        self._struct = struct.Struct(f"!BBHIIHHBH{len(tail)}s")
        self._words = (3 + len(tail)) // 4
        self._tail = tail
        self._transport_cc = transport_cc << 4 | 1
        self.overhead: int = self._struct.size

    def build(
        self,
        sequence: int,
        timestamp: int,
        payload: bytes,
        transport_sequence: int,
        *,
        is_marked: bool = False,
    ) -> bytes:
        """Make a packet of media."""
        return self._head(0, sequence, timestamp, transport_sequence, is_marked) + payload

    def build_padding(
        self, sequence: int, timestamp: int, size: int, transport_sequence: int
    ) -> bytes:
        """Make a packet of nothing but 1 to 255 bytes of padding."""
        head = self._head(_PADDED, sequence, timestamp, transport_sequence, False)
        return head + bytes(size - 1) + bytes([size])

    def _head(
        self, flags: int, sequence: int, timestamp: int, transport_sequence: int, is_marked: bool
    ) -> bytes:
        return self._struct.pack(
            _VERSION | _EXTENDED | flags,
            is_marked << 7 | self._payload_type,
            sequence,
            timestamp,
            self._ssrc,
            _ONE_BYTE,
            self._words,
            self._transport_cc,
            transport_sequence,
            self._tail,
        )
