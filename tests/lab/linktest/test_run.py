"""A run of a scenario, up to where a flow of ours opens its allocator."""

import pytest

from trio_allocator.lab.asked import Asked
from trio_allocator.lab.linktest import ours
from trio_allocator.lab.linktest.result import Stack
from trio_allocator.lab.linktest.run import run_scenario
from trio_allocator.lab.linktest.scenarios import SCENARIOS
from trio_allocator.lab.linktest.setup import Setup


class OpenedError(Exception):
    """Says with what."""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(), "layered {}"),
        (Asked("water-filling", {"hold": 2}), "water-filling {'hold': 2}"),
    ],
)
async def test_the_allocator_shares_as_was_chosen(monkeypatch, asked, expected):
    def open_allocator(*, policy, **settings):
        raise OpenedError(f"{policy} {settings}")

    monkeypatch.setattr(ours, "open_allocator", open_allocator)
    with pytest.raises(OpenedError, match=f"^{expected}$"):
        await run_scenario(SCENARIOS[0], [Stack.OURS], 1, Setup((), asked))
