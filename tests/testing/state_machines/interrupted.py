"""Runs until it is interrupted, where the argument says; it says so once it is there."""

import sys
from itertools import count

import trio
from hypothesis import settings
from hypothesis.stateful import precondition, run_state_machine_as_test

from trio_allocator.testing.state_machine import TrioStateMachine, rule

(where,) = sys.argv[1:]
steps = count()


def loop():
    print("it runs", flush=True)
    while True:
        pass


async def loop_in_background():
    loop()


def wait_between_rules(machine):
    if where == "in between" and machine.stepped and next(steps) == 50:
        print("it runs", flush=True)
        sys.stdin.readline()
    return False


class Endless(TrioStateMachine):
    stepped = False

    @rule()
    async def step(self):
        self.stepped = True
        if where == "in between" or next(steps) != 50:
            return
        if where == "in a rule":
            async with trio.open_nursery():
                loop()
        self.nursery.start_soon(loop_in_background)

    @precondition(wait_between_rules)
    @rule()
    async def never(self): ...


run_state_machine_as_test(
    Endless,
    settings=settings(max_examples=10**9, stateful_step_count=20, database=None, deadline=None),
)
