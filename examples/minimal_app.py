"""Three tracks share one connection while its bandwidth falls and recovers.

A `TrackReceiver` for each track speaks with the allocator; the application only switches variants
and reports what it sends. Run it: ``python examples/minimal_app.py`` (about ten seconds).
"""

from contextvars import ContextVar

import trio

from trio_allocator import (
    ConnectionAllocator,
    SwitchReason,
    Track,
    TrackReceiver,
    open_allocator,
)

CAMERA = Track("camera", variants={"low": 150_000, "medium": 500_000, "high": 2_500_000})
SCREEN = Track("screen", kind="screen", variants={"slides": 300_000, "motion": 1_200_000})
AUDIO = Track("audio", kind="audio", variants={"opus": 35_000})

ESTIMATES = ((2.0, 5_000_000), (2.0, 1_000_000), (6.0, 5_000_000))
"""What the estimator finds: pairs of a duration, s, and a rate, bit/s."""

PACKET_INTERVAL = 0.02
"""Seconds from one packet to the next; a real sender sends when its encoder has something."""


started: ContextVar[float] = ContextVar("started")


def log(text: str) -> None:
    """Print what happens, and when."""
    print(f"{trio.current_time() - started.get():4.1f} s  {text}")


class Sender:
    """Stands for the encoder and the socket of one track."""

    def __init__(self, allocator: ConnectionAllocator, track: Track, priority: int) -> None:
        self._track = track
        self._receiver = TrackReceiver(
            allocator,
            track,
            request_variant=self._switch,
            send_padding=self._send_padding,
            priority=priority,
        )

    def _switch(self, variant: str | None, reason: SwitchReason) -> None:
        log(f"{self._track.id}: {variant} ({reason.value})")
        # A real encoder is asked for a key frame here, and says this once it has come.
        self._receiver.variant_switched(variant)

    def _send_padding(self, size: int) -> int:
        return size  # here, bytes go nowhere

    async def run(self) -> None:
        """Send until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._receiver.run)
            while True:
                if variant := self._receiver.current_variant:
                    rate = self._track.variants[variant]
                    self._receiver.packet_sent(rate / 8 * PACKET_INTERVAL)
                await trio.sleep(PACKET_INTERVAL)


async def main() -> None:
    """Run the senders, and play the estimator."""
    started.set(trio.current_time())
    async with open_allocator() as allocator, trio.open_nursery() as nursery:
        for track, priority in ((AUDIO, 2), (SCREEN, 1), (CAMERA, 0)):
            nursery.start_soon(Sender(allocator, track, priority).run)
        for seconds, estimate in ESTIMATES:
            log(f"estimate: {estimate} bit/s")
            # An estimate is repeated even if it stays the same: silence means that it is unknown.
            for _ in range(round(seconds / 0.5)):
                allocator.update_bandwidth_estimation(estimate)
                await trio.sleep(0.5)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
