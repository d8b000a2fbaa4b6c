"""Allocators whose books are wrong, and the kit that finds them."""

import pytest

from tests.testing.planting import found
from trio_allocator.engine.ledger import Ledger


def books_count_half(patch):
    """What is granted is booked at half its rate."""
    right = Ledger.allocate

    def allocate(self, receiver, bitrate):
        before = self.committed
        right(self, receiver, bitrate)
        self.committed -= (self.committed - before) // 2

    patch.setattr(Ledger, "allocate", allocate)


@pytest.mark.parametrize(("invariant", "plant"), [("A2", books_count_half)])
def test_the_kit_names_what_is_broken(invariant, plant):
    assert invariant in found(plant)
