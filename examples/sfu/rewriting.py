"""One stream made of the layers of a simulcast: its numbers go on where the layer changes."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import NamedTuple

from .description import Description, picture_id, tl0, with_ids
from .rtp import RtpPacket

REMEMBERED = 256
"""Packets left out that late ones are still compared with."""


class Rewritten(NamedTuple):
    """A packet as the subscriber gets it."""

    sequence: int
    timestamp: int
    payload: bytes


class StreamRewriter:
    """Renumbers packets, so that a subscriber sees one stream without gaps.

    Sequence numbers, timestamps and VP8's picture ids go on at each `begin`. Packets that are left
    out on purpose (a publisher's padding) leave no gap, or a subscriber would ask for them.

    Args:
        sequence: Number of the first packet, 0 to 65535.
        timestamp: Of the first packet, 0 to 2³² − 1.
        clock_rate: Units of the timestamps a second.
    """

    def __init__(self, sequence: int, timestamp: int, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._next = sequence
        self._timestamp = timestamp
        self._sent_at: float | None = None
        self._picture = self._tl0 = 0
        # Of the layer that flows: its first and newest number, extended, and what is added.
        self._first = self._newest = 0
        self._sequence_shift = self._timestamp_shift = self._picture_shift = self._tl0_shift = 0
        self._skipped: deque[int] = deque(maxlen=REMEMBERED)
        self._forgotten = 0

    @property
    def timestamp(self) -> int:
        """Of the newest packet sent."""
        return self._timestamp

    @property
    def sent_at(self) -> float | None:
        """When that was, s; None before the first."""
        return self._sent_at

    def begin(self, packet: RtpPacket, description: Description, now: float) -> None:
        """Another layer begins with this packet, which is still to be rewritten.

        Args:
            packet: Where decoding can begin.
            description: Of its payload.
            now: s. Timestamps go on by what has passed since the last packet.
        """
        passed = 1 if self._sent_at is None else round((now - self._sent_at) * self._clock_rate)
        self._first = self._newest = packet.sequence
        self._sequence_shift = self._next - packet.sequence
        self._timestamp_shift = self._timestamp + max(passed, 1) - packet.timestamp
        self._picture_shift = self._picture + 1 - picture_id(packet.payload, description)
        self._tl0_shift = self._tl0 + 1 - tl0(packet.payload, description)
        self._skipped.clear()
        self._forgotten = 0

    def skip(self, sequence: int) -> None:
        """A packet of the layer that flows is not sent on, and nobody is to miss it."""
        extended = self._extended(sequence)
        if extended < self._first or extended in self._skipped:
            return
        if self._skipped and extended < self._skipped[-1]:
            # It was overtaken by one that is numbered already: its gap stays.
            return
        if len(self._skipped) == REMEMBERED:
            self._forgotten += 1
        self._skipped.append(extended)
        self._newest = max(self._newest, extended)

    def rewrite(self, packet: RtpPacket, description: Description, now: float) -> Rewritten | None:
        """Renumber a packet of the layer that flows; None for one from before its beginning."""
        extended = self._extended(packet.sequence)
        if extended < self._first:
            return None
        left_out = len(self._skipped)
        if left_out and extended < self._skipped[-1]:
            left_out = bisect_right(self._skipped, extended)
        out = extended + self._sequence_shift - left_out - self._forgotten
        timestamp = (packet.timestamp + self._timestamp_shift) % 2**32
        picture = picture_id(packet.payload, description) + self._picture_shift
        base = tl0(packet.payload, description) + self._tl0_shift
        if extended >= self._newest:
            self._newest = extended
            self._next = out + 1
            self._timestamp, self._sent_at = timestamp, now
            self._picture, self._tl0 = picture % 2**15, base % 2**8
        payload = with_ids(packet.payload, description, picture, base)
        return Rewritten(out % 2**16, timestamp, payload)

    def _extended(self, sequence: int) -> int:
        newest = self._newest
        return newest + (sequence - newest + 2**15) % 2**16 - 2**15
