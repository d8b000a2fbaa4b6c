"""Recorded feedback of real stacks: `tests/estimation/data` says what is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"

_SENT = re.compile(r"# sent (\d+) to (\d+), without ([\d ]*)")
_NUMBERS = 2**16


@dataclass(frozen=True)
class Recording:
    """What one file tells.

    Attributes:
        packets: As they came, one RTCP packet each.
        first: Extended sequence number of the first packet sent.
        last: And of the last.
        missing: Those in between that were never sent.
    """

    packets: tuple[bytes, ...]
    first: int
    last: int
    missing: frozenset[int]


def files() -> list[Path]:
    """All recordings there are."""
    return sorted(DATA.glob("*.txt"))


def read(path: Path) -> Recording:
    """Read a file of hex lines; the comments must say what was sent."""
    lines = path.read_text(encoding="ascii").splitlines()
    found = next(filter(None, map(_SENT.fullmatch, lines)), None)
    if found is None:
        raise ValueError(f"{path} does not say what was sent: '# sent FIRST to LAST, without …'")
    first = int(found[1])

    def extended(number: str) -> int:
        return first + (int(number) - first) % _NUMBERS

    return Recording(
        packets=tuple(bytes.fromhex(line) for line in lines if line and not line.startswith("#")),
        first=first,
        last=extended(found[2]),
        missing=frozenset(map(extended, found[3].split())),
    )
