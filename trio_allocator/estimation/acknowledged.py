"""The rate at which packets arrive, by what feedback acknowledges."""

from __future__ import annotations

from collections import deque

WINDOW = 0.5
"""Over which the rate is measured, s: 15 frames of video (libwebrtc's first window)."""

RECENT = 0.15
"""Over which a link that is full is measured, s (libwebrtc's later windows)."""

SHORTEST = 0.05
"""Less than this is no measurement, s: two bursts of a pacer may be as near as that."""

LONGEST = 2.5
"""What was sent longer before the newest is let go, s, whenever it is said to have arrived."""

FEWEST = 4
"""So many packets make a measurement."""


class AcknowledgedRate:
    """Bytes acknowledged over the time they took, on the way out or in, whichever is longer.

    What was sent together may arrive spread out, and what was sent spread out may arrive together:
    the longer of both times bounds the rate by what was sent, whatever the peer says (as does
    libwebrtc's ``RobustThroughputEstimator``).
    """

    __slots__ = ("_bytes", "_packets")

    def __init__(self) -> None:
        self._packets: deque[tuple[float, float, int]] = deque()
        self._bytes = 0

    def add(self, arrival: float, sent_at: float, size: int) -> None:
        """A packet was acknowledged; one that was overtaken counts as arriving with the last.

        Args:
            arrival: s, on the peer's clock.
            sent_at: s, on ours.
            size: Bytes.
        """
        packets = self._packets
        if packets and arrival < packets[-1][0]:
            arrival = packets[-1][0]
        packets.append((arrival, sent_at, size))
        self._bytes += size
        while packets[0][0] < arrival - WINDOW or packets[0][1] < sent_at - LONGEST:
            self._bytes -= packets.popleft()[2]

    def rate(self) -> float | None:
        """bit/s; None as long as too little is known."""
        packets = self._packets
        if len(packets) < FEWEST:
            return None
        first, last = packets[0], packets[-1]
        span = max(last[0] - first[0], last[1] - first[1])
        return 8 * (self._bytes - first[2]) / span if span >= SHORTEST else None

    def recent_rate(self) -> float | None:
        """The rate of the newest arrivals, bit/s: what the link carries, if it is full."""
        packets = self._packets
        if len(packets) < FEWEST:
            return None
        last = first = packets[-1][0]
        received = oldest = 0
        for count, (arrival, _sent_at, size) in enumerate(reversed(packets)):
            if count >= FEWEST and last - arrival > RECENT:
                break
            first = arrival
            oldest = size
            received += size
        # The bits of the oldest came before the span begins.
        return 8 * (received - oldest) / (last - first) if last - first >= SHORTEST else None

    def clear(self) -> None:
        """Begin anew."""
        self._packets.clear()
        self._bytes = 0
