"""Hypothesis state machines whose rules are asynchronous, over one live Trio run per test case.

`trio.run` can not be used for that: it returns when its function does, and a state machine wants
to go on in the next rule. So each test case is a guest run, whose callbacks are worked off by hand,
and only while a rule runs. Between rules the whole program stands still, its clock included.

One task of the run, the main task, carries out every rule. What a rule opens is opened on an exit
stack in that task, where a background task that crashes can cancel it as Trio means it to.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from typing import Any, ClassVar, TypeVar

import hypothesis.stateful
import outcome
import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine

from .. import quantities
from .guest import GuestRun

T = TypeVar("T")


class TrioStateMachine(RuleBasedStateMachine):
    """A state machine that lives in a Trio run, in virtual time.

    Its rules are decorated by `rule`, `initialize` and `invariant` of this package instead of
    Hypothesis' own, and may be ``async``; everything else (bundles, preconditions, ``TestCase``,
    `hypothesis.stateful.run_state_machine_as_test`) is used as ever::

        class BellMachine(TrioStateMachine):
            @initialize()
            async def open(self) -> None:
                self.bell = await self.enter(open_bell())

            @rule(seconds=st.floats(0, 10))
            async def wait(self, seconds: float) -> None:
                await trio.sleep(seconds)           # takes no real time

    After each rule the run is given its turn until every task is blocked, and then stands still.
    A rule fails if it raises, if a background task crashes meanwhile, if it is not over within
    `rule_seconds` of virtual time (a deadlock), or after `rule_passes` passes of the scheduler (a
    task that spins).

    The order in which tasks run is drawn, as the argument of a step ``schedule``: what depends on
    it is found, and reproduced.

    Attributes:
        rule_seconds: How long a rule, and the end of the run, may take, s of virtual time.
        rule_passes: How many passes of the scheduler it may take.
        nursery: For background tasks of the test. Whatever runs there is cancelled at the end,
            after all that was entered by `enter` was left. There is none before the first rule.
    """

    rule_seconds: ClassVar[float] = 60.0
    rule_passes: ClassVar[int] = 2_000

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "schedule" in vars(cls):
            raise TypeError(f"{cls.__name__}.schedule hides the step that draws the order of tasks")
        for name, method in inspect.getmembers_static(cls):
            if _is_asynchronous_rule_of_hypothesis(method):
                raise TypeError(
                    f"{cls.__name__}.{name} is asynchronous: decorate it with `rule`, "
                    "`initialize` or `invariant` of trio_allocator.testing, not with "
                    "those of hypothesis.stateful"
                )

    def __init__(self) -> None:
        super().__init__()
        quantities.positive("rule_seconds", self.rule_seconds, "seconds")
        quantities.whole_number("rule_passes", self.rule_passes, 1, 10**9)
        self._stack = AsyncExitStack()
        self._begun = False
        self._handled_before = sys.exception()
        self._run: GuestRun | None = None
        self._main_task: trio.lowlevel.Task | None = None
        self.nursery: trio.Nursery

    @hypothesis.stateful.initialize(order=st.random_module())
    def schedule(self, order: object) -> None:
        """Draw the order in which runnable tasks are taken: it is seeded by the drawn value."""

    async def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context that is left when the test case ends; the last one first.

        Args:
            context: What to enter, in the task that carries out the rules. It may hold a nursery.

        Returns:
            What entering it gave.

        Raises:
            RuntimeError: It is not a rule that calls, but a background task, or nothing of Trio.
        """
        self._check_in_rule()
        return await self._stack.enter_async_context(context)

    def enter_sync(self, context: AbstractContextManager[T]) -> T:
        """As `enter`, for a synchronous context manager."""
        self._check_in_rule()
        return self._stack.enter_context(context)

    def _check_in_rule(self) -> None:
        # Elsewhere, scopes and nurseries would be left in another task than they were entered in.
        if not trio.lowlevel.in_trio_task() or trio.lowlevel.current_task() is not self._main_task:
            raise RuntimeError("only a rule, initialize or finish can enter a context, by itself")

    async def finish(self) -> None:
        """Check, in a last rule, what holds at the end of a test case. Override it.

        Not called if the test case has failed or was given up, nor if none of its steps was a
        `rule`.
        """
        await trio.lowlevel.checkpoint()

    def teardown(self) -> None:
        """Run `finish`, then leave what was entered. If you override it, call it."""
        try:
            if self._begun and self._failure() is None:
                self._perform("finish", self.finish)
        finally:
            try:
                self._end()
            finally:
                super().teardown()

    # --- the run -----------------------------------------------------------------------------

    def _failure(self) -> BaseException | None:
        """What the test case is being ended by, be it a failure or Hypothesis giving it up."""
        error = sys.exception()
        return None if error is self._handled_before else error

    def _perform(self, name: str, function: Callable[[], object], *, is_rule: bool = False) -> Any:
        """Carry out a step in the run's main task, and let everything come to rest."""

        async def act() -> object:
            result = function()
            if inspect.isawaitable(result):
                result = await result
            await trio.testing.wait_all_tasks_blocked()
            return result

        if self._run is None:
            self._run = GuestRun(self._live)
        self._begun |= is_rule
        return self._run.perform(act, name=name, seconds=self.rule_seconds, passes=self.rule_passes)

    async def _live(self, serve: Callable[[], Awaitable[None]]) -> None:
        self._main_task = trio.lowlevel.current_task()
        error: BaseException | None = None
        async with trio.open_nursery() as self.nursery:
            try:
                async with self._stack:
                    await serve()
            except trio.Cancelled:
                raise
            except BaseException as raised:  # noqa: BLE001 - raised below, where nothing wraps it
                error = raised
            self.nursery.cancel_scope.cancel()
        if error is not None:
            raise error

    def _end(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        failure = self._failure()
        result = run.end(
            cancel=failure is not None, seconds=self.rule_seconds, passes=self.rule_passes
        )
        if failure is None:
            result.unwrap()
        elif isinstance(result, outcome.Error) and result.error is not failure:
            # The first failure is not to be hidden by what comes of it.
            failure.add_note(f"When the run was cancelled after that, it raised {result.error!r}")


_CARRIED_OUT_IN_TRIO = "_carried_out_in_trio"
"""Marks the synchronous methods that stand for those of the user's."""


def _in_trio(function: Callable[..., object], *, is_rule: bool = False) -> Callable[..., Any]:
    """A synchronous method that has the machine's run carry out `function`."""
    name = getattr(function, "__name__", repr(function))

    @functools.wraps(function)
    def perform(self: TrioStateMachine, /, *args: Any, **kwargs: Any) -> Any:
        step = functools.partial(function, self, *args, **kwargs)
        return self._perform(name, step, is_rule=is_rule)  # pyright: ignore[reportPrivateUsage]

    setattr(perform, _CARRIED_OUT_IN_TRIO, True)
    return perform


def _is_asynchronous_rule_of_hypothesis(method: object) -> bool:
    # Hypothesis keeps the function that it is to call beside the method it has made of it.
    for kept in getattr(method, "__dict__", {}).values():
        function = getattr(kept, "function", None)
        if callable(function) and not hasattr(function, _CARRIED_OUT_IN_TRIO):
            return inspect.iscoroutinefunction(inspect.unwrap(function))
    return False


def rule(
    *,
    target: Bundle[Any] | None = None,
    targets: Sequence[Bundle[Any]] = (),
    **arguments: st.SearchStrategy[Any],
) -> Callable[[Callable[..., object]], Callable[..., Any]]:
    """Say that a method, asynchronous or not, is a rule; it runs in the machine's Trio run.

    Args:
        target: Where what it returns goes.
        targets: Likewise, several; not both.
        **arguments: Strategies or bundles; see `hypothesis.stateful.rule`.
    """
    return _decorator(hypothesis.stateful.rule, target, targets, arguments)


def initialize(
    *,
    target: Bundle[Any] | None = None,
    targets: Sequence[Bundle[Any]] = (),
    **arguments: st.SearchStrategy[Any],
) -> Callable[[Callable[..., object]], Callable[..., Any]]:
    """As `rule`, for what comes before all rules; see `hypothesis.stateful.initialize`."""
    return _decorator(hypothesis.stateful.initialize, target, targets, arguments)


def invariant(
    *, check_during_init: bool = False
) -> Callable[[Callable[..., object]], Callable[..., Any]]:
    """Say that a method, asynchronous or not, is to be called after every rule.

    Args:
        check_during_init: Also before all `initialize` are over; see
            `hypothesis.stateful.invariant`.
    """

    def decorate(function: Callable[..., object]) -> Callable[..., Any]:
        made = hypothesis.stateful.invariant(check_during_init=check_during_init)
        return made(_in_trio(function))

    return decorate


def _decorator(
    hypothesis_decorator: Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]],
    target: Bundle[Any] | None,
    targets: Sequence[Bundle[Any]],
    arguments: dict[str, st.SearchStrategy[Any]],
) -> Callable[[Callable[..., object]], Callable[..., Any]]:
    where: dict[str, Any] = {}
    if target is not None:
        where["target"] = target
    if targets:
        where["targets"] = targets
    decorate = hypothesis_decorator(**where, **arguments)
    is_rule = hypothesis_decorator is hypothesis.stateful.rule

    def decorated(function: Callable[..., object]) -> Callable[..., Any]:
        return decorate(_in_trio(function, is_rule=is_rule))

    return decorated
