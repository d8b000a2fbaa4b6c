"""The clock of a run: virtual time that jumps to what is due next, at once or at a certain pace.

At a pace the same things happen at the same virtual times as at once, in the same order: the clock
only lets real time pass before each jump. So what is watched live is what is measured.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio.abc

_HELD = 1e-9
"""How long to sleep while `standing`, s: above 0, so that Trio looks who waits for all others."""


class PacedClock(trio.abc.Clock):
    """Of a run without any other input or output than the passing of time.

    `trio.testing.MockClock` would do the same at once, in twice as many scheduler passes: with
    hundreds of thousands of estimates that is what takes long.
    """

    def __init__(self, speed: float | None = None) -> None:
        """Begin at 0.

        Args:
            speed: Virtual seconds in a real one; None for as fast as can be.
        """
        self._now = 0.0
        self._speed = speed
        self._began = 0.0
        self._is_standing = False

    def start_clock(self) -> None:
        """Real time counts from now."""
        self._began = time.perf_counter()

    def current_time(self) -> float:
        """Virtual time, s."""
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Jump to what is due next, or say for how long to wait before that.

        Trio asks when nobody has anything left to do.
        """
        if self._is_standing:
            return _HELD
        if deadline <= self._now:
            return 0.0
        if math.isinf(deadline):
            return math.inf
        if self._speed is not None:
            early = deadline / self._speed - (time.perf_counter() - self._began)
            if early > 0:
                return early
        self._now = deadline
        return 0.0

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Let no time pass in this block, so that one can wait until all others wait."""
        self._is_standing = True
        try:
            yield
        finally:
            self._is_standing = False
