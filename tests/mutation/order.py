"""A plugin of pytest for mutmut: the quick tests first, and few examples of each property."""

from __future__ import annotations

import os

import pytest
from mutmut.state import state

# Before `tests/conftest.py` chooses one. Plugins come first.
os.environ["HYPOTHESIS_PROFILE"] = "mutation"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A mutant dies of the first test that fails: let that be a quick one."""
    took = state().duration_by_test
    items.sort(key=lambda item: took.get(item.nodeid, 0.0))
