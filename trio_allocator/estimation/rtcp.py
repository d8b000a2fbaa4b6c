"""RTCP packets as far as all of them agree: a header, a length, padding (RFC 3550, section 6.4.1)."""

from __future__ import annotations


class FeedbackError(ValueError):
    """What came is no RTCP packet of its kind, or what is to be built does not fit into one.

    The only exception that any parser in here raises, whatever the bytes. Count it and drop the
    packet: it says something about the peer or the network, nothing about the program.
    """
