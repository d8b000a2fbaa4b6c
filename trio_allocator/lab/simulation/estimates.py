"""Where the estimates come from: from the capacity itself, or from what was sent over the link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from .clock import STEPS_PER_SECOND, Series
from .link import Link
from .real import Real
from .trace import Trace

INTERVAL = STEPS_PER_SECOND
"""An estimate comes every second, in steps, unless it says otherwise."""

NOISE = 0.02
"""Every estimate is off by up to this share: an exactly constant one dead-locks the reference."""

IDEAL_SHARE = 0.95
"""The ideal estimate's own margin."""

START = 300_000.0
"""The closed loop's first estimate, bit/s (libwebrtc's)."""

FLOOR = 150_000.0
"""... and its least, bit/s: of 10k, 50k, 100k and 150k that with which both known policies, the baseline
and the best one published, come closest to what is known of them."""

GROWTH = 1.08
"""It grows by 8 % a second (GCC's multiplicative increase),"""

REACH = 1.5
"""... up to this many times what is received,"""

BACK_OFF = 0.85
"""... and falls to this share of it in overuse (GCC's beta)."""

QUEUEING = 0.025
"""Overuse is a wait that has grown by this much within the interval, s: it is the gradient of the
delay that GCC looks at, and a queue that stands still does not tell."""

LOSSY = 0.1
"""Above this loss the estimate is cut by half the share that was lost (GCC's loss controller)."""


class Estimator(Protocol):
    """Delivers an estimate at each interval.

    Attributes:
        interval: In steps.
    """

    interval: int

    def estimate(self, step: int) -> float:
        """The estimate at this step, noise excluded, bit/s."""
        ...


class Ideal:
    """Knows the capacity of the last second, and leaves room for the queue to drain in one."""

    interval: int = INTERVAL

    def __init__(self, trace: Trace, link: Link, _wanted: float = 0.0) -> None:
        self._capacity = trace.per_second()
        self._link = link

    def estimate(self, step: int) -> float:
        """See `Estimator`."""
        capacity = float(self._capacity[step // INTERVAL - 1])
        return max(IDEAL_SHARE * capacity - self._link.queue[step - 1], 0.0)


class Gcc:
    """A closed loop after Google Congestion Control, as far as a fluid can tell.

    What it knows of the link is a round-trip time old.
    """

    interval: int = INTERVAL

    def __init__(self, trace: Trace, link: Link, _wanted: float = 0.0) -> None:
        self._link = link
        self._served = np.cumsum(trace.capacity) / STEPS_PER_SECOND
        self._lag = round(trace.rtt * STEPS_PER_SECOND)
        self._value = START

    def estimate(self, step: int) -> float:
        """See `Estimator`."""
        end = step - self._lag
        begin = max(end - INTERVAL, 0)
        if begin >= end:
            return self._value
        link = self._link
        seconds = (end - begin) / STEPS_PER_SECOND
        received = link.received(begin, end) / seconds
        sent, lost = link.sent(begin, end), link.lost(begin, end)
        loss = lost / sent if sent else 0.0
        before, after = self._delay(begin), self._delay(end - 1)
        if after - before > QUEUEING:
            self._value = min(self._value, BACK_OFF * received)
        elif loss <= LOSSY:
            reach = max(self._value, REACH * received)
            self._value = min(GROWTH * self._value, reach)
        if loss > LOSSY:
            self._value *= 1 - loss / 2
        self._value = max(self._value, FLOOR)
        return self._value

    def _delay(self, step: int) -> float:
        """How old is what leaves now, s."""
        waits = self._link.queue[step]
        if waits <= 0:
            return 0.0
        # What leaves now came in when as much had been served as was, less what now waits.
        entered = np.searchsorted(self._served, self._served[step] - waits)
        return max(step - int(entered), 0) / STEPS_PER_SECOND


KINDS: dict[str, Callable[[Trace, Link, float], Estimator]] = {
    "ideal": Ideal,
    "gcc": Gcc,
    "real": Real,
}
"""By the name that ``--estimates`` takes; the last argument is what there is to send at most, bit/s."""


def noise_factors(seed: int, count: int, share: float) -> Series:
    """What each estimate is multiplied by: evenly from 1 − `share` to 1 + `share`."""
    generator = np.random.default_rng([seed, 3])
    return 1 + generator.uniform(-share, share, count)
