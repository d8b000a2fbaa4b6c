"""A queue that is too long, or that somebody else fills."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from random import Random

from attrs import field, frozen

from .effect import Effect, Impairment, Link, above_zero, is_range
from .interruptions import NowAndThen


@frozen(kw_only=True)
class DeepQueue(Impairment):
    """The queue holds much more than is good.

    Attributes:
        seconds: What it holds, as a time at the capacity that there is at first, s.
    """

    seconds: float = field(default=1.5, validator=above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        holds = int(self.seconds * link.capacity(link.start) / 8)
        link.queue_size = max(link.queue_size, holds)
        return Effect()


@frozen(kw_only=True)
class CompetingFlow(NowAndThen):
    """A flow in the same queue that fills it until it loses something (TCP's old way), now and then.

    Attributes:
        lengths: The shortest and the longest time for which it sends, s.
        every: The mean time between two, s.
        at: (begin, length), s, in place of random ones.
    """

    lengths: tuple[float, float] = field(default=(10.0, 40.0), validator=is_range)
    every: float = field(default=30.0, validator=above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _CompetingFlow(self.spans(chance, link), link)


class _CompetingFlow(Effect):
    """Slow start, then one packet more a round trip, and 0.7 × after a loss (RFC 9438's factor)."""

    SIZE = 1_500
    WINDOW = 10.0
    LEAST = 2.0
    BACK_OFF = 0.7

    def __init__(self, spans: Iterator[tuple[float, float]], link: Link) -> None:
        self._spans = spans
        self._link = link
        self._events: list[tuple[float, int, bool]] = []  # when, order, whether it came through
        self._order = 0
        self._begin, self._end = self._next_span()
        self._is_sending = False
        self._in_flight = 0
        self._window = self.WINDOW
        self._slow_start = True
        self._calm_until = -math.inf

    def _next_span(self) -> tuple[float, float]:
        begin, length = next(self._spans, (math.inf, 0.0))
        return begin, begin + length

    def advance(self, now: float) -> None:
        while True:
            heard = self._events[0][0] if self._events else math.inf
            turn = self._end if self._is_sending else self._begin
            if min(heard, turn) > now or min(heard, turn) == math.inf:
                return
            if turn < heard:
                self._is_sending = not self._is_sending
                if self._is_sending:
                    self._window, self._slow_start = self.WINDOW, True
                    self._send(turn)
                else:
                    self._begin, self._end = self._next_span()
            else:
                time, _order, came_through = heapq.heappop(self._events)
                self._in_flight -= 1
                self._learn(time, came_through=came_through)
                self._send(time)

    def _learn(self, time: float, *, came_through: bool) -> None:
        if came_through:
            self._window += 1.0 if self._slow_start else 1 / self._window
        elif time >= self._calm_until:
            self._window = max(self._window * self.BACK_OFF, self.LEAST)
            self._slow_start = False
            self._calm_until = time + 2 * self._link.delay + 0.1

    def _send(self, time: float) -> None:
        while self._is_sending and self._in_flight < int(self._window):
            passage = self._link.compete(time, self.SIZE)
            self._order += 1
            self._in_flight += 1
            back = self._link.delay
            # A loss shows when what was sent later is acknowledged: a queue's time later.
            when = time + 2 * back + 0.1 if passage is None else passage[2] + back
            heapq.heappush(self._events, (when, self._order, passage is not None))
