"""What all of them need: real time, and a machine that is not too busy."""

from __future__ import annotations

import pytest

ATTEMPTS = 3
"""A run that was starved proves nothing, and is tried again so often."""


@pytest.fixture
def unless_starved():
    """Await a run until it is a measurement; the run returns something with `starved`."""

    async def repeat(run):
        reasons = []
        for _ in range(ATTEMPTS):
            result = await run()
            if result.starved is None:
                return result
            reasons.append(result.starved)
        pytest.fail(f"inconclusive, this machine was too busy: {'; '.join(reasons)}")

    return repeat
