"""Divide the bandwidth of one media connection among its tracks, on Trio.

Open an allocator with `open_allocator`, register a receiver for each track, deliver bandwidth
estimates, and obey the messages: see the README.
"""

from .engine.effects import Cause as Cause, WakeReason as WakeReason
from .engine.limits import LimitChanges as LimitChanges, Limits as Limits
from .engine.probing.probe_status import ProbeStatus as ProbeStatus
from .engine.settings import (
    EstimateSource as EstimateSource,
    SettingChanges as SettingChanges,
    Settings as Settings,
)
from .engine.sharing.layered_policy import LayeredPolicy as LayeredPolicy
from .engine.sharing.registry import PolicyName as PolicyName
from .interface import (
    Claims as Claims,
    ConnectionAllocator as ConnectionAllocator,
    ReceiverHandle as ReceiverHandle,
    Watchable as Watchable,
)
from .messages import (
    AcceptDecrease as AcceptDecrease,
    AllocationGranted as AllocationGranted,
    AllocatorMessage as AllocatorMessage,
    BufferSent as BufferSent,
    DecreaseAllocation as DecreaseAllocation,
    GrantReason as GrantReason,
    ReceiverMessage as ReceiverMessage,
    RejectDecrease as RejectDecrease,
    RequestAllocation as RequestAllocation,
    SendPadding as SendPadding,
    SetNegotiabilityStatus as SetNegotiabilityStatus,
    SetOptions as SetOptions,
    SetVariants as SetVariants,
)
from .obstacle import Obstacle as Obstacle
from .options import (
    ReceiverOptionChanges as ReceiverOptionChanges,
    ReceiverOptions as ReceiverOptions,
)
from .policies.policy import Claim as Claim, Policy as Policy, Shares as Shares
from .policies.water_filling import WaterFillingPolicy as WaterFillingPolicy
from .receiver import (
    ReceiverStatistics as ReceiverStatistics,
    RequestVariant as RequestVariant,
    SelectorAction as SelectorAction,
    SwitchReason as SwitchReason,
    TrackReceiver as TrackReceiver,
    VariantSelector as VariantSelector,
)
from .report.blockers import Blocker as Blocker
from .report.explanation import (
    Explanation as Explanation,
    ReceiverExplanation as ReceiverExplanation,
)
from .report.statistics import AllocatorStatistics as AllocatorStatistics
from .report.status import AllocatorStatus as AllocatorStatus, Allowance as Allowance
from .shell.allocator import ProbingAllocator as ProbingAllocator
from .shell.bare import BareAllocator as BareAllocator, BareHandle as BareHandle
from .shell.connection_estimator import (
    ConnectionEstimator as ConnectionEstimator,
    open_connection_estimator as open_connection_estimator,
)
from .shell.decisions import (
    Act as Act,
    Decision as Decision,
    DecisionChannel as DecisionChannel,
    DecisionReason as DecisionReason,
)
from .shell.estimator_options import (
    EstimatorOptions as EstimatorOptions,
    EstimatorStatistics as EstimatorStatistics,
    PacketLog as PacketLog,
)
from .shell.mailbox import RegistrationEndedError as RegistrationEndedError
from .shell.media_sender import (
    MediaSender as MediaSender,
    MediaTrack as MediaTrack,
    MediaTrackOptions as MediaTrackOptions,
    OutgoingPacket as OutgoingPacket,
    PacketKind as PacketKind,
    open_media_sender as open_media_sender,
)
from .shell.opening import open_allocator as open_allocator
from .shell.passthrough import (
    PassthroughAllocator as PassthroughAllocator,
    open_passthrough_allocator as open_passthrough_allocator,
)
from .shell.watching import Watch as Watch, WatchedValue as WatchedValue
from .tracks import Track as Track, TrackKind as TrackKind, Variant as Variant
