"""Packets on the fluid link: what it carries is cut into pieces, and each has times of its own.

The link stays what it is. A packet is served in its turn by the capacity that there is, and lost as
often as the link drops so much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .clock import STEP
from .link import Link
from .trace import Trace

LARGEST = 1_200
"""Of a packet, bytes (libwebrtc's)."""

LONGEST = 2
"""What has gathered leaves after so many steps, however little it is: 20 ms, a voice's packet."""


class Packet(NamedTuple):
    """One packet. Times are s.

    Attributes:
        sent_at: When it is sent.
        size: Bytes.
        arrival: When it arrives, on the other side of the delay; None if it is lost.
    """

    sent_at: float
    size: int
    arrival: float | None


class Packets:
    """Cuts what was put into a link.

    Args:
        trace: The capacity.
        link: What it carries.
    """

    def __init__(self, trace: Trace, link: Link) -> None:
        self._link = link
        self._delay = trace.rtt / 2
        # Up to the beginning of each step; the end is one more.
        self._served: list[float] = np.concatenate(
            [[0.0], np.cumsum(trace.capacity * STEP)]
        ).tolist()
        self._step = 0
        self._gathered = 0.0
        self._sent_in = -1
        self._to_drop = 0.0
        # How much will have been served when the last packet has, and in which step that is.
        self._last = 0.0
        self._serving = 0

    def cut(self, end: int) -> Iterator[Packet]:
        """Packets of what was put in since the last call, up to this step, in order."""
        link = self._link
        for step in range(self._step, end):
            bits = link.media[step] + link.padding[step]
            self._to_drop += link.dropped[step]
            missing = 8 * LARGEST - self._gathered
            self._gathered += bits
            while self._gathered >= 8 * LARGEST:
                # It is sent at the moment at which so much has gathered.
                yield self._packet(step, missing / bits, LARGEST)
                missing += 8 * LARGEST
                self._gathered -= 8 * LARGEST
            if step - self._sent_in >= LONGEST and self._gathered >= 8:
                size = int(self._gathered / 8)
                self._gathered -= 8 * size
                yield self._packet(step, 1.0, size)
        self._step = end

    def _packet(self, step: int, share: float, size: int) -> Packet:
        self._sent_in = step
        sent_at = (step + share) * STEP
        bits = 8.0 * size
        if self._to_drop >= bits:
            self._to_drop -= bits
            return Packet(sent_at, size, None)
        served = self._served
        entered = served[step] + share * (served[step + 1] - served[step])
        self._last = max(self._last, entered) + bits
        serving, final = self._serving, len(served) - 1
        while serving < final and served[serving + 1] < self._last:
            serving += 1
        self._serving = serving
        if serving == final:
            return Packet(sent_at, size, math.inf)
        rest = (self._last - served[serving]) / (served[serving + 1] - served[serving])
        return Packet(sent_at, size, (serving + rest) * STEP + self._delay)
