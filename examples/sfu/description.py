"""What a server needs to know of a packet's payload, whatever the codec."""

from __future__ import annotations

from typing import NamedTuple

_LONG = 0x80


class Description(NamedTuple):
    """Of one packet.

    Attributes:
        starts_key_frame: Decoding can begin with it.
        picture_id_at: Where its picture id is, bytes from the start; None if it has none.
        picture_id_bits: 7 or 15; 0 if it has none.
        tl0_at: Where the index of the lowest temporal layer is; None if it has none.
    """

    starts_key_frame: bool
    picture_id_at: int | None = None
    picture_id_bits: int = 0
    tl0_at: int | None = None


NOTHING = Description(starts_key_frame=False)


def picture_id(payload: bytes, description: Description) -> int:
    """The picture id, 0 if there is none."""
    at = description.picture_id_at
    if at is None:
        return 0
    if description.picture_id_bits == 15:
        return (payload[at] & 0x7F) << 8 | payload[at + 1]
    return payload[at]


def tl0(payload: bytes, description: Description) -> int:
    """The index of the lowest temporal layer, 0 if there is none."""
    return 0 if description.tl0_at is None else payload[description.tl0_at]


def with_ids(payload: bytes, description: Description, picture: int, base: int) -> bytes:
    """The same payload with other ids, as far as it has any; they are cut to what fits."""
    changed = bytearray(payload)
    at = description.picture_id_at
    if at is not None:
        if description.picture_id_bits == 15:
            changed[at] = _LONG | picture >> 8 & 0x7F
            changed[at + 1] = picture & 0xFF
        else:
            changed[at] = picture & 0x7F
    if description.tl0_at is not None:
        changed[description.tl0_at] = base & 0xFF
    return bytes(changed)
