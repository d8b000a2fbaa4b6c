"""What a receiver of media asks its sender for: lost packets (NACK), key frames (PLI, FIR)."""

from __future__ import annotations

import struct
from itertools import islice
from typing import TypeAlias

from attrs import frozen

from . import rtcp
from .rtcp import FeedbackError

GENERIC_NACK = 1
"""Its format in feedback of the transport layer (RFC 4585, section 6.2)."""

PICTURE_LOSS = 1
FULL_INTRA = 4
"""Their formats in payload-specific feedback (RFC 4585, section 6.3; RFC 5104, section 4.3.1)."""

MOST_SEQUENCES = 2**16
"""There are no more numbers; a packet that names more of them names some of them twice."""

_SOURCES = struct.Struct("!II")
_SOURCES_END = rtcp.HEADER_SIZE + _SOURCES.size
_LOST = struct.Struct("!HH")
_FIR_ENTRY = struct.Struct("!IB3x")
_MASK_BITS = 16


@frozen
class Nack:
    """Asks for packets of a stream once more (RFC 4585, section 6.2.1).

    Attributes:
        sender_ssrc: Who asks, 0 to 2³² − 1.
        media_ssrc: The stream, 0 to 2³² − 1.
        sequences: Numbers of that stream, 0 to 65535, at least one, in the order of the packet.
    """

    sender_ssrc: int
    media_ssrc: int
    sequences: tuple[int, ...]

    @classmethod
    def parse(cls, packet: bytes) -> Nack:
        """Read one RTCP packet.

        Raises:
            FeedbackError: It is no generic NACK, or malformed.
        """
        sender, media, end = _sources(
            packet, rtcp.TRANSPORT_LAYER_FEEDBACK, GENERIC_NACK, "NACK", _LOST.size
        )
        if (end - _SOURCES_END) % _LOST.size:
            raise FeedbackError(f"the entries of a NACK have {_LOST.size} bytes each")
        sequences = (
            (first + distance) % 2**16
            for first, mask in _LOST.iter_unpack(packet[_SOURCES_END:end])
            for distance in range(_MASK_BITS + 1)
            if distance == 0 or mask >> distance - 1 & 1
        )
        found = tuple(islice(sequences, MOST_SEQUENCES + 1))
        if len(found) > MOST_SEQUENCES:
            raise FeedbackError(f"a NACK names more than {MOST_SEQUENCES} packets")
        return cls(sender, media, found)

    def build(self) -> bytes:
        """Make the RTCP packet. Numbers that follow closely on each other share an entry.

        Raises:
            FeedbackError: A field is out of its range, or they do not fit into one packet.
        """
        rtcp.check("the number of sequences", len(self.sequences), 1, MOST_SEQUENCES)
        entries: list[tuple[int, int]] = []
        for index, sequence in enumerate(self.sequences):
            rtcp.check(f"sequences[{index}]", sequence, 0, 2**16 - 1)
            if entries:
                first, mask = entries[-1]
                distance = (sequence - first) % 2**16
                # Only upwards within the mask: the order is kept.
                if 0 < distance <= _MASK_BITS and mask < 1 << distance - 1:
                    entries[-1] = first, mask | 1 << distance - 1
                    continue
            entries.append((sequence, 0))
        rtcp.check("the number of entries", len(entries), 1, 2**16 - 3)
        payload = _build_sources(self.sender_ssrc, self.media_ssrc)
        payload += b"".join(_LOST.pack(*entry) for entry in entries)
        return rtcp.build(rtcp.TRANSPORT_LAYER_FEEDBACK, GENERIC_NACK, payload)


@frozen
class PictureLoss:
    """Asks for a key frame, since the picture can not be decoded (PLI; RFC 4585, section 6.3.1).

    Attributes:
        sender_ssrc: Who asks, 0 to 2³² − 1.
        media_ssrc: The stream, 0 to 2³² − 1.
    """

    sender_ssrc: int
    media_ssrc: int

    @classmethod
    def parse(cls, packet: bytes) -> PictureLoss:
        """Read one RTCP packet.

        Raises:
            FeedbackError: It is no picture loss indication, or malformed.
        """
        sender, media, _end = _sources(
            packet, rtcp.PAYLOAD_SPECIFIC_FEEDBACK, PICTURE_LOSS, "picture loss indication", 0
        )
        return cls(sender, media)

    def build(self) -> bytes:
        """Make the RTCP packet.

        Raises:
            FeedbackError: A field is out of its range.
        """
        payload = _build_sources(self.sender_ssrc, self.media_ssrc)
        return rtcp.build(rtcp.PAYLOAD_SPECIFIC_FEEDBACK, PICTURE_LOSS, payload)


@frozen
class FullIntraRequest:
    """Commands a key frame of one stream or several (FIR; RFC 5104, section 4.3.1).

    Attributes:
        sender_ssrc: Who asks, 0 to 2³² − 1.
        commands: For each stream its SSRC, and a number, 0 to 255, which stays the same when a
            command is repeated. At least one.
    """

    sender_ssrc: int
    commands: tuple[tuple[int, int], ...]

    @property
    def ssrcs(self) -> tuple[int, ...]:
        """The streams of which a key frame is wanted."""
        return tuple(ssrc for ssrc, _number in self.commands)

    @classmethod
    def parse(cls, packet: bytes) -> FullIntraRequest:
        """Read one RTCP packet.

        Raises:
            FeedbackError: It is no full intra request, or malformed.
        """
        sender, _unused, end = _sources(
            packet,
            rtcp.PAYLOAD_SPECIFIC_FEEDBACK,
            FULL_INTRA,
            "full intra request",
            _FIR_ENTRY.size,
        )
        if (end - _SOURCES_END) % _FIR_ENTRY.size:
            raise FeedbackError(f"a command of a full intra request has {_FIR_ENTRY.size} bytes")
        return cls(sender, tuple(_FIR_ENTRY.iter_unpack(packet[_SOURCES_END:end])))

    def build(self) -> bytes:
        """Make the RTCP packet.

        Raises:
            FeedbackError: A field is out of its range, or they do not fit into one packet.
        """
        rtcp.check("the number of commands", len(self.commands), 1, (2**16 - 3) // 2)
        payload = _build_sources(self.sender_ssrc, 0)  # no media source: always so
        for index, (ssrc, number) in enumerate(self.commands):
            rtcp.check(f"the ssrc of commands[{index}]", ssrc, 0, rtcp.LARGEST_SSRC)
            rtcp.check(f"the number of commands[{index}]", number, 0, 2**8 - 1)
            payload += _FIR_ENTRY.pack(ssrc, number)
        return rtcp.build(rtcp.PAYLOAD_SPECIFIC_FEEDBACK, FULL_INTRA, payload)


MediaRequest: TypeAlias = Nack | PictureLoss | FullIntraRequest
"""What a receiver can ask for."""

_KINDS: dict[tuple[int, int], type[MediaRequest]] = {
    (rtcp.TRANSPORT_LAYER_FEEDBACK, GENERIC_NACK): Nack,
    (rtcp.PAYLOAD_SPECIFIC_FEEDBACK, PICTURE_LOSS): PictureLoss,
    (rtcp.PAYLOAD_SPECIFIC_FEEDBACK, FULL_INTRA): FullIntraRequest,
}


def parse_requests(data: bytes) -> list[MediaRequest]:
    """Read what is asked for in a compound RTCP packet (RFC 3550, section 6.1), decrypted.

    Other kinds of packets are skipped: `parse_compound` reads those that say something about the
    network.

    Returns:
        The requests in their order.

    Raises:
        FeedbackError: The data does not consist of RTCP packets, or one of those that are read is
            malformed.
    """
    return [
        kind.parse(packet)
        for packet in rtcp.packets(data)
        if (kind := _KINDS.get(rtcp.kind(packet))) is not None
    ]


def _sources(
    packet: bytes, packet_type: int, form: int, name: str, least: int
) -> tuple[int, int, int]:
    """Check what all have in common; returns who asks, the stream, and where the packet ends."""
    end = rtcp.payload_end(packet, _SOURCES_END)
    if rtcp.kind(packet) != (packet_type, form):
        raise FeedbackError(
            f"a {name} has type {packet_type} and format {form}, not {rtcp.kind(packet)}"
        )
    if end < _SOURCES_END + least:
        raise FeedbackError(f"a {name} has at least {_SOURCES_END + least} bytes, not {end}")
    sender, media = _SOURCES.unpack_from(packet, rtcp.HEADER_SIZE)
    return sender, media, end


def _build_sources(sender: int, media: int) -> bytes:
    rtcp.check("sender_ssrc", sender, 0, rtcp.LARGEST_SSRC)
    rtcp.check("media_ssrc", media, 0, rtcp.LARGEST_SSRC)
    return _SOURCES.pack(sender, media)
