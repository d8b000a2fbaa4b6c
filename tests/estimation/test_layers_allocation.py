"""Allocations of layers: bytes made by hand, what comes back, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import FeedbackError, LayerAllocation, VideoLayersAllocation


def layer(stream=0, spatial=0, bitrates=(1_000,), *size):
    return LayerAllocation(stream, spatial, bitrates, *size)


SIMULCAST = bytes.fromhex(
    "61"  # on stream 1 of three, with the same one spatial layer each
    "00"  # one temporal layer each
    "8201"  # 130
    "a403"  # 420
    "e209"  # 1250
    "00ef 0086 14"  # 240 × 135 at 20
    "01df 010d 14"
    "03bf 021b 1e"
)
THREE = VideoLayersAllocation(
    1,
    (
        LayerAllocation(0, 0, (130_000,), 240, 135, 20),
        LayerAllocation(1, 0, (420_000,), 480, 270, 20),
        LayerAllocation(2, 0, (1_250_000,), 960, 540, 30),
    ),
)
UNEVEN = VideoLayersAllocation(
    3,
    (
        LayerAllocation(1, 0, (100_000, 150_000, 200_000)),
        LayerAllocation(1, 2, (300_000, 400_000)),
        LayerAllocation(3, 0, (0,)),
    ),
)


def test_a_simulcast_says_what_each_layer_takes():
    assert VideoLayersAllocation.parse(SIMULCAST) == THREE
    assert THREE.build() == SIMULCAST
    assert [layer.bitrate for layer in THREE.layers] == [130_000, 420_000, 1_250_000]


def test_streams_that_differ_have_masks_of_their_own():
    data = bytes.fromhex("f0 05 01 90 64 9601 c801 ac02 9003 00")
    assert VideoLayersAllocation.parse(data) == UNEVEN
    assert UNEVEN.build() == data


def test_two_streams_that_differ_share_a_byte():
    two = VideoLayersAllocation(0, (LayerAllocation(1, 0, (1_000,)),))
    assert two.build() == bytes.fromhex("10 01 00 01")
    assert VideoLayersAllocation.parse(two.build()) == two


def test_more_than_four_layers_take_another_byte_for_their_temporal_layers():
    five = VideoLayersAllocation(
        0,
        tuple(
            LayerAllocation(stream, spatial, (1_000,) * (spatial + 1))
            for stream in range(2)
            for spatial in range(3)
        ),
    )
    assert VideoLayersAllocation.parse(five.build()) == five
    assert five.build()[:3] == bytes.fromhex("17 18 60")


def test_a_byte_of_zero_says_that_nothing_is_sent():
    assert VideoLayersAllocation.parse(b"\0") == VideoLayersAllocation(0)
    assert VideoLayersAllocation(2).build() == b"\0"


places = st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1).map(sorted)
rates = st.lists(st.integers(0, 10**6), min_size=1, max_size=4).map(
    lambda kbits: tuple(1_000 * kbit for kbit in kbits)
)
sizes = st.tuples(st.integers(1, 2**16), st.integers(1, 2**16), st.integers(0, 255))


@given(data=st.data(), stream=st.integers(0, 3), places=places, sized=st.booleans())
def test_an_allocation_is_read_as_it_was_built(data, stream, places, sized):
    told = VideoLayersAllocation(
        stream,
        tuple(
            layer(*place, data.draw(rates), *(data.draw(sizes) if sized else ()))
            for place in places
        ),
    )
    assert VideoLayersAllocation.parse(told.build()) == told


@given(st.binary(max_size=40))
def test_whatever_comes_is_read_or_refused(data):
    try:
        told = VideoLayersAllocation.parse(data)
    except FeedbackError:
        return
    assert VideoLayersAllocation.parse(told.build()).layers == told.layers


@pytest.mark.parametrize("size", range(len(SIMULCAST)))
def test_what_is_cut_off_is_refused_unless_it_ends_before_the_sizes(size):
    if size == 8:
        assert VideoLayersAllocation.parse(SIMULCAST[:8]).layers[2].width is None
    else:
        with pytest.raises(FeedbackError, match=r"cut off after|sizes of 3 layers have 15 bytes"):
            VideoLayersAllocation.parse(SIMULCAST[:size])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("00 00", "one byte of zero"),
        ("01 00 ffffffffff", "at most 1000000 kbit/s"),
        ("01 00 c1843d", "at most 1000000 kbit/s, not 1000001"),
    ],
)
def test_what_is_malformed_is_refused(data, message):
    with pytest.raises(FeedbackError, match=message):
        VideoLayersAllocation.parse(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (VideoLayersAllocation(4), "stream must be from 0 to 3"),
        (VideoLayersAllocation(0, (layer(1), layer(0))), "must ascend"),
        (VideoLayersAllocation(0, (layer(1), layer(1))), "must ascend"),
        (VideoLayersAllocation(0, (layer(4),)), r"layers\[0\].stream must be"),
        (VideoLayersAllocation(0, (layer(0, 4),)), r"layers\[0\].spatial must be"),
        (VideoLayersAllocation(0, (layer(0, 0, ()),)), "the number of"),
        (VideoLayersAllocation(0, (layer(0, 0, (-1,)),)), "bitrates must be"),
        (VideoLayersAllocation(0, (layer(0, 0, (0,), 1),)), "told together"),
        (VideoLayersAllocation(0, (layer(0, 0, (0,), 0, 1, 1),)), "width must be"),
        (VideoLayersAllocation(0, (layer(0, 0, (0,), 1, 2**16 + 1, 1),)), "height must be"),
        (VideoLayersAllocation(0, (layer(0, 0, (0,), 1, 1, 256),)), "framerate must be"),
        (VideoLayersAllocation(0, (layer(0, 0, (0,), 1, 1, 1), layer(1))), "or none does"),
    ],
)
def test_what_the_wire_can_not_say_is_refused(told, message):
    with pytest.raises(FeedbackError, match=message):
        told.build()


@pytest.mark.parametrize("rate", [127_000, 128_000, 129_000, 16_383_000, 16_384_000])
def test_a_rate_has_seven_bits_in_each_byte(rate):
    one = VideoLayersAllocation(0, (layer(0, 0, (rate,)),))
    size = 1 if rate < 128_000 else 2 if rate < 16_384_000 else 3
    assert len(one.build()) == 2 + size
    assert VideoLayersAllocation.parse(one.build()) == one


def test_a_size_is_whole_or_not_there():
    largest = VideoLayersAllocation(0, (layer(0, 0, (1_000,), 2**16, 2**16, 255),))
    assert VideoLayersAllocation.parse(largest.build()) == largest
    still = VideoLayersAllocation(0, (layer(0, 0, (1_000,), 1, 1, 0),))
    assert VideoLayersAllocation.parse(still.build()) == still
    for size in ((2**16 + 1, 1, 1), (1, 2**16 + 1, 1), (1, 1, 256), (0, 1, 1), (1, 0, 1)):
        with pytest.raises(FeedbackError):
            VideoLayersAllocation(0, (layer(0, 0, (1_000,), *size),)).build()
    for parts in ((1, 1, None), (1, None, 1), (None, 1, 1), (None, None, 1)):
        with pytest.raises(FeedbackError):
            VideoLayersAllocation(0, (layer(0, 0, (1_000,), *parts),)).build()
