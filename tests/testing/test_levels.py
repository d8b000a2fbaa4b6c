"""What one receiver could hold, worked out anew from the contract."""

import pytest

from tests.engine.support import record
from trio_allocator.testing.levels import below


@pytest.mark.parametrize(
    ("options", "rates", "level", "down"),
    [
        ({}, (100, 500), 550, 110),
        ({}, (100, 500), 200, 110),
        ({}, (100, 500), 110, 110),
        ({"pausable": True}, (100, 500), 110, 0),
        ({"min_bitrate": 60}, (), 200, 199),
        ({"min_bitrate": 60}, (), 60, 60),
        ({"min_bitrate": 60, "pausable": True}, (), 60, 0),
    ],
)
def test_one_step_down_is_a_step_of_the_ladder_or_the_least_that_is_less(
    options, rates, level, down
):
    assert below(record(level, *rates, **options), level) == down
