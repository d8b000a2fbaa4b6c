"""A pacer: packets in, by priority; when and which to send out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from attrs import define

from .. import quantities
from .probes import ProbeCluster

T = TypeVar("T")

PACING_FACTOR = 2.5
"""How much faster than the estimate packets leave (libwebrtc, `kDefaultPaceMultiplier`): fit for an
encoder that follows the estimate."""

MAX_QUEUE_TIME = 2.0
"""s (libwebrtc, `PacingController::kMaxExpectedQueueLength`)."""

LATENESS = 0.005
"""A timer may be this late without the pace getting slower, s (libwebrtc, `kMinSleepTime` and
Trio's own lateness are below that)."""

LEAST_PACE = 8_000
"""bit/s: at an estimate of 0, too, the queue moves, by a packet a second."""

PROBE_BURST = 0.002
"""Padding for a probe is asked for no more often, s (libwebrtc, `min_probe_delta`)."""

LEAST_PADDING = 200
"""Bytes: a probe that has all of its bytes, and not yet all of its packets, asks for this many more."""

PROBE_PATIENCE = 0.1
"""A probe that is sent too slowly ends so long after it should have, s."""

PROBE_LATENESS = 0.05
"""A probe ends when its next packet is late by this, s: what follows would be another burst. A frame of
media may be waited for."""


class Departure(NamedTuple, Generic[T]):
    """A packet to be sent now.

    Attributes:
        packet: What was enqueued.
        size: Bytes.
        cluster: The probe that it belongs to, for `SendSideEstimator.packet_sent`; None for none.
    """

    packet: T
    size: int
    cluster: int | None


@define
class _Probe:
    cluster: ProbeCluster
    started_at: float
    due: float
    packets: int = 0
    bytes: int = 0

    @property
    def is_sent(self) -> bool:
        cluster = self.cluster
        return self.packets >= cluster.min_packets and self.bytes >= cluster.min_bytes

    @property
    def gives_up_at(self) -> float:
        least = max(self.cluster.min_bytes, 1_500 * self.cluster.min_packets)
        return self.started_at + 8 * least / self.cluster.bitrate + PROBE_PATIENCE

    def sent(self, size: int) -> None:
        self.packets += 1
        self.bytes += size
        self.due = self.started_at + 8 * self.bytes / self.cluster.bitrate

    def owed(self, now: float) -> int:
        """Bytes of padding that the rate wants until the next burst; no more than the probe has left."""
        until = now - self.started_at + PROBE_BURST
        owed = math.ceil(until * self.cluster.bitrate / 8) - self.bytes
        return min(owed, max(self.cluster.min_bytes - self.bytes, LEAST_PADDING))


class _Waiting(NamedTuple, Generic[T]):
    packet: T
    size: int
    leave_by: float
    key: Hashable


class Pacer(Generic[T]):
    """Spreads packets over time, so that bursts of a coder do not become queues in the network.

    A packet is due when those before it have been sent at the pace: the estimate times a factor.
    If that is too slow for all that waits to leave in time, the pace rises as far as it must.

    Args:
        bitrate: The estimate, bit/s.
        factor: How much faster than the estimate packets may leave.
        max_queue_time: Whatever is enqueued leaves within this time, s.
        burst: What is due within this time leaves at once, s: fewer wake-ups, and less delay. None for
            no bursts; within a probe there are none.

    Raises:
        TypeError, ValueError: One of them is not usable.
    """

    def __init__(
        self,
        bitrate: float,
        *,
        factor: float = PACING_FACTOR,
        max_queue_time: float = MAX_QUEUE_TIME,
        burst: float | None = None,
    ) -> None:
        self._factor = quantities.positive("factor", factor, "times the estimate")
        self._max_queue_time = quantities.positive("max_queue_time", max_queue_time, "seconds")
        self._burst = 0.0 if burst is None else quantities.positive("burst", burst, "seconds")
        self._pace = self._paced(bitrate, 0)
        self._queues: dict[int, deque[_Waiting[T]]] = {}  # by priority, the largest first
        self._bytes = 0
        self._free_at = -math.inf
        self._probe: _Probe | None = None

    @property
    def queue_bytes(self) -> int:
        """Bytes that wait."""
        return self._bytes

    @property
    def queue_time(self) -> float:
        """How long all that waits needs to leave at the pace, s."""
        return 8 * self._bytes / self._pace

    @property
    def is_probing(self) -> bool:
        """Whether a probe is being sent, whose rate matters to the millisecond."""
        return self._probe is not None

    @property
    def next_send_time(self) -> float:
        """When `pop` (or, within a probe, `padding_due`) has something, s; `math.inf` for never."""
        if self._probe is not None:
            return self._probe.due
        return self._free_at - self._burst if self._queues else math.inf

    def set_bitrate(self, bitrate: float, now: float, *, floor: float = 0) -> None:
        """A new estimate.

        Args:
            bitrate: bit/s.
            now: s. What is still to be waited for is paced anew, too.
            floor: The pace is never below this, bit/s: what is sent whatever the estimate, such as
                audio, would only get late.

        Raises:
            TypeError, ValueError: `bitrate` or `floor` is not a rate.
        """
        pace = self._paced(bitrate, quantities.bitrate("floor", floor))
        if self._free_at > now:
            self._free_at = now + (self._free_at - now) * self._pace / pace
        self._pace = pace

    def enqueue(
        self, packet: T, size: int, now: float, *, priority: int = 0, key: Hashable = None
    ) -> None:
        """A packet is ready.

        Args:
            packet: Anything.
            size: Bytes.
            now: s.
            priority: Larger leaves first; among equals, the one that came first.
            key: For `withdraw`: what it belongs to, such as a layer. None for nothing.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes above 0, or `priority` not an int.
        """
        size = quantities.whole_number("size", size, 1, quantities.MAX_SIZE)
        priority = quantities.whole_number("priority", priority, -(2**31), 2**31)
        if not self._queues:
            self._free_at = max(self._free_at, now)
        queue = self._queues.get(priority)
        if queue is None:
            queue = self._queues[priority] = deque()
            self._queues = dict(sorted(self._queues.items(), reverse=True))
        queue.append(_Waiting(packet, size, now + self._max_queue_time, key))
        self._bytes += size

    def withdraw(self, key: Hashable) -> list[T]:
        """Let go of what waits and belongs to something: a layer that is not sent any more.

        Args:
            key: As for `enqueue`; not None.

        Returns:
            The packets, in the order in which they would have left.

        Raises:
            ValueError: `key` is None.
        """
        if key is None:
            raise ValueError(
                "key must not be None: enqueue with a key what is to be withdrawn by it"
            )
        withdrawn: list[T] = []
        for priority, queue in list(self._queues.items()):
            kept = deque(waiting for waiting in queue if waiting.key != key)
            gone = [waiting for waiting in queue if waiting.key == key]
            withdrawn += (waiting.packet for waiting in gone)
            self._bytes -= sum(waiting.size for waiting in gone)
            if kept:
                self._queues[priority] = kept
            else:
                del self._queues[priority]
        return withdrawn

    def pop(self, now: float) -> Departure[T] | None:
        """The next packet to send, None if none is due. To be called until there is none."""
        probe = self._current_probe(now)
        if not self._queues or now < (self._free_at - self._burst if probe is None else probe.due):
            return None
        pace = self._needed_pace(now)
        priority, queue = next(iter(self._queues.items()))
        packet, size, _leave_by, _key = queue.popleft()
        if not queue:
            del self._queues[priority]
        self._bytes -= size
        self._free_at = max(self._free_at, now - LATENESS) + 8 * size / pace
        return Departure(packet, size, self._count(size))

    def _needed_pace(self, now: float) -> float:
        """The pace, or what it takes for all that waits to leave before the first of it must."""
        left = min(queue[0].leave_by for queue in self._queues.values()) - now
        return max(self._pace, 8 * self._bytes / left) if left > 0 else math.inf

    # --- probes ------------------------------------------------------------------------------

    def start_probe(self, cluster: ProbeCluster, now: float) -> None:
        """Pace at the probe's rate, until it is sent; the caller serves `padding_due`.

        A probe that is being sent ends.
        """
        self._probe = _Probe(cluster, now, now)

    def padding_due(self, now: float) -> int:
        """Bytes of padding that a probe needs now, because nothing waits; 0 for none."""
        probe = self._current_probe(now)
        if probe is None or self._queues or now < probe.due:
            return 0
        probe.due = now + PROBE_BURST  # in case that there is none to send
        return probe.owed(now)

    def padding_sent(self, size: int) -> int | None:
        """A packet of padding was sent, of which the pacer knew nothing.

        Args:
            size: Bytes.

        Returns:
            The probe that it belongs to, None for none.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes.
        """
        return self._count(quantities.size("size", size))

    def _count(self, size: int) -> int | None:
        probe = self._probe
        if probe is None:
            return None
        probe.sent(size)
        if probe.is_sent:
            self._probe = None
        return probe.cluster.id

    def _current_probe(self, now: float) -> _Probe | None:
        probe = self._probe
        if probe is not None and now > min(probe.gives_up_at, probe.due + PROBE_LATENESS):
            self._probe = None
        return self._probe

    def _paced(self, bitrate: float, floor: int) -> float:
        return max(self._factor * quantities.bitrate("bitrate", bitrate), LEAST_PACE, floor)
