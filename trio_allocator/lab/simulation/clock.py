"""The clock of the simulated world: whole steps of 10 ms."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

STEP = 0.01
"""s."""

STEPS_PER_SECOND = 100

WARM_UP = 20.0
"""The beginning that is not counted, s."""

WARM_UP_STEPS = round(WARM_UP * STEPS_PER_SECOND)

Series: TypeAlias = NDArray[np.float64]
"""One number for each step, unless said otherwise."""

_NEARLY = 1e-6


def step_at(time: float) -> float:
    """The first step that does not begin before this time; infinite if it never comes."""
    return math.inf if math.isinf(time) else math.ceil(time * STEPS_PER_SECOND - _NEARLY)
