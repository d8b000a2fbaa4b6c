"""Counters: each counts what its name says, once."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress

import pytest
import trio

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, PLAIN, asked, unread
from trio_allocator import Act, DecisionReason as R, open_allocator


@pytest.fixture
async def allocator(autojump_clock):
    async with open_allocator(policy="fair", estimate_timeout=1_000.0) as opened:
        yield opened


def counted(allocator):
    """What is not 0."""
    return {name: n for name, n in allocator.statistics().as_dict().items() if n}


async def test_nothing_has_happened(allocator):
    assert counted(allocator) == {}


async def test_estimates_members_requests_and_grants(allocator):
    allocator.update_bandwidth_estimation(3_000_000)
    with allocator.register_track_receiver(CAMERA) as camera:
        camera.request_allocation(HIGH)
        camera.request_allocation(LOW)
        camera.buffer_sent(1_200)
    assert counted(allocator) == {
        "estimates": 1,
        "registrations": 1,
        "departures": 1,
        "requests": 2,
        "granted": 1,
        "lowered": 1,
        "media_bytes": 1_200,
    }


async def test_decreases_of_every_ending(allocator, autojump_clock):
    allocator.update_bandwidth_estimation(3_000_000)
    camera = allocator.register_track_receiver(CAMERA, HIGH, pausable=True)
    allocator.update_bandwidth_estimation(600_000)
    allocator.update_bandwidth_estimation(3_000_000)
    assert counted(allocator)["decreases_withdrawn"] == 1
    allocator.update_bandwidth_estimation(2_000_000)
    camera.reject_decrease(asked(camera))
    counts = counted(allocator)
    assert (counts["decreases_asked"], counts["decreases_rejected"]) == (2, 1)
    assert (counts["forced"], counts["holds"]) == (1, 1)
    unread(camera)
    allocator.update_bandwidth_estimation(300_000)
    camera.accept_decrease(asked(camera))
    await trio.sleep(1)
    counts = counted(allocator)
    assert (counts["decreases_accepted"], counts["decreases_breached"]) == (1, 1)
    assert counts["breaches_punished"] == 1
    allocator.update_bandwidth_estimation(100)
    await trio.sleep(1)
    assert counted(allocator)["decreases_silent"] >= 1


def void(channel):
    """How many requests were void, by reason; reads all that is unread."""
    reasons = Counter()
    with suppress(trio.WouldBlock):
        while True:
            decision = channel.receive_nowait()
            reasons[decision.reason] += decision.act is Act.WITHDRAWN
    return +reasons


async def test_requests_that_ended_are_counted_as_the_log_of_decisions_tells_them(allocator):
    with allocator.decisions() as decisions:
        allocator.update_bandwidth_estimation(3_000_000)
        camera = allocator.register_track_receiver(CAMERA, HIGH, pausable=True)
        allocator.update_bandwidth_estimation(600_000)
        camera.request_allocation(MEDIUM)  # before it answered
        allocator.update_bandwidth_estimation(300_000)
        allocator.update_bandwidth_estimation(3_000_000)
        allocator.update_bandwidth_estimation(300_000)
        await trio.sleep(1)  # it keeps silent
        with allocator.register_track_receiver(CAMERA, HIGH) as leaving:
            assert asked(leaving).limit < HIGH
        voided = void(decisions)
    assert voided == {R.GIVEN: 1, R.NO_NEED: 1, R.SILENCE: 1, R.CLOSED: 1}
    counts = counted(allocator)
    assert counts["decreases_asked"] == 4
    assert counts["decreases_silent"] == voided[R.SILENCE]
    assert counts["decreases_withdrawn"] == voided.total() - voided[R.SILENCE]


async def test_probes_and_padding(autojump_clock):
    async with open_allocator(estimate_timeout=1_000.0, probe_patience=2.0) as allocator:
        allocator.update_bandwidth_estimation(600_000)
        camera = allocator.register_track_receiver(CAMERA, MEDIUM)
        camera.request_allocation(HIGH)
        await trio.sleep(1)
        assert unread(camera)
        await trio.sleep(9)
        counts = counted(allocator)
        assert counts["probes_started"] == 2
        assert counts["probes_fruitless"] == 2
        assert counts["padding_bytes"] > 10_000


async def test_estimates_that_stop_and_the_escape(autojump_clock):
    async with open_allocator(estimate_timeout=1.0) as allocator:
        allocator.update_bandwidth_estimation(0)
        allocator.register_track_receiver(CAMERA).request_allocation(LOW)
        await trio.sleep(6)
        counts = counted(allocator)
        assert (counts["estimates_stopped"], counts["escapes"]) == (1, 2)


async def test_raises_that_are_taken_back(autojump_clock):
    async with open_allocator(estimates="ideal", estimate_timeout=1_000.0) as allocator:
        camera = allocator.register_track_receiver(CAMERA)
        for second in range(40):
            allocator.update_bandwidth_estimation(700_000 if second % 2 else HIGH)
            for message in unread(camera):
                if hasattr(message, "limit"):
                    camera.accept_decrease(message, message.limit)
            camera.request_allocation(HIGH)
            await trio.sleep(1)
        assert counted(allocator)["raises_taken_back"] > 0


async def test_a_policy_that_fails_and_after_the_end():
    def broken(claims, capacity):
        raise RuntimeError("planted")

    async with open_allocator(initial_estimate=1_000, policy=broken) as allocator:
        allocator.register_track_receiver(PLAIN).request_allocation(5)
    assert counted(allocator)["policy_faults"] == 1
    assert json.loads(json.dumps(allocator.statistics().as_dict()))["granted"] == 1
