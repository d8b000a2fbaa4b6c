"""Who was passed how often, and what is held for whom (G8)."""

from __future__ import annotations

import math

import pytest

from tests.engine.support import NOW, record
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.settings import Settings
from trio_allocator.engine.sharing.shelves import Shelves
from trio_allocator.engine.sharing.turns import Turns

pytestmark = pytest.mark.invariant("G8")
SINCE = NOW - 60


class Queue:
    """Books, indices and turns; who joins waits from nothing."""

    def __init__(self, **settings) -> None:
        self.ledger = Ledger()
        self.shelves = Shelves()
        self.turns = Turns(self.ledger, Settings(**settings), self.shelves)

    def joined(self, wants: int, **options):
        receiver = record(0, number=len(self.ledger) + 1, **options)
        self.ledger.add(receiver)
        receiver.set_claim(wants)
        self.ledger.mark_waiting(receiver, SINCE)
        self.shelves.place(receiver)
        return receiver


def test_who_is_passed_as_often_as_the_limit_says_has_it_held_for_as_long_as_that_says():
    queue = Queue(overtaken_limit=3, overtaken_hold=2.0)
    receiver = queue.joined(500)
    assert not queue.turns.overtaken({1}, 900, NOW)
    assert not queue.turns.overtaken({1}, 900, NOW + 1)
    assert (queue.turns.favoured(), queue.turns.wake_at) == ({}, math.inf)
    assert queue.turns.overtaken({1}, 900, NOW + 2)
    assert (queue.turns.favoured(), queue.turns.wake_at) == ({1: NOW + 4}, NOW + 4)
    assert (receiver.overtaken, receiver.waiting_since) == (3, SINCE)


def test_one_of_a_class_is_favoured_at_a_time():
    queue = Queue(overtaken_limit=1)
    for _ in range(2):
        queue.joined(500)
    queue.joined(500, priority=1)
    assert queue.turns.overtaken({3, 2, 1}, 900, NOW)
    assert set(queue.turns.favoured()) == {1, 3}
    assert not queue.turns.overtaken({1, 2, 3}, 900, NOW + 1)
    assert set(queue.turns.favoured().values()) == {NOW + 5}


@pytest.mark.parametrize(("capacity", "held"), [(500, True), (499, False)])
def test_for_what_could_never_fit_nothing_is_held_and_it_goes_to_the_end_of_the_line(
    capacity, held
):
    queue = Queue(overtaken_limit=1)
    receiver = queue.joined(500)
    assert queue.turns.overtaken({1}, capacity, NOW)
    assert bool(queue.turns.favoured()) is held
    assert (receiver.overtaken, receiver.waiting_since) == ((1, SINCE) if held else (0, NOW))
    assert queue.shelves.senior_key(1) == (receiver.waiting_since, 1)


def test_who_does_not_wait_for_more_than_a_minimum_was_not_passed():
    queue = Queue(overtaken_limit=1)
    served = queue.joined(500)
    starving = queue.joined(500, min_bitrate=100)
    queue.ledger.mark_waiting(served, None)
    queue.shelves.place(served)
    assert not queue.turns.overtaken({1, 2}, 900, NOW)
    assert (served.overtaken, starving.overtaken) == (0, 0)


def test_a_hold_ends_at_its_time_and_not_before():
    queue = Queue(overtaken_limit=1)
    receiver, other = queue.joined(500), queue.joined(500, priority=1)
    queue.turns.overtaken({1}, 900, NOW)
    queue.turns.overtaken({2}, 900, NOW + 1)
    assert queue.turns.wake_at == NOW + 5
    assert queue.turns.advance(NOW + 4.9) == []
    assert queue.turns.advance(NOW + 5) == [receiver]
    assert (receiver.overtaken, receiver.waiting_since) == (0, NOW + 5)
    assert (queue.turns.favoured(), queue.turns.wake_at) == ({2: NOW + 6}, NOW + 6)
    assert queue.turns.advance(NOW + 60) == [other]
    assert queue.turns.wake_at == math.inf
