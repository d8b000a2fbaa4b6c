"""Two engines side by side: what has to be equal, larger, or scaled between them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from tests.engine.support import FAIR, EngineOfTests
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.engine.settings import Settings
from trio_allocator.engine.sharing.layered_policy import FairPolicy
from trio_allocator.options import ReceiverOptions
from trio_allocator.policies.policy import Claim, Shares
from trio_allocator.report.status import snapshot
from trio_allocator.tracks import Track

LADDERS = st.sampled_from(
    [(100,), (100, 500), (150, 500, 2500), (100, 300, 500, 800), (50, 2000), (200, 210, 220)]
)


@dataclass(frozen=True)
class Member:
    """A registration, its first request included."""

    ladder: tuple[int, ...]
    bandwidth: int
    claim: int
    priority: int = 0
    weight: float = 1.0
    negotiable: bool = True
    pausable: bool = False
    elastic: bool = False

    def scaled(self, k: int) -> Member:
        ladder = tuple(rate * k for rate in self.ladder)
        return replace(self, ladder=ladder, bandwidth=self.bandwidth * k, claim=self.claim * k)


RATES = st.sampled_from([0, 55, 110, 165, 330, 550, 880, 2200, 2750])
MEMBERS = st.builds(
    Member,
    ladder=LADDERS,
    bandwidth=RATES,
    claim=RATES,
    priority=st.sampled_from([0, 0, 0, 1, 255]),
    weight=st.sampled_from([1.0, 1.0, 0.5, 2.0]),
    negotiable=st.sampled_from([True, True, True, False]),
    pausable=st.booleans(),
)
CASTS = st.lists(MEMBERS, min_size=1, max_size=6)


@dataclass
class Stage:
    """An engine with honest receivers: whoever is asked goes to the limit, at once."""

    engine: Engine
    now: float = 100.0
    cast: list = field(default_factory=list)

    @classmethod
    def open(cls, estimate=None, policy=FAIR, **settings) -> Self:
        # A hold as short as can be: the next moment is past it.
        changes = {"hold": 1e-9, "overtaken_limit": 1_000_000, "estimate_timeout": math.inf}
        settled = Settings(**{**changes, **settings})
        return cls(EngineOfTests(settled, now=100.0, initial_estimate=estimate, policy=policy))

    def add(self, member: Member, *, priority: int | tuple[int, ...] | None = None):
        variants = {f"v{rate}": rate for rate in member.ladder}
        track = Track("t", variants=variants)
        options = ReceiverOptions(
            negotiable=member.negotiable,
            priority=member.priority if priority is None else priority,
            weight=member.weight,
            pausable=member.pausable,
            elastic=member.elastic,
            can_pad=True,
        )
        record = self.engine.register(self.now, track, options, member.bandwidth, PaddingAccount())
        self.cast.append(record)
        self.settle()
        self.ask(record, member.claim)
        return record

    def ask(self, record, bitrate: int) -> None:
        self.engine.request(self.now, record, bitrate)
        self.settle()

    def estimate(self, bitrate: int) -> None:
        self.engine.update_estimate(self.now, bitrate)
        self.settle()

    def leave(self, record) -> None:
        self.cast.remove(record)
        self.engine.leave(self.now, record)
        self.settle()

    def settle(self) -> None:
        """Answer, and go on claiming what was claimed, until nothing moves any more."""
        for _ in range(200):
            outstanding = [r for r in self.cast if r.request is not None]
            if not outstanding:
                status = snapshot(self.engine)
                if not status.holds and status.ceiling is None:
                    return
                self.now = max(self.now + 0.001, status.ceiling_until or 0.0)
                self.engine.advance(self.now)
                continue
            record, request = outstanding[0], outstanding[0].request
            claim = record.claim
            self.engine.answer(self.now, record, request.id, accepted=True, bitrate=request.limit)
            if record in self.cast:
                self.engine.request(self.now, record, claim)
        raise AssertionError("N6: it does not come to rest")

    @property
    def shares(self) -> list[int]:
        return [record.allocation for record in self.cast]

    def worth(self) -> list[int]:
        """Class by class from the highest: what the minimums are worth, then the rest (G4)."""
        classes: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for record in self.cast:
            within = min(record.allocation, record.minimum)
            classes[record.options.priority][0] += within
            classes[record.options.priority][1] += record.allocation - within
        return [value for priority in sorted(classes, reverse=True) for value in classes[priority]]


def staged(cast, estimate: int, **settings) -> Stage:
    stage = Stage.open(estimate, **settings)
    for member in cast:
        stage.add(member)
    return stage


@pytest.mark.invariant("G4")
@given(CASTS, st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 3000) | st.just(1))
def test_a_larger_estimate_is_worth_more_class_by_class(cast, start, estimate, more):
    smaller, larger = staged(cast, start), staged(cast, start)
    assert smaller.shares == larger.shares
    smaller.estimate(estimate)
    larger.estimate(estimate + more)
    assert larger.worth() >= smaller.worth(), "G4"


@pytest.mark.invariant("G3")
@given(CASTS, st.integers(0, 9000), st.integers(0, 9000))
def test_the_same_estimate_again_moves_nobody(cast, start, estimate):
    stage = staged(cast, start)
    stage.estimate(estimate)
    shares = stage.shares
    for _ in range(3):
        stage.estimate(estimate)
    assert stage.shares == shares, "G3"


@pytest.mark.invariant("G7")
@given(CASTS, st.integers(0, 900), st.integers(0, 900), st.integers(2, 1000))
def test_everything_scales(cast, start, estimate, k):
    one, many = staged(cast, start * 10), staged([m.scaled(k) for m in cast], start * 10 * k)
    assert many.shares == [share * k for share in one.shares], "G7"
    one.estimate(estimate * 10)
    many.estimate(estimate * 10 * k)
    assert many.shares == [share * k for share in one.shares], "G7"


@pytest.mark.invariant("G5")
@given(CASTS, CASTS, st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 9000))
def test_history_and_numbering_decide_nothing(cast, others, start, between, estimate):
    """The same state is reached directly, and by way of others who leave, and of other rates."""
    straight, winding = Stage.open(10**9), Stage.open(10**9)
    for member in cast:
        for stage, passers_by in ((straight, []), (winding, others[:2])):
            gone = [stage.add(other) for other in passers_by]
            stage.add(replace(member, bandwidth=member.claim))
            for other in gone:
                stage.leave(other)
    # Now that all is granted, and all wait for nothing, the state is what they hold.
    winding.estimate(10**9 + between)
    assert straight.shares == winding.shares
    for stage in (straight, winding):
        stage.now = 1000.0
        stage.estimate(start)
        stage.estimate(estimate)
    assert straight.shares == winding.shares, "G5"


# --- an index, and a pure function -----------------------------------------------------------------


class PureFairPolicy(FairPolicy):
    """The fair policy, asked for everybody at each event: it has an index only as it is."""

    def __call__(self, claims: Sequence[Claim], capacity: int) -> Shares:
        return super().__call__(claims, capacity)


EVENTS = st.lists(
    st.tuples(st.just("estimate"), st.integers(0, 9000), st.just(0))
    | st.tuples(st.just("add"), MEMBERS, st.just(0))
    | st.tuples(st.just("ask"), RATES, st.integers(0, 5))
    | st.tuples(st.just("leave"), st.just(0), st.integers(0, 5)),
    max_size=12,
)


def wait_for_lowest_steps(stage):
    """Until no better picture waits for somebody's lowest step: the function knows no time."""
    classes = stage.engine.settlement.sharing._index.classes
    while True:
        waits = [each for each in classes.values() if each.reserved_in is each.minimums]
        if not waits:
            return
        stage.now = min(each.reserved_until for each in waits)
        stage.engine.advance(stage.now)
        stage.settle()


@pytest.mark.invariant("G5", "G8", "L3")
@given(CASTS, st.integers(0, 9000), EVENTS)
def test_the_index_of_all_classes_comes_to_the_answers_of_the_function(cast, start, events):
    indexed, asked = Stage.open(start), Stage.open(start, policy=PureFairPolicy())
    for name, value, index in [*(("add", member, 0) for member in cast), *events]:
        for stage in (indexed, asked):
            if name == "add":
                stage.add(value)
            elif name == "estimate":
                stage.estimate(value)
            elif index < len(stage.cast):
                record = stage.cast[index]
                stage.leave(record) if name == "leave" else stage.ask(record, value)
        assert snapshot(asked.engine).policy_fault is None, "L3"
        wait_for_lowest_steps(indexed)
        assert indexed.shares == asked.shares
        for stage in (indexed, asked):
            stage.now = math.ceil(max(indexed.now, asked.now)) + 1.0


# --- policies that are wrong -----------------------------------------------------------------------


def raising(claims, capacity):
    raise ZeroDivisionError


def rubbish(claims, capacity):
    return {claim.receiver_id: "much" for claim in claims}


def fractions(claims, capacity):
    return Shares({claim.receiver_id: float(claim.lowest) for claim in claims})


def nobody(claims, capacity):
    return Shares({})


def miser(claims, capacity):
    """Everybody at the lowest, whatever is free (G2)."""
    return Shares({claim.receiver_id: claim.lowest for claim in claims})


def spender(claims, capacity):
    """Everybody what it wants, whatever there is (A2)."""
    return Shares({claim.receiver_id: max(claim.wanted, claim.allocation) for claim in claims})


def first_fit(claims: Sequence[Claim], capacity: int) -> Shares:
    """A simple policy of a user's: step by step in a fixed order, whatever still fits."""
    level = {claim.receiver_id: claim.lowest for claim in claims}
    free = capacity - sum(level.values())
    queue = [(place, claim.receiver_id, *item) for claim in claims for place, *item in items(claim)]
    for _, receiver_id, below, above in sorted(queue):
        if level[receiver_id] == below and above - below <= free:
            free -= above - below
            level[receiver_id] = above
    return Shares(level)


def items(claim: Claim):
    """What could be added to `lowest`, step by step, each with its place in the order."""
    below = claim.lowest
    wanted = max(claim.wanted, claim.allocation)
    since = math.inf if claim.waiting_since is None else claim.waiting_since
    marks = sorted({*claim.levels, claim.allocation, wanted, min(claim.minimum, wanted)})
    for above in marks:
        if above <= below:
            continue
        within = above <= claim.minimum
        rank = sum(step <= below for step in claim.levels)
        if above <= claim.allocation:
            place = (0 if within else 2, above / claim.weight, 0.0)
        else:
            place = (1 if within else 3, 0 if within else rank, since)
        yield (-claim.priority, *place, claim.receiver_id, above), below, above
        below = above


def upside_down(claims, capacity):
    """The lowest class first (G6)."""
    return first_fit([evolve(c, priority=255 - c.priority) for c in claims], capacity)


def greedy(claims, capacity):
    """The first gets all that it wants, whoever lacks a minimum (G8)."""
    if capacity < 700:
        return first_fit(claims, capacity)
    first = evolve(claims[0], lowest=max(claims[0].wanted, claims[0].allocation))
    return first_fit([first, *claims[1:]], capacity)


@pytest.mark.invariant("L3")
@pytest.mark.parametrize(
    ("policy", "estimate", "complaint"),
    [
        (raising, 600, "ZeroDivisionError"),
        (rubbish, 600, "it must return Shares"),
        (fractions, 600, "A1"),
        (nobody, 600, "it gives no share to receiver"),
        (miser, 600, "G2"),
        (spender, 600, "A2"),
        (upside_down, 760, "G6"),
        (greedy, 700, "G8"),
    ],
)
def test_a_policy_that_is_wrong_is_replaced_and_reported(policy, estimate, complaint):
    cast = [
        Member((100, 500), 110, 550),
        Member((90, 400), 0, 440),
        Member((100, 300), 110, 330, priority=1),
    ]
    stage = Stage.open(None, policy=policy)
    for member in cast:
        stage.add(member)
    stage.estimate(estimate)
    fault = snapshot(stage.engine).policy_fault
    assert fault is not None
    assert complaint in str(fault), "L3"
    expected = Stage.open(None)
    for member in cast:
        expected.add(member)
    expected.estimate(estimate)
    assert stage.shares == expected.shares, "L3: the built-in sharing has taken over"
