"""From one feedback to the next: which packets arrived, which are lost, of which nothing is known."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

from .feedback import TransportFeedback
from .peer_clock import PeerClock

WINDOW = 2**15
"""How far back a feedback may reach, packets: the half of all numbers, as libwebrtc's receiver."""

REMEMBERED = 64
"""How far apart the counts of two feedbacks may be that come out of order. A quarter of all counts:
the other three quarters lie ahead, for feedbacks may be lost in a row, and rarely overtake."""

_COUNTS = 2**8
_SEQUENCES = 2**16


class PacketResult(NamedTuple):
    """What became of one packet.

    Attributes:
        sequence: The transport-wide sequence number, extended: it does not wrap around.
        arrival: When it arrived, s, on a clock that runs like the peer's; the peer's clock and ours
            are off by a constant, so only differences mean anything. None: it is lost.
    """

    sequence: int
    arrival: float | None


class FeedbackReader:
    """Makes results of feedbacks: late, reordered, duplicated or lost ones, and those that lie.

    Each packet is told of at most twice: as lost, and then as received after all. A packet counts
    as lost when a feedback that covers it says so, or when two feedbacks with consecutive counts
    leave it out between them (as GStreamer does). A feedback that itself was lost leaves the packets
    it covered unknown: of those nothing is told.

    The memory it takes is bounded, whatever comes: by `WINDOW` numbers and `REMEMBERED` feedbacks.

    Attributes:
        ignored: How many feedbacks told nothing for being impossible: they begin with a packet that
            was never sent (or `WINDOW` packets ago), or span a minute and more.
    """

    def __init__(self) -> None:
        self.ignored: int = 0
        self._clock = PeerClock()
        self._covered = _CoveredRuns()
        self._next: int | None = None
        # Numbers below `_next` that were not told as received, ascending; True: told as lost.
        self._open: OrderedDict[int, bool] = OrderedDict()

    @property
    def clock_jumps(self) -> int:
        """How often the peer's clock left its course: times across such a moment do not compare.

        A peer began anew, its clock was set, or it lied. An estimator forgets the delays it saw.
        """
        return self._clock.jumps

    def read(
        self, feedback: TransportFeedback, *, now: float, last_sent: int
    ) -> list[PacketResult]:
        """Take a feedback, whatever it says.

        Args:
            feedback: What came.
            now: When it came, s, on our clock.
            last_sent: Extended sequence number of the newest packet sent: what lies after it can
                not have been received, and what lies `WINDOW` and more before it is forgotten.

        Returns:
            What is new, by ascending sequence number. No arrival is later than `now` by more than
            10 s, nor earlier by more than 70 s.

        Raises:
            ValueError: `now` is not finite.
        """
        arrivals = feedback.arrivals
        if not math.isfinite(now):
            raise ValueError(f"now must be finite (seconds), got {now!r}")
        age = (last_sent - feedback.base_sequence) % _SEQUENCES
        times = [arrival for arrival in arrivals if arrival is not None]
        if age >= WINDOW or not self._clock.follow(feedback.reference_time, times, now):
            self.ignored += 1
            return []
        begin = last_sent - age
        end = begin + min(len(arrivals), age + 1)
        # What its neighbours leave out before and after it, they leave out together with it.
        first, past = self._covered.add(feedback.feedback_count, begin, end)
        first = max(first, last_sent - WINDOW + 1)
        statuses = [None] * (begin - first) + list(arrivals[: end - begin]) + [None] * (past - end)
        self._forget(last_sent - WINDOW)
        return self._tell(first, statuses)

    def _tell(self, first: int, statuses: list[int | None]) -> list[PacketResult]:
        results = []
        told = first if self._next is None else self._next
        for sequence in range(told, first):
            self._open[sequence] = False
        seconds = self._clock.seconds
        unheard = self._open
        for sequence, arrival in enumerate(statuses, first):
            if arrival is None:
                if sequence >= told or unheard.get(sequence) is False:
                    unheard[sequence] = True
                    results.append(PacketResult(sequence, None))
            elif sequence >= told or unheard.pop(sequence, None) is not None:
                results.append(PacketResult(sequence, seconds(arrival)))
        self._next = max(told, first + len(statuses))
        return results

    def _forget(self, last: int) -> None:
        """Forget what is that old and older."""
        while self._open and next(iter(self._open)) <= last:
            self._open.popitem(last=False)
        if self._next is not None:
            self._next = max(self._next, last + 1)


class _CoveredRuns:
    """Which packets each of the latest feedbacks covered, by its count."""

    def __init__(self) -> None:
        self._newest = 0
        self._runs: dict[int, tuple[int, int]] = {}

    def add(self, count: int, begin: int, end: int) -> tuple[int, int]:
        """Note a feedback's run.

        Returns:
            The run, extended by the packets before it that the previous feedback (by its count)
            leaves out, and by those after it that the following one leaves out.
        """
        ahead = (count - self._newest + REMEMBERED) % _COUNTS - REMEMBERED
        extended = self._newest + ahead
        if ahead > 0:
            self._newest = extended
            oldest = extended - REMEMBERED
            self._runs = {known: run for known, run in self._runs.items() if known >= oldest}
        self._runs[extended] = begin, end
        _, before = self._runs.get(extended - 1, (begin, begin))
        after, _ = self._runs.get(extended + 1, (end, end))
        return min(before, begin), max(after, end)
