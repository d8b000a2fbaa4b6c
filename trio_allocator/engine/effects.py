"""What an engine decides: each effect says what it was before, what it is after, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..messages import AllocationGranted, DecreaseAllocation


class Cause(StrEnum):
    """The event in whose handling something was decided."""

    ESTIMATE = "estimate"
    """A bandwidth estimate was delivered."""
    REGISTRATION = "registration"
    """A receiver joined."""
    LEAVING = "leaving"
    """A receiver left."""
    REQUEST = "request"
    """A receiver asked for another allocation."""
    ANSWER = "answer"
    """A receiver answered a decrease request."""
    CONFIGURE = "configure"
    """A ladder or options changed."""
    LIMIT = "limit"
    """A limit of the connection changed."""
    FORCE = "force"
    """The application lowered an allocation."""
    TIME = "time"
    """A deadline passed, a hold ended, or estimates have stopped."""


class Act(StrEnum):
    """What was decided."""

    JOINED = "joined"
    LEFT = "left"
    GRANTED = "granted"
    LOWERED = "lowered"
    FORCED = "forced"
    ASKED = "asked"
    """A decrease was asked for."""
    REVISED = "revised"
    """... another one than before, in the same request."""
    WITHDRAWN = "withdrawn"
    """A decrease request is void."""


class DecisionReason(StrEnum):
    """Why."""

    REGISTERED = "what it already sends is allocated without question"
    CLOSED = "its registration ended"
    FITS = "it waited for more, and this much fits now"
    OWN_WISH = "it asked for less, or for what it holds"
    RECONFIGURED = "its ladder or its options changed"
    KEPT_WORD = "it had been asked to"
    OVERUSE = "more is allocated than the estimate and the limits allow"
    MAKE_ROOM = "others, whose turn it is, wait for it"
    APPLICATION = "the application took it"
    NOBODY_LEFT = "it refused, and nobody was left to ask"
    BROKEN_PROMISE = "it accepted a decrease, and did not ask for less in time"
    SILENCE = "it did not answer in time"
    GIVEN = "it gave what it was asked for before it answered"
    NO_NEED = "the need for it has gone"
    NO_ESTIMATE = "the estimate is no longer known"
    NOT_NEGOTIABLE = "it may not be asked any more"


@dataclass(slots=True)  # not frozen: that doubles the time to make one
class Effect:
    """One decision. Rates are bit/s.

    Attributes:
        act: What was decided.
        receiver_id: Whom it concerns.
        track_id: What that sends.
        before: What the receiver held.
        after: What it holds now; of a decrease asked for, what it would hold.
        cause: The event in whose handling it was decided.
        reason: Why.
        message: What the receiver is told: its new allocation, or the request as it stands now;
            None if it is told nothing, or that its request is void.
    """

    act: Act
    receiver_id: int
    track_id: str
    before: int
    after: int
    cause: Cause
    reason: DecisionReason
    message: AllocationGranted | DecreaseAllocation | None = None


class WakeReason(StrEnum):
    """Why an engine is to be called again, though nothing happens."""

    DEADLINE = "an answer is due"
    HOLD = "a hold ends"
    RESERVATION = "what was reserved is free again"
    ESTIMATE = "the estimate is not known any more"
    HEADROOM = "raises may fill more"
    DIP = "a dip of the estimate has lasted too long to be one"
    PROBE = "the prober has something to do"
    STEADY = "the estimate has stopped falling"
    NOTHING = "nothing is due"
