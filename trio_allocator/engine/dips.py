"""Small falls of the estimate, too short to lower anybody for (A2, G10).

Congestion control that ramps falls by a few per cent again and again: a key frame or padding
queues for a moment, and what it gave up is back within some feedbacks. An allocator that lowered a track for
each of them would switch it down and up every few seconds (measured: 22 changes in 50 s on a link
that did not change).
"""

from __future__ import annotations

from .settings import NEVER

DEEPEST = 15
"""A dip leaves more than what is committed less this percentage."""

DEEPEST_AFTER_RAISE = 30
"""... and soon after a raise this: its key frame queues for as long as six to eight frames take to
send (measured with real peers: falls of 5 to 25 % for 0.3 s)."""

LONGEST = 0.5
"""A dip is over within this time, s: what lasts longer is the link."""

LONGEST_AFTER_PADDING = 1.0
"""... and within this where it began while padding was sent, s: the padding ends at once, and what it has
queued takes another moment to drain (G10). On constant links such dips last .7 s."""

SETTLING = 2.0
"""Within this time after a raise a fall is taken for its key frame's doing, s. Where little is to spare,
it takes that long to drain."""


class Dips:
    """Says which falls of the estimate nobody is lowered for.

    A dip begins when an estimate does not cover what is committed any more, and the one before
    did. Estimates that cover it for a moment do not renew the time: they have to do so for as long
    as a dip may last.
    """

    __slots__ = ("_began", "_covered_since", "_level", "_longest", "_raised_at", "_usable")

    def __init__(self) -> None:
        self._began: float | None = None
        self._covered_since: float | None = None
        self._level = 0
        self._longest = LONGEST
        self._raised_at = -NEVER
        self._usable = 0

    def raised(self, now: float) -> None:
        """Somebody was granted more."""
        self._raised_at = now

    def note(self, now: float, committed: int, usable: int, *, padded: bool = False) -> None:
        """An estimate has come.

        Args:
            now: s.
            committed: What is allocated, bit/s.
            usable: What may be, under this estimate, bit/s.
            padded: The allocator had padding sent until now.
        """
        before, self._usable = self._usable, usable
        if usable >= committed:
            if self._began is not None and self._covered_since is None:
                self._covered_since = now
            return
        if self._covered_since is not None and now - self._covered_since >= LONGEST:
            self._began = None
        self._covered_since = None
        if self._began is None and before >= committed:
            self._began, self._level = now, committed
            self._longest = LONGEST_AFTER_PADDING if padded else LONGEST

    def forget(self) -> None:
        """The estimate is no longer known."""
        self._began = self._covered_since = None
        self._usable = 0

    def kept(self, now: float, committed: int, usable: int) -> int:
        """What may stay allocated, bit/s: more than is usable while a dip is tolerated.

        What is freed meanwhile is not handed out again.
        """
        self._level = min(self._level, committed)
        if self._began is None or now >= self._ends_at(usable):
            return usable
        return max(usable, self._level)

    def _ends_at(self, usable: int) -> float:
        """Until when a fall to this is tolerated, s."""
        assert self._began is not None
        settled_at = self._raised_at + SETTLING
        if 100 * usable > (100 - DEEPEST) * self._level:
            return max(self._began + self._longest, settled_at)
        if 100 * usable > (100 - DEEPEST_AFTER_RAISE) * self._level:
            return min(self._began + LONGEST, settled_at)
        return -NEVER

    def ends_at(self, committed: int, usable: int) -> float:
        """When what stays only because of a dip has to go, s; `NEVER` if nothing does."""
        if self._began is None or usable >= committed:
            return NEVER
        return self._ends_at(usable)
