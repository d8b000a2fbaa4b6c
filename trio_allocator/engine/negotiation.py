"""The life of one decrease request, as a transition table.

Two rules hold everywhere. An event that the table does not list in a state changes nothing. And
exactly one request is outstanding per receiver (N2): asking is an event of the idle state only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Negotiation(StrEnum):
    """Where a receiver stands."""

    IDLE = "idle"
    ASKED = "asked"
    """A request is outstanding; one answer to it counts."""
    PLEDGED = "pledged"
    """It accepted, and owes a lower request before the deadline."""


class NegotiationEvent(StrEnum):
    """What happens to a request."""

    ASK = "ask"
    ACCEPT = "accept"
    REJECT = "reject"
    LOWERED = "lowered"
    """The receiver went down by at least what the request asks for, answered or not."""
    DEADLINE = "deadline"
    WITHDRAW = "withdraw"
    """The need has gone, the estimate is no longer known, or the receiver may not be asked now."""


TRANSITIONS: dict[Negotiation, dict[NegotiationEvent, Negotiation]] = {
    Negotiation.IDLE: {
        NegotiationEvent.ASK: Negotiation.ASKED,
    },
    Negotiation.ASKED: {
        NegotiationEvent.ACCEPT: Negotiation.PLEDGED,
        NegotiationEvent.REJECT: Negotiation.IDLE,
        NegotiationEvent.LOWERED: Negotiation.IDLE,
        NegotiationEvent.DEADLINE: Negotiation.IDLE,
        NegotiationEvent.WITHDRAW: Negotiation.IDLE,
    },
    Negotiation.PLEDGED: {
        NegotiationEvent.LOWERED: Negotiation.IDLE,
        NegotiationEvent.DEADLINE: Negotiation.IDLE,
        NegotiationEvent.WITHDRAW: Negotiation.IDLE,
    },
}
"""The whole protocol. The diagram in the documentation is drawn from this table."""


class RefusalKind(StrEnum):
    """Why a receiver is not asked again for a while (N5), and may be forced (N8)."""

    REJECTED = "rejected"
    SILENT = "silent"
    BREACH = "breach"
    """It accepted, and did not request less in time."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal in force.

    Attributes:
        kind: What the receiver did.
        estimate: The estimate at the refusal, bit/s: a lower one makes it askable again.
        until: When the back-off runs out.
    """

    kind: RefusalKind
    estimate: int
    until: float


@dataclass(slots=True)  # not frozen: that doubles the time to make one
class Request:
    """The request outstanding at a receiver.

    Attributes:
        id: Identity, unique in the allocator.
        limit: Where the policy wants the receiver, bit/s.
        enough: The largest allocation that keeps the promise, bit/s: one step of its ladder
            down. Without a ladder, halfway to the limit, so that a haggler who gives one bit at
            a time is not asked for ever (N6).
        deadline: When silence becomes a refusal, and a broken promise a breach.
    """

    id: int
    limit: int
    enough: int
    deadline: float
