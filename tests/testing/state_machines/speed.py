"""How many test cases a machine makes in a second of CPU time, with Trio and without.

``python -m tests.testing.state_machines.speed``. Both machines do the same to a bounded queue; one
puts and takes in tasks that may have to wait, the other does without.
"""

from collections import deque
from time import process_time

import trio
from hypothesis import HealthCheck, settings, stateful, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from trio_allocator.testing.state_machine import TrioStateMachine, initialize, invariant, rule

CAPACITY = 3
EXAMPLES = 300
STEPS = 30


class InTrio(TrioStateMachine):
    @initialize()
    async def open(self):
        self.send, self.receive = trio.open_memory_channel(CAPACITY)

    @rule(item=st.integers())
    async def put(self, item):
        self.nursery.start_soon(self.send.send, item)

    @rule()
    async def take(self):
        self.nursery.start_soon(self.receive.receive)

    @invariant()
    def nobody_waits_for_nothing(self):
        now = self.send.statistics()
        assert not (now.tasks_waiting_receive and now.current_buffer_used)


class WithoutTrio(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.queue, self.putting, self.taking = deque(), deque(), 0

    @stateful.rule(item=st.integers())
    def put(self, item):
        if self.taking:
            self.taking -= 1
        elif len(self.queue) < CAPACITY:
            self.queue.append(item)
        else:
            self.putting.append(item)

    @stateful.rule()
    def take(self):
        if not self.queue:
            self.taking += 1
        else:
            self.queue.popleft()
            if self.putting:
                self.queue.append(self.putting.popleft())

    @stateful.invariant()
    def nobody_waits_for_nothing(self):
        assert not (self.taking and self.queue)


def examples_per_second(machine, examples=EXAMPLES, steps=STEPS):
    """Test cases in a second of CPU time."""
    patient = settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    started = process_time()
    run_state_machine_as_test(machine, settings=patient)
    return examples / (process_time() - started)


if __name__ == "__main__":
    for machine in (WithoutTrio, InTrio):
        print(f"{machine.__name__}: {examples_per_second(machine):.0f} test cases of {STEPS} steps")
