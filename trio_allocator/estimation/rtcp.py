"""RTCP packets as far as all of them agree: a header, a length, padding (RFC 3550, section 6.4.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER_SIZE = 4
"""Bytes before what differs from kind to kind."""

SENDER_REPORT = 200
RECEIVER_REPORT = 201
TRANSPORT_LAYER_FEEDBACK = 205
PAYLOAD_SPECIFIC_FEEDBACK = 206
"""Packet types (RFC 3550, section 12.1; RFC 4585, section 6.1)."""

_HEADER = struct.Struct("!BBH")
_VERSION = 2
_PADDED = 0x20
_SUBTYPE = 0x1F


class FeedbackError(ValueError):
    """What came is no RTCP packet of its kind, or what is to be built does not fit into one.

    The only exception that any parser in here raises, whatever the bytes. Count it and drop the
    packet: it says something about the peer or the network, nothing about the program.
    """


def packets(data: bytes) -> Iterator[bytes]:
    """Take a compound packet apart (RFC 3550, section 6.1).

    Raises:
        FeedbackError: Some part of it is no RTCP packet.
    """
    start = 0
    while True:
        end = start + _announced(data, start)
        if end > len(data):
            raise FeedbackError(
                f"an RTCP packet of {end - start} bytes was cut off after {len(data) - start}"
            )
        yield data[start:end]
        if end == len(data):
            return
        start = end


def _announced(data: bytes, start: int) -> int:
    """The size of a packet in bytes, as its header says."""
    if len(data) - start < HEADER_SIZE:
        raise FeedbackError(
            f"an RTCP header needs {HEADER_SIZE} bytes, but there are {len(data) - start}"
        )
    first, _, words = _HEADER.unpack_from(data, start)
    if first >> 6 != _VERSION:
        raise FeedbackError(f"RTCP has version {_VERSION}, not {first >> 6}")
    return HEADER_SIZE * (int(words) + 1)


def kind(packet: bytes) -> tuple[int, int]:
    """Packet type, and the five bits whose meaning depends on it: a format or a count."""
    return packet[1], packet[0] & _SUBTYPE


def payload_end(packet: bytes, least: int) -> int:
    """Check the header of a single packet, and find where its payload ends and padding begins.

    Args:
        packet: From its header to its end.
        least: Bytes that a packet of this kind has at least, the header included.

    Raises:
        FeedbackError: It is not exactly one RTCP packet, or shorter than it must be.
    """
    announced = _announced(packet, 0)
    end = size = len(packet)
    if announced != size:
        raise FeedbackError(f"the header announces {announced} bytes, but the packet has {size}")
    if packet[0] & _PADDED:
        padding = packet[-1]
        if not 0 < padding <= size - HEADER_SIZE:
            raise FeedbackError(f"{padding} bytes of padding in a packet of {size} are impossible")
        end -= padding
    if end < least:
        raise FeedbackError(f"such a packet has at least {least} bytes, this one has {end}")
    return end


def build(packet_type: int, subtype: int, payload: bytes) -> bytes:
    """Put a header before a payload, and behind it padding to a multiple of 32 bits if it needs any."""
    padding = -len(payload) % HEADER_SIZE
    first = _VERSION << 6 | subtype
    if padding:
        first |= _PADDED
        payload += bytes(padding - 1) + bytes([padding])
    return _HEADER.pack(first, packet_type, len(payload) // HEADER_SIZE) + payload


def check(name: str, value: int, lowest: int, highest: int) -> None:
    """Check a field before it is built.

    Raises:
        FeedbackError: It is out of bounds.
    """
    if not lowest <= value <= highest:
        raise FeedbackError(f"{name} must be from {lowest} to {highest}, got {value}")


LARGEST_SSRC = 2**32 - 1
