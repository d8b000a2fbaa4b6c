"""A receiver written by hand: an encoder that takes any rate, beside a camera with a ladder.

It reads the messages of its registration and answers them itself, as anyone may who finds
`TrackReceiver` too much or too little. Run it: ``python examples/custom_receiver.py``.
"""

import trio

from trio_allocator import (
    AllocationGranted,
    DecreaseAllocation,
    ReceiverHandle,
    SendPadding,
    Track,
    open_allocator,
)

LEAST = 100_000
"""Below this rate, bit/s, the picture is of no use."""

MOST = 2_000_000
"""Above this rate, bit/s, nobody sees a difference."""


class Encoder:
    """Stands for an encoder whose bitrate is set while it runs."""

    def __init__(self, name: str) -> None:
        self._name = name

    def set_bitrate(self, bitrate: int) -> None:
        """Encode at this rate, bit/s, from now on."""
        print(f"{self._name}: {bitrate} bit/s")


async def adapt(receiver: ReceiverHandle, encoder: Encoder) -> None:
    """Keep the receiver's side of the bargain; ends when the registration does."""
    receiver.request_allocation(MOST)
    async for message in receiver:
        match message:
            case AllocationGranted(allocation=bitrate, reason=reason):
                print(f"granted ({reason.value})")
                encoder.set_bitrate(bitrate)
            case DecreaseAllocation(allocation=held, limit=limit):
                print(f"asked to go from {held} to {limit} bit/s")
                if limit >= LEAST:
                    receiver.accept_decrease(message, limit)
                else:
                    receiver.reject_decrease(message)
            case SendPadding(size=size):
                # Send `size` bytes of padding here; what was sent is reported like all else.
                receiver.buffer_sent(size, padding=True)


async def main() -> None:
    """Let the connection be wide, then narrow."""
    whiteboard = Track("whiteboard", kind="screen")
    async with open_allocator(initial_estimate=3_000_000) as allocator:
        with allocator.register_track_receiver(
            whiteboard,
            LEAST,
            negotiable=True,  # without a ladder it has to say so
            elastic=True,  # part of what it asks for is of use
            min_bitrate=LEAST,
        ) as receiver:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(adapt, receiver, Encoder("whiteboard"))
                await trio.sleep(0.5)
                allocator.update_bandwidth_estimation(600_000)
                await trio.sleep(0.5)
                print(f"in the end it holds {receiver.allocation} bit/s")
                nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
