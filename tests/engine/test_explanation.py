"""Why a receiver holds what it holds: what is named is what stands in its way, all of it."""

from __future__ import annotations

import json
import math

import pytest
from attrs import evolve
from hypothesis import assume, event, given, settings, strategies as st

from tests.engine.support import NOW, joined, limit, opened
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.headroom import RAISE_SHARE
from trio_allocator.engine.limits import Limits
from trio_allocator.engine.negotiation import Negotiation
from trio_allocator.engine.receiver import Receiver
from trio_allocator.engine.sharing.layered_policy import LayeredPolicy
from trio_allocator.obstacle import Obstacle
from trio_allocator.options import ReceiverOptionChanges
from trio_allocator.policies.policy import Shares
from trio_allocator.policies.water_filling import WaterFillingPolicy
from trio_allocator.report.blockers import Blocker
from trio_allocator.report.explanation import ReceiverExplanation, explain
from trio_allocator.report.statistics import statistics
from trio_allocator.report.status import snapshot

UNORDERED = ("water-filling", "user")

CAMERA = (150_000, 500_000, 2_500_000)
LOW, MEDIUM, HIGH = 165_000, 550_000, 2_750_000


def fair(claims, capacity):
    """A user's policy: the layered one in disguise, so that the engine knows nothing of it."""
    return LayeredPolicy()(claims, capacity)


POLICIES = {
    "fair": None,
    "layered": LayeredPolicy(),
    "water-filling": WaterFillingPolicy(),
    "user": fair,
}


def about(engine: Engine, receiver: Receiver) -> ReceiverExplanation:
    return explain(engine).of(receiver.id)


def answer_all(engine: Engine, now: float) -> None:
    """Everybody who was asked accepts, and goes to the limit at once."""
    engine.drain()
    while asked := [
        receiver for receiver in engine.ledger if receiver.negotiation is Negotiation.ASKED
    ]:
        request = asked[0].request
        engine.answer(now, asked[0], request.id, accepted=True, bitrate=request.limit)


# --- one blocker each -----------------------------------------------------------------------------


def test_at_the_top_of_its_ladder_it_says_what_its_sender_says_of_the_next_variant():
    engine = opened(1_000_000)
    camera = joined(engine, 550_000, 150_000, 500_000)
    assert str(about(engine, camera)) == "t holds 550000 bit/s, and has no use for more"
    camera.obstacle = Obstacle.DEAR
    assert str(about(engine, camera)) == (
        "t holds 550000 bit/s, and claims no more: its next variant is dear"
    )


@pytest.mark.parametrize("obstacle", [Obstacle.DEAR, Obstacle.STALLED])
def test_what_its_sender_says_of_the_next_variant_comes_before_the_network(obstacle):
    engine = opened(600_000)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    camera.obstacle = obstacle
    assert about(engine, camera).blockers == (Blocker(obstacle.value), Blocker.NETWORK)


def test_network_and_what_is_lacking():
    engine = opened(600_000)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    found = about(engine, camera)
    assert (found.allocation, found.claim, found.next_step) == (MEDIUM, HIGH, HIGH)
    assert found.blockers == (Blocker.NETWORK,)
    assert found.lacks == HIGH - 600_000
    engine.update_estimate(NOW, 600_000 + found.lacks - 1)
    assert camera.allocation == MEDIUM
    engine.update_estimate(NOW, 600_000 + found.lacks)
    assert camera.allocation == HIGH


def test_sender_that_claims_no_more_than_it_holds():
    engine = opened(10_000_000)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, MEDIUM)
    found = about(engine, camera)
    assert (found.blockers, found.next_step, found.lacks) == ((Blocker.SENDER,), HIGH, 0)
    engine.request(NOW, camera, HIGH)
    found = about(engine, camera)
    assert (found.blockers, found.next_step, found.lacks) == ((Blocker.SENDER,), None, 0)
    assert "no use for more" in str(found)


def test_sender_below_its_minimum():
    engine = opened(10_000_000)
    camera = joined(engine, 0, *CAMERA, min_bitrate=300_000)
    assert about(engine, camera).next_step == MEDIUM


def test_cap():
    engine = opened(10_000_000)
    camera = joined(engine, 0, *CAMERA, max_bitrate=600_000)
    engine.request(NOW, camera, HIGH)
    assert about(engine, camera).blockers == (Blocker.CAP,)
    assert about(engine, camera).next_step == HIGH


def test_sender_and_cap():
    engine = opened(10_000_000)
    camera = joined(engine, MEDIUM, *CAMERA, max_bitrate=600_000)
    assert about(engine, camera).blockers == (Blocker.SENDER, Blocker.CAP)


def test_cap_without_a_ladder():
    engine = opened(10_000_000)
    plain = joined(engine, 0, max_bitrate=600_000)
    engine.request(NOW, plain, 1_000_000)
    assert about(engine, plain).next_step == 1_000_000
    assert about(engine, plain).blockers == (Blocker.CAP,)


def test_priority_and_who_has_it():
    engine = opened(HIGH)
    screen = joined(engine, 0, *CAMERA, priority=1)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, screen, HIGH)
    engine.request(NOW, camera, HIGH)
    found = about(engine, camera)
    assert (found.blockers, found.blocking) == ((Blocker.PRIORITY,), (screen.id,))
    assert found.lacks == LOW


def test_a_higher_class_is_not_to_blame_if_it_makes_no_difference():
    engine = opened(100_000)
    joined(engine, 10_000, 9_000, priority=1)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    assert about(engine, camera).blockers == (Blocker.NETWORK,)


def test_the_cap_of_the_connection():
    engine = opened(3_000_000, limits={"max_bitrate": HIGH - 1})
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    found = about(engine, camera)
    assert (found.blockers, found.lacks) == ((Blocker.CONNECTION_CAP,), 0)
    limit(engine, max_bitrate=HIGH)
    assert camera.allocation == HIGH


def test_the_reserve():
    engine = opened(HIGH, limits={"reserve": 1})
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    found = about(engine, camera)
    assert (found.blockers, found.lacks, found.enough) == ((Blocker.RESERVE,), 1, HIGH + 1)
    limit(engine, reserve=0)
    assert camera.allocation == HIGH


@pytest.mark.parametrize(
    ("estimate", "cap", "reserve", "blockers"),
    [
        (HIGH, HIGH, 1, ["reserve"]),
        (HIGH + 1, HIGH, 1, ["connection cap"]),
        (HIGH, HIGH - 1, 1, ["connection cap", "reserve"]),
        (HIGH - 1, HIGH, 0, ["network"]),
        (HIGH - 1, HIGH, 1, ["connection cap", "network"]),
        (HIGH - 1, None, 1, ["network"]),
        (HIGH - 1, HIGH - 1, 0, ["connection cap", "network"]),
        (None, HIGH - 1, 0, ["unknown estimate", "connection cap"]),
        (None, HIGH, 1, ["unknown estimate", "connection cap"]),
        (None, HIGH, 0, ["unknown estimate"]),
        (None, None, 5, ["unknown estimate"]),
    ],
)
def test_what_of_the_connection_is_in_the_way(estimate, cap, reserve, blockers):
    engine = opened(estimate, limits={"max_bitrate": cap, "reserve": reserve})
    camera = joined(engine, MEDIUM, *CAMERA)
    engine.request(NOW, camera, HIGH)
    assert list(about(engine, camera).blockers) == blockers


def test_who_has_priority_is_named_before_a_limit_that_would_do_without_them():
    engine = opened(HIGH + LOW, limits={"max_bitrate": HIGH})
    screen = joined(engine, 0, *CAMERA, priority=1)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, screen, HIGH)
    engine.request(NOW, camera, HIGH)
    found = about(engine, camera)
    assert (found.blockers, found.blocking) == ((Blocker.PRIORITY,), (screen.id,))
    engine.leave(NOW, screen)
    assert camera.allocation == HIGH


def test_negotiation_of_others_and_of_itself():
    engine = opened(HIGH)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    screen = joined(engine, 0, *CAMERA, priority=1)
    engine.request(NOW, screen, MEDIUM)
    found = about(engine, screen)
    assert (found.blockers, found.blocking) == ((Blocker.NEGOTIATION,), (camera.id,))
    engine.request(NOW, camera, HIGH + 1)
    found = about(engine, camera)
    assert found.blockers[0] is Blocker.NEGOTIATION
    assert camera.id in found.blocking
    answer_all(engine, NOW)
    assert screen.allocation == MEDIUM


def test_a_part_that_is_planned_is_the_next_step_of_who_can_use_any():
    engine = opened(1_100_000)
    big = joined(engine, 1_100_000, 200_000, 1_000_000)
    part = joined(engine, 0, elastic=True)
    engine.request(NOW, part, 100_000)
    assert about(engine, part).next_step == 100_000
    engine.update_estimate(NOW, 300_000)
    found = about(engine, part)
    assert (found.blockers, found.blocking) == ((Blocker.NEGOTIATION,), (big.id,))
    assert found.next_step == 80_000
    answer_all(engine, NOW)
    assert part.allocation == 80_000


def test_who_promised_a_decrease_waits_for_nothing():
    engine = opened(HIGH)
    camera = joined(engine, HIGH, *CAMERA)
    engine.update_estimate(NOW, 600_000)
    engine.answer(NOW, camera, camera.request.id, accepted=True)
    plain = joined(engine, 0)
    engine.request(NOW, plain, 10_000)
    engine.request(NOW, camera, HIGH + 5)
    assert about(engine, plain).lacks == HIGH + 10_000 - 600_000
    assert about(engine, camera).blockers == (Blocker.NEGOTIATION, Blocker.NETWORK)


def test_a_hold_after_force():
    engine = opened(3_000_000)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    engine.force(NOW, camera, MEDIUM)
    found = about(engine, camera)
    assert found.blockers == (Blocker.HOLD,)
    assert found.held_until >= NOW + 5
    assert "hold until" in str(found)


def test_held_for_one_that_was_overtaken():
    engine = opened(1_000_000)
    big = joined(engine, 0)
    other = joined(engine, 1_000_000, negotiable=False)
    engine.request(NOW, big, 900_000)
    small = [joined(engine, 0) for _ in range(4)]
    for count, receiver in enumerate(small):
        engine.request(NOW, receiver, 10_000)
        engine.request(NOW, other, 1_000_000 - 10_000 * (count + 1))
    assert snapshot(engine).favoured
    found = about(engine, small[3])
    assert Blocker.HOLD in found.blockers
    assert big.id in found.blocking


def test_unknown_estimate():
    engine = opened()
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    found = about(engine, camera)
    assert (found.blockers, found.lacks) == ((Blocker.UNKNOWN_ESTIMATE,), None)
    assert found.blocker is Blocker.UNKNOWN_ESTIMATE
    assert explain(engine).usable is None


def test_headroom_is_a_hold_with_an_end():
    engine = opened(1_000_000, LayeredPolicy())
    plain = joined(engine, 500_000)
    engine.update_estimate(NOW + 2, 500_000)
    engine.update_estimate(NOW + 2, 1_000_000)
    engine.request(NOW + 2, plain, 950_000)
    found = about(engine, plain)
    assert found.blockers == (Blocker.HOLD,)
    assert NOW + 2 < found.held_until <= NOW + 12.1
    engine.update_estimate(found.held_until, 1_000_000)
    assert plain.allocation == 950_000


def test_what_was_not_carried_is_no_hold_but_the_network():
    engine = opened(None, LayeredPolicy())
    engine.update_estimate(NOW, 1_000_000, 500_000)
    plain = joined(engine, 500_000)
    engine.request(NOW, plain, 950_000)
    assert engine.trusted < 950_000 < 1_000_000
    found = about(engine, plain)
    assert (found.blockers, found.held_until) == ((Blocker.NETWORK,), None)
    assert 1_000_000 + found.lacks == math.ceil(950_000 / RAISE_SHARE)
    engine.update_estimate(NOW, 1_000_000 + found.lacks, 500_000)
    assert plain.allocation == 950_000


def test_a_policy_that_keeps_what_would_fit_is_a_hold():
    """Its range is its own word; that it lies about it is not found out at once."""

    def stubborn(claims, capacity):
        given = LayeredPolicy()(claims, capacity)
        return Shares(given.allocations, -math.inf, math.inf)

    engine = opened(600_000, policy=stubborn)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    engine.update_estimate(NOW, 600_001)
    engine.update_estimate(NOW, HIGH)
    assert about(engine, camera).blockers == (Blocker.HOLD,)


# --- its form -------------------------------------------------------------------------------------


def test_it_is_ready_for_json_and_infinite_times_are_null():
    engine = opened(600_000)
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    engine.force(NOW, camera, LOW)
    plain = evolve(explain(engine), time=math.inf).as_dict()
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain
    assert plain["time"] is None
    assert plain["status"]["holds"] == {str(camera.id): NOW + 5}
    assert plain["receivers"][0]["blockers"][0] == "hold"
    assert plain["status"]["probe"] in {"idle", "probing"}


def test_nobody_there():
    with pytest.raises(KeyError, match="receiver 7 is not registered"):
        explain(opened(1)).of(7)


def test_to_explain_changes_nothing():
    engine = opened(600_000, policy=LayeredPolicy())
    camera = joined(engine, 0, *CAMERA)
    engine.request(NOW, camera, HIGH)
    engine.drain()
    before = (engine.wake_at, statistics(engine).raises_taken_back, camera.allocation)
    explain(engine)
    assert (engine.wake_at, statistics(engine).raises_taken_back, camera.allocation) == before
    assert not engine.drain()


# --- lifting what is named ------------------------------------------------------------------------

RATES = st.sampled_from([0, 30_000, 100_000, 165_000, 400_000, 550_000, 1_200_000, 2_750_000])
LADDERS = st.sampled_from([(), (35_000,), CAMERA, (200_000, 1_000_000)])
OPTIONS = st.fixed_dictionaries(
    {
        "priority": st.integers(0, 2) | st.sampled_from([(2, 0), (1, 0), (2, 1, 0)]),
        "negotiable": st.booleans(),
    },
    optional={
        "elastic": st.just(True),
        "pausable": st.just(True),
        "max_bitrate": st.sampled_from([600_000, 300_000]),
        "min_bitrate": st.sampled_from([100_000, 200_000]),
        "weight": st.sampled_from([0.5, 3.0]),
    },
).filter(lambda options: options["negotiable"] or "pausable" not in options)
ESTIMATES = st.integers(0, 40).map(lambda n: n * 100_000)
CAPS = st.none() | ESTIMATES
RESERVES = st.sampled_from([0, 50_000, 600_000])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("estimate"), ESTIMATES),
        st.tuples(st.just("request"), st.integers(0, 5), RATES),
        st.tuples(st.just("answer"), st.booleans()),
        st.tuples(st.just("force"), st.integers(0, 5), RATES),
        st.tuples(st.just("wait"), st.sampled_from([0.02, 1.0, 6.0])),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("limit"), CAPS, RESERVES),
    ),
    max_size=14,
)


class World:
    """An engine that has lived a little."""

    def __init__(self, policy: str, estimate: int | None, limits: Limits, members, steps) -> None:
        self.engine = opened(estimate, POLICIES[policy])
        self.engine.limit(NOW, limits)
        self.now = NOW
        for ladder, options, claim in members:
            receiver = joined(self.engine, 0, *ladder, **options)
            self.engine.request(self.now, receiver, claim)
        for name, *arguments in steps:
            getattr(self, name)(*arguments)

    def _pick(self, index: int) -> Receiver | None:
        receivers = list(self.engine.ledger)
        return receivers[index % len(receivers)] if receivers else None

    def estimate(self, bitrate: int) -> None:
        self.engine.update_estimate(self.now, bitrate)

    def limit(self, max_bitrate: int | None, reserve: int) -> None:
        self.engine.limit(self.now, Limits(max_bitrate=max_bitrate, reserve=reserve))

    def request(self, index: int, bitrate: int) -> None:
        if receiver := self._pick(index):
            self.engine.request(self.now, receiver, bitrate)

    def force(self, index: int, bitrate: int) -> None:
        if receiver := self._pick(index):
            self.engine.force(self.now, receiver, bitrate)

    def leave(self, index: int) -> None:
        if receiver := self._pick(index):
            self.engine.leave(self.now, receiver)

    def answer(self, accepted: bool) -> None:
        if accepted:
            answer_all(self.engine, self.now)
            return
        for receiver in list(self.engine.ledger):
            if receiver.request is not None:
                self.engine.answer(self.now, receiver, receiver.request.id, accepted=False)

    def wait(self, seconds: float) -> None:
        self.pass_until(self.now + seconds)

    def pass_until(self, end: float) -> None:
        """Time passes, and the estimate is repeated."""
        while self.now < end:
            self.now = min(end, max(self.now + 1e-6, self.engine.wake_at), self.now + 0.5)
            self.engine.advance(self.now)
            if self.engine.estimates.value is not None:
                self.engine.update_estimate(self.now, self.engine.estimates.value)

    def lift(self, receiver: Receiver, found: ReceiverExplanation) -> None:
        """Lift everything that is named, and nothing else."""
        engine, blockers = self.engine, found.blockers
        if Blocker.SENDER in blockers:
            assert found.next_step is not None
            engine.request(self.now, receiver, found.next_step)
        if Blocker.CAP in blockers:
            changes: ReceiverOptionChanges = {"max_bitrate": None}
            options = receiver.options.changed(changes)
            engine.configure(self.now, receiver, receiver.track, options, None)
        if Blocker.PRIORITY in blockers:
            for other in [engine.ledger[i] for i in found.blocking]:
                if other is not receiver and other.options.priorities[0] > found.priority:
                    engine.leave(self.now, other)
        if Blocker.CONNECTION_CAP in blockers:
            limit(engine, self.now, max_bitrate=None)
        if Blocker.RESERVE in blockers:
            limit(engine, self.now, reserve=0)
        if {Blocker.NETWORK, Blocker.UNKNOWN_ESTIMATE} & set(blockers):
            engine.update_estimate(self.now, found.enough)
        if Blocker.NEGOTIATION in blockers:
            answer_all(engine, self.now)
        if Blocker.HOLD in blockers:
            assert found.held_until is not None
            self.pass_until(found.held_until)


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=settings().max_examples // 2)  # each is a history of its own
@given(
    estimate=st.none() | ESTIMATES,
    limits=st.just(Limits()) | st.builds(Limits, max_bitrate=CAPS, reserve=RESERVES),
    members=st.lists(st.tuples(LADDERS, OPTIONS, RATES), min_size=1, max_size=6),
    steps=STEPS,
    who=st.integers(0, 5),
)
def test_with_all_that_is_named_lifted_the_step_is_granted(
    policy, estimate, limits, members, steps, who
):
    world = World(policy, estimate, limits, members, steps)
    receiver = world._pick(who)
    assume(receiver is not None)
    found = about(world.engine, receiver)
    event(" + ".join(found.blockers))
    assert found.blockers
    if found.next_step is None:
        assert found.blockers == (Blocker.SENDER,)
        assert receiver.want <= receiver.allocation
        return
    assert found.next_step > receiver.allocation
    asked_itself = receiver.request is not None
    held = {other.id: other.allocation for other in world.engine.ledger}
    world.lift(receiver, found)
    if receiver.allocation >= found.next_step:
        return
    after = about(world.engine, receiver)
    event(f"afterwards: {' + '.join(after.blockers)}")
    if asked_itself:  # it has given what it was asked for, so that this is another step
        assert Blocker.NEGOTIATION not in after.blockers or after.blocking != (receiver.id,)
        return
    # Of a policy whose order is not known, no step is sure before all that is claimed is.
    unsure = max(0, receiver.claim - found.next_step) if policy in UNORDERED else 0
    # What was in its way is gone; what there is may not be trusted yet, and that ends (G9). In the
    # meantime it may be others who take it, and then it lacks what they took (G2).
    for _ in range(4):
        after = about(world.engine, receiver)
        taken = sum(
            max(0, other.allocation - held[other.id])
            for other in world.engine.ledger
            if other is not receiver
        )
        if receiver.allocation >= found.next_step or (taken and after.lacks):
            assert (after.lacks or 0) <= taken + unsure or receiver.allocation >= found.next_step
            return
        more = receiver.projected > receiver.allocation
        if Blocker.NEGOTIATION in after.blockers and (more or policy in UNORDERED):
            # It is due even more, or a part of what it can use any part of; others have to give it.
            # Where shares are levelled it may also have to give what others are due.
            assert more is (after.blockers == (Blocker.NEGOTIATION,))
            answer_all(world.engine, world.now)
            continue
        assert after.blockers == (Blocker.HOLD,)
        assert after.held_until <= world.now + 120
        world.pass_until(after.held_until)
    assert receiver.allocation >= found.next_step
