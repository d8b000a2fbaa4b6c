"""A pause for want of bandwidth: how it ends, and when the next one may.

A single estimate of nothing pauses a track, and it comes back at once. A link that shows such an
estimate now and then would make it flicker for ever. So each pause that soon follows another lasts
longer, and then the lowest step comes first.
"""

from __future__ import annotations

import math

FIRST_WAIT = 1.0
"""How long the second pause in a row lasts at least, seconds; each further one twice as long."""

LONGEST_WAIT = 30.0
"""How long a pause has to last at most, seconds. An estimate of nothing every 2 to 9 s makes 5 to 6
pauses a minute for ever with 10 s here, and 2 with 30; on fifteen recorded links it is all the same."""

PROVEN = 10.0
"""A resume that lasted for this long was right, seconds: the next pause is a first one again. On
fifteen recorded links (ideal estimates, N = 1, 3, 10) 10 s keep .873 of the oracle's utility, 30 s
.804, no waits at all .881."""


class Pause:
    """Times are seconds of any clock that runs forwards.

    Attributes:
        lasts: Whether there is a pause now.
        resuming: It is over, but nothing flows yet.
        until: When it may end; minus infinity for at once.
    """

    __slots__ = ("_resumed_at", "_wait", "lasts", "resuming", "until")

    def __init__(self) -> None:
        self.lasts: bool = False
        self.resuming: bool = False
        self.until: float = -math.inf
        self._wait = 0.0
        self._resumed_at = -math.inf

    def began(self, now: float) -> None:
        """The allocator left nothing to send with."""
        self.lasts, self.resuming = True, False
        taken_back = now < self._resumed_at + PROVEN
        self._wait = min(max(FIRST_WAIT, 2 * self._wait), LONGEST_WAIT) if taken_back else 0.0
        self.until = now + self._wait if self._wait else -math.inf

    @property
    def follows_another(self) -> bool:
        """Whether the resume before this pause was taken back."""
        return self._wait > 0

    def may_end(self, now: float) -> bool:
        """Whether it is time to ask for something again."""
        if now >= self.until:
            self.until = -math.inf
        return self.until == -math.inf

    def over(self, now: float) -> None:
        """Something can be sent."""
        self._resumed_at = now
        self.forget()
        self.resuming = True

    def forget(self) -> None:
        """It is no want of bandwidth any more that nothing is sent."""
        self.lasts = self.resuming = False
        self.until = -math.inf

    @property
    def next_due(self) -> float:
        """When something may be asked for again, seconds; infinite while that is no question."""
        return self.until if self.until > -math.inf else math.inf
