"""Counters of a `TrackReceiver`, for metrics."""

from __future__ import annotations

from attrs import asdict, frozen


@frozen(kw_only=True)
class ReceiverStatistics:
    """What a `TrackReceiver` has done since it was made. All count up only.

    Attributes:
        switches: Times that another variant began to flow.
        pauses: Times that nothing of it could be sent for want of bandwidth.
        stalls: Times that a key frame was given up, and another variant asked for.
        key_frames_repeated: Times that a key frame was asked for again.
    """

    switches: int = 0
    pauses: int = 0
    stalls: int = 0
    key_frames_repeated: int = 0

    def as_dict(self) -> dict[str, int]:
        """Name to count: ready for JSON, or for a metrics library."""
        return asdict(self)
