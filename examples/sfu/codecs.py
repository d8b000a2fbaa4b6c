"""The codecs that the server can forward, and what it has to know of each."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from . import h264, vp8
from .description import Description


@frozen
class Codec:
    """A codec, as SDP names it.

    Attributes:
        name: In lower case.
        clock_rate: Units of its timestamps a second.
        describe: Reads a packet's payload.
        channels: Of audio; 0 for video.
    """

    name: str
    clock_rate: int
    describe: Callable[[bytes], Description]
    channels: int = 0

    @property
    def rtpmap(self) -> str:
        """As SDP describes it."""
        if self.channels:
            return f"{self.name}/{self.clock_rate}/{self.channels}"
        return f"{self.name.upper()}/{self.clock_rate}"


def _sound(_payload: bytes) -> Description:
    """Decoding can begin anywhere."""
    return Description(starts_key_frame=True)


VP8 = Codec("vp8", 90_000, vp8.describe)
H264 = Codec("h264", 90_000, h264.describe)
OPUS = Codec("opus", 48_000, _sound, channels=2)

VIDEO = (VP8, H264)
"""The one to prefer first."""
