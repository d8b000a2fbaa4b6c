"""A run of a scenario, up to where a flow of ours opens its allocator."""

import pytest

from trio_allocator.lab.linktest import ours
from trio_allocator.lab.linktest.result import Stack
from trio_allocator.lab.linktest.run import run_scenario
from trio_allocator.lab.linktest.scenarios import SCENARIOS


class OpenedError(Exception):
    """Says with what."""


@pytest.mark.parametrize(
    ("options", "expected"), [({}, "layered"), ({"policy": "water-filling"}, "water-filling")]
)
async def test_the_allocator_shares_as_was_chosen(monkeypatch, options, expected):
    def open_allocator(*, policy):
        raise OpenedError(policy)

    monkeypatch.setattr(ours, "open_allocator", open_allocator)
    with pytest.raises(OpenedError, match=f"^{expected}$"):
        await run_scenario(SCENARIOS[0], [Stack.OURS], 1, [], **options)
