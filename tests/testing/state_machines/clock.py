"""Prints what a seeded machine does and when: the same on every run."""

import trio
from hypothesis import seed, settings, strategies as st
from hypothesis.stateful import Bundle, run_state_machine_as_test

from trio_allocator.testing.state_machine import TrioStateMachine, rule


@seed(1)
class Clock(TrioStateMachine):
    names = Bundle("names")

    @rule(target=names, name=st.text("abc", min_size=1))
    async def name(self, name):
        return name

    @rule(names=st.sets(names), seconds=st.floats(0, 1))
    async def run(self, names, seconds):
        finished = []

        async def sleep(name):
            await trio.sleep(seconds)
            finished.append(name)

        async with trio.open_nursery() as nursery:
            for name in sorted(names):
                nursery.start_soon(sleep, name)
        print("run", finished, trio.current_time())


run_state_machine_as_test(
    Clock,
    settings=settings(max_examples=30, stateful_step_count=20, database=None, deadline=None),
)
