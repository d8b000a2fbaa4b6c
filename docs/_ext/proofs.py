"""What checks which invariant: read from the tests and from the kit, for the page on proof.

Tests are parsed, never imported, as in `cited_tests`; the kit is part of the package.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cited_tests

from trio_allocator.testing.conformance import CHECKS

TESTS = cited_tests.ROOT / "tests"
KIT = cited_tests.ROOT / "trio_allocator" / "testing"

ENGINE_MACHINE = "tests/engine/test_engine_machine.py"
METAMORPHIC = "tests/engine/test_metamorphic.py"
MODEL = TESTS / "engine" / "model.py"
"""Judges the engine, in both machines."""
OBSERVER = (KIT / "observer.py", KIT / "machine.py", KIT / "manners.py")
"""What judges an allocator from outside, and what the machine and its receivers object to."""

_NAMED = re.compile(r"((?:[A-Z]\d(?:, )?)+)(?::|$)")


@dataclass(frozen=True)
class Proof:
    """What checks one invariant.

    Attributes:
        statement: The invariant.
        engine_machine: The state machine of the engine, or the model that judges it, names it.
        nursery_machine: That model or the observer, which both judge the nursery, names it.
        metamorphic: A comparison of two engines holds it.
        checks: How many directed checks of the kit there are for it.
        plants: How many broken allocators are planted for those to find.
        tests: How many other tests cite it.
    """

    statement: cited_tests.Statement
    engine_machine: bool
    nursery_machine: bool
    metamorphic: bool
    checks: int
    plants: int
    tests: int


def named(path: Path) -> set[str]:
    """The ids that strings of a source file begin with: complaints, and arguments that are ids."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = _NAMED.match(node.value)
            if match:
                found.update(match[1].split(", "))
    return found


def plants(folder: Path = TESTS / "testing") -> Mapping[str, int]:
    """How many broken allocators a folder's tests plant, by the ids under which they are found."""
    found: Counter[str] = Counter()
    for path in sorted(folder.glob("test_*_plants.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.Assign(targets=[ast.Name("PLANTS")], value=ast.Dict(keys, values)):
                    for key, value in zip(keys, values, strict=True):
                        # The first tuple: some are made of one by a function.
                        planted = next(n for n in ast.walk(value) if isinstance(n, ast.Tuple))
                        found[ast.literal_eval(key) if key else ""] += len(planted.elts)
    return found


def proofs() -> list[Proof]:
    """What checks each invariant, in their order."""
    citing = cited_tests.cited("invariant")
    model = named(MODEL)
    engine_machine = model | named(cited_tests.ROOT / ENGINE_MACHINE)
    nursery_machine = model.union(*map(named, OBSERVER))
    planted = plants()
    found = []
    for statement in cited_tests.statements(cited_tests.INVARIANTS):
        files = Counter(test.file for test in citing.get(statement.id, ()))
        elsewhere = sum(
            number
            for file, number in files.items()
            if file not in {ENGINE_MACHINE, METAMORPHIC} and not file.startswith("tests/testing/")
        )
        found.append(
            Proof(
                statement,
                engine_machine=statement.id in engine_machine,
                nursery_machine=statement.id in nursery_machine,
                metamorphic=METAMORPHIC in files,
                checks=len(CHECKS.get(statement.id, ())),
                plants=planted.get(statement.id, 0),
                tests=elsewhere,
            )
        )
    return found
