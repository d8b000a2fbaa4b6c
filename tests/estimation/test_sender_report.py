"""Sender reports: each field by bytes made by hand, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import (
    FeedbackError,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    ntp_time,
)

REPORT = bytes.fromhex(
    "81c8000c"  # version 2, one block, type 200, 12 words
    "01020304"
    "83aa7e80 40000000"  # a quarter of a second after 1970 began
    "0000000a"
    "0000000b"
    "0000000c"
    "0a0b0c0d 40fffffe 0001fffe 00000021 10002000 00008000"
)
BLOCK = ReportBlock(0x0A0B0C0D, 64, -2, 0x1FFFE, 33, 0x10002000, 0x8000)
TOLD = SenderReport(0x01020304, ntp_time(0.25), 10, 11, 12, (BLOCK,))


def test_every_field_is_where_the_rfc_draws_it():
    assert SenderReport.parse(REPORT) == TOLD
    assert TOLD.build() == REPORT


def test_the_middle_of_its_time_is_what_a_peer_repeats():
    assert TOLD.middle == 0x7E804000
    block = ReportBlock(1, 0, 0, 0, last_sender_report=TOLD.middle, delay=2**15)
    assert block.round_trip_time(TOLD.middle + 2**16) == 0.5


def test_a_receiver_report_is_a_part_of_it():
    assert ReceiverReport.parse(TOLD.build()) == ReceiverReport(0x01020304, (BLOCK,))


words = st.integers(0, 2**32 - 1)


@given(st.builds(SenderReport, words, st.integers(0, 2**64 - 1), words, words, words))
def test_a_report_is_read_as_it_was_built(report):
    assert SenderReport.parse(report.build()) == report


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (REPORT[:4], "announces 52 bytes"),
        (bytes.fromhex("80c80001 01020304"), "at least 28 bytes, this one has 8"),
        (b"\x81\xc9" + REPORT[2:], "type 200, not 201"),
        (b"\x82" + REPORT[1:], "on 2 streams has at least 76 bytes"),
    ],
)
def test_what_is_malformed_is_refused(packet, message):
    with pytest.raises(FeedbackError, match=message):
        SenderReport.parse(packet)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (SenderReport(-1, 0, 0, 0, 0), "sender_ssrc must be"),
        (SenderReport(0, 2**64, 0, 0, 0), "ntp_time must be"),
        (SenderReport(0, 0, 2**32, 0, 0), "timestamp must be"),
        (SenderReport(0, 0, 0, -1, 0), "packets must be"),
        (SenderReport(0, 0, 0, 0, 2**32), "octets must be"),
        (SenderReport(0, 0, 0, 0, 0, (BLOCK,) * 32), "number of blocks must be"),
    ],
)
def test_what_the_wire_can_not_say_is_refused(report, message):
    with pytest.raises(FeedbackError, match=message):
        report.build()


@pytest.mark.parametrize("moment", [math.nan, math.inf, -math.inf])
def test_a_moment_is_finite(moment):
    with pytest.raises(FeedbackError, match="unix_time must be finite"):
        ntp_time(moment)


def test_a_moment_is_seconds_since_1900_in_the_upper_half_and_wraps_around():
    assert ntp_time(0.25) == 2_208_988_800 << 32 | 1 << 30
    assert ntp_time(2.0**32 - 2_208_988_800 + 0.5) == 1 << 31


@pytest.mark.parametrize(
    ("field", "largest"),
    [
        ("ntp_time", 2**64 - 1),
        ("timestamp", 2**32 - 1),
        ("packets", 2**32 - 1),
        ("octets", 2**32 - 1),
    ],
)
def test_each_field_is_as_large_as_its_bits(field, largest):
    values = {"ntp_time": 0, "timestamp": 0, "packets": 0, "octets": 0}
    report = SenderReport(1, **values | {field: largest})
    assert SenderReport.parse(report.build()) == report
    with pytest.raises(FeedbackError, match=field):
        SenderReport(1, **values | {field: largest + 1}).build()
