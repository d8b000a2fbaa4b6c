"""From one feedback to the next: which packets arrived, which are lost, of which nothing is known."""

from __future__ import annotations

import math
from typing import NamedTuple

from .feedback import TransportFeedback
from .peer_clock import PeerClock

WINDOW = 2**15
"""How far back a feedback may reach, packets: the half of all numbers, as libwebrtc's receiver."""

REMEMBERED = 64
"""How far apart the counts of two feedbacks may be that come out of order. A quarter of all counts:
the other three quarters lie ahead, for feedbacks may be lost in a row, and rarely overtake."""

REPORTS = 20
"""How often a packet may be reported on, on average. A receiver that reports every 50 ms and packets
that overtake each other by half a second make ten. A peer that reports more, with run lengths that cost
nothing, wants to cost time: that is ignored."""

_LOST = 1
_RECEIVED = 2

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

    The memory it takes does not depend on what comes: a byte for each of `WINDOW` packets, and
    some numbers for each of the latest feedbacks.

    Attributes:
        ignored: How many feedbacks told nothing for being impossible: they begin with a packet that
            was never sent (or `WINDOW` packets ago), span a minute and more, or report on what was
            reported on more than `REPORTS` times already.
    """

    def __init__(self) -> None:
        self.ignored: int = 0
        self._clock = PeerClock()
        self._covered = _CoveredRuns()
        self._last_sent: int | None = None
        self._reportable = 2 * _SEQUENCES
        self._told = bytearray(WINDOW)  # of each packet, up to the last one sent

    @property
    def clock_jumps(self) -> int:
        """How often the peer's clock left its course: times across such a moment do not compare.

        A peer began anew, its clock was set, or it lied. `SendSideEstimator.feedback` is to be
        told, and measures delays anew.
        """
        return self._clock.jumps

    def read(
        self, feedback: TransportFeedback, *, now: float, last_sent: int
    ) -> list[PacketResult]:
        """Take a feedback, whatever it says.

        Args:
            feedback: What came.
            now: When it came, s, on our clock.
            last_sent: Extended sequence number of the newest packet sent; never less than before.
                What lies after it can not have been received, and what lies `WINDOW` and more
                before it is forgotten.

        Returns:
            What is new, by ascending sequence number. No arrival is later than `now` by more than
            10 s, nor earlier by more than 70 s.

        Raises:
            ValueError: `now` is not finite, or `last_sent` less than before.
        """
        if not math.isfinite(now):
            raise ValueError(f"now must be finite (seconds), got {now!r}")
        self._slide(last_sent)
        arrivals = feedback.arrivals
        if len(arrivals) > self._reportable:
            self.ignored += 1
            return []
        self._reportable -= len(arrivals)
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
        lost_before, lost_after = [None] * (begin - first), [None] * (past - end)
        statuses = [*lost_before, *arrivals[: end - begin], *lost_after]
        return self._tell(first, statuses, last_sent - WINDOW + 1)

    def _slide(self, last_sent: int) -> None:
        """Make room for what was sent since the last feedback, at the cost of the oldest."""
        if self._last_sent is not None:
            sent = last_sent - self._last_sent
            if sent < 0:
                raise ValueError(
                    f"last_sent must not be less than before ({self._last_sent}), got {last_sent}: "
                    "extend the numbers of the wire, they wrap around"
                )
            del self._told[:sent]
            self._told += bytes(WINDOW - len(self._told))
            self._reportable = min(self._reportable + REPORTS * sent, 2 * _SEQUENCES)
        self._last_sent = last_sent

    def _tell(self, first: int, statuses: list[int | None], oldest: int) -> list[PacketResult]:
        results: list[PacketResult] = []
        told = self._told
        seconds = self._clock.seconds
        for place, arrival in enumerate(statuses, first - oldest):
            if arrival is None:
                if not told[place]:
                    told[place] = _LOST
                    results.append(PacketResult(oldest + place, None))
            elif told[place] != _RECEIVED:
                told[place] = _RECEIVED
                results.append(PacketResult(oldest + place, seconds(arrival)))
        return results


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
