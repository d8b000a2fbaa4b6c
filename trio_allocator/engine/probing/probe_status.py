"""The status of the prober, as a transition table."""

from __future__ import annotations

from enum import Enum


class ProbeStatus(Enum):
    """What the prober does."""

    IDLE = "idle"
    """Nobody waits for more than is free, or probing is not allowed now."""
    PROBING = "probing"
    """Padding fills up what is sent to the target."""
    RESTING = "resting"
    """A probe was fruitless, or a raise has to prove itself; the next one waits."""
    LISTENING = "listening"
    """Everything waits and nothing may be sent: it makes sure that no media flows."""
    ESCAPING = "escaping"
    """A short episode of padding at the floor, so that an estimate can form."""


class ProbeEvent(Enum):
    """What the prober reacts to."""

    WANTED = "wanted"
    """Somebody waits for more than is free, and probing is allowed."""
    UNWANTED = "unwanted"
    """Nobody does, or it is not."""
    TOO_SOON = "too soon"
    """Probing is wanted and allowed, but the pause after a fruitless probe is not over, or a raise has
    not carried for long enough."""
    FRUITLESS = "fruitless"
    """The estimate has not moved for as long as the prober is patient."""
    STUCK = "stuck"
    """A claim waits, nobody who waits holds anything, and no regular probe may run."""
    QUIET = "quiet"
    """No media was sent while it listened."""
    OVER = "over"
    """The episode has lasted its time, or media flows again."""


TRANSITIONS: dict[ProbeStatus, dict[ProbeEvent, ProbeStatus]] = {
    ProbeStatus.IDLE: {
        ProbeEvent.WANTED: ProbeStatus.PROBING,
        ProbeEvent.TOO_SOON: ProbeStatus.RESTING,
        ProbeEvent.STUCK: ProbeStatus.LISTENING,
    },
    ProbeStatus.PROBING: {
        ProbeEvent.UNWANTED: ProbeStatus.IDLE,
        ProbeEvent.TOO_SOON: ProbeStatus.RESTING,
        ProbeEvent.FRUITLESS: ProbeStatus.RESTING,
        ProbeEvent.STUCK: ProbeStatus.LISTENING,
    },
    ProbeStatus.RESTING: {
        ProbeEvent.WANTED: ProbeStatus.PROBING,
        ProbeEvent.UNWANTED: ProbeStatus.IDLE,
        ProbeEvent.STUCK: ProbeStatus.LISTENING,
    },
    ProbeStatus.LISTENING: {
        ProbeEvent.WANTED: ProbeStatus.PROBING,
        ProbeEvent.UNWANTED: ProbeStatus.IDLE,
        ProbeEvent.TOO_SOON: ProbeStatus.RESTING,
        ProbeEvent.QUIET: ProbeStatus.ESCAPING,
    },
    ProbeStatus.ESCAPING: {
        ProbeEvent.WANTED: ProbeStatus.PROBING,
        ProbeEvent.UNWANTED: ProbeStatus.IDLE,
        ProbeEvent.TOO_SOON: ProbeStatus.RESTING,
        ProbeEvent.OVER: ProbeStatus.LISTENING,
    },
}
"""An event that is not listed in a status changes nothing."""
