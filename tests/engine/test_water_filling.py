"""Weighted max-min over minimums: against a slow oracle, single rules, and what it costs."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from attrs import evolve
from hypothesis import assume, given, strategies as st

from tests.engine.support import NOW, joined, opened
from trio_allocator.policies.policy import Claim, Shares, check_shares
from trio_allocator.policies.water_filling import WaterFillingPolicy
from trio_allocator.report.status import snapshot

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
    any_part = claim.wanted if claim.elastic else claim.allocation
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
        waited = [(c.waiting_since or 0.0, c.receiver_id, c) for c in members]
        queue = [(goal, c) for _, goal, c in sorted(held)]
        for goal, claim in [*queue, *((least(c), c) for _, _, c in sorted(waited))]:
            need = goal - level[claim.receiver_id]
            bar = bar_of(claim, Fraction(share), more) if goal == least(claim) else 0
            if need <= 0:
                continue
            if need <= room and (claim.planned or bar <= room):
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
                    new = above > claim.allocation
                    counted = above if new or not claim.levels else above * Fraction(10, 11)
                    height = (counted - origin) / Fraction(claim.weight)
                    any_part = not claim.levels and (claim.elastic or above <= claim.allocation)
                    since = (claim.waiting_since or 0.0) if new else 0.0
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
                planned=wanted > allocation and draw(st.integers(0, 3)) == 0,
            )
        )
    return found


BARS = st.sampled_from([(0.0, 0), (0.1, 20), (0.5, 0), (0.1, 20_000)])


@st.composite
def scarcities(draw) -> tuple[list[Claim], int]:
    """Claims, and mostly a capacity that is enough for some of what they want."""
    found = draw(claims())
    lowest, wanted = sum(c.lowest for c in found), sum(c.wanted for c in found)
    return found, draw(st.integers(lowest, wanted) | st.integers(0, 400))


OVER = st.sampled_from(["minimums", "minimums", "nothing"])


def policy_with(bar, over="minimums") -> WaterFillingPolicy:
    return WaterFillingPolicy(over=over, resume_share=bar[0], resume_least=bar[1])


@given(scarcities(), BARS, OVER)
def test_it_is_what_filling_bit_by_bit_comes_to(scarcity, bar, over):
    claims, capacity = scarcity
    shares = policy_with(bar, over)(claims, capacity)
    level, bars = oracle(claims, capacity, over=over, share=bar[0], more=bar[1])
    assert (dict(shares.allocations), dict(shares.bars)) == (level, bars)
    check_shares(claims, capacity, shares)


@pytest.mark.invariant("C2")
@given(scarcities(), BARS, OVER, st.integers(-30, 30))
def test_its_range_is_as_wide_as_the_answer_is_the_same(scarcity, bar, over, change):
    claims, capacity = scarcity
    policy = policy_with(bar, over)
    shares = policy(claims, capacity)
    assert shares.lowest <= capacity <= shares.highest
    other = policy(claims, capacity + change)
    inside = shares.lowest <= capacity + change <= shares.highest
    assert (other == shares) == inside
    assert (other.allocations == shares.allocations) == inside


@pytest.mark.invariant("G4")
@given(scarcities(), OVER, st.integers(1, 50))
def test_more_capacity_is_worth_more(scarcity, over, more):
    claims, capacity = scarcity
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
@given(scarcities(), st.integers(1, 50))
def test_of_continuous_claims_each_has_more_of_more(scarcity, more):
    claims, capacity = scarcity
    continuous = [evolve(c, levels=(), elastic=True, minimum=c.lowest) for c in claims]
    smaller, larger = NO_BAR(continuous, capacity), NO_BAR(continuous, capacity + more)
    # Lower classes are worth nothing beside higher ones, so this is for one class.
    assume(len({claim.priority for claim in claims}) <= 1)
    assert all(larger.allocations[i] >= level for i, level in smaller.allocations.items())


@pytest.mark.invariant("G5")
@given(scarcities(), BARS, st.randoms(use_true_random=False))
def test_the_order_of_the_claims_decides_nothing(scarcity, bar, random):
    claims, capacity = scarcity
    shuffled = random.sample(claims, len(claims))
    assert policy_with(bar)(shuffled, capacity) == policy_with(bar)(claims, capacity)


@pytest.mark.invariant("G7")
@given(scarcities(), BARS, OVER, st.integers(2, 50))
def test_ladders_scale(scarcity, bar, over, k):
    claims, capacity = scarcity
    ladders = [c if c.levels else evolve(c, levels=(c.lowest, c.allocation)) for c in claims]
    one = policy_with(bar, over)(ladders, capacity)
    many = policy_with((bar[0], bar[1] * k), over)([scaled(c, k) for c in ladders], capacity * k)
    assert many.allocations == {i: level * k for i, level in one.allocations.items()}


@pytest.mark.invariant("G7")
@given(scarcities(), st.integers(2, 50))
def test_continuous_claims_scale_up_to_whole_bits(scarcity, k):
    claims, capacity = scarcity
    continuous = [evolve(c, levels=(), elastic=True) for c in claims]
    one = NO_BAR(continuous, capacity)
    many = NO_BAR([scaled(c, k) for c in continuous], capacity * k)
    for i, level in one.allocations.items():
        assert abs(many.allocations[i] - level * k) <= k * len(claims)


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
@given(scarcities(), BARS, OVER)
def test_who_has_come_to_its_answer_has_it_again(scarcity, bar, over):
    claims, capacity = scarcity
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


# --- single rules --------------------------------------------------------------------------------


def claim(number: int, wanted: int, *, held=0, levels=(), elastic=True, **changes) -> Claim:
    """A claim that can be brought down to nothing."""
    return Claim(
        receiver_id=number,
        priority=changes.get("priority", 0),
        weight=changes.get("weight", 1.0),
        allocation=held,
        lowest=changes.get("lowest", 0),
        minimum=changes.get("minimum", 0),
        wanted=wanted,
        levels=(0, *levels) if levels else (),
        elastic=elastic and not levels,
        waiting_since=changes.get("since", 1.0),
        pausable=changes.get("pausable", False),
        planned=changes.get("planned", False),
    )


def shared(capacity: int, *claims: Claim, policy=NO_BAR) -> list[int]:
    """Who gets what, in order."""
    return list(policy(claims, capacity).allocations.values())


def test_what_is_above_the_minimums_is_shared_by_weight():
    low = claim(1, 1000, minimum=100, weight=1.0)
    high = claim(2, 1000, minimum=200, weight=3.0)
    assert shared(700, low, high) == [200, 500]


def test_over_nothing_the_whole_rates_are_shared_by_weight_and_minimums_kept():
    whole = WaterFillingPolicy(over="nothing")
    low = claim(1, 1000, minimum=100, weight=1.0)
    high = claim(2, 1000, minimum=200, weight=3.0)
    assert shared(700, low, high, policy=whole) == [175, 525]
    assert shared(320, low, high, policy=whole) == [100, 220]


def test_what_one_does_not_want_the_others_share():
    assert shared(900, claim(1, 100), claim(2, 1000), claim(3, 1000)) == [100, 400, 400]


@pytest.mark.invariant("G2")
def test_no_bit_is_left_and_the_odd_one_goes_to_who_is_lowest_then_holds_then_waits():
    one, other = claim(1, 100, since=2.0), claim(2, 100, since=1.0)
    assert shared(101, one, other) == [50, 51]
    assert shared(101, evolve(one, allocation=51), other) == [51, 50]
    assert shared(101, evolve(one, waiting_since=1.0), other) == [51, 50]
    assert shared(2, *(claim(i, 100, weight=w) for i, w in ((1, 1.0), (2, 1.0), (3, 2.0)))) == [
        1,
        0,
        1,
    ]


@pytest.mark.invariant("G2", "G8")
def test_a_ladder_has_the_best_step_within_its_share_and_the_rest_is_shared_on():
    camera = claim(1, 800, levels=(200, 500, 800))
    assert shared(1000, camera, claim(2, 2000)) == [500, 500]
    assert shared(998, camera, claim(2, 2000)) == [200, 798]
    assert shared(3000, camera, claim(2, 2000)) == [800, 2000]


def test_a_step_comes_before_the_single_bits_of_the_same_height():
    # The water stands at 499 in the other, and the step takes the rest.
    assert shared(999, claim(1, 500, levels=(500,)), claim(2, 2000)) == [500, 499]
    assert shared(998, claim(1, 500, levels=(500,)), claim(2, 2000)) == [0, 998]


@pytest.mark.invariant("G8")
def test_of_two_ladders_the_lower_step_comes_first_and_of_equal_ones_the_one_that_is_held():
    two = (claim(1, 500, levels=(100, 500)), claim(2, 500, levels=(100, 500)))
    assert shared(250, *two) == [100, 100]
    assert shared(600, *two) == [500, 100]
    assert shared(600, two[0], evolve(two[1], allocation=500)) == [100, 500]
    assert shared(600, two[0], evolve(two[1], waiting_since=0.5)) == [100, 500]


@pytest.mark.invariant("C2")
def test_a_range_ends_where_a_step_fits_or_does_not():
    ladder = claim(1, 800, levels=(200, 500, 800))
    shares = NO_BAR([ladder], 600)
    assert (shares.lowest, shares.highest) == (500, 799)
    shares = NO_BAR([ladder], 100)
    assert (shares.lowest, shares.highest) == (-math.inf, 199)
    shares = NO_BAR([ladder], 900)
    assert (shares.lowest, shares.highest) == (800, math.inf)
    shares = NO_BAR([claim(1, 100)], 50)
    assert (shares.lowest, shares.highest) == (50, 50)
    shares = NO_BAR([claim(1, 100)], 150)
    assert (shares.lowest, shares.highest) == (100, math.inf)
    kept = evolve(ladder, allocation=500, lowest=500)
    shares = NO_BAR([kept], 400)
    assert (shares.lowest, shares.highest) == (-math.inf, 799)
    shares = NO_BAR([kept, claim(2, 100)], 400)
    assert (shares.lowest, shares.highest) == (-math.inf, 500)


@pytest.mark.invariant("G5")
def test_who_holds_equally_much_gives_up_in_order_of_registration():
    two = [claim(i, 500, held=500, levels=(200, 500)) for i in (1, 2)]
    waiting = evolve(two[0], wanted=900, levels=(0, 200, 500, 900), waiting_since=1.0)
    assert shared(700, waiting, evolve(two[1], waiting_since=None)) == [500, 200]


def test_who_can_not_climb_lets_pass_who_can():
    assert shared(500, claim(1, 900, levels=(100, 400, 900)), claim(2, 300, levels=(300,))) == [
        100,
        300,
    ]


def test_all_or_nothing_is_all_where_the_share_reaches_that_far():
    plain = claim(1, 300, elastic=False)
    assert shared(600, plain, claim(2, 2000)) == [300, 300]
    assert shared(598, plain, claim(2, 2000)) == [0, 598]


def test_what_is_all_or_nothing_is_divisible_on_the_way_down():
    plain = claim(1, 400, held=400, elastic=False)
    assert shared(600, plain, claim(2, 2000)) == [300, 300]
    assert shared(600, evolve(plain, allocation=200), claim(2, 2000)) == [200, 400]


@pytest.mark.invariant("A5", "N5")
def test_who_can_not_be_lowered_keeps_what_it_holds_and_the_rest_is_shared():
    refuser = claim(1, 1000, held=500, lowest=500)
    assert shared(800, refuser, claim(2, 1000)) == [500, 300]
    assert shared(1200, refuser, claim(2, 1000)) == [600, 600]
    assert shared(300, refuser, claim(2, 1000)) == [500, 0]


@pytest.mark.invariant("G6")
def test_a_higher_class_has_all_it_wants_before_a_lower_one_has_anything():
    assert shared(500, claim(1, 400), claim(2, 400, priority=1)) == [100, 400]
    assert shared(500, claim(1, 400, held=200, lowest=200), claim(2, 400, priority=1)) == [200, 300]


@pytest.mark.invariant("G8")
def test_minimums_come_first_those_held_then_those_that_wait_longest():
    held = claim(1, 400, held=200, minimum=200)
    early, late = claim(2, 400, minimum=200, since=1.0), claim(3, 400, minimum=200, since=2.0)
    assert NO_BAR([late, early, held], 450).allocations == {1: 225, 2: 225, 3: 0}
    assert NO_BAR([late, early, held], 390).allocations == {1: 390, 2: 0, 3: 0}
    small = evolve(late, minimum=150)
    assert NO_BAR([small, early, held], 390).allocations == {1: 220, 2: 0, 3: 170}


@pytest.mark.invariant("G8")
def test_of_minimums_held_those_of_the_later_are_given_up_first():
    two = [claim(i, 400, held=200, minimum=200) for i in (1, 2)]
    assert shared(300, *two) == [300, 0]


def test_part_of_a_minimum_is_kept_but_gets_no_share():
    part = claim(1, 400, held=50, minimum=200)
    assert shared(180, part, claim(2, 1000, minimum=0)) == [50, 130]


def test_a_minimum_above_what_is_wanted_is_what_is_wanted():
    assert shared(150, claim(1, 100, minimum=300), claim(2, 100)) == [100, 50]


def test_any_weights_are_exact():
    thirds = [claim(i, 10**9, weight=w) for i, w in ((1, 1e-300), (2, 1 / 3), (3, 1e300))]
    assert shared(10**9, *thirds) == [0, 0, 10**9]
    tenths = [claim(i, 10**9, weight=w) for i, w in ((1, 0.1), (2, 0.2), (3, 0.3))]
    assert shared(600_000, *tenths) == [100_000, 200_000, 300_000]


# --- the bar for resuming ------------------------------------------------------------------------


@pytest.mark.invariant("G2")
@pytest.mark.parametrize(
    ("minimum", "bar"), [(30_000, 50_000), (200_000, 220_000), (300_000, 330_000)]
)
def test_a_paused_one_is_resumed_at_a_tenth_or_20_kbit_above_its_minimum(minimum, bar):
    paused = claim(1, 10**6, minimum=minimum, pausable=True)
    kept = FILL([paused], bar - 1)
    assert (kept.allocations, kept.bars) == ({1: 0}, {1: bar})
    check_shares([paused], bar - 1, kept)
    assert (kept.lowest, kept.highest) == (-math.inf, bar - 1)
    resumed = FILL([paused], bar)
    assert (resumed.allocations, resumed.bars) == ({1: bar}, {})
    assert resumed.lowest == resumed.highest == bar


def test_the_bar_is_met_by_all_that_is_wanted():
    assert FILL([claim(1, 35_000, minimum=30_000, pausable=True)], 35_000).allocations == {
        1: 35_000
    }


@pytest.mark.parametrize(
    "changes", [{"pausable": False}, {"held": 10}, {"planned": True}, {"minimum": 0}]
)
def test_who_may_not_be_paused_or_is_not_or_is_to_be_resumed_meets_no_bar(changes):
    options = {"pausable": True, "minimum": 30_000, **changes}
    shares = FILL([claim(1, 10**6, **options)], 30_000)
    assert (shares.allocations, shares.bars) == ({1: 30_000}, {})


@pytest.mark.invariant("G2", "G3")
def test_who_is_to_be_resumed_meets_the_bar_again_where_that_fails():
    planned = claim(1, 10**6, minimum=30_000, pausable=True, planned=True)
    shares = FILL([planned], 29_999)
    assert (shares.allocations, shares.bars) == ({1: 0}, {1: 50_000})


@pytest.mark.invariant("G2", "G8")
def test_below_the_bar_the_others_share_what_a_paused_one_could_have():
    paused = claim(2, 400, minimum=300, pausable=True)
    policy = WaterFillingPolicy(resume_share=0.1, resume_least=0)
    active = claim(1, 1000, held=100, minimum=100)
    assert policy([active, paused], 429).allocations == {1: 429, 2: 0}
    assert policy([active, paused], 430).allocations == {1: 115, 2: 315}


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"over": "minimum"}, ValueError),
        ({"resume_share": -0.1}, ValueError),
        ({"resume_share": 1.1}, ValueError),
        ({"resume_share": math.nan}, ValueError),
        ({"resume_share": True}, TypeError),
        ({"resume_share": "0.1"}, TypeError),
        ({"resume_least": -1}, ValueError),
        ({"resume_least": None}, TypeError),
    ],
)
def test_an_argument_that_is_not_usable_is_refused(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        WaterFillingPolicy(**arguments)


# --- in an engine --------------------------------------------------------------------------------


@pytest.mark.invariant("C2")
def test_an_estimate_that_changes_nothing_is_not_shared_out_again():
    asked = []

    def policy(claims, capacity):
        asked.append(capacity)
        return FILL(claims, capacity)

    engine = opened(10_000_000, policy)
    for _ in range(3):
        engine.request(NOW, joined(engine, 165_000, 150_000, 500_000), 550_000)
    engine.update_estimate(NOW, 10_000_000)
    asked.clear()
    for estimate in (2_000_000, 10_000_000, 1_650_000, 1_900_000):
        engine.update_estimate(NOW, estimate)
    assert asked == []
    engine.update_estimate(NOW, 1_649_999)
    assert asked == [1_649_999]


@pytest.mark.invariant("P4", "G2")
def test_a_bar_is_declared_and_is_what_is_probed_for():
    engine = opened(100_000, FILL)
    paused = joined(engine, 0, elastic=True, pausable=True, min_bitrate=90_000, can_pad=True)
    engine.request(NOW, paused, 300_000)
    assert snapshot(engine).bars == {paused.id: 110_000}
    assert engine.prober.target == 110_000
    engine.update_estimate(NOW, 110_000)
    assert (paused.allocation, snapshot(engine).bars) == (110_000, {})


@pytest.mark.invariant("G9")
@pytest.mark.parametrize(("cost", "stays"), [(500, True), (550, True), (551, False)])
def test_a_step_that_is_held_may_cost_a_tenth_more_than_that_of_an_equal(cost, stays):
    """What a variant really takes is known only while it flows: it would go round for ever."""
    holder = claim(1, cost, levels=(150, cost), held=cost)
    waiting = claim(2, 500, levels=(150, 500), held=150)
    shares = FILL([holder, waiting], 800).allocations
    assert (shares[1] == cost, shares[2] == 500) == (stays, not stays)
