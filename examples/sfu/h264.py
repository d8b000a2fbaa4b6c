"""H.264 in RTP: where a key frame starts (RFC 6184, section 5)."""

from __future__ import annotations

from collections.abc import Iterator

from .description import Description

_TYPE = 0x1F
_PARAMETERS = 7
_AGGREGATE = 24
_FRAGMENT = 28
_FIRST_FRAGMENT = 0x80


def describe(payload: bytes) -> Description:
    """Decoding can begin where parameters are: browsers send them before each key frame."""
    return Description(starts_key_frame=_PARAMETERS in _kinds(payload))


def _kinds(payload: bytes) -> Iterator[int]:
    """The types of the units that begin in a packet (RFC 6184, section 5.2)."""
    kind = payload[0] & _TYPE if payload else 0
    if kind == _AGGREGATE:
        at = 1
        while at + 2 < len(payload):
            yield payload[at + 2] & _TYPE
            at += 2 + (payload[at] << 8 | payload[at + 1])
    elif kind == _FRAGMENT:
        if len(payload) > 1 and payload[1] & _FIRST_FRAGMENT:
            yield payload[1] & _TYPE
    else:
        yield kind
