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

    Other kinds of packets are skipped.

    Returns:
        The messages in their order. Together they cover at most 65535 packets: with run lengths, a
        datagram could otherwise say something of a hundred million.

    Raises:
        FeedbackError: The data does not consist of RTCP packets, or one of those that are read is
            malformed.
    """
    messages: list[FeedbackMessage] = []
    covered = 0
    for packet in rtcp.packets(data):
        match rtcp.kind(packet):
            case (rtcp.TRANSPORT_LAYER_FEEDBACK, feedback.FORMAT):
                message = TransportFeedback.parse(packet)
                covered += len(message.arrivals)
                if covered > feedback.MOST_PACKETS:
                    raise FeedbackError(
                        "the feedbacks of one compound cover more packets than there are numbers"
                    )
                messages.append(message)
            case (rtcp.PAYLOAD_SPECIFIC_FEEDBACK, reports.APPLICATION_LAYER):
                if reports.is_remb(packet):
                    messages.append(Remb.parse(packet))
            case (rtcp.SENDER_REPORT | rtcp.RECEIVER_REPORT, _):
                messages.append(ReceiverReport.parse(packet))
            case _:
                pass
    return messages
