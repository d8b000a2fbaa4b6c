"""A priority per step: the screen's first step before all, the rest after the thumbnails."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, strategies as st

from tests.engine.support import FAIR, NOW, joined, opened
from tests.engine.test_metamorphic import CASTS, EVENTS, Stage
from trio_allocator.engine.sharing.by_class import ask
from trio_allocator.engine.sharing.layered_policy import LayeredPolicy
from trio_allocator.engine.sharing.policy_sharing import claim_of
from trio_allocator.policies.policy import Shares
from trio_allocator.policies.water_filling import WaterFillingPolicy
from trio_allocator.report.blockers import Blocker
from trio_allocator.report.explanation import explain
from trio_allocator.report.status import snapshot

pytestmark = pytest.mark.invariant("G6", "G8")


def one_by_one(claims, capacity):
    """A user's policy that knows nothing of priorities per step: in turn, by registration."""
    levels = {claim.receiver_id: claim.lowest for claim in claims}
    for goal in (lambda c: min(c.minimum, c.wanted), lambda c: c.wanted):
        for claim in sorted(claims, key=lambda c: (-c.priority, c.receiver_id)):
            for step in (*claim.levels, claim.wanted):
                more = step - levels[claim.receiver_id]
                if 0 < more <= capacity - sum(levels.values()) and step <= goal(claim):
                    levels[claim.receiver_id] = step
    return Shares(levels)


POLICIES = {
    "layered": LayeredPolicy(),
    "fair": FAIR,
    "water-filling": WaterFillingPolicy(resume_share=0, resume_least=0),
    "a user's": one_by_one,
}
every_policy = pytest.mark.parametrize("policy", POLICIES)


class Conference:
    """A screen with a priority per step, and thumbnails of one step each; all want all."""

    def __init__(self, policy, estimate, steps, thumbnails, priority=(9, 0)):
        self.now = NOW
        self.engine = opened(None, POLICIES[policy])
        self.screen = joined(
            self.engine, 0, *steps, priority=priority, pausable=True, bare_steps=True
        )
        self.thumbnails = [
            joined(self.engine, 0, rate, pausable=True, bare_steps=True) for rate in thumbnails
        ]
        for receiver in (*self.thumbnails, self.screen):
            self.engine.request(NOW, receiver, receiver.steps[-1])
        self.estimate(estimate)

    def estimate(self, estimate):
        """An estimate comes and stays, until nothing is held back any more."""
        for _ in range(2):
            self.engine.update_estimate(self.now, estimate)
            self.answer()
            self.now += 60.0
        assert snapshot(self.engine).policy_fault is None

    def answer(self):
        """All that are asked give, and still want all."""
        while receiver := next((r for r in self.engine.ledger if r.request is not None), None):
            request = receiver.request
            answer = self.engine.answer
            answer(self.now, receiver, request.id, accepted=True, bitrate=request.limit)
            self.engine.request(self.now, receiver, receiver.steps[-1])

    @property
    def shown(self):
        return sum(receiver.allocation > 0 for receiver in self.thumbnails)


@every_policy
@pytest.mark.parametrize("estimate", [900_000, 1_300_000, 1_500_000, 2_000_000, 2_500_000])
def test_no_thumbnail_is_paused_for_frame_rate(policy, estimate):
    """With one class for all of the screen, three of four are (jitsi-videobridge#2444)."""
    steps = (600_000, 1_200_000, 2_400_000)
    call = Conference(policy, estimate, steps, [57_000] * 4)
    assert call.screen.allocation == max(s for s in steps if s <= estimate - 4 * 57_000)
    assert call.shown == 4


def test_one_class_for_all_of_it_pauses_them():
    call = Conference("layered", 1_300_000, (600_000, 1_200_000, 2_400_000), [57_000] * 4, 9)
    assert (call.screen.allocation, call.shown) == (1_200_000, 1)


RATES = st.integers(1, 60).map(lambda n: n * 10_000)


@every_policy
@given(
    st.lists(RATES, min_size=1, max_size=4, unique=True).map(sorted),
    st.lists(RATES, min_size=1, max_size=6),
    st.lists(st.integers(0, 400).map(lambda n: n * 10_000), min_size=1, max_size=3),
)
def test_the_first_step_comes_before_all_and_the_rest_after_the_thumbnails(
    policy, steps, thumbnails, estimates
):
    call = Conference(policy, estimates[0], steps, thumbnails)
    for estimate in estimates:
        call.estimate(estimate)
        first = steps[0]
        if estimate >= first:
            assert call.screen.allocation >= first
        spare = estimate - sum(receiver.allocation for receiver in call.engine.ledger)
        spare += max(0, call.screen.allocation - first)
        for thumbnail in call.thumbnails:
            assert thumbnail.allocation or thumbnail.want > spare
        if estimate >= first + sum(thumbnails):
            assert call.shown == len(thumbnails)


def test_its_first_step_takes_from_those_who_hold_and_its_second_does_not():
    call = Conference("layered", 600_000, (600_000, 1_200_000), [57_000] * 4)
    assert (call.screen.allocation, call.shown) == (600_000, 0)
    call.estimate(600_000 + 114_000)
    assert (call.screen.allocation, call.shown) == (600_000, 2)
    call.estimate(1_200_000)  # the second step would fit in place of all thumbnails
    assert (call.screen.allocation, call.shown) == (600_000, 4)


def test_what_is_above_the_first_step_is_given_first():
    call = Conference("layered", 1_500_000, (600_000, 1_200_000), [57_000] * 4)
    assert (call.screen.allocation, call.shown) == (1_200_000, 4)
    call.engine.update_estimate(call.now, 1_200_000)
    assert {receiver.id for receiver in call.engine.ledger if receiver.request} == {call.screen.id}
    assert call.screen.request.limit == 600_000


def test_several_classes_are_cut_in_one_request():
    call = Conference("layered", 1_500_000, (600_000, 900_000, 1_200_000), [57_000], (9, 5, 0))
    call.engine.update_estimate(call.now, 500_000)
    assert call.screen.request.limit == 0
    assert call.thumbnails[0].request is None


@pytest.mark.parametrize(
    ("ladder", "low", "priority", "classes"),
    [
        ((100, 200, 300), 0, (9, 0), ((9, 100), (0, float("inf")))),
        ((100, 200, 300), 150, (9, 0), ((9, 200), (0, float("inf")))),
        ((100, 200, 300), 999, (9, 0), ((9, 999), (0, float("inf")))),
        ((100, 200, 300), 0, (9, 9, 0), ((9, 200), (0, float("inf")))),
        ((100,), 0, (9, 5, 0), ((9, 100), (5, float("inf")))),
        ((), 70, (9, 5, 0), ((9, 70), (5, float("inf")))),
        ((), 0, (9, 0), ((9, float("inf")),)),
        ((100, 200), 0, 4, ((4, float("inf")),)),
        ((100, 200), 0, (4, 4, 4), ((4, float("inf")),)),
    ],
)
def test_which_steps_belong_to_which_class(ladder, low, priority, classes):
    receiver = joined(opened(), 0, *ladder, priority=priority, min_bitrate=low, bare_steps=True)
    assert receiver.classes == classes


@every_policy
@given(CASTS, st.integers(0, 9000), EVENTS, st.integers(2, 4))
def test_equal_numbers_are_as_one(policy, cast, start, events, length):
    """Metamorphic: a tuple of equal numbers behaves as the number."""
    one, many = (Stage.open(start, POLICIES[policy]) for _ in range(2))

    def add(member):
        for stage, priority in ((one, member.priority), (many, (member.priority,) * length)):
            stage.add(member, priority=priority)

    for member in cast:
        add(member)
    for name, value, index in events:
        if name == "add":
            add(value)
        for stage in (one, many):
            if name == "estimate":
                stage.estimate(value)
            elif name != "add" and index < len(stage.cast):
                record = stage.cast[index]
                stage.leave(record) if name == "leave" else stage.ask(record, value)
        assert one.shares == many.shares


LADDERS = st.sampled_from([(100,), (100, 500), (150, 500, 2500), (90, 450, 2300)])
PRIORITIES = st.sampled_from([0, 1, 2, (1, 0), (2, 0), (2, 1, 0), (2, 2, 0)])


@given(
    st.lists(
        st.tuples(LADDERS, st.sampled_from([0, 110, 165, 550, 2750]), PRIORITIES, st.booleans())
    ),
    st.integers(0, 9_000),
)
def test_the_index_and_the_function_agree(cast, estimate):
    """From nothing, so that nobody has to give: how several classes are filled."""
    engine = opened(None, FAIR)
    for ladder, wanted, priority, pausable in cast:
        receiver = joined(engine, 0, *ladder, pausable=pausable, priority=priority)
        engine.request(NOW, receiver, wanted)
    claims = [claim_of(receiver, negotiate=True, pinned=True) for receiver in engine.ledger]
    engine.update_estimate(NOW, estimate)
    while snapshot(engine).favoured:  # better pictures wait for lowest steps that do not fit
        engine.advance(engine.wake_at)
    assert {r.id: r.projected for r in engine.ledger} == ask(FAIR, claims, estimate).allocations


def test_the_explanation_names_the_class_of_the_next_step():
    call = Conference("layered", 600_000, (600_000, 1_200_000), [57_000] * 4)
    told = explain(call.engine)
    screen, thumbnail = told.of(call.screen.id), told.of(call.thumbnails[0].id)
    assert (screen.priority, screen.blockers) == (0, (Blocker.NETWORK,))
    assert screen.enough == 1_200_000 + 4 * 57_000
    assert (thumbnail.blockers, thumbnail.blocking) == ((Blocker.PRIORITY,), (call.screen.id,))
    call.estimate(500_000)
    assert explain(call.engine).of(call.screen.id).priority == 9


def test_ranges_of_a_policy_still_spare_it_calls():
    """Where each class says for what capacities its answer stays, so does the whole."""
    calls = []

    class Counted(WaterFillingPolicy):
        def __call__(self, claims, capacity):
            calls.append(capacity)
            return super().__call__(claims, capacity)

    engine = opened(None, Counted(resume_share=0, resume_least=0))
    priorities: list[int | tuple[int, ...]] = [(2, 0), 0]
    for priority in priorities:
        receiver = joined(engine, 0, 100, 200, 400, priority=priority, bare_steps=True)
        engine.request(NOW, receiver, 400)
    engine.update_estimate(NOW, 450)
    engine.update_estimate(NOW, 450)  # what it granted is a change, too
    shares = [receiver.allocation for receiver in engine.ledger]
    calls.clear()
    engine.update_estimate(NOW, 451)
    assert not calls
    for estimate in range(452, 900):
        engine.update_estimate(NOW, estimate)
        fresh = opened(None, WaterFillingPolicy(resume_share=0, resume_least=0))
        for priority, held in zip(priorities, shares, strict=True):
            receiver = joined(fresh, held, 100, 200, 400, priority=priority, bare_steps=True)
            fresh.request(NOW, receiver, 400)
        fresh.update_estimate(NOW, estimate)
        shares = [receiver.allocation for receiver in engine.ledger]
        assert shares == [receiver.allocation for receiver in fresh.ledger]


def test_it_may_change_at_run_time():
    call = Conference("layered", 1_300_000, (600_000, 1_200_000, 2_400_000), [57_000] * 4, 9)
    assert call.shown == 1
    options = call.screen.options.changed({"priority": (9, 0)})
    call.engine.configure(call.now, call.screen, call.screen.track, options, None)
    call.answer()
    assert (call.screen.allocation, call.shown) == (600_000, 4)


@given(st.permutations([(2, 0), 1, 0]), st.integers(0, 3000))
def test_the_order_of_registration_decides_nothing(order, estimate):
    engine = opened(None, FAIR)
    members = {}
    for priority in order:
        members[priority] = joined(engine, 0, 100, 300, 900, priority=priority, bare_steps=True)
    for receiver in members.values():
        engine.request(NOW, receiver, 900)
    engine.update_estimate(NOW, estimate)
    assume(estimate >= 100)
    split, one, low = (members[priority].allocation for priority in ((2, 0), 1, 0))
    assert split >= 100
    above = max(0, low - 100) + split - 100  # what lower classes hold above their minimums
    following = next((step for step in (100, 300, 900) if step > one), None)
    assert following is None or following > estimate - split - low + above
