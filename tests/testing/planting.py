"""Broken allocators, planted to see whether the kit finds them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from trio_allocator import ConnectionAllocator, DecreaseAllocation, open_allocator
from trio_allocator.engine.effects import Act, Cause, DecisionReason, Effect
from trio_allocator.engine.receiver import Receiver
from trio_allocator.testing import (
    INVARIANTS,
    AllocatorMaker,
    ConformanceError,
    check_allocator,
)

Plant = Callable[[pytest.MonkeyPatch], AllocatorMaker | None]
"""Breaks the package's own allocator (and returns None), or makes a broken one of its own."""


def open_fair_allocator(**options: Any) -> AbstractAsyncContextManager[ConnectionAllocator]:
    """The package's own allocator, with the sharing that plants break from inside and far probes."""
    return open_allocator(**{"policy": "fair", "probe_reach": 2.0, **options})


def asking(receiver: Receiver, request: DecreaseAllocation) -> Effect:
    """The effect that puts a request into a receiver's mailbox."""
    held, limit = receiver.allocation, request.limit
    reason = DecisionReason.OVERUSE
    return Effect(
        Act.ASKED, receiver.id, receiver.track.id, held, limit, Cause.ESTIMATE, reason, request
    )


def found(plant: Plant, invariant: str) -> frozenset[str]:
    """What the kit says a planted allocator breaks, when it looks for one invariant.

    The whole kit would take a second for each of some two hundred plants. A plant that calls the
    package in a way that is no longer there breaks nothing but itself, and is not found.
    """
    with pytest.MonkeyPatch.context() as patch:
        make = plant(patch) or open_fair_allocator
        with pytest.raises(ConformanceError) as caught:
            check_allocator(make, except_for=set(INVARIANTS) - {invariant})
    for violation in caught.value.violations:
        if isinstance(violation.__cause__, TypeError | AttributeError | NameError):
            raise violation.__cause__
    return caught.value.invariants
