"""Bursts of packets, and how much further apart they arrive than they were sent."""

from __future__ import annotations

BURST = 0.005
"""What is sent within this belongs together, s (draft-ietf-rmcat-gcc-02, section 5.2)."""

LONGEST_BURST = 0.1
"""What arrives in one go makes no longer burst than this, s (libwebrtc, `InterArrivalDelta`)."""


class ArrivalGroups:
    """Groups packets by when they were sent, and compares each group with the one before.

    A group consists of what was sent within 5 ms. What arrives within 5 ms, and sooner than its
    sending would have it, joins as well: it had waited, and was let go in one go. Packets that
    others overtook are left out.
    """

    __slots__ = ("_arrival", "_begun_arrival", "_begun_at", "_previous", "_sent_at")

    def __init__(self) -> None:
        self._begun_at: float | None = None
        self._begun_arrival = 0.0
        self._sent_at = 0.0
        self._arrival = 0.0
        self._previous: tuple[float, float] | None = None

    def add(self, sent_at: float, arrival: float) -> tuple[float, float] | None:
        """A packet arrived.

        Returns:
            If it begins a new group and there were two before: how long after the first of them
            the second was sent, and how much longer that took between their arrivals, s.
        """
        begun_at = self._begun_at
        if begun_at is None:
            self._begin(sent_at, arrival)
            return None
        if sent_at < begun_at:
            return None
        if sent_at - begun_at <= BURST or self._is_burst(sent_at, arrival):
            self._sent_at = max(self._sent_at, sent_at)
            self._arrival = max(self._arrival, arrival)
            return None
        previous, self._previous = self._previous, (self._sent_at, self._arrival)
        delta = None
        if previous is not None and self._arrival >= previous[1]:
            sent = self._sent_at - previous[0]
            delta = sent, self._arrival - previous[1] - sent
        self._begin(sent_at, arrival)
        return delta

    def _is_burst(self, sent_at: float, arrival: float) -> bool:
        return (
            arrival - self._arrival <= BURST
            and arrival - self._arrival < sent_at - self._sent_at
            and arrival - self._begun_arrival < LONGEST_BURST
        )

    def _begin(self, sent_at: float, arrival: float) -> None:
        self._begun_at = self._sent_at = sent_at
        self._begun_arrival = self._arrival = arrival

    def clear(self) -> None:
        """Begin anew."""
        self._begun_at = self._previous = None
