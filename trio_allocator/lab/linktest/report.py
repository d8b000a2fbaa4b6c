"""The result of a link test: a table for people, and keys for machines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from attrs import asdict
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .comparison import Row, Verdict, judge
from .figures import Figures, measure
from .result import PATIENCE, Run, Stack

_COLOURS = {
    Verdict.BETTER: "green",
    Verdict.HOLDS: "green",
    Verdict.SHORT: "red",
    Verdict.INCONCLUSIVE: "yellow",
}
_HEADINGS = (
    *("used", "queue\np95", "react\ns", "recov\ns", "fair", "RTX", "media"),
    *("chg\n/min", "back\n/min", "held\ns", "runs"),
)

LEGEND = (
    ("used", "bits that left the bottleneck, of those that it could have carried; padding counts"),
    ("queue p95", "how long 95 of 100 packets waited behind others at most"),
    ("react", "from a drop of the capacity until no more arrives than it carries"),
    ("recov", "from a rise until 0.9 of what there is to have is sent"),
    ("fair", "Jain's index of what two flows got within 5 s: 1 is equal, 0.5 is all for one"),
    ("RTX", "the largest share of its estimate that a sender's retransmissions took within 1 s"),
    ("media", "share of what was sent that is media; the rest is headers, repeats and padding"),
    ("chg", "changes of layer of each of our pictures"),
    ("back", "those of them that were undone within 1 s: none is right"),
    ("held", "how long, 95 of 100 times, a step fitted with a fifth to spare and was not given"),
)
"""What the columns of the table say."""


def as_json(rows: Sequence[Row]) -> dict[str, object]:
    """The documented keys of ``--json``; `trio_allocator.lab.linktest.figures` defines figures.

    ========================  ==================================================================
    ``schedules``             a list, one entry for each schedule and line-up:
    ``schedule``              its name
    ``flows``                 ``ours`` or ``libwebrtc``, for each flow
    ``duration_s``            of one run
    ``runs``                  how many there were
    ``starved``               how many of them tell nothing, as the machine was too busy
    ``lateness_ms``           for each run, what 99 of 100 deliveries were not later than
    ``figures``               medians of the others, null if there are none: ``utilisation``,
                              ``queue_delay`` (s), ``reaction`` (s), ``recovery`` (s),
                              ``overflow``, ``fairness``, ``repeated``, ``media``, and of ours
                              ``switches`` and ``taken_back`` (per picture and minute),
                              ``withheld``, ``withheld_p95`` (s)
    ``each``                  the same for each of these runs
    ``verdict``               for ours beside libwebrtc's: ``better``, ``holds``,
                              ``falls short``, ``inconclusive``; null where there is nothing to
                              compare with
    ``short``                 the names of the bars that it falls short of
    ========================  ==================================================================
    """
    return {
        "schedules": [
            {
                "schedule": row.scenario.name,
                "flows": [stack.value for stack in row.line_up],
                "duration_s": row.scenario.duration,
                "runs": len(row.runs),
                "starved": len(row.runs) - len(row.conclusive),
                "lateness_ms": [round(1e3 * run.late, 3) for run in row.runs],
                "figures": None if row.figures is None else _rounded(row.figures),
                "each": [_rounded(measure(run)) for run in row.conclusive],
                **_judgement(row, rows),
            }
            for row in rows
        ]
    }


def print_table(console: Console, rows: Sequence[Row]) -> None:
    """Print a table for each schedule, with a line for each line-up."""
    for _name, group in groupby(rows, key=lambda row: row.scenario.name):
        print_schedule(console, list(group))
    starved = sum(len(row.runs) - len(row.conclusive) for row in rows)
    if starved:
        console.print(
            f"{starved} of {sum(len(row.runs) for row in rows)} runs tell nothing: more than one "
            f"in a hundred packets came over {1e3 * PATIENCE:g} ms late, as the machine was busy.",
            style="yellow",
        )
    legend = Table.grid(padding=(0, 2))
    for heading, says in LEGEND:
        legend.add_row(Text(f" {heading}", style="bold"), Text(says, style="dim"))
    console.print(legend)


def print_schedule(console: Console, rows: Sequence[Row]) -> None:
    """Print the table of one schedule, and under it how ours stands beside libwebrtc's."""
    scenario = rows[0].scenario
    table = Table(
        box=box.SIMPLE_HEAD,
        header_style="bold",
        title=Text.assemble((scenario.name, "bold"), f"  {scenario.title}"),
        title_justify="left",
        title_style="",
        padding=(0, 1, 0, 0),
    )
    table.add_column("flows", min_width=9)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        runs = f"{len(row.conclusive)}/{len(row.runs)}"
        table.add_row(_names(row.line_up), *_cells(row.figures), runs)
    console.print(table)
    for row in rows:
        judgement = judge(row, rows)
        if judgement is not None:
            console.print(
                Text.assemble(
                    "  ours beside libwebrtc: ",
                    (str(judgement), _COLOURS[judgement.verdict]),
                    "\n",
                )
            )


def describe(run: Run) -> str:
    """One line on a run that tells nothing, for the progress."""
    words = f"{run.scenario.name}, {' + '.join(run.line_up)}"
    return f"{words}: inconclusive, deliveries up to {1e3 * run.late:.1f} ms late"


def _names(line_up: Sequence[Stack]) -> str:
    """Such as ``2 × ours``, which is shorter than naming each."""
    if len(line_up) > 1 and len(set(line_up)) == 1:
        return f"{len(line_up)} × {line_up[0]}"
    return " + ".join(line_up)


def _cells(figures: Figures | None) -> list[str]:
    if figures is None:
        return ["–"] * (len(_HEADINGS) - 1)
    return [
        f"{figures.utilisation:.1%}",
        f"{1e3 * figures.queue_delay:.0f} ms",
        _seconds(figures.reaction),
        _seconds(figures.recovery),
        "" if figures.fairness is None else f"{figures.fairness:.2f}",
        f"{figures.repeated:.0%}",
        f"{figures.media:.1%}",
        "" if figures.switches is None else f"{figures.switches:.1f}",
        "" if figures.taken_back is None else f"{figures.taken_back:.2f}",
        _seconds(figures.withheld_p95),
    ]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _judgement(row: Row, rows: Sequence[Row]) -> dict[str, object]:
    judgement = judge(row, rows)
    if judgement is None:
        return {"verdict": None, "short": []}
    return {"verdict": judgement.verdict.value, "short": list(judgement.short)}


def _rounded(figures: Figures) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value, 6) for name, value in asdict(figures).items()
    }
