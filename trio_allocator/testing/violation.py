"""How the kit says that something is wrong: by the id of the invariant that was broken."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources


def _titles() -> dict[str, str]:
    text = resources.files(__package__).joinpath("invariants.toml").read_text(encoding="utf-8")
    return {
        name: entry["title"]
        for group in tomllib.loads(text).values()
        for name, entry in group.items()
    }


INVARIANTS: Mapping[str, str] = _titles()
"""Id of every invariant to its title; the documentation has the text of each."""


class InvariantError(AssertionError):
    """An invariant is broken.

    Attributes:
        invariant: Its id, such as ``"A2"``.
    """

    def __init__(self, invariant: str, complaint: str) -> None:
        super().__init__(f"{invariant} ({INVARIANTS[invariant]}): {complaint}")
        self.invariant: str = invariant


def demand(holds: object, invariant: str, complaint: str) -> None:
    """Insist on something.

    Args:
        holds: What must be true.
        invariant: The id of what is broken otherwise.
        complaint: What was seen instead.

    Raises:
        InvariantError: It is not true.
    """
    if not holds:
        raise InvariantError(invariant, complaint)
