"""One round of answers: nobody is asked anew before all have answered."""

from itertools import permutations

import pytest

from tests.engine.support import NOW, asked, joined, opened
from tests.engine.test_metamorphic import first_fit
from trio_allocator.policies.water_filling import WaterFillingPolicy

FALLEN = 2750 + 550 + 550 + 165


def fallen(policy=None):
    """Four that held their highest step are asked, each for what leaves room for one of these."""
    engine = opened(11_000, policy=policy)
    cameras = [joined(engine, 2750, 150, 500, 2500) for _ in range(4)]
    engine.update_estimate(NOW, FALLEN)
    limits = asked(engine.drain())
    assert len(limits) > 2
    return engine, cameras, limits


def comply(engine, receiver, limit, *, at_once=True):
    if at_once:
        engine.answer(NOW, receiver, receiver.request.id, accepted=True, bitrate=limit)
    else:
        engine.answer(NOW, receiver, receiver.request.id, accepted=True)
        engine.request(NOW, receiver, limit)


def ended(order, refuser, at_once):
    engine, cameras, limits = fallen()
    for index in order:
        receiver = cameras[index]
        if receiver.id in limits and index == refuser:
            engine.answer(NOW, receiver, receiver.request.id, accepted=False)
        elif receiver.id in limits:
            comply(engine, receiver, limits[receiver.id], at_once=at_once)
    while limits := asked(engine.drain()):
        for receiver in cameras:
            if receiver.id in limits:
                comply(engine, receiver, limits[receiver.id], at_once=at_once)
    return [receiver.allocation for receiver in cameras]


@pytest.mark.invariant("G5")
@pytest.mark.parametrize("refuser", range(4))
def test_in_which_order_and_form_all_answer_decides_nothing(refuser):
    outcomes = [
        ended(order, refuser, at_once)
        for order in permutations(range(4))
        for at_once in (True, False)
    ]
    assert sum(outcomes[0]) <= FALLEN
    assert all(outcome == outcomes[0] for outcome in outcomes)


def with_an_open_round():
    """The first has complied, and could give more; the second refused; others owe an answer."""
    engine, cameras, limits = fallen()
    answering = [receiver for receiver in cameras if receiver.id in limits]
    comply(engine, answering[0], limits[answering[0].id])
    refuser = answering[1]
    engine.answer(NOW, refuser, refuser.request.id, accepted=False)
    assert asked(engine.drain()) == {}
    return engine, answering[0], refuser


@pytest.mark.invariant("G3", "G5")
def test_a_request_that_says_nothing_new_asks_nobody():
    engine, _, refuser = with_an_open_round()
    engine.request(NOW, refuser, refuser.claim)
    assert asked(engine.drain()) == {}


@pytest.mark.invariant("N3")
@pytest.mark.parametrize("event", ["a new claim", "the estimate"])
def test_any_other_event_asks_who_is_needed_at_once(event):
    engine, giver, refuser = with_an_open_round()
    if event == "a new claim":
        engine.request(NOW, refuser, refuser.claim + 1)
    else:
        engine.update_estimate(NOW, FALLEN)
    assert giver.id in asked(engine.drain())


@pytest.mark.invariant("N2", "N7")
def test_with_a_policy_too_who_was_asked_stays_asked():
    engine, cameras, limits = fallen(first_fit)
    answering = [receiver for receiver in cameras if receiver.id in limits]
    comply(engine, answering[0], limits[answering[0].id])
    assert all(receiver.request is not None for receiver in answering[1:])


@pytest.mark.invariant("G5", "N7")
def test_when_the_last_request_is_withdrawn_nobody_is_waited_for_any_more():
    asked_of = []

    def policy(claims, capacity):
        asked_of.append({claim.receiver_id: claim.lowest for claim in claims})
        return WaterFillingPolicy()(claims, capacity)

    engine = opened(600, policy)
    one, other = (joined(engine, 300, elastic=True) for _ in range(2))
    engine.update_estimate(NOW, 400)
    assert asked(engine.drain()) == {one.id: 200, other.id: 200}
    engine.answer(NOW, one, one.request.id, accepted=True, bitrate=50)
    assert other.request is None
    assert (one.allocation, other.allocation) == (50, 300)
    assert asked_of[-2:] == [{one.id: 50, other.id: 300}, {one.id: 0, other.id: 0}]
