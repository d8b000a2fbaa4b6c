"""What counts as a rate, a size or a weight: every number a user hands in passes here first.

Rates are bit/s, sizes are bytes, times are seconds. Inside, rates and sizes are integers,
floored once at the call, so that a running sum equals its recomputation exactly (invariant A1).
Anything else raises at the call and changes nothing (invariant I1).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from numbers import Real
from typing import cast

MAX_BITRATE = 10**15
"""The largest rate accepted, bit/s: a thousand times the terabit that invariant I1 asks for."""

MAX_SIZE = 10**12
"""The largest number of bytes accepted in one report."""


def _real(name: str, value: object, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"{name} must be a real number ({unit}), not {value!r} ({type(value).__name__})"
        )
    return cast("float", value)  # any real number compares and floors as a float does


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # finite, but no float is that large
        return True


def _whole(name: str, value: object, unit: str, largest: int) -> int:
    # The usual case skips the slower check.
    number = value if type(value) is int else _real(name, value, unit)
    if not _finite(number):
        raise ValueError(f"{name} must be finite, not {value!r}: leave out what is not known")
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {value!r} {unit}")
    if number > largest:
        raise ValueError(f"{name} must be at most {largest} {unit}, got {_short(value)}")
    return math.floor(number)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def bitrate(name: str, value: object) -> int:
    """Check a rate and floor it.

    Args:
        name: The argument's name, for the error message.
        value: A real, finite number of bit/s, from 0 to `MAX_BITRATE`; bool is refused.

    Returns:
        The rate in whole bit/s.

    Raises:
        TypeError: It is not a real number.
        ValueError: It is negative, not finite or too large.
    """
    return _whole(name, value, "bit/s", MAX_BITRATE)


def size(name: str, value: object) -> int:
    """Check a number of bytes and floor it; as `bitrate`, up to `MAX_SIZE`."""
    return _whole(name, value, "bytes", MAX_SIZE)


def positive(name: str, value: object, unit: str, *, infinite: bool = False) -> float:
    """Check a number that must be greater than zero, such as a duration or a weight.

    Args:
        name: The argument's name, for the error message.
        value: A real number greater than 0.
        unit: What it counts, for the error message.
        infinite: Whether `math.inf` is allowed (it usually switches something off).

    Raises:
        TypeError: It is not a real number.
        ValueError: It is not greater than 0, NaN, or infinite where that is not allowed.
    """
    real = _real(name, value, unit)
    try:
        number = float(real)
    except OverflowError:
        raise ValueError(f"{name} must fit into a float ({unit})") from None
    if not number > 0 or (math.isinf(number) and not infinite):
        bound = "greater than 0" if infinite else "finite and greater than 0"
        raise ValueError(f"{name} must be {bound} ({unit}), got {value!r}")
    return number


def share(name: str, value: object) -> float:
    """Check a share of something.

    Raises:
        TypeError: It is not a real number.
        ValueError: It is not from 0 to 1.
    """
    number = _real(name, value, "a share")
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return float(number)


def flag(name: str, value: object) -> bool:
    """Check a yes-or-no argument.

    Raises:
        TypeError: It is not a bool.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def whole_number(name: str, value: object, lowest: int, highest: int) -> int:
    """Check a whole number within bounds, both included.

    Raises:
        TypeError: It is not an int.
        ValueError: It is out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be from {lowest} to {highest}, got {value}")
    return value


def known_names(
    kind: str, given: Iterable[str], known: Collection[str], *, beside: Iterable[str] = ()
) -> None:
    """Check that keyword arguments are among those there are.

    Args:
        kind: What they are.
        given: Their names.
        known: The names there are.
        beside: The call's other arguments: one of them may be misspelt.

    Raises:
        TypeError: One is not; the message has the nearest name, and lists those that are.
    """
    for name in given:
        if name not in known:
            names = sorted({*known, *beside})
            nearest = get_close_matches(name, names, 1)
            hint = f": did you mean {nearest[0]!r}?" if nearest else ";"
            raise TypeError(f"there is no {kind} {name!r}{hint} there are {', '.join(names)}")
