"""What makes an engine decide: the events it knows, by name."""

from __future__ import annotations

from enum import StrEnum


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
