"""VP8 in RTP: where a key frame starts, and the picture ids (RFC 7741, section 4.2)."""

from __future__ import annotations

from .description import NOTHING, Description

_EXTENDED = 0x80
_START = 0x10
_PARTITION = 0x07
_HAS_PICTURE_ID = 0x80
_HAS_TL0 = 0x40
_HAS_TID_OR_KEY = 0x30
_LONG = 0x80


def describe(payload: bytes) -> Description:
    """Read the descriptor; one that is cut off counts as none."""
    try:
        return _read(payload)
    except IndexError:
        return NOTHING


def _read(payload: bytes) -> Description:
    first = payload[0]
    at = 1
    picture_id_at = tl0_at = None
    bits = 0
    if first & _EXTENDED:
        more = payload[1]
        at = 2
        if more & _HAS_PICTURE_ID:
            picture_id_at = at
            bits = 15 if payload[at] & _LONG else 7
            at += 2 if bits == 15 else 1
        if more & _HAS_TL0:
            tl0_at = at
            at += 1
        if more & _HAS_TID_OR_KEY:
            at += 1
    frame = payload[at]  # a descriptor without anything behind it was cut off
    starts = first & (_START | _PARTITION) == _START and not frame & 1
    return Description(starts, picture_id_at, bits, tl0_at)
