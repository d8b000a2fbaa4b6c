"""A kit for those who write an allocator, a track receiver or an app, and want it tested.

It needs Hypothesis, which the extra `testing` brings, and no test runner.
"""

try:
    import hypothesis as _hypothesis  # noqa: F401 - without it, say which extra brings it
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "trio_allocator.testing needs Hypothesis: install the package with its extra `testing`, as "
        "in pip install '.[testing]'",
        name=_missing.name,
    ) from _missing

from ..network.bottleneck import (
    Bottleneck as Bottleneck,
    Delivery as Delivery,
    LinkStatistics as LinkStatistics,
    Passage as Passage,
)
from ..network.capacity import Capacity as Capacity, RateSchedule as RateSchedule
from ..network.impairments import (
    IMPAIRMENTS as IMPAIRMENTS,
    Batches as Batches,
    BurstLoss as BurstLoss,
    ClockDrift as ClockDrift,
    ClockSteps as ClockSteps,
    CompetingFlow as CompetingFlow,
    DeepQueue as DeepQueue,
    FeedbackEvery as FeedbackEvery,
    Impairment as Impairment,
    Jitter as Jitter,
    KnownImpairment as KnownImpairment,
    LateFeedback as LateFeedback,
    LongerWay as LongerWay,
    Loss as Loss,
    LostFeedback as LostFeedback,
    Outages as Outages,
    Pauses as Pauses,
    Policer as Policer,
    find_impairments as find_impairments,
)
from .bench import AllocatorMaker as AllocatorMaker, Terms as Terms
from .conformance import check_allocator as check_allocator
from .link import MemoryLink as MemoryLink
from .machine import QUICK as QUICK, AllocatorMachine as AllocatorMachine
from .manners import Behaviour as Behaviour, Manner as Manner
from .observer import Member as Member, Observer as Observer
from .receiver_bench import (
    RECEIVER_RULES as RECEIVER_RULES,
    ReceiverMaker as ReceiverMaker,
    ReceiverRuleError as ReceiverRuleError,
)
from .receiver_conformance import check_track_receiver as check_track_receiver
from .recording import (
    AllocationForced as AllocationForced,
    Call as Call,
    Ended as Ended,
    EstimateDelivered as EstimateDelivered,
    RecordingAllocator as RecordingAllocator,
    Registered as Registered,
)
from .state_machine import (
    TrioStateMachine as TrioStateMachine,
    initialize as initialize,
    invariant as invariant,
    rule as rule,
)
from .violation import (
    INVARIANTS as INVARIANTS,
    ConformanceError as ConformanceError,
    InvariantError as InvariantError,
)
from .virtual import run_virtually as run_virtually
