"""What a simulated conference leaves: bits by time, and the life of each receiver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, field

from .tracks import SimulatedTrack

NONE = -1
"""No variant."""


@define
class Seat:
    """The life of one receiver, as figures need it. Times are s, levels count from 0.

    Attributes:
        track: What it is.
        flows: What flowed: (time, level), `NONE` for nothing.
        decisions: What was asked for: (time, level, reason).
        presence: What could be shown: (time, the levels that its source sends and its viewer wants);
            no levels while it is away, off or muted.
        joined: When it joined, each time.
    """

    track: SimulatedTrack
    flows: list[tuple[float, int]] = field(factory=list)
    decisions: list[tuple[float, int, str]] = field(factory=list)
    presence: list[tuple[float, tuple[int, ...]]] = field(factory=list)
    joined: list[float] = field(factory=list)


class Record:
    """What a run leaves: bits in steps of the clock, and what everybody did.

    Attributes:
        media: What was sent in each step, padding apart, bits.
        padding: The padding in it, bits.
        dropped: What of both got lost anywhere, bits.
        free_at: When all that was sent up to the end of a step is transmitted, s; 0 where nothing
            was sent in it.
        estimates: (time, bit/s), each as it was told.
        seats: The life of each receiver.
        statistics: The allocator's own, by name.
        packets: How many were sent.
    """

    def __init__(self, steps: int, tracks: Sequence[SimulatedTrack]) -> None:
        self.media: list[float] = [0.0] * (steps + 1)
        self.padding: list[float] = [0.0] * (steps + 1)
        self.dropped: list[float] = [0.0] * (steps + 1)
        self.free_at: list[float] = [0.0] * (steps + 1)
        self.estimates: list[tuple[float, int]] = []
        self.seats: list[Seat] = [Seat(track) for track in tracks]
        self.statistics: Mapping[str, int] = {}
        self.packets: int = 0
