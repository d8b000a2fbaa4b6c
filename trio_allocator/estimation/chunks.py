"""Packet status chunks: which packets of a run have arrived, in 16 bits each.

The three kinds are those of draft-holmer-rmcat-transport-wide-cc-extensions-01, sections 3.1.3 and
3.1.4. A symbol is the size of the delta that follows later: no byte, one or two.
"""

from __future__ import annotations

from itertools import product

from .rtcp import FeedbackError

NOT_RECEIVED = 0
SMALL_DELTA = 1
LARGE_DELTA = 2
RESERVED = 3
"""Status symbols (section 3.1.1)."""

CHUNK_SIZE = 2
"""Bytes."""

LONGEST_RUN = 2**13 - 1
"""Packets that a run-length chunk covers at most."""

ONE_BIT_SYMBOLS = 14
TWO_BIT_SYMBOLS = 7
"""Packets that a status vector chunk covers."""

_VECTOR = 0x8000
_TWO_BIT_VECTOR = 0xC000

_RUNS = tuple(bytes([symbol]) for symbol in range(4))
_SEVEN_BITS = tuple(bytes(symbols) for symbols in product(range(2), repeat=7))
_THREE_PAIRS = tuple(bytes(symbols) for symbols in product(range(4), repeat=3))
_FOUR_PAIRS = tuple(bytes(symbols) for symbols in product(range(4), repeat=4))


def decode(packet: bytes, start: int, end: int, covered: int) -> tuple[bytearray, int]:
    """Read chunks until they cover this many packets; the rest of the last one is ignored.

    Args:
        packet: What they stand in.
        start: Where they begin.
        end: Where they end at the latest.
        covered: For how many packets there are symbols.

    Returns:
        The symbols, one byte each, and where the chunks end.

    Raises:
        FeedbackError: They end before, or a symbol is the reserved one.
    """
    symbols = bytearray()
    at = start
    while len(symbols) < covered:
        if at + CHUNK_SIZE > end:
            raise FeedbackError(
                f"{covered} packets are announced, but there are statuses of {len(symbols)} only"
            )
        chunk = packet[at] << 8 | packet[at + 1]
        at += CHUNK_SIZE
        if chunk < _VECTOR:
            symbols += _RUNS[chunk >> 13] * (chunk & LONGEST_RUN)
        elif chunk < _TWO_BIT_VECTOR:
            symbols += _SEVEN_BITS[chunk >> 7 & 0x7F] + _SEVEN_BITS[chunk & 0x7F]
        else:
            symbols += _THREE_PAIRS[chunk >> 8 & 0x3F] + _FOUR_PAIRS[chunk & 0xFF]
    del symbols[covered:]
    if RESERVED in symbols:
        raise FeedbackError(f"the status of packet {symbols.index(RESERVED)} is the reserved one")
    return symbols, at


def encode(symbols: bytes | bytearray) -> bytes:
    """Choose chunks for symbols: whichever covers most, one after the other, as libwebrtc does."""
    chunks = bytearray()
    at = 0
    while at < len(symbols):
        chunk, covered = _next_chunk(symbols[at : at + LONGEST_RUN])
        chunks += chunk.to_bytes(CHUNK_SIZE, "big")
        at += covered
    return bytes(chunks)


def _next_chunk(symbols: bytes | bytearray) -> tuple[int, int]:
    """The chunk that covers most of these symbols from the first on, and how many that are."""
    run = len(symbols) - len(symbols.lstrip(symbols[:1]))
    vector = symbols[:ONE_BIT_SYMBOLS]
    one_bit = 0 if LARGE_DELTA in vector else len(vector)
    two_bit = min(len(vector), TWO_BIT_SYMBOLS)
    if run >= max(one_bit, two_bit):
        return symbols[0] << 13 | run, run
    if one_bit > two_bit:
        return _VECTOR | _packed(vector, 1, ONE_BIT_SYMBOLS), one_bit
    return _TWO_BIT_VECTOR | _packed(vector[:two_bit], 2, TWO_BIT_SYMBOLS), two_bit


def _packed(symbols: bytes | bytearray, width: int, room: int) -> int:
    bits = 0
    for symbol in symbols:
        bits = bits << width | symbol
    return bits << width * (room - len(symbols))
