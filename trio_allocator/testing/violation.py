"""How the kit says that something is wrong: by the id of the invariant that was broken."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from importlib import resources
from typing import ClassVar


def _titles() -> dict[str, str]:
    text = (
        resources.files("trio_allocator.testing")
        .joinpath("invariants.toml")
        .read_text(encoding="utf-8")
    )
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
        titles: Id to title of what can be broken.
        invariant: The id of what is, such as ``"A2"``.
    """

    titles: ClassVar[Mapping[str, str]] = INVARIANTS

    def __init__(self, invariant: str, complaint: str) -> None:
        super().__init__(f"{invariant} ({self.titles[invariant]}): {complaint}")
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


def demand_same(invariant: str, what: str, seen: object, due: object) -> None:
    """Insist that something is what is due.

    Raises:
        InvariantError: It is not.
    """
    demand(seen == due, invariant, f"{what}: {seen!r}, where {due!r} was due")


class ConformanceError(AssertionError):
    """Something does not keep what it promises.

    Attributes:
        violations: What was found, with its traceback, one for each check that failed.
        invariants: The ids of what is broken.
    """

    def __init__(self, what: str, violations: Collection[InvariantError]) -> None:
        found = "".join(f"\n- {violation}" for violation in violations)
        self.violations: tuple[InvariantError, ...] = tuple(violations)
        self.invariants: frozenset[str] = frozenset(v.invariant for v in violations)
        super().__init__(f"{what} breaks {len(self.invariants)} of its promises:{found}")


def check_ids(name: str, ids: Collection[str], known: Mapping[str, str]) -> frozenset[str]:
    """Check an argument that names what can be broken.

    Returns:
        The ids.

    Raises:
        ValueError: It names something else.
    """
    named = frozenset([ids] if isinstance(ids, str) else ids)
    strangers = sorted(named - set(known))
    if strangers:
        raise ValueError(f"{name} must be some of {', '.join(known)}, not {', '.join(strangers)}")
    return named
