"""`buffer_sent`: what a packet costs its sender."""

from __future__ import annotations

from collections.abc import Iterator

import trio

from trio_allocator import open_allocator

from .measure import CAMERA, Row, median_ratio, median_seconds

CALLS = 200_000


class _Bare:
    """A bare method with two integer additions: the unit of this benchmark."""

    __slots__ = ("media", "sent")

    def __init__(self) -> None:
        self.media = 0
        self.sent = 0

    def add(self, size: int) -> None:
        self.media += size
        self.sent += size


def rows() -> Iterator[Row]:
    """Measure the caller's cost, as a ratio to a bare method."""

    async def main() -> tuple[float, float]:
        async with open_allocator(initial_estimate=3e6) as allocator:
            with allocator.register_track_receiver(CAMERA, 165_000) as receiver:
                bare = _Bare()

                def ours() -> None:
                    buffer_sent = receiver.buffer_sent
                    for _ in range(CALLS):
                        buffer_sent(1200)

                def theirs() -> None:
                    add = bare.add
                    for _ in range(CALLS):
                        add(1200)

                return median_ratio(ours, theirs, 21), median_seconds(ours, 5) / CALLS

    ratio, each = trio.run(main)
    yield Row(
        "buffer_sent, caller (loop included)",
        f"{each * 1e9:.0f} ns, {ratio:.2f} × a bare method",
        "≤ 2 ×",
        ratio <= 2,
        "109–142 ns, then 0.8–1.6 µs handled",
    )
