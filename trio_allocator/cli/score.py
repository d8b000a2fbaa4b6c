"""The commands ``score`` and ``compare``: what they take, and what they print where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..engine.sharing.registry import DEFAULT_POLICY, POLICIES
from ..lab.asked import parse_policies, parse_settings
from ..lab.comparing import Comparison, Outcome, compare as compare_results, read_result
from ..lab.replay.recording import RecordingError
from ..lab.score_figures import CHAPTER_TITLES, LEGEND, shown
from .endings import give_up, progress_told, refuse
from .numbers import whole_numbers
from .shared_options import Jobs, Scheduler, SettingChanges
from .workers import workers

if TYPE_CHECKING:  # what needs NumPy is loaded when it is wanted
    from ..lab.suite import Case, Scored

_LARGEST_SEED = 2**32 - 1


def score(
    traces: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="TRACE",
            show_default=False,
            help="Capacities to be tried besides those that ship: CSV files with the columns "
            "time_s,capacity_bps (seconds, bit/s).",
        ),
    ] = None,
    *,
    policy: Annotated[
        str,
        typer.Option(metavar="NAME,…", help=f"Which policies. There are: {', '.join(POLICIES)}."),
    ] = f"{DEFAULT_POLICY},fair",
    full: Annotated[
        bool,
        typer.Option("--full", help="The whole suite: half an hour on two cores, not 3 minutes."),
    ] = False,
    only: Annotated[
        str,
        typer.Option(metavar="CHAPTER,…", help="Only these: steady, changing, impaired, crowd."),
    ] = "",
    seeds: Annotated[
        str,
        typer.Option(metavar="N,…", help="Of all that is random, such as 1-5.", show_default="1-3"),
    ] = "",
    settings: SettingChanges = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    as_machine: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of tables.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE.html", help="Write a report with pictures, too."),
    ] = None,
) -> None:
    """Tell how well policies allocate: simulated calls with real media and real estimates.

    Calls on steady, changing and impaired links, and in a crowd; what should hold, and how far it
    does. Two results of --json can be compared: `trio-allocator compare`.
    """
    console = Console(stderr=True)
    cases: list[Case] = []
    made: dict[int, Scored] = {}
    try:
        _check_page(page)
        cases = _cases(
            traces or [], policy, only, seeds, parse_settings(settings or ()), is_full=full
        )
        with workers(jobs, scheduler) as executor:
            _perform(cases, executor, console, made)
        results = [made[index] for index in range(len(cases))]
        if as_machine:
            print(json.dumps(_as_json(results, "full" if full else "quick"), indent=1))
        else:
            _print(_screen(), results)
        if page is not None:
            _write_page(page, results, cases)
    except RecordingError as error:
        refuse(error)
    except KeyboardInterrupt:
        give_up(console, progress_told(len(made), len(cases)))


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD.json", help="What a command printed before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW.json", help="What it prints now.")],
    every: Annotated[
        bool, typer.Option("--all", help="Show the figures that did not change, too.")
    ] = False,
    as_machine: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Tell what got better or worse between two results, beyond noise.

    Both are what score, simulate, replay or link-test printed with --json. Runs with the same
    condition and seed are compared; more seeds tell smaller differences. Ends with exit code 1 if
    anything got worse.
    """
    try:
        found = compare_results(read_result(old), read_result(new))
    except RecordingError as error:
        refuse(error)
    if as_machine:
        print(json.dumps(_comparison_as_json(found), indent=1))
    else:
        _print_comparison(_screen(), found, every=every)
    if found.is_regression:
        raise typer.Exit(1)


def _check_page(page: Path | None) -> None:
    if page is None:
        return
    if page.suffix.lower() not in {".html", ".htm"}:
        raise RecordingError(f"--html {page}: the report is a page of HTML: call it .html")
    if not page.parent.is_dir():
        raise RecordingError(f"--html {page}: there is no folder {page.parent}: create it")


def _cases(
    paths: Sequence[Path],
    policy: str,
    only: str,
    seeds: str,
    settings: dict[str, Any],
    *,
    is_full: bool,
) -> list[Case]:
    from ..lab.simulation.trace import read_trace  # noqa: PLC0415  # needs NumPy
    from ..lab.suite import CHAPTERS, FULL, QUICK, plan  # noqa: PLC0415

    chapters = [name.strip() for name in only.split(",")] if only else list(CHAPTERS)
    for name in chapters:
        if name not in CHAPTERS:
            raise RecordingError(
                f"--only: {name!r} is no chapter: choose from {', '.join(CHAPTERS)}"
            )
    return plan(
        FULL if is_full else QUICK,
        parse_policies(policy),
        traces=[read_trace(path) for path in paths],
        chapters=chapters,
        seeds=whole_numbers("--seeds", seeds, 0, _LARGEST_SEED) if seeds else (),
        settings=settings,
    )


def _perform(
    cases: Sequence[Case], executor: Executor | None, console: Console, made: dict[int, Scored]
) -> None:
    """Make the runs, and note the result of each by its turn in the plan."""
    from ..lab.suite import score as score_case  # noqa: PLC0415  # needs NumPy
    from ..lab.workers import each_done  # noqa: PLC0415

    with (
        closing(each_done(score_case, cases, executor)) as runs,
        Progress(
            TextColumn(" {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as progress,
    ):
        # One by one: those made before Ctrl-C are there after it.
        made.update(progress.track(runs, total=len(cases), description="scoring"))


def _screen() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=120)


def _as_json(results: Sequence[Scored], extent: str) -> dict[str, Any]:
    """The documented keys of ``--json``.

    ==========  ===================================================================================
    ``score``   ``extent`` (``quick`` or ``full``), and what the figures depend on, by name
    ``bars``    for each bar and policy: ``name``, ``policy``, ``figure``, ``value`` of the worst
                condition, ``condition``, ``typical`` of the median one, ``bar``, ``holds``
    ``runs``    for each: ``chapter``, ``condition``, ``trace``, ``receivers``, ``impairments``,
                ``policy``, ``seed``, ``figures``
    ==========  ===================================================================================
    """
    from attrs import asdict  # noqa: PLC0415

    from ..lab.suite import judge  # noqa: PLC0415
    from ..lab.workers import code_version  # noqa: PLC0415

    return {
        "score": {"extent": extent, **dict(code_version())},
        "bars": [
            {
                "name": verdict.bar.name,
                "policy": verdict.policy,
                "figure": verdict.bar.figure,
                "value": verdict.value,
                "condition": verdict.condition,
                "typical": verdict.typical,
                "bar": verdict.bar.most if verdict.bar.most is not None else verdict.bar.least,
                "holds": verdict.holds,
            }
            for verdict in judge(results)
        ],
        "runs": [asdict(one) for one in results],
    }


def _print(console: Console, results: Sequence[Scored]) -> None:
    from ..lab.suite import CHAPTERS, judge, means_by  # noqa: PLC0415

    for chapter in CHAPTERS:
        own = [one for one in results if one.chapter == chapter]
        if not own:
            continue
        title, about = CHAPTER_TITLES[chapter]
        console.print(Text.assemble(("\n" + title, "bold"), ("  " + about, "dim")))
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("N", justify="right")
        table.add_column("policy", no_wrap=True)
        for heading, _says in LEGEND.values():
            table.add_column(heading.replace(" ", "\n", 1), justify="right", no_wrap=True)
        for count in sorted({one.receivers for one in own}):
            these = [one for one in own if one.receivers == count]
            columns = {figure: means_by(these, _policy_of, figure) for figure in LEGEND}
            policies = dict.fromkeys(one.policy for one in these)
            for number, name in enumerate(policies):
                cells = [shown(figure, means.get(name)) for figure, means in columns.items()]
                table.add_row("" if number else str(count), name, *cells)
        console.print(table)
    console.print(Text("\nWhat should hold, by the worst condition of each", style="bold"))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("what", "policy", "", "worst", "bar", "where"):
        table.add_column(heading, justify="right" if heading in {"worst", "bar"} else "left")
    for verdict in judge(results):
        bar = verdict.bar
        if verdict.value is None:
            continue
        limit = f"≤ {bar.most:g}" if bar.most is not None else f"≥ {bar.least:g}"
        word, style = ("holds", "green") if verdict.holds else ("falls short", "red")
        table.add_row(
            bar.name,
            verdict.policy,
            Text(word, style=style),
            f"{verdict.value:.3g}",
            limit,
            verdict.condition,
        )
    console.print(table)
    _print_legend(console)


def _print_legend(console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    for heading, says in LEGEND.values():
        table.add_row(Text(f" {heading}", style="bold"), Text(says, style="dim"))
    console.print(table)


def _policy_of(one: Scored) -> str:
    return one.policy


def _write_page(path: Path, results: Sequence[Scored], cases: Sequence[Case]) -> None:
    from ..lab.page import write_page  # noqa: PLC0415
    from ..lab.workers import code_version  # noqa: PLC0415

    about = ", ".join(f"{name} {number}" for name, number in code_version())
    text = write_page(results, cases, "How well trio-allocator allocates", about)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"--html {path}: cannot be written: {error.strerror}") from None


# --- comparing -----------------------------------------------------------------------------------


def _comparison_as_json(found: Comparison) -> dict[str, Any]:
    """The documented keys of ``--json``.

    ================  =============================================================================
    ``kind``          of which command both are
    ``unpaired``      runs that only one of the two has
    ``regression``    whether anything got worse
    ``differences``   for each: ``group``, ``figure``, ``before``, ``after``, ``noise``, ``pairs``,
                      ``outcome`` (``better``, ``worse`` or ``same``)
    ================  =============================================================================
    """
    from attrs import asdict  # noqa: PLC0415

    return {
        "kind": found.kind,
        "unpaired": found.unpaired,
        "regression": found.is_regression,
        "differences": [asdict(one) for one in found.differences],
    }


def _print_comparison(console: Console, found: Comparison, *, every: bool) -> None:
    counts = dict.fromkeys(Outcome, 0)
    for one in found.differences:
        counts[one.outcome] += 1
    shown = [one for one in found.differences if every or one.outcome is not Outcome.SAME]
    if shown:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in ("group", "figure", "", "before", "after", "noise", "runs"):
            is_number = heading in {"before", "after", "noise", "runs"}
            table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
        for one in shown:
            style = {Outcome.BETTER: "green", Outcome.WORSE: "red"}.get(one.outcome, "dim")
            table.add_row(
                one.group,
                one.figure,
                Text(one.outcome.value, style=style),
                f"{one.before:.4g}",
                f"{one.after:.4g}",
                f"± {one.noise:.2g}",
                str(one.pairs),
            )
        console.print(table)
    console.print(
        f"{len(found.differences)} figures of {found.kind}: {counts[Outcome.WORSE]} worse, "
        f"{counts[Outcome.BETTER]} better, {counts[Outcome.SAME]} the same within noise."
    )
    if found.unpaired:
        console.print(
            f"{found.unpaired} runs are in one of the two only, and tell nothing.", style="yellow"
        )
