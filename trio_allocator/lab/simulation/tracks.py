"""Which tracks a simulated connection sends: the usual ones, or those of a file."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from ...tracks import Track, TrackKind

CAMERA: Mapping[str, int] = {"low": 130_000, "medium": 420_000, "high": 1_250_000}
"""A coarse ladder, bit/s: each step is three times the one before. It is about what libwebrtc sends
of a camera of 960×540 in three layers."""

SCREEN: Mapping[str, int] = {"slides": 200_000, "motion": 1_000_000}
"""bit/s."""

VOICE: Mapping[str, int] = {"opus": 35_000}
"""bit/s."""

VOICES = 3
"""There are at most this many: the loudest."""

SCREEN_FROM = 3
"""From this many receivers on, the last of them is a screen that is shared."""


@frozen(kw_only=True)
class SimulatedTrack:
    """One track, and how it is registered.

    Attributes:
        name: Unique in the connection.
        kind: ``video``, ``screen`` or ``audio``.
        ladder: Variant name to declared rate, bit/s.
        priority: See `ReceiverOptions`.
        weight: See `ReceiverOptions`.
        pausable: See `ReceiverOptions`.
        min_bitrate: See `ReceiverOptions`, bit/s.
        max_bitrate: See `ReceiverOptions`, bit/s; None for none.
    """

    name: str
    kind: TrackKind = "video"
    ladder: Mapping[str, int] = field(factory=lambda: dict(CAMERA), hash=False)
    priority: int = 0
    weight: float = 1.0
    pausable: bool = True
    min_bitrate: int = 0
    max_bitrate: int | None = None

    @property
    def is_counted(self) -> bool:
        """Whether its picture counts in the figures; a voice is only sent."""
        return self.kind != "audio"

    @property
    def track(self) -> Track:
        """The track to register."""
        return Track(self.name, kind=self.kind, variants=dict(self.ladder))


def usual_tracks(receivers: int) -> tuple[SimulatedTrack, ...]:
    """Cameras, a screen if there are enough, and the voices.

    Args:
        receivers: How many pictures.
    """
    screens = 1 if receivers >= SCREEN_FROM else 0
    voices = [
        SimulatedTrack(name=f"voice{n}", kind="audio", ladder=dict(VOICE), pausable=False)
        for n in range(min(receivers, VOICES))
    ]
    cameras = [SimulatedTrack(name=f"camera{n}") for n in range(receivers - screens)]
    shared = [
        SimulatedTrack(name=f"screen{n}", kind="screen", ladder=dict(SCREEN))
        for n in range(screens)
    ]
    return (*voices, *cameras, *shared)
