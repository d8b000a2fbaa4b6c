"""Everything in a compound RTCP packet that says something about the network."""

from __future__ import annotations

from typing import TypeAlias

from . import feedback, reports, rtcp
from .feedback import TransportFeedback
from .reports import ReceiverReport, Remb
from .rtcp import FeedbackError

FeedbackMessage: TypeAlias = TransportFeedback | Remb | ReceiverReport
"""What a peer can tell of the network."""


def parse_compound(data: bytes) -> list[FeedbackMessage]:
    """Read a compound RTCP packet (RFC 3550, section 6.1), decrypted, or a single one (RFC 5506).

    Other kinds of packets are skipped, and so are malformed ones beside those that can be read: a
    sound report is not to be lost for a neighbour that is empty or cut off.

    Returns:
        The messages in their order. Together they cover at most 65535 packets, since a datagram
        with run lengths could otherwise say something of a hundred million.

    Raises:
        FeedbackError: Nothing in it can be read, and something is malformed.
    """
    messages: list[FeedbackMessage] = []
    covered = 0
    problem: FeedbackError | None = None
    packets = rtcp.packets(data)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            message = _parse(packet)
        except FeedbackError as error:
            # What is malformed between whole packets is skipped; behind what is cut off is nothing.
            problem = problem or error
            continue
        if isinstance(message, TransportFeedback):
            covered += len(message.arrivals)
            if covered > feedback.MOST_PACKETS:
                problem = FeedbackError(
                    "the feedbacks of one compound cover more packets than there are numbers"
                )
                break
        if message is not None:
            messages.append(message)
    if problem is not None and not messages:
        raise problem
    return messages


def _parse(packet: bytes) -> FeedbackMessage | None:
    """Read one RTCP packet; None if it says nothing of the network."""
    match rtcp.kind(packet):
        case (rtcp.TRANSPORT_LAYER_FEEDBACK, feedback.FORMAT):
            return TransportFeedback.parse(packet)
        case (rtcp.PAYLOAD_SPECIFIC_FEEDBACK, reports.APPLICATION_LAYER):
            return Remb.parse(packet) if reports.is_remb(packet) else None
        case (rtcp.SENDER_REPORT | rtcp.RECEIVER_REPORT, _):
            return ReceiverReport.parse(packet)
        case _:
            return None
