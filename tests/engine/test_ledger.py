"""The books: each sum equals the same sum computed afresh (A1)."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tests.engine.support import record
from trio_allocator.engine.ledger import Ledger

pytestmark = pytest.mark.invariant("A1")


def sums(ledger: Ledger) -> tuple[int, int, int, int]:
    return (
        ledger.committed,
        ledger.projected,
        ledger.waiting,
        ledger.waiting_with_allocation,
    )


def recount(ledger: Ledger) -> tuple[int, int, int, int]:
    waiting = [r for r in ledger if r.waiting_since is not None]
    return (
        sum(r.allocation for r in ledger),
        sum(r.projected for r in ledger),
        len(waiting),
        sum(r.allocation > 0 for r in waiting),
    )


def test_who_joins_and_leaves_takes_all_its_parts_along():
    ledger = Ledger()
    assert (sums(ledger), len(ledger)) == ((0, 0, 0, 0), 0)
    receiver = record(300, number=7)
    ledger.add(receiver)
    ledger.project(receiver, 200)
    ledger.mark_waiting(receiver, 1.0)
    assert sums(ledger) == (300, 200, 1, 1)
    assert (len(ledger), list(ledger), ledger[7]) == (1, [receiver], receiver)
    ledger.remove(receiver)
    assert (sums(ledger), len(ledger)) == ((0, 0, 0, 0), 0)
    with pytest.raises(KeyError):
        ledger[7]


def test_an_allocation_takes_the_projection_along():
    ledger = Ledger()
    receiver = record(300)
    ledger.add(receiver)
    ledger.project(receiver, 500)
    ledger.allocate(receiver, 400)
    assert (receiver.allocation, receiver.projected) == (400, 400)
    assert sums(ledger) == (400, 400, 0, 0)


def test_of_those_who_wait_it_is_known_how_many_hold_anything():
    ledger = Ledger()
    receiver, other = record(0, number=1), record(5, number=2)
    for each in (receiver, other):
        ledger.add(each)
        ledger.mark_waiting(each, 1.0)
    counts = []
    for allocation in (0, 1, 300, 1, 0, 300, 0):
        ledger.allocate(receiver, allocation)
        counts.append(ledger.waiting_with_allocation)
    assert counts == [1, 2, 2, 2, 1, 2, 1]
    ledger.allocate(other, 1)
    ledger.mark_waiting(other, None)
    assert ledger.waiting_with_allocation == 0
    ledger.mark_waiting(other, 2.0)
    assert ledger.waiting_with_allocation == 1
    ledger.allocate(other, 0)
    assert ledger.waiting_with_allocation == 0


EVENTS = st.tuples(
    st.sampled_from(["allocate", "project", "wait", "remove"]),
    st.integers(0, 2),
    st.sampled_from([0, 1, 300]),
)


@given(st.lists(EVENTS, max_size=40))
def test_whatever_is_booked_each_sum_is_what_a_recount_says(events):
    ledger = Ledger()
    there = {}
    for number in range(3):
        there[number] = record(100 * number, number=number)
        ledger.add(there[number])
    for event, number, amount in events:
        if number not in there:
            continue
        match event:
            case "allocate":
                ledger.allocate(there[number], amount)
            case "project":
                ledger.project(there[number], amount)
            case "wait":
                ledger.mark_waiting(there[number], float(amount) if amount else None)
            case _:
                ledger.remove(there.pop(number))
        assert sums(ledger) == recount(ledger)
