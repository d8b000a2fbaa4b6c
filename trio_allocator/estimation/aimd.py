"""The rate that delay allows: additive increase, multiplicative decrease."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import NamedTuple

from .acknowledged import AcknowledgedRate
from .capacity import LinkCapacity
from .explanation import Limit, Usage

FULL_PACKET = 1_200
"""Bytes of the largest packets (libwebrtc)."""

# --- Growth ----------------------------------------------------------------------------------

FEEDBACK_TIME = 0.1
"""What a reaction takes besides a round trip, s (draft-ietf-rmcat-gcc-02, section 5.5)."""

FRAMES = 30
"""A second, to guess the size of packets from (draft-ietf-rmcat-gcc-02, section 5.5)."""

LEAST_INCREASE = 4_000
"""Near the capacity, bit/s each second (libwebrtc, `kMinIncreaseRateBpsPerSecond`)."""

GROWTH = 0.08
"""Away from it, each second (draft-ietf-rmcat-gcc-02, section 5.5),"""

ACCELERATION = 2.0
"""times this for each second without a queue (measured: docs/estimation.md, "Growth"),"""

GREATEST_GROWTH = 0.5
"""up to this: in the 0.3 s that a queue takes to show, it overshoots by an eighth."""

THROUGHPUT_FACTOR = 1.5
"""It does not grow beyond this many times what arrives (draft-ietf-rmcat-gcc-02, section 5.5),"""

THROUGHPUT_ALLOWANCE = 10_000
"""and this, bit/s (libwebrtc)."""

# --- Overuse ---------------------------------------------------------------------------------

STANDING_QUEUE = 0.015
"""A standing queue of this is overuse, however slowly it grows, s,"""

STANDING_PACKETS = 1.5
"""or of so many full packets, on a link where these take longer,"""

STANDING_JITTERS = 3.0
"""or of so many times what the queue changes by anyhow."""

EMPTY = 0.6
"""Below this share of that a queue has drained, and a slope is none of the link's."""

# --- Decrease --------------------------------------------------------------------------------

MARGIN = 0.05
"""After overuse: so much below what the link carried,"""

DRAIN_TIME = 1.0
"""and so much less that the queue drains within this, s,"""

DEEPEST = 0.7
"""but not below this share of what it carried: who shares the rate out would pause everybody for
a moment's queue."""

RESUME = 0.97
"""When the queue is gone, back to this share."""

COLLAPSE = 0.6
"""When what would do is less than this share of the rate, it is lowered again without waiting for the
answer to the last decrease: the link was not yet full of what it could not carry when that was
measured (libwebrtc, too, has an exception for this, `AimdRateControl::TimeToReduceFurther`)."""

# --- Somebody else's queue -------------------------------------------------------------------

SHRUNK = 0.95
"""A queue that is still above this share of what it was has not shrunk by a decrease."""

ESCALATION = 1.5
"""The margin of each further decrease is so many times larger: if others like us make the queue,
all of them together drain it,"""

EPISODE = 2.0
"""and if it does not shrink for so long, s,"""

ROUNDS = 3
"""nor by so many decreases, it is somebody else's who does not care:"""

RESTORED = 0.9
"""what was given up for nothing is taken back to this share,"""

MORE_TOLERANT = 2.0
"""overuse from then on is so much more,"""

MOST_TOLERANT = 5.0
"""up to this;"""

FORGETTING = 0.95
"""what exceeds 1 of that is forgotten at this rate, each second."""


class Phase(Enum):
    """What the rate does."""

    RISING = auto()
    """It grows as far as it is used."""
    DRAINING = auto()
    """It was lowered, and the queue is draining."""


class Observation(NamedTuple):
    """What feedback says, all of it together. Times are s, rates bit/s, None where not known.

    Attributes:
        usage: What the slope of the delay says.
        standing: The standing queue.
        waited: What the newest packet waited.
        jitter: What the standing queue changes by.
        acknowledged: The rate of arrivals.
        arrivals: More about that, where it is needed.
        sent_at: When the newest packet that arrived was sent.
        round_trip: How long ago that was.
        in_flight: Bytes sent after it.
        rtt: The round trip, smoothed.
    """

    usage: Usage
    standing: float
    waited: float
    jitter: float
    acknowledged: float | None
    arrivals: AcknowledgedRate
    sent_at: float
    round_trip: float
    in_flight: int
    rtt: float


class RateControl:
    """Follows observations.

    Attributes:
        rate: bit/s.
        phase: What it does.
        limit: What keeps it from growing: `Limit.GROWTH` for nothing.
        lowered_at: When it was last lowered, or last seen to be low enough, s.
        capacity: What the link carried when it was full.
    """

    def __init__(self, start: float, least: float, most: float) -> None:
        """Start.

        Args:
            start: bit/s.
            least: Never below this, bit/s,
            most: and never above this, bit/s.
        """
        self.rate: float = start
        self.phase: Phase = Phase.RISING
        self.limit: Limit = Limit.GROWTH
        self.lowered_at: float = -math.inf
        self.capacity: LinkCapacity = LinkCapacity()
        self._least = least
        self._most = most
        self._updated_at: float | None = None
        self._growth = GROWTH
        self._before = self._resume = start
        self._queue = 0.0
        self._began_at = 0.0
        self._margin = MARGIN
        self._rounds = 0
        self._limit = STANDING_QUEUE
        self._given_up = start
        self._tolerance = 1.0

    def update(self, now: float, seen: Observation) -> bool:
        """Follow what was observed.

        Returns:
            False if the queue turns out to be somebody else's.
        """
        elapsed = 0.0 if self._updated_at is None else min(now - self._updated_at, 1.0)
        self._updated_at = now
        self._tolerance = 1 + (self._tolerance - 1) * math.pow(FORGETTING, elapsed)
        is_ours = True
        if self.phase is Phase.DRAINING:
            is_ours = self._drain(now, seen)
        else:
            self._limit = self._tolerable(seen.jitter)
            if _is_overuse(seen, self._limit):
                self._begin_to_drain(now, seen)
            elif seen.usage is Usage.NORMAL:
                self._rise(seen, elapsed)
            else:
                self.limit = Limit.DELAY
        self._keep_bounds()
        return is_ours

    def _tolerable(self, jitter: float) -> float:
        """The standing queue that is no overuse, s."""
        packet = 8 * FULL_PACKET / (self.capacity.mean or self.rate)
        return self._tolerance * max(
            STANDING_QUEUE, STANDING_PACKETS * packet, STANDING_JITTERS * jitter
        )

    def is_clear(self, standing: float) -> bool:
        """Whether a standing queue, s, is as good as none."""
        return standing <= EMPTY * self._limit

    # --- down --------------------------------------------------------------------------------

    def _begin_to_drain(self, now: float, seen: Observation) -> None:
        self._began_at = now
        self._before = self.rate
        self._margin = MARGIN
        self._rounds = 0
        self._lower(now, seen)
        self._given_up = self._resume
        # From here to the end of it: by what is left in the end, any queue could be tolerated.
        self._limit = self._tolerable(seen.jitter)
        self.limit = Limit.DELAY
        self.phase = Phase.DRAINING

    def _lower(self, now: float, seen: Observation) -> None:
        """Go below what the link carries, and the more so the longer its queue is."""
        carried = seen.arrivals.recent_rate() or seen.acknowledged or self.rate
        self.capacity.measured(carried)
        self._queue = _queue_to_come(seen, carried)
        self.rate = min(self.rate, self._share(self._queue) * carried)
        self._resume = min(self._before, RESUME * carried)
        self._growth = GROWTH
        self.lowered_at = now

    def _share(self, queue: float) -> float:
        """Of what the link carries: so much that the queue drains in time."""
        return max(1 - self._margin - max(queue - self._limit, 0.0) / DRAIN_TIME, DEEPEST)

    def _drain(self, now: float, seen: Observation) -> bool:
        """Wait for the queue to drain; lower again if it does not.

        Only packets that were sent since the rate was lowered can tell: once a round trip.
        """
        if seen.sent_at <= self.lowered_at:
            carried = seen.arrivals.recent_rate() or self.rate
            if self._share(_queue_to_come(seen, carried)) * carried < COLLAPSE * self.rate:
                self._lower(now, seen)
        elif self.is_clear(seen.standing):
            self.phase = Phase.RISING
            self.rate = max(self.rate, self._resume)
        elif seen.standing <= SHRUNK * self._queue:
            self.lowered_at = now
            self._queue = seen.standing
        elif seen.standing <= self._limit:
            self.phase = Phase.RISING
        elif now - self._began_at < EPISODE or self._rounds < ROUNDS:
            self._rounds += 1
            self._margin = min(ESCALATION * self._margin, 1 - DEEPEST)
            self._lower(now, seen)
        else:
            self._tolerate()
            return False
        return True

    def _tolerate(self) -> None:
        """What we gave up, others took: take it back, and mind their queue less."""
        self.phase = Phase.RISING
        self.rate = max(self.rate, RESTORED * self._given_up)
        self._tolerance = min(MORE_TOLERANT * self._tolerance, MOST_TOLERANT)

    # --- up ----------------------------------------------------------------------------------

    def _rise(self, seen: Observation, elapsed: float) -> None:
        """Grow by a little near what the link carried, and ever faster away from it."""
        acknowledged = seen.acknowledged
        if acknowledged is None:
            return
        most = THROUGHPUT_FACTOR * acknowledged + THROUGHPUT_ALLOWANCE
        if self.rate >= most:
            self.limit = Limit.APPLICATION
            self._growth = GROWTH
            return
        self.limit = Limit.GROWTH
        is_clear = self.is_clear(seen.standing)
        self.capacity.exceeded_by(acknowledged)
        if self.capacity.mean is not None:
            grown = self.rate + elapsed * self._additive(seen.rtt)
        else:
            grown = self.rate * (1 + self._growth) ** elapsed
            if is_clear:
                self._growth = min(self._growth * ACCELERATION**elapsed, GREATEST_GROWTH)
        if is_clear:
            # What arrives without a queue, media or padding, can be used.
            grown = max(grown, acknowledged)
        self.rate = min(grown, most)

    def _additive(self, rtt: float) -> float:
        """A packet in the time that two reactions take: ``packet / (2 · (rtt + 0.1 s))``, bit/s²."""
        frame = self.rate / FRAMES
        packet = frame / max(math.ceil(frame / (8 * FULL_PACKET)), 1)
        return max(LEAST_INCREASE, packet / (2 * (rtt + FEEDBACK_TIME)))

    def probed(self, rate: float) -> None:
        """A probe got through at this rate, bit/s.

        Before the first overuse it is the new rate. Later, a burst may just have met a moment
        without the others' bursts: then it is a reason to grow fast, with an eye on the queue.
        """
        if self.phase is not Phase.RISING or rate <= self.rate:
            return
        if self.lowered_at == -math.inf:
            self.rate = rate
            self._keep_bounds()
        else:
            self.capacity.exceeded_by(rate)
            self._growth = GREATEST_GROWTH

    def scale(self, factor: float) -> None:
        """Lower it for other reasons than delay, and forget what the link carried."""
        self.rate *= factor
        self.capacity.forget()
        self._growth = GROWTH
        self._keep_bounds()

    def follow(self, rate: float) -> None:
        """Take a rate that somebody else has found, bit/s."""
        self.rate = rate
        self._keep_bounds()

    def _keep_bounds(self) -> None:
        self.rate = min(max(self.rate, self._least), self._most)


def _queue_to_come(seen: Observation, carried: float) -> float:
    """What is sent now waits for all that is in flight, less what gets through until it comes, s."""
    coming = 8 * seen.in_flight / carried - (seen.round_trip - seen.waited)
    return max(seen.waited, seen.standing, coming)


def _is_overuse(seen: Observation, tolerable: float) -> bool:
    """A queue that grows, or one that stands."""
    if seen.usage is Usage.OVERUSED:
        return seen.standing > EMPTY * tolerable
    return seen.standing > tolerable
