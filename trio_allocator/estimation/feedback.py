"""Transport-wide congestion control feedback, one RTCP packet of it: parsed and built.

The format is that of draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1.
"""

from __future__ import annotations

from attrs import frozen

REFERENCE_UNIT = 64_000
"""What one unit of the reference time is, µs (section 3.1)."""

DELTA_UNIT = 250
"""The resolution of arrivals, µs (section 3.1.5)."""


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
        raise NotImplementedError

    def build(self) -> bytes:
        """Make the RTCP packet, padded to a multiple of 32 bits.

        Raises:
            FeedbackError: A field is out of its range, an arrival no multiple of 250 µs, or two
                arrivals one after the other further apart than the format can say (8.19 s).
        """
        raise NotImplementedError
