"""Packets that fill: media sent again where there is some, and otherwise padding."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from attrs import frozen

from .. import quantities

T = TypeVar("T")

LARGEST_PADDING = 255
"""Bytes: its length is one byte, the last of it (RFC 3550, section 5.1)."""

HEADER_SIZE = 20
"""Bytes of an RTP header with the extension for a transport-wide sequence number (RFC 3550, section
5.1; RFC 8285, section 4.2)."""

RTX_HEADER_SIZE = 2
"""Bytes that a packet grows by when it is sent again (RFC 4588, section 4)."""

HISTORY = 32
"""Packets of media to choose from: a frame or two."""


class PaddingStream(Enum):
    """Where padding goes."""

    RTX = "rtx"
    """The stream of retransmissions: nothing that the peer plays has gaps or grows by it."""
    MEDIA = "media"
    """The media's own, between frames."""


@frozen
class RepeatedPacket(Generic[T]):
    """Media to be sent again, on the stream of retransmissions.

    Attributes:
        packet: As it was told.
        size: Bytes that it will have.
    """

    packet: T
    size: int


@frozen
class PaddingPacket:
    """A packet without payload.

    Attributes:
        stream: Where it goes.
        padding: Bytes of padding, the last of which says how many, 1 to 255.
        size: Bytes that it will have.
    """

    stream: PaddingStream
    padding: int
    size: int


FillingPacket: TypeAlias = RepeatedPacket[T] | PaddingPacket
"""What fills."""


class PaddingSource(Generic[T]):
    """Turns bytes that are due into packets: for `SendPadding`, or for `Pacer.padding_due`.

    Media sent again makes packets of full size, where padding takes 430 packets a second for each
    Mbit/s; and what was lost may be among it.

    Args:
        has_rtx: There is a stream of retransmissions.
        header_size: Of a packet, bytes; whatever encryption adds is a part of it.

    Raises:
        TypeError, ValueError: One of them is not usable.
    """

    def __init__(self, *, has_rtx: bool = True, header_size: int = HEADER_SIZE) -> None:
        self._has_rtx = quantities.flag("has_rtx", has_rtx)
        self._header_size = quantities.whole_number("header_size", header_size, 12, 1_000)
        self._history: deque[tuple[T, int]] = deque(maxlen=HISTORY)

    def media_sent(self, packet: T, size: int) -> None:
        """Media was sent.

        Args:
            packet: What it takes to send it again.
            size: Bytes, everything above UDP counted.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes.
        """
        size = quantities.size("size", size)
        if self._has_rtx:
            self._history.append((packet, size + RTX_HEADER_SIZE))

    def forget(self) -> None:
        """Nothing of what was sent is worth sending again: another layer is sent now."""
        self._history.clear()

    def packets(self, due: int) -> list[FillingPacket[T]]:
        """Packets for this many bytes: together at least that, and less than one packet more.

        Args:
            due: Bytes.

        Raises:
            TypeError, ValueError: `due` is not a number of bytes.
        """
        left = quantities.size("due", due)
        packets: list[FillingPacket[T]] = []
        while left > 0:
            packet = self._repeated(left) or self._padding(left)
            packets.append(packet)
            left -= packet.size
        return packets

    def _repeated(self, due: int) -> RepeatedPacket[T] | None:
        """The largest that fits, but for a packet of padding, and is no smaller than that would be.

        Of equals, the one whose turn is longest ago.
        """
        least = min(due, self._header_size + LARGEST_PADDING)
        fitting = [
            (size, index)
            for index, (_packet, size) in enumerate(self._history)
            if least <= size <= due + LARGEST_PADDING
        ]
        if not fitting:
            return None
        size, index = max(fitting)
        packet, _size = self._history[index]
        del self._history[index]
        self._history.appendleft((packet, size))
        return RepeatedPacket(packet, size)

    def _padding(self, due: int) -> PaddingPacket:
        padding = min(max(due - self._header_size, 1), LARGEST_PADDING)
        stream = PaddingStream.RTX if self._has_rtx else PaddingStream.MEDIA
        return PaddingPacket(stream, padding, self._header_size + padding)
