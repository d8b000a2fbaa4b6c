"""Which chunks are chosen for a run of statuses: those that libwebrtc would choose."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import chunks


def bits(*texts):
    return b"".join(int(text.replace("|", ""), 2).to_bytes(2, "big") for text in texts)


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        # One kind only: a run, however short.
        ("1", ["0|01|0000000000001"]),
        ("0000000", ["0|00|0000000000111"]),
        ("11111111111111", ["0|01|0000000001110"]),
        ("22222222", ["0|10|0000000001000"]),
        # A vector has the same number of packets in it: a run that is as long wins.
        ("1111111" + "2", ["0|01|0000000000111", "0|10|0000000000001"]),
        ("111111" + "2", ["1|1|01010101010110"]),
        # Fourteen without a large delta.
        ("10111111111111", ["1|0|10111111111111"]),
        ("1111111111111" + "0", ["1|0|11111111111110"]),
        ("1111111111111" + "02", ["1|0|11111111111110", "0|10|0000000000001"]),
        ("1111111111111" + "2", ["0|01|0000000001101", "0|10|0000000000001"]),
        # A large delta among the fourteen: seven of them, and then again.
        ("10111111" + "2", ["1|1|01000101010101", "1|1|01100000000000"]),
        # The last ones: two bits for seven, one bit for more.
        ("1011101", ["1|1|01000101010001"]),
        ("10111011", ["1|0|10111011000000"]),
        ("102", ["1|1|01001000000000"]),
        # The longest run.
        ("0" * 8192, ["0|00|1111111111111", "0|00|0000000000001"]),
        ("0" * 8190 + "1", ["0|00|1111111111110", "0|01|0000000000001"]),
    ],
)
def test_the_chunk_that_covers_most_comes_next(symbols, expected):
    raw = bytes(int(symbol) for symbol in symbols)
    encoded = chunks.encode(raw)
    assert encoded == bits(*expected)
    assert chunks.decode(encoded, 0, len(encoded), len(raw)) == (bytearray(raw), len(encoded))


def test_nothing_needs_no_chunk():
    assert chunks.encode(b"") == b""


def test_it_reads_from_where_it_is_told_and_says_where_it_ended():
    data = b"\xff" + bits("0|01|0000000000010") + b"\xee\xee"
    assert chunks.decode(data, 1, len(data), 2) == (bytearray(b"\x01\x01"), 3)


@given(symbols=st.lists(st.sampled_from(b"\x00\x01\x02"), min_size=1, max_size=100).map(bytes))
def test_a_chunk_covers_at_least_seven(symbols):
    assert len(chunks.encode(symbols)) <= 2 * -(-len(symbols) // 7)
