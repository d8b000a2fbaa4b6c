"""One receiver in the books: its steps up and down, its floor, and what it wants."""

from __future__ import annotations

import pytest

from tests.engine.support import ladder, record
from trio_allocator.engine.negotiation import Negotiation, NegotiationEvent, Request

STEPS = (110, 330, 550)  # of the ladder 100, 300, 500


def laddered(bandwidth: int = 0, **options):
    return record(bandwidth, 100, 300, 500, **options)


def wanting(receiver, claim: int):
    receiver.set_claim(claim)
    return receiver


def test_at_first_it_holds_and_wants_what_it_came_with():
    receiver = laddered(330)
    assert (receiver.allocation, receiver.projected, receiver.claim, receiver.want) == (330,) * 4
    assert (receiver.negotiation, receiver.request, receiver.refusal) == (
        Negotiation.IDLE,
        None,
        None,
    )
    assert (receiver.last_request, receiver.answered, receiver.overtaken) == (0, (), 0)
    assert receiver.waiting_since is receiver.held_until is None


@pytest.mark.invariant("G8")
@pytest.mark.parametrize(
    ("least", "minimum"), [(0, 110), (1, 110), (110, 110), (111, 330), (550, 550), (551, 551)]
)
def test_the_minimum_is_the_lowest_step_that_reaches_what_is_asked_for(least, minimum):
    receiver = laddered(min_bitrate=least)
    assert receiver.minimum == receiver.floor == minimum
    assert laddered(min_bitrate=least, pausable=True).floor == 0


def test_without_a_ladder_the_minimum_is_what_is_asked_for():
    assert (record(0).minimum, record(0, min_bitrate=70).minimum) == (0, 70)


@pytest.mark.parametrize(
    ("claim", "want"), [(400, 400), (401, 330), (549, 330), (10_000, 330), (100, 100)]
)
def test_a_cap_cuts_a_claim_to_a_step(claim, want):
    assert wanting(laddered(max_bitrate=400), claim).want == want


def test_a_cap_that_is_a_step_allows_it_and_one_below_all_steps_allows_nothing():
    assert wanting(laddered(max_bitrate=330), 9_999).want == 330
    assert wanting(laddered(max_bitrate=109), 9_999).want == 0
    assert wanting(record(0, max_bitrate=109), 9_999).want == 109


def test_a_new_ladder_or_cap_judges_the_same_claim_afresh():
    receiver = wanting(laddered(), 10_000)
    receiver.configure(ladder(200), receiver.options.changed({"max_bitrate": 300}))
    assert (receiver.claim, receiver.want, receiver.steps, receiver.minimum) == (
        10_000,
        220,
        (220,),
        220,
    )


@pytest.mark.parametrize(
    ("options", "held", "lowest"),
    [
        ({}, 330, 110),
        ({}, 50, 50),
        ({"pausable": True}, 330, 0),
        ({"negotiable": False}, 330, 330),
    ],
)
@pytest.mark.invariant("A5")
def test_how_far_down_it_could_be_brought(options, held, lowest):
    assert laddered(held, **options).lowest == lowest


@pytest.mark.parametrize(
    ("level", "above"), [(0, 110), (109, 110), (110, 330), (329, 330), (330, 400), (399, 400)]
)
def test_the_next_step_up_ends_at_what_it_wants(level, above):
    assert wanting(laddered(), 400).step_above(level) == above


def test_the_next_step_up_is_the_minimum_first_or_less_if_it_wants_less():
    assert wanting(laddered(min_bitrate=300), 550).step_above(0) == 330
    assert wanting(laddered(min_bitrate=300), 250).step_above(0) == 250
    assert wanting(laddered(), 110).step_above(0) == 110
    assert wanting(record(0), 77).step_above(5) == 77


@pytest.mark.parametrize(
    ("level", "below"), [(551, 550), (550, 330), (331, 330), (330, 110), (110, 110), (100, 100)]
)
def test_the_next_step_down_ends_at_the_minimum(level, below):
    assert laddered().step_below(level, 10**9) == below


def test_only_who_is_pausable_goes_below_its_minimum_and_then_to_nothing():
    assert laddered(pausable=True).step_below(330, 1) == 110
    assert laddered(pausable=True).step_below(110, 1) == 0
    assert laddered(min_bitrate=300).step_below(550, 1) == 330


def test_a_minimum_above_all_steps_is_the_last_stop():
    assert laddered(min_bitrate=600).step_below(700, 1) == 600


def test_between_no_steps_the_minimum_is_next():
    assert record(0, 500, min_bitrate=600).step_below(650, 1) == 600
    assert laddered(pausable=True, min_bitrate=0).step_below(111, 1) == 110


@pytest.mark.parametrize(
    ("level", "need", "below"),
    [(1_000, 10, 990), (1_000, 250, 750), (1_000, 251, 750), (3, 9, 2), (1_003, 999, 753)],
)
@pytest.mark.invariant("N7")
def test_without_a_ladder_it_goes_down_by_what_is_needed_or_a_quarter(level, need, below):
    assert record(0).step_below(level, need) == below


def test_without_a_ladder_it_does_not_go_below_its_minimum():
    assert record(0, min_bitrate=900).step_below(1_000, 999) == 900


def test_its_rank_is_how_many_steps_it_has():
    assert [laddered().rank(level) for level in (0, 109, 110, 329, 550, 999)] == [0, 0, 1, 1, 3, 3]


@pytest.mark.invariant("N2")
def test_an_event_that_means_nothing_now_changes_nothing():
    receiver = laddered()

    def after(event: NegotiationEvent) -> tuple[bool, Negotiation]:
        return receiver.step(event), receiver.negotiation

    assert after(NegotiationEvent.ACCEPT) == (False, Negotiation.IDLE)
    assert after(NegotiationEvent.ASK) == (True, Negotiation.ASKED)
    receiver.request = Request(1, 2, 3, 4.0)
    assert after(NegotiationEvent.ASK) == (False, Negotiation.ASKED)
    assert after(NegotiationEvent.ACCEPT) == (True, Negotiation.PLEDGED)
    assert receiver.request is not None
    assert after(NegotiationEvent.DEADLINE) == (True, Negotiation.IDLE)
    assert receiver.request is None
