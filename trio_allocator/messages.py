"""What an allocator and a receiver say to each other: frozen plain data with ids.

Ids are unique within one allocator. A message holds no handle, so either side may live in
another task, behind a memory channel, or at the far end of a socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class GrantReason(Enum):
    """Why an allocation changed."""

    GRANTED = "granted"
    """The receiver waited for more, and got it (or a step of it)."""
    LOWERED = "lowered"
    """The receiver itself asked for less (or for what it already holds, cancelling a raise)."""
    FORCED = "forced"
    """Taken without negotiation: after a refusal with nobody left to ask, or by the application."""
    BREACH = "breach"
    """One step taken: the receiver accepted a decrease and did not request less in time."""


@dataclass(frozen=True, slots=True)
class AllocationGranted:
    """The receiver's allocation from now on. It must comply.

    Attributes:
        allocation: bit/s.
        reason: Why it changed.
        receiver_id: Whose it is.
    """

    allocation: int
    reason: GrantReason
    receiver_id: int


@dataclass(frozen=True, slots=True)
class DecreaseAllocation:
    """Please hold less. To be answered exactly once, before the negotiation deadline.

    Attributes:
        allocation: What the receiver holds now, bit/s.
        limit: Where the policy wants it, bit/s. Advisory: one step of the ladder down is enough
            to keep the promise, but a receiver that goes to the limit is not asked again for this need.
        request_id: Identity of the request; exactly one answer to it counts.
        receiver_id: Who is asked.
    """

    allocation: int
    limit: int
    request_id: int
    receiver_id: int


@dataclass(frozen=True, slots=True)
class SendPadding:
    """Send this many bytes of padding now, and report them by ``buffer_sent(..., padding=True)``.

    Attributes:
        size: Bytes due, everything above UDP counted.
        receiver_id: Who is to send them.
    """

    size: int
    receiver_id: int


AllocatorMessage: TypeAlias = AllocationGranted | DecreaseAllocation | SendPadding
"""What an allocator says to a receiver."""


@dataclass(frozen=True, slots=True)
class BufferSent:
    """A packet left: `ReceiverHandle.buffer_sent` as data."""

    size: float
    padding: bool = False
    receiver_id: int | None = None


@dataclass(frozen=True, slots=True)
class RequestAllocation:
    """Another allocation is wanted: `ReceiverHandle.request_allocation` as data."""

    bitrate: float
    receiver_id: int | None = None


@dataclass(frozen=True, slots=True)
class SetNegotiabilityStatus:
    """May the receiver be asked to decrease: `ReceiverHandle.set_negotiability_status` as data."""

    negotiable: bool
    receiver_id: int | None = None


@dataclass(frozen=True, slots=True)
class AcceptDecrease:
    """A decrease is accepted: `ReceiverHandle.accept_decrease` as data.

    Attributes:
        request_id: The request that is answered.
        receiver_id: Who was asked.
        bitrate: The lower allocation requested in the same act, bit/s, or None to request it
            separately, at once.
    """

    request_id: int
    receiver_id: int
    bitrate: float | None = None


@dataclass(frozen=True, slots=True)
class RejectDecrease:
    """A decrease is rejected: `ReceiverHandle.reject_decrease` as data."""

    request_id: int
    receiver_id: int


@dataclass(frozen=True, slots=True)
class SetVariants:
    """The ladder changed: `ReceiverHandle.set_variants` as data."""

    variants: Mapping[str, float]
    receiver_id: int | None = None


@dataclass(frozen=True, slots=True)
class SetOptions:
    """Options changed: `ReceiverHandle.set_options` as data; only those named change."""

    options: Mapping[str, object]
    receiver_id: int | None = None


ReceiverMessage: TypeAlias = (
    BufferSent
    | RequestAllocation
    | SetNegotiabilityStatus
    | AcceptDecrease
    | RejectDecrease
    | SetVariants
    | SetOptions
)
"""What a receiver says to an allocator: one type per operation and answer.

`receiver_id` says whose it is where several share one way, such as a socket; a handle that is
given it refuses what is another's. Answers always carry it, with the id of the request.
"""
