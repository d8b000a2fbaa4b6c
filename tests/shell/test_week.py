"""A week on one allocator, in virtual time: it ends with no more than it began with (C3, L2)."""

import gc
import logging
import math
import random
import weakref
from collections import Counter

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.shell.support import CAMERA, MICROPHONE, PLAIN, next_deadline, tasks
from trio_allocator import (
    DecreaseAllocation,
    GrantReason,
    ReceiverHandle,
    SendPadding,
    Track,
    TrackReceiver,
    open_allocator,
)
from trio_allocator.messages import AllocationGranted

DAY = 24 * 3600.0
SEED = 20_240_229
MOST_GROWTH = 20
"""Objects that may be new after a week, such as entries of caches; far more receivers came by."""

SCREEN = Track("screen", kind="screen", variants={"slides": 300_000, "motion": 1_200_000})


class Week:
    """What happens to one allocator; `happened` counts it, `handles` knows whoever joined."""

    def __init__(self, allocator):
        self.allocator = allocator
        self.chance = random.Random(SEED)
        self.handles = weakref.WeakSet()
        self.happened = dict.fromkeys(
            ["estimates", "joins", "crashes", "cancellations", "requests", "lies", "padding"], 0
        )
        self.happened |= {reason.value: 0 for reason in GrantReason}

    async def pass_days(self, days):
        """Estimates, silence and visits, until so much time has passed and all have left."""
        end = trio.current_time() + days * DAY
        async with trio.open_nursery() as visits:
            while trio.current_time() < end:
                self.deliver_estimate()
                if self.chance.random() < 0.4:
                    visits.start_soon(self.visit)
                await trio.sleep(self.chance.choice([5, 30, 60, 300, 900, 1800]))

    def deliver_estimate(self):
        self.happened["estimates"] += 1
        estimate = self.chance.choice([0, 60_000, 300_000, 900_000, 3_000_000, 8_000_000])
        self.allocator.update_bandwidth_estimation(estimate * self.chance.uniform(0.9, 1.1))

    async def visit(self):
        """Somebody joins, stays for a while, and leaves, crashes or is cancelled."""
        self.happened["joins"] += 1
        stay = self.chance.expovariate(1 / 300)
        kind = self.chance.choice([self.read, self.read, self.run_track_receiver])
        try:
            with trio.move_on_after(stay) as scope:
                await kind()
        except ZeroDivisionError:
            self.happened["crashes"] += 1
        self.happened["cancellations"] += scope.cancelled_caught

    async def run_track_receiver(self):
        def switch(variant, _reason):
            receiver.variant_switched(variant)

        receiver = TrackReceiver(
            self.allocator,
            self.chance.choice([CAMERA, SCREEN]),
            request_variant=switch,
            send_padding=self.pad,
            priority=self.chance.choice([0, 0, 1]),
        )
        async with trio.open_nursery() as nursery:
            self.handles.add(await nursery.start(receiver.run))
            while True:
                receiver.packet_sent(1200)
                await trio.sleep(30)

    def pad(self, size):
        self.happened["padding"] += size
        return size

    async def read(self):
        """By hand: honest, silent, lying, or until it fails."""
        manner = self.chance.choice(["honest", "silent", "lying", "failing"])
        track = self.chance.choice([CAMERA, SCREEN, MICROPHONE, PLAIN])
        with self.allocator.register_track_receiver(
            track, self.chance.choice([0, 40_000, 165_000]), elastic=self.chance.random() < 0.5
        ) as handle:
            self.handles.add(handle)
            if manner == "silent":
                handle.request_allocation(2_000_000)
                await trio.sleep_forever()
            handle.request_allocation(self.chance.choice([40_000, 600_000, 5_000_000]))
            async for message in handle:
                if manner == "failing" and self.chance.random() < 0.1:
                    raise ZeroDivisionError
                self.answer(handle, message, manner)

    def answer(self, handle: ReceiverHandle, message, manner):
        match message:
            case DecreaseAllocation() if manner == "lying":
                self.happened["lies"] += handle.accept_decrease(message)
            case DecreaseAllocation():
                self.happened["requests"] += handle.accept_decrease(message, message.limit)
            case SendPadding(size):
                self.pad(size)
                handle.buffer_sent(size, padding=True)
            case AllocationGranted(reason=reason):
                self.happened[reason.value] += 1


def objects():
    """How many objects there are that can be part of a cycle, by type."""
    gc.collect()
    return Counter(map(type, gc.get_objects()))


@pytest.mark.invariant("C3", "L1", "L2")
def test_a_week_leaves_nothing_behind(caplog):
    caplog.set_level(logging.CRITICAL, "trio_allocator")  # or each record would be kept

    async def main():
        async with open_allocator() as allocator:
            week = Week(allocator)
            await week.pass_days(1)  # so that caches are filled
            await trio.sleep(3600)
            objects()  # to count fills caches, too: each ABC below Mapping remembers what is none
            objects_before, tasks_before = objects(), tasks()
            await week.pass_days(7)
            await trio.sleep(3600)
            grown = objects() - objects_before
            assert tasks() == tasks_before
            assert next_deadline() == math.inf
            assert list(week.handles) == []
            assert allocator.status.committed == allocator.status.receivers == 0
            assert min(week.happened.values()) > 0, week.happened
        assert week.happened["joins"] > 4 * MOST_GROWTH
        assert sum(grown.values()) <= MOST_GROWTH, grown

    @settings(max_examples=1, database=None, deadline=None)
    @given(st.none())  # Hypothesis seeds Trio's order of tasks
    def run(_nothing):
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    run()
