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
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from typing import Any, ClassVar, TypeVar

import hypothesis.stateful
import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine

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

            @rule(seconds=st.floats(0, 60))
            async def wait(self, seconds: float) -> None:
                await trio.sleep(seconds)           # takes no real time

    After each rule the run is given its turn until every task is blocked, and then stands still.
    A rule fails if it raises, if a background task crashes meanwhile, if it is not over after
    `rule_seconds` of virtual time (a deadlock), or after `rule_passes` passes of the scheduler (a
    task that spins).

    The order in which tasks run is drawn, as the argument of a step ``schedule``: what depends on
    it is found, and reproduced.

    Attributes:
        rule_seconds: How long a rule, and the end of the run, may take, s of virtual time.
        rule_passes: How many passes of the scheduler it may take.
        nursery: For background tasks of the test. Whatever runs there is cancelled at the end,
            after all that was entered by `enter` was left.
    """

    rule_seconds: ClassVar[float] = 60.0
    rule_passes: ClassVar[int] = 10_000

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name, method in vars(cls).items():
            # Hypothesis keeps the function that it is to call beside the method it has made of it.
            for kept in getattr(method, "__dict__", {}).values():
                if inspect.iscoroutinefunction(getattr(kept, "function", None)):
                    raise TypeError(
                        f"{cls.__name__}.{name} is asynchronous: decorate it with `rule`, "
                        "`initialize` or `invariant` of trio_allocator.testing, not with "
                        "those of hypothesis.stateful"
                    )

    def __init__(self) -> None:
        super().__init__()
        self._stack = AsyncExitStack()
        self._begun = False
        self._failed = False
        self._run: GuestRun | None = None
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
        """
        return await self._stack.enter_async_context(context)

    def enter_sync(self, context: AbstractContextManager[T]) -> T:
        """As `enter`, for a synchronous context manager."""
        return self._stack.enter_context(context)

    async def finish(self) -> None:
        """Check, in a last rule, what holds at the end of a test case. Override it.

        Not called if a rule has failed, or none was carried out.
        """
        await trio.lowlevel.checkpoint()

    def teardown(self) -> None:
        """Run `finish`, then leave what was entered. If you override it, call it."""
        try:
            if self._begun and not self._failed:
                self._perform(self.finish)
        finally:
            run, self._run = self._run, None
            if run is not None:
                self._end(run, quietly=self._failed)
        super().teardown()

    # --- the run -----------------------------------------------------------------------------

    def _carry_out(
        self, function: Callable[..., object], begins: bool, *args: Any, **kwargs: Any
    ) -> Any:
        self._begun |= begins
        return self._perform(function, *args, **kwargs)

    def _perform(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> Any:
        """Carry out a rule in the run's main task, and let everything come to rest."""

        async def act() -> object:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                result = await result
            await trio.testing.wait_all_tasks_blocked()
            return result

        if self._run is None:
            self._run = GuestRun(self._live)
        name = getattr(function, "__name__", repr(function))
        try:
            return self._run.perform(
                act, name=name, seconds=self.rule_seconds, passes=self.rule_passes
            )
        except BaseException:
            self._failed = True
            raise

    async def _live(self, serve: Callable[[], Awaitable[None]]) -> None:
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

    def _end(self, run: GuestRun, *, quietly: bool) -> None:
        result = run.end(cancel=quietly, seconds=self.rule_seconds, passes=self.rule_passes)
        if not quietly:  # a failure is not to be hidden by what comes of it
            result.unwrap()


def _in_trio(function: Callable[..., object], *, begins: bool = False) -> Callable[..., Any]:
    """A synchronous method that has the machine's run carry out `function`."""

    @functools.wraps(function)
    def perform(self: TrioStateMachine, /, *args: Any, **kwargs: Any) -> Any:
        return self._carry_out(function, begins, self, *args, **kwargs)  # noqa: SLF001 - a part of it

    return perform


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


def invariant() -> Callable[[Callable[..., object]], Callable[..., Any]]:
    """Say that a method, asynchronous or not, is to be called after every rule."""

    def decorate(function: Callable[..., object]) -> Callable[..., Any]:
        return hypothesis.stateful.invariant()(_in_trio(function))

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
    begins = hypothesis_decorator is hypothesis.stateful.rule

    def decorated(function: Callable[..., object]) -> Callable[..., Any]:
        return decorate(_in_trio(function, begins=begins))

    return decorated
