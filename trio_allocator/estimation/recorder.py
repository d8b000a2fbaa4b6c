"""The receiving side: which packets have arrived, told as transport-wide feedback."""

from __future__ import annotations

import math

from .. import quantities
from .feedback import (
    DELTA_UNIT,
    FIXED_SIZE,
    LARGEST_DELTA,
    LOWEST_DELTA,
    REFERENCE_UNIT,
    TransportFeedback,
)
from .rtcp import LARGEST_SSRC

HISTORY = 500_000
"""For how long a packet is remembered after it was reported, µs (libwebrtc: 500 ms). One that comes
late is reported together with all that followed it: a report has no holes."""

WINDOW = 2**15
"""How many numbers are remembered at most (libwebrtc: as many)."""

LARGEST_STEP = 3_000
"""A number that is further from the newest is believed when another one near it follows (RFC 3550,
appendix A.1: MAX_DROPOUT). In both directions, for these numbers go across all streams, and paths."""

NEAR = 100
"""That other one is as near as this. (RFC 3550 wants the very next one, and never believes a sender
whose packets all come in swapped pairs.)"""

_SEQUENCES = 2**16
_REFERENCES = 2**24
_COUNTS = 2**8
_MICROSECONDS = 1_000_000


class FeedbackRecorder:
    """Notes arrivals, and makes feedback of them in bounded packets.

    When to report is the caller's business: libwebrtc does so every 50 to 250 ms, so that feedback
    takes about a twentieth of the bandwidth.

    Args:
        sender_ssrc: Whom the feedback names as its sender.
        media_ssrc: A stream that is reported on.
        max_size: The largest RTCP packet, bytes, from 64 to 65535.

    Raises:
        TypeError, ValueError: One of them is no such number.
    """

    def __init__(self, sender_ssrc: int, media_ssrc: int, *, max_size: int = 1_200) -> None:
        self._sender_ssrc = quantities.whole_number("sender_ssrc", sender_ssrc, 0, LARGEST_SSRC)
        self._media_ssrc = quantities.whole_number("media_ssrc", media_ssrc, 0, LARGEST_SSRC)
        room = quantities.whole_number("max_size", max_size, 64, 2**16 - 1) // 4 * 4 - FIXED_SIZE
        # At worst seven packets need seven deltas of two bytes and a chunk, and the last ones one
        # more.
        self._most = (room - 2) * 7 // 16
        self._count = 0
        self._arrivals: dict[int, int] = {}  # µs, by extended sequence number
        self._newest: int | None = None
        self._oldest = 0  # nothing is known of what lies before
        self._next = 0  # what lies before has been reported
        self._strange: tuple[int, int] | None = None

    def received(self, sequence: int, now: float) -> None:
        """A packet has come. What came before already, or is too late to matter, is left out.

        Args:
            sequence: Its transport-wide sequence number, 0 to 65535.
            now: When, s. It may go back, or jump.

        Raises:
            TypeError, ValueError: The sequence number is none, or the time is not finite.
        """
        quantities.whole_number("sequence", sequence, 0, _SEQUENCES - 1)
        if not math.isfinite(now):
            raise ValueError(f"now must be finite (seconds), got {now!r}")
        arrival = round(now * _MICROSECONDS / DELTA_UNIT) * DELTA_UNIT
        if self._newest is None:
            # Packets before the first one may have been overtaken by it.
            self._begin(sequence)
            self._oldest = sequence - LARGEST_STEP
        step = (sequence - (self._newest or 0) + WINDOW) % _SEQUENCES - WINDOW
        extended = (self._newest or 0) + step
        if abs(step) <= LARGEST_STEP:
            self._note(extended, arrival)
        elif not self._jump(extended, arrival):
            self._strange = sequence, arrival
            return
        self._strange = None

    def _jump(self, extended: int, arrival: int) -> bool:
        """Begin anew at a number far off, if the last one was near it."""
        if self._strange is None:
            return False
        sequence, arrived = self._strange
        since = (extended - sequence + WINDOW) % _SEQUENCES - WINDOW
        if not 0 < abs(since) <= NEAR:
            return False
        self._begin(extended - max(since, 0))
        self._note(extended - since, arrived)
        self._note(extended, arrival)
        return True

    def _begin(self, extended: int) -> None:
        """Begin anew with this packet."""
        self._arrivals.clear()
        self._newest = self._oldest = self._next = extended

    def _note(self, extended: int, arrival: int) -> None:
        if extended < self._oldest or extended in self._arrivals:
            return
        self._arrivals[extended] = arrival
        self._newest = max(self._newest or 0, extended)
        self._next = min(self._next, extended)
        if self._newest - self._oldest >= 2 * WINDOW:
            self._forget(self._newest - WINDOW + 1)

    def _forget(self, oldest: int) -> None:
        """Forget what lies before."""
        self._oldest = oldest
        self._next = max(self._next, oldest)
        self._arrivals = {
            sequence: arrival for sequence, arrival in self._arrivals.items() if sequence >= oldest
        }

    def build_feedback(self) -> list[TransportFeedback]:
        """Report what has come since the last call: none, one or several feedbacks, in order.

        Several, if one would be larger than allowed, or two arrivals are too far apart for one.
        """
        feedbacks: list[TransportFeedback] = []
        newest = self._newest
        if newest is None or self._next > newest:
            return feedbacks
        while self._next <= newest:
            feedbacks.append(self._feedback(newest))
        horizon = self._arrivals[newest] - HISTORY
        if min(self._arrivals.values()) < horizon:
            recent = min(seq for seq, arrival in self._arrivals.items() if arrival >= horizon)
            self._forget(recent)
        self._forget(max(self._oldest, newest - WINDOW + 1))
        return feedbacks

    def _feedback(self, newest: int) -> TransportFeedback:
        """Cover as many packets as fit, from the next one on."""
        base = self._next
        known = self._arrivals.get
        statuses = [known(seq) for seq in range(base, min(newest + 1, base + self._most))]
        first = next((arrival for arrival in statuses if arrival is not None), None)
        reference = (self._arrivals[newest] if first is None else first) // REFERENCE_UNIT
        start = time = reference * REFERENCE_UNIT
        arrivals: list[int | None] = []
        for arrival in statuses:
            if arrival is None:
                arrivals.append(None)
            elif LOWEST_DELTA <= (arrival - time) // DELTA_UNIT <= LARGEST_DELTA:
                arrivals.append(arrival - start)
                time = arrival
            else:
                break
        self._next = base + len(arrivals)
        count, self._count = self._count, (self._count + 1) % _COUNTS
        return TransportFeedback(
            self._sender_ssrc,
            self._media_ssrc,
            base % _SEQUENCES,
            reference % _REFERENCES,
            count,
            tuple(arrivals),
        )
