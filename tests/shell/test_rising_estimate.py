"""While an estimate climbs, no step that fits with a fifth to spare waits, unless raises had failed (G10)."""

from functools import partial
from random import Random

import pytest
import trio

from trio_allocator import Track, TrackReceiver, open_allocator

SOURCES = 6
A_SECOND = 1.075
"""How much an estimate that climbs is after a second, times what it was."""

KEY_FRAME = 0.05


async def longest_wait(ladder, fallen):
    """How long a step that fits with a fifth to spare waited at most, s."""
    names, rates, noise = list(ladder), list(ladder.values()), Random(1)
    receivers: list[TrackReceiver] = []
    worst, since, before = 0.0, None, None
    async with open_allocator() as allocator, trio.open_nursery() as nursery:

        async def key_frame(number, variant):
            await trio.sleep(KEY_FRAME)
            if receivers[number].queued_variant == variant:
                receivers[number].variant_switched(variant)

        def request_variant(number, variant, _reason):
            if variant is not None:
                nursery.start_soon(key_frame, number, variant)

        for number in range(SOURCES):
            asked = partial(request_variant, number)
            track = Track(f"camera {number}", variants=ladder)
            receivers.append(TrackReceiver(allocator, track, request_variant=asked))
            nursery.start_soon(receivers[-1].run)

        async def tenth_of_a_second(estimate):
            allocator.update_bandwidth_estimation(round(estimate))
            for receiver in receivers:
                if (name := receiver.current_variant) is not None:
                    receiver.packet_sent(ladder[name] / 8 / 10)
            await trio.sleep(0.1)

        for estimate in fallen:
            for _ in range(10):
                await tenth_of_a_second(estimate)
        estimate = fallen[-1]
        while estimate < 2 * SOURCES * rates[-1]:
            estimate *= A_SECOND**0.1
            await tenth_of_a_second(estimate * noise.uniform(0.99, 1.01))
            flowing = [receiver.current_variant for receiver in receivers]
            held = [0 if name is None else rates[names.index(name)] for name in flowing]
            steps = [
                next((rate - now for rate in rates if rate > now), 0)
                for now, receiver in zip(held, receivers, strict=True)
                if receiver.queued_variant is None
            ]
            step = min((step for step in steps if step), default=None)
            if step is None or 1.2 * 1.1 * (sum(held) + step) > estimate:
                since = None
                continue
            if since is None or flowing != before:
                since, before = trio.current_time(), flowing
            worst = max(worst, trio.current_time() - since)
        assert [receiver.current_variant for receiver in receivers] == [names[-1]] * SOURCES
        nursery.cancel_scope.cancel()
    return worst


@pytest.mark.invariant("G10")
@pytest.mark.parametrize(
    "fallen", [(350_000,), (4_000_000, 4_000_000, 350_000), (2_000_000, 1_000_000, 500_000)]
)
@pytest.mark.parametrize(
    "ladder",
    [{"a": 150_000, "b": 200_000}, {"a": 100_000, "b": 500_000, "c": 600_000}],
    ids=["two near steps", "one far"],
)
async def test_a_step_that_fits_with_a_fifth_to_spare_waits_two_seconds_and_a_half_at_most(
    ladder, fallen, autojump_clock
):
    assert await longest_wait(ladder, fallen) <= 2.5
