"""Bytes that are due become packets: media sent again where that fits, and padding elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import (
    PaddingPacket,
    PaddingSource,
    PaddingStream,
    RepeatedPacket,
)
from trio_allocator.estimation.padding import HISTORY

RTX = PaddingStream.RTX
LARGEST = PaddingPacket(RTX, 255, 275)


@pytest.fixture
def source():
    return PaddingSource()


def test_before_any_media_there_is_padding_of_at_most_255_bytes(source):
    assert source.packets(600) == [LARGEST, LARGEST, PaddingPacket(RTX, 30, 50)]


def test_the_least_is_one_byte_of_padding(source):
    assert source.packets(5) == [PaddingPacket(RTX, 1, 21)]
    assert source.packets(275 + 21) == [LARGEST, PaddingPacket(RTX, 1, 21)]


def test_nothing_due_is_nothing_to_send(source):
    assert source.packets(0) == []


def test_media_is_sent_again_with_two_bytes_more(source):
    source.media_sent("a", 1_000)
    assert source.packets(1_002) == [RepeatedPacket("a", 1_002)]
    assert source.packets(2_100) == [
        RepeatedPacket("a", 1_002),
        RepeatedPacket("a", 1_002),
        PaddingPacket(RTX, 76, 96),
    ]


def test_the_largest_that_fits_is_best(source):
    for packet, size in (("a", 600), ("b", 1_000), ("c", 1_190), ("d", 700)):
        source.media_sent(packet, size)
    assert [packet.packet for packet in source.packets(937)] == ["c"]
    assert [packet.packet for packet in source.packets(936)] == ["b"]
    assert [packet.packet for packet in source.packets(600)] == ["d"]


def test_it_is_too_large_by_no_more_than_a_packet_of_padding(source):
    source.media_sent("a", 1_000)
    assert source.packets(746) == [LARGEST, LARGEST, PaddingPacket(RTX, 176, 196)]
    assert source.packets(747) == [RepeatedPacket("a", 1_002)]


def test_small_media_is_no_better_than_padding(source):
    source.media_sent("a", 272)
    assert source.packets(1_000)[0] == LARGEST
    source.media_sent("b", 273)
    assert source.packets(1_000)[0] == RepeatedPacket("b", 275)
    assert source.packets(18) == [PaddingPacket(RTX, 1, 21)]


def test_equals_take_turns(source):
    for packet in "abc":
        source.media_sent(packet, 1_000)
    assert [packet.packet for packet in source.packets(4 * 1_002)] == ["c", "b", "a", "c"]
    assert [packet.packet for packet in source.packets(1_002)] == ["b"]


def test_old_media_is_forgotten(source):
    source.media_sent("old", 1_100)
    for number in range(HISTORY):
        source.media_sent(number, 1_000)
    assert source.packets(1_200)[0].packet == HISTORY - 1


def test_so_is_all_of_it_when_another_layer_is_sent(source):
    source.media_sent("a", 1_000)
    source.forget()
    assert source.packets(1_000)[0] == LARGEST


def test_without_a_stream_of_its_own_padding_goes_with_the_media():
    source = PaddingSource(has_rtx=False)
    source.media_sent("a", 1_000)
    assert source.packets(275) == [PaddingPacket(PaddingStream.MEDIA, 255, 275)]


def test_the_header_is_what_it_is_told():
    assert PaddingSource(header_size=40).packets(200) == [PaddingPacket(RTX, 160, 200)]


@given(
    st.lists(st.integers(0, 1_400), max_size=40),
    st.integers(0, 20_000),
    st.booleans(),
)
def test_together_they_are_what_is_due_and_less_than_a_packet_more(media, due, has_rtx):
    source = PaddingSource(has_rtx=has_rtx)
    for number, size in enumerate(media):
        source.media_sent(number, size)
    packets = source.packets(due)
    total = sum(packet.size for packet in packets)
    assert due <= total <= due + 255
    assert total - (packets[-1].size if packets else 0) < max(due, 1)
    for packet in packets:
        if isinstance(packet, PaddingPacket):
            assert 1 <= packet.padding <= 255
            assert packet.size == packet.padding + 20
        else:
            assert packet.size == media[packet.packet] + 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: PaddingSource(has_rtx=1), TypeError, "has_rtx"),
        (lambda: PaddingSource(header_size=11), ValueError, "header_size"),
        (lambda: PaddingSource().media_sent(None, -1), ValueError, "size"),
        (lambda: PaddingSource().packets(-1), ValueError, "due"),
    ],
)
def test_what_is_not_usable_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
