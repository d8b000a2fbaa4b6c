"""Compound packets: what is read, what is skipped, what is refused."""

from __future__ import annotations

import pytest

from tests.estimation.feedbacks import covering
from trio_allocator.estimation import (
    FeedbackError,
    ReceiverReport,
    Remb,
    ReportBlock,
    parse_compound,
)

FEEDBACK = covering([0, None, 750])
REMB = Remb(1, 1_000_000, (5,))
REPORT = ReceiverReport(1, (ReportBlock(5, 64, 10, 100),))
SENDER_REPORT = bytes.fromhex("80c80006") + bytes(24)
DESCRIPTION = bytes.fromhex("81ca0002 00000001 01000000".replace(" ", ""))
NACK = bytes.fromhex("81cd0003") + bytes(12)
OTHER_APPLICATION = bytes.fromhex("8fce0003") + bytes(8) + b"ABCD"
SHORT_APPLICATION = bytes.fromhex("8fce0002") + bytes(8)


def test_the_messages_come_in_their_order():
    data = REPORT.build() + DESCRIPTION + FEEDBACK.build() + REMB.build() + FEEDBACK.build()
    assert parse_compound(data) == [REPORT, FEEDBACK, REMB, FEEDBACK]


@pytest.mark.parametrize("packet", [DESCRIPTION, NACK, OTHER_APPLICATION, SHORT_APPLICATION])
def test_other_kinds_are_skipped(packet):
    assert parse_compound(packet) == []
    assert parse_compound(packet + FEEDBACK.build() + packet) == [FEEDBACK]


def test_a_sender_report_is_read_for_its_blocks():
    assert parse_compound(SENDER_REPORT) == [ReceiverReport(0)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "but there are 0"),
        (DESCRIPTION + b"\x80\xca\x00", "but there are 3"),
        (DESCRIPTION + b"\x40\xca\x00\x00", "version 2, not 1"),
        (FEEDBACK.build()[:-4], "of 24 bytes was cut off after 20"),
        (DESCRIPTION + b"\x8f\xcd\x00\x00", "at least 20 bytes"),
        (DESCRIPTION + b"\x81\xc9\x00\x01" + bytes(4), "on 1 streams"),
    ],
)
def test_what_is_no_compound_is_refused(data, message):
    with pytest.raises(FeedbackError, match=message):
        parse_compound(data)


@pytest.mark.parametrize(
    "malformed",
    [
        b"\x8f\xcd\x00\x00",  # no bytes for what it says to be
        b"\x8f\xcd\x00\x04" + bytes(16),  # feedback on no packet
        b"\x81\xc9\x00\x01" + bytes(4),  # a report without its block
    ],
)
def test_what_is_malformed_is_skipped_beside_what_is_sound(malformed):
    assert parse_compound(malformed + REMB.build() + malformed) == [REMB]
    assert parse_compound(REMB.build() + malformed + REPORT.build()) == [REMB, REPORT]
    with pytest.raises(FeedbackError):
        parse_compound(malformed + DESCRIPTION)


@pytest.mark.parametrize("rest", [b"\x80\xca\x00", b"\x40\xca\x00\x00", b"\x81\xca\x00\x0f"])
def test_behind_what_can_not_be_taken_apart_nothing_is_read(rest):
    assert parse_compound(REMB.build() + rest + REMB.build()) == [REMB]


def test_a_compound_says_something_of_a_bounded_number_of_packets():
    half = covering([None] * 32767).build()
    rest = covering([None]).build()
    assert len(parse_compound(half + half + rest)) == 3
    assert len(parse_compound(half + half + rest + rest + REMB.build())) == 3
