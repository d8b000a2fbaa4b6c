"""What is at stake is what all projections are worth together, whatever has changed."""

import math

import pytest
from hypothesis import given, strategies as st

from tests.engine.support import record
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.sharing.stakes import Stakes

LADDERS = st.sampled_from([(), (100,), (100, 300), (100, 300, 500), (150, 500)])
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "change", "look"]),
        LADDERS,
        st.integers(0, 700),
        st.sampled_from([0.5, 1.0, 3.0]),
    ),
    max_size=30,
)


def expected(ledger, worth):
    if worth is None:
        tops = [receiver.steps[-1] for receiver in ledger if receiver.steps]
        wants = [max(receiver.want, receiver.allocation) for receiver in ledger]
        best = max(tops or wants, default=1) or 1

        def worth(bitrate):
            return math.log1p(50 * bitrate / best)

    return sum(receiver.options.weight * worth(receiver.projected) for receiver in ledger)


@pytest.mark.invariant("C1")
@pytest.mark.parametrize("worth", [None, math.sqrt])
@given(acts=ACTS)
def test_it_is_what_adding_up_anew_would_give(worth, acts):
    ledger = Ledger()
    stakes = Stakes(ledger, worth)
    number = 0
    for act, ladder, rate, weight in acts:
        everybody = list(ledger)
        one = everybody[rate % len(everybody)] if everybody else None
        if act == "join":
            number += 1
            receiver = record(rate, *ladder, number=number, weight=weight)
            ledger.add(receiver)
            stakes.note(receiver)
        elif act == "leave" and one is not None:
            ledger.remove(one)
            stakes.drop(one)
        elif act == "change" and one is not None:
            ledger.project(one, rate)
            one.set_claim(rate)
            stakes.note(one)
        elif act == "look":
            assert stakes.total == pytest.approx(expected(ledger, worth))
    assert stakes.total == pytest.approx(expected(ledger, worth))
    assert stakes.of(100) > stakes.of(0) == 0


def test_a_ladder_that_changes_may_be_the_best_no_more():
    ledger = Ledger()
    stakes = Stakes(ledger, None)
    first, second = record(100, 100, 300, number=1), record(100, 100, 500, number=2)
    for receiver in (first, second):
        ledger.add(receiver)
        stakes.note(receiver)
    assert stakes.of(550) == pytest.approx(math.log1p(50))
    second.steps = (110,)
    stakes.note(second)
    assert stakes.of(330) == pytest.approx(math.log1p(50))


def test_without_ladders_it_measures_by_what_is_wanted_most():
    ledger = Ledger()
    stakes = Stakes(ledger, None)
    for number, rate in enumerate((100, 300), 1):
        receiver = record(rate, number=number)
        ledger.add(receiver)
        stakes.note(receiver)
        assert stakes.of(rate) == pytest.approx(math.log1p(50))
