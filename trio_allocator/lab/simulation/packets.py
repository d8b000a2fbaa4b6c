"""Packets of smooth media: what is put into the fluid link is cut into pieces, for an estimator.

They go over a bottleneck of packets of the same capacity and queue: the fluid link says how long
pictures wait, and this one what an estimator hears.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...network.bottleneck import Bottleneck
from .clock import STEP
from .link import Link
from .trace import Trace

LARGEST = 1_200
"""Of a packet, bytes (libwebrtc's)."""

LONGEST = 2
"""What has gathered leaves after this many steps, however little it is: 20 ms, a voice's packet."""


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
        self._bottleneck: Bottleneck[None] = Bottleneck(
            trace.schedule(), queue_size=link.room / 8, delay=trace.rtt / 2
        )
        self._step = 0
        self._gathered = 0.0
        self._sent_in = -1

    def cut(self, end: int) -> Iterator[Packet]:
        """Packets of what was put in since the last call, up to this step, in order."""
        link = self._link
        for step in range(self._step, end):
            bits = link.media[step] + link.padding[step]
            missing = 8 * LARGEST - self._gathered
            self._gathered += bits
            while self._gathered >= 8 * LARGEST:
                # It is sent at the moment at which this much has gathered.
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
        passage = self._bottleneck.offer(sent_at, size)
        return Packet(sent_at, size, None if passage is None else passage.arrives_at)
