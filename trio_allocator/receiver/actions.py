"""What a `VariantSelector` wants done: plain data, carried out by its caller."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from ..messages import RequestAllocation, SetVariants


class SwitchReason(Enum):
    """Why another variant is wanted."""

    LOW_BANDWIDTH = "low_bandwidth"
    """The allocation does not carry the one before, or none at all."""
    INACTIVE = "inactive"
    """The sender stopped the one before, or every one."""
    MUTED = "muted"
    """The application muted the one before, or every one."""
    UNMUTED = "unmuted"
    """The track, or a better one, was unmuted."""
    STALLED = "stalled"
    """The key frame of the one before did not come."""
    REPEATED = "repeated"
    """It was asked for already, and its key frame has not come yet: ask for it again."""
    RESUMED = "resumed"
    """The track was paused for want of bandwidth, and need not be any more."""
    GRANTED = "granted"
    """A larger allocation carries a better one."""
    TARGET_CHOSEN = "target_chosen"
    """The application chose another target, or pinned or unpinned a variant."""
    AUTOMATIC = "automatic"
    """The best of what can be sent: at the start, when a variant or the ladder came or changed."""


@dataclass(frozen=True, slots=True)
class RequestVariant:
    """Send this variant from its next key frame on; what flows now goes on until then.

    It replaces any earlier request. The variant that flows already means: stay, the switch that
    was asked for is off. The one that is awaited already means: ask for its key frame once more.

    Attributes:
        variant: Its name; None to stop at once, until another is requested.
        reason: Why.
    """

    variant: str | None
    reason: SwitchReason


SelectorAction: TypeAlias = SetVariants | RequestAllocation | RequestVariant
"""Two for the allocator (the ladder as measured, another allocation), one for the application."""
