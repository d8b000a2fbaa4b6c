"""The receiving side: which packets have arrived, told as transport-wide feedback."""

from __future__ import annotations

from .feedback import TransportFeedback


class FeedbackRecorder:
    """Notes arrivals, and makes feedback of them in bounded packets.

    Args:
        sender_ssrc: Whom the feedback names as its sender.
        media_ssrc: A stream that is reported on.
        max_size: The largest RTCP packet, bytes.
    """

    def __init__(self, sender_ssrc: int, media_ssrc: int, *, max_size: int = 1_200) -> None:
        raise NotImplementedError

    def received(self, sequence: int, now: float) -> None:
        """A packet has come.

        Args:
            sequence: Its transport-wide sequence number, 0 to 65535.
            now: When, s.
        """
        raise NotImplementedError

    def build_feedback(self) -> list[TransportFeedback]:
        """Report what has come since the last call: none, one or several feedbacks, in order."""
        raise NotImplementedError
