"""How the kit says that something is wrong: by the id of the invariant that was broken."""

from __future__ import annotations

import inspect
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
        complaint: What was seen.
        situation: What the check sets up, in a sentence; empty outside of a check.
    """

    titles: ClassVar[Mapping[str, str]] = INVARIANTS

    def __init__(self, invariant: str, complaint: str) -> None:
        super().__init__(f"{invariant} ({self.titles[invariant]}): {complaint}")
        self.invariant: str = invariant
        self.complaint: str = complaint
        self.situation: str = ""


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
        found = "".join(map(_paragraph, _grouped(violations)))
        self.violations: tuple[InvariantError, ...] = tuple(violations)
        self.invariants: frozenset[str] = frozenset(v.invariant for v in violations)
        super().__init__(f"{what} breaks {len(self.invariants)} of its promises:{found}")


def first_sentence(check: object) -> str:
    """What a check says of itself, in its first paragraph."""
    paragraph = (inspect.getdoc(check) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


def _grouped(violations: Collection[InvariantError]) -> list[list[InvariantError]]:
    """Those that were brought about by one and the same error are told as one."""
    groups: dict[str, list[InvariantError]] = {}
    for violation in violations:
        cause = violation.__cause__
        key = str(violation) if cause is None else f"{type(cause)} {cause}"
        groups.setdefault(key, []).append(violation)
    return list(groups.values())


def _paragraph(group: list[InvariantError]) -> str:
    first = group[0]
    situation = f"\n  {first.situation}" if first.situation else ""
    if len(group) == 1:
        return f"\n- {first}{situation}"
    ids = ", ".join(dict.fromkeys(violation.invariant for violation in group))
    if ids == first.invariant:
        return f"\n- {first} ({len(group)} checks){situation}"
    return f"\n- {ids} ({len(group)} checks): {first.complaint}{situation}"


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
