"""``python -m tests.mutation``: change what decides, a little at a time, and see if a test minds.

mutmut makes the mutants and runs the tests, as `[tool.mutmut]` of pyproject.toml says, in a copy
of the tree. Then this prints a score for each module, and the mutants that survived without
being explained in ``equivalent.toml``. It fails if there are too many of them.

A killed mutant is one that a test failed for, or that ran for ever. What only changes the wording
of an error is counted on its own: the tests hold that there is an error, and of which kind.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from mutmut.configuration import config
from rich.console import Console
from rich.table import Table

from .verdicts import Explanations, Fate, Mutant, judge

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "mutants", "_build", "dist", "*.egg-info")
ENOUGH = 0.95


def main() -> None:
    """Run mutmut, and judge what it found."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants, such as 'trio_allocator.mailbox*'; all")
    parser.add_argument("--work", type=Path, help="keep the copy here: only changes are run again")
    parser.add_argument("--jobs", type=int, default=1, help="how many mutants at a time")
    parser.add_argument("--report", action="store_true", help="run nothing, print what is known")
    arguments = parser.parse_args()
    if arguments.report and arguments.work is None:
        parser.error("--report needs --work")
    with contextlib.ExitStack() as stack:
        work = arguments.work or stack.enter_context(tempfile.TemporaryDirectory("-mutation"))
        stack.enter_context(contextlib.chdir(_copied(Path(work).resolve())))
        if not arguments.report:
            _run(arguments.names, arguments.jobs)
        sys.exit(_report(Explanations.load(ROOT / "tests" / "mutation" / "equivalent.toml")))


def _copied(work: Path) -> Path:
    """The tree, as mutmut sees it: a file that has not changed keeps its time."""
    for name in ("trio_allocator", "tests", "docs"):
        # mutmut copies over what it has, and would run tests that are here no more.
        for stale in (work / name, work / "mutants" / name if name == "tests" else work / name):
            shutil.rmtree(stale, ignore_errors=True)
        shutil.copytree(ROOT / name, work / name, ignore=LEFT_OUT)
    shutil.copy2(ROOT / "pyproject.toml", work)
    return work


def _run(names: list[str], jobs: int) -> None:
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(jobs)]
    if not names and Path("mutants").exists():
        # What survived may have met a new test; what was killed stays so.
        subprocess.run(command, check=True)
        names = [mutant.name for mutant in judge(config()) if mutant.fate is Fate.SURVIVED]
        if not names:
            return
    subprocess.run([*command, *names], check=True)


def _report(explanations: Explanations) -> str | None:
    """Print the scores; return what is wrong, if anything is."""
    table = Table("module", "mutants", "killed", "wording", "equivalent", "survived", "score")
    by_module: dict[str, Counter[str]] = {}
    unexplained: list[Mutant] = []
    for mutant in judge(config()):
        fates = by_module.setdefault(mutant.module, Counter())
        if mutant.fate is Fate.SURVIVED and explanations.reason(mutant) is not None:
            fates["equivalent"] += 1
            continue
        fates[mutant.fate.value] += 1
        if mutant.fate is not Fate.KILLED and mutant.fate is not Fate.WORDING:
            unexplained.append(mutant)
    console = Console(width=None if sys.stdout.isatty() else 120)
    total: Counter[str] = Counter()
    for module, fates in sorted(by_module.items()):
        total += fates
        table.add_row(module, *_row(fates))
    table.add_section()
    table.add_row("all", *_row(total))
    for mutant in unexplained:
        console.print(f"\n{mutant.name}: {mutant.fate.value}", style="bold", highlight=False)
        console.print(mutant.diff, markup=False, highlight=False)
    console.print(table)
    unused = explanations.unused()
    for entry in unused:
        console.print(f"equivalent.toml explains what did not survive: {entry}", markup=False)
    if _score(total) < ENOUGH or unused:
        return f"{len(unexplained)} mutants survived, {len(unused)} explanations are void"
    return None


def _row(fates: Counter[str]) -> tuple[str, ...]:
    cells = ("killed", "wording", "equivalent", "survived")
    score = f"{100 * _score(fates):.1f} %"
    return str(fates.total()), *(str(fates[cell]) for cell in cells), score


def _score(fates: Counter[str]) -> float:
    """Killed, of those that were to be killed: neither wording nor equivalent."""
    counted = fates.total() - fates["wording"] - fates["equivalent"]
    return fates["killed"] / counted if counted else 1.0


if __name__ == "__main__":
    main()
