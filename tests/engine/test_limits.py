"""The limits of a connection: a cap and a reserve, whatever the estimate says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from tests.engine.support import NOW, asked, granted, joined, limit, opened
from tests.engine.test_metamorphic import CASTS, Stage
from trio_allocator.engine.headroom import FAILURES_FOR, MOST_FAILURES, STEP
from trio_allocator.engine.limits import Limits
from trio_allocator.engine.probing.probe_status import ProbeStatus
from trio_allocator.engine.sharing.layered_policy import FairPolicy, LayeredPolicy
from trio_allocator.messages import GrantReason
from trio_allocator.policies.water_filling import WaterFillingPolicy
from trio_allocator.report.status import Allowance, snapshot

POLICIES = {"fair": FairPolicy(), "layered": LayeredPolicy(), "water-filling": WaterFillingPolicy()}
RESERVES = st.integers(0, 2000)
every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def accept(engine, receiver, now=NOW) -> None:
    engine.answer(now, receiver, receiver.request.id, accepted=True, bitrate=receiver.request.limit)


# --- what they are --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cap", "reserve", "estimate", "usable", "most"),
    [
        (None, 0, 1000, 1000, math.inf),
        (None, 300, 1000, 700, math.inf),
        (None, 300, 200, 0, math.inf),
        (800, 0, 1000, 800, 800),
        (800, 300, 1000, 500, 500),
        (800, 300, 600, 300, 500),
        (200, 300, 1000, 0, 0),
        (0, 0, 1000, 0, 0),
    ],
)
def test_the_cap_bounds_all_that_is_sent_and_the_reserve_is_part_of_that(
    cap, reserve, estimate, usable, most
):
    limits = Limits(max_bitrate=cap, reserve=reserve)
    assert (limits.usable(estimate), limits.most) == (usable, most)
    assert isinstance(limits.usable(estimate), int)


@given(cap=st.none() | st.integers(0, 10**12), reserve=st.integers(0, 10**12), data=st.data())
def test_more_is_never_usable_than_the_estimate_the_cap_and_what_is_not_reserved(
    cap, reserve, data
):
    limits = Limits(max_bitrate=cap, reserve=reserve)
    estimate = data.draw(st.integers(0, 10**12))
    usable = limits.usable(estimate)
    within = estimate if cap is None else min(estimate, cap)
    assert usable == max(0, within - reserve) <= limits.most


def test_what_is_not_named_stays():
    limits = Limits(max_bitrate=900.7, reserve=20)
    assert limits == Limits(max_bitrate=900, reserve=20)
    assert limits.changed({}) == limits
    assert limits.changed({"reserve": 0}) == Limits(max_bitrate=900)
    assert limits.changed({"max_bitrate": None}) == Limits(reserve=20)


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"max_bitrate": -1}, ValueError, "max_bitrate"),
        ({"max_bitrate": math.nan}, ValueError, "max_bitrate"),
        ({"max_bitrate": True}, TypeError, "max_bitrate"),
        ({"max_bitrate": "much"}, TypeError, "max_bitrate"),
        ({"reserve": -1}, ValueError, "reserve"),
        ({"reserve": math.inf}, ValueError, "reserve"),
        ({"reserve": None}, TypeError, "reserve"),
        ({"most": 3}, TypeError, "there is no limit 'most'; there are max_bitrate, reserve"),
    ],
)
def test_what_is_no_limit_is_refused_by_name(changes, error, message):
    with pytest.raises(error, match=message):
        Limits().changed(changes)


# --- what the engine does with them ---------------------------------------------------------------


@every_policy
@pytest.mark.invariant("A2", "G2")
def test_from_the_start_grants_stay_within_them(policy):
    engine = opened(10_000, policy, {"max_bitrate": 1_000, "reserve": 100})
    camera = joined(engine, 0, 100, 500, 1_000)
    engine.request(NOW, camera, 1_100)
    assert camera.allocation == 550
    status = snapshot(engine)
    assert (status.max_bitrate, status.reserve, status.usable) == (1_000, 100, 900)
    assert (status.estimate, status.free, status.allowances) == (10_000, 350, ())


@every_policy
@pytest.mark.invariant("A2", "N3")
@pytest.mark.parametrize("changes", [{"max_bitrate": 700}, {"reserve": 600}])
def test_less_is_asked_for_in_that_call_and_granted_back_when_it_may_be_used(policy, changes):
    engine = opened(1_300, policy)
    camera = joined(engine, 0, 100, 500, 1_000)
    engine.request(NOW, camera, 1_100)
    engine.drain()
    limit(engine, **changes)
    assert asked(engine.drain()) == {camera.id: 550}
    assert snapshot(engine).allowances == (Allowance("decrease under way", 400),)
    limit(engine, max_bitrate=None, reserve=0)
    assert (camera.request, camera.allocation) == (None, 1_100)
    limit(engine, **changes)
    accept(engine, camera)
    assert camera.allocation == 550
    engine.request(NOW, camera, 1_100)
    engine.drain()
    for later in range(60):  # who was lowered may wait out a hold, and an estimate has to come
        engine.update_estimate(NOW + later, 1_300)
        assert camera.allocation == 550
    limit(engine, NOW + 60, max_bitrate=None, reserve=0)
    assert granted(engine.drain()) == [(camera.id, 1_100, GrantReason.GRANTED)]


@every_policy
@pytest.mark.invariant("N5")
def test_who_refused_is_asked_again_once_less_may_be_used(policy):
    engine = opened(1_000, policy)
    camera = joined(engine, 1_100, 100, 500, 1_000)
    other = joined(engine, 0)
    engine.update_estimate(NOW, 999)
    engine.answer(NOW, camera, camera.request.id, accepted=False)
    assert camera.allocation == 550  # nobody was left to ask
    engine.drain()
    engine.request(NOW, other, 400)
    limit(engine, max_bitrate=949)
    assert engine.ledger.committed <= 949 or asked(engine.drain())


@pytest.mark.invariant("N5")
def test_a_refusal_lapses_when_the_limits_fall_below_what_there_was():
    engine = opened(1_000)
    other = joined(engine, 550, 100, 500)
    refuses = joined(engine, 550, 100, 500)
    engine.answer(NOW, refuses, refuses.request.id, accepted=False)
    engine.answer(NOW, other, other.request.id, accepted=True, bitrate=110)
    assert (refuses.refusal.estimate, refuses.allocation) == (1_000, 550)
    limit(engine, max_bitrate=1_000)
    assert refuses.refusal is not None
    limit(engine, reserve=1)
    assert refuses.refusal is None
    engine.drain()
    limit(engine, reserve=600)
    assert asked(engine.drain()) == {refuses.id: 110}


@pytest.mark.invariant("A6")
def test_while_the_estimate_is_unknown_nobody_is_asked_and_what_is_freed_goes_no_higher():
    engine = opened(None, None, {"max_bitrate": 500})
    held = joined(engine, 400)
    other = joined(engine, 300)
    waiting = joined(engine, 0)
    engine.request(NOW, waiting, 250)
    limit(engine, max_bitrate=400)
    assert asked(engine.drain()) == {}
    engine.request(NOW, other, 200)
    assert (waiting.allocation, snapshot(engine).usable) == (0, None)
    engine.request(NOW, held, 0)
    assert waiting.allocation == 0  # 450 is above the cap
    limit(engine, max_bitrate=450)
    assert waiting.allocation == 0  # what was freed counts in the call that frees it
    engine.request(NOW, other, 100)
    assert waiting.allocation == 0


@pytest.mark.invariant("N5")
def test_a_refusal_is_judged_by_what_may_be_used():
    engine = opened(1_000, None, {"reserve": 100})
    joined(engine, 550, 100, 500)
    refuses = joined(engine, 550, 100, 500)
    engine.answer(NOW, refuses, refuses.request.id, accepted=False)
    assert refuses.refusal.estimate == 900


@pytest.mark.invariant("N5")
def test_so_is_silence():
    engine = opened(1_000, None, {"reserve": 100})
    joined(engine, 550, 100, 500)
    silent = joined(engine, 550, 100, 500)
    engine.advance(NOW + 0.05)
    assert silent.refusal.estimate == 900


LIMITS = st.builds(Limits, max_bitrate=st.none() | st.integers(0, 9000), reserve=RESERVES)


@every_policy
@pytest.mark.invariant("G5")
@given(
    cast=CASTS,
    acts=st.lists(st.tuples(st.integers(0, 9000), LIMITS), min_size=1, max_size=4),
)
def test_what_is_usable_is_shared_as_an_estimate_as_large_would_be(policy, cast, acts):
    limited, plain = Stage.open(0, policy), Stage.open(0, policy)
    estimate, limits = acts[0]
    limited.engine.limit(limited.now, limits)
    limited.estimate(estimate)
    plain.estimate(limits.usable(estimate))
    be_careful_no_more(limited, plain)
    for member in cast:
        limited.add(member)
        plain.add(member)
    assert limited.shares == plain.shares
    for estimate, limits in acts[1:]:
        limited.engine.limit(limited.now, Limits(max_bitrate=0))
        limited.settle()
        limited.estimate(estimate)
        plain.estimate(0)
        be_careful_no_more(limited, plain)
        limited.engine.limit(limited.now, limits)
        limited.settle()
        plain.estimate(limits.usable(estimate))
        assert limited.shares == plain.shares
    assert snapshot(limited.engine).policy_fault is None


def be_careful_no_more(*stages: Stage) -> None:
    """Let falls of the estimate and raises that were taken back be forgotten on all stages.

    A limit is no fall, so stages that come to the same capacity by different ways are as careful
    as each other only when neither is careful any more.
    """
    later = max(stage.now for stage in stages) + FAILURES_FOR * math.log(MOST_FAILURES / STEP)
    for stage in stages:
        stage.now = later


# --- calm and probes ------------------------------------------------------------------------------


@pytest.mark.invariant("P1", "P4")
@pytest.mark.parametrize(
    ("limits", "status", "target"),
    [
        ({}, ProbeStatus.PROBING, 1_100),
        ({"max_bitrate": 1_100}, ProbeStatus.PROBING, 1_100),
        ({"max_bitrate": 1_099}, ProbeStatus.IDLE, 0),
        ({"max_bitrate": 1_199, "reserve": 100}, ProbeStatus.IDLE, 0),
        ({"max_bitrate": 1_200, "reserve": 100}, ProbeStatus.PROBING, 1_100),
    ],
)
@every_policy
def test_nothing_is_probed_for_that_the_cap_would_not_allow(policy, limits, status, target):
    engine = opened(900, policy, limits)
    camera = joined(engine, 0, 100, 500, 1_000)
    engine.request(NOW, camera, 1_100)
    assert camera.allocation == 550
    engine.advance(NOW + 2)  # the raise has carried for so long
    assert (engine.prober.status, engine.prober.target) == (status, target)
    limit(engine, NOW + 2, max_bitrate=None)
    assert engine.prober.status is ProbeStatus.PROBING


@pytest.mark.invariant("P4")
@every_policy
def test_for_one_that_can_use_any_part_a_probe_goes_as_far_as_the_cap(policy):
    engine = opened(900, policy, {"max_bitrate": 1_000})
    plain = joined(engine, 0, elastic=True, can_pad=True)
    engine.request(NOW, plain, 5_000)
    assert plain.allocation == 900
    assert (engine.prober.status, engine.prober.target) == (ProbeStatus.PROBING, 1_000)
    limit(engine, max_bitrate=900)
    assert engine.prober.target == 0


@pytest.mark.invariant("P4")
def test_a_probe_of_a_fixed_increment_stays_within_the_cap():
    engine = opened(900, None, {"max_bitrate": 2_000}, probe_increment=200_000)
    camera = joined(engine, 0, 100, 500, 1_000)
    engine.request(NOW, camera, 1_100)
    engine.advance(NOW + 2)
    assert engine.prober.target == 2_000


@pytest.mark.invariant("P5")
@pytest.mark.parametrize(
    ("limits", "target"),
    [
        ({}, 200_000),
        ({"max_bitrate": 150_000}, 150_000),
        ({"max_bitrate": 150_000, "reserve": 40_000}, 110_000),
        ({"max_bitrate": 109_999}, 0),
    ],
)
@every_policy
def test_the_way_out_of_a_deadlock_is_taken_within_the_cap_if_anybody_could_rise(
    policy, limits, target
):
    engine = opened(100, policy, limits, estimate_timeout=1.0)
    camera = joined(engine, 0, 100_000, 500_000)
    engine.request(NOW, camera, 550_000)
    engine.advance(NOW + 1)  # from now on nothing is known
    engine.advance(NOW + 3.1)
    found = engine.prober.status, engine.prober.target
    assert found == ((ProbeStatus.ESCAPING, target) if target else (ProbeStatus.IDLE, 0))


@pytest.mark.invariant("P1")
@every_policy
def test_an_estimate_that_sees_the_capacity_is_not_probed_for(policy):
    engine = opened(900, policy, estimates="ideal")
    camera = joined(engine, 0, 100, 500, 1_000)
    engine.request(NOW, camera, 1_100)
    assert (camera.allocation, engine.prober.status) == (550, ProbeStatus.IDLE)


@every_policy
@pytest.mark.invariant("G3")
def test_the_same_limits_again_change_nothing(policy):
    engine = opened(1_000, policy)
    camera = joined(engine, 0, 100, 500, 1_000)
    engine.request(NOW, camera, 1_100)
    limit(engine, max_bitrate=300)
    engine.drain()
    before = snapshot(engine)
    limit(engine, max_bitrate=300, reserve=0)
    assert (snapshot(engine), engine.drain()) == (before, [])
