"""Feedback that does not come, though packets are sent."""

from __future__ import annotations

import math

PERIOD = 1.0
"""Feedback that is missing for so long is silence, s: ten of libwebrtc's intervals."""

FACTOR = 0.5
"""It lowers the rate by this, and again each time that it has lasted as long (as a time-out does
TCP's: RFC 5681, section 3.1; RFC 8083, section 4.3 would stop altogether)."""

SENDING = 0.5
"""Only if packets were sent over this share of the time: the last ones before a pause may stay
unreported."""


class Silence:
    """Waits for feedback while packets are sent.

    Attributes:
        is_silent: Feedback is missing.
        due: When it would be missing, s; infinite while nothing is waited for.
    """

    __slots__ = ("_begun_at", "_last_sent", "_since", "due", "is_silent")

    def __init__(self) -> None:
        self.is_silent: bool = False
        self.due: float = math.inf
        self._begun_at = 0.0
        self._since = 0.0
        self._last_sent = 0.0

    def sent(self, now: float) -> None:
        """A packet left."""
        self._last_sent = now
        if self.due == math.inf:
            self.due = now + PERIOD
            self._since = now
            if not self.is_silent:
                self._begun_at = now

    def heard(self) -> None:
        """Feedback came."""
        self.is_silent = False
        self.due = math.inf

    def passed(self, now: float) -> bool:
        """Time passed.

        Returns:
            Whether the rate is to be lowered; to be asked until it is not.
        """
        if now < self.due:
            return False
        if self._last_sent - self._since < SENDING * PERIOD:
            # Nothing is sent any more: there is nothing to be told of.
            self.due = math.inf
            return False
        self.is_silent = True
        self._since = self.due
        self.due += PERIOD
        return True

    def lasted(self, now: float) -> float:
        """For how long feedback has been missing, s; 0.0 while it comes."""
        return now - self._begun_at if self.is_silent else 0.0
