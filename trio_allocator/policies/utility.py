"""The utility of a rate to those who watch, if nobody says otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from .policy import shown

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


ROUNDING = 1e-9
"""What a utility may fall by, as a share of itself, since floats are rounded."""


class CheckedUtility:
    """A utility of the user's, of which each value is checked, and that it did not fall since the one before.

    Who compares two rates asks for them one after the other: so nothing is decided by a fall.

    Args:
        utility: The user's.
    """

    __slots__ = ("_before", "_utility")

    def __init__(self, utility: Utility) -> None:
        self._utility = utility
        self._before = (0, 0.0)

    def __repr__(self) -> str:
        return shown(self._utility)

    def __call__(self, bitrate: int) -> float:
        """Ask for a value.

        Raises:
            ValueError: It is not finite, negative, or less than that of a lower rate.
            Exception: What the user's function raises.
        """
        value = float(self._utility(bitrate))
        if not 0 <= value < math.inf:
            raise ValueError(f"{bitrate} bit/s have a utility of {value}: not finite, or negative")
        lower, higher = sorted((self._before, (bitrate, value)))
        if higher[1] < lower[1] * (1 - ROUNDING):
            raise ValueError(
                f"{higher[0]} bit/s have a utility of {higher[1]}, and {lower[0]} bit/s more, "
                f"{lower[1]}: it must never fall"
            )
        self._before = (bitrate, value)
        return value
