"""What arrivals say about the link: how fast packets come, how long they wait, how that changes."""

from __future__ import annotations

import math

from .acknowledged import AcknowledgedRate
from .aimd import Observation
from .groups import ArrivalGroups
from .queueing import QueueDelay
from .trendline import Trendline

RTT_WEIGHT = 1 / 8
"""Of a new measurement (RFC 6298, section 2)."""

CLOCK_JUMP = 3.0
"""When the way takes so much longer or shorter at once, a clock was set, s (libwebrtc,
`kArrivalTimeOffsetThreshold`)."""


class ArrivalMeter:
    """Measures everything that the times of sending and of arrival tell.

    Attributes:
        acknowledged: The rate of arrivals.
        trendline: Whether delay grows.
        queue: How long packets wait.
        rtt: The round trip, smoothed, s; None while it is not known.
    """

    __slots__ = (
        "_arrival",
        "_groups",
        "_newest_sent_at",
        "_way",
        "acknowledged",
        "queue",
        "rtt",
        "trendline",
    )

    def __init__(self) -> None:
        self.acknowledged: AcknowledgedRate = AcknowledgedRate()
        self.trendline: Trendline = Trendline()
        self.queue: QueueDelay = QueueDelay()
        self.rtt: float | None = None
        self._groups = ArrivalGroups()
        self._way: float | None = None
        self._arrival = -math.inf
        self._newest_sent_at = -math.inf

    def clear(self) -> None:
        """A clock was set: times from before do not compare with those to come."""
        self.acknowledged.clear()
        self.trendline.clear()
        self.queue.clear()
        self._groups.clear()

    def arrived(
        self, sent_at: float, arrival: float, size: int, since: float | None = None
    ) -> None:
        """A packet arrived. The hot path: once a packet.

        Args:
            sent_at: s, on our clock.
            arrival: s, on the peer's.
            size: Bytes, of it and of those before it whose feedback was lost; 0 if it was counted.
            since: When the first of these was sent, s; None for itself alone.
        """
        way = arrival - sent_at
        self._arrival = arrival
        if self._way is not None and not -CLOCK_JUMP < way - self._way < CLOCK_JUMP:
            self.clear()
        self._way = way
        if size:
            self.acknowledged.add(arrival, sent_at, size, since)
        self.queue.add(arrival, way)
        delta = self._groups.add(sent_at, arrival)
        if delta is not None:
            self.trendline.add(arrival, *delta)

    def observe(
        self,
        now: float,
        newest: float,
        in_flight: int,
        told: int,
        carried: float,
        *,
        is_losing: bool,
    ) -> Observation:
        """Sum up, after a feedback.

        Args:
            now: s.
            newest: When the newest packet of this feedback was sent, s.
            in_flight: Bytes sent after the newest packet that arrived.
            told: Bytes sent up to that packet.
            carried: What the link was lately seen to carry without a queue, bit/s.
            is_losing: Whether more packets get lost than by chance.
        """
        round_trip = now - newest
        rtt = self.rtt
        self.rtt = rtt = round_trip if rtt is None else rtt + RTT_WEIGHT * (round_trip - rtt)
        self._newest_sent_at = max(self._newest_sent_at, newest)
        if is_losing:
            # The queue is full: the shortest way of late is not the shortest.
            self.queue.keep(self._arrival)
        return Observation(
            usage=self.trendline.usage,
            standing=self.queue.standing,
            waited=self.queue.newest,
            jitter=self.queue.jitter,
            acknowledged=self.acknowledged.rate(),
            arrivals=self.acknowledged,
            sent_at=self._newest_sent_at,
            round_trip=round_trip,
            in_flight=in_flight,
            rtt=rtt,
            told=told,
            growth=self.queue.growth,
            carried=carried,
            is_losing=is_losing,
            held=self.acknowledged.held,
        )
