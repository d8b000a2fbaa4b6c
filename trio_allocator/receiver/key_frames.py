"""The key frame that was asked for: ask again, give up on it, try again later.

A switch ends with a key frame of the variant asked for. A request for one can get lost, and an
encoder can stall. So the request is repeated, and a variant whose key frame does not come counts as
*stalled*: it is left out of the choice for a while, so that nothing is held for it (A7). Both the
patience and the pauses between tries grow with each failure: some sources have a key frame every
few seconds, and none on request.
"""

from __future__ import annotations

import math

FIRST_REPEAT = 1.0
"""When a key frame is asked for again, seconds after the first request (mediasoup's
KeyFrameRequestManager); each further pause is twice as long."""

LONGEST_REPEAT = 8.0
"""Longest pause between two requests for the same key frame, seconds."""

PATIENCE = 2.5
"""How long the first key frame is waited for, seconds. A variant that stalled is given twice as
long the next time."""

LONGEST_PATIENCE = 8.0
"""Longest time that a key frame is waited for, seconds: encoders that send one by their own clock
do so every 2 to 10 s."""

FIRST_PAUSE = 10.0
"""How long a variant that stalled is left out, seconds; after each further failure three times as
long. Each try holds bandwidth that others could use."""

LONGEST_PAUSE = 120.0
"""Longest time that a stalled variant is left out, seconds."""


class KeyFrames:
    """Waits for key frames, one at a time. Times are seconds of any clock that runs forwards.

    Attributes:
        awaited: The variant whose key frame is waited for; None for none.
        next_due: When `evaluate` has something to do next; infinite for never.
    """

    __slots__ = ("_deadline", "_failures", "_pause", "_repeat_at", "_until", "awaited")

    def __init__(self) -> None:
        self.awaited: str | None = None
        self._deadline = math.inf
        self._repeat_at = math.inf
        self._pause = FIRST_REPEAT
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def wait_for(self, variant: str | None, now: float, *, patient: bool = False) -> None:
        """Wait for this one from now on; None for none. The same one again changes nothing.

        Args:
            variant: Its name.
            now: seconds.
            patient: Never give it up: nothing is held for it, and nothing else would come.
        """
        deadline = math.inf
        if variant is not None and not patient:
            deadline = now + min(PATIENCE * 2 ** self._failures.get(variant, 0), LONGEST_PATIENCE)
        if variant == self.awaited and (deadline == math.inf) == (self._deadline == math.inf):
            return
        again = variant == self.awaited
        self.awaited = variant
        self._deadline = deadline
        if not again:
            self._pause = FIRST_REPEAT
            self._repeat_at = math.inf if variant is None else now + FIRST_REPEAT

    def came(self, variant: str) -> None:
        """It comes, or its source says that it does: it has not stalled."""
        self._failures.pop(variant, None)
        self._until.pop(variant, None)

    def keep(self, variants: frozenset[str]) -> None:
        """Only these are left on the ladder."""
        for gone in self._until.keys() - variants:
            del self._until[gone]
        for gone in self._failures.keys() - variants:
            del self._failures[gone]

    def stalled(self, variant: str) -> bool:
        """Whether it is left out for now."""
        return variant in self._until

    def evaluate(self, now: float) -> bool:
        """Let time pass: give up on the one awaited, and leave nobody out for too long.

        Returns:
            Whether the request for the one awaited is to be repeated now.
        """
        for variant, until in list(self._until.items()):
            if now >= until and variant != self.awaited:
                del self._until[variant]
        awaited = self.awaited
        if awaited is None:
            return False
        if now >= self._deadline:
            failures = self._failures[awaited] = self._failures.get(awaited, 0) + 1
            self._until[awaited] = now + min(FIRST_PAUSE * 3 ** (failures - 1), LONGEST_PAUSE)
            self._deadline = math.inf
        if now < self._repeat_at:
            return False
        self._pause = min(2 * self._pause, LONGEST_REPEAT)
        self._repeat_at = now + self._pause
        return True

    @property
    def next_due(self) -> float:
        """See the class."""
        ends = (until for variant, until in self._until.items() if variant != self.awaited)
        return min(self._deadline, self._repeat_at, *ends)
