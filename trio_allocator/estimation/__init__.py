"""From the feedback of a peer to an estimate of bandwidth; knows nothing of allocators.

No module in here knows Trio, a clock, randomness or logging. Imports run one way:
rtcp < feedback, reports < compound, reader, recorder.
"""

from .compound import FeedbackMessage as FeedbackMessage, parse_compound as parse_compound
from .feedback import TransportFeedback as TransportFeedback
from .reader import FeedbackReader as FeedbackReader, PacketResult as PacketResult
from .recorder import FeedbackRecorder as FeedbackRecorder
from .reports import (
    ReceiverReport as ReceiverReport,
    Remb as Remb,
    ReportBlock as ReportBlock,
)
from .rtcp import FeedbackError as FeedbackError
