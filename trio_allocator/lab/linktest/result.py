"""What a run of a scenario brought to light."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from attrs import frozen

from ..judging import Watched
from .scenarios import Scenario

PATIENCE = 0.005
"""If of a run's deliveries more than one in a hundred were later than this, it was starved, s: a
tenth of the link's delay is no longer nothing to an estimator that lives on delays."""


class Stack(StrEnum):
    """Whose congestion control a flow has."""

    OURS = "ours"
    LIBWEBRTC = "libwebrtc"


class Packet(NamedTuple):
    """A packet that came to the bottleneck; times are seconds of the scenario.

    Attributes:
        arrived: When.
        flow: Whose.
        size: Bytes.
        waited: In the queue, s; None if it was dropped.
        left: When its last bit left the bottleneck; None if it was dropped.
    """

    arrived: float
    flow: int
    size: int
    waited: float | None
    left: float | None


@frozen
class FlowRecord:
    """What a sender said of itself.

    Attributes:
        stack: Whose.
        estimates: Times of the scenario, and the estimate from then on, bit/s.
        media: Bytes of media sent: no retransmissions, no padding.
        repeated: Times of the scenario, and bytes of retransmissions sent then.
        receivers: What each picture was given; none of a flow of libwebrtc's, which has one coder.
    """

    stack: Stack
    estimates: tuple[tuple[float, float], ...]
    media: int
    repeated: tuple[tuple[float, int], ...]
    receivers: tuple[Watched, ...] = ()


@frozen
class Run:
    """One scenario, once.

    Attributes:
        scenario: What was asked.
        flows: Who sent.
        packets: What came to the bottleneck, in order of time.
        lateness: By how much each delivery was late, s.
        lost: Packets lost by chance.
        overflowed: Packets that found the queue full.
    """

    scenario: Scenario
    flows: tuple[FlowRecord, ...]
    packets: tuple[Packet, ...]
    lateness: tuple[float, ...]
    lost: int
    overflowed: int

    @property
    def line_up(self) -> tuple[Stack, ...]:
        """Whose flows these were."""
        return tuple(flow.stack for flow in self.flows)

    @property
    def late(self) -> float:
        """What 99 of 100 deliveries were not later than, s."""
        return percentile(self.lateness, 0.99)

    @property
    def is_starved(self) -> bool:
        """Too late, too often, or not all heard: it tells of the machine, and not of the senders."""
        unheard = sum(flow.media for flow in self.flows) > sum(one.size for one in self.packets)
        return not self.lateness or self.late > PATIENCE or unheard


def percentile(values: tuple[float, ...] | list[float], share: float) -> float:
    """The value that this share are not above; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
