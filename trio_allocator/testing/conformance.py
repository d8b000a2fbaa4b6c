"""Does an allocator keep the contract? A check for any implementation of it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import TypeAlias

from .. import quantities
from ..interface import ConnectionAllocator
from ..policies.policy import shown
from .bench import AllocatorMaker, Bench, Terms
from .checks import accounting, grants, input_and_cost, lifetime, negotiation, probing, prompt
from .violation import (
    INVARIANTS,
    ConformanceError,
    InvariantError,
    check_ids,
    first_sentence,
)
from .virtual import CpuLimit, check_callable_outside, run_watched

Check: TypeAlias = Callable[[Bench], Awaitable[None]]
"""Raises `InvariantError` if an allocator opened on the bench breaks the invariant."""

CHECKS: Mapping[str, tuple[Check, ...]] = {
    **lifetime.CHECKS,
    **accounting.CHECKS,
    **grants.CHECKS,
    **prompt.CHECKS,
    **negotiation.CHECKS,
    **probing.CHECKS,
    **input_and_cost.CHECKS,
}
"""What `check_allocator` can check, by the ids of the invariants.

It can not look inside (L3: what if the engine fails), and it does not measure costs (C1, C2).
"""


def check_allocator(
    make: AllocatorMaker,
    *,
    except_for: Collection[str] = (),
    terms: Terms | None = None,
    cpu_limit: float = 60.0,
) -> None:
    """Check an allocator against the contract, invariant by invariant.

    ::

        def test_my_allocator_keeps_the_contract():
            check_allocator(open_my_allocator)

    Unlike `trio.testing.check_one_way_stream` it is not asynchronous: every check is a Trio run
    of its own, in virtual time, so that tasks left over, deadlocks and time-outs are seen, and
    nothing that one check leaves behind can disturb the next.

    A policy that fails breaks L3 here, for its author should know: another took over, and the rest
    would be a check of that one. It is the last check that is made.

    What an allocator does after any sequence of events, `AllocatorMachine` tries.

    Args:
        make: Opens an allocator, as an asynchronous context manager; no estimate is known yet.
            It is called for every check, often more than once.
        except_for: Ids of invariants that the allocator does not claim to keep.
        terms: The times that it states, if they are not the default ones.
        cpu_limit: How much CPU time each check may take, seconds: the package's own allocator needs
            about one. The first check that runs out of it is named, and is the last one made. So
            is one that takes ten times as long on the clock: it waits, outside of Trio. A single
            call that never comes back to Python, such as ``lock.acquire()``, nothing can end.

    Raises:
        ConformanceError: It breaks at least one; the message names all that were found.
        TypeError: `make` does not open anything, or `terms` are none.
        ValueError: `except_for` names what is no invariant.
        RuntimeError: It is called inside of a Trio run.
    """
    excepted = check_ids("except_for", except_for, INVARIANTS)
    check_callable_outside("check_allocator", make)
    if not isinstance(terms, Terms | None):
        raise TypeError(f"terms must be Terms, not {terms!r}")
    _check_opens(make())
    faults: list[str] = []
    bench = Bench(lambda: _opened(make, faults), Terms() if terms is None else terms)
    limit = CpuLimit(quantities.positive("cpu_limit", cpu_limit, "seconds", infinite=True))
    with _quiet():
        violations = [
            violation
            for invariant in CHECKS
            if invariant not in excepted
            for check in CHECKS[invariant]
            if not limit.ran_out and ("L3" in excepted or not faults)
            for violation in _broken(invariant, check, bench, limit)
        ]
    if faults and "L3" not in excepted:
        violations = [InvariantError("L3", f"another policy took over: {faults[0]}"), *violations]
    if violations:
        raise ConformanceError(getattr(make, "__qualname__", None) or shown(make), violations)


@contextmanager
def _quiet() -> Iterator[None]:
    """Where nobody listens to the log, print none of it: broken promises are part of the checks."""
    log, handler = logging.getLogger("trio_allocator"), logging.NullHandler()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@asynccontextmanager
async def _opened(make: AllocatorMaker, faults: list[str]) -> AsyncIterator[ConnectionAllocator]:
    """Open an allocator, and note at the end whether its policy failed."""
    async with make() as allocator:
        try:
            yield allocator
        finally:
            with suppress(Exception):  # it may have no such status, or have ended
                fault = getattr(allocator, "status").policy_fault  # noqa: B009 - not in the contract
                if fault is not None:
                    faults.append(fault)


def _check_opens(opened: object) -> None:
    if isinstance(opened, AbstractAsyncContextManager):
        return
    if inspect.iscoroutine(opened):
        opened.close()
    raise TypeError(
        f"make must return an asynchronous context manager, not {opened!r}: is it decorated with "
        "contextlib.asynccontextmanager?"
    )


def _broken(
    invariant: str, check: Check, bench: Bench, limit: CpuLimit
) -> Iterator[InvariantError]:
    try:
        limit.run(lambda: run_watched(lambda _watchman: check(bench)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not what was promised
        found = error
        while isinstance(found, ExceptionGroup):  # an allocator may wrap what its block raises
            found = found.exceptions[0]
        if not isinstance(found, InvariantError):
            found = InvariantError(invariant, f"the check could not be finished: {shown(error)}")
            found.__cause__ = error
        found.situation = first_sentence(check)
        yield found
