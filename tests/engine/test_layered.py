"""The layered policy as a pure function: rounds, and the best of the round that does not fit."""

from itertools import product

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from trio_allocator.engine.sharing.layered_policy import LayeredPolicy
from trio_allocator.policies.policy import Claim, check_shares
from trio_allocator.policies.utility import log_utility
from trio_allocator.policies.water_level import divide_by_weight

POLICY = LayeredPolicy()
LADDERS = st.sampled_from(
    [(100,), (100, 500), (150, 500, 2500), (90, 450, 2300), (200, 210, 220), ()]
)


def claim_for(number, ladder, held, wanted, *, floor=0, priority=0, weight=1.0, elastic=False):
    wanted = max(held, wanted)
    lowest = min(held, floor)
    minimum = ladder[0] if ladder else 0
    levels = ()
    if ladder:
        steps = {step for step in ladder if lowest < step < wanted}
        levels = tuple(sorted({lowest, held, wanted, *steps}))
    return Claim(
        number, priority, weight, held, lowest, minimum, wanted, levels,
        elastic and not ladder, 0.0 if wanted > held else None, ladder,
    )  # fmt: skip


@st.composite
def casts(draw):
    rates = st.sampled_from([0, 50, 100, 150, 300, 500, 800, 2500])
    return [
        claim_for(
            number,
            draw(LADDERS),
            draw(rates),
            draw(rates),
            floor=draw(st.sampled_from([0, 0, 100, 5000])),
            priority=draw(st.sampled_from([0, 0, 1])),
            weight=draw(st.sampled_from([1.0, 1.0, 2.0])),
            elastic=draw(st.booleans()),
        )
        for number in range(1, draw(st.integers(1, 6)) + 1)
    ]


@pytest.mark.invariant("A2", "G2", "G6", "G8")
@given(casts(), st.integers(0, 9000))
def test_its_answers_keep_the_rules(cast, capacity):
    check_shares(cast, capacity, POLICY(cast, capacity))


@pytest.mark.invariant("G8")
def test_of_equals_the_one_that_has_waited_longest_is_served():
    late, early, content = (claim_for(number, (100, 500), 100, 500) for number in (1, 2, 3))
    cast = [
        evolve(late, waiting_since=5.0),
        evolve(early, waiting_since=3.0),
        evolve(content, waiting_since=None, wanted=100),
    ]
    assert POLICY(cast, 700).allocations == {1: 100, 2: 500, 3: 100}


@pytest.mark.invariant("G5")
@given(casts(), st.integers(0, 9000), st.randoms(use_true_random=False))
def test_the_order_of_the_claims_decides_nothing(cast, capacity, chance):
    shuffled = list(cast)
    chance.shuffle(shuffled)
    assert POLICY(cast, capacity).allocations == POLICY(shuffled, capacity).allocations


@pytest.mark.invariant("G7")
@given(casts(), st.integers(0, 900), st.integers(2, 1000))
def test_it_scales(cast, capacity, k):
    cast = [c for c in cast if c.levels]
    many = [
        evolve(
            c,
            allocation=c.allocation * k,
            lowest=c.lowest * k,
            minimum=c.minimum * k,
            wanted=c.wanted * k,
            levels=tuple(level * k for level in c.levels),
            steps=tuple(step * k for step in c.steps),
        )
        for c in cast
    ]
    once = POLICY(cast, capacity * 10).allocations
    assert POLICY(many, capacity * 10 * k).allocations == {i: v * k for i, v in once.items()}


@pytest.mark.invariant("G4")
@given(casts(), st.integers(0, 9000), st.integers(0, 3000))
def test_more_is_worth_more_class_by_class_and_round_by_round(cast, capacity, more):
    cast = [c for c in cast if c.levels]
    if not cast:
        return
    worth = log_utility(max(c.steps[-1] for c in cast))

    def measure(answer):
        parts = []
        for priority in (1, 0):
            members = [c for c in cast if c.priority == priority]
            for within in (
                lambda c, level: min(level, c.minimum, c.allocation),
                lambda c, level: min(level, c.minimum),
                lambda c, level: min(level, max(c.minimum, c.allocation)),
                lambda _, level: level,
            ):
                for rank in range(4):
                    total = sum(
                        c.weight
                        * worth(min(within(c, answer[c.receiver_id]), (*c.steps, 9999)[rank]))
                        for c in members
                        if len(c.steps) >= rank
                    )
                    parts.append(round(total, 9))
        return parts

    smaller = POLICY(cast, capacity).allocations
    larger = POLICY(cast, capacity + more).allocations
    assert measure(larger) >= measure(smaller)


def best_that_keep_turns(ladders, capacity, worth):
    """Round by round, the best set of next steps: all outcomes, where several are as good."""
    outcomes = {(0,) * len(ladders)}
    for rank in range(3):
        outcomes = {
            following
            for levels in outcomes
            for following in best_round(ladders, rank, levels, capacity, worth)
        }
    return outcomes


def best_round(ladders, rank, levels, capacity, worth):
    """All best outcomes of one round."""
    going = [i for i, own in enumerate(ladders) if rank == 0 or levels[i] == own[rank - 1]]
    best: dict[tuple[float, int], list[tuple[int, ...]]] = {}
    for chosen in product((0, 1), repeat=len(going)):
        new = {i for i, taken in zip(going, chosen, strict=True) if taken}
        following = tuple(ladders[i][rank] if i in new else v for i, v in enumerate(levels))
        gain = sum(worth(ladders[i][rank]) - worth(levels[i]) for i in new)
        if sum(following) <= capacity:
            best.setdefault((round(gain, 9), -sum(following)), []).append(following)
    return best[max(best)]


@given(
    st.lists(
        st.tuples(st.integers(90, 210), st.integers(300, 700), st.integers(1500, 3500)),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 9000),
)
def test_from_nothing_it_is_the_best_that_keeps_turns(ladders, capacity):
    cast = [claim_for(i, ladder, 0, ladder[-1]) for i, ladder in enumerate(ladders, 1)]
    worth = log_utility(max(ladder[-1] for ladder in ladders))
    got = POLICY(cast, capacity).allocations
    assert tuple(got.values()) in best_that_keep_turns(ladders, capacity, worth)


def levels(cast, capacity):
    allocations = POLICY(cast, capacity).allocations
    return [allocations[claim.receiver_id] for claim in cast]


def test_in_overuse_the_highest_steps_go_first():
    cast = [claim_for(i, (150, 500, 2500), held, held) for i, held in ((1, 2500), (2, 500))]
    assert levels(cast, 2900) == [500, 500]
    assert levels(cast, 3000) == [2500, 500]
    assert levels(cast, 300) == [150, 150]
    assert levels(cast, 299) == [150, 0]


def test_those_without_a_ladder_share_evenly():
    cast = [claim_for(1, (), 900, 900), claim_for(2, (), 300, 300, weight=2.0)]
    assert levels(cast, 700) == [400, 300]


def test_those_without_a_ladder_share_with_those_who_have_one_and_keep_what_they_leave():
    # Level with each other they hold 400 each, of which the ladder has use for 150 only.
    cast = [claim_for(1, (150, 500), 500, 500), claim_for(2, (), 900, 900)]
    assert levels(cast, 800) == [150, 650]
    assert levels(cast, 1000) == [500, 500]


def test_who_can_use_any_part_gets_its_share_and_what_is_left():
    cast = [
        claim_for(1, (), 0, 5000, elastic=True),
        claim_for(2, (150, 500), 150, 500),
        claim_for(3, (), 0, 400),
    ]
    assert levels(cast, 1000) == [450, 150, 400]
    assert levels(cast, 1400) == [500, 500, 400]
    assert levels(cast, 150) == [0, 150, 0]


def test_who_was_asked_keeps_all_or_goes():
    asked = Claim(1, 0, 1.0, 500, 100, 100, 500, (100, 500), False, None, (100, 500), asked=True)
    other = claim_for(2, (150, 500), 500, 500)
    assert levels([asked, other], 900) == [100, 500]
    assert levels([asked, other], 1000) == [500, 500]


def test_its_answers_promise_nothing_for_other_capacities():
    shares = POLICY([claim_for(1, (150, 500), 150, 500)], 300)
    assert shares.lowest > shares.highest


def test_a_worth_of_ones_own_decides():
    ladders = ((100, 400), (100, 500))
    cast = [claim_for(i, ladder, 100, ladder[-1]) for i, ladder in enumerate(ladders, 1)]
    modest = LayeredPolicy(worth=lambda bitrate: float(min(bitrate, 350)))
    assert POLICY(cast, 650).allocations == {1: 100, 2: 500}
    assert modest(cast, 650).allocations == {1: 400, 2: 100}
    with pytest.raises(TypeError, match="worth must be a function"):
        LayeredPolicy(worth=3)
    assert "LayeredPolicy(worth=" in repr(modest)


def test_the_default_worth_is_measured_by_the_best_step():
    worth = log_utility(2_500_000)
    assert [round(worth(r) / worth(2_500_000), 3) for r in (150_000, 500_000)] == [0.353, 0.61]
    assert worth(0) == 0.0


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.integers(0, 400), st.sampled_from([0.5, 1.0, 3.0])),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 1000),
)
def test_a_share_by_weight_is_within_its_range(ranges, amount):
    ranges = [(least, least + more, weight) for least, more, weight in ranges]
    levels = divide_by_weight(ranges, amount)
    assert sum(levels) <= sum(least for least, _, _ in ranges) + amount
    assert all(b <= level <= t for level, (b, t, _) in zip(levels, ranges, strict=True))
