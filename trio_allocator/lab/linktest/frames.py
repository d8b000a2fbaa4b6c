"""What a flow of ours films: frames that are all alike, or like those of real coders.

Real ones are those of the simulated world (`trio_allocator.lab.simulation.media`): key frames at
each switch, frames that differ in size, live rates that are not the declared ones and drift, and
voices that are silent most of the time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import TypeAlias

from ...tracks import Track
from ..simulation.media import FRAME_RATE as REAL_RATE, PictureSource, Voice

SMOOTH_RATE = 30.0
"""Frames a second where all are alike."""


class Media(StrEnum):
    """What flows of ours send."""

    REAL = "real"
    SMOOTH = "smooth"


class Frames(ABC):
    """The frames of one track.

    Attributes:
        rate: How often `sizes` is asked a second.
    """

    rate: float

    @abstractmethod
    def sizes(self, variant: str, now: float, /) -> list[float]:
        """What is to be sent now, frame by frame.

        Args:
            variant: Which is chosen.
            now: s since the beginning.

        Returns:
            Bytes on the wire.
        """

    @abstractmethod
    def switched(self) -> None:
        """Another variant has been chosen."""


class SmoothFrames(Frames):
    """All alike, at the declared rate: what a coder does is not what is tried."""

    rate = SMOOTH_RATE

    def __init__(self, track: Track) -> None:
        self._variants = dict(track.variants)

    def sizes(self, variant: str, _now: float, /) -> list[float]:
        """See `Frames.sizes`."""
        return [self._variants[variant] / 8 / SMOOTH_RATE]

    def switched(self) -> None:
        """There are no key frames."""


class PictureFrames(Frames):
    """A camera or a screen, as coders send them."""

    rate = REAL_RATE

    def __init__(self, track: Track, seed: str) -> None:
        self._source = PictureSource(track.variants, seed, is_screen=track.kind == "screen")
        self._needs_key_frame = True

    def sizes(self, variant: str, now: float, /) -> list[float]:
        """See `Frames.sizes`."""
        if self._needs_key_frame:
            self._needs_key_frame = False
            return [float(self._source.key_frame(variant, now))]
        size = self._source.frame(variant, now)
        return [float(size)] if size else []

    def switched(self) -> None:
        """See `Frames.switched`."""
        self._needs_key_frame = True


class VoiceFrames(Frames):
    """Opus with DTX."""

    rate = REAL_RATE

    def __init__(self, track: Track, seed: str) -> None:
        self._voice = Voice(max(track.variants.values()), Random(f"{seed}/voice"))  # noqa: S311
        self._next = 0.0

    def sizes(self, _variant: str, now: float, /) -> list[float]:
        """See `Frames.sizes`."""
        due: list[float] = []
        # Who was muted for long does not say it all at once.
        self._next = max(self._next, now - 1 / REAL_RATE)
        while self._next <= now:
            size, gap = self._voice.frame(self._next)
            due.append(float(size))
            self._next += gap
        return due

    def switched(self) -> None:
        """A voice has one variant."""


MakeFrames: TypeAlias = Callable[[Track], Frames]
"""The frames of a track."""


def make_frames(media: Media, seed: int) -> MakeFrames:
    """The frames of tracks, of one kind.

    Args:
        media: The kind.
        seed: Of all that is random.
    """

    def make(track: Track) -> Frames:
        if media is Media.SMOOTH:
            return SmoothFrames(track)
        kind = VoiceFrames if track.kind == "audio" else PictureFrames
        return kind(track, f"{seed}/{track.id}")

    return make
