"""Weighted max-min over minimums: against a slow oracle, single rules, and what it costs."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from attrs import evolve
from hypothesis import assume, given, strategies as st

from trio_allocator.engine.policies import Claim, Shares, check_shares
from trio_allocator.engine.water_filling import WaterFillingPolicy

FILL = WaterFillingPolicy()
NO_BAR = WaterFillingPolicy(resume_share=0, resume_least=0)


# --- the oracle ----------------------------------------------------------------------------------


def least(claim: Claim) -> int:
    return min(claim.minimum, claim.wanted)


def bar_of(claim: Claim, share: Fraction, more: int) -> int:
    if not claim.pausable or claim.allocation:
        return 0
    return min(least(claim) + max(math.floor(least(claim) * share), more), claim.wanted)


def ways_up(claim: Claim, level: int) -> list[int]:
    """Every level above this one that is of use, ascending: often one for each bit/s."""
    if claim.levels:
        return [step for step in claim.levels if step > level]
    any_part = claim.wanted if claim.elastic else min(claim.allocation, claim.wanted)
    ways = list(range(level + 1, any_part + 1))
    return ways if max([level, *ways]) >= claim.wanted else [*ways, claim.wanted]


def oracle(claims, capacity: int, *, over="minimums", share=0.1, more=20_000):
    """The rules, walked bit by bit with exact fractions.

    Returns:
        Who gets what, and the bars that keep somebody back.
    """
    level = {claim.receiver_id: claim.lowest for claim in claims}
    bars: dict[int, int] = {}
    room = capacity - sum(level.values())
    for priority in sorted({claim.priority for claim in claims}, reverse=True):
        members = [claim for claim in claims if claim.priority == priority]
        held = [(c.receiver_id, min(c.allocation, least(c)), c) for c in members]
        waited = [
            (math.inf if c.waiting_since is None else c.waiting_since, c.receiver_id, c)
            for c in members
        ]
        queue = [(goal, c) for _, goal, c in sorted(held)]
        for goal, claim in [*queue, *((least(c), c) for _, _, c in sorted(waited))]:
            need = goal - level[claim.receiver_id]
            bar = bar_of(claim, Fraction(share), more) if goal == least(claim) else 0
            if need <= 0:
                continue
            if max(need, bar) <= room:
                room -= need
                level[claim.receiver_id] = goal
            elif bar > goal:
                bars[claim.receiver_id] = bar
        going = {c.receiver_id: c for c in members if level[c.receiver_id] >= least(c)}
        while going:
            turns = []
            for claim in going.values():
                for above in ways_up(claim, level[claim.receiver_id])[:1]:
                    origin = least(claim) if over == "minimums" else 0
                    height = Fraction(above - origin) / Fraction(claim.weight)
                    any_part = not claim.levels and (
                        claim.elastic or above <= min(claim.allocation, claim.wanted)
                    )
                    since = math.inf if claim.waiting_since is None else claim.waiting_since
                    new = above > claim.allocation
                    turns.append((height, any_part, new, since, claim.receiver_id, above))
            if not turns:
                break
            *_, receiver_id, above = min(turns)
            need = above - level[receiver_id]
            if need <= room:
                room -= need
                level[receiver_id] = above
                if not ways_up(going[receiver_id], above):
                    del going[receiver_id]
            else:
                del going[receiver_id]
            going = {i: c for i, c in going.items() if ways_up(c, level[i])}
    return level, bars


RATES = st.integers(0, 60)
WEIGHTS = st.sampled_from([1.0, 1.0, 2.0, 0.5, 3.0, 0.1, 1 / 3])
SINCE = st.none() | st.sampled_from([1.0, 2.0])


@st.composite
def claims(draw, *, rates=RATES, most=6) -> list[Claim]:
    """Claims as the engine makes them."""
    found = []
    for receiver_id in range(1, draw(st.integers(0, most)) + 1):
        allocation, minimum = draw(rates), draw(rates)
        pausable = draw(st.booleans())
        lowest = min(allocation, 0 if pausable else minimum)
        if draw(st.integers(0, 4)) == 0:
            lowest = allocation  # not negotiable, or it refuses
        wanted = max(allocation, draw(rates))
        kind = draw(st.sampled_from(["elastic", "elastic", "plain", "ladder", "ladder", "asked"]))
        levels: set[int] = set()
        if kind == "ladder":
            steps = {*draw(st.lists(rates, max_size=4)), minimum}
            levels = {lowest, allocation, wanted, *(s for s in steps if lowest < s < wanted)}
        elif kind == "asked":
            wanted, minimum = allocation, min(minimum, lowest)
            levels = {lowest, allocation}
        found.append(
            Claim(
                receiver_id=receiver_id,
                priority=draw(st.sampled_from([0, 0, 0, 1, 7])),
                weight=draw(WEIGHTS),
                allocation=allocation,
                lowest=lowest,
                minimum=minimum,
                wanted=wanted,
                levels=tuple(sorted(levels)),
                elastic=kind == "elastic",
                waiting_since=draw(SINCE) if wanted > allocation else None,
                pausable=pausable,
            )
        )
    return found


BARS = st.sampled_from([(0.0, 0), (0.1, 20), (0.5, 0), (0.1, 20_000)])
CAPACITIES = st.integers(0, 400)
OVER = st.sampled_from(["minimums", "minimums", "nothing"])


def policy_with(bar, over="minimums") -> WaterFillingPolicy:
    return WaterFillingPolicy(over=over, resume_share=bar[0], resume_least=bar[1])


@given(claims(), CAPACITIES, BARS, OVER)
def test_it_is_what_filling_bit_by_bit_comes_to(claims, capacity, bar, over):
    shares = policy_with(bar, over)(claims, capacity)
    level, bars = oracle(claims, capacity, over=over, share=bar[0], more=bar[1])
    assert (dict(shares.allocations), dict(shares.bars)) == (level, bars)
    check_shares(claims, capacity, shares)


@pytest.mark.invariant("C2")
@given(claims(), CAPACITIES, BARS, OVER, st.integers(-30, 30))
def test_its_range_is_as_wide_as_the_answer_is_the_same(claims, capacity, bar, over, change):
    policy = policy_with(bar, over)
    shares = policy(claims, capacity)
    assert shares.lowest <= capacity <= shares.highest
    other = policy(claims, capacity + change)
    inside = shares.lowest <= capacity + change <= shares.highest
    assert (other == shares) == inside
    assert (other.allocations == shares.allocations) == inside


@pytest.mark.invariant("G4")
@given(claims(), CAPACITIES, OVER, st.integers(1, 50))
def test_more_capacity_is_worth_more(claims, capacity, over, more):
    policy = policy_with((0, 0), over)
    smaller, larger = policy(claims, capacity), policy(claims, capacity + more)
    assert worth(claims, larger) >= worth(claims, smaller)


def worth(claims, shares: Shares) -> list[int]:
    """Class by class from the highest: what the minimums are worth, then the rest."""
    found = []
    for priority in sorted({claim.priority for claim in claims}, reverse=True):
        members = [(c, shares.allocations[c.receiver_id]) for c in claims if c.priority == priority]
        within = sum(min(level, least(claim)) for claim, level in members)
        found += [within, sum(level for _, level in members) - within]
    return found


@pytest.mark.invariant("G4")
@given(claims(), CAPACITIES, st.integers(1, 50))
def test_of_continuous_claims_each_has_more_of_more(claims, capacity, more):
    continuous = [evolve(c, levels=(), elastic=True, minimum=c.lowest) for c in claims]
    smaller, larger = NO_BAR(continuous, capacity), NO_BAR(continuous, capacity + more)
    # Lower classes are worth nothing beside higher ones, so this is for one class.
    assume(len({claim.priority for claim in claims}) <= 1)
    assert all(larger.allocations[i] >= level for i, level in smaller.allocations.items())


@pytest.mark.invariant("G5")
@given(claims(), CAPACITIES, BARS, st.randoms(use_true_random=False))
def test_the_order_of_the_claims_decides_nothing(claims, capacity, bar, random):
    shuffled = random.sample(claims, len(claims))
    assert policy_with(bar)(shuffled, capacity) == policy_with(bar)(claims, capacity)


@pytest.mark.invariant("G7")
@given(claims(), CAPACITIES, BARS, OVER, st.integers(2, 50))
def test_it_scales_up_to_whole_bits(claims, capacity, bar, over, k):
    one = policy_with(bar, over)(claims, capacity)
    many = policy_with((bar[0], bar[1] * k), over)([scaled(c, k) for c in claims], capacity * k)
    whole = all(claim.levels for claim in claims)
    for claim in claims:
        times = one.allocations[claim.receiver_id] * k
        if whole:
            assert many.allocations[claim.receiver_id] == times


def scaled(claim: Claim, k: int) -> Claim:
    return evolve(
        claim,
        allocation=claim.allocation * k,
        lowest=claim.lowest * k,
        minimum=claim.minimum * k,
        wanted=claim.wanted * k,
        levels=tuple(level * k for level in claim.levels),
    )


@pytest.mark.invariant("G3")
@given(claims(), CAPACITIES, BARS, OVER)
def test_who_has_come_to_its_answer_has_it_again(claims, capacity, bar, over):
    policy = policy_with(bar, over)
    shares = policy(claims, capacity)
    settled = []
    for claim in claims:
        level = shares.allocations[claim.receiver_id]
        levels = {level, *(step for step in claim.levels if step != claim.allocation)}
        lowest = min(claim.lowest, level)
        since = claim.waiting_since if level < claim.wanted else None
        settled.append(
            evolve(
                claim,
                allocation=level,
                lowest=level if claim.lowest == claim.allocation else lowest,
                levels=tuple(sorted(levels)) if claim.levels else (),
                waiting_since=since,
            )
        )
    assert policy(settled, capacity).allocations == shares.allocations
