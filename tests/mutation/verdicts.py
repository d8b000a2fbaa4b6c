"""What became of each mutant, read from mutmut's records."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import libcst as cst
from mutmut.configuration import Config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant, read_functions_from_index
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key


class Fate(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    WORDING = "wording"
    """It survived, and differs in nothing but what an error says."""
    EQUIVALENT = "equivalent"
    """It survived, and ``equivalent.toml`` says why nobody can tell."""
    SURVIVED = "survived"


@dataclass(frozen=True)
class Mutant:
    """One change to one function.

    Attributes:
        name: mutmut's name for it; the number at its end moves when the function changes.
        module: Of the function, without the package.
        function: With its class, if it has one.
        fate: What became of it.
        diff: What it changes; empty if it was killed.
    """

    name: str
    module: str
    function: str
    fate: Fate
    diff: str = ""

    @property
    def removed(self) -> tuple[str, ...]:
        """The lines it changes, as they are."""
        return self._lines("-")

    @property
    def added(self) -> tuple[str, ...]:
        """The same lines, changed."""
        return self._lines("+")

    def _lines(self, sign: str) -> tuple[str, ...]:
        body = self.diff.splitlines()[3:]  # past the names of the files and the place
        return tuple(line[1:].strip() for line in body if line.startswith(sign))


def judge(config: Config, explanations: Explanations) -> Iterator[Mutant]:
    """All mutants of the copy that is the working directory."""
    for path in filter(config.should_mutate, walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        module = ".".join(path.with_suffix("").parts[1:])
        for name, exit_code in data.exit_code_by_key.items():
            if exit_code is None:
                continue  # it was not run
            function, class_name = orig_function_and_class_names_from_key(name)
            qualified = function if class_name is None else f"{class_name}.{function}"
            if status_by_exit_code[exit_code] in ("killed", "timeout", "segfault"):
                yield Mutant(name, module, qualified, Fate.KILLED)
                continue
            diff = get_diff_for_mutant(name, path=path)
            mutant = Mutant(name, module, qualified, Fate.SURVIVED, diff)
            if _only_words(name, path):
                mutant = replace(mutant, fate=Fate.WORDING)
            elif explanations.reason(mutant) is not None:
                mutant = replace(mutant, fate=Fate.EQUIVALENT)
            yield mutant


# --- wording ---------------------------------------------------------------------------------

WORDS = {
    "_callback": (0,),
    "bitrate": (0,),
    "check": (0,),
    "flag": (0,),
    "known": (0,),
    "known_names": (0,),
    "positive": (0, 2),
    "share": (0,),
    "share_to_repeat": (0,),
    "size": (0,),
    "whole_number": (0,),
}
"""Functions that check an argument: at these places stands what an error calls it, or its unit."""


def _only_words(name: str, path: Path) -> bool:
    """Whether a mutant is its original, but for what is said when something is raised."""
    functions = read_functions_from_index(name, path)
    if functions is None:
        return False
    original, mutant = (ast.parse(cst.Module([function]).code) for function in functions)
    return ast.dump(_Wordless().visit(original)) == ast.dump(_Wordless().visit(mutant))


class _Wordless(ast.NodeTransformer):
    """Takes out what errors say."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args.clear()
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.func:
            case ast.Attribute(attr=called) | ast.Name(id=called):
                pass
            case _:
                called = ""
        for place in WORDS.get(called, ()):
            if place < len(node.args):
                node.args[place] = ast.Constant("")
        return self.generic_visit(node)


# --- explanations ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Explanation:
    """Why a mutant is no other program, told by its lines: its number moves."""

    function: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.function}: {' / '.join(self.before)}  ->  {' / '.join(self.after)}"


@dataclass
class Explanations:
    """All of them, and which were of use."""

    entries: list[Explanation]
    used: set[Explanation] = field(default_factory=set)

    @classmethod
    def load(cls, path: Path) -> Explanations:
        """Read ``equivalent.toml``: a table for each reason, an array of mutants in it.

        A mutant is its function, and the lines it changes and changes them to, as in the diff.
        """
        tables = tomllib.loads(path.read_text()).get("because", [])
        return cls(
            [
                Explanation(
                    mutant["in"],
                    tuple(_lines(mutant["before"])),
                    tuple(_lines(mutant["after"])),
                    table["reason"],
                )
                for table in tables
                for mutant in table["mutants"]
            ]
        )

    def reason(self, mutant: Mutant) -> str | None:
        """Why a survivor is no other program; None if nothing is known of it."""
        where = f"{mutant.module}:{mutant.function}"
        for entry in self.entries:
            if (entry.function, entry.before, entry.after) == (where, mutant.removed, mutant.added):
                self.used.add(entry)
                return entry.reason
        return None

    def unused(self) -> list[Explanation]:
        """Those that explain nothing: the mutant is gone, or a test has killed it."""
        return [entry for entry in self.entries if entry not in self.used]


def _lines(text: str) -> Iterable[str]:
    return (line.strip() for line in text.strip().splitlines())
