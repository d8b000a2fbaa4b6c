"""A user's policy: when it is asked, what it is told, what is made of its answer (L3)."""

from __future__ import annotations

import math

import pytest
from attrs import evolve

from tests.engine.support import NOW, record
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.negotiation import Negotiation, Refusal, RefusalKind
from trio_allocator.engine.sharing.policy_sharing import PolicySharing
from trio_allocator.engine.sharing.sharing import Capacity
from trio_allocator.policies.policy import Claim, PolicyError, Shares, check_shares

CLAIM = Claim(
    receiver_id=1,
    priority=0,
    weight=1.0,
    allocation=300,
    lowest=100,
    minimum=100,
    wanted=500,
    levels=(100, 300, 500),
    elastic=False,
    waiting_since=NOW,
)


def keep(claim: Claim) -> int:
    return claim.allocation


def lowest(claim: Claim) -> int:
    return claim.lowest


def wanted(claim: Claim) -> int:
    return claim.wanted


class Desk:
    """Receivers under a policy that notes how it is asked, and answers as it is told."""

    def __init__(self, *receivers, choose=keep, lowest=-math.inf, highest=math.inf) -> None:
        self.ledger = Ledger()
        self.choose = choose
        self.range: tuple[float, ...] = (lowest, highest)
        self.asked: list[tuple[tuple[Claim, ...], int]] = []
        self.sharing = PolicySharing(self.ledger, self._policy)
        for receiver in receivers:
            self.ledger.add(receiver)

    def _policy(self, claims, capacity) -> Shares:
        self.asked.append((tuple(claims), capacity))
        return Shares({c.receiver_id: self.choose(c) for c in claims}, *self.range)

    def settle(self, capacity: int, *, negotiate=True, force=True) -> list[int]:
        """Who was touched, in order."""
        asked = Capacity(capacity, capacity, capacity, negotiate, force)
        touched = self.sharing.settle(asked, now=NOW)
        return [receiver.id for receiver in touched]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What it was told last."""
        return self.asked[-1][0]


def refusing(receiver):
    receiver.refusal = Refusal(RefusalKind.REJECTED, 0, math.inf)
    return receiver


def wanting(receiver, claim: int):
    receiver.set_claim(claim)
    receiver.waiting_since = NOW
    return receiver


# --- when it is asked --------------------------------------------------------------------------


@pytest.mark.invariant("C2")
def test_it_is_not_asked_while_its_answer_holds():
    desk = Desk(record(300), lowest=300, highest=800)
    for capacity in (500, 300, 800, 500):
        desk.settle(capacity)
    assert len(desk.asked) == 1


@pytest.mark.invariant("C2")
@pytest.mark.parametrize(("capacity", "choose"), [(299, lowest), (801, keep)])
def test_outside_its_range_it_is_asked_again(capacity, choose):
    desk = Desk(record(300, pausable=True), lowest=300, highest=800)
    desk.settle(500)
    desk.choose = choose
    desk.settle(capacity)
    assert [asked for _, asked in desk.asked] == [500, capacity]


@pytest.mark.invariant("A2", "L3")
def test_a_range_that_promises_too_much_is_not_believed():
    desk = Desk(record(300, pausable=True))
    desk.settle(300)
    desk.settle(300)
    assert len(desk.asked) == 1
    desk.choose = lowest
    desk.settle(299)
    assert len(desk.asked) == 2


@pytest.mark.invariant("C2")
@pytest.mark.parametrize("change", ["index", "drop"])
def test_when_a_claim_changes_it_is_asked_again(change):
    receiver = record(300)
    desk = Desk(receiver)
    desk.settle(500)
    getattr(desk.sharing, change)(receiver)
    desk.settle(500)
    desk.settle(500)
    assert len(desk.asked) == 2


@pytest.mark.invariant("C2", "A6")
def test_when_another_mode_holds_it_is_asked_again():
    desk = Desk(record(300))
    for mode in ((True, True), (True, False), (False, False), (False, False), (False, True)):
        desk.settle(500, negotiate=mode[0], force=mode[1])
    assert len(desk.asked) == 4


@pytest.mark.invariant("C2")
def test_a_policy_that_names_no_range_is_asked_at_every_other_capacity():
    desk = Desk(record(300))
    desk.range = ()
    for capacity in (500, 500, 501, 500):
        desk.settle(capacity)
    assert [capacity for _, capacity in desk.asked] == [500, 501, 500]


@pytest.mark.invariant("C2", "N8")
def test_with_a_refuser_it_is_asked_at_every_other_capacity_whatever_the_range():
    desk = Desk(refusing(record(300, pausable=True)), lowest=0, highest=1000)
    for capacity in (500, 500, 501):
        desk.settle(capacity)
    assert [capacity for _, capacity in desk.asked] == [500, 501]


@pytest.mark.invariant("C2")
def test_with_nobody_to_share_among_it_is_asked_once():
    desk = Desk()
    assert desk.settle(0) == []
    assert desk.settle(0) == []
    assert desk.asked == [((), 0)]


# --- what it is told ---------------------------------------------------------------------------


def test_it_is_told_what_a_receiver_holds_wants_and_can_be_brought_down_to():
    receiver = wanting(
        record(330, 100, 300, 500, 700, number=4, priority=2, weight=0.5, elastic=True), 660
    )
    desk = Desk(receiver, choose=wanted)
    desk.settle(10_000)
    levels, steps = (110, 330, 550, 660), (110, 330, 550, 770)
    assert desk.claims == (Claim(4, 2, 0.5, 330, 110, 110, 660, levels, False, NOW, steps),)


def test_without_a_ladder_there_are_no_levels_and_it_may_be_elastic():
    desk = Desk(wanting(record(300, min_bitrate=100, elastic=True), 700), choose=wanted)
    desk.settle(10_000)
    assert desk.claims == (Claim(1, 0, 1.0, 300, 100, 100, 700, (), True, NOW),)
    desk = Desk(wanting(record(300, min_bitrate=100), 700), choose=wanted)
    desk.settle(10_000)
    assert not desk.claims[0].elastic


def test_levels_are_those_between_the_lowest_and_the_wanted():
    desk = Desk(wanting(record(200, 100, 300, 500, pausable=True), 550), choose=wanted)
    desk.settle(10_000)
    assert desk.claims[0].levels == (0, 110, 200, 330, 550)
    desk = Desk(record(550, 100, 300, 500, min_bitrate=250))
    desk.settle(10_000)
    assert desk.claims[0].levels == (330, 550)


@pytest.mark.invariant("A6", "N5")
def test_who_cannot_be_asked_keeps_what_it_holds():
    receiver = record(550, 100, 300, 500)
    desk = Desk(receiver)
    desk.settle(10_000, negotiate=False)
    assert desk.claims[0].lowest == 550
    refusing(receiver)
    desk.settle(10_000)
    assert desk.claims[0].lowest == 550
    assert desk.claims[0].levels == (550,)


@pytest.mark.invariant("G9")
def test_who_waits_out_a_hold_wants_no_more_for_now():
    receiver = wanting(record(330, 100, 300, 500), 550)
    receiver.held_until = NOW + 5
    desk = Desk(receiver)
    desk.settle(10_000)
    assert (desk.claims[0].wanted, desk.claims[0].lowest) == (330, 110)


@pytest.mark.invariant("G3")
def test_it_is_told_who_may_be_paused_and_who_is_to_be_raised():
    for projected, planned in ((0, False), (110, True)):
        receiver = wanting(record(0, 100, 300, pausable=True), 330)
        desk = Desk(receiver, choose=wanted)
        desk.ledger.project(receiver, projected)
        desk.settle(10_000)
        assert (desk.claims[0].pausable, desk.claims[0].planned) == (True, planned)


@pytest.mark.invariant("N2", "N7")
@pytest.mark.parametrize("ladder", [(100, 300, 500), ()])
@pytest.mark.parametrize("negotiate", [True, False])
def test_who_is_asked_stays_asked_or_is_let_off_and_nothing_between(ladder, negotiate):
    receiver = wanting(record(330, *ladder, min_bitrate=100, pausable=True, elastic=True), 550)
    desk = Desk(receiver)
    desk.ledger.project(receiver, 50)
    receiver.negotiation = Negotiation.ASKED
    desk.settle(10_000, negotiate=negotiate)
    claim = desk.claims[0]
    assert (claim.lowest, claim.minimum, claim.wanted) == (50, 50, 330)
    assert (claim.levels, claim.elastic) == ((50, 330), False)


def test_who_wants_less_than_it_holds_is_said_to_want_that():
    receiver = record(330, 100, 300)
    receiver.set_claim(110)
    desk = Desk(receiver)
    desk.settle(10_000)
    assert desk.claims[0].wanted == 330


@pytest.mark.invariant("N4")
def test_who_has_pledged_stands_where_it_will_be():
    receiver = wanting(record(550, 100, 300, 500), 600)
    desk = Desk(receiver)
    desk.ledger.project(receiver, 330)
    receiver.negotiation = Negotiation.PLEDGED
    assert desk.settle(10_000) == []
    claim = desk.claims[0]
    assert (claim.allocation, claim.lowest, claim.wanted, claim.levels) == (330, 330, 330, (330,))
    assert receiver.projected == 330


# --- what is made of its answer ----------------------------------------------------------------


def test_projections_follow_its_answer_and_who_has_it_already_is_not_touched():
    one, other = record(300, number=1, pausable=True), record(300, number=2)
    desk = Desk(one, other, choose=lambda c: 100 if c.receiver_id == 1 else 300)
    assert desk.settle(400) == [1]
    assert (one.projected, other.projected, desk.ledger.projected) == (100, 300, 400)


@pytest.mark.invariant("N8")
def test_the_lowest_class_is_asked_first_then_the_highest_rate_per_weight_then_the_latest():
    desk = Desk(
        record(400, number=1, priority=1, pausable=True),
        record(300, number=2, pausable=True),
        record(400, number=3, pausable=True),
        record(400, number=4, pausable=True, weight=2.0),
        record(400, number=5, pausable=True),
        choose=lowest,
    )
    assert desk.settle(0) == [5, 3, 2, 4, 1]


@pytest.mark.invariant("N2")
def test_who_is_asked_already_is_asked_for_no_less_but_may_be_let_off():
    receiver = record(550, 100, 300, 500)
    desk = Desk(receiver, choose=lowest)
    desk.ledger.project(receiver, 400)
    receiver.negotiation = Negotiation.ASKED
    assert desk.settle(400) == []
    assert receiver.projected == 400
    desk.choose = keep
    desk.sharing.index(receiver)
    assert desk.settle(10_000) == [1]
    assert receiver.projected == 550


# --- refusers ----------------------------------------------------------------------------------


def refused_and_asked(desk: Desk) -> list[list[int]]:
    """For each time the policy was asked: to what each could be brought down."""
    return [[claim.lowest for claim in claims] for claims, _ in desk.asked]


@pytest.mark.invariant("N8")
def test_in_overuse_a_refuser_is_given_up_when_nobody_is_left_to_ask():
    refuser = refusing(record(300, pausable=True))
    desk = Desk(refuser, choose=lowest)
    desk.settle(200)
    assert refused_and_asked(desk) == [[300], [0]]
    assert refuser.projected == 0
    desk.settle(200)
    assert len(desk.asked) == 2  # that answer still holds


@pytest.mark.invariant("N8")
def test_it_is_not_given_up_while_somebody_is_left_to_ask():
    refuser = refusing(record(300, number=1, pausable=True))
    other = record(300, number=2, pausable=True)
    desk = Desk(refuser, other, choose=lowest)
    assert desk.settle(200) == [2]
    assert refused_and_asked(desk) == [[300, 0]]


@pytest.mark.invariant("N8")
def test_it_is_not_given_up_while_somebody_owes_an_answer():
    desk = Desk(refusing(record(300, pausable=True)), choose=lowest)
    assert desk.settle(200, force=False) == []
    assert len(desk.asked) == 1


@pytest.mark.invariant("A6")
def test_it_is_not_given_up_while_the_estimate_is_unknown():
    desk = Desk(refusing(record(300, pausable=True)), choose=lowest)
    assert desk.settle(200, negotiate=False) == []
    assert len(desk.asked) == 1


@pytest.mark.invariant("N5")
def test_it_keeps_what_it_holds_while_that_fits_and_nobody_lacks_it():
    desk = Desk(refusing(record(300, pausable=True)), choose=lowest)
    desk.settle(300)
    assert len(desk.asked) == 1


def needed(refuser, waiter) -> bool:
    """Whether a refuser is asked about again for the sake of one that waits."""
    desk = Desk(refusing(refuser), waiter)
    desk.settle(refuser.allocation + waiter.allocation)
    return len(desk.asked) == 2


@pytest.mark.invariant("G6", "G8", "N8")
@pytest.mark.parametrize(
    ("refuser", "waiter", "expected"),
    [
        ({"pausable": True}, {"priority": 1}, True),
        ({"priority": 1, "pausable": True}, {"priority": 1}, False),
        ({"priority": 1, "pausable": True}, {}, False),
        ({"negotiable": False}, {"priority": 1}, False),
        ({"min_bitrate": 300}, {"priority": 1}, False),
        ({"pausable": True}, {"min_bitrate": 150}, True),
        ({"pausable": True}, {"min_bitrate": 100}, False),
        ({"min_bitrate": 300, "pausable": True}, {"min_bitrate": 150}, False),
        ({"priority": 1, "pausable": True}, {"min_bitrate": 150}, False),
        ({"pausable": True}, {"priority": 1, "min_bitrate": 150}, True),
    ],
)
def test_a_refuser_gives_to_higher_classes_and_to_minimums_of_its_own(refuser, waiter, expected):
    # What the refuser holds above its minimum, others of its class may need for theirs.
    waiting = wanting(record(100, number=2, **waiter), 200)
    try:
        assert needed(record(300, number=1, **refuser), waiting) is expected
    except PolicyError:
        assert expected  # the second question allows more, and keeping all is no answer to it


@pytest.mark.invariant("N8")
def test_for_one_that_has_all_it_wants_no_refuser_is_needed():
    assert not needed(record(300, number=1, pausable=True), record(200, number=2, priority=1))


@pytest.mark.invariant("N8")
def test_for_one_that_is_to_have_all_it_wants_no_refuser_is_needed():
    refuser = refusing(record(300, number=1, pausable=True))
    desk = Desk(refuser, wanting(record(100, number=2, priority=1), 200), choose=wanted)
    desk.settle(500)
    assert len(desk.asked) == 1


@pytest.mark.invariant("N8")
def test_for_one_that_must_give_itself_no_refuser_is_needed():
    refuser = refusing(record(300, number=1, pausable=True))
    desk = Desk(refuser, record(330, 100, 300, number=2, priority=1), choose=lowest)
    desk.settle(500)
    assert len(desk.asked) == 1


# --- what waits --------------------------------------------------------------------------------


@pytest.mark.invariant("P4")
@pytest.mark.parametrize(
    ("room", "need"), [(-5, 100), (0, 100), (99, 100), (100, 220), (219, 220), (220, None)]
)
def test_the_smallest_step_that_does_not_fit_is_what_to_probe_for(room, need):
    desk = Desk(
        wanting(record(230, 100, 300, 500, number=1), 550),
        wanting(record(330, 100, 300, 500, number=2), 550),
    )
    assert desk.sharing.next_need(room) == need


@pytest.mark.invariant("P4")
def test_a_single_bit_is_a_step_too():
    desk = Desk(wanting(record(230), 231))
    assert desk.sharing.next_need(0) == 1
    assert desk.sharing.next_need(1) is None


@pytest.mark.invariant("P1")
@pytest.mark.parametrize("why", ["nothing waits", "held", "planned already"])
def test_there_is_nothing_to_probe_for(why):
    receiver = wanting(record(110, 100, 300), 330)
    desk = Desk(receiver)
    match why:
        case "nothing waits":
            receiver.waiting_since = None
        case "held":
            receiver.held_until = NOW
        case _:
            desk.ledger.project(receiver, 330)
    assert desk.sharing.next_need(0) is None


@pytest.mark.invariant("P4", "G2")
def test_where_a_bar_keeps_somebody_back_that_is_what_to_probe_for():
    receiver = wanting(record(110, 100, 300, 500), 550)
    sharing = PolicySharing(
        (desk := Desk(receiver)).ledger, lambda *_: Shares({1: 110}, bars={1: 400})
    )
    sharing.settle(Capacity(399, 399, 399), now=NOW)
    assert sharing.bars() == {1: 400}
    assert [sharing.next_need(room) for room in (0, 220, 289, 290)] == [290, 290, 290, None]
    assert desk.sharing.bars() == {}


def test_a_policy_keeps_nothing_free_for_anybody():
    desk = Desk(record(300))
    assert desk.sharing.reserved() == {}
    assert desk.sharing.wake_at == math.inf
    desk.sharing.advance(NOW)
    assert desk.asked == []


# --- levels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "above"),
    [(0, 100), (99, 100), (100, 300), (299, 300), (300, 500), (499, 500), (500, 500), (501, 501)],
)
def test_the_next_level_above(level, above):
    assert CLAIM.level_above(level) == above


def test_without_levels_all_that_is_wanted_is_next_once_the_minimum_is_there():
    claim = evolve(CLAIM, levels=(), minimum=200)
    assert [claim.level_above(level) for level in (0, 200, 201)] == [200, 500, 500]
    assert evolve(claim, minimum=900).level_above(0) == 500


# --- answers that break a rule -----------------------------------------------------------------

ONE = evolve(CLAIM, wanted=300, levels=(100, 300))
"""Holds all it wants; may go down to 100."""


def broken(claims, capacity: int, *chosen: object) -> str | None:
    """The rule that an answer breaks, if it breaks one."""
    numbered = [evolve(claim, receiver_id=number) for number, claim in enumerate(claims)]
    try:
        check_shares(numbered, capacity, Shares(dict(enumerate(chosen))))
    except ValueError as error:
        return str(error)[:2]
    return None


@pytest.mark.invariant("A1", "L3")
@pytest.mark.parametrize("level", [300.0, True, None, "300"])
def test_a_share_is_a_whole_number(level):
    assert broken([evolve(ONE, lowest=0, minimum=0)], 900, level) == "A1"


@pytest.mark.invariant("A2", "L3")
@pytest.mark.parametrize(
    ("level", "rule"), [(99, "A2"), (100, None), (300, None), (500, None), (501, "A2")]
)
def test_a_share_is_between_the_lowest_and_the_wanted(level, rule):
    inside = evolve(CLAIM, waiting_since=None)
    capacity = max(level, 100)
    assert broken([inside], capacity, level) == rule


@pytest.mark.invariant("A2", "L3")
def test_who_wants_less_than_it_holds_may_keep_it():
    assert broken([evolve(ONE, wanted=200, levels=(100, 200))], 300, 300) is None


@pytest.mark.invariant("A2", "L3")
def test_shares_fit_unless_everybody_is_at_the_lowest():
    assert broken([ONE, ONE], 600, 300, 300) is None
    assert broken([ONE, ONE], 599, 300, 300) == "A2"
    assert broken([ONE, ONE], 150, 100, 100) is None
    assert broken([ONE, ONE], 250, 100, 300) == "A2"


@pytest.mark.invariant("G2", "L3")
def test_nothing_that_would_fit_is_left_out():
    assert broken([CLAIM], 499, 300) is None
    assert broken([CLAIM], 500, 300) == "G2"
    assert broken([evolve(CLAIM, levels=(100, 300, 400, 500))], 400, 300) == "G2"
    assert broken([evolve(CLAIM, levels=(), elastic=True)], 301, 300) == "G2"
    assert broken([evolve(CLAIM, levels=(), elastic=True)], 300, 300) is None


@pytest.mark.invariant("G2", "L3")
def test_a_declared_bar_keeps_back_what_would_fit_up_to_all_that_is_wanted():
    stairs = evolve(CLAIM, levels=(100, 300, 400, 500))
    assert broken([stairs], 450, 300) == "G2"
    check_shares([stairs], 450, Shares({1: 300}, bars={1: 451}))
    with pytest.raises(ValueError, match="G2: 150 bit/s for receiver 1 would fit"):
        check_shares([stairs], 450, Shares({1: 300}, bars={1: 450}))
    check_shares([stairs], 499, Shares({1: 300}, bars={1: 500}))
    with pytest.raises(ValueError, match="G2: the bar of receiver 1 is above all it wants"):
        check_shares([stairs], 499, Shares({1: 300}, bars={1: 501}))


@pytest.mark.invariant("G6", "G8", "L3")
def test_a_bar_counts_for_what_others_hold_as_well():
    higher = evolve(CLAIM, receiver_id=2, priority=1, wanted=600, levels=(100, 300, 500, 600))
    lower = evolve(ONE, receiver_id=3)
    both = {2: 300, 3: 300}  # 200 can be taken from the lower class, and that is a step
    with pytest.raises(ValueError, match="G6"):
        check_shares([higher, lower], 600, Shares(both))
    check_shares([higher, lower], 600, Shares(both, bars={2: 501}))


@pytest.mark.invariant("G2", "G8", "L3")
def test_below_a_minimum_even_the_elastic_want_all_of_it():
    starving = evolve(CLAIM, lowest=0, allocation=0, levels=(), elastic=True)
    assert broken([starving], 99, 0) is None
    assert broken([starving], 100, 0) == "G2"


@pytest.mark.invariant("G6", "L3")
def test_a_lower_class_keeps_nothing_that_a_higher_one_waits_for():
    higher = evolve(CLAIM, priority=1)
    assert broken([ONE, higher], 600, 300, 300) == "G6"
    assert broken([ONE, higher], 599, 299, 300) is None  # 199 are there, 200 are needed
    assert broken([ONE, higher], 600, 100, 500) is None
    assert broken([higher, evolve(ONE, priority=2)], 600, 300, 300) is None
    assert broken([higher, evolve(ONE, priority=1)], 600, 300, 300) is None


@pytest.mark.invariant("G6", "L3")
def test_what_all_lower_classes_and_the_free_room_hold_together_counts():
    small = evolve(ONE, allocation=150, wanted=150, levels=(100, 150))
    higher = evolve(CLAIM, priority=7)
    lower = [evolve(small, priority=priority) for priority in (1, 2, 3)]
    assert broken([*lower, higher], 800, 150, 150, 150, 300) == "G6"  # 3 × 50 and 50 free
    assert broken([*lower, higher], 799, 150, 150, 150, 300) is None


@pytest.mark.invariant("G6", "L3")
def test_minimums_and_what_cannot_be_taken_do_not_count():
    higher = evolve(CLAIM, priority=1)
    kept = evolve(ONE, lowest=300)
    needing = evolve(ONE, lowest=0, minimum=300)
    assert broken([kept, higher], 600, 300, 300) is None
    assert broken([needing, higher], 600, 300, 300) is None


@pytest.mark.invariant("G8", "L3")
def test_nobody_has_more_than_a_minimum_while_anothers_waits():
    starving = evolve(CLAIM, allocation=0, lowest=0)
    assert broken([ONE, starving], 300, 300, 0) == "G8"
    assert broken([evolve(ONE, allocation=199, wanted=199), starving], 199, 199, 0) is None
    assert broken([evolve(ONE, priority=1), starving], 300, 300, 0) is None
    assert broken([ONE, evolve(starving, minimum=200)], 300, 300, 0) == "G8"
    assert broken([ONE, evolve(starving, minimum=201)], 300, 300, 0) is None
    assert broken([ONE, evolve(starving, priority=1)], 300, 300, 0) == "G8"  # a lower class has it


@pytest.mark.invariant("L3")
def test_a_policy_that_raises_or_leaves_somebody_out_is_said_to_have_failed():
    desk = Desk(record(300))
    desk.choose = lambda _: 1 // 0
    with pytest.raises(PolicyError) as caught:
        desk.settle(500)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    sharing = PolicySharing(desk.ledger, lambda _claims, _capacity: Shares({}))
    with pytest.raises(PolicyError):
        sharing.settle(Capacity(500, 500, 500), now=NOW)
