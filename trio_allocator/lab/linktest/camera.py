"""A camera that needs no light: frames of the layer that its receiver has chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import trio
from attrs import evolve

from ...estimation import PaddingSource
from ...interface import ConnectionAllocator
from ...receiver import SwitchReason, TrackReceiver
from ...tracks import Track
from .frames import Frames
from .rtp import HEADER_SIZE, MEDIA, REPEATED, RtpHeader

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
        rate: What it sends, bit/s, as declared.
        choices: Times of Trio's clock, and the level of the layer from then on; -1 for none.
        filling: Makes padding of what was sent of the layer in force.
    """

    def __init__(
        self,
        allocator: ConnectionAllocator,
        track: Track,
        ssrc: int,
        send_padding: Callable[[Camera, int], None],
        frames: Frames,
        *,
        left: Callable[[Camera], None],
        priority: int | tuple[int, ...] = 0,
        weight: float = 1.0,
    ) -> None:
        """Prepare it: the receiver is yet to be run.

        Args:
            allocator: Where it registers.
            track: What it sends.
            ssrc: Of its media.
            send_padding: Told how many bytes of padding the allocator wants from it now.
            frames: What it films.
            left: Told that what waits is of a layer that it has left.
            priority: See `ReceiverOptions`.
            weight: See `ReceiverOptions`.
        """
        self.ssrc: int = ssrc
        self._variants = track.variants
        self.rate: int = 0
        self.filling: PaddingSource[Media] = PaddingSource(header_size=HEADER_SIZE)
        self._sent: dict[int, Media] = {}
        self.choices: list[tuple[float, int]] = []
        self.frames: Frames = frames
        self._variant: str | None = None
        self._owed = 0.0
        self._filmed = 0
        self._sequence = 0
        self._repeated = 0

        def choose(variant: str | None, _reason: SwitchReason) -> None:
            self.rate = 0 if variant is None else self._variants[variant]
            self._variant = variant
            level = -1 if variant is None else list(self._variants).index(variant)
            self.choices.append((trio.current_time(), level))
            self.frames.switched()
            # What was sent of another layer is of no use any more (in an SFU, not even its own).
            self.filling.forget()
            self._sent.clear()
            left(self)
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
                priority=priority,
                weight=weight,
            )
        else:
            self.receiver = TrackReceiver(
                allocator, track, request_variant=choose, priority=priority, weight=weight
            )

    def media_sent(self, media: Media) -> None:
        """A packet of `film` was sent, and may be wanted again."""
        header, payload = media
        self.filling.media_sent(media, HEADER_SIZE + len(payload))
        self._sent[header.sequence] = media
        if len(self._sent) > HISTORY:
            del self._sent[next(iter(self._sent))]

    def sent_before(self, sequence: int) -> Media | None:
        """A packet of the layer in force, by its number; None if it is not remembered."""
        return self._sent.get(sequence)

    def numbered(self, header: RtpHeader) -> RtpHeader:
        """The header of a packet of `film` that leaves now: what is withdrawn leaves no gap."""
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        return evolve(header, sequence=sequence)

    def film(self, now: float) -> Iterator[Media]:
        """The packets that are due now; none while nothing is chosen. They are numbered as they leave.

        Args:
            now: s since the beginning.
        """
        self._filmed = round(now * CLOCK_RATE)
        if self._variant is None:
            self._owed = 0.0
            return
        for size in self.frames.sizes(self._variant, now):
            yield from self._packetised(size)

    def _packetised(self, frame: float) -> Iterator[Media]:
        self._owed += frame
        count = max(math.ceil(self._owed / LARGEST), 1)
        size = max(int(self._owed / count), HEADER_SIZE + 1)
        for number in range(1, count + 1):
            self._owed -= size
            header = RtpHeader(
                payload_type=MEDIA,
                sequence=0,
                timestamp=self._filmed & 0xFFFFFFFF,
                ssrc=self.ssrc,
                transport_sequence=0,
                is_marked=number == count,
            )
            yield header, _PICTURE[: size - HEADER_SIZE]

    def next_repeated(self, *, is_padding: bool = False) -> RtpHeader:
        """The header of the next retransmission, or of padding in its place."""
        header = RtpHeader(
            payload_type=REPEATED,
            sequence=self._repeated,
            timestamp=self._filmed & 0xFFFFFFFF,
            ssrc=self.ssrc + 1,
            transport_sequence=0,
            is_padding=is_padding,
        )
        self._repeated = (self._repeated + 1) & 0xFFFF
        return header
