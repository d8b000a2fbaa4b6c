"""A camera that needs no light: frames of the layer that its receiver has chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ...interface import ConnectionAllocator
from ...receiver import SwitchReason, TrackReceiver
from ...tracks import Track
from .rtp import HEADER_SIZE, MEDIA, REPEATED, RtpHeader

FRAME_RATE = 30
CLOCK_RATE = 90_000
"""Of video over RTP, Hz."""
LARGEST = 1_200
"""Of a packet, header included, bytes: what libwebrtc makes."""
_PICTURE = bytes(LARGEST)


class Camera:
    """One track: the allocator's receiver, and the sizes of its packets.

    Attributes:
        ssrc: Of the media; retransmissions and padding have the next one.
        receiver: The track's.
    """

    def __init__(
        self,
        allocator: ConnectionAllocator,
        track: Track,
        ssrc: int,
        send_padding: Callable[[Camera, int], None],
    ) -> None:
        """Prepare it: the receiver is yet to be run.

        Args:
            allocator: Where it registers.
            track: What it sends.
            ssrc: Of its media.
            send_padding: Told how many bytes of padding the allocator wants from it now.
        """
        self.ssrc = ssrc
        self._variants = track.variants
        self._rate = 0
        self._owed = 0.0
        self._frames = 0
        self._sequence = 0
        self._repeated = 0

        def choose(variant: str | None, _reason: SwitchReason) -> None:
            self._rate = 0 if variant is None else self._variants[variant]
            self.receiver.variant_switched(variant)

        def pad(size: int) -> None:
            send_padding(self, size)

        if track.kind == "video":
            self.receiver = TrackReceiver(
                allocator,
                track,
                request_variant=choose,
                send_padding=pad,
                pausable=True,
                bandwidth=0,
            )
        else:
            self.receiver = TrackReceiver(allocator, track, request_variant=choose)

    def next_frame(self) -> Iterator[tuple[RtpHeader, bytes]]:
        """The packets of the next frame; none while nothing is chosen.

        All frames are alike: what a coder does is not what is tried here.
        """
        self._frames += 1
        if not self._rate:
            self._owed = 0.0
            return
        self._owed += self._rate / 8 / FRAME_RATE
        count = math.ceil(self._owed / LARGEST)
        size = max(int(self._owed / count), HEADER_SIZE + 1)
        for number in range(1, count + 1):
            self._owed -= size
            header = RtpHeader(
                payload_type=MEDIA,
                sequence=self._sequence,
                timestamp=self._frames * CLOCK_RATE // FRAME_RATE,
                ssrc=self.ssrc,
                transport_sequence=0,
                is_marked=number == count,
            )
            self._sequence = (self._sequence + 1) & 0xFFFF
            yield header, _PICTURE[: size - HEADER_SIZE]

    def next_repeated(self, *, is_padding: bool = False) -> RtpHeader:
        """The header of the next retransmission, or of padding in its place."""
        header = RtpHeader(
            payload_type=REPEATED,
            sequence=self._repeated,
            timestamp=self._frames * CLOCK_RATE // FRAME_RATE,
            ssrc=self.ssrc + 1,
            transport_sequence=0,
            is_padding=is_padding,
        )
        self._repeated = (self._repeated + 1) & 0xFFFF
        return header
