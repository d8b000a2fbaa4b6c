"""Feedback that does not come, though packets are sent."""

from __future__ import annotations

import math

PERIOD = 1.0
"""Feedback that is missing for so long is silence, s: ten of libwebrtc's intervals."""

REPORT_PERIOD = 7.5
"""Of a peer that sends nothing but reports, or that nothing is known of yet, s: libwebrtc's on a voice are so far apart at most (RFC
3550, section 6.2: 5 s, and section 6.3.1: times 0.5 to 1.5)."""

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

    __slots__ = ("_begun_at", "_last_sent", "_period", "_since", "due", "is_silent")

    def __init__(self) -> None:
        self.is_silent: bool = False
        self.due: float = math.inf
        self._begun_at = 0.0
        self._since = 0.0
        self._last_sent = 0.0
        self._period = REPORT_PERIOD

    def sent(self, now: float) -> None:
        """A packet left."""
        self._last_sent = now
        if self.due == math.inf:
            self.due = now + self._period
            self._since = now
            if not self.is_silent:
                self._begun_at = now

    def heard(self, period: float = PERIOD) -> None:
        """Feedback came.

        Args:
            period: How soon there will be more of its kind, s.
        """
        self._period = period
        self.is_silent = False
        self.due = math.inf

    def passed(self, now: float) -> bool:
        """Time passed.

        Returns:
            Whether the rate is to be lowered; to be asked until it is not.
        """
        if now < self.due:
            return False
        if self._last_sent - self._since < SENDING * self._period:
            # Nothing is sent any more: there is nothing to be told of.
            self.due = math.inf
            return False
        self.is_silent = True
        self._since = self.due
        self.due += self._period
        return True

    def lasted(self, now: float) -> float:
        """For how long feedback has been missing, s; 0.0 while it comes."""
        return now - self._begun_at if self.is_silent else 0.0
