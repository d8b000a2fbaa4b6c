"""The state machine that tries anybody's allocator: it finds what can be seen from outside."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.testing import (
    test_accounting_plants as accounting,
    test_negotiation_plants as negotiation,
)
from trio_allocator import open_allocator
from trio_allocator.shell.registration import Registration
from trio_allocator.testing import AllocatorMachine, InvariantError

SEARCH = settings(
    max_examples=300,
    stateful_step_count=50,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def nonsense_is_overheard(patch):
    right = Registration.buffer_sent

    def buffer_sent(self, size, *, padding=False):
        with suppress(TypeError, ValueError):
            right(self, size, padding=padding)

    patch.setattr(Registration, "buffer_sent", buffer_sent)


PLANTS = {
    "A1": accounting.PLANTS["A1"][0],
    "A2": accounting.PLANTS["A2"][1],
    "A5": accounting.PLANTS["A5"][0],
    "I1": nonsense_is_overheard,
    "N1": negotiation.negotiability_is_ignored,
    "N2": negotiation.second_answers_are_overlooked,
}


class OutsideMachine(AllocatorMachine):
    def open_allocator(self):
        return open_allocator()


@pytest.mark.parametrize("invariant", PLANTS)
def test_a_planted_allocator_is_found_from_outside(invariant, monkeypatch):
    PLANTS[invariant](monkeypatch)
    with pytest.raises(InvariantError):
        run_state_machine_as_test(OutsideMachine, settings=SEARCH)


def test_what_is_not_claimed_is_not_demanded(monkeypatch):
    class Lenient(OutsideMachine):
        except_for = frozenset({"N1", "N2", "A5"})

    negotiation.negotiability_is_ignored(monkeypatch)
    run_state_machine_as_test(Lenient, settings=settings(SEARCH, max_examples=20))


def test_it_says_that_an_allocator_is_to_be_given():
    with pytest.raises(NotImplementedError):
        run_state_machine_as_test(AllocatorMachine, settings=SEARCH)
