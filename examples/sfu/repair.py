"""What a publisher's stream lacks: asked for again (NACK), and recognised when it comes (RTX)."""

from __future__ import annotations

from attrs import define, evolve

from .rtp import RtpPacket

AGAIN = 0.1
"""What was asked for and has not come is asked for again after this time, s: some round trips."""

GIVE_UP = 1.0
"""Nobody waits longer for a packet, s: by then a key frame has been asked for."""

LONGEST_GAP = 128
"""A jump over more numbers is no loss, but another beginning."""

_ORIGINAL = 2
"""Bytes of a retransmission that say which packet it is (RFC 4588, section 4)."""


@define
class _Missing:
    since: float
    asked_at: float


class Repairs:
    """Knows what of a stream has come, and what to ask for."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._missing: dict[int, _Missing] = {}  # by extended number

    def received(self, sequence: int, now: float) -> bool:
        """A packet came.

        Args:
            sequence: Its number, 0 to 65535.
            now: s.

        Returns:
            Whether it is the newest; False for one that was missing.

        Raises:
            KeyError: It came before, or is too old to be of use.
        """
        newest = self._newest
        if newest is None:
            self._newest = sequence
            return True
        extended = newest + (sequence - newest + 2**15) % 2**16 - 2**15
        if extended <= newest:
            del self._missing[extended]
            return False
        if extended - newest > LONGEST_GAP:
            self._missing.clear()
        else:
            for number in range(newest + 1, extended):
                self._missing[number] = _Missing(now, now - AGAIN)
        self._newest = extended
        return True

    def due(self, now: float) -> tuple[int, ...]:
        """What is to be asked for now, 0 to 65535; it is taken for asked.

        Args:
            now: s.
        """
        self._missing = {
            number: each for number, each in self._missing.items() if now < each.since + GIVE_UP
        }
        due = [number for number, each in self._missing.items() if now >= each.asked_at + AGAIN]
        for number in due:
            self._missing[number].asked_at = now
        return tuple(number % 2**16 for number in due)


def unwrapped(packet: RtpPacket, payload_type: int, ssrc: int) -> RtpPacket | None:
    """The packet that a retransmission repeats; None for one that is nothing but padding.

    Args:
        packet: Of the stream of retransmissions.
        payload_type: Of the media.
        ssrc: Of the media.
    """
    if len(packet.payload) <= _ORIGINAL:
        return None
    return evolve(
        packet,
        payload_type=payload_type,
        ssrc=ssrc,
        sequence=int.from_bytes(packet.payload[:_ORIGINAL], "big"),
        payload=packet.payload[_ORIGINAL:],
    )
