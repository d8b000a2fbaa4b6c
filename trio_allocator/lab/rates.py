"""Rates as people write them: ``150k`` and ``2.5M`` in, ``2.50 Mbit/s`` out. All are bit/s."""

from __future__ import annotations

import re

from ..quantities import MAX_BITRATE

_RATE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE]\+?(\d{1,3}))?\s*([kKmMgG]?)", re.ASCII)
_FACTOR = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_SHOWN_CHARACTERS = 40


class RateError(ValueError):
    """A text that is not a rate. Its message names the text and the cure, in one line."""


def shown(text: str) -> str:
    """A user's text for an error message: quoted, on one line, and not longer than a line."""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "…"
    return repr(text)


def parse_rate(text: str) -> int:
    """Read a rate.

    Args:
        text: Digits, with a fraction or a decimal exponent if need be, and one of the suffixes
            k, M, G (powers of 1000; case does not matter, since nobody means millibits).

    Returns:
        Whole bit/s, floored.

    Raises:
        RateError: It is no number, negative, not finite, or beyond what an allocator accepts.
    """
    text = text.strip()
    match = _RATE.fullmatch(text)
    if match is None:
        if not text:
            problem = "is empty"
        elif text.startswith("-") and _RATE.fullmatch(text[1:]):
            problem = "is negative"
        else:
            problem = "is not a number"
        raise RateError(f"{shown(text)} {problem}: write bit/s, such as 150000, 150k or 2.5M")
    digits, exponent, suffix = match.groups()
    # A three-digit exponent may overflow to infinity, which the comparison then refuses.
    rate = float(f"{digits}e{exponent or 0}") * _FACTOR[suffix.lower()]
    if rate > MAX_BITRATE:
        raise RateError(f"{shown(text)} is more than {MAX_BITRATE:.0e} bit/s: check the unit")
    return int(rate)


def format_rate(rate: float) -> str:
    """A rate with three significant digits and its unit, such as ``485 kbit/s``.

    Args:
        rate: bit/s.
    """
    for factor, unit in ((1_000_000_000, "Gbit/s"), (1_000_000, "Mbit/s"), (1_000, "kbit/s")):
        # Compare after rounding, so that 999 999 is "1.00 Mbit/s" and not "1000 kbit/s".
        if rate >= 0.9995 * factor:
            value = rate / factor
            decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{decimals}f} {unit}"
    return f"{rate:.0f} bit/s"
