"""Planted one at a time, each mutant is found by a machine."""

import pytest

from tests.testing.mutants import MUTANTS, examples_until_found

ENOUGH = 500
"""Examples; docs/proof.md says how many each takes."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_machines_find_it(mutant):
    found = (examples_until_found(mutant, name, at_most=ENOUGH) for name in MUTANTS[mutant])
    assert any(examples is not None for examples in found)
