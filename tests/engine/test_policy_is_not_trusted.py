"""A policy of the user's is called as a function and believed in nothing else (L3)."""

from __future__ import annotations

import functools
import math
import re
from unittest.mock import Mock

import pytest

from tests.engine.support import NOW, joined, opened
from trio_allocator import LayeredPolicy, Track, open_allocator
from trio_allocator.engine.sharing.first_fit import FirstFit
from trio_allocator.engine.sharing.registry import POLICIES, chosen_policy
from trio_allocator.policies.policy import Shares, is_cautious
from trio_allocator.policies.water_filling import WaterFillingPolicy
from trio_allocator.report.status import snapshot

pytestmark = pytest.mark.invariant("L3")

WATER = WaterFillingPolicy()


class Unspeakable:
    """It has no `repr`."""

    def __repr__(self) -> str:
        raise RuntimeError("no name")


class UnspeakableError(Unspeakable, Exception):
    pass


def fault_of(policy, **options) -> str | None:
    """What an allocator reports of a policy that was asked for one camera; its books are sound."""
    engine = opened(5_000, policy)
    camera = joined(engine, 0, 150, 500, **options)
    engine.request(NOW, camera, 550)
    assert camera.allocation == 550
    engine.update_estimate(NOW + 1, 5_001)
    return snapshot(engine).policy_fault


# --- its claims ------------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", [0, (2, 1)])
def test_a_policy_may_consume_its_list_of_claims(priority):
    def greedy(claims, capacity):
        levels = {claim.receiver_id: claim.lowest for claim in claims}
        left = capacity - sum(levels.values())
        claims.sort(key=lambda claim: claim.wanted)
        while claims:
            claim = claims.pop(0)
            if claim.wanted - claim.lowest <= left:
                levels[claim.receiver_id] = claim.wanted
                left -= claim.wanted - claim.lowest
        return Shares(levels)

    assert fault_of(greedy, priority=priority) is None


@pytest.mark.parametrize("priority", [0, (2, 1)])
def test_claims_that_it_throws_away_are_missed_in_its_answer(priority):
    def nothing(claims, capacity):
        claims.clear()
        return Shares({})

    assert "no share to receiver" in (fault_of(nothing, priority=priority) or "")


# --- its name --------------------------------------------------------------------------------------


class UnspeakablePolicy(Unspeakable):
    def __call__(self, claims, capacity):
        raise UnspeakableError


def test_a_policy_without_a_repr_is_replaced_and_reported():
    fault = fault_of(UnspeakablePolicy())
    assert fault is not None
    assert "<UnspeakablePolicy, whose repr fails>" in fault
    assert "<UnspeakableError, whose repr fails>" in fault


def test_a_utility_without_a_repr_is_replaced_and_reported():
    engine = opened(600, LayeredPolicy(UnspeakablePolicy().__call__))
    cameras = [joined(engine, 0, 150, 500) for _ in range(3)]
    for camera in cameras:
        engine.request(NOW, camera, 550)
    fault = snapshot(engine).policy_fault
    assert fault is not None
    assert "<method, whose repr fails>" in fault


def test_what_is_refused_at_the_call_needs_no_repr():
    with pytest.raises(TypeError, match="not <Unspeakable, whose repr fails>"):
        chosen_policy(Unspeakable())
    with pytest.raises(TypeError, match="not <Unspeakable, whose repr fails>"):
        LayeredPolicy(Unspeakable())


async def test_an_allocator_outlives_a_policy_that_can_not_be_shown(autojump_clock):
    async with open_allocator(policy=UnspeakablePolicy(), initial_estimate=1e6) as allocator:
        camera = allocator.register_track_receiver(Track("camera", variants={"low": 150_000}))
        camera.request_allocation(165_000)
        assert camera.allocation == 165_000
        assert "whose repr fails" in str(allocator.status.policy_fault)


# --- its kind --------------------------------------------------------------------------------------


class Delegating:
    """It wraps a policy, and passes on whatever else is asked of it."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self.wrapped, name)

    def __call__(self, claims, capacity):
        self.calls += 1
        return self.wrapped(claims, capacity)


class Pretending(Delegating):
    """So does a proxy that claims to be of the class that it wraps."""

    @property
    def __class__(self):
        return LayeredPolicy


class Named(LayeredPolicy):
    """It has attributes of its own, which mean nothing to an allocator."""

    sharing = 0.5


class Mindful(LayeredPolicy):
    def __init__(self):  # its own affair
        self.calls = 0

    def __call__(self, claims, capacity):
        self.calls += 1
        return super().__call__(claims, capacity)


@pytest.mark.parametrize(
    "policy", [Delegating(LayeredPolicy()), Pretending(LayeredPolicy()), Mindful()]
)
def test_what_wraps_a_policy_is_called(policy):
    assert fault_of(policy) is None
    assert policy.calls


def test_a_mock_around_a_policy_is_called():
    policy = Mock(wraps=LayeredPolicy())
    assert fault_of(policy) is None
    assert policy.called


@pytest.mark.parametrize("policy", [LayeredPolicy(), Named(), POLICIES["fair"]])
def test_the_function_of_the_default_policy_is_served_by_its_index(policy):
    engine = opened(5_000, policy)
    assert isinstance(engine.settlement.sharing, FirstFit)
    assert fault_of(policy) is None


def test_an_attribute_called_sharing_means_nothing():
    class Own(WaterFillingPolicy):
        def sharing(self, claims):
            return claims

    policy = Delegating(Own())
    assert fault_of(policy) is None
    assert policy.calls
    assert fault_of(Own()) is None


def test_caution_is_what_the_class_of_a_policy_says():
    class Bold(WaterFillingPolicy):
        cautious = False

    assert not is_cautious(chosen_policy(Bold()))
    assert is_cautious(chosen_policy(WATER))
    assert is_cautious(chosen_policy("layered"))
    assert not is_cautious(chosen_policy("fair"))
    assert is_cautious(chosen_policy(Delegating(POLICIES["fair"])))


class Doubtful(WaterFillingPolicy):
    cautious = 0.5


async def answers_later(claims, capacity):
    return WATER(claims, capacity)


class AnswersLater:
    async def __call__(self, claims, capacity):
        return WATER(claims, capacity)


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (LayeredPolicy, r"class '.*LayeredPolicy'> is a class: make one of it, LayeredPolicy\(\)"),
        (lambda claims: Shares({}), "policy must take claims and a capacity, which .*lambda"),
        (lambda: Shares({}), "policy must take claims and a capacity"),
        (answers_later, "policy must answer at once, and .*answers_later.* is an async function"),
        (AnswersLater(), "policy must answer at once"),
        (Doubtful(), "cautious of the class of a policy must be True or False, not 0.5; rename"),
    ],
)
def test_what_can_not_be_asked_is_refused_at_the_call(policy, message):
    with pytest.raises(TypeError, match=message):
        open_allocator(policy=policy)


@functools.wraps(joined)
def wrapped(claims, capacity):
    return WATER(claims, capacity)


@pytest.mark.parametrize("policy", [wrapped, functools.partial(WATER), WATER.__call__, max])
def test_what_can_be_called_with_claims_and_a_capacity_is_taken(policy):
    assert chosen_policy(policy) is policy


# --- its numbers -----------------------------------------------------------------------------------


@pytest.mark.invariant("A1", "G2")
@pytest.mark.parametrize("priority", [0, (2, 1)])
@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ({"lowest": math.nan}, "lowest must be a number of bit/s, not nan"),
        ({"highest": math.nan}, "highest must be a number of bit/s, not nan"),
        ({"lowest": "low"}, "TypeError"),
        ({"bars": {99: 10**30}}, "G2: there is a bar for 99, and no such claim"),
        ({"bars": {"x": "y"}}, "G2: there is a bar for 'x', and no such claim"),
        ({"bars": {1: 200.5}}, "G2: the bar of receiver 1 is 200.5"),
        ({"bars": {1: math.nan}}, "G2: the bar of receiver 1 is nan"),
        ({"bars": {1: True}}, "G2: the bar of receiver 1 is True"),
        ({"bars": {1: -1}}, "G2: the bar of receiver 1 is -1"),
        ({"bars": {1: 551}}, "G2: the bar of receiver 1 is above all it wants"),
    ],
)
def test_an_answer_with_nonsense_in_it_is_replaced_and_reported(extra, fault, priority):
    def policy(claims, capacity):
        return Shares(WATER(claims, capacity).allocations, **extra)

    assert fault in (fault_of(policy, priority=priority) or "nothing")
    assert fault_of(WATER, priority=priority) is None


@pytest.mark.parametrize("priority", [0, (2, 1)])
def test_an_answer_that_is_no_shares_is_looked_at_as_closely(priority):
    class Answer:
        def __init__(self, allocations):
            self.allocations, self.bars = allocations, {}
            self.lowest = self.highest = math.nan

    def policy(claims, capacity):
        return Answer(WATER(claims, capacity).allocations)

    assert "not nan" in (fault_of(policy, priority=priority) or "nothing")


class Much(int):
    """It is less than anything."""

    def __le__(self, other):
        return True

    def __radd__(self, other):
        return other


def test_numbers_that_are_of_another_mind_are_none():
    def policy(claims, capacity):
        return Shares({claim.receiver_id: Much(10**9) for claim in claims})

    assert "A1: the share of receiver 1 is 1000000000" in (fault_of(policy) or "nothing")


@pytest.mark.parametrize(
    ("worth", "fault"),
    [
        (lambda bitrate: math.nan, "a utility of nan: not finite, or negative"),
        (lambda bitrate: math.inf, "a utility of inf: not finite, or negative"),
        (lambda bitrate: -bitrate, "a utility of -[0-9.]+: not finite, or negative"),
        (lambda bitrate: 1 / (1 + bitrate), "[0-9]+ bit/s have .*: it must never fall"),
        (lambda bitrate: 10**400, "OverflowError"),
        (lambda bitrate: "much", "could not convert string"),
        (lambda bitrate: None, "TypeError"),
        (lambda bitrate: 1j, "TypeError"),
    ],
)
def test_a_utility_that_is_none_is_replaced_and_reported(worth, fault):
    engines = [opened(600, policy) for policy in (LayeredPolicy(worth), POLICIES["fair"])]
    for engine in engines:
        for _ in range(5):
            engine.request(NOW, joined(engine, 0, 150, 500), 550)
    replaced, fair = engines
    found = snapshot(replaced).policy_fault
    assert found is not None
    assert re.search(fault, found)
    shares = [[receiver.allocation for receiver in engine.ledger] for engine in engines]
    assert shares[0] == shares[1]
    assert snapshot(fair).policy_fault is None
    asked = opened(600, Delegating(LayeredPolicy(worth)))
    for _ in range(5):
        asked.request(NOW, joined(asked, 0, 150, 500), 550)
    assert re.search(fault, snapshot(asked).policy_fault or "nothing")


@pytest.mark.parametrize(
    "worth",
    [
        float,
        lambda bitrate: 1,
        lambda bitrate: bitrate > 200,
        lambda bitrate: 1.0 - 1e-12 * (bitrate > 200),
    ],
)
def test_a_utility_may_be_any_number_that_falls_by_no_more_than_is_rounded(worth):
    engine = opened(600, LayeredPolicy(worth))
    for _ in range(5):
        engine.request(NOW, joined(engine, 0, 150, 500), 550)
    assert snapshot(engine).policy_fault is None
