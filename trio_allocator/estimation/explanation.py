"""What an estimate rests on, and what holds it down."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Usage(Enum):
    """What the delay between packets says about the link."""

    NORMAL = "normal"
    """Queues neither grow nor shrink."""
    OVERUSED = "overused"
    """A queue grows: more is sent than the link carries."""
    UNDERUSED = "underused"
    """A queue shrinks."""


class Limit(Enum):
    """What holds an estimate down."""

    START = "start"
    """No feedback has come yet: it is what the connection started with."""
    GROWTH = "growth"
    """Nothing but caution: it is growing."""
    DELAY = "delay"
    """A queue grows, or is being drained."""
    LOSS = "loss"
    """Packets get lost."""
    APPLICATION = "application"
    """Too little is sent to learn more."""
    SILENCE = "silence"
    """Packets are sent, and no feedback comes."""
    RECEIVER = "receiver"
    """The peer wants no more (REMB)."""
    MINIMUM = "minimum"
    """It would be lower, if it were allowed to."""
    MAXIMUM = "maximum"
    """It would be higher, if it were allowed to."""


@frozen(kw_only=True)
class EstimatorExplanation:
    """A snapshot of an estimator. Rates are bit/s, times seconds.

    Attributes:
        estimate: The estimate.
        limit: What holds it down.
        delay_based: The rate that delay allows.
        loss_based: The rate that loss allows; None while loss is no concern.
        acknowledged: The rate at which packets arrive; None while it is not known.
        usage: What the delay between packets says.
        queue_delay: By how much the newest packets were slower than the fastest of late.
        loss: The share of packets lost of late, 0 to 1.
        rtt: Smoothed round-trip time, the peer's wait before its feedback included; None while it
            is not known.
        application_limited: Less is sent than the estimate allows, by far.
        silent_for: How long feedback has been missing; 0.0 while it comes.
        start_bitrate: What the next connection over the same path may begin with: a part of what
            this one knows, of which its first probes bring back the rest.
    """

    estimate: int
    limit: Limit
    delay_based: int
    loss_based: int | None
    acknowledged: int | None
    usage: Usage
    queue_delay: float
    loss: float
    rtt: float | None
    application_limited: bool
    silent_for: float
    start_bitrate: int
