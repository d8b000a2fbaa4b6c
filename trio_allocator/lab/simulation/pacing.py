"""How a simulated conference paces: driven by its clock, at estimates of its own or ideal ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

import trio

from ...estimation import Pacer
from ...shell.connection_estimator import REPEAT, ConnectionEstimator
from ...shell.estimator_options import SendCallback
from .virtual_time import DrivenClock


class Driven(ConnectionEstimator):
    """An estimator whose time is driven: its task is never woken for a packet."""

    _wake = -math.inf

    def _arm(self) -> None:
        # When there is something to do besides sending: only what comes in changes that.
        self._wake = min(self._estimator.wake_at, self._told_at + REPEAT)

    @property
    def due(self) -> float:
        """When `act` is to be called, s."""
        pacer = self._pacer
        send_at = pacer.next_send_time
        if not pacer.is_probing:
            send_at = max(send_at, self._acted_at + self._burst)
        return min(self._wake, send_at)

    def pace(
        self, send: SendCallback, size: int, *, priority: int = 0, key: Hashable = None
    ) -> bool:
        """See `ConnectionEstimator.pace`; what is checked there is known here."""
        self._pacer.enqueue(send, size, trio.current_time(), priority=priority, key=key)
        return True

    def act(self) -> bool:
        """Do what is due.

        Returns:
            Whether the allocator was told something.
        """
        now = trio.current_time()
        if now < self._wake:
            self._acted_at = now
            self._send_due(now)
            return False
        before = self._told_at
        self._act()
        self._arm()
        return self._told_at != before


class IdealPacing:
    """Paces as a `ConnectionEstimator` does, at estimates that come from elsewhere."""

    def __init__(self, clock: DrivenClock) -> None:
        self._clock = clock
        self._pacer: Pacer[Callable[[int], object]] = Pacer(300_000)
        self._sequence = 0

    @property
    def due(self) -> float:
        """When the next packet is due, s."""
        return self._pacer.next_send_time

    def set_bitrate(self, bitrate: int) -> None:
        """Pace at this estimate, bit/s."""
        self._pacer.set_bitrate(bitrate, self._clock.now)

    def pace(
        self, send: Callable[[int], object], size: int, *, priority: int = 0, key: Hashable = None
    ) -> bool:
        """Send a packet in its turn."""
        self._pacer.enqueue(send, size, self._clock.now, priority=priority, key=key)
        return True

    def withdraw(self, key: Hashable) -> int:
        """Take back what waits under a key; return how many packets."""
        return len(self._pacer.withdraw(key))

    def packet_sent(self, _size: int) -> int:
        """Number a packet."""
        self._sequence = (self._sequence + 1) % 2**16
        return self._sequence

    def act(self) -> bool:
        """Send what is due; return that the allocator was told nothing."""
        while (departure := self._pacer.pop(self._clock.now)) is not None:
            departure.packet(self.packet_sent(departure.size))
        return False
