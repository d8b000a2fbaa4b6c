"""How the kit complains: the situation with each, and one cause once."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from hypothesis import Phase
from hypothesis.stateful import run_state_machine_as_test

from trio_allocator import PassthroughAllocator, open_passthrough_allocator
from trio_allocator.testing import (
    INVARIANTS,
    QUICK,
    AllocatorMachine,
    ConformanceError,
    check_allocator,
)
from trio_allocator.testing.violation import first_sentence


class WithoutForce(PassthroughAllocator):
    def force_allocation(self, receiver, bitrate):
        raise NotImplementedError("to do")


def opened(kind):
    @asynccontextmanager
    async def open_it():
        allocator = kind()
        try:
            yield allocator
        finally:
            allocator.close()

    return open_it


def complaints(make):
    with pytest.raises(ConformanceError) as caught:
        check_allocator(make)
    return str(caught.value).split("\n- ")[1:]


def test_one_missing_method_is_one_complaint_that_names_all_it_breaks():
    unfinished = [one for one in complaints(opened(WithoutForce)) if "not be finished" in one]
    assert len(unfinished) == 1
    assert "checks): the check could not be finished: NotImplementedError('to do')" in unfinished[0]
    assert unfinished[0].startswith("A1, ")


def test_each_complaint_says_in_what_situation():
    with pytest.raises(ConformanceError) as caught:
        check_allocator(open_passthrough_allocator)
    assert all(violation.situation for violation in caught.value.violations)
    for one in complaints(open_passthrough_allocator):
        assert len(one.splitlines()) == 2


def test_the_first_sentence_is_the_first_paragraph_in_a_line():
    def check():
        """One thing and
        another.

        More of it.
        """

    assert first_sentence(check) == "One thing and another."
    assert first_sentence(None) is not None


def test_a_first_look_does_not_simplify():
    assert Phase.shrink not in QUICK.phases
    assert Phase.explain not in QUICK.phases


@pytest.mark.parametrize("kind", [PassthroughAllocator])
@pytest.mark.parametrize("ids", [frozenset(INVARIANTS), set(INVARIANTS), list(INVARIANTS)])
def test_what_is_not_claimed_is_not_minded_by_the_machine(kind, ids):
    class Machine(AllocatorMachine):
        except_for = ids

        def open_allocator(self):
            return opened(kind)()

    run_state_machine_as_test(Machine, settings=QUICK.__class__(QUICK, max_examples=10))


def test_the_same_machine_minds_what_is_claimed():
    class Machine(AllocatorMachine):
        def open_allocator(self):
            return open_passthrough_allocator()

    with pytest.raises((AssertionError, ExceptionGroup)):  # noqa: ASYNC401 - one or the other
        run_state_machine_as_test(Machine, settings=QUICK)
