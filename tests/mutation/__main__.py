"""``python -m tests.mutation``: change what decides, a little at a time, and see if a test minds.

mutmut makes the mutants and runs the tests, as `[tool.mutmut]` of pyproject.toml says, in a copy
of the tree. Then this prints a score for each module, and the mutants that survived without
being explained in ``equivalent.toml``. It fails if there is one, if an explanation is void, or if
less than 95 % of all mutants were killed.

A killed mutant is one that a test failed for, or that ran for ever. What only changes the wording
of an error is counted on its own: the tests hold that there is an error, and of which kind.
mutmut changes the bodies of functions, but not of those with a decorator, such as properties.
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
    parser.add_argument(
        "names", nargs="*", help="mutants, such as 'trio_allocator.shell.mailbox*'; all"
    )
    parser.add_argument(
        "--work",
        type=Path,
        help="keep the copy here: changed functions and survivors are run again",
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many mutants at a time")
    parser.add_argument("--report", action="store_true", help="run nothing, print what is known")
    arguments = parser.parse_args()
    if arguments.report and arguments.work is None:
        parser.error("--report needs --work")
    with contextlib.ExitStack() as stack:
        work = arguments.work or stack.enter_context(tempfile.TemporaryDirectory("-mutation"))
        stack.enter_context(contextlib.chdir(_copied(Path(work).resolve())))
        explanations = Explanations.load(Path(__file__).with_name("equivalent.toml"))
        if not arguments.report:
            _run(arguments.names, arguments.jobs, explanations)
        sys.exit(_report(explanations, complete=not arguments.names))


def _copied(work: Path) -> Path:
    """The tree, as mutmut sees it. A file that has not changed keeps its time, and its mutants."""
    # mutmut copies tests over those of the last run, and would go on with what is here no more.
    shutil.rmtree(work / "mutants" / "tests", ignore_errors=True)
    # It would know a test that has changed by what it covered before.
    (work / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    for name in ("trio_allocator", "tests", "docs"):
        shutil.rmtree(work / name, ignore_errors=True)
        shutil.copytree(ROOT / name, work / name, ignore=LEFT_OUT)
    shutil.copy2(ROOT / "pyproject.toml", work)
    return work


def _run(names: list[str], jobs: int, explanations: Explanations) -> None:
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(jobs)]
    if not names and Path("mutants").exists():
        # What survived may have met a new test; what was killed stays so.
        subprocess.run(command, check=True)
        everyone = judge(config(), explanations)
        lately = (Fate.SURVIVED, Fate.WORDING)
        names = [mutant.name for mutant in everyone if mutant.fate in lately]
        if not names:
            return
    subprocess.run([*command, *names], check=True)


def _report(explanations: Explanations, *, complete: bool) -> str | None:
    """Print the scores; return what is wrong, if anything is."""
    by_module: dict[str, Counter[Fate]] = {}
    unexplained: list[Mutant] = []
    for mutant in judge(config(), explanations):
        by_module.setdefault(mutant.module, Counter())[mutant.fate] += 1
        if mutant.fate is Fate.SURVIVED:
            unexplained.append(mutant)
    console = Console(width=None if sys.stdout.isatty() else 120)
    for mutant in unexplained:
        console.print(f"\n{mutant.name}", style="bold", highlight=False)
        console.print(mutant.diff, markup=False, highlight=False)
    console.print(_table(by_module))
    unused = explanations.unused() if complete else []
    for entry in unused:
        console.print(f"It did not survive, or is no more: {entry}", markup=False, highlight=False)
    if unexplained or unused or _score(sum(by_module.values(), Counter())) < ENOUGH:
        return (
            f"{len(unexplained)} survivors are not explained, {len(unused)} explanations are void"
        )
    return None


def _table(by_module: dict[str, Counter[Fate]]) -> Table:
    table = Table("module", "mutants", *(fate.value for fate in Fate), "score")
    for module, fates in sorted(by_module.items()):
        table.add_row(module, *_row(fates))
    table.add_section()
    table.add_row("all", *_row(sum(by_module.values(), Counter())))
    return table


def _row(fates: Counter[Fate]) -> tuple[str, ...]:
    counts = (str(fates[fate]) for fate in Fate)
    return str(fates.total()), *counts, f"{100 * _score(fates):.1f} %"


def _score(fates: Counter[Fate]) -> float:
    """Killed, of all: those that cannot be killed are explained, not left out."""
    return fates[Fate.KILLED] / fates.total() if fates.total() else 1.0


if __name__ == "__main__":
    main()
