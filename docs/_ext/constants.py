"""The constants of a module, with what the string below each says of it: its unit and its source."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple


class Constant(NamedTuple):
    """A number with a name.

    Attributes:
        name: Its name.
        value: As the source writes it.
        text: The string below it, empty if there is none.
    """

    name: str
    value: str
    text: str


def constants(path: Path) -> list[Constant]:
    """The constants that a module defines, in its order; those that begin with ``_`` are its own."""
    source = path.read_text(encoding="utf-8")
    body = ast.parse(source).body
    found = []
    for statement, following in pairwise([*body, ast.Pass()]):
        match statement:
            case ast.Assign(targets=[ast.Name(name)], value=value) if _names_a_constant(name):
                pass
            case _:
                continue
        match following:
            case ast.Expr(ast.Constant(str(text))):
                text = " ".join(text.split())
            case _:
                text = ""
        found.append(Constant(name, ast.get_source_segment(source, value) or "", text))
    return found


def _names_a_constant(name: str) -> bool:
    # Type variables have one letter.
    return name.isupper() and len(name) > 1 and not name.startswith("_")
