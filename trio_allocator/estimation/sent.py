"""What was sent and not yet told of."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

MOST = 1 << 15
"""So many packets are remembered: half of the wire's sequence numbers, beyond which feedback can not
tell one from another."""

LONGEST = 10.0
"""And for so long, s: later feedback is about another network."""

MOST_LOST = 1 << 10
"""So many of those lost are remembered, in case that they arrive after all."""


class SentPacket(NamedTuple):
    """A packet on its way.

    Attributes:
        sent_at: s.
        size: Bytes.
        cluster: The probe that it belongs to; None for none.
        total: Bytes sent up to it, itself included.
    """

    sent_at: float
    size: int
    cluster: int | None
    total: int


class PacketCounts(NamedTuple):
    """What became of all packets so far.

    Attributes:
        acknowledged: Packets told to have arrived.
        acknowledged_bytes: Their bytes.
        lost: Packets told lost, and not told to have arrived since.
    """

    acknowledged: int
    acknowledged_bytes: int
    lost: int


class SentPackets:
    """Packets by their transport-wide sequence number; what became of each is told once.

    Bounded in number and age, whatever feedback says or does not say.
    """

    __slots__ = ("_acknowledged", "_acknowledged_bytes", "_lost", "_missing", "_waiting")

    def __init__(self) -> None:
        self._acknowledged = self._acknowledged_bytes = self._missing = 0
        # A plain dict looks for its oldest entry among the traces of all that were deleted.
        self._waiting: OrderedDict[int, SentPacket] = OrderedDict()
        self._lost: OrderedDict[int, SentPacket] = OrderedDict()

    def add(self, sequence: int, packet: SentPacket) -> None:
        """A packet left; a number that is in use begins anew."""
        waiting = self._waiting
        if len(waiting) >= MOST:
            waiting.popitem(last=False)
        waiting.pop(sequence, None)
        waiting[sequence] = packet

    def received(self, sequence: int) -> tuple[SentPacket, bool] | None:
        """It arrived.

        Returns:
            The packet, and whether it had been told lost; None if it was never sent, or told of
            before.
        """
        packet, was_lost = self._waiting.pop(sequence, None), False
        if packet is None:
            packet, was_lost = self._lost.pop(sequence, None), True
            if packet is None:
                return None
            self._missing -= 1
        self._acknowledged += 1
        self._acknowledged_bytes += packet.size
        return packet, was_lost

    def lost(self, sequence: int) -> SentPacket | None:
        """It is lost, as far as is known now.

        Returns:
            As `received`.
        """
        packet = self._waiting.pop(sequence, None)
        if packet is not None:
            if len(self._lost) >= MOST_LOST:
                self._lost.popitem(last=False)
            self._lost[sequence] = packet
            self._missing += 1
        return packet

    def counts(self) -> PacketCounts:
        """What became of all packets so far."""
        return PacketCounts(self._acknowledged, self._acknowledged_bytes, self._missing)

    def forget(self, now: float) -> None:
        """Let go of what is too old."""
        for packets in (self._waiting, self._lost):
            while packets and next(iter(packets.values())).sent_at < now - LONGEST:
                packets.popitem(last=False)


class CountedBytes:
    """Counts bytes that arrived, those included whose feedback was lost.

    Of what a lost feedback would have told nothing is known. When later packets are told of, it
    is taken to have arrived with them: a hole in the feedback is no hole in the arrivals (as
    libwebrtc's ``RobustThroughputEstimator`` has it). Each byte is counted once.

    Attributes:
        total: Bytes sent up to the newest packet that was told of.
    """

    __slots__ = ("_since", "_untold", "total")

    def __init__(self) -> None:
        self.total: int = 0
        self._untold = 0
        self._since = -math.inf

    def take(self, packet: SentPacket) -> tuple[int, float]:
        """A packet was told to have arrived, for the first time.

        Returns:
            The bytes that count with it, and when the first of these was sent, s.
        """
        sent_at, size, _cluster, total = packet
        if total <= self.total:
            return 0, sent_at  # it was counted with a later one
        untold = self._untold + total - size - self.total
        since = self._since if untold else sent_at
        self.total, self._untold, self._since = total, 0, sent_at
        return size + untold, since

    def skip(self, packet: SentPacket) -> None:
        """A packet was told to be lost, for the first time."""
        if packet.total > self.total:
            self._untold += packet.total - packet.size - self.total
            self.total = packet.total
