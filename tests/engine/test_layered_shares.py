"""The layered sharing in an engine: its failures, holds and turns."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from attrs import evolve

from tests.engine.support import NOW, joined, opened, record
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.negotiation import Negotiation, Refusal, RefusalKind, Request
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.engine.report.status import snapshot
from trio_allocator.engine.settings import Settings
from trio_allocator.engine.sharing.calm import IDEAL, Calm
from trio_allocator.engine.sharing.division import Raising
from trio_allocator.engine.sharing.layered import LayeredPolicy
from trio_allocator.engine.sharing.layered_shares import WATCHED, LayeredShares
from trio_allocator.engine.sharing.policies import PolicyError

LADDER = (100_000, 300_000, 500_000)


def opened_layered(estimate, worth=None, **settings):
    settings.setdefault("estimate_timeout", math.inf)
    policy = LayeredPolicy(worth)
    return Engine(Settings(**settings), now=NOW, initial_estimate=estimate, policy=policy)


@pytest.mark.invariant("L3")
def test_a_worth_that_raises_is_a_policy_that_failed():
    def worth(bitrate):
        raise ZeroDivisionError

    engine = opened_layered(1_000_000, worth)
    receiver = joined(engine, 110_000, *LADDER)
    engine.request(NOW, receiver, 550_000)
    assert receiver.allocation == 550_000, "the built-in sharing has taken over"
    assert "ZeroDivisionError" in str(engine.settlement.policy_fault)


@pytest.mark.invariant("G9")
def test_what_is_kept_back_is_declared_and_granted_when_every_estimate_carried_it():
    engine = opened_layered(600_000)
    cast = [joined(engine, 110_000, *LADDER) for _ in range(4)]
    for second in range(1, 9):  # it falls again and again
        engine.update_estimate(NOW + second, (600_000, 450_000)[second % 2])
    for receiver in cast:
        engine.request(NOW + 8, receiver, 330_000)
        receiver.raises, receiver.raised_at = 50.0, NOW + 8
    engine.update_estimate(NOW + 9, 700_000)
    held = snapshot(engine).holds
    assert held
    assert all(NOW + 9 < until <= NOW + 19 for until in held.values())
    until = max(held.values())
    before = engine.ledger.committed
    assert engine.wake_at <= until
    engine.advance(until)
    assert engine.ledger.committed > before
    assert not snapshot(engine).holds


def with_one_passed_thrice():
    """An engine, two small ones, and a big one that they passed three times; they try once more."""
    engine = opened_layered(1_000_000)
    small = [joined(engine, 0, negotiable=False) for _ in range(2)]
    for receiver in small:
        engine.request(NOW, receiver, 450_000)
    big = joined(engine, 0, negotiable=False)
    engine.request(NOW, big, 900_000)
    for turn in (1, 2, 3):
        engine.request(NOW + turn, small[0], 0)
        engine.request(NOW + turn, small[0], 450_000)
    assert snapshot(engine).favoured == {big.id: NOW + 8}
    engine.request(NOW + 4, small[0], 0)
    engine.request(NOW + 4, small[0], 450_000)
    return engine, small, big


@pytest.mark.invariant("G8")
def test_what_is_held_for_one_that_was_passed_ends():
    engine, small, _big = with_one_passed_thrice()
    assert small[0].allocation == 0, "what is free is held"
    assert engine.settlement.sharing.wake_at == NOW + 8
    engine.advance(NOW + 8)
    assert small[0].allocation == 450_000


@pytest.mark.invariant("G2", "G8")
def test_when_who_was_passed_is_served_what_is_left_is_held_for_nobody():
    engine, small, big = with_one_passed_thrice()
    assert small[0].allocation == 0
    engine.update_estimate(NOW + 4, 2_000_000)
    assert engine.settlement.sharing.wake_at == math.inf
    assert snapshot(engine).favoured == {}, "as soon as that is so"
    assert [receiver.allocation for receiver in (*small, big)] == [450_000, 450_000, 900_000]


@pytest.mark.invariant("G3", "G8")
def test_a_raise_that_is_planned_passes_nobody_again():
    engine = opened_layered(None, overtaken_limit=1)
    first = joined(engine, 166, 100, 500, negotiable=False)
    engine.force(NOW, first, 165)
    engine.configure(
        NOW, first, first.track, evolve(first.options, min_bitrate=165), PaddingAccount()
    )
    joined(engine, 1, now=NOW + 5)
    engine.update_estimate(NOW + 5, 166)
    late = joined(engine, 0, negotiable=False, now=NOW + 5)
    engine.request(NOW + 5, late, 1)
    passed = late.overtaken
    engine.request(NOW + 5, late, 1)
    assert late.overtaken == passed


@pytest.mark.invariant("G2", "G9")
def test_a_step_kept_back_in_the_event_of_another_is_declared_and_wakes():
    engine = opened_layered(0)
    other = joined(engine, 110)
    camera = joined(engine, 110, 150, 500, 2_500, negotiable=False)
    engine.request(NOW, other, 416)
    engine.update_estimate(NOW, 1_047)
    engine.request(NOW, camera, 626)
    assert camera.allocation == 550, "that much is worth the risk"
    assert snapshot(engine).holds == {camera.id: NOW + 10}
    assert engine.wake_at <= NOW + 10
    engine.advance(NOW + 10)
    assert camera.allocation == 626


def test_with_the_built_in_sharing_nothing_is_kept_back():
    engine = opened(1_000)
    assert engine.settlement.sharing.kept_back(NOW, 1_000) == {}


# --- when it is asked, directly ----------------------------------------------------------------


class ToldCalm(Calm):
    """Refuses what it is told to refuse, and notes whom it was asked about."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(IDEAL, 5.0, lambda _id, _now: 0.0)
        self._desk = desk

    def allows(self, raising: Raising) -> bool:
        self._desk.judged.append(raising.receiver_id)
        return super().allows(raising)

    def finds_worth(self, raising: Raising) -> bool:
        return not self._desk.refused(raising)


class Desk:
    """Books, and the layered sharing over them; its judge is told what it refuses."""

    def __init__(self, **settings) -> None:
        self.ledger = Ledger()
        self.judged: list[int] = []
        self.refused: Callable[[Raising], bool] = lambda _: False
        chosen = Settings(**settings)
        self.calm = ToldCalm(self)
        self.sharing = LayeredShares(self.ledger, LayeredPolicy(), self.calm, chosen)

    def joined(self, held: int, *rates: int, wants: int | None = None, **options):
        receiver = record(held, *rates, number=len(self.ledger) + 1, **options)
        self.ledger.add(receiver)
        if wants is not None:
            receiver.set_claim(wants)
            self.ledger.mark_waiting(receiver, NOW)
        self.sharing.index(receiver)
        return receiver

    def settle(self, capacity: int, *, negotiate=True, force=True) -> list[int]:
        """Who was touched, in order."""
        self.judged.clear()
        touched = self.sharing.settle(capacity, negotiate=negotiate, force=force, now=NOW)
        return [receiver.id for receiver in touched]

    @property
    def levels(self) -> list[int]:
        return [receiver.projected for receiver in self.ledger]


@pytest.fixture
def desk():
    return Desk()


@pytest.mark.invariant("C2")
def test_while_nobody_could_have_more_or_has_to_have_less_it_is_not_asked(desk, monkeypatch):
    desk.joined(110, 100, 300, wants=330)
    assert desk.settle(329) == []
    monkeypatch.setattr(desk.sharing, "_ask", None)
    assert desk.settle(200) == []
    assert desk.settle(110) == []
    assert desk.settle(109, negotiate=False) == []


@pytest.mark.invariant("G8")
def test_of_those_kept_back_eight_are_looked_at_and_besides_all_that_changed(desk):
    desk.refused = lambda raising: raising.receiver_id <= 10
    for number in range(10):  # of those who need no less than one that was refused none is judged
        desk.joined(110, 100, 300 - 10 * number, wants=330 - 11 * number)
    assert desk.settle(5_000) == []
    assert desk.settle(5_001) == []
    assert desk.judged == list(range(1, WATCHED + 1))
    desk.joined(110, 100, 190, wants=209)
    assert desk.settle(5_000) == [11]
    assert desk.settle(5_000) == []
    desk.refused = lambda raising: raising.receiver_id < 10
    assert desk.settle(5_000) == [], "it did not change"
    desk.sharing.index(desk.ledger[10])
    assert desk.settle(5_000) == [10]


@pytest.mark.invariant("G9")
def test_when_something_is_given_up_those_kept_back_are_judged_by_what_is_left(desk):
    desk.refused = lambda raising: raising.worth > 3.0
    desk.joined(110, 100, 300, wants=330)
    rich = desk.joined(550, 100, 300, 500)
    assert desk.settle(2_000) == []
    desk.ledger.remove(rich)
    desk.sharing.drop(rich)
    assert desk.settle(2_000) == [1]


@pytest.mark.invariant("G2")
def test_who_can_use_any_part_is_not_judged(desk):
    desk.refused = lambda _: True
    desk.joined(110, 100, 300, wants=330)
    desk.joined(0, wants=500, elastic=True)
    assert desk.settle(1_000) == [2]
    assert desk.levels == [110, 500]
    assert desk.settle(400, negotiate=False) == []
    desk.joined(0, wants=600, elastic=True)
    desk.settle(1_000)
    assert desk.levels == [110, 500, 390]
    assert desk.settle(1_100) == [3]
    assert desk.levels == [110, 500, 490]


@pytest.mark.invariant("N8")
def test_in_overuse_a_refuser_is_forced_when_nobody_is_left_to_ask(desk):
    refuser = desk.joined(300, pausable=True)
    refuser.refusal = Refusal(RefusalKind.REJECTED, 0, math.inf)
    other = desk.joined(300, pausable=True)
    for receiver in (refuser, other):
        desk.sharing.index(receiver)
    assert desk.settle(200) == [2], "who can be asked comes first"
    assert desk.levels == [300, 0]
    desk.ledger.allocate(other, 0)
    desk.sharing.index(other)
    assert desk.settle(200, force=False) == []
    assert desk.settle(200) == [1]
    assert desk.levels == [200, 0]


@pytest.mark.invariant("A6")
def test_while_the_estimate_is_unknown_nobody_is_brought_down(desk):
    desk.joined(330, 100, 300)
    desk.joined(110, 100, 300, wants=330, priority=1)
    assert desk.settle(440, negotiate=False) == []
    assert desk.settle(440) == [1, 2]
    assert desk.levels == [110, 330]


@pytest.mark.invariant("N6")
def test_who_may_keep_what_was_to_be_taken_needs_no_judgement(desk):
    desk.refused = lambda _: True
    desk.joined(330, 100, 300)
    assert desk.settle(329) == [1]
    assert desk.settle(329) == []
    assert desk.settle(330) == [1]
    assert desk.levels == [330]


@pytest.mark.invariant("P4")
def test_the_next_need_is_the_smallest_step_that_does_not_fit(desk):
    desk.joined(110, 100, 300, wants=330)
    desk.joined(330, 100, 300, 400, wants=440)
    assert [desk.sharing.next_need(room) for room in (0, 109, 110, 219, 220)] == [
        110, 110, 220, 220, None,
    ]  # fmt: skip


@pytest.mark.invariant("G9")
def test_kept_back_is_who_would_fit_and_until_its_rate_needs_no_judgement(desk):
    desk.refused = lambda _: True
    desk.joined(110, 100, 300, wants=330)
    assert desk.sharing.wake_at == math.inf
    desk.calm.note(NOW, 200)
    desk.calm.note(NOW + 1, 1_000)
    desk.calm.begin(NOW + 1, 1_000, 0)
    desk.settle(1_000)
    assert desk.sharing.kept_back(NOW + 1, 220) == {1: NOW + 10}
    assert desk.sharing.kept_back(NOW + 1, 219) == {}
    assert desk.sharing.kept_back(NOW + 10, 220) == {}
    assert desk.sharing.wake_at == NOW + 10


@pytest.mark.invariant("G8")
def test_who_waits_longest_is_passed_by_whoever_is_served_before_it():
    desk = Desk(overtaken_limit=1)
    senior = desk.joined(0, wants=900)
    desk.joined(0, wants=400)
    assert desk.settle(900) == [1]
    desk = Desk(overtaken_limit=1)
    senior = desk.joined(0, wants=900)
    desk.joined(100)
    desk.joined(0, wants=400)
    desk.settle(900)
    assert (desk.levels, senior.overtaken) == ([0, 100, 400], 1)
    assert list(desk.sharing.favoured()) == [1]


@pytest.mark.invariant("L3")
def test_a_worth_that_fails_changes_nothing(desk):
    def worth(bitrate: int) -> float:
        raise KeyError(bitrate)

    desk.joined(110, 100, 300, wants=330)
    desk.sharing = LayeredShares(desk.ledger, LayeredPolicy(worth), desk.calm, Settings())
    desk.sharing.index(desk.ledger[1])
    with pytest.raises(PolicyError, match=r"LayeredPolicy.*failed: KeyError"):
        desk.settle(1_000)
    assert desk.levels == [110]


@pytest.mark.invariant("G9")
def test_all_that_are_kept_back_are_named(desk):
    desk.refused = lambda raising: raising.receiver_id < 10
    desk.calm.note(NOW, 0)
    for _ in range(10):
        desk.joined(110, 100, 300, wants=330)
    desk.joined(0, 100, wants=100)
    assert desk.settle(1_200) == [11]
    assert desk.settle(1_600) == []
    judged = desk.judged.copy()
    assert desk.sharing.kept_back(NOW, 400).keys() == set(range(1, 10)), "but not what may rise"
    assert desk.sharing.kept_back(NOW, 200) == {}, "it does not fit"
    assert desk.sharing.kept_back(NOW + 10, 400) == {}
    assert judged == desk.judged == list(range(1, WATCHED + 1)), "to look judges nobody"


@pytest.mark.invariant("G8", "G9")
def test_one_whose_minimum_others_would_make_room_for_is_named(desk):
    desk.refused = lambda _: True
    desk.calm.note(NOW, 0)
    desk.joined(500, 100, 500)
    desk.joined(0, 100, 500, wants=110)
    desk.settle(500)
    assert desk.sharing.kept_back(NOW, 0) == {2: NOW + 10}


@pytest.mark.invariant("G9")
def test_who_may_not_have_its_minimum_has_no_part_of_it(desk):
    desk.refused = lambda _: True
    desk.joined(0, wants=500, elastic=True, min_bitrate=60)
    assert desk.settle(1_000) == []
    desk.refused = lambda _: False
    assert desk.settle(1_000) == [1]
    assert desk.levels == [500]


@pytest.mark.invariant("C1", "G2")
def test_who_leaves_a_crowd_lets_few_take_part(desk, monkeypatch):
    crowd = [desk.joined(110, 100, 300, wants=330) for _ in range(100)]
    desk.settle(100 * 110 + 439)
    assert desk.levels == [330] + [110] * 99
    desk.ledger.allocate(crowd[0], 330)
    desk.sharing.index(crowd[0])
    monkeypatch.setattr(desk.sharing, "_ask", None)
    desk.ledger.remove(crowd[50])
    desk.sharing.drop(crowd[50])
    assert desk.settle(100 * 110 + 439) == [2], "329 are free, and the longest waiting is first"
    assert desk.settle(100 * 110 + 439) == []


@pytest.mark.invariant("G6", "N1")
def test_where_anybody_has_to_make_room_all_take_part(desk):
    desk.joined(330, 100, 300)
    desk.joined(110, 100, 300, wants=330, priority=1)
    assert desk.settle(500) == [1, 2]
    assert desk.levels == [110, 330]


@pytest.mark.invariant("G6", "N1")
def test_nobody_is_raised_for_a_moment_where_a_higher_class_needs_more_than_is_free(desk):
    desk.joined(330, 100, 300)
    desk.joined(110, 100, 300, wants=330)
    desk.joined(110, 100, 500, wants=550, priority=1)
    assert desk.settle(770) == [1, 3]
    assert desk.levels == [110, 110, 550]


@pytest.mark.invariant("N6", "N7")
def test_who_was_asked_has_back_what_is_free_before_others_have_more(desk):
    first = desk.joined(330, 100, 300)
    desk.joined(110, 100, 300, wants=330)
    first.negotiation, first.request = Negotiation.ASKED, Request(1, 110, 110, NOW)
    desk.ledger.project(first, 110)
    desk.sharing.index(first)
    assert desk.settle(440) == [1]
    assert desk.levels == [330, 110]


@pytest.mark.invariant("G8")
def test_who_is_served_itself_and_who_is_not_worth_its_risk_were_not_passed():
    desk = Desk(overtaken_limit=1)
    desk.joined(110, 100, 300, 500, wants=550)
    desk.joined(500)
    assert desk.settle(830) == [1]
    assert desk.sharing.favoured() == {}
    desk = Desk(overtaken_limit=1)
    desk.refused = lambda raising: raising.receiver_id == 1
    for weight in (1.0, 3.0):
        desk.joined(110, 100, 300, wants=330, weight=weight)
    assert desk.settle(660) == [2]
    assert desk.sharing.favoured() == {}
