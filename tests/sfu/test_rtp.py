"""RTP packets, by bytes made by hand."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given, strategies as st

from examples.sfu.rtp import RtpError, RtpPacket, RtpWriter, parse_rtp

PLAIN = bytes.fromhex("80 e0 1234 01020304 0a0b0c0d aabb")
EXTENDED = bytes.fromhex(
    "b1 60 0001 00000002 00000003"  # padding, an extension, one contributing source
    "00000009"
    "bede 0002 31 0102 00 50 66 0000"  # 3: two bytes, padding, 5: one byte, padding
    "aa 000003"
)


def test_a_plain_packet_has_its_fields_where_the_rfc_draws_them():
    packet = RtpPacket(96, 0x1234, 0x01020304, 0x0A0B0C0D, b"\xaa\xbb", True, {})
    assert parse_rtp(PLAIN) == packet


def test_extensions_sources_and_padding_are_no_payload():
    packet = parse_rtp(EXTENDED)
    assert packet.extensions == {3: b"\x01\x02", 5: b"\x66"}
    assert packet.payload == b"\xaa"
    assert not packet.is_marked


def test_extensions_may_have_heads_of_two_bytes():
    data = bytes.fromhex("90 60 0001 00000002 00000003 1000 0002 00 0b 02 0102 0c 00 00 aa")
    assert parse_rtp(data).extensions == {11: b"\x01\x02", 12: b""}


def test_padding_alone_leaves_no_payload():
    assert parse_rtp(bytes.fromhex("a0 60 0001 00000002 00000003 000000 04")).payload == b""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "at least 12 bytes"),
        (b"\x80", "at least 12 bytes"),
        (b"\x40" + PLAIN[1:], "version 2, not 1"),
        (b"\x90" + PLAIN[1:12], "cut off"),
        (bytes.fromhex("90 60 0001 00000002 00000003 bede 0004 00000000"), "cut off"),
        (b"\xa0" + PLAIN[1:12] + b"\xff", "longer than the packet"),
        (b"\x8f" + PLAIN[1:], "longer than the packet"),
    ],
)
def test_what_is_no_packet_is_refused(data, message):
    with pytest.raises(RtpError, match=message):
        parse_rtp(data)


@given(st.binary(max_size=80), st.sampled_from([0x80, 0x90, 0xB3, None]))
@example(bytes.fromhex("90 60 0001 00000002 00000003 bede 0001 3f010203"), None)
@example(bytes.fromhex("90 60 0001 00000002 00000003 1000 0001 03ff0203"), None)
@example(bytes.fromhex("90 60 0001 00000002 00000003 bede 0001 f0010203"), None)
def test_garbage_is_read_or_refused(data, first):
    if first is not None and data:
        data = bytes([first]) + data[1:]
    with suppress(RtpError):
        parse_rtp(data)


@given(
    sequence=st.integers(0, 2**16 - 1),
    timestamp=st.integers(0, 2**32 - 1),
    number=st.integers(0, 2**16 - 1),
    payload=st.binary(min_size=1, max_size=30),
    mid=st.none() | st.text("ab1", min_size=1, max_size=16),
    is_marked=st.booleans(),
)
def test_what_is_written_is_read_again(sequence, timestamp, number, payload, mid, is_marked):
    writer = RtpWriter(97, 7, transport_cc=3, mid=None if mid is None else (4, mid))
    data = writer.build(sequence, timestamp, payload, number, is_marked=is_marked)
    assert len(data) == writer.overhead + len(payload)
    extensions = {3: number.to_bytes(2, "big")}
    if mid is not None:
        extensions[4] = mid.encode()
    assert parse_rtp(data) == RtpPacket(97, sequence, timestamp, 7, payload, is_marked, extensions)


@pytest.mark.parametrize("size", [1, 2, 255])
def test_padding_is_as_long_as_it_says(size):
    writer = RtpWriter(97, 7, transport_cc=3, mid=(4, "video"))
    data = writer.build_padding(1, 2, size, 3)
    assert len(data) == writer.overhead + size
    assert parse_rtp(data).payload == b""
