"""Impairments by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from attrs import frozen

from .delays import Batches, Jitter, LongerWay
from .effect import Impairment
from .interruptions import Outages, Pauses
from .losses import BurstLoss, Loss, LostFeedback, Policer
from .queues import CompetingFlow, DeepQueue
from .reports import ClockDrift, ClockSteps, FeedbackEvery, LateFeedback


@frozen
class KnownImpairment:
    """An impairment that can be asked for by name.

    Attributes:
        name: Its name.
        description: What happens, for people.
        source: Where it is known from.
        impairment: The impairment itself.
    """

    name: str
    description: str
    source: str
    impairment: Impairment


IMPAIRMENTS: Mapping[str, KnownImpairment] = MappingProxyType(
    {
        known.name: known
        for known in (
            KnownImpairment(
                "pauses",
                "every 10 s the link stands still for 0.1 to 0.5 s, then sends what waited",
                "Wi-Fi scans and hand-overs; RFC 8869, sections 3 and 4",
                Pauses(),
            ),
            KnownImpairment(
                "longer-way",
                "every 20 s the way gets 15 to 200 ms longer, or as short as before",
                "changes of route, and hand-overs between cells; RFC 8869, section 3",
                LongerWay(),
            ),
            KnownImpairment(
                "batches",
                "packets arrive together, at the ends of spans of 20 to 150 ms",
                "frame aggregation and power saving of IEEE 802.11; receivers that poll",
                Batches(),
            ),
            KnownImpairment(
                "jitter",
                "each packet is up to 30 ms late, and none overtakes another",
                "RFC 8868 on jitter models: random, without reordering",
                Jitter(),
            ),
            KnownImpairment(
                "overtaking",
                "each packet is up to 50 ms late, and some overtake others",
                "RFC 8868 on jitter models: random and bounded; RFC 4737 on reordering",
                Jitter(most=0.05, overtaking=True),
            ),
            KnownImpairment(
                "loss",
                "2 % of the packets get lost, each by itself",
                "RFC 8868 on loss; libwebrtc's estimator calls up to 2 % no congestion",
                Loss(),
            ),
            KnownImpairment(
                "burst-loss",
                "packets get lost five in a row, after 200 that came through",
                "Gilbert (1960) and Elliott (1963); RFC 8868 on loss",
                BurstLoss(),
            ),
            KnownImpairment(
                "lost-feedback",
                "20 % of the reports get lost",
                "draft-holmer-rmcat-transport-wide-cc-extensions-01: reports are not repeated",
                LostFeedback(),
            ),
            KnownImpairment(
                "late-feedback",
                "reports are up to 300 ms late",
                "a busy way back: RFC 8867, section 5.3",
                LateFeedback(),
            ),
            KnownImpairment(
                "policer",
                "what exceeds 0.8 × the capacity by more than 0.1 s of it is dropped, not queued",
                "Flach et al., An Internet-Wide Analysis of Traffic Policing, SIGCOMM 2016",
                Policer(),
            ),
            KnownImpairment(
                "outage",
                "every 40 s everything gets lost for 1 to 30 s, reports too",
                "tunnels and lifts; RFC 8869, section 3",
                Outages(),
            ),
            KnownImpairment(
                "deep-queue",
                "the queue holds 1.5 s at the capacity that there is at first",
                "Gettys and Nichols, Bufferbloat: Dark Buffers in the Internet, 2011",
                DeepQueue(),
            ),
            KnownImpairment(
                "competing-flow",
                "for 10 to 40 s at a time another flow fills the queue until it loses something",
                "RFC 8867, section 5.6; the window is that of TCP, its back-off RFC 9438's",
                CompetingFlow(),
            ),
            KnownImpairment(
                "clock-steps",
                "every 30 s the far end's clock is set by 20 ms to 2.9 s",
                "time synchronisation on a peer that takes arrivals from its wall clock",
                ClockSteps(),
            ),
            KnownImpairment(
                "clock-drift",
                "the far end's clock is 500 ppm too fast",
                "cheap quartzes; RFC 3550 warns of it in appendix A.8",
                ClockDrift(),
            ),
            KnownImpairment(
                "feedback-50ms",
                "the far end reports every 50 ms",
                "libwebrtc's shortest interval is 50 ms",
                FeedbackEvery(interval=0.05),
            ),
            KnownImpairment(
                "feedback-100ms",
                "the far end reports every 100 ms",
                "libwebrtc's usual interval is 100 ms",
                FeedbackEvery(interval=0.1),
            ),
        )
    }
)
"""All that have a name."""


def find_impairments(names: str) -> tuple[Impairment, ...]:
    """The impairments with these names.

    Args:
        names: Separated by commas; blanks around them do not count. An empty text is for none.

    Raises:
        ValueError: One is not known; the message lists those that are.
    """
    found: dict[str, Impairment] = {}
    for part in names.split(","):
        name = part.strip()
        if not name:
            continue
        if name not in IMPAIRMENTS:
            known = ", ".join(IMPAIRMENTS)
            raise ValueError(f"there is no impairment {name!r}: choose from {known}")
        found[name] = IMPAIRMENTS[name].impairment
    return tuple(found.values())


def feedback_interval(impairments: Sequence[Impairment], usual: float) -> float:
    """How often the far end reports, s: what the last of these says, else what is usual."""
    said = [i.feedback_interval for i in impairments if i.feedback_interval is not None]
    return said[-1] if said else usual
