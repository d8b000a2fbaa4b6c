"""An allocator from scratch: first come, first served. Run it: ``python examples/own_allocator.py``.

It grants a request if all of it fits into the estimate, the longest registered first. It asks nobody
to decrease, takes back nothing by itself, and never probes: `NOT_CLAIMED` says so, and the kit checks
the rest. The page "An allocator from scratch" goes through it. It needs the extra ``testing``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from trio_allocator import BareAllocator, GrantReason
from trio_allocator.testing import check_allocator

NOT_CLAIMED = frozenset(
    {
        *("A2", "A6", "N2", "N3", "N4", "N5", "N6", "N8", "P1", "P5"),  # asks nobody, never probes
        *("A7", "G2", "G6", "G8", "G10"),  # knows no ladder, no classes and no turns
    }
)


class FirstComeAllocator(BareAllocator):
    """Grants what fits, in the order of registration."""

    def settle(self, estimate: int | None) -> None:
        """Grant what fits."""
        free = (estimate or 0) - sum(handle.allocation for handle in self.handles.values())
        for handle in self.handles.values():
            if 0 < handle.wanted - handle.allocation <= free:
                free -= handle.wanted - handle.allocation
                handle.grant(handle.wanted, GrantReason.GRANTED)


@asynccontextmanager
async def open_first_come_allocator() -> AsyncGenerator[FirstComeAllocator, None]:
    """Open one. No nursery, so nothing wraps what the block raises (L4)."""
    allocator = FirstComeAllocator()
    try:
        yield allocator
    finally:
        allocator.close()


def main() -> None:
    """Hold it against all that it claims."""
    check_allocator(open_first_come_allocator, except_for=NOT_CLAIMED)
    print(f"it keeps all but {', '.join(sorted(NOT_CLAIMED))}")


if __name__ == "__main__":
    main()
