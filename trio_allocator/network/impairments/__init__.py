"""What befalls packets and reports besides a narrow link. Seeded, composable, and known by name.

An `Impairment` is data: what happens, how much, how often. For each link it begins an `Effect`,
which has the chances and the memory. Times are s and count from the start of the link; what happens
now and then happens at random moments that the seed decides.
"""

from __future__ import annotations

from .delays import Batches, Jitter, LongerWay
from .effect import Effect, Impairment, Link
from .episodes import KEPT, Episodes
from .interruptions import Outages, Pauses
from .known import IMPAIRMENTS, KnownImpairment, feedback_interval, find_impairments
from .losses import BurstLoss, Loss, LostFeedback, Policer
from .queues import CompetingFlow, DeepQueue
from .reports import ClockDrift, ClockSteps, FeedbackEvery, LateFeedback

__all__ = [
    "IMPAIRMENTS",
    "KEPT",
    "Batches",
    "BurstLoss",
    "ClockDrift",
    "ClockSteps",
    "CompetingFlow",
    "DeepQueue",
    "Effect",
    "Episodes",
    "FeedbackEvery",
    "Impairment",
    "Jitter",
    "KnownImpairment",
    "LateFeedback",
    "Link",
    "LongerWay",
    "Loss",
    "LostFeedback",
    "Outages",
    "Pauses",
    "Policer",
    "feedback_interval",
    "find_impairments",
]
