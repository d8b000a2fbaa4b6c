"""A default policy with a utility of the user's, and one with an opinion of its own."""

import math

import pytest

from tests.engine.support import NOW, joined, opened
from tests.shell.support import CAMERA, LOW, MEDIUM
from trio_allocator import LayeredPolicy, Track, open_allocator
from trio_allocator.engine.sharing.registry import chosen_policy
from trio_allocator.report.status import snapshot

SMALL = Track("small", variants={"low": 100_000, "high": 400_000})
LARGE = Track("large", variants={"low": 100_000, "high": 700_000})


def likes_it_large(bitrate):
    return 100.0 if bitrate > 600_000 else math.log1p(bitrate) / 100


@pytest.mark.parametrize(("worth", "raised"), [(None, "small"), (likes_it_large, "large")])
async def test_a_utility_decides_who_is_raised_where_only_one_fits(worth, raised, autojump_clock):
    async with open_allocator(policy=LayeredPolicy(worth)) as allocator:
        allocator.update_bandwidth_estimation(300_000)
        handles = {}
        for track, weight in ((SMALL, 1.5), (LARGE, 1.0)):
            handles[track.id] = allocator.register_track_receiver(
                track, track.allocation("low"), weight=weight
            )
            handles[track.id].request_allocation(track.allocation("high"))
        allocator.update_bandwidth_estimation(900_000)
        grown = [name for name, handle in handles.items() if handle.allocation > 200_000]
    assert grown == [raised]


async def test_a_utility_that_fails_is_replaced_and_reported(autojump_clock):
    trouble = False

    def worth(bitrate):
        if trouble:
            raise ValueError("no idea")
        return float(bitrate)

    async with open_allocator(policy=LayeredPolicy(worth)) as allocator:
        allocator.update_bandwidth_estimation(3_000_000)
        handles = [allocator.register_track_receiver(CAMERA, LOW) for _ in range(3)]
        for handle in handles:
            handle.request_allocation(MEDIUM)
        trouble = True
        allocator.update_bandwidth_estimation(1_000_000)
        for handle in handles:
            message = handle.receive_nowait()
            assert message is not None
        assert "no idea" in str(allocator.status.policy_fault)


def test_what_a_utility_that_fails_has_moved_before_is_moved_back():
    def worth(bitrate):
        if bitrate > 550:
            raise ValueError("no idea")
        return float(bitrate)

    engine, fair = opened(None, LayeredPolicy(worth)), opened(None)
    for each in (engine, fair):
        for priority, best in ((1, 1_000), (1, 1_000), (0, 1_000), (0, 900)):
            each.request(NOW, joined(each, 110, 100, 500, best, priority=priority), 1_100)
        each.update_estimate(NOW, 4_000)  # all of the higher class, and one of the other
    assert "no idea" in str(snapshot(engine).policy_fault)
    assert [r.allocation for r in engine.ledger] == [r.allocation for r in fair.ledger]


async def test_a_policy_derived_from_the_default_is_asked_itself(autojump_clock):
    asked = []

    class Own(LayeredPolicy):
        def __call__(self, claims, capacity):
            asked.append(capacity)
            return super().__call__(claims, capacity)

    async with open_allocator(policy=Own()) as allocator:
        allocator.update_bandwidth_estimation(1_000_000)
        handle = allocator.register_track_receiver(CAMERA, LOW)
        handle.request_allocation(MEDIUM)
        assert handle.allocation == MEDIUM
    assert asked


@pytest.mark.parametrize("name", ["fair", "layered"])
def test_a_chosen_policy_shows_its_kind(name):
    assert name in repr(chosen_policy(name)).lower()
