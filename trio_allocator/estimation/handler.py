"""From RTCP as it comes to an estimator: whichever kinds of feedback a peer sends."""

from __future__ import annotations

from .compound import FeedbackMessage, parse_compound
from .estimator import SendSideEstimator
from .feedback import TransportFeedback
from .loss_reader import LossReader
from .reader import FeedbackReader
from .reports import ReceiverReport, Remb


class FeedbackHandler:
    """Reads what a peer reports, and tells an estimator.

    Args:
        estimator: Of the connection that the reports are about.
    """

    def __init__(self, estimator: SendSideEstimator) -> None:
        self._estimator = estimator
        self._reader = FeedbackReader()
        self._losses = LossReader()

    def handle(self, data: bytes, now: float, last_sent: int | None) -> bool:
        """RTCP came, decrypted: one packet or a compound. The estimate follows in this call.

        Args:
            data: What came in one datagram.
            now: When, s.
            last_sent: Extended sequence number of the newest packet sent; None for none so far.

        Returns:
            Whether any of it was feedback.

        Raises:
            FeedbackError: It is malformed; nothing changes. Count it and drop it.
        """
        messages = parse_compound(data)
        for message in messages:
            self._take(message, now, last_sent)
        return bool(messages)

    def _take(self, message: FeedbackMessage, now: float, last_sent: int | None) -> None:
        estimator = self._estimator
        match message:
            case TransportFeedback():
                if last_sent is not None:
                    results = self._reader.read(message, now=now, last_sent=last_sent)
                    estimator.feedback(results, now)
            case ReceiverReport():
                lost = self._losses.read(message)
                if message.blocks:
                    # The first one on a stream is a sign of life, and no more.
                    estimator.loss_reported(lost or 0.0, now)
            case Remb():
                estimator.limit_reported(message.bitrate, now)
