"""A voice, a screen and three cameras to one peer: paced, padded, repeated, and with metrics.

The voice is protected, the screen comes first, and the cameras share the rest. The network is a link
in memory that carries 4, 0.6 and 4 Mbit/s in turn, and loses one packet in a hundred. With a socket,
`Peer.transmit` would build RTP, and RTCP would come from the peer. It needs the extras ``metrics``
and ``testing``. Run it: ``python examples/conference_app.py`` (34 s).
"""

from collections.abc import Callable
from functools import partial

import prometheus_client
import trio

from trio_allocator import (
    MediaSender,
    MediaTrack,
    OutgoingPacket,
    PacketKind,
    SwitchReason,
    Track,
    open_allocator,
    open_media_sender,
)
from trio_allocator.estimation import FeedbackRecorder
from trio_allocator.metrics import MetricsCollector
from trio_allocator.testing import MemoryLink

VOICE = Track("voice", kind="audio", variants={"opus": 40_000})
SCREEN = Track("screen", kind="screen", variants={"slides": 200_000, "motion": 1_000_000})
SIMULCAST = {"low": 150_000, "medium": 500_000, "high": 1_500_000}
CAMERAS = [Track(f"camera {name}", variants=SIMULCAST) for name in "abc"]

LINK = [(0, 4_000_000), (12, 600_000), (22, 4_000_000)]
"""What it carries: seconds, bit/s."""
DURATION = 34.0
LARGEST = 1_200
"""Bytes of a packet."""
KEY_FRAME = 0.15
"""Seconds that a key frame takes to come."""

Packet = tuple[str, int]  # the name of its track, and its number in that stream


class Peer:
    """The far end: it says what has arrived, and asks for what has not."""

    def __init__(self) -> None:
        self._link = MemoryLink[OutgoingPacket[Packet]](LINK, delay=0.03, loss=0.01, seed=1)
        self._recorder = FeedbackRecorder(sender_ssrc=1, media_ssrc=2)
        self._expected: dict[str, int] = {}

    def transmit(self, packet: OutgoingPacket[Packet]) -> None:
        """A packet of ours has its turn: send it."""
        self._link.send_nowait(packet, packet.size)

    async def run(self, sender: MediaSender[Packet]) -> None:
        """Report every 50 ms, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive)
            while True:
                await trio.sleep(0.05)
                for feedback in self._recorder.build_feedback():
                    sender.feedback_received(feedback.build())

    async def _receive(self) -> None:
        async for delivery in self._link:
            outgoing = delivery.payload
            self._recorder.received(outgoing.number, delivery.arrives_at)
            if outgoing.packet is None or outgoing.kind is not PacketKind.MEDIA:
                continue
            name, number = outgoing.packet
            for missing in range(self._expected.get(name, number), number):
                outgoing.track.repeat(missing)  # a NACK
            self._expected[name] = number + 1


class Encoder:
    """Stands for the encoder of one track."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._number = 0
        self._key_due = 0.0
        self.track: MediaTrack[Packet]

    def request_variant(self, variant: str | None, reason: SwitchReason) -> None:
        """The allocator's choice: ask for a key frame, which takes a moment."""
        self._log(f"{self.track.track.id}: {variant} ({reason.value})")
        if variant is not None:
            self._key_due = trio.current_time() + KEY_FRAME

    async def run(self) -> None:
        """Make frames until cancelled."""
        track, receiver = self.track, self.track.receiver
        interval = 0.02 if track.track.kind == "audio" else 0.04
        while True:
            size_factor = 1
            if receiver.queued_variant is not None and trio.current_time() >= self._key_due:
                track.switched(receiver.queued_variant)
                size_factor = 5  # a key frame
            if (variant := receiver.current_variant) is not None:
                left = size_factor * round(track.track.variants[variant] / 8 * interval)
                while left > 0:
                    size = min(left, LARGEST)
                    packet = (track.track.id, self._number)
                    track.send(packet, size, sequence=self._number)
                    self._number += 1
                    left -= size
            await trio.sleep(interval)


async def main() -> None:
    """Send all of it and print what is decided, and the metrics at the end."""
    begun = trio.current_time()

    def log(text: str) -> None:
        print(f"{trio.current_time() - begun:5.1f} s  {text}")

    peer = Peer()
    collector = MetricsCollector()
    registry = prometheus_client.CollectorRegistry()
    registry.register(collector)
    async with (
        open_allocator() as allocator,
        open_media_sender(allocator, peer.transmit) as sender,
        trio.open_nursery() as nursery,
    ):
        with collector.connection(allocator, sender.estimator, name="peer"):

            def add(track: Track, *, priority: int = 0, pausable: bool = True) -> None:
                encoder = Encoder(log)
                add_track = partial(sender.add_track, priority=priority, pausable=pausable)
                encoder.track = add_track(track, request_variant=encoder.request_variant)
                nursery.start_soon(encoder.run)

            sender.connected()
            add(VOICE, priority=20, pausable=False)
            add(SCREEN, priority=10)
            for camera in CAMERAS:
                add(camera)
            nursery.start_soon(peer.run, sender)
            await trio.sleep(DURATION)
            log(f"estimate: {sender.estimator.estimate} bit/s")
            print(prometheus_client.generate_latest(registry).decode())
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
