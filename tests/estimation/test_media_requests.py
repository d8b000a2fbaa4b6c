"""NACK, PLI and FIR: each field by bytes made by hand, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from tests.estimation.feedbacks import SDES
from trio_allocator.estimation import (
    FeedbackError,
    FullIntraRequest,
    Nack,
    PictureLoss,
    parse_requests,
)
from trio_allocator.estimation.media_requests import MOST_SEQUENCES

ssrcs = st.integers(0, 2**32 - 1)
numbers = st.integers(0, 2**16 - 1)

NACK = bytes.fromhex(
    "81cd0004"  # version 2, format 1, type 205, 4 words
    "01020304"
    "0a0b0c0d"
    "fffe8001"  # 65534, and the first and the sixteenth after it
    "00200000"  # 32
)
PLI = bytes.fromhex("81ce0002 01020304 0a0b0c0d")
FIR = bytes.fromhex("84ce0006 01020304 00000000 0a0b0c0d ff000000 00000007 01000000")


def test_the_mask_of_a_nack_counts_from_the_number_after_the_first():
    nack = Nack(0x01020304, 0x0A0B0C0D, (65534, 65535, 14, 32))
    assert Nack.parse(NACK) == nack
    assert nack.build() == NACK


def test_a_picture_loss_has_who_asks_and_the_stream():
    assert PictureLoss.parse(PLI) == PictureLoss(0x01020304, 0x0A0B0C0D)
    assert PictureLoss(0x01020304, 0x0A0B0C0D).build() == PLI


def test_a_full_intra_request_names_its_streams_itself():
    request = FullIntraRequest(0x01020304, ((0x0A0B0C0D, 255), (7, 1)))
    assert FullIntraRequest.parse(FIR) == request
    assert request.build() == FIR
    assert request.ssrcs == (0x0A0B0C0D, 7)


@given(sender=ssrcs, media=ssrcs, sequences=st.lists(numbers, min_size=1, max_size=300))
@example(sender=0, media=0, sequences=[5, 4, 5, 6])
@example(sender=0, media=0, sequences=[1, 3, 2])
@example(sender=2**32 - 1, media=2**32 - 1, sequences=[0, 16, 17, 65535, 15])
def test_a_nack_is_read_as_it_was_built(sender, media, sequences):
    nack = Nack(sender, media, tuple(sequences))
    assert Nack.parse(nack.build()) == nack


@given(
    sender=ssrcs,
    commands=st.lists(st.tuples(ssrcs, st.integers(0, 255)), min_size=1, max_size=40),
)
def test_a_full_intra_request_is_read_as_it_was_built(sender, commands):
    request = FullIntraRequest(sender, tuple(commands))
    assert FullIntraRequest.parse(request.build()) == request


def test_neighbours_share_an_entry():
    assert len(Nack(1, 2, tuple(range(100, 117))).build()) == 16
    assert len(Nack(1, 2, tuple(range(100, 118))).build()) == 20


def test_a_compound_is_searched_for_requests_and_the_rest_is_skipped():
    assert parse_requests(SDES + NACK + PLI + SDES + FIR) == [
        Nack.parse(NACK),
        PictureLoss.parse(PLI),
        FullIntraRequest.parse(FIR),
    ]
    assert parse_requests(SDES) == []


@pytest.mark.parametrize(
    ("parse", "packet", "message"),
    [
        (Nack.parse, PLI, "a NACK has type 205 and format 1"),
        (Nack.parse, bytes.fromhex("81cd0002 01020304 0a0b0c0d"), "at least 16 bytes"),
        (Nack.parse, b"\xa1\xcd" + NACK[2:-1] + b"\x02", "4 bytes each"),
        (PictureLoss.parse, NACK, "type 206 and format 1"),
        (PictureLoss.parse, PLI[:4] + PLI[8:], "announces 12 bytes"),
        (FullIntraRequest.parse, b"\x84" + PLI[1:], "at least 20 bytes"),
        (FullIntraRequest.parse, b"\x81" + FIR[1:], "type 206 and format 4"),
        (FullIntraRequest.parse, bytes.fromhex("84ce0005") + FIR[4:24], "has 8 bytes"),
        (parse_requests, b"", "header needs 4 bytes"),
        (parse_requests, NACK + PLI[:-4], "cut off"),
    ],
)
def test_what_is_malformed_is_refused(parse, packet, message):
    with pytest.raises(FeedbackError, match=message):
        parse(packet)


def test_a_nack_of_more_packets_than_there_are_is_refused():
    entries = bytes.fromhex("0000ffff") * (2**16 // 17 + 1)
    words = 2 + len(entries) // 4
    packet = bytes.fromhex("81cd") + words.to_bytes(2, "big") + bytes(8) + entries
    with pytest.raises(FeedbackError, match="more than 65536 packets"):
        Nack.parse(packet)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Nack(2**32, 0, (1,)), "sender_ssrc must be"),
        (Nack(0, -1, (1,)), "media_ssrc must be"),
        (Nack(0, 0, ()), "the number of sequences must be from 1"),
        (Nack(0, 0, (1, 2**16)), r"sequences\[1\] must be"),
        (Nack(0, 0, (1, 100) * 2**15), "the number of entries must be"),
        (PictureLoss(0, 2**32), "media_ssrc must be"),
        (FullIntraRequest(0, ()), "the number of commands must be from 1"),
        (FullIntraRequest(0, ((-1, 0),)), r"the ssrc of commands\[0\] must be"),
        (FullIntraRequest(0, ((1, 0), (1, 256))), r"the number of commands\[1\] must be"),
    ],
)
def test_what_the_wire_can_not_say_is_refused(request_, message):
    with pytest.raises(FeedbackError, match=message):
        request_.build()


def test_numbers_share_an_entry_up_to_sixteen_above_and_each_once():
    def entries(*sequences):
        return len(Nack(1, 2, sequences).build()) // 4 - 3

    assert entries(10, 26) == 1
    assert entries(10, 27) == 2
    assert entries(10, 12, 11) == 2  # not upwards
    assert entries(10, 12, 12) == 2
    assert entries(10, 10) == 2
    assert entries(10, 11, 12, 13) == 1
    assert Nack.parse(Nack(1, 2, (10, 12, 12)).build()).sequences == (10, 12, 12)


def test_a_nack_names_as_many_packets_as_it_may_and_no_more():
    most = tuple(range(MOST_SEQUENCES))
    packet = Nack(1, 2, most).build()
    assert Nack.parse(packet).sequences == most
    entry = (0xFFFF_0000 + MOST_SEQUENCES % 2**16 & 0xFFFF) << 16
    longer = packet[:2] + (len(packet) // 4).to_bytes(2, "big") + packet[4:]
    with pytest.raises(FeedbackError, match="more than"):
        Nack.parse(longer + entry.to_bytes(4, "big"))
    with pytest.raises(FeedbackError, match="the number of sequences"):
        Nack(1, 2, (*most, 0)).build()


def test_a_packet_has_room_for_so_many_commands():
    most = (2**16 - 3) // 2
    commands = tuple((ssrc, 1) for ssrc in range(most))
    request = FullIntraRequest(1, commands)
    assert FullIntraRequest.parse(request.build()) == request
    with pytest.raises(FeedbackError, match="the number of commands"):
        FullIntraRequest(1, (*commands, (1, 1))).build()
