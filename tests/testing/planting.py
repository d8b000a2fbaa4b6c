"""Broken allocators, planted to see whether the kit finds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trio_allocator import open_allocator
from trio_allocator.testing.bench import AllocatorMaker
from trio_allocator.testing.conformance import ConformanceError, check_allocator

Plant = Callable[[pytest.MonkeyPatch], AllocatorMaker | None]
"""Breaks the package's own allocator (and returns None), or makes a broken one of its own."""


def found(plant: Plant) -> frozenset[str]:
    """The invariants that the kit says a planted allocator breaks."""
    with pytest.MonkeyPatch.context() as patch:
        make = plant(patch) or open_allocator
        with pytest.raises(ConformanceError) as caught:
            check_allocator(make)
    return caught.value.invariants
