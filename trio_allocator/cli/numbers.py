"""Whole numbers as the command line takes them."""

from __future__ import annotations

import re

from ..lab.rates import shown
from ..lab.replay.recording import RecordingError

MOST = 1000
"""Numbers in one range: more runs than that would be a slip of the pen."""


def whole_numbers(option: str, text: str, least: int, most: int) -> list[int]:
    """Read a list of whole numbers and ranges of them, such as ``1,3,10`` or ``1-5``."""
    found: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,12})\s*(?:-\s*(\d{1,12})\s*)?", part, re.ASCII)
        if match is None:
            raise RecordingError(
                f"{option}: {shown(part)} is not a whole number: write 3, or 1,3,10, or 1-5"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise RecordingError(f"{option}: {shown(part.strip())} falls: write {last}-{first}")
        if first < least or last > most:
            raise RecordingError(
                f"{option}: {shown(part.strip())} is out of range: write {least} to {most}"
            )
        if last - first >= MOST:
            raise RecordingError(f"{option}: {shown(part.strip())} is more than {MOST} runs")
        found.update(dict.fromkeys(range(first, last + 1)))
    return list(found)
