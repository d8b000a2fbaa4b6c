"""A fluid link: what is sent waits in a drop-tail queue, and leaves at the capacity.

Padding is fluid too: while there is a target, whatever media lack of it is filled up in the same
step. (Real packets of padding are due at ticks of 10 to 100 ms; nothing here looks that close.)
"""

from __future__ import annotations

import numpy as np

from .clock import STEP, Series
from .trace import Trace

QUEUE = 0.3
"""The queue holds this much at the median capacity, s."""

SMALLEST_QUEUE = 12_000.0
"""... but a packet in any case, bits."""


class Link:
    """The link of one run.

    Attributes:
        step: How far it has come.
        queue: What waits at the end of each step so far, bits.
        media: What was sent in each step so far, bits.
        padding: The same for padding.
        dropped: What of both was lost.
        target: What media and padding together are filled up to, bit/s; 0 for no padding.

    Args:
        trace: The capacity.
        bank: For how long surplus media count against padding that is due later, s.
    """

    def __init__(self, trace: Trace, bank: float) -> None:
        self.step: int = 0
        self.capacity: list[float] = (trace.capacity * STEP).tolist()
        self.room: float = max(QUEUE * trace.median, SMALLEST_QUEUE)
        self.queue: list[float] = []
        self.media: list[float] = []
        self.padding: list[float] = []
        self.dropped: list[float] = []
        self.target: float = 0
        self._bank = bank
        self._debt = 0.0
        self._burst = 0.0
        self._burst_left = 0.0

    def aim(self, target: float) -> None:
        """Pad up to this from now on, bit/s; what a former target owes is carried over."""
        if not self.target:
            self._debt = 0.0
        self.target = target

    def burst(self, rate: float, size: float) -> None:
        """Fill up to this rate from now on, until this volume has been put in, media counted.

        Args:
            rate: bit/s.
            size: Bytes.
        """
        self._burst, self._burst_left = rate * STEP, 8 * size

    def advance(self, rates: Series) -> None:
        """Let these be sent, one after the other.

        Args:
            rates: Media in each step, bit/s.
        """
        queue = self.queue[-1] if self.queue else 0.0
        debt = self._debt
        due = self.target * STEP
        surplus = -self.target * self._bank
        capacity, room = self.capacity, self.room
        queues, paddings, drops = self.queue.append, self.padding.append, self.dropped.append
        media = (rates * STEP).tolist()
        for step, bits in enumerate(media, self.step):
            padding = dropped = 0.0
            if due:
                debt += due - bits
                if debt > 0:
                    padding, debt = debt, 0.0
                elif debt < surplus:
                    debt = surplus
            if self._burst_left > 0:
                padding = max(padding, min(self._burst, self._burst_left) - bits)
                self._burst_left -= bits + padding
            queue += bits + padding - capacity[step]
            if queue < 0:
                queue = 0.0
            elif queue > room:
                dropped = queue - room
                queue = room
            queues(queue)
            paddings(padding)
            drops(dropped)
        self._debt = debt
        self.media += media
        self.step += len(media)

    def received(self, begin: int, end: int) -> float:
        """What came out in these steps, bits."""
        before = self.queue[begin - 1] if begin else 0.0
        return self.sent(begin, end) - self.lost(begin, end) + before - self.queue[end - 1]

    def sent(self, begin: int, end: int) -> float:
        """What was put in, padding included, in these steps, bits."""
        return sum(self.media[begin:end]) + sum(self.padding[begin:end])

    def lost(self, begin: int, end: int) -> float:
        """What was dropped in these steps, bits."""
        return sum(self.dropped[begin:end])

    def delays(self) -> Series:
        """How long what enters at the end of each step waits, s.

        Exactly: until the capacity to come has carried all that was before it.
        """
        served = np.cumsum(self.capacity)
        leaves = np.searchsorted(served, served + np.asarray(self.queue) - 1e-6)
        return np.asarray(np.maximum(leaves - np.arange(len(served)), 0) * STEP)
