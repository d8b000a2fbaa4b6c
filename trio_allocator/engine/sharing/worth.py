"""What a rate is worth to whoever watches, if nobody says otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Worth: TypeAlias = Callable[[int], float]
"""From an allocation in bit/s to what it is worth: finite, at least 0, never falling."""

DEPTH = 50
"""The knee lies at this part of the best step of any ladder: at 50 kbit/s for one of 2.5 Mbit/s,
which shows hardly a picture."""


def log_worth(best: int) -> Worth:
    """ln(1 + 50 r / best): 1.39, 2.40 and 3.93 for 150k, 500k and 2.5M, if that is the best step.

    Below the knee worth grows with the rate, far above it with every doubling. Logarithms make
    shares proportionally fair (Kelly, Maulloo and Tan, 1998). Measured by the best step there is,
    no rate is special (G7).

    Args:
        best: The highest step of any ladder of the connection, bit/s; above 0.
    """

    def worth(bitrate: int) -> float:
        return math.log1p(DEPTH * bitrate / best)

    return worth
