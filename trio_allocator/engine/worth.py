"""What a rate is worth to whoever watches, if nobody says otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Worth: TypeAlias = Callable[[int], float]
"""From an allocation in bit/s to what it is worth: finite, at least 0, never falling."""

KNEE = 50_000
"""Below this rate, bit/s, worth grows with the rate; far above it, with every doubling. Logarithms
make shares proportionally fair (Kelly, Maulloo and Tan, 1998); 50 kbit/s shows hardly a picture."""


def log_worth(bitrate: int) -> float:
    """ln(1 + r / 50k): 1.39, 2.40 and 3.93 for 150k, 500k and 2.5M."""
    return math.log1p(bitrate / KNEE)
