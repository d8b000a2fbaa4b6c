"""Where key frames start, and the ids of VP8."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from examples.sfu import h264, vp8
from examples.sfu.codecs import H264, OPUS, VP8
from examples.sfu.description import NOTHING, Description, picture_id, tl0, with_ids

KEY = bytes.fromhex("90 e0 9234 07 20 00")  # long picture id 0x1234, index 7, temporal layer, key
DELTA = bytes.fromhex("10 01")
SHORT_ID = bytes.fromhex("90 80 55 00")


@pytest.mark.parametrize(
    ("payload", "description"),
    [
        (KEY, Description(True, 2, 15, 4)),
        (DELTA, Description(False)),
        (SHORT_ID, Description(True, 2, 7, None)),
        (bytes.fromhex("10 00"), Description(True)),
        (bytes.fromhex("00 00"), Description(False)),  # goes on with a partition
        (bytes.fromhex("11 00"), Description(False)),  # begins another partition than the first
        (bytes.fromhex("90 40 09 01"), Description(False, None, 0, 2)),
        (KEY[:4], NOTHING),
        (b"\x80", NOTHING),
        (b"\x10", NOTHING),
        (b"", NOTHING),
    ],
)
def test_the_descriptor_of_vp8_is_read(payload, description):
    assert vp8.describe(payload) == description


def test_ids_are_read_and_replaced():
    description = vp8.describe(KEY)
    assert (picture_id(KEY, description), tl0(KEY, description)) == (0x1234, 7)
    changed = with_ids(KEY, description, 0x7FFF + 2, 256 + 9)
    assert changed == bytes.fromhex("90 e0 8001 09 20 00")
    short = vp8.describe(SHORT_ID)
    assert picture_id(SHORT_ID, short) == 0x55
    assert with_ids(SHORT_ID, short, 128 + 3, 1) == bytes.fromhex("90 80 03 00")
    assert with_ids(DELTA, vp8.describe(DELTA), 5, 5) == DELTA


@given(st.binary(max_size=12), st.integers(0, 2**16), st.integers(0, 2**16))
def test_whatever_comes_can_be_described_and_renumbered(payload, picture, base):
    for codec in (VP8, H264, OPUS):
        description = codec.describe(payload)
        changed = with_ids(payload, description, picture, base)
        assert len(changed) == len(payload)
        assert codec.describe(changed)[1:] == description[1:]


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        ("67 42", True),  # parameters
        ("65 88", False),  # a picture, whose parameters came before
        ("78 0002 67 42 0001 68", True),  # an aggregate that begins with parameters
        ("78 0001 68 0002 67 42", True),
        ("78 0001 68", False),
        ("78 0001", False),
        ("7c 87 00", True),  # the first fragment of parameters
        ("7c 07 00", False),  # a later one
        ("7c", False),
        ("", False),
    ],
)
def test_a_key_frame_of_h264_starts_with_its_parameters(payload, starts):
    assert h264.describe(bytes.fromhex(payload)).starts_key_frame is starts


def test_sound_can_begin_anywhere():
    assert OPUS.describe(b"").starts_key_frame


def test_codecs_are_named_as_sdp_names_them():
    assert [each.rtpmap for each in (VP8, H264, OPUS)] == [
        "VP8/90000",
        "H264/90000",
        "opus/48000/2",
    ]
