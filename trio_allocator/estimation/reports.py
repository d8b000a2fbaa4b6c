"""What peers without transport-wide feedback send: a rate (REMB), and loss (receiver reports)."""

from __future__ import annotations

from attrs import frozen


@frozen
class Remb:
    """A receiver's estimate of what it can receive (draft-alvestrand-rmcat-remb-03, section 2.2).

    Attributes:
        sender_ssrc: Who estimates.
        bitrate: bit/s, at most `trio_allocator.quantities.MAX_BITRATE`; who sends more than that
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
        raise NotImplementedError

    def build(self) -> bytes:
        """Make the RTCP packet; the rate keeps its 18 leading bits, rounded down.

        Raises:
            FeedbackError: A field is out of its range.
        """
        raise NotImplementedError


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
        raise NotImplementedError

    def build(self) -> bytes:
        """Make the RTCP packet, a receiver report.

        Raises:
            FeedbackError: A field is out of its range.
        """
        raise NotImplementedError
