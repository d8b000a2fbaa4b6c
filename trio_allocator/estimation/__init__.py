"""From the feedback of a peer to an estimate of bandwidth; knows nothing of allocators.

No module in here knows Trio, a clock, randomness or logging. Imports run one way:
rtcp < media_requests, layers_allocation; rtcp < chunks < feedback, reports < sender_report;
reports < compound, loss_reader, peer_clock < reader, recorder; carried < estimator;
explanation, acknowledged, capacity < aimd < meter, probe_planner < estimator; probes < pacer;
compound, loss_reader, reader, estimator < handler.
"""

from .compound import FeedbackMessage as FeedbackMessage, parse_compound as parse_compound
from .estimator import SendSideEstimator as SendSideEstimator
from .explanation import (
    EstimatorExplanation as EstimatorExplanation,
    Limit as Limit,
    Usage as Usage,
)
from .feedback import TransportFeedback as TransportFeedback
from .feedback_log import FeedbackLog as FeedbackLog
from .handler import FeedbackHandler as FeedbackHandler
from .layers_allocation import (
    LayerAllocation as LayerAllocation,
    VideoLayersAllocation as VideoLayersAllocation,
)
from .loss_reader import LossReader as LossReader
from .media_requests import (
    FullIntraRequest as FullIntraRequest,
    MediaRequest as MediaRequest,
    Nack as Nack,
    PictureLoss as PictureLoss,
    parse_requests as parse_requests,
)
from .pacer import Departure as Departure, Pacer as Pacer
from .padding import (
    FillingPacket as FillingPacket,
    PaddingPacket as PaddingPacket,
    PaddingSource as PaddingSource,
    PaddingStream as PaddingStream,
    RepeatedPacket as RepeatedPacket,
)
from .probes import ProbeCluster as ProbeCluster
from .reader import FeedbackReader as FeedbackReader, PacketResult as PacketResult
from .recorder import FeedbackRecorder as FeedbackRecorder
from .reports import (
    ReceiverReport as ReceiverReport,
    Remb as Remb,
    ReportBlock as ReportBlock,
)
from .retransmission import RetransmissionBudget as RetransmissionBudget
from .rtcp import FeedbackError as FeedbackError
from .sender_report import SenderReport as SenderReport, ntp_time as ntp_time
from .sent import PacketCounts as PacketCounts
