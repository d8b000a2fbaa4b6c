"""The built-in sharing: who is cut first, who is served first, and who is passed how often."""

from __future__ import annotations

import math

import pytest

from tests.engine.support import NOW, record
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.negotiation import Negotiation, Refusal, RefusalKind, Request
from trio_allocator.engine.settings import Settings
from trio_allocator.engine.sharing.fair import FairShares


class Desk:
    """Books, and the built-in sharing over them; numbers are given as receivers come."""

    def __init__(self, **settings) -> None:
        self.ledger = Ledger()
        self.sharing = FairShares(self.ledger, Settings(**settings))

    def joined(self, held: int, *rates: int, wants: int | None = None, since=NOW, **options):
        receiver = record(held, *rates, number=len(self.ledger) + 1, **options)
        self.ledger.add(receiver)
        if wants is not None:
            receiver.set_claim(wants)
            self.ledger.mark_waiting(receiver, since)
        self.sharing.index(receiver)
        return receiver

    def left(self, receiver) -> None:
        self.ledger.remove(receiver)
        self.sharing.drop(receiver)

    def refusing(self, *args, **options):
        receiver = self.joined(*args, **options)
        receiver.refusal = Refusal(RefusalKind.REJECTED, 0, math.inf)
        self.sharing.index(receiver)
        return receiver

    def asked(self, receiver) -> None:
        """Its request is under way: it stands where it was asked to go."""
        receiver.negotiation = Negotiation.ASKED
        receiver.request = Request(1, receiver.projected, receiver.projected, NOW)
        self.sharing.index(receiver)

    def expected(self, receiver, level: int) -> None:
        """It was to be brought to this level by an event before."""
        self.ledger.project(receiver, level)
        self.sharing.index(receiver)

    def settle(self, capacity: int, now=NOW, *, negotiate=True, force=True) -> list[int]:
        """Who was touched, in order."""
        touched = self.sharing.settle(capacity, negotiate=negotiate, force=force, now=now)
        return [receiver.id for receiver in touched]

    @property
    def levels(self) -> list[int]:
        """What each will hold."""
        return [receiver.projected for receiver in self.ledger]


@pytest.fixture
def desk():
    return Desk()


# --- who is cut --------------------------------------------------------------------------------


@pytest.mark.invariant("G6", "N7")
def test_the_lowest_class_is_cut_first_and_no_more_than_is_needed(desk):
    desk.joined(330, 100, 300, priority=1)
    desk.joined(330, 100, 300)
    desk.joined(330, 100, 300, priority=2)
    assert desk.settle(980) == [2]
    assert desk.levels == [330, 110, 330]
    assert desk.settle(700) == [1]
    assert desk.levels == [110, 110, 330]


@pytest.mark.invariant("G8", "N7")
def test_in_a_class_the_highest_rate_per_weight_is_cut_first_then_the_latest(desk):
    desk.joined(550, 100, 300, 500)
    desk.joined(550, 100, 300, 500, weight=0.5)
    desk.joined(550, 100, 300, 500)
    assert desk.settle(1_640) == [2]
    assert desk.levels == [550, 330, 550]
    assert desk.settle(1_420) == [2]
    assert desk.settle(1_200) == [3]
    assert desk.levels == [550, 110, 330]


@pytest.mark.invariant("G8")
def test_nobody_goes_below_its_minimum_while_others_are_above_theirs(desk):
    desk.joined(770, 700, pausable=True)
    desk.joined(330, 100, 300)
    assert desk.settle(900) == [2]
    assert desk.levels == [770, 110]
    desk.settle(800)
    assert desk.levels == [0, 330]


@pytest.mark.invariant("N7")
def test_without_a_ladder_no_more_is_taken_than_is_needed_a_quarter_at_a_time(desk):
    desk.joined(1_000)
    desk.joined(1_000)
    desk.settle(1_990)
    assert desk.levels == [1_000, 990]
    desk.settle(1_600)
    assert desk.levels == [750, 850]
    desk.settle(1)
    assert sum(desk.levels) == 1


@pytest.mark.invariant("A6")
def test_while_the_estimate_is_unknown_nobody_is_cut(desk):
    desk.joined(330, 100, 300)
    assert desk.settle(1, negotiate=False) == []


@pytest.mark.invariant("N8")
def test_refusers_are_cut_last_and_only_when_nobody_is_left_to_ask(desk):
    desk.refusing(330, 100, 300)
    desk.joined(330, 100, 300, priority=1)
    assert desk.settle(600) == [2]
    assert desk.levels == [330, 110]
    desk.asked(desk.ledger[2])
    assert desk.settle(300, force=False) == []
    assert desk.settle(300) == [1]
    assert desk.levels == [110, 110]


@pytest.mark.invariant("N5", "N8")
def test_of_a_refuser_a_plan_can_be_dropped_but_what_it_holds_stays(desk):
    lower = desk.joined(330, 100, 300)
    refuser = desk.refusing(330, 100, 300, 500, priority=1, wants=550)
    desk.settle(660)
    assert desk.levels == [110, 550]
    desk.asked(lower)
    assert desk.settle(430, force=False) == [2]
    assert refuser.projected == 330


@pytest.mark.invariant("G6", "N7")
def test_of_a_plan_no_more_is_dropped_than_is_needed(desk):
    lower = desk.joined(770, 100, 300, 500, 700)
    higher = desk.joined(330, 100, 300, 500, 700, priority=1, wants=770)
    desk.settle(1_100)
    assert desk.levels == [330, 770]
    desk.asked(lower)
    desk.settle(1_000)
    assert desk.levels == [330, 550]
    desk.settle(700)
    assert (higher.projected, higher.allocation) == (330, 330)


@pytest.mark.invariant("N7")
def test_of_a_plan_that_is_elastic_what_fits_is_kept(desk):
    lower = desk.joined(1_000, min_bitrate=300)
    higher = desk.joined(0, priority=1, wants=700, elastic=True)
    desk.settle(1_000)
    assert desk.levels == [300, 700]
    desk.asked(lower)
    desk.settle(950)
    assert higher.projected == 650


@pytest.mark.invariant("G2")
def test_of_a_plan_that_is_of_no_use_in_part_no_part_is_kept(desk):
    lower = desk.joined(1_000, min_bitrate=300)
    higher = desk.joined(0, priority=1, wants=700)
    desk.settle(1_000)
    assert desk.levels == [300, 700]
    desk.asked(lower)
    desk.settle(950)
    assert higher.projected == 0


@pytest.mark.invariant("G6", "G8")
@pytest.mark.parametrize("pausable", [True, False])
def test_a_minimum_that_is_only_planned_is_dropped_as_a_whole(pausable, desk):
    lower = desk.joined(330, 100, 300)
    desk.joined(0, 100, priority=1, wants=110, pausable=pausable)
    desk.settle(330)
    assert desk.levels == [110, 110]
    desk.asked(lower)
    desk.settle(200)
    assert desk.levels == [110, 0]


@pytest.mark.invariant("N7", "N8")
def test_of_several_refusers_no_more_are_forced_than_is_needed(desk):
    desk.refusing(330, 100, 300)
    desk.refusing(330, 100, 300)
    assert desk.settle(650) == [2]
    assert desk.levels == [330, 110]


@pytest.mark.invariant("A2", "N8")
def test_in_overuse_nobody_is_forced_for_a_higher_class_while_others_are_asked(desk):
    desk.refusing(330, 100, 300)
    desk.joined(330, 100, 300)
    desk.joined(0, 100, priority=1, wants=110)
    assert desk.settle(400) == [2]
    assert desk.levels == [330, 110, 0]


@pytest.mark.invariant("A2", "N8")
def test_where_only_plans_were_dropped_nobody_is_left_to_ask(desk):
    desk.refusing(330, 100, 300)
    desk.joined(110, 100, 300, wants=330)
    desk.settle(660)
    assert desk.levels == [330, 330]
    desk.settle(250)
    assert desk.levels == [110, 110]


@pytest.mark.invariant("A2", "N8")
def test_a_refuser_whose_plan_was_dropped_may_be_forced_besides(desk):
    desk.refusing(330, 100, 300, 500, wants=550)
    desk.settle(550)
    assert desk.levels == [550]
    desk.settle(200)
    assert desk.levels == [110]


# --- who is served -----------------------------------------------------------------------------


@pytest.mark.invariant("G2", "G6")
def test_the_highest_class_is_served_first_and_what_is_left_goes_down(desk):
    desk.joined(110, 100, 300, wants=330)
    desk.joined(110, 100, 300, priority=1, wants=330)
    desk.settle(440)
    assert desk.levels == [110, 330]
    desk.settle(659)
    assert desk.levels == [110, 330]
    desk.settle(660)
    assert desk.levels == [330, 330]


@pytest.mark.invariant("G8")
def test_minimums_come_before_all_else_and_low_steps_before_high_ones(desk):
    desk.joined(330, 100, 300, 500, wants=550, since=NOW - 3)
    desk.joined(110, 100, 300, wants=330, since=NOW - 2)
    desk.joined(0, 200, wants=220, since=NOW - 1)
    desk.settle(660)
    assert desk.levels == [330, 110, 220]
    desk.settle(880)
    assert desk.levels == [330, 330, 220]
    desk.settle(1_100)
    assert desk.levels == [550, 330, 220]


@pytest.mark.invariant("G8")
def test_the_longest_waiting_is_served_first_though_a_smaller_claim_may_pass(desk):
    desk.joined(0, wants=500, since=NOW - 1)
    desk.joined(0, wants=500, since=NOW - 2)
    desk.joined(0, wants=300)
    desk.settle(499)
    assert desk.levels == [0, 0, 300]
    desk.settle(800)
    assert desk.levels == [0, 500, 300]


@pytest.mark.invariant("G2")
def test_one_that_is_elastic_takes_what_there_is(desk):
    desk.joined(0, wants=500, elastic=True)
    desk.joined(0, wants=500)
    desk.settle(499)
    assert desk.levels == [499, 0]
    desk.settle(700)
    assert desk.levels == [500, 0]


@pytest.mark.invariant("G6")
def test_a_higher_class_is_served_at_the_cost_of_a_lower_one(desk):
    desk.joined(550, 100, 300, 500)
    desk.joined(110, 100, 300, priority=1, wants=330)
    assert desk.settle(660) == [2, 1]
    assert desk.levels == [330, 330]


@pytest.mark.invariant("G3", "G8")
def test_in_one_class_nobody_gives_but_for_anothers_minimum(desk):
    desk.joined(330, 100, 300)
    desk.joined(110, 100, 300, wants=330)
    assert desk.settle(440) == []
    desk.joined(0, 100, wants=110)
    desk.settle(440)
    assert desk.levels == [110, 110, 110]


@pytest.mark.invariant("G6", "N8")
def test_a_refuser_of_a_lower_class_gives_before_ones_own_class_does(desk):
    desk.refusing(330, 100, 300)
    desk.joined(330, 100, 300, priority=1)
    desk.joined(110, 100, 300, priority=1, wants=330)
    desk.settle(770)
    assert desk.levels == [110, 330, 330]


@pytest.mark.invariant("G8", "N8")
def test_for_a_minimum_extras_are_taken_from_refusers_before_minimums_of_anybody(desk):
    desk.joined(110, 100, pausable=True)
    desk.refusing(330, 100, 300)
    desk.joined(0, 100, wants=110)
    desk.settle(440)
    assert desk.levels == [110, 110, 110]


@pytest.mark.invariant("G3")
def test_what_was_to_be_taken_is_left_where_that_is_needed_no_more(desk):
    desk.joined(550, 100, 300, 500)
    desk.joined(330, 100, 300, priority=1)
    desk.settle(500)
    assert desk.levels == [110, 330]
    desk.settle(660)
    assert desk.levels == [330, 330]
    desk.settle(880)
    assert desk.levels == [550, 330]


@pytest.mark.invariant("G3")
def test_without_steps_any_part_of_it_is_left(desk):
    desk.refusing(1_000)
    desk.settle(600)
    assert desk.levels == [600]
    desk.settle(700)
    assert desk.levels == [700]


@pytest.mark.invariant("A2")
def test_no_more_than_what_is_held_is_left_though_more_is_wanted(desk):
    refuser = desk.refusing(330, 100, 300, 500, wants=550)
    desk.expected(refuser, 110)
    desk.settle(330)
    assert desk.levels == [330]


@pytest.mark.invariant("G2")
def test_whoever_may_keep_what_it_holds_is_served_more_in_the_same_event(desk):
    refuser = desk.refusing(330, 100, 300, 500, wants=550)
    desk.expected(refuser, 110)
    desk.settle(1_000)
    assert desk.levels == [550]


@pytest.mark.invariant("G2")
def test_it_is_served_more_whoever_stands_below_it(desk):
    desk.joined(10)
    refuser = desk.refusing(330, 100, 300, 500, wants=550, priority=1)
    desk.expected(refuser, 110)
    desk.settle(1_000)
    assert desk.levels == [10, 550]


@pytest.mark.invariant("G6", "N8")
def test_for_a_higher_class_a_refuser_is_counted_on_though_others_still_owe_answers(desk):
    desk.refusing(330, 100, 300)
    desk.joined(0, 100, priority=1, wants=110)
    desk.settle(330, force=False)
    assert desk.levels == [110, 110]


@pytest.mark.invariant("G6")
def test_it_is_left_to_a_higher_class_at_the_cost_of_a_lower_one(desk):
    higher = desk.refusing(1_000, priority=1)
    desk.joined(330, 100, 300)
    desk.expected(higher, 600)
    desk.settle(930)
    assert desk.levels == [820, 110]


@pytest.mark.invariant("G8")
def test_a_minimum_that_is_held_comes_before_one_that_is_waited_for(desk):
    holder = desk.refusing(110, 100, pausable=True)
    desk.joined(0, 100, wants=110)
    desk.expected(holder, 0)
    desk.settle(110)
    assert desk.levels == [110, 0]


@pytest.mark.invariant("G6", "N8")
def test_for_a_minimum_no_higher_class_gives(desk):
    desk.refusing(330, 100, 300)
    desk.joined(330, 100, 300, priority=1)
    desk.joined(0, 100, wants=110)
    desk.settle(660)
    assert desk.levels == [110, 330, 110]


@pytest.mark.invariant("A6")
@pytest.mark.parametrize("free", [0, 109])
def test_while_the_estimate_is_unknown_nobody_gives_for_anothers_minimum(free, desk):
    desk.joined(330, 100, 300)
    desk.joined(0, 100, wants=110)
    assert desk.settle(330 + free, negotiate=False) == []
    assert desk.settle(440, negotiate=False) == [2]


@pytest.mark.invariant("A6")
def test_while_the_estimate_is_unknown_nobody_gives_for_what_another_was_to_lose(desk):
    higher = desk.refusing(1_000, priority=1)
    desk.joined(330, 100, 300)
    desk.expected(higher, 600)
    assert desk.settle(930, negotiate=False) == []
    assert desk.settle(940, negotiate=False) == [1]
    assert desk.levels == [610, 330]


# --- what to probe for -------------------------------------------------------------------------


@pytest.mark.invariant("P4")
@pytest.mark.parametrize(
    ("room", "need"), [(-9, 2), (0, 2), (1, 2), (2, 100), (99, 100), (100, 220), (220, None)]
)
def test_the_smallest_step_that_does_not_fit_is_what_to_probe_for(room, need, desk):
    desk.joined(110, 100, 300, wants=330)
    desk.joined(0, wants=2)
    desk.joined(0, wants=100)
    assert desk.sharing.next_need(room) == need


@pytest.mark.invariant("P4")
@pytest.mark.parametrize(("room", "need"), [(0, 500), (499, 500), (500, None)])
def test_of_one_that_is_elastic_all_that_it_lacks_counts(room, need, desk):
    desk.joined(0, wants=500, elastic=True)
    assert desk.sharing.next_need(room) == need


@pytest.mark.invariant("P4")
def test_a_minimum_is_a_step_too_and_who_left_needs_nothing(desk):
    receiver = desk.joined(0, 100, wants=110)
    assert desk.sharing.next_need(0) == 110
    desk.left(receiver)
    assert desk.sharing.next_need(0) is None


# --- who is passed -----------------------------------------------------------------------------


def passed(desk: Desk, capacity: int, times: int, start: float = NOW) -> None:
    """So many small claims are served, one at each second."""
    for time in range(times):
        passer = desk.joined(0, wants=10, since=start + time)
        desk.settle(capacity, start + time)
        desk.left(passer)


@pytest.mark.invariant("G8")
def test_who_was_passed_three_times_gets_what_becomes_free(desk):
    senior = desk.joined(0, wants=500, since=NOW - 9)
    desk.joined(400, negotiable=False)
    passed(desk, 600, 2)
    assert (senior.overtaken, desk.sharing.favoured()) == (2, {})
    assert desk.sharing.wake_at == math.inf
    passed(desk, 600, 1, NOW + 2)
    assert desk.sharing.favoured() == {senior.id: NOW + 7}
    assert desk.sharing.wake_at == NOW + 7
    small = desk.joined(0, wants=10)
    desk.settle(600)
    assert small.projected == 0
    desk.settle(900)
    assert senior.projected == 500
    assert desk.sharing.favoured() == {}
    desk.settle(910)
    assert small.projected == 10


@pytest.mark.invariant("G8")
def test_the_hold_ends_and_whoever_had_it_goes_to_the_end_of_the_line(desk):
    senior = desk.joined(0, wants=500, since=NOW - 9)
    desk.joined(400, negotiable=False)
    passed(desk, 600, 3)
    desk.sharing.advance(NOW + 6.9)
    assert desk.sharing.favoured() == {senior.id: NOW + 7}
    desk.sharing.advance(NOW + 7)
    assert (desk.sharing.favoured(), desk.sharing.wake_at) == ({}, math.inf)
    assert (senior.overtaken, senior.waiting_since) == (0, NOW + 7)
    small = desk.joined(0, wants=10, since=NOW)
    desk.settle(600)
    assert (small.projected, senior.overtaken) == (10, 0)


@pytest.mark.invariant("G8")
@pytest.mark.parametrize(("capacity", "favoured"), [(500, True), (499, False)])
def test_for_what_no_estimate_would_carry_nothing_is_held(capacity, favoured):
    desk = Desk(overtaken_limit=1)
    senior = desk.joined(0, wants=500, since=NOW - 9)
    desk.joined(400, negotiable=False)
    passed(desk, capacity, 1)
    assert (senior.id in desk.sharing.favoured()) is favoured
    expected = (1, NOW - 9) if favoured else (0, NOW)
    assert (senior.overtaken, senior.waiting_since) == expected


@pytest.mark.invariant("G8")
def test_who_is_served_is_not_passed(desk):
    receiver = desk.joined(0, 100, 300, 500, wants=550, since=NOW - 9)
    desk.settle(400)
    assert (receiver.projected, receiver.overtaken) == (330, 0)


@pytest.mark.invariant("G8")
def test_each_class_counts_its_own(desk):
    for priority in (0, 1, 2):
        desk.joined(0, wants=900, since=NOW - 9, priority=priority)
    for priority in (0, 1, 2):
        desk.joined(0, wants=10, priority=priority)
    desk.settle(500)
    assert [receiver.overtaken for receiver in desk.ledger] == [1, 1, 1, 0, 0, 0]


@pytest.mark.invariant("G8")
def test_who_was_passed_and_then_served_does_not_count_and_the_others_do(desk):
    desk.joined(0, 100, wants=110, since=NOW)
    first = desk.joined(110, 100, 300, wants=330, since=NOW - 9, priority=1)
    desk.joined(0, wants=10, priority=1)
    second = desk.joined(0, wants=900, since=NOW - 9)
    desk.joined(0, wants=10)
    desk.settle(500)
    assert (first.projected, first.overtaken) == (330, 0)
    assert second.overtaken == 1


@pytest.mark.invariant("G8")
def test_two_classes_may_hold_for_somebody_and_each_for_one_only():
    desk = Desk(overtaken_limit=1)
    seniors = [desk.joined(0, wants=900, since=NOW - 9, priority=p) for p in (0, 1)]
    for priority in (0, 1):
        desk.joined(0, wants=10, priority=priority)
    desk.joined(400, negotiable=False)
    desk.settle(950)
    assert desk.sharing.favoured() == {senior.id: NOW + 5 for senior in seniors}


@pytest.mark.invariant("G8")
def test_that_one_backs_off_keeps_no_other_class_from_counting():
    desk = Desk(overtaken_limit=1)
    large = desk.joined(0, wants=9_000, since=NOW - 9)
    senior = desk.joined(0, wants=900, since=NOW - 9, priority=1)
    for priority in (0, 1):
        desk.joined(0, wants=10, priority=priority)
    desk.joined(400, negotiable=False)
    desk.settle(950)
    assert desk.sharing.favoured() == {senior.id: NOW + 5}
    assert (large.overtaken, large.waiting_since) == (0, NOW)


@pytest.mark.invariant("G8")
@pytest.mark.parametrize("rates", [(), (9,)])
def test_what_is_held_for_one_is_held_back_from_lower_classes_too(rates):
    desk = Desk(overtaken_limit=1)
    senior = desk.joined(0, wants=900, since=NOW - 9, priority=1)
    desk.joined(400, negotiable=False)
    passer = desk.joined(0, wants=10, priority=1)
    desk.settle(1_000)
    assert (passer.projected, list(desk.sharing.favoured())) == (10, [senior.id])
    lower = desk.joined(0, *rates, wants=9)
    desk.settle(1_000)
    assert lower.projected == 0
