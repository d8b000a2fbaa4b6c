"""A camera and a voice over a transport of your own: what it carries, feedback on the packets tells.

The transport here is a link in memory, from 3 down to 0.7 Mbit/s and up again, with a far end that
reports every 50 ms what has arrived. With UDP, `Transport` would have a socket, and RTCP would come
from the peer. Run it: ``python examples/feed_from_transport.py`` (24 seconds).
"""

from contextvars import ContextVar
from functools import partial

import trio

from trio_allocator import (
    ConnectionAllocator,
    ConnectionEstimator,
    SwitchReason,
    Track,
    TrackReceiver,
    open_allocator,
    open_connection_estimator,
)
from trio_allocator.estimation import FeedbackRecorder, PaddingSource
from trio_allocator.testing import MemoryLink

CAMERA = Track("camera", variants={"low": 150_000, "medium": 500_000, "high": 1_500_000})
VOICE = Track("voice", kind="audio", variants={"opus": 35_000})

LINK = ((0, 3_000_000), (8, 700_000), (16, 3_000_000))
"""What the link carries: pairs of a start, s, and a rate, bit/s."""

DURATION = 24.0
FRAME = 0.04
"""Seconds from one frame of media to the next."""
LARGEST = 1_200
"""Bytes of a packet."""

started: ContextVar[float] = ContextVar("started")


def log(text: str) -> None:
    """Print what happens, and when."""
    print(f"{trio.current_time() - started.get():4.1f} s  {text}")


class Transport:
    """Packets there, feedback back."""

    def __init__(self) -> None:
        self._link = MemoryLink[int](LINK, delay=0.02)

    def send(self, number: int, size: int) -> None:
        """Send a packet: here, its transport-wide number is all that it carries."""
        self._link.send_nowait(number, size)

    async def run(self, estimator: ConnectionEstimator) -> None:
        """Be the far end, and hand what it says to the estimator, until cancelled."""
        async with trio.open_nursery() as nursery:
            recorder = FeedbackRecorder(sender_ssrc=1, media_ssrc=2)
            nursery.start_soon(self._receive, recorder)
            while True:
                await trio.sleep(0.05)
                for feedback in recorder.build_feedback():
                    estimator.feedback_received(feedback.build())

    async def _receive(self, recorder: FeedbackRecorder) -> None:
        async for delivery in self._link:
            recorder.received(delivery.payload, delivery.arrives_at)


class Sender:
    """Stands for the encoder of one track, and sends what it makes."""

    def __init__(
        self,
        allocator: ConnectionAllocator,
        estimator: ConnectionEstimator,
        transport: Transport,
        track: Track,
    ) -> None:
        self._estimator = estimator
        self._transport = transport
        self._track = track
        self._padding = PaddingSource[None](has_rtx=False)
        self.receiver = TrackReceiver(
            allocator, track, request_variant=self._switch, send_padding=self.pad
        )

    def _switch(self, variant: str | None, reason: SwitchReason) -> None:
        log(f"{self._track.id}: {variant} ({reason.value})")
        self.receiver.variant_switched(variant)

    async def run(self) -> None:
        """Send until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.receiver.run)
            while True:
                if variant := self.receiver.current_variant:
                    left = round(self._track.variants[variant] / 8 * FRAME)
                    while left > 0:
                        size = min(left, LARGEST)
                        self._estimator.pace(partial(self._send, size), size)
                        left -= size
                await trio.sleep(FRAME)

    def _send(self, size: int, number: int) -> None:
        self._transport.send(number, size)
        self.receiver.packet_sent(size)

    def pad(self, due: int) -> int:
        """Send padding of this size, bytes, and return the size that was sent."""
        packets = self._padding.packets(due)
        for packet in packets:
            self._transport.send(self._estimator.packet_sent(packet.size), packet.size)
        return sum(packet.size for packet in packets)

    def probe(self, due: int) -> None:
        """Send padding that the estimator wants: the allocator has to be told."""
        self.receiver.padding_sent(self.pad(due))


async def main() -> None:
    """Send both, and print what the estimator makes of it."""
    started.set(trio.current_time())
    transport = Transport()

    def probe(due: int) -> None:
        camera.probe(due)

    async with (
        open_allocator() as allocator,
        open_connection_estimator(allocator, send_padding=probe) as estimator,
        trio.open_nursery() as nursery,
    ):
        voice, camera = (
            Sender(allocator, estimator, transport, track) for track in (VOICE, CAMERA)
        )
        nursery.start_soon(transport.run, estimator)
        nursery.start_soon(voice.run)
        nursery.start_soon(camera.run)
        for _ in range(int(DURATION)):
            explanation = estimator.explain()
            log(f"estimate: {explanation.estimate} bit/s ({explanation.limit.value})")
            await trio.sleep(1)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
