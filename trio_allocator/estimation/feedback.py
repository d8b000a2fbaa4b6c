"""Transport-wide congestion control feedback, one RTCP packet of it: parsed and built.

The format is that of draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from itertools import compress

from attrs import frozen

from . import chunks, rtcp
from .rtcp import FeedbackError

FORMAT = 15
"""Which feedback of the transport layer it is (section 3.1)."""

REFERENCE_UNIT = 64_000
"""What one unit of the reference time is, µs (section 3.1)."""

DELTA_UNIT = 250
"""The resolution of arrivals, µs (section 3.1.5)."""

LARGEST_SMALL_DELTA = 2**8 - 1
LOWEST_DELTA = -(2**15)
LARGEST_DELTA = 2**15 - 1
"""Bounds of one and two bytes, in units of `DELTA_UNIT` (section 3.1.5)."""

MOST_PACKETS = 2**16 - 1
"""How many a feedback can cover: there are no more statuses than their count can say."""

LONG = 1_000
"""Packets."""

_RECEIVED = re.compile(rb"[^\0]")
_FIXED = struct.Struct("!IIHHI")
FIXED_SIZE = rtcp.HEADER_SIZE + _FIXED.size
"""Bytes before the first chunk."""


@frozen
class TransportFeedback:
    """Which packets of a run have arrived, and when.

    Sequence numbers, reference time and count are those of the wire and wrap around; what they
    mean in the course of a connection is the matter of `FeedbackReader`.

    Attributes:
        sender_ssrc: Who reports, 0 to 2³² − 1.
        media_ssrc: A stream that is reported on, 0 to 2³² − 1. The numbers go across all streams.
        base_sequence: Transport-wide sequence number of the first packet covered, 0 to 65535.
        reference_time: On the peer's clock, in units of 64 ms, modulo 2²⁴.
        feedback_count: Counts the feedbacks of this sender, 0 to 255.
        arrivals: For each packet covered, from `base_sequence` on: when it arrived, µs after the
            reference time, a multiple of 250; None if it has not arrived. At least one entry, at
            most 65535.
    """

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    reference_time: int
    feedback_count: int
    arrivals: tuple[int | None, ...]

    @classmethod
    def parse(cls, packet: bytes) -> TransportFeedback:
        """Read one RTCP packet, from its header to its end; for a compound see `parse_compound`.

        Raises:
            FeedbackError: It is not transport-wide feedback, or malformed.
        """
        end = rtcp.payload_end(packet, FIXED_SIZE)
        if rtcp.kind(packet) != (rtcp.TRANSPORT_LAYER_FEEDBACK, FORMAT):
            raise FeedbackError(
                f"transport-wide feedback has type {rtcp.TRANSPORT_LAYER_FEEDBACK} and format "
                f"{FORMAT}, not {rtcp.kind(packet)}"
            )
        sender, media, base, covered, times = _FIXED.unpack_from(packet, rtcp.HEADER_SIZE)
        if not covered:
            raise FeedbackError("a feedback that covers no packet says nothing")
        symbols, at = chunks.decode(packet, FIXED_SIZE, end, covered)
        size = symbols.count(chunks.SMALL_DELTA) + 2 * symbols.count(chunks.LARGE_DELTA)
        if at + size > end:
            raise FeedbackError(
                f"the deltas of the packets received need {size} bytes, but there are {end - at}"
            )
        arrivals = _arrivals(symbols, packet, at)
        return cls(sender, media, base, times >> 8, times & 0xFF, arrivals)

    def build(self) -> bytes:
        """Make the RTCP packet, padded to a multiple of 32 bits.

        Raises:
            FeedbackError: A field is out of its range, an arrival no multiple of 250 µs, or two
                arrivals one after the other further apart than the format can say (8.19 s).
        """
        rtcp.check("sender_ssrc", self.sender_ssrc, 0, rtcp.LARGEST_SSRC)
        rtcp.check("media_ssrc", self.media_ssrc, 0, rtcp.LARGEST_SSRC)
        rtcp.check("base_sequence", self.base_sequence, 0, 2**16 - 1)
        rtcp.check("reference_time", self.reference_time, 0, 2**24 - 1)
        rtcp.check("feedback_count", self.feedback_count, 0, 2**8 - 1)
        rtcp.check("the number of arrivals", len(self.arrivals), 1, MOST_PACKETS)
        symbols, deltas = _deltas(self.arrivals)
        fixed = _FIXED.pack(
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence,
            len(self.arrivals),
            self.reference_time << 8 | self.feedback_count,
        )
        payload = fixed + chunks.encode(symbols) + deltas
        return rtcp.build(rtcp.TRANSPORT_LAYER_FEEDBACK, FORMAT, payload)


def _arrivals(symbols: bytearray, packet: bytes, at: int) -> tuple[int | None, ...]:
    """Add up the deltas; there is one for each packet received (section 3.1.5)."""
    arrivals: list[int | None] = [None] * len(symbols)
    time = 0
    places: Iterable[int] = compress(range(len(symbols)), symbols)
    if len(symbols) > LONG:
        # Nearly all of them are lost, or the packet would be larger: look for the others.
        places = (match.start() for match in _RECEIVED.finditer(symbols))
    for index in places:
        if symbols[index] == chunks.SMALL_DELTA:
            time += packet[at] * DELTA_UNIT
            at += 1
        else:
            delta = packet[at] << 8 | packet[at + 1]
            at += 2
            time += (delta - 2**16 if delta > LARGEST_DELTA else delta) * DELTA_UNIT
        arrivals[index] = time
    return tuple(arrivals)


def _deltas(arrivals: tuple[int | None, ...]) -> tuple[bytearray, bytes]:
    symbols = bytearray()
    deltas = bytearray()
    time = 0
    for index, arrival in enumerate(arrivals):
        if arrival is None:
            symbols.append(chunks.NOT_RECEIVED)
            continue
        delta, rest = divmod(arrival - time, DELTA_UNIT)
        if rest:
            raise FeedbackError(
                f"arrivals[{index}] must be a multiple of {DELTA_UNIT} µs, got {arrival}: round it"
            )
        if 0 <= delta <= LARGEST_SMALL_DELTA:
            symbols.append(chunks.SMALL_DELTA)
            deltas.append(delta)
        elif LOWEST_DELTA <= delta <= LARGEST_DELTA:
            symbols.append(chunks.LARGE_DELTA)
            deltas += delta.to_bytes(2, "big", signed=True)
        else:
            raise FeedbackError(
                f"arrivals[{index}] is {arrival - time} µs after the one before (or the reference "
                f"time), from {LOWEST_DELTA * DELTA_UNIT} to {LARGEST_DELTA * DELTA_UNIT} µs can "
                "be said: begin another feedback"
            )
        time = arrival
    return symbols, bytes(deltas)
