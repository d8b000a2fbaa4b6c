"""The rate at which packets arrive, by what feedback acknowledges."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice

from attrs import define

WINDOW = 0.5
"""The rate is measured over this time, s: 15 frames of video (libwebrtc's first window)."""

LEAST_WINDOW = 0.15
"""A shorter time makes no rate to grow by, s (libwebrtc's later windows)."""

RECENT = 0.2
"""What a full link carries is measured over this time, s: 6 frames of video."""

SHORTEST = 0.05
"""A shorter time makes no rate at all, s: two bursts of a pacer may be as near as that."""

LONGEST = 2.5
"""A packet that was sent or arrived longer before the newest one is let go, s."""

LONG_GAP = 0.03
"""A gap between arrivals may be a pause of the link if it is longer than this, s,"""

LONG_GAPS = 3.0
"""and longer than this many of those after it."""

FEWEST = 4
"""This number of packets makes a measurement, however few there are in its time."""

BATCH = 0.005
"""Packets that arrive within this time arrived together, s: wireless links let them go in batches
(draft-ietf-rmcat-gcc-02, section 5.2, groups packets by the same time)."""

HELD_WEIGHT = 1 / 16
"""Of a new batch in the time that packets are held up (as of the jitter: RFC 3550, section 6.4.1)."""


@define
class _Batch:
    """Packets that arrived together. Times are s."""

    begun_at: float
    arrival: float
    first_sent: float
    first_size: int
    last_sent: float
    bytes: int
    packets: int

    @property
    def held(self) -> float:
        """By how much longer its sending took than its arrival, s."""
        return max(self.last_sent - self.first_sent - (self.arrival - self.begun_at), 0.0)

    def join(self, arrival: float, since: float, sent_at: float, size: int) -> None:
        """Another packet arrived with these."""
        self.arrival = max(self.arrival, arrival)
        self.last_sent = max(self.last_sent, sent_at)
        if since < self.first_sent:
            self.first_sent, self.first_size = since, size
        self.bytes += size
        self.packets += 1


class AcknowledgedRate:
    """Bytes acknowledged over the time they took, on the way out or in, whichever is longer.

    Packets that were sent together may arrive spread out, and packets that were sent spread out
    may arrive together: the longer of both times bounds the rate by what was sent, whatever the
    peer says (as does libwebrtc's ``RobustThroughputEstimator``).

    Time is counted from the end of one batch of arrivals to the end of another, and so are bytes:
    the oldest batch only marks the begin, for what it holds had gathered before.

    Attributes:
        held: For how long packets are held up until they arrive together, smoothed, s. No delay is
            known more precisely than that.
    """

    __slots__ = ("_batches", "_bytes", "_disordered_at", "_packets", "held")

    def __init__(self) -> None:
        self._batches: deque[_Batch] = deque()
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._batches.clear()
        self._bytes = self._packets = 0
        self._disordered_at = -math.inf
        self.held: float = 0.0

    def add(self, arrival: float, sent_at: float, size: int, since: float | None = None) -> None:
        """A packet was acknowledged.

        One that was overtaken counts as arriving with the last. One that was sent before all
        others that count is left out: it says something about another time.

        Args:
            arrival: s, on the peer's clock.
            sent_at: s, on ours.
            size: Bytes, of it and of those whose feedback was lost.
            since: When the first of these was sent, s; None for itself alone.
        """
        if since is None:
            since = sent_at
        batches = self._batches
        is_new = True
        if batches:
            if sent_at < batches[0].last_sent:
                return
            last = batches[-1]
            if since < last.last_sent:
                self._disordered_at = max(last.arrival, arrival)
            is_new = arrival - last.begun_at > BATCH
        self._bytes += size
        self._packets += 1
        if not is_new:
            batches[-1].join(arrival, since, sent_at, size)
            return
        if batches:
            self.held += HELD_WEIGHT * (batches[-1].held - self.held)
        batches.append(_Batch(arrival, arrival, since, size, sent_at, size, 1))
        while self._is_old(batches[0], arrival, sent_at):
            gone = batches.popleft()
            self._bytes -= gone.bytes
            self._packets -= gone.packets

    def _is_old(self, batch: _Batch, arrival: float, sent_at: float) -> bool:
        window = WINDOW if self._packets - batch.packets >= FEWEST else LONGEST
        return batch.arrival < arrival - window or batch.last_sent < sent_at - LONGEST

    def rate(self) -> float | None:
        """bit/s; None as long as too little is known."""
        batches = self._batches
        if self._packets < FEWEST:
            return None
        first, last = batches[0], batches[-1]
        begin, end, received = first.last_sent, last.last_sent, self._bytes - first.bytes
        if self._disordered_at >= first.arrival:
            earliest = min(islice(batches, 1, None), key=_first_sent, default=first)
            end = max(batch.last_sent for batch in batches)
            if earliest is not first and earliest.first_sent < begin:
                begin = earliest.first_sent
                received -= earliest.first_size
        span = max(last.arrival - first.arrival, end - begin)
        return 8 * received / span if span >= LEAST_WINDOW else None

    def recent_rate(self) -> float | None:
        """The rate of the newest arrivals, bit/s: what the link carries, if it is full.

        Gaps among the arrivals are no rates: a link that paused carries as much as it did before.
        So what came after a long gap suffices, if it is enough to measure; otherwise the longest
        gap counts no more than the second longest.
        """
        longest = second = span = 0.0
        received = gaps = 0
        later: _Batch | None = None
        for batch in reversed(self._batches):
            if later is not None:
                gap = later.arrival - batch.arrival
                if (
                    gaps >= FEWEST
                    and span >= SHORTEST
                    and gap > max(LONG_GAP, LONG_GAPS * span / gaps)
                ):
                    break
                span += gap
                gaps += 1
                received += later.bytes
                if gap > longest:
                    longest, second = gap, longest
                elif gap > second:
                    second = gap
                if gaps >= FEWEST and span - longest >= RECENT:
                    break
            later = batch
        span += second - longest
        return 8 * received / span if gaps >= FEWEST - 1 and span >= SHORTEST else None


def _first_sent(batch: _Batch) -> float:
    return batch.first_sent
