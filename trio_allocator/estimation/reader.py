"""From one feedback to the next: which packets arrived, which are lost, of which nothing is known."""

from __future__ import annotations

from typing import NamedTuple

from .feedback import TransportFeedback


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

    Attributes:
        clock_jumps: How often the peer's clock (or a lie) left its course, and `arrival` began
            anew: differences across such a moment mean nothing.
    """

    clock_jumps: int

    def read(
        self, feedback: TransportFeedback, *, now: float, last_sent: int
    ) -> list[PacketResult]:
        """Take a feedback, whatever it says.

        Args:
            feedback: What came.
            now: When it came, s, on our clock.
            last_sent: Extended sequence number of the newest packet sent: what lies after it can
                not have been received, and what lies 32768 and more before it is forgotten.

        Returns:
            What is new, by ascending sequence number.
        """
        raise NotImplementedError
