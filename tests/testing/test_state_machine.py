"""State machines over a live Trio run: what they find, and that they leave nothing behind."""

import gc
import os
import signal
import subprocess
import sys
import traceback
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import hypothesis.stateful
import pytest
import trio
import trio.testing
from hypothesis import Phase, assume, settings, strategies as st
from hypothesis.stateful import Bundle, precondition, run_state_machine_as_test

from tests.testing.state_machines import planted, speed
from trio_allocator.testing.state_machine import (
    TrioStateMachine,
    initialize,
    invariant,
    rule,
)

ROOT = Path(__file__).parents[2]


def run(machine, examples=200, **changes):
    """Run a machine the same way every time."""
    exact = settings(
        max_examples=examples,
        stateful_step_count=20,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
    )
    run_state_machine_as_test(machine, settings=settings(exact, **changes))


def failure(machine, expected, examples=200, **changes):
    """The error that a machine ends with, and its steps but for the schedule."""
    with pytest.raises(expected) as caught:
        run(machine, examples, **changes)
    notes = "\n".join(caught.value.__notes__).splitlines()
    steps = [line.strip() for line in notes if line.strip().startswith("state.")]
    assert steps[-1] == "state.teardown()"
    unsaid = ("state.schedule(", "state.nobody_")  # drawn, and invariants
    return caught.value, [step for step in steps[:-1] if not step.startswith(unsaid)]


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    gc.collect()  # what was abandoned warns, and warnings are errors here

    async def main():
        return trio.current_time()

    trio.run(main)  # there is no other run


# --- what it finds -------------------------------------------------------------------------------


def test_it_finds_a_lost_wake_up():
    _, steps = failure(planted.LostWakeUp, AssertionError)
    assert steps == [
        "state.open()",
        "state.read()",
        "state.read()",
        "state.put(letters=[0, 0])",
    ]


def test_it_finds_a_crash_in_the_background():
    error, steps = failure(planted.BackgroundCrash, ExceptionGroup)
    assert error.subgroup(ZeroDivisionError)
    assert steps == ["state.open()", "state.hand_in(number=0)", "state.wait(seconds=2.0)"]


def test_it_finds_a_deadlock():
    error, steps = failure(planted.Deadlock, trio.TooSlowError)
    assert sorted(steps[:-1]) == [
        "state.transfer(source=0, to=1)",
        "state.transfer(source=1, to=0)",
    ]
    assert steps[-1] == "state.all_done()"
    assert str(error) == (
        "all_done was not over after 60.0 s of virtual time: do tasks wait for each other?"
    )
    # The cause shows where it was.
    where = traceback.extract_tb(error.__cause__.__traceback__)
    assert "all_done" in [frame.name for frame in where]


def test_it_finds_a_task_that_spins():
    error, steps = failure(planted.Spinning, trio.TooSlowError)
    assert steps == ["state.open()", "state.wait_for_flag()"]
    assert "wait_for_flag was not over after 200 passes of the scheduler" in str(error)


def test_it_finds_a_bug_that_needs_one_of_24_orders_of_tasks():
    with pytest.raises(AssertionError) as caught:
        run(planted.TaskOrder, 500)
    program = "\n".join(caught.value.__notes__)
    assert program.index("state.schedule(order=RandomSeeder(") < program.index("state.start()")
    # It is not the order that every test case would have if none were drawn.
    assert "RandomSeeder(0)" not in program


# --- what is said of a rule ----------------------------------------------------------------------


def test_rules_share_bundles_preconditions_and_synchronous_ones():
    seen = set()

    class Machine(TrioStateMachine):
        numbers = Bundle("numbers")

        @initialize(target=numbers)
        async def begin(self):
            self.count = 0
            return 0

        @rule(
            targets=[numbers], number=numbers, function=st.just(1), name=st.just(2), self_=st.none()
        )
        async def add(self, number, function, name, self_):
            await trio.sleep(1)
            self.count += 1
            return number + function

        @precondition(lambda self: self.count > 3)
        @rule(number=numbers)
        def look(self, number):
            assert trio.lowlevel.in_trio_task()
            seen.add(number)

        @rule()
        @precondition(lambda self: self.count > 5)
        async def rest(self):
            seen.add("rested")

        @invariant(check_during_init=True)
        async def it_is_asked_early(self):
            seen.add("early")

    run(Machine, 50)
    assert {3, "rested", "early"} <= seen


@pytest.mark.parametrize(
    "decorate",
    [
        hypothesis.stateful.rule(),
        hypothesis.stateful.initialize(),
        hypothesis.stateful.invariant(),
        lambda function: hypothesis.stateful.rule()(precondition(lambda _self: True)(function)),
    ],
)
def test_an_asynchronous_rule_of_hypothesis_is_refused(decorate):
    class Mixin:
        @decorate
        async def step(self): ...

    with pytest.raises(TypeError, match=r"Machine.step is asynchronous: decorate it with `rule`"):

        class Machine(Mixin, TrioStateMachine):
            pass


def test_the_step_that_draws_the_order_can_not_be_hidden():
    with pytest.raises(TypeError, match="hides the step"):

        class Machine(TrioStateMachine):
            @rule()
            async def schedule(self): ...


def test_subclasses_of_subclasses_add_to_what_is_there():
    finished = []

    class Parent(TrioStateMachine):
        @initialize()
        async def open(self):
            self.log = ["opened"]

        @rule()
        async def step(self):
            self.log.append("parent")

        async def finish(self):
            await super().finish()
            finished.append(self.log)

    class Child(Parent):
        @rule()
        async def step(self):
            self.log.append("child")

    class GrandChild(Child):
        @rule()
        async def another(self):
            self.log.append("grandchild")

    run(GrandChild, 20)
    seen = {entry for log in finished for entry in log}
    assert seen == {"opened", "child", "grandchild"}


# --- time ----------------------------------------------------------------------------------------


def test_virtual_time_stands_still_between_rules():
    class Machine(TrioStateMachine):
        @initialize()
        async def start(self):
            self.ticks = 0
            self.nursery.start_soon(self.tick)
            self.now = trio.current_time()

        async def tick(self):
            while True:
                await trio.sleep(1)
                self.ticks += 1

        @rule(seconds=st.integers(0, 9))
        async def wait(self, seconds):
            assert trio.current_time() == self.now
            await trio.sleep(seconds)
            self.now = trio.current_time()

        @hypothesis.stateful.invariant()
        def the_clock_stands(self):
            assert trio.current_time() == self.now
            assert self.ticks == self.now

    run(Machine, 50)


def program(name, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", f"tests.testing.state_machines.{name}", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_seed_gives_the_same_steps_and_readings_of_the_clock():
    runs = [program("clock", PYTHONHASHSEED=seed) for seed in "01"]
    outputs = [process.communicate() for process in runs]
    assert [errors for _, errors in outputs] == ["", ""]
    assert outputs[0] == outputs[1]
    assert len(outputs[0][0].splitlines()) > 30


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["in between", "in a rule", "in the background"])
def test_ctrl_c_ends_it(where):
    with program("interrupted", where) as process:
        assert process.stdout.readline() == "it runs\n"
        process.send_signal(signal.SIGINT)
        try:  # "in between" goes on at the end of a line
            _, errors = process.communicate("\n", timeout=60)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "abandoned" not in errors


def test_ctrl_c_in_a_nested_nursery_leaves_it_ungrouped():
    class Machine(TrioStateMachine):
        @rule()
        async def step(self):
            async with trio.open_nursery():
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Machine)


@pytest.mark.parametrize("grouped", [False, True])
def test_ctrl_c_while_it_ends_is_not_lost_behind_a_failure(grouped):
    @asynccontextmanager
    async def interrupted():
        try:
            yield
        finally:
            raise BaseExceptionGroup("", [KeyboardInterrupt()]) if grouped else KeyboardInterrupt

    class Machine(TrioStateMachine):
        @rule()
        async def step(self):
            await self.enter(interrupted())
            raise ValueError("first")

    with pytest.raises(KeyboardInterrupt):
        run(Machine)


def test_hypothesis_may_give_up_a_test_case_anywhere():
    finished = 0

    class Machine(TrioStateMachine):
        @rule(data=st.data())
        async def overrun(self, data):
            async with trio.open_nursery():
                data.draw(st.binary(min_size=5000))

        @rule(number=st.integers(0, 9))
        async def reject(self, number):
            async with trio.open_nursery():
                assume(number)

        @rule(data=st.data())
        async def draw(self, data):
            async with trio.open_nursery() as nursery:
                assert isinstance(data.draw(st.integers()), int)
                nursery.start_soon(trio.sleep, 1)

        async def finish(self):
            nonlocal finished
            finished += 1
            await super().finish()

    run(Machine, 50, suppress_health_check=list(hypothesis.HealthCheck))
    assert finished


@contextmanager
def failing():
    yield
    raise KeyError("in the exit")


def test_a_failure_at_the_end_does_not_hide_the_first():
    class Machine(TrioStateMachine):
        @rule()
        async def step(self):
            self.enter_sync(failing())
            await self.enter(closing())
            raise ValueError("first")

    @asynccontextmanager
    async def closing():
        try:
            yield
        finally:
            raise KeyError("in the exit")

    error, _ = failure(Machine, ValueError)
    assert any("it raised KeyError('in the exit')" in note for note in error.__notes__)


def test_a_failure_at_the_end_is_found():
    class Machine(TrioStateMachine):
        @rule()
        async def step(self):
            self.enter_sync(failing())

    _, steps = failure(Machine, KeyError)
    assert steps == ["state.step()"]


def test_a_failure_in_finish_is_found():
    class Machine(TrioStateMachine):
        @rule()
        async def step(self):
            self.stepped = True

        async def finish(self):
            await super().finish()
            raise ValueError("at the end")

    _, steps = failure(Machine, ValueError)
    assert steps == ["state.step()"]


@pytest.mark.parametrize("nested", [False, True])
def test_what_a_rule_raises_beside_a_crash_is_the_context(nested):
    async def fail_when_cancelled():
        try:
            await trio.sleep(1)
        finally:
            raise ValueError("in the rule")

    class Machine(TrioStateMachine):
        @rule()
        async def step(self):
            self.nursery.start_soon(self.crash)
            if not nested:
                await fail_when_cancelled()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, 1)
                nursery.start_soon(fail_when_cancelled)

        async def crash(self):
            await trio.sleep(0.5)
            raise KeyError("in the background")

    with pytest.RaisesGroup(KeyError) as caught:
        try:
            (machine := Machine()).step()
        finally:
            machine.teardown()
    assert "in the rule" in repr(caught.value.__context__)


def test_a_crash_at_the_very_end_of_a_step_is_found():
    class Machine(TrioStateMachine):
        @rule()
        async def step(self):
            self.nursery.start_soon(self.crash)

        async def crash(self):
            await trio.testing.wait_all_tasks_blocked()  # as the machine itself does, after a rule
            raise KeyError("in the background")

    error, steps = failure(Machine, BaseExceptionGroup)
    assert error.subgroup(KeyError)
    assert steps == ["state.step()"]


def test_nurseries_may_be_nested_on_the_stack_and_are_left_in_order():
    left = []

    @contextmanager
    def noted(name):
        yield
        left.append(name)

    class Machine(TrioStateMachine):
        def __init__(self):
            super().__init__()
            left.clear()

        @initialize()
        async def open(self):
            self.enter_sync(noted("outer"))
            self.outer = await self.enter(trio.open_nursery())
            self.inner = await self.enter(trio.open_nursery())
            self.enter_sync(noted("inner"))
            self.inner.start_soon(trio.sleep, 5)
            self.nursery.start_soon(trio.sleep_forever)

        @rule(seconds=st.floats(0, 1))
        async def work(self, seconds):
            self.outer.start_soon(trio.sleep, seconds)

        def teardown(self):
            super().teardown()
            assert left in (["inner", "outer"], [])

    run(Machine, 50)
    assert left


def test_a_crash_on_the_stack_is_found():
    class Machine(TrioStateMachine):
        @initialize()
        async def open(self):
            self.tasks = await self.enter(trio.open_nursery())

        async def crash(self):
            await trio.sleep(1)
            raise KeyError("in a task")

        @rule()
        async def start(self):
            self.tasks.start_soon(self.crash)

        @rule()
        async def wait(self):
            await trio.sleep(2)

    error, steps = failure(Machine, BaseExceptionGroup)
    assert error.subgroup(KeyError)
    assert steps[:2] == ["state.open()", "state.start()"]


def test_an_end_that_takes_for_ever_is_found():
    class Machine(TrioStateMachine):
        @rule()
        async def start(self):
            tasks = await self.enter(trio.open_nursery())
            tasks.start_soon(trio.sleep_forever)

    error, steps = failure(Machine, trio.TooSlowError)
    assert steps == ["state.start()"]
    assert "the end of the run took more than 60.0 s" in str(error)


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_shields_itself_is_found_and_ended(stubborn):
    async def sleep():
        if stubborn:
            with suppress(RuntimeError):
                await trio.sleep_forever()
        await trio.sleep_forever()

    class Machine(TrioStateMachine):
        @rule()
        async def start(self):
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(sleep)
                    nursery.start_soon(sleep)

    error, _ = failure(Machine, trio.TooSlowError, 5)
    assert "or shield itself from cancellation?" in str(error)


def test_what_spins_while_it_shields_itself_is_named():
    """It can not be ended; here it ends by itself, so that the other tests can run."""

    class Machine(TrioStateMachine):
        rule_passes = 50

        @rule()
        async def spin(self):
            with trio.CancelScope(shield=True):
                for _ in range(120):
                    await trio.lowlevel.checkpoint()

    with pytest.raises(RuntimeError, match="does not end when it is cancelled"):
        try:
            (machine := Machine()).spin()
        finally:
            machine.teardown()


def test_a_cancelled_nursery_of_the_machine_is_named():
    class Machine(TrioStateMachine):
        @rule()
        async def cancel(self):
            self.nursery.cancel_scope.cancel()

    error, _ = failure(Machine, RuntimeError)
    assert "a scope or nursery around all rules was cancelled" in str(error)


def test_only_rules_enter():
    class Machine(TrioStateMachine):
        @rule()
        async def start(self):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, 1)
                nursery.start_soon(self.enter, trio.open_nursery())

        @rule()
        async def enter_nothing(self):
            await self.enter(trio.open_nursery())

    error, steps = failure(Machine, ExceptionGroup)
    assert error.subgroup(RuntimeError)
    assert steps == ["state.start()"]
    with pytest.raises(RuntimeError, match="only a rule"):
        Machine().enter_sync(failing())


def test_a_machine_that_does_nothing_ends():
    class Machine(TrioStateMachine):
        @rule()
        async def step(self): ...

    machine = Machine()
    machine.teardown()


def test_the_two_machines_whose_speed_is_compared_do_run():
    assert speed.examples_per_second(speed.WithoutTrio, 5, 5) > 0
    assert speed.examples_per_second(speed.InTrio, 5, 5) > 0
