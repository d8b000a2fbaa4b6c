"""What a publisher says of its layers in each key frame: `video-layers-allocation00`, parsed and built.

A server that forwards learns the ladder of a simulcast from it: no SDP tells what a layer costs. The
format is that of libwebrtc, docs/native-code/rtp-hdrext/video-layers-allocation00.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attrs import frozen

from . import rtcp
from .rtcp import FeedbackError

URI = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
"""The extension's name in SDP."""

MOST_STREAMS = 4
MOST_SPATIAL = 4
MOST_TEMPORAL = 4
"""Two bits, or a mask of four, are what each of them has."""

LARGEST_RATE = 1_000_000
"""kbit/s (libwebrtc refuses more)."""

_KILO = 1_000
_PICTURE = struct.Struct("!HHB")


@frozen
class LayerAllocation:
    """One layer that is sent.

    Attributes:
        stream: Index of the RTP stream, in the order of the offer's RIDs: 0 to 3.
        spatial: Spatial layer within that stream, 0 to 3; 0 with simulcast.
        bitrates: What it takes to receive the layer, bit/s, for one to four temporal layers: each
            with all below it, and so are spatial layers that build on each other. The wire has
            multiples of 1000.
        width: Pixels; None if it is not told.
        height: Pixels; None if it is not told.
        framerate: Frames a second at most; None if it is not told.
    """

    stream: int
    spatial: int
    bitrates: tuple[int, ...]
    width: int | None = None
    height: int | None = None
    framerate: int | None = None

    @property
    def bitrate(self) -> int:
        """Of the whole layer, bit/s."""
        return self.bitrates[-1]


@frozen
class VideoLayersAllocation:
    """Which layers a publisher sends.

    Attributes:
        stream: Index of the RTP stream that carries the extension, 0 to 3.
        layers: Those that are sent, ascending by stream and spatial layer. None: nothing is sent.
    """

    stream: int
    layers: tuple[LayerAllocation, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> VideoLayersAllocation:
        """Read the extension's data.

        Raises:
            FeedbackError: It is malformed.
        """
        if data == b"\0":
            return cls(0)
        reader = _Reader(data)
        head = reader.byte()
        streams = (head >> 4 & 0b11) + 1
        masks = [head & 0b1111] * streams
        if not masks[0]:
            masks = reader.nibbles(streams)
        places = [
            (stream, spatial)
            for stream, mask in enumerate(masks)
            for spatial in range(MOST_SPATIAL)
            if mask >> spatial & 1
        ]
        if not places:
            raise FeedbackError("an allocation without layers is one byte of zero")
        counts = reader.pairs(len(places))
        rates = [tuple(reader.rate() for _ in range(count + 1)) for count in counts]
        pictures = reader.pictures(len(places))
        return cls(
            head >> 6,
            tuple(
                LayerAllocation(stream, spatial, bitrates, width, height, framerate)
                for (stream, spatial), bitrates, (width, height, framerate) in zip(
                    places, rates, pictures, strict=True
                )
            ),
        )

    def build(self) -> bytes:
        """Make the extension's data; rates are rounded down to kbit/s.

        Raises:
            FeedbackError: A field is out of its range, layers are not in their order, or only some
                of them tell their size.
        """
        rtcp.check("stream", self.stream, 0, MOST_STREAMS - 1)
        if not self.layers:
            return b"\0"
        places = [(layer.stream, layer.spatial) for layer in self.layers]
        if places != sorted(set(places)):
            raise FeedbackError(f"layers must ascend by stream and spatial layer, got {places}")
        for index, layer in enumerate(self.layers):
            _check(index, layer)
        sized = [layer for layer in self.layers if layer.width is not None]
        if sized and len(sized) < len(self.layers):
            raise FeedbackError("either all layers tell their size, or none does")
        streams = places[-1][0] + 1
        masks = [0] * MOST_STREAMS
        for stream, spatial in places:
            masks[stream] |= 1 << spatial
        same = len(set(masks[:streams])) == 1
        built = bytearray([self.stream << 6 | streams - 1 << 4 | (masks[0] if same else 0)])
        if not same:
            built += _packed(masks[:2] if streams <= 2 else masks, 4)
        built += _packed([len(layer.bitrates) - 1 for layer in self.layers], 2)
        for layer in self.layers:
            for rate in layer.bitrates:
                built += _leb128(rate // _KILO)
        for layer in sized:
            assert layer.width is not None
            assert layer.height is not None
            assert layer.framerate is not None
            built += _PICTURE.pack(layer.width - 1, layer.height - 1, layer.framerate)
        return bytes(built)


def _check(index: int, layer: LayerAllocation) -> None:
    name = f"layers[{index}]."
    rtcp.check(f"{name}stream", layer.stream, 0, MOST_STREAMS - 1)
    rtcp.check(f"{name}spatial", layer.spatial, 0, MOST_SPATIAL - 1)
    rtcp.check(f"the number of {name}bitrates", len(layer.bitrates), 1, MOST_TEMPORAL)
    for rate in layer.bitrates:
        rtcp.check(f"{name}bitrates", rate, 0, LARGEST_RATE * _KILO)
    told = [layer.width is None, layer.height is None, layer.framerate is None]
    if any(told) and not all(told):
        raise FeedbackError(f"{name}width, height and framerate are told together, or none is")
    if layer.width is not None and layer.height is not None and layer.framerate is not None:
        rtcp.check(f"{name}width", layer.width, 1, 2**16)
        rtcp.check(f"{name}height", layer.height, 1, 2**16)
        rtcp.check(f"{name}framerate", layer.framerate, 0, 2**8 - 1)


def _packed(values: list[int], bits: int) -> bytes:
    """Values of this many bits each, the first one highest, with zeros up to a whole byte."""
    per_byte = 8 // bits
    whole = values + [0] * (-len(values) % per_byte)
    packed = bytearray()
    for start in range(0, len(whole), per_byte):
        byte = 0
        for value in whole[start : start + per_byte]:
            byte = byte << bits | value
        packed.append(byte)
    return bytes(packed)


def _leb128(value: int) -> bytes:
    """Seven bits a byte, the lowest first (AV1 specification, section 4.10.5)."""
    built = bytearray()
    while value >= 0x80:
        built.append(value & 0x7F | 0x80)
        value >>= 7
    built.append(value)
    return bytes(built)


class _Reader:
    """Takes data apart from the front; what is missing is an error."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        if self._at >= len(self._data):
            raise FeedbackError(
                f"an allocation of layers was cut off after {len(self._data)} bytes"
            )
        self._at += 1
        return self._data[self._at - 1]

    def _values(self, count: int, bits: int) -> Iterator[int]:
        """This many values of this many bits each, from whole bytes."""
        per_byte = 8 // bits
        byte = 0
        for index in range(count):
            place = index % per_byte
            if place == 0:
                byte = self.byte()
            yield byte >> 8 - bits * (place + 1) & (1 << bits) - 1

    def nibbles(self, count: int) -> list[int]:
        return list(self._values(count, 4))

    def pairs(self, count: int) -> list[int]:
        return list(self._values(count, 2))

    def rate(self) -> int:
        """A rate, bit/s, from kbit/s as LEB128."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if value > LARGEST_RATE:
                raise FeedbackError(f"a layer has at most {LARGEST_RATE} kbit/s, not {value}")
            if byte < 0x80:
                return value * _KILO
            shift += 7

    def pictures(self, count: int) -> list[tuple[int | None, int | None, int | None]]:
        """Width, height and frames a second of each layer, if the rest of the data is that."""
        left = len(self._data) - self._at
        if not left:
            return [(None, None, None)] * count
        if left != count * _PICTURE.size:
            raise FeedbackError(
                f"the sizes of {count} layers have {count * _PICTURE.size} bytes, not {left}"
            )
        return [
            (width + 1, height + 1, framerate)
            for width, height, framerate in _PICTURE.iter_unpack(self._data[self._at :])
        ]
