"""The process that receives one flow of ours: it reports what came, and asks for what did not.

It begins with the line ``{"receiver": [host, port]}`` on standard output, is told on standard input
what befalls its clock and its reports, ``{"impairments": names, "seed": number}``, which it answers
by ``{}``, and ends when its standard input does. What it sends goes back to where the newest packet came from.
"""

from __future__ import annotations

import json
import select
import sys
import time

from attrs import define

from ...estimation import FeedbackRecorder
from ...network.bottleneck import Bottleneck
from ...network.impairments import feedback_interval, find_impairments
from ..relay.datagrams import LOOPBACK, open_socket, port_of, receive
from .rtp import MEDIA, build_nack, parse_rtp, repeated_sequence

INTERVAL = 0.05
"""How often it reports, s: what libwebrtc does above some 400 kbit/s."""
PATIENCE = 0.1
"""When it asks for the same packet again, s: the link's round trip."""
TRIES = 10
"""How often it asks for a packet at most (libwebrtc)."""
SPAN = 1_000
"""A gap of more packets than this is another beginning (libwebrtc)."""


@define
class _Missing:
    ask_at: float
    tries: int = 0


class MissingPackets:
    """What has not come of one stream, and when to ask for it. No sockets, no clock."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._missing: dict[int, _Missing] = {}

    def received(self, sequence: int, now: float) -> None:
        """A packet has come, the first time or again."""
        sequence &= 0xFFFF
        if self._newest is None:
            self._newest = sequence
            return
        ahead = (sequence - self._newest) & 0xFFFF
        if ahead >= 0x8000:
            self._missing.pop(sequence, None)
            return
        if ahead > SPAN:
            self._missing.clear()
        else:
            for offset in range(1, ahead):
                self._missing[(self._newest + offset) & 0xFFFF] = _Missing(now)
        self._newest = sequence

    def due(self, now: float) -> list[int]:
        """What to ask for now."""
        asked = []
        for sequence, missing in list(self._missing.items()):
            if missing.ask_at > now:
                continue
            if missing.tries == TRIES:
                del self._missing[sequence]
                continue
            missing.tries += 1
            missing.ask_at = now + PATIENCE
            asked.append(sequence)
        return asked


class Receiver:
    """The far end of a flow."""

    def __init__(self) -> None:
        self._interval = INTERVAL
        self._link: Bottleneck[object] | None = None
        self._socket = open_socket()
        self._recorder = FeedbackRecorder(1, 1)
        self._streams: dict[int, MissingPackets] = {}
        self._sender: tuple[str, int] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return LOOPBACK, port_of(self._socket)

    def impair(self, names: str, seed: int) -> None:
        """Report as often, and by such a clock, as impairments say.

        Args:
            names: Of the impairments.
            seed: Of what is random about them.
        """
        found = find_impairments(names)
        self._interval = feedback_interval(found, INTERVAL)
        # Asked for nothing but its clock: the relay does the rest.
        self._link = Bottleneck(1e6, start=time.perf_counter(), impairments=found, seed=seed)

    def _shown(self, now: float) -> float:
        """What its clock shows then."""
        return now if self._link is None else self._link.far_clock(now)

    def run(self) -> None:
        """Receive until standard input ends."""
        report_at = time.perf_counter() + self._interval
        while True:
            patience = max(report_at - time.perf_counter(), 0.0)
            readable, _w, _x = select.select([self._socket, sys.stdin], [], [], patience)
            if sys.stdin in readable:
                return
            self._read()
            now = time.perf_counter()
            if now >= report_at:
                report_at = max(report_at + self._interval, now)
                self._report(now)

    def _read(self) -> None:
        while (received := receive(self._socket)) is not None:
            datagram, self._sender, came = received
            header = parse_rtp(datagram)
            if header is None:
                continue
            self._recorder.received(header.transport_sequence, self._shown(came))
            if header.payload_type == MEDIA:
                self._stream(header.ssrc).received(header.sequence, came)
            elif not header.is_padding:
                self._stream(header.ssrc - 1).received(repeated_sequence(datagram), came)

    def _stream(self, ssrc: int) -> MissingPackets:
        return self._streams.setdefault(ssrc, MissingPackets())

    def _report(self, now: float) -> None:
        for feedback in self._recorder.build_feedback():
            self._send(feedback.build())
        for ssrc, stream in self._streams.items():
            due = stream.due(now)
            if due:
                self._send(build_nack(ssrc, due))

    def _send(self, packet: bytes) -> None:
        if self._sender is not None:
            self._socket.sendto(packet, self._sender)


def main() -> None:
    """Say where, and receive."""
    receiver = Receiver()
    sys.stdout.write(json.dumps({"receiver": receiver.address}) + "\n")
    sys.stdout.flush()
    command = json.loads(sys.stdin.readline() or "{}")
    if command:
        receiver.impair(command["impairments"], command["seed"])
        sys.stdout.write("{}\n")
        sys.stdout.flush()
        receiver.run()


if __name__ == "__main__":
    main()
