"""Cases restated from other systems' public tests; cases.toml says what each of their words means.

The receivers are honest: they do as they are told, and go to the limit when they are asked to
decrease. They send no media, for what is allocated counts, not what is measured.
"""

import re
import tomllib
from pathlib import Path
from types import MappingProxyType

import pytest
import trio
import trio.testing

import trio_allocator
from trio_allocator import (
    AllocationGranted,
    DecreaseAllocation,
    SendPadding,
    Track,
    open_allocator,
)
from trio_allocator.testing.bench import pass_time

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "scenarios.md"
MATERIAL = tomllib.loads((HERE / "cases.toml").read_text(encoding="utf-8"))
EVERYTHING = [*MATERIAL["case"], *MATERIAL["exchange"]]
NAMED = sorted({case["policy"] for case in EVERYTHING} - {"any"})

BUILT_IN = "built-in"
MORE_THAN_ANYBODY_GETS = 2_000_000
"""What receivers ask for that may have nothing, bit/s."""
SETTLING = 20.0
"""Seconds after which whoever was lowered may be raised again, twice over."""
ON_THE_WAY = 1.0
"""Seconds between two estimates of a sweep."""


def policy_of(name, options=MappingProxyType({})):
    """A new policy of this name, or the built-in sharing if the package has none."""
    made = getattr(trio_allocator, name, None)
    return "fair" if made is None else made(**options)


def parameters(cases):
    """Every case under every policy that it is to hold for: for "any", under all that exist."""
    existing = [name for name in NAMED if hasattr(trio_allocator, name)]
    return [
        pytest.param(case, name, id=f"{case['id']}-{number}-{name}")
        for number, case in enumerate(cases)
        for name in ([BUILT_IN, *existing] if case["policy"] == "any" else [case["policy"]])
    ]


def in_virtual_time(function, *args):
    """`trio.run`, so that a failed `assert` is no part of a group."""
    return trio.run(function, *args, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_page_says_which_cases_are_tests():
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\| test\b", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted({case["id"] for case in EVERYTHING})


# --- What is held ------------------------------------------------------------------------------


def track_with_steps(name, steps):
    """A track with these allocations for steps: what is left of them without the headroom."""
    track = Track(name, variants={str(step): -(-step * 10 // 11) for step in steps})
    assert track.steps == tuple(steps)
    return track


def enter(allocator, facts):
    """Register a receiver of a track as the case describes it, and ask for all it can use."""
    ladder = facts.get("ladder", [])
    minimum = facts.get("minimum", 0)
    pausable = facts.get("pausable", True)
    receiver = allocator.register_track_receiver(
        track_with_steps(facts["name"], ladder),
        # Who can not be paused sends its minimum from the first packet.
        0 if pausable else minimum,
        negotiable=True,
        elastic=not ladder,
        min_bitrate=minimum,
        max_bitrate=facts.get("maximum"),
        pausable=pausable,
        weight=facts.get("weight", 1.0),
        priority=facts.get("priority", 0),
    )
    wanted = ladder[-1] if ladder else facts["maximum"] or MORE_THAN_ANYBODY_GETS
    receiver.request_allocation(wanted)
    return receiver


async def be_honest(receiver):
    """Do what every message says, and go on asking for as much as at first."""
    wanted = receiver.claim
    async for message in receiver:
        match message:
            case DecreaseAllocation(limit=limit):
                receiver.accept_decrease(message, limit)
                # A lowering of one's own replaces the claim.
                receiver.request_allocation(wanted)
            case SendPadding(size):
                receiver.buffer_sent(size, padding=True)


def estimates_of(case):
    """Every estimate, and what is held then, bit/s."""
    steps = case["steps"]
    if "sweep" not in case:
        return [(step["estimate"], step["holds"]) for step in steps]
    return [
        (estimate, [step["holds"] for step in steps if step["estimate"] <= estimate][-1])
        for estimate in range(0, case["sweep"]["to"] + 1, case["sweep"]["by"])
    ]


async def what_is_held(case, policy):
    """After each estimate, who holds what, and how far it probes; and how it stands in the end."""
    seconds = ON_THE_WAY if "sweep" in case else SETTLING
    seen, probed = [], []
    async with (
        # How long a raise may be kept back is not what these cases ask.
        open_allocator(
            initial_estimate=case["start"],
            policy=policy_of(policy, case.get("options", {})),
            hold=0.05 if policy == "LayeredPolicy" else 5.0,
        ) as allocator,
        trio.open_nursery() as nursery,
    ):
        receivers = [enter(allocator, facts) for facts in case["tracks"]]
        for receiver in receivers:
            nursery.start_soon(be_honest, receiver)
        await pass_time(allocator, case["start"], SETTLING)
        for estimate, _ in estimates_of(case):
            delivered = max(0, estimate - 1) if case.get("strictly") else estimate
            allocator.update_bandwidth_estimation(delivered)
            targets = {allocator.status.probe_target}
            for _ in range(int(seconds)):
                await pass_time(allocator, delivered, 1)
                targets.add(allocator.status.probe_target)
            seen.append((estimate, [receiver.allocation for receiver in receivers]))
            probed.append(targets)
        status = allocator.status
        nursery.cancel_scope.cancel()
    return seen, probed, status


@pytest.mark.parametrize(("case", "policy"), parameters(MATERIAL["case"]))
def test_what_is_held(case, policy):
    seen, probed, status = in_virtual_time(what_is_held, case, policy)
    order = sorted if case.get("interchangeable") else list
    assert [(estimate, order(holds)) for estimate, holds in seen] == [
        (estimate, order(holds)) for estimate, holds in estimates_of(case)
    ]
    for step, target in zip(case["steps"], probed, strict=False):
        assert step.get("probes", 0) in {0, *target}
    assert (status.policy_fault, status.forced) == (None, 0)


# --- What is granted ---------------------------------------------------------------------------


async def note_grants(receiver, told):
    """Do what every message says, and note the allocations."""
    async for message in receiver:
        match message:
            case AllocationGranted(allocation):
                told.append(allocation)
            case SendPadding(size):
                receiver.buffer_sent(size, padding=True)
            case _:
                pytest.fail(f"nobody here may be asked for less: {message}")


async def what_is_granted(exchange, policy):
    """Who was told to hold what, in this order; and how the allocator stands in the end."""
    estimate = exchange["estimate"]
    told: dict[str, list[int]] = {name: [] for name in exchange["registered"]}
    async with (
        open_allocator(initial_estimate=estimate, policy=policy_of(policy)) as allocator,
        trio.open_nursery() as nursery,
    ):
        receivers = {
            name: allocator.register_track_receiver(Track(name), bandwidth)
            for name, bandwidth in exchange["registered"].items()
        }
        for name, receiver in receivers.items():
            nursery.start_soon(note_grants, receiver, told[name])
        for request in exchange["requests"]:
            receivers[request["name"]].request_allocation(request["bitrate"])
        for name in exchange.get("leaves", []):
            receivers[name].close()
        await pass_time(allocator, estimate, SETTLING)
        status = allocator.status
        nursery.cancel_scope.cancel()
    return told, status


@pytest.mark.parametrize(("exchange", "policy"), parameters(MATERIAL["exchange"]))
def test_what_is_granted(exchange, policy):
    told, status = in_virtual_time(what_is_granted, exchange, policy)
    granted = {name: allocations for name, allocations in told.items() if allocations}
    assert granted == {name: [allocation] for name, allocation in exchange["granted"].items()}
    assert status.policy_fault is None
