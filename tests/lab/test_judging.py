"""The figures that all runs share."""

import math

import pytest

from trio_allocator.lab.judging import (
    NONE,
    Watched,
    own_changes,
    percentile,
    shares_by_window,
    spread,
    taken_back,
    times_to_best,
    utility,
    value_at,
    withheld,
)

RATES = (130_000, 420_000, 1_250_000)


def watched(decisions, *, shown=(), joined=(), scale=()):
    return Watched(RATES, decisions, decisions, shown, joined, scale)


def test_percentiles_lie_between_values():
    assert percentile([3.0], 0.95) == 3.0
    assert percentile([4, 1, 2, 3], 0.5) == 2.5
    assert percentile(list(range(101)), 0.95) == 95
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 0.5)


def test_a_spread_of_nothing_says_nothing():
    assert spread("wait", []) == {"wait_p50": None, "wait_p95": None}
    assert spread("wait", [2.0, 2.0]) == {"wait_p50": 2.0, "wait_p95": 2.0}


def test_a_raise_that_is_lowered_within_a_second_was_taken_back():
    assert taken_back(watched([(10, 0), (20, 1), (20.9, 0)])) == 1
    assert taken_back(watched([(10, 0), (20, 1), (21.1, 0)])) == 0
    assert taken_back(watched([(10, 0), (20, 1), (20.5, 2)])) == 0
    assert taken_back(watched([(10, 2), (20, 1), (20.2, 2), (20.4, 0)])) == 2
    assert taken_back(watched([(10, 0), (20, 1), (20.9, 0)]), begin=30) == 0


def test_what_the_receiver_did_itself_does_not_count():
    shown = [(0.0, (0, 1, 2)), (20.5, ()), (30.0, (0, 1, 2))]
    receiver = watched([(10, 0), (20, 1), (20.5, NONE), (30.1, 1), (40, 2)], shown=shown)
    assert taken_back(receiver) == 0
    changes = own_changes(receiver, receiver.decisions)
    assert [time for time, _from, _to in changes] == [10, 20, 40]
    joined = watched([(10.2, 0), (10.5, 1), (12, 2)], joined=[10.0])
    assert own_changes(joined, joined.decisions) == [(12, 1, 2)]
    assert own_changes(joined, [(12, 0), (13, 0)]) == [(12, NONE, 0)]


def test_what_can_be_shown_and_what_it_costs():
    receiver = watched([], shown=[(5.0, (0, 1)), (8.0, ())], scale=[(0, 1.0), (6, 1.5)])
    assert [receiver.levels(time) for time in (4, 5, 8)] == [(), (0, 1), ()]
    assert watched([]).levels(3) == (0, 1, 2)
    assert receiver.cost(1, 5) == 420_000
    assert receiver.cost(1, 7) == 630_000
    assert receiver.cost(NONE, 7) == 0
    assert watched([]).cost(0, 1) == 130_000
    assert receiver.utility(2) == 1
    assert receiver.utility(NONE) == 0
    assert utility(130_000, 1_250_000) == pytest.approx(0.393, abs=1e-3)
    assert math.isnan(value_at([(1, 5.0)], 0.5))
    assert value_at([(1, 5.0)], 1) == 5.0


def test_a_step_that_fits_with_a_fifth_to_spare_is_withheld():
    estimates = [(0, 400_000), (10, 600_000), (20, 400_000)]
    share, spells = withheld([watched([(0, 0)])], estimates, 0, 30)
    # 420 k and a fifth are 504 k.
    assert spells == [pytest.approx(10)]
    assert share == pytest.approx(1 / 3)
    assert withheld([watched([(0, 0), (12, 1)])], estimates, 0, 30)[1] == [pytest.approx(2)]
    # The other one's, and the voices', are taken.
    both = [watched([(0, 0)]), watched([(0, 1)])]
    assert withheld(both, estimates, 0, 30) == (0, [])
    assert withheld([watched([(0, 0)])], estimates, 0, 30, outside=100_000) == (0, [])
    # Before the first estimate nothing fits; to the end counts to the end.
    assert withheld([watched([])], [(1, 9e9)], 0, 2)[1] == [pytest.approx(1)]
    assert withheld([watched([(0, 2)])], [(0, 9e9)], 0, 2) == (0, [])


def test_the_time_to_the_best_ends_where_nearly_all_of_it_is_there():
    best = [1.0] * 100
    mine = [0.2] * 30 + [0.95] * 30 + [0.2] * 40
    assert times_to_best([1.0], best, mine, 0.1, 10) == [pytest.approx(2.0)]
    assert times_to_best([1.0, 7.0], best, mine, 0.1, 10) == pytest.approx([2.0, 3.0])
    assert times_to_best([1.0, 2.0], best, mine, 0.1, 10) == pytest.approx([1.0, 1.0])
    assert times_to_best([], best, mine, 0.1, 10) == []


def test_shares_of_every_window():
    part, whole = [1.0] * 10 + [0.0] * 10, [2.0] * 20
    assert shares_by_window(part, whole, 10, 5, 0) == [0.5, 0.25, 0.0]
    assert shares_by_window(part, whole, 10, 5, 10) == [0.0]
    assert shares_by_window(part, [0.0] * 20, 10, 5, 0) == []
    assert shares_by_window(part, whole, 100, 5, 10) == [0.0]
