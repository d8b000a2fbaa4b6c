"""The utility of a rate to those who watch, if nobody says otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Utility: TypeAlias = Callable[[int], float]
"""From an allocation in bit/s to its utility: finite, at least 0, never falling."""

KNEE = 50
"""The utility of a rate bends at this part of the best step of a class: at 50 kbit/s for one of
2.5 Mbit/s, which shows hardly a picture."""


def log_utility(best: int) -> Utility:
    """ln(1 + 50 r / best): 1.39, 2.40 and 3.93 for 150k, 500k and 2.5M, if that is the best step.

    Below the knee utility grows with the rate, far above it with every doubling. Logarithms make
    shares proportionally fair (Kelly, Maulloo and Tan, 1998). Measured by the best step of
    the class, no rate is special (G7).

    Args:
        best: The highest step of any ladder of the class, bit/s; above 0.
    """

    def utility(bitrate: int) -> float:
        return math.log1p(KNEE * bitrate / best)

    return utility
