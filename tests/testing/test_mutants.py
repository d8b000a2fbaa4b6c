"""Planted one at a time, each mutant is found by a machine."""

import pytest
from hypothesis import settings

from tests.testing import mutants
from tests.testing.mutants import MUTANTS, examples_until_found

ENOUGH = 1000
"""Examples; docs/proof.md says how many each takes."""


MINUTES = {mutants.a_probe_never_gives_up, mutants.classes_do_not_count}
"""What takes so long that only `nightly` looks for it."""
PATIENT = {
    mutants.a_broken_promise_is_forgiven,
    mutants.a_millisecond_to_answer,
    mutants.an_old_grant_hides_the_new_one,
    mutants.nobody_waits_out_a_hold,
    mutants.probe_while_the_estimate_falls,
    mutants.ten_times_the_padding,
}
"""What takes longer than one wants to wait while one works: for `ci` as well."""
LEFT_OUT = {"dev": MINUTES | PATIENT, "ci": MINUTES}.get(settings.get_current_profile_name(), set())
PLANTED = [mutant for mutant in MUTANTS if mutant not in LEFT_OUT]


@pytest.mark.parametrize("mutant", PLANTED, ids=lambda mutant: mutant.__name__)
def test_the_machines_find_it(mutant):
    found = (
        examples_until_found(mutant, name, at_most=ENOUGH, by_chance=False)
        for name in MUTANTS[mutant]
    )
    assert any(examples is not None for examples in found)
