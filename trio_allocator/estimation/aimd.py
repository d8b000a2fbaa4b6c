"""The rate that delay allows: additive increase, multiplicative decrease."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import NamedTuple

from .acknowledged import AcknowledgedRate
from .capacity import LinkCapacity
from .explanation import Limit, Usage
from .queueing import STANDING_WINDOW

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

BEYOND = 1.05
"""It does not grow beyond this many times what the link carried when it was full,"""

NEARLY_FULL = 0.9
"""while less than this share of that arrives: then nothing tells of more,"""

KNOWN_FOR = 20.0
"""for this long after an overuse, or a probe that found no more, s."""

BRIEF = 1.5
"""An overuse that is over within this time, s,"""

KEPT = 0.9
"""and leaves less than this share of the rate before it, may have been a moment of the link's, such as
a scan of its radio: a probe asks for what was before."""

CALM = 5.0
"""This long after an overuse, what a probe finds is taken at its word, s; before, up to the rate that
there was before the overuse."""

# --- Overuse ---------------------------------------------------------------------------------

STANDING_QUEUE = 0.015
"""A standing queue of this is overuse, however slowly it grows, s,"""

STANDING_PACKETS = 1.5
"""or of this many full packets, on a link where these take longer,"""

STANDING_JITTERS = 4.0
"""or of this many times what the queue changes by anyhow,"""

STANDING_HELD = 0.5
"""or of this many times the time that packets are held up until they arrive together."""

EMPTY = 0.7
"""Below this share of that a queue has drained, and a slope is none of the link's. A full packet
is shorter."""

# --- Decrease --------------------------------------------------------------------------------

MARGIN = 0.05
"""After overuse the rate is at least this share below what the link carries,"""

DRAIN_TIME = 1.0
"""and far enough below that the queue drains within this time, s,"""

DEEPEST = 0.72
"""but never below this share of what the link carries: an allocator that shares the rate out would
pause everybody for a moment's queue."""

RESUME = 0.97
"""When the queue is gone, the rate is back at this share of what the link carries."""

GROWING = 0.2
"""A queue that becomes longer by this share of the time grows fast: the link is full with what
arrives. Otherwise it carries at least as much as it lately did without a queue."""

FULL_SHARE = 0.8
"""While the queue does not grow fast, and less than this share of the rate arrives, too little is
sent to tell what the link carries: the decrease is measured against the rate."""

COLLAPSE = 0.9
"""When the queue goes on growing fast, and a new decrease would go below this share of the last one,
its answer is not waited for: the link was not yet full of what it could not carry when that was
measured (libwebrtc, too, has an exception for this, `AimdRateControl::TimeToReduceFurther`)."""

# --- Somebody else's queue -------------------------------------------------------------------

SETTLED = 2 * STANDING_WINDOW
"""The standing queue is one of packets that were sent after a decrease when the newest packet was
sent this long after it, s."""

EXPECTED = 0.5
"""A queue of ours is judged by a decrease once it should have shrunk by this share,"""

ENOUGH = 0.1
"""or by this, s;"""

SHRUNK = 0.25
"""it is ours if it shrank by this share of what it should."""

LEAST_SHRUNK = 0.05
"""A queue that stays although too little is sent to judge by is ours if it shrank by this share."""

SECOND_MARGIN = 0.15
"""If it has not, what the link carries was overestimated, or the queue is no queue of ours. A second
decrease, to this share below what the link carries, tells; unless no more than that was sent anyhow."""

GROWN = 1.2
"""A queue that is this many times longer than it was expected to become grows in spite of a
decrease."""

EPISODE = 2.0
"""No queue is waited for any longer without it getting shorter, s."""

ROUNDS = 3
"""A queue that grows for that long, and in spite of this number of decreases, is filled by others who
do not care:"""

RESTORED = 0.9
"""what was given up for nothing is taken back to this share,"""

MORE_TOLERANT = 2.0
"""a queue has to be this many times longer from then on to be overuse,"""

MOST_TOLERANT = 5.0
"""up to this,"""

FORGETTING = 0.95
"""and what exceeds 1 of that is forgotten at this rate, each second."""


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
        told: Bytes that feedback has told of since the beginning.
        growth: By how much the standing queue grew within the last `STANDING_WINDOW`, s.
        carried: What the link was lately seen to carry without a queue; 0.0 for nothing.
        is_losing: Whether more packets get lost than by chance.
        held: For how long packets are held up until they arrive together.
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
    told: int = 0
    growth: float = 0.0
    carried: float = 0.0
    is_losing: bool = False
    held: float = 0.0


class _Mark(NamedTuple):
    """A moment of a decrease that a later one is compared with."""

    sent_at: float
    told: int
    standing: float


class RateControl:
    """Follows observations.

    Attributes:
        rate: bit/s.
        phase: What it does.
        limit: What keeps it from growing: `Limit.GROWTH` for nothing.
        lowered_at: When it was last lowered, or last seen to be low enough, s.
        capacity: What the link carried when it was full.
        missed: The rate before a brief overuse that took much of it, until the next one; else 0.0.
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
        self.missed: float = 0.0
        self._least = least
        self._most = most
        self._updated_at: float | None = None
        self._growth = GROWTH
        self._expects_until = -math.inf
        self._known_until = -math.inf
        # Of the episode of overuse that goes on:
        self._began_at = 0.0
        self._before = self._resume = self._link = start
        self._queue = 0.0
        self._margin = MARGIN
        self._mark: _Mark | None = None
        self._is_ours = False
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
            self._limit = self._tolerable(seen)
            if _is_overuse(seen, self._limit):
                self._begin_to_drain(now, seen)
            elif seen.usage is Usage.NORMAL:
                self._rise(now, seen, elapsed)
            else:
                self.limit = Limit.DELAY
        self._keep_bounds()
        return is_ours

    def _tolerable(self, seen: Observation) -> float:
        """The standing queue that is no overuse, s."""
        packet = 8 * FULL_PACKET / (self.capacity.mean or self.rate)
        return self._tolerance * max(
            STANDING_QUEUE,
            STANDING_PACKETS * packet,
            STANDING_JITTERS * seen.jitter,
            STANDING_HELD * seen.held,
        )

    def is_clear(self, standing: float) -> bool:
        """Whether a standing queue, s, is as good as none."""
        return standing <= EMPTY * self._limit

    # --- down --------------------------------------------------------------------------------

    def _begin_to_drain(self, now: float, seen: Observation) -> None:
        self._began_at = now
        # After an outage, its backlog says nothing against what was known before.
        self._before = max(self.rate, self._before) if now < self._expects_until else self.rate
        self._expects_until = -math.inf
        self._margin = MARGIN
        self._rounds = 0
        self._is_ours = False
        self.missed = 0.0
        self.phase = Phase.DRAINING
        self.limit = Limit.DELAY
        link = seen.arrivals.recent_rate()
        if link is None:
            # Behind a long gap, the few packets that came make no rate.
            link = max(seen.acknowledged or 0.0, seen.carried) or self.rate
        elif not _grows(seen):
            # It need not be full: what arrives may be less than what it carries.
            link = max(link, seen.carried) if link >= FULL_SHARE * self.rate else self.rate
        self._lower(now, seen, link)
        self._given_up = self._resume

    def _lower(self, now: float, seen: Observation, link: float) -> None:
        """Go below what the link carries, and the more so the longer its queue is."""
        self.capacity.measured(link)
        self._known_until = now + KNOWN_FOR
        self._link = link
        # What a packet takes on this link is no queue.
        packets = self._tolerance * STANDING_PACKETS * 8 * FULL_PACKET / link
        self._limit = max(self._limit, packets)
        self._queue = _queue_to_come(seen, link)
        self.rate = min(self.rate, self._share(self._queue) * link)
        self._resume = min(self._before, RESUME * link)
        self._growth = GROWTH
        self._mark = None
        self.lowered_at = now

    def _share(self, queue: float) -> float:
        """The part of what the link carries with which the queue drains in time."""
        return max(1 - self._margin - max(queue - self._limit, 0.0) / DRAIN_TIME, DEEPEST)

    def _drain(self, now: float, seen: Observation) -> bool:
        """Wait for the queue to drain; lower again if that does not suffice.

        Returns:
            False if the queue is not ours.
        """
        if self.is_clear(seen.standing):
            return self._drained(now) if seen.sent_at > self.lowered_at else True
        if seen.sent_at <= self.lowered_at:
            # No packet that was sent since then can tell whether it suffices.
            link = seen.arrivals.recent_rate()
            if (
                link is not None
                and _grows(seen)
                and self._share(_queue_to_come(seen, link)) * link < COLLAPSE * self.rate
            ):
                self._is_ours = True
                self._lower(now, seen, link)
            return True
        if seen.standing > GROWN * max(self._queue, self._limit):
            return self._lower_again(now, seen)
        mark = self._mark
        if mark is None:
            if seen.sent_at > self.lowered_at + SETTLED:
                self._mark = _Mark(seen.sent_at, seen.told, seen.standing)
            return True
        # Time in which the link has carried more than was sent: the queue is to be shorter by that.
        waited = seen.sent_at - mark.sent_at
        expected = waited - 8 * (seen.told - mark.told) / self._link
        if expected >= min(max(EXPECTED * mark.standing, self._limit), ENOUGH):
            least = SHRUNK * expected
        elif waited >= EPISODE:
            least = LEAST_SHRUNK * mark.standing
        else:
            return True
        shrunk = mark.standing - seen.standing
        if shrunk >= least:
            self._is_ours = True
            self._mark = _Mark(seen.sent_at, seen.told, seen.standing)
            self._queue = seen.standing
            return True
        if seen.standing <= self._limit:
            return self._settle()
        if (
            self.rate > (1 - SECOND_MARGIN) * self._link
            and self._margin < SECOND_MARGIN
            and expected < SECOND_MARGIN * waited
        ):
            self._margin = SECOND_MARGIN
            self._lower(now, seen, self._link)
            return True
        if seen.is_losing or -shrunk >= least:
            # It grows, or is as long as it can become.
            return self._lower_again(now, seen)
        return self._settle()

    def _drained(self, now: float) -> bool:
        """What was given up to drain the queue is not needed any more."""
        self.phase = Phase.RISING
        self.rate = max(self.rate, self._resume)
        if now - self._began_at < BRIEF and self.rate < KEPT * self._before:
            self.missed = self._before
        return True

    def _settle(self) -> bool:
        """The queue does not depend on what we send: whatever it is, it is a part of the way now."""
        self.phase = Phase.RISING
        self.rate = max(self.rate, self._resume if self._is_ours else self._before)
        return False

    def _lower_again(self, now: float, seen: Observation) -> bool:
        """The queue stays in spite of it all: the link carries less, or others fill it."""
        self._rounds += 1
        if now - self._began_at > EPISODE and self._rounds > ROUNDS:
            self.phase = Phase.RISING
            self.rate = max(self.rate, RESTORED * self._given_up)
            self._tolerance = min(MORE_TOLERANT * self._tolerance, MOST_TOLERANT)
            return False
        self._is_ours = True
        link = min(seen.arrivals.recent_rate() or self._link, self._link)
        self._lower(now, seen, link)
        return True

    # --- up ----------------------------------------------------------------------------------

    def _rise(self, now: float, seen: Observation, elapsed: float) -> None:
        """Grow by a little near what the link carried, and ever faster away from it."""
        acknowledged = seen.acknowledged
        if acknowledged is None:
            return
        most = THROUGHPUT_FACTOR * acknowledged + THROUGHPUT_ALLOWANCE
        self.capacity.exceeded_by(acknowledged)
        link = self.capacity.mean
        if link is not None and now < self._known_until and acknowledged < NEARLY_FULL * link:
            most = min(most, BEYOND * link)
        if self.rate >= most:
            self.limit = Limit.APPLICATION
            self._growth = GROWTH
            return
        self.limit = Limit.GROWTH
        is_clear = self.is_clear(seen.standing)
        if link is not None:
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

    def probed(self, rate: float, now: float, *, is_full: bool = False) -> None:
        """A probe found that the link carries this, bit/s; and no more, if it met its end.

        Soon after an overuse, a burst may just have met a moment without the bursts of others: then
        what exceeds the rate before it is a reason to grow fast, with an eye on the queue.
        Otherwise it is the new rate.
        """
        if self.phase is not Phase.RISING:
            return
        if rate <= self.rate:
            if is_full:
                self._known_until = now + KNOWN_FOR
            return
        self.capacity.exceeded_by(rate)
        if rate <= self._before or now - self.lowered_at > CALM:
            self.rate = rate
            self._keep_bounds()
        else:
            self._growth = GREATEST_GROWTH

    def scale(self, factor: float) -> None:
        """Lower it for other reasons than delay, and forget what the link carried."""
        self.rate *= factor
        self.capacity.forget()
        self._growth = GROWTH
        self._keep_bounds()

    def expect(self, known: float, now: float) -> None:
        """This rate, bit/s, was known before a silence: an overuse that follows soon is measured against it."""
        self._before = known
        self._expects_until = now + CALM

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


def _grows(seen: Observation) -> bool:
    """Whether the queue grows fast: then what arrives is what the link carries."""
    return seen.growth > max(GROWING * STANDING_WINDOW, seen.jitter)


def _is_overuse(seen: Observation, tolerable: float) -> bool:
    """A queue that grows, or one that stands."""
    if seen.usage is Usage.OVERUSED:
        return seen.standing > EMPTY * tolerable
    return seen.standing > tolerable
