"""Which test holds what: the `invariant` and `defect` markers of the tests, read without running them.

A test file is parsed, never imported, so the documentation builds without the tests' dependencies.
"""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INVARIANTS = ROOT / "trio_allocator" / "testing" / "invariants.toml"
DEFECTS = ROOT / "docs" / "defects.toml"


@dataclass(frozen=True, order=True)
class CitedTest:
    """A test, or a group of them, that carries a marker.

    Attributes:
        file: Path from the project's root, with forward slashes.
        line: Where the marker stands.
        name: ``test_x``, ``TestX.test_y`` or ``TestX``; empty for a whole file.
    """

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}::{self.name}" if self.name else self.file


@dataclass(frozen=True)
class _Citation:
    marker: str
    ids: tuple[str, ...]
    test: CitedTest


def _marker_name(function: ast.expr) -> str | None:
    """``x`` of ``pytest.mark.x`` or ``mark.x``, None for anything else."""
    match function:
        case ast.Attribute(value=ast.Attribute(attr="mark"), attr=name):
            return name
        case ast.Attribute(value=ast.Name(id="mark"), attr=name):
            return name
    return None


def _target(node: ast.AST) -> str | None:
    """What an assignment names, without a trailing ``.pytestmark``."""
    match node:
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return ast.unparse(target).removesuffix("pytestmark").rstrip(".")
    return None


def _citations(node: ast.AST, file: str, owners: tuple[str, ...]) -> Iterator[_Citation]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and (marker := _marker_name(child.func)):
            ids = tuple(str(arg.value) for arg in child.args if isinstance(arg, ast.Constant))
            yield _Citation(marker, ids, CitedTest(file, child.lineno, ".".join(owners)))
        inside = owners
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = (*owners, child.name)
        elif target := _target(child):
            inside = (*owners, target)
        yield from _citations(child, file, inside)


@cache
def cited(marker: str, tests: Path = ROOT / "tests") -> Mapping[str, list[CitedTest]]:
    """The tests below a folder by what they cite.

    Args:
        marker: ``"invariant"`` or ``"defect"``.
        tests: The folder.

    Returns:
        Id to the tests that carry it, sorted; an id that no test carries is missing.
    """
    found: defaultdict[str, set[CitedTest]] = defaultdict(set)
    for path in sorted(tests.rglob("*.py")):
        file = path.relative_to(tests.parent).as_posix()
        for citation in _citations(ast.parse(path.read_text(encoding="utf-8")), file, ()):
            if citation.marker == marker:
                for cited_id in citation.ids:
                    found[cited_id].add(citation.test)
    return {cited_id: sorted(citing) for cited_id, citing in found.items()}


@dataclass(frozen=True)
class Statement:
    """One thing the project promises.

    Attributes:
        id: What tests cite it by.
        title: A few words.
        text: What it says; Markdown.
        group: The heading that it stands under.
    """

    id: str
    title: str
    text: str
    group: str


def statements(path: Path) -> list[Statement]:
    """The statements of `INVARIANTS` or `DEFECTS`, in the file's order."""
    groups = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Statement(id=statement_id, group=group, title=entry["title"], text=entry["text"])
        for group, entries in groups.items()
        for statement_id, entry in entries.items()
    ]
