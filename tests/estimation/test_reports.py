"""REMB and receiver reports: each field by bytes made by hand, and what is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given, strategies as st

from trio_allocator.estimation import FeedbackError, ReceiverReport, Remb, ReportBlock
from trio_allocator.quantities import MAX_BITRATE

ssrcs = st.integers(0, 2**32 - 1)

# --- REMB --------------------------------------------------------------------------------------

REMB = bytes.fromhex(
    "8fce0006"  # version 2, format 15, type 206, 7 words
    "01020304"
    "00000000"
    "52454d42"  # "REMB"
    "020b2345"  # two streams, exponent 2, mantissa 0x32345
    "0000000a"
    "fffffffe"
)


def test_every_field_of_a_remb_is_where_the_draft_draws_it():
    assert Remb.parse(REMB) == Remb(0x01020304, 0x32345 << 2, (10, 2**32 - 2))
    assert Remb(0x01020304, 0x32345 << 2, (10, 2**32 - 2)).build() == REMB


@pytest.mark.parametrize(
    ("bitrate", "told"),
    [
        (0, 0),
        (1, 1),
        (2**18 - 1, 2**18 - 1),
        (2**18, 2**18),
        (2**18 + 1, 2**18),
        (1_000_001, 1_000_000),
        (MAX_BITRATE, MAX_BITRATE - MAX_BITRATE % 2**32),
    ],
)
def test_a_rate_keeps_its_leading_bits_and_is_rounded_down(bitrate, told):
    assert Remb.parse(Remb(1, bitrate).build()) == Remb(1, told)


def test_a_rate_beyond_all_rates_means_no_limit():
    packet = bytearray(REMB)
    packet[17:20] = b"\xff\xff\xff"
    assert Remb.parse(bytes(packet)).bitrate == MAX_BITRATE


@given(sender=ssrcs, bitrate=st.integers(0, MAX_BITRATE), streams=st.lists(ssrcs, max_size=255))
@example(sender=0, bitrate=0, streams=[0] * 255)
@example(sender=2**32 - 1, bitrate=MAX_BITRATE, streams=[2**32 - 1])
def test_a_remb_is_read_as_it_was_built_but_for_the_last_bits(sender, bitrate, streams):
    remb = Remb.parse(Remb(sender, bitrate, tuple(streams)).build())
    assert (remb.sender_ssrc, remb.ssrcs) == (sender, tuple(streams))
    assert bitrate * (1 - 2**-17) <= remb.bitrate <= bitrate


def test_what_follows_the_streams_is_left_out():
    packet = bytearray(REMB)
    packet[16] = 1
    assert Remb.parse(bytes(packet)).ssrcs == (10,)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, 0x8E, "REMB has type 206"),
        (1, 205, "REMB has type 206"),
        (12, 0x53, "REMB has type 206"),
        (16, 3, "for 3 streams has 32 bytes, this one has 28"),
        (3, 5, "announces 24 bytes"),
    ],
)
def test_a_malformed_remb_is_refused(at, value, message):
    packet = bytearray(REMB)
    packet[at] = value
    with pytest.raises(FeedbackError, match=message):
        Remb.parse(bytes(packet))


def test_a_remb_without_a_rate_is_refused():
    with pytest.raises(FeedbackError, match="at least 20 bytes, this one has 16"):
        Remb.parse(bytes.fromhex("8fce0003") + REMB[4:16])


@pytest.mark.parametrize(
    ("remb", "message"),
    [
        (Remb(2**32, 0), "sender_ssrc must be"),
        (Remb(0, -1), "bitrate must be from 0"),
        (Remb(0, MAX_BITRATE + 1), "bitrate must be from 0"),
        (Remb(0, 0, (1, -1)), r"ssrcs\[1\] must be"),
        (Remb(0, 0, (1,) * 256), "the number of ssrcs must be from 0 to 255, got 256"),
    ],
)
def test_a_remb_that_the_wire_can_not_say_is_refused(remb, message):
    with pytest.raises(FeedbackError, match=message):
        remb.build()


# --- receiver reports --------------------------------------------------------------------------

BLOCK = ReportBlock(
    ssrc=0x0A0B0C0D,
    fraction_lost=64,
    cumulative_lost=-2,
    highest_sequence=0x0001FFFE,
    jitter=33,
    last_sender_report=0x10002000,
    delay=0x8000,
)
BLOCK_BYTES = bytes.fromhex("0a0b0c0d40fffffe0001fffe000000211000200000008000")
REPORT = bytes.fromhex("81c9000701020304") + BLOCK_BYTES
SENDER_REPORT = bytes.fromhex("81c8000c01020304") + bytes(range(20)) + BLOCK_BYTES


def test_every_field_of_a_block_is_where_the_rfc_draws_it():
    assert ReceiverReport.parse(REPORT) == ReceiverReport(0x01020304, (BLOCK,))
    assert ReceiverReport(0x01020304, (BLOCK,)).build() == REPORT


def test_a_sender_report_has_the_same_blocks_further_behind():
    assert ReceiverReport.parse(SENDER_REPORT) == ReceiverReport(0x01020304, (BLOCK,))


def test_a_report_on_nothing_is_a_report():
    assert ReceiverReport.parse(bytes.fromhex("80c9000101020304")) == ReceiverReport(0x01020304)


def test_what_a_profile_appends_is_left_out():
    packet = bytes.fromhex("81c90008") + REPORT[4:] + b"more"
    assert ReceiverReport.parse(packet) == ReceiverReport(0x01020304, (BLOCK,))


blocks = st.builds(
    ReportBlock,
    ssrc=ssrcs,
    fraction_lost=st.integers(0, 255),
    cumulative_lost=st.integers(-(2**23), 2**23 - 1),
    highest_sequence=ssrcs,
    jitter=ssrcs,
    last_sender_report=ssrcs,
    delay=ssrcs,
)
reports = st.builds(
    ReceiverReport, sender_ssrc=ssrcs, blocks=st.lists(blocks, max_size=31).map(tuple)
)


LOWEST = ReportBlock(0, 0, -(2**23), 0, 0, 0, 0)
HIGHEST = ReportBlock(2**32 - 1, 255, 2**23 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1)


@given(report=reports)
@example(ReceiverReport(0, (LOWEST, HIGHEST)))
@example(ReceiverReport(2**32 - 1, (HIGHEST,) * 31))
def test_a_report_is_read_as_it_was_built(report):
    assert ReceiverReport.parse(report.build()) == report


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (bytes.fromhex("80ca000101020304"), "200 or 201: 202"),
        (bytes.fromhex("80c90000"), "at least 8 bytes, this one has 4"),
        (bytes.fromhex("82c90007") + REPORT[4:], "on 2 streams has at least 56 bytes"),
        (bytes.fromhex("81c80007") + REPORT[4:], "on 1 streams has at least 52 bytes"),
        (bytes.fromhex("80c8000101020304"), "on 0 streams has at least 28 bytes"),
    ],
)
def test_a_malformed_report_is_refused(packet, message):
    with pytest.raises(FeedbackError, match=message):
        ReceiverReport.parse(packet)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ssrc", -1),
        ("fraction_lost", 256),
        ("cumulative_lost", 2**23),
        ("cumulative_lost", -(2**23) - 1),
        ("highest_sequence", 2**32),
        ("jitter", 2**32),
        ("last_sender_report", -1),
        ("delay", 2**32),
    ],
)
def test_a_block_that_the_wire_can_not_say_is_refused(field, value):
    with pytest.raises(FeedbackError, match=f"{field} must be from"):
        ReceiverReport(
            1,
            (
                ReportBlock(
                    **{
                        "ssrc": 1,
                        "fraction_lost": 0,
                        "cumulative_lost": 0,
                        "highest_sequence": 0,
                        field: value,
                    }
                ),
            ),
        ).build()


def test_a_report_that_the_wire_can_not_say_is_refused():
    with pytest.raises(FeedbackError, match="number of blocks must be from 0 to 31, got 32"):
        ReceiverReport(1, (BLOCK,) * 32).build()
    with pytest.raises(FeedbackError, match="sender_ssrc must be"):
        ReceiverReport(2**32).build()


def test_the_share_lost_is_told_in_256ths():
    assert BLOCK.loss == 0.25


@pytest.mark.parametrize(
    ("arrived", "last_report", "delay", "expected"),
    [
        (0x1000A000, 0x10002000, 0x4000, 0.25),
        (0x00000100, 0xFFFFFF00, 0x0100, 256 / 65536),  # the clock wraps around
        (0x10002000, 0x10002000, 0, 0.0),
        (0x10002000, 0x10002000, 1, 0.0),  # the peer held it for longer than it was away
        (0x10002000, 0, 0, None),
    ],
)
def test_round_trip_time(arrived, last_report, delay, expected):
    block = ReportBlock(1, 0, 0, 0, 0, last_report, delay)
    assert block.round_trip_time(arrived) == expected


def test_blocks_are_read_one_after_the_other():
    second = struct.pack("!IIIIII", 5, 0, 0, 0, 0, 0)
    packet = bytes.fromhex("82c9000d") + REPORT[4:] + second
    assert ReceiverReport.parse(packet).blocks == (BLOCK, ReportBlock(5, 0, 0, 0))
