"""An allocator of one's own, and the kit that says what is wrong with it.

It smooths the estimates that it is given, which looks like a good idea; and it lives in a plain
nursery, which is not all that a block has to be. Run it: ``python examples/check_my_allocator.py``
(some seconds). It needs the extra ``testing``.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from trio_allocator import ProbingAllocator, open_allocator
from trio_allocator.testing import (
    INVARIANTS,
    AllocatorMaker,
    ConformanceError,
    check_allocator,
)


class SmoothingAllocator(ProbingAllocator):
    """Goes halfway to each new estimate."""

    def update_bandwidth_estimation(self, estimate: float, *, carried: float | None = None) -> None:
        """Deliver an estimate, bit/s."""
        before = self.estimate.value
        smooth = estimate if before is None else (before + estimate) / 2
        super().update_bandwidth_estimation(smooth, carried=carried)


@asynccontextmanager
async def open_smoothing_allocator() -> AsyncGenerator[ProbingAllocator, None]:
    """Open one; it lives exactly inside its block."""
    async with trio.open_nursery() as nursery:
        allocator = SmoothingAllocator.create(nursery)
        try:
            yield allocator
        finally:
            allocator.close()


def report(name: str, make: AllocatorMaker) -> None:
    """Check an allocator, and print what it breaks."""
    try:
        check_allocator(make)
    except ConformanceError as error:
        print(f"{name} breaks")
        for invariant, title in INVARIANTS.items():
            if invariant in error.invariants:
                print(f"  {invariant}: {title}")
        print(f"for instance {error.violations[0]}")
    else:
        print(f"{name} keeps all that can be checked")


def main() -> None:
    """Check one of the package's, and the one above."""
    # The receivers of the checks do wrong on purpose, and nobody needs to read of it.
    logging.getLogger("trio_allocator").addHandler(logging.NullHandler())
    report("open_allocator", open_allocator)
    report("open_smoothing_allocator", open_smoothing_allocator)


if __name__ == "__main__":
    main()
