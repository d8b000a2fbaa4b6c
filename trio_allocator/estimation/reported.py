"""A rate for peers that send no transport-wide feedback: from REMB, or from loss alone."""

from __future__ import annotations

import math

from .acknowledged import LEAST_WINDOW
from .aimd import THROUGHPUT_ALLOWANCE, THROUGHPUT_FACTOR
from .loss import GROWTH, LOW
from .silence import REPORT_PERIOD


class ReportedRate:
    """What reports of the peer allow, bounded by what is sent.

    A peer that sends REMB has estimated by itself (draft-alvestrand-rmcat-remb-03): its word is
    taken. With receiver reports alone the rate rises as long as next to nothing is lost, as in the
    loss-based controller of draft-ietf-rmcat-gcc-02, section 6.
    """

    __slots__ = ("_lost_at", "_measured_at", "_most", "_total")

    def __init__(self) -> None:
        self._measured_at: float | None = None
        self._lost_at: float | None = None
        self._total = 0
        self._most = 0.0

    def limited(self, rate: float, limit: float, now: float, total: int) -> float:
        """The peer named a limit.

        Args:
            rate: So far, bit/s.
            limit: bit/s.
            now: s.
            total: Bytes sent since the beginning.

        Returns:
            The new rate, bit/s.
        """
        self._measure(now, total)
        return min(limit, max(rate, self._most))

    def lost(self, rate: float, loss: float, now: float, total: int) -> float:
        """The peer named its loss; too much of it is answered elsewhere.

        Args:
            rate: So far, bit/s.
            loss: 0 to 1.
            now: s.
            total: Bytes sent since the beginning.

        Returns:
            The new rate, bit/s: never less.
        """
        self._measure(now, total)
        elapsed = 0.0 if self._lost_at is None else min(now - self._lost_at, REPORT_PERIOD)
        self._lost_at = now
        if loss > LOW:
            return rate
        return max(rate, min(rate * math.pow(1 + GROWTH, elapsed), self._most))

    def _measure(self, now: float, total: int) -> None:
        """How far it may go by what was sent since the last time."""
        if self._measured_at is None:
            self._measured_at, self._total = now, total
        elif now - self._measured_at >= LEAST_WINDOW:
            sent = 8 * (total - self._total) / (now - self._measured_at)
            self._most = THROUGHPUT_FACTOR * sent + THROUGHPUT_ALLOWANCE
            self._measured_at, self._total = now, total
