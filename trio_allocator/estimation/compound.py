"""Everything in a compound RTCP packet that says something about the network."""

from __future__ import annotations

from typing import TypeAlias

from .feedback import TransportFeedback
from .reports import ReceiverReport, Remb

FeedbackMessage: TypeAlias = TransportFeedback | Remb | ReceiverReport
"""What a peer can tell of the network."""


def parse_compound(data: bytes) -> list[FeedbackMessage]:
    """Read a compound RTCP packet (RFC 3550, section 6.1), decrypted, or a single one (RFC 5506).

    Other kinds of packets are skipped.

    Returns:
        The messages in their order.

    Raises:
        FeedbackError: The data does not consist of RTCP packets, or one of those that are read is
            malformed.
    """
    raise NotImplementedError
