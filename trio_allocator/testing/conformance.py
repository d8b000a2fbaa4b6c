"""Does an allocator keep the contract? A check for any implementation of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import TypeAlias

import trio
import trio.testing

from .bench import AllocatorMaker, Bench, Terms
from .checks import accounting, grants, input_and_cost, lifetime, negotiation, probing
from .violation import INVARIANTS, InvariantError

Check: TypeAlias = Callable[[Bench], Awaitable[None]]
"""Raises `InvariantError` if an allocator opened on the bench breaks the invariant."""

_CHECKS: dict[str, tuple[Check, ...]] = {
    **lifetime.CHECKS,
    **accounting.CHECKS,
    **grants.CHECKS,
    **negotiation.CHECKS,
    **probing.CHECKS,
    **input_and_cost.CHECKS,
}
CHECKED: tuple[str, ...] = tuple(name for name in INVARIANTS if name in _CHECKS)
"""The ids of the invariants that `check_allocator` can check.

It can not look inside (L3: what if the engine fails), and it does not measure costs (C1, C2).
"""
LONGEST = 3600.0
"""A check that is not over after so many virtual seconds never will be."""


class ConformanceError(AssertionError):
    """Something does not keep what it promises.

    Attributes:
        violations: What was found, one for each check that failed, with its traceback.
        invariants: The ids of the invariants that are broken.
    """

    def __init__(self, what: str, violations: Collection[InvariantError]) -> None:
        found = "".join(f"\n- {violation}" for violation in violations)
        super().__init__(f"{what} breaks {len(violations)} of its promises:{found}")
        self.violations: tuple[InvariantError, ...] = tuple(violations)
        self.invariants: frozenset[str] = frozenset(v.invariant for v in violations)


def check_allocator(
    make: AllocatorMaker,
    *,
    except_for: Collection[str] = (),
    terms: Terms | None = None,
) -> None:
    """Check an allocator against the contract, invariant by invariant.

    ::

        def test_my_allocator_keeps_the_contract():
            check_allocator(open_my_allocator)

    Unlike `trio.testing.check_one_way_stream` it is not asynchronous: every check is a Trio run
    of its own, in virtual time, so that tasks left over, deadlocks and time-outs are seen, and
    nothing that one check leaves behind can disturb the next.

    What an allocator does after any sequence of events, `AllocatorMachine` tries.

    Args:
        make: Opens an allocator, as an asynchronous context manager; no estimate is known yet.
            It is called for every check, often more than once.
        except_for: Ids of invariants that the allocator does not claim to keep.
        terms: The times that it states, if they are not the default ones.

    Raises:
        ConformanceError: It breaks at least one; the message names all that were found.
        ValueError: `except_for` names an invariant that there is none.
    """
    strangers = [name for name in except_for if name not in INVARIANTS]
    if strangers:
        raise ValueError(
            f"except_for must name invariants ({', '.join(INVARIANTS)}), not {strangers!r}"
        )
    bench = Bench(make, Terms() if terms is None else terms)
    violations = [
        violation
        for invariant in CHECKED
        if invariant not in except_for
        for check in _CHECKS[invariant]
        for violation in _broken(invariant, check, bench)
    ]
    if violations:
        raise ConformanceError(f"{make!r}", violations)


def _broken(invariant: str, check: Check, bench: Bench) -> Iterator[InvariantError]:
    async def main() -> None:
        with trio.fail_after(LONGEST):
            await check(bench)

    try:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    except InvariantError as violation:
        yield violation
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not what was promised
        name = getattr(check, "__name__", repr(check))
        violation = InvariantError(invariant, f"{name} could not be finished: {error!r}")
        violation.__cause__ = error
        yield violation
