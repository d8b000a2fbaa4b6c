"""How much may be sent again: what a peer asks for is no reason to fill the link."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from .. import quantities

SHARE = 0.25
"""Of the estimate. Without a bound, a drop of the capacity to 0.6 Mbit/s was seen to be answered
with 8.8 Mbit/s of retransmissions."""

BURST = 0.25
"""What is saved up lasts for so long, s: a frame's worth, not a second's."""

LEAST_BURST = 1_500
"""Bytes: one packet, whatever the estimate."""

START_RTT = 0.1
"""Until it is known, s."""

MOST = 4_096
"""So many packets are remembered."""


def share_to_repeat(name: str, share: float) -> float:
    """Check a share of the estimate.

    Args:
        name: Of the argument.
        share: Above 0, at most 1.

    Raises:
        TypeError, ValueError: It is not.
    """
    if not quantities.share(name, share) > 0:
        raise ValueError(f"{name} must be above 0: to send nothing again, do not ask")
    return share


class RetransmissionBudget:
    """Lets a packet be sent again once per round trip, and all of them at a share of the estimate.

    A round trip passes before the peer can know that the packet was sent again: a peer that asks
    earlier has not seen it (RFC 4585, section 6.2.1, leaves the choice to the sender).

    Args:
        bitrate: The estimate, bit/s.
        share: Of the estimate, above 0, at most 1.

    Raises:
        TypeError, ValueError: One of them is not usable.
    """

    def __init__(self, bitrate: float, *, share: float = SHARE) -> None:
        self._share = share_to_repeat("share", share)
        self._rtt = START_RTT
        self._bitrate = quantities.bitrate("bitrate", bitrate)
        self._saved = self._most
        self._at: float | None = None
        self._repeated: OrderedDict[Hashable, float] = OrderedDict()

    @property
    def _most(self) -> float:
        return max(self._share * self._bitrate * BURST / 8, LEAST_BURST)

    def set_bitrate(self, bitrate: float, now: float) -> None:
        """A new estimate.

        Args:
            bitrate: bit/s.
            now: s.

        Raises:
            TypeError, ValueError: `bitrate` is not a rate.
        """
        whole = quantities.bitrate("bitrate", bitrate)
        self._save(now)
        self._bitrate = whole
        self._saved = min(self._saved, self._most)

    def set_rtt(self, rtt: float) -> None:
        """A new round-trip time, s: `Explanation.rtt`, for one.

        Raises:
            TypeError, ValueError: It is not a time above 0.
        """
        self._rtt = quantities.positive("rtt", rtt, "seconds")

    def allow(self, packet: Hashable, size: int, now: float) -> bool:
        """The peer wants a packet again.

        Args:
            packet: Which: its stream and number, for one.
            size: Bytes that would be sent.
            now: s.

        Returns:
            Whether it may be sent, now; then it is taken for sent.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes.
        """
        size = quantities.size("size", size)
        repeated = self._repeated
        last = repeated.get(packet)
        if last is not None and now - last < self._rtt:
            return False
        self._save(now)
        # What is saved may go below zero, or a packet larger than that could never be sent.
        if self._saved <= 0:
            return False
        self._saved -= size
        repeated[packet] = now
        repeated.move_to_end(packet)
        while len(repeated) > MOST or now - next(iter(repeated.values())) > self._rtt:
            repeated.popitem(last=False)
        return True

    def _save(self, now: float) -> None:
        elapsed = 0.0 if self._at is None else max(now - self._at, 0.0)
        self._at = now if self._at is None else max(now, self._at)
        self._saved = min(self._saved + self._share * self._bitrate * elapsed / 8, self._most)
