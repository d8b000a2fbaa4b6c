"""A camera that needs no light: frames of the layer that its receiver has chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

from ...estimation import PaddingSource
from ...interface import ConnectionAllocator
from ...receiver import SwitchReason, TrackReceiver
from ...tracks import Track
from .rtp import HEADER_SIZE, MEDIA, REPEATED, RtpHeader

FRAME_RATE = 30
CLOCK_RATE = 90_000
"""Of video over RTP, Hz."""
LARGEST = 1_200
"""Of a packet, header included, bytes: what libwebrtc makes."""
HISTORY = 512
"""Packets that may be asked for again: 2 s at 2.5 Mbit/s."""
Media: TypeAlias = tuple[RtpHeader, bytes]
"""A packet of media: header and payload."""
_PICTURE = bytes(LARGEST)


class Camera:
    """One track: the allocator's receiver, and its packets.

    Attributes:
        ssrc: Of the media; retransmissions and padding have the next one.
        receiver: The track's.
        rate: What it sends, bit/s.
        filling: Makes padding of what was sent of the layer in force.
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
        self.ssrc: int = ssrc
        self._variants = track.variants
        self.rate: int = 0
        self.filling: PaddingSource[Media] = PaddingSource(header_size=HEADER_SIZE)
        self._sent: dict[int, Media] = {}
        self._owed = 0.0
        self._frames = 0
        self._sequence = 0
        self._repeated = 0

        def choose(variant: str | None, _reason: SwitchReason) -> None:
            self.rate = 0 if variant is None else self._variants[variant]
            # What was sent of another layer is of no use any more (in an SFU, not even its own).
            self.filling.forget()
            self._sent.clear()
            self.receiver.variant_switched(variant)

        def pad(size: int) -> None:
            send_padding(self, size)

        if track.kind == "video":
            self.receiver: TrackReceiver = TrackReceiver(
                allocator,
                track,
                request_variant=choose,
                send_padding=pad,
                pausable=True,
                bandwidth=0,
            )
        else:
            self.receiver = TrackReceiver(allocator, track, request_variant=choose)

    def media_sent(self, media: Media) -> None:
        """A packet of `next_frame` was sent, and may be wanted again."""
        header, payload = media
        self.filling.media_sent(media, HEADER_SIZE + len(payload))
        self._sent[header.sequence] = media
        if len(self._sent) > HISTORY:
            del self._sent[next(iter(self._sent))]

    def sent_before(self, sequence: int) -> Media | None:
        """A packet of the layer in force, by its number; None if it is not remembered."""
        return self._sent.get(sequence)

    def next_frame(self) -> Iterator[Media]:
        """The packets of the next frame; none while nothing is chosen.

        All frames are alike: what a coder does is not what is tried here.
        """
        self._frames += 1
        if not self.rate:
            self._owed = 0.0
            return
        self._owed += self.rate / 8 / FRAME_RATE
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
