"""A policy of the user's can do no harm: whatever it answers, an event ends (L3)."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings, strategies as st

from tests.engine.support import NOW, joined, opened
from trio_allocator import LayeredPolicy
from trio_allocator.engine.settlement import MOST_ROUNDS
from trio_allocator.policies.policy import Shares
from trio_allocator.report.status import snapshot

pytestmark = pytest.mark.invariant("L3")

CALLS_IN_A_ROUND = 2
"""Once with those who refused where they are, and once with all that they could give."""


class Whimsical:
    """Pure, and of another mind for every other state: it fills in an order that the state decides.

    Its answers keep the rules, more or less; where they do not, it is replaced.
    """

    def __init__(self, seed: int, *, keeps_rules: bool) -> None:
        self.seed = seed
        self.keeps_rules = keeps_rules
        self.calls = 0

    def __call__(self, claims, capacity):
        self.calls += 1
        state = repr((self.seed, capacity, sorted(map(repr, claims))))
        chance = random.Random(state)
        if not self.keeps_rules and chance.random() < 0.05:
            return nonsense(chance.randrange(7), claims, capacity)
        levels = {c.receiver_id: c.lowest for c in claims}
        left = capacity - sum(levels.values())
        order = sorted(claims, key=lambda c: (-c.priority, chance.random()))
        for minimums in (True, False):
            for claim in order:
                most = min(claim.minimum, claim.wanted) if minimums else claim.wanted
                possible = [s for s in (*claim.levels, claim.wanted, most) if s <= most]
                for step in sorted(set(possible), reverse=True):
                    more = step - levels[claim.receiver_id]
                    if 0 < more <= left:
                        levels[claim.receiver_id] = step
                        left -= more
                        break
        if chance.random() < 0.5:
            claims.clear()  # the list is its own
        return Shares(levels)


def nonsense(which: int, claims, capacity):
    """Something that is no answer."""
    if which == 0:
        raise NamelessError
    if which < 3:
        return None if which == 1 else {}
    levels = {c.receiver_id: c.lowest for c in claims}
    if which == 3:
        return Shares(dict.fromkeys(levels, capacity))
    if which == 4:
        return Shares(levels, bars=dict.fromkeys([*levels, -1], math.nan))
    if which == 5:
        return Shares(levels, lowest=math.nan)
    claims.clear()
    return Shares({})


class NamelessError(Exception):
    def __repr__(self) -> str:
        raise NotImplementedError


def calls_of(policy: Whimsical, act) -> int:
    before = policy.calls
    act()
    return policy.calls - before


@settings(max_examples=150)
@given(
    st.integers(0, 10**6),
    st.booleans(),
    st.lists(
        st.tuples(
            st.sampled_from(["request", "estimate", "answer", "reject", "time", "leave"]),
            st.integers(0, 5),
            st.sampled_from([0, 165, 330, 550, 900, 1_500, 2_750, 4_000]),
        ),
        max_size=25,
    ),
)
def test_every_event_ends_after_a_bounded_number_of_rounds(seed, keeps_rules, events):
    policy = Whimsical(seed, keeps_rules=keeps_rules)
    engine = opened(2_000, policy)
    cast = [
        joined(engine, 165, 150, 500, 2_500, pausable=True),
        joined(engine, 0, 150, 500, 2_500),
        joined(engine, 550, 150, 500, priority=1),
        joined(engine, 77, elastic=True),
        joined(engine, 300, 100, 300, negotiable=False),
        joined(engine, 0),
    ]
    now = NOW
    # A look before the event at what time has brought, and one or two looks at the event itself.
    most = 3 * CALLS_IN_A_ROUND * (MOST_ROUNDS + 1)
    for what, who, rate in events:
        now += 0.01
        receiver = cast[who]
        gone = receiver.id not in engine.ledger
        if what == "estimate":
            spent = calls_of(policy, lambda r=rate, n=now: engine.update_estimate(n, r))
        elif what == "time":
            now += 1.0
            spent = calls_of(policy, lambda n=now: engine.advance(n))
        elif gone:
            continue
        elif what == "leave":
            spent = calls_of(policy, lambda r=receiver, n=now: engine.leave(n, r))
        elif what == "request":
            spent = calls_of(policy, lambda r=receiver, b=rate, n=now: engine.request(n, r, b))
        elif receiver.request is None:
            continue
        else:
            number, limit = receiver.request.id, receiver.request.limit
            accepted = what == "answer"
            spent = calls_of(
                policy,
                lambda r=receiver, i=number, n=now, a=accepted, b=limit: engine.answer(
                    n, r, i, accepted=a, bitrate=b if a else None
                ),
            )
        assert spent <= most, f"{spent} calls in one {what}"
        assert engine.ledger.committed == sum(r.allocation for r in engine.ledger)
    if snapshot(engine).policy_fault is None:
        return
    calls = policy.calls
    engine.update_estimate(now + 1, 3_000)
    assert policy.calls == calls, "and the one that failed is not asked again"


def round_robin(claims, capacity) -> Shares:
    """One step for each in turn: its answers run in a cycle when requests are withdrawn."""
    held = {claim.receiver_id: claim.lowest for claim in claims}
    left = capacity - sum(held.values())
    moved = True
    while moved:
        moved = False
        for claim in claims:
            now = held[claim.receiver_id]
            steps = [s for s in claim.levels if s > now] if claim.levels else [claim.wanted]
            for step in steps:
                if 0 < step - now <= left:
                    held[claim.receiver_id] = step
                    left -= step - now
                    moved = True
                    break
    return Shares(held)


def test_answers_in_a_cycle_are_noticed_reported_and_followed_by_a_simple_sharing():
    engine = opened(5_500_000, round_robin)
    rates = (150_000, 500_000, 2_500_000)
    cameras = [joined(engine, held, *rates) for held in (165_000, 0)]
    cameras.append(joined(engine, 550_000, *rates, negotiable=False))
    plain = joined(engine, 77_777)
    for camera in cameras:
        engine.request(NOW, camera, 2_750_000)
    engine.request(NOW, plain, 2_750_000)
    fault = snapshot(engine).policy_fault
    assert fault is not None
    assert "had not settled after 16 rounds" in str(fault)
    assert engine.ledger.committed <= 5_500_000


@given(
    st.lists(st.floats() | st.just(10**400) | st.none(), min_size=1, max_size=6),
    st.lists(st.sampled_from([0, 300, 700, 1_500, 2_900]), max_size=12),
)
def test_whatever_a_utility_says_the_estimate_is_shared(values, estimates):
    def worth(bitrate):
        return values[bitrate % len(values)]

    engine = opened(2_000, LayeredPolicy(worth))
    cast = [joined(engine, 0, 150, 300 + 100 * n, 1_000, pausable=True) for n in range(4)]
    now = NOW
    for estimate in [estimate for estimate in estimates for _ in range(3)]:  # no mere dip
        now += 5.0
        engine.update_estimate(now, estimate)
        for receiver in cast:
            if receiver.request is not None:
                number, limit = receiver.request.id, receiver.request.limit
                engine.answer(now, receiver, number, accepted=True, bitrate=limit)
        for receiver in cast:
            if receiver.request is None:
                engine.request(now, receiver, 1_100)
        assert engine.ledger.committed == sum(receiver.allocation for receiver in cast)
    if estimates:
        assert engine.ledger.committed <= estimates[-1]
