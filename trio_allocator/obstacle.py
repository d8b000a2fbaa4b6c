"""What a receiver knows of why it claims no more: said for reports alone."""

from __future__ import annotations

from enum import StrEnum


class Obstacle(StrEnum):
    """Why a receiver claims no more, or more than was declared; see `ReceiverHandle.note_obstacle`."""

    STALLED = "stalled"
    """The key frame of the next variant was asked for and did not come."""
    DEAR = "dear"
    """The next variant was measured to need more than its declared rate."""
