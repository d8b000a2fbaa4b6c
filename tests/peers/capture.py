"""Keeps the transport-wide feedback out of what a peer sends, and writes it as test data."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from trio_allocator.lab.linktest.rtp import is_transport_feedback, rtcp_packets

DATA = Path(__file__).parent.parent / "estimation" / "data"


class Capture:
    """RTCP packets of transport-wide feedback, in the order in which they came."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.done = threading.Event()

    def take(self, datagram: bytes) -> None:
        """Keep what matters of a compound RTCP packet."""
        self.packets += filter(is_transport_feedback, rtcp_packets(datagram))

    def read(self, feedback: socket.socket) -> None:
        """Take what comes by a socket (which has a time-out) until `done` is set."""
        while not self.done.is_set():
            try:
                self.take(feedback.recv(2_048))
            except TimeoutError:
                continue

    def save(self, path: Path, *notes: str) -> None:
        """Write one packet a line in hex, after the notes, each a line that begins with ``#``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"# {note}" for note in notes] + [packet.hex() for packet in self.packets]
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        print(f"{path}: {len(self.packets)} packets")
