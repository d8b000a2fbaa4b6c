"""Which allocation to ask for, and when: keep the quality, then give back, then climb.

The order is that of Membrane's VariantSelector: a receiver that cannot keep what it sends does not ask for
better. Two rules are added. A request is made only if it differs from the one before. And after a
raise that was of no use has been given back, the next climb waits: an allocator that grants in
other steps than the ladder's would otherwise be asked, and given back to, for ever. Others are lowered
for each such raise, so the waits grow.
"""

from __future__ import annotations

import math

from ..messages import RequestAllocation
from .rates import needs_less, needs_more

CLIMB_PAUSE = 5.0
"""How long no climb is asked for after a useless raise, seconds: the shortest hold that the field
keeps after a change. Each further time it is twice as long,"""

LONGEST_PAUSE = 40.0
"""up to this, seconds."""


class Claims:
    """What is held and what is asked for.

    Attributes:
        allocation: What is held, bit/s; None while not registered.
        claim: What was asked for last, bit/s; after registering, what it was with.
        climb_from: When a climb may be asked for again, seconds; minus infinity for at once.
    """

    __slots__ = ("_pause", "_unused", "allocation", "claim", "climb_from")

    def __init__(self) -> None:
        self.allocation: int | None = None
        self.claim: int = 0
        self.climb_from: float = -math.inf
        self._pause = CLIMB_PAUSE
        self._unused = False

    def registered(self, allocation: int) -> None:
        """The registration has begun."""
        self.allocation = self.claim = allocation
        self.changed()
        self._unused = False

    def changed(self) -> None:
        """Something else can be sent: that a raise was of no use before says nothing of it."""
        self.climb_from = -math.inf
        self._pause = CLIMB_PAUSE

    def granted(self, allocation: int, held: int) -> bool:
        """The allocation is another one.

        Args:
            allocation: From now on, bit/s.
            held: Before, bit/s.

        Returns:
            Whether that is less.
        """
        self.allocation = allocation
        self._unused = allocation > held
        return allocation < held

    def requests(
        self, held: int, rate: int, need: int, climb: int | None, now: float
    ) -> tuple[RequestAllocation, ...]:
        """What to ask for, in order.

        Args:
            held: The allocation, bit/s.
            rate: What is to be sent, bit/s.
            need: The allocation that carries it, bit/s.
            climb: The allocation that would carry the best, bit/s; None if that is sent.
            now: seconds.
        """
        unused, self._unused = self._unused, False
        if now >= self.climb_from:
            self.climb_from = -math.inf
        if needs_more(rate, held) and need > held:
            return self._request(need)
        given_back: tuple[RequestAllocation, ...] = ()
        if needs_less(rate, held) and need < held and need != self.claim:
            given_back = self._request(need)
            self.allocation = held = need  # a lowering is granted in the call that asks for it
            if unused:
                self.climb_from = now + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
        elif unused:
            self._pause = CLIMB_PAUSE
        if climb is not None:
            waits = self.climb_from > -math.inf
            return given_back if waits else (*given_back, *self._request(climb))
        # A raise that still waits for more than can be used is called off.
        enough = max(held, need)
        return given_back if self.claim <= enough else (*given_back, *self._request(enough))

    def _request(self, bitrate: int) -> tuple[RequestAllocation, ...]:
        if bitrate == self.claim:
            return ()
        self.claim = bitrate
        return (RequestAllocation(bitrate),)
