"""The figures of many runs: a table for people, and keys for machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from rich import box
from rich.console import Console
from rich.table import Table

from .job import Job
from .sweep import Outcome, means
from .trace import Trace


@frozen
class _Column:
    """A figure in the table: its heading, where it stands, how it is written, and what it means."""

    heading: str
    figure: str
    write: Callable[[float], str]
    meaning: str
    of_the_oracle: str = ""


def _share(value: float) -> str:
    """Three digits and no more: ``.913``."""
    text = f"{value:.3f}"
    return text.removeprefix("0") if value < 1 else text[:5]


def _tenths(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"


def _thousandths(value: float) -> str:
    return f"{1000 * value:.0f}"


def _hundredths(value: float) -> str:
    return f"{value:.2f}"


_COLUMNS = (
    _Column(
        "U/O", "utility_ratio", _share, "U over the oracle's, which knows the capacity to come"
    ),
    _Column(
        "U", "utility", _share, "utility, the mean over pictures and time; 0 while frozen", "oracle"
    ),
    _Column(
        "frozen", "frozen", _share, "share of time with > 5 % loss in 0.5 s, or a wait > 0.3 s"
    ),
    _Column("QoE", "qoe", _hundredths, "U − frozen − 0.5 s × switches a second", "oracle_qoe"),
    _Column(
        "link\nover", "link_overuse", _share, "share of time with more sent than 1.02 × the link"
    ),
    _Column(
        "alloc\nover",
        "allocator_overuse",
        _share,
        "share of time with more committed than 1.25 × the estimates: the allocator's own doing",
    ),
    _Column("react\ns", "reaction", _tenths, "until such an overuse is over, mean, s"),
    _Column(
        "switch\n/min",
        "switches",
        _tenths,
        "changes of what flows, for each picture and minute",
        "oracle_switches",
    ),
    _Column("Jain", "fairness", _share, "fairness of U: 1 is equal"),
    _Column("least\nU", "least_utility", _share, "the U of the worst off"),
    _Column("starved", "starved", _share, "share of pictures' time with nothing"),
    _Column("pad", "padding", _share, "padding over all that is sent"),
    _Column(
        "recov\ns", "recovery", _tenths, "from a rise of the link to 90 % of the oracle's U, s"
    ),
    _Column("forced", "forced", _tenths, "allocations taken without negotiation"),
)

_SPREADS = (
    _Column("back\n/min", "taken_back", _tenths, "changes undone within 1 s: none is right"),
    _Column("switch\np50", "switches_p50", _tenths, "switches of the picture in the middle"),
    _Column("switch\np95", "switches_p95", _tenths, "... and of the most restless ones"),
    _Column("pad\np50", "padding_p50", _share, "padding in a minute, but for the first"),
    _Column("pad\np95", "padding_p95", _share, "... in the worst minutes"),
    _Column(
        "held\nback", "withheld", _share, "share of time in which a step fits with 1/5 to spare"
    ),
    _Column("held\np95 s", "withheld_p95", _tenths, "for how long it waits, s"),
    _Column("join\np50 s", "join_p50", _tenths, "from joining to 90 % of the oracle's U, s"),
    _Column("join\np95 s", "join_p95", _tenths, "... of the slowest ones, s"),
    _Column("rise\np50 s", "recovery_p50", _tenths, "from a rise of the link, likewise, s"),
    _Column("rise\np95 s", "recovery_p95", _tenths, "... of the slowest ones, s"),
    _Column("queue\np95 ms", "delay_p95", _thousandths, "wait in the queue, ms"),
    _Column("est/C\np05", "estimate_p05", _share, "estimate over capacity, when it is low"),
    _Column("est/C\np50", "estimate_p50", _share, "... and usually"),
)
"""Figures that are distributions, and what a viewer minds."""


WIDTH = 120
"""What the whole table takes, in characters; on a narrower screen it comes in two parts."""


def print_table(console: Console, outcomes: Sequence[Outcome], title: str) -> None:
    """Print the means for each number of receivers, the policies side by side.

    Args:
        console: Where.
        outcomes: What to take the means of.
        title: Stands above.
    """
    wide = console.width >= WIDTH
    console.print(f"\n{title}", style="bold", highlight=False)
    for columns in (_COLUMNS, _known(_SPREADS, outcomes)):
        half = (len(columns) + 1) // 2
        for part in [columns] if wide else [columns[:half], columns[half:]]:
            console.print(_table(outcomes, part))


def print_legend(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print what each column means."""
    legend = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    legend.add_column(no_wrap=True)
    legend.add_column(overflow="fold")
    for column in (*_COLUMNS, *_known(_SPREADS, outcomes)):
        legend.add_row(column.heading.replace("\n", " "), column.meaning)
    console.print(legend, style="dim")


def described(job: Job) -> str:
    """What is special about a run, in a few words."""
    media = "" if job.media == "smooth" else "real media, "
    impaired = f", {job.impairments}" if job.impairments else ""
    return f"{media}{job.estimates} estimates{impaired}"


def _known(columns: Sequence[_Column], outcomes: Sequence[Outcome]) -> list[_Column]:
    """Those that any of the runs has."""
    return [
        column
        for column in columns
        if any(outcome.figures.get(column.figure) is not None for outcome in outcomes)
    ]


def _table(outcomes: Sequence[Outcome], columns: Sequence[_Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("N", justify="right", no_wrap=True)
    table.add_column("policy", no_wrap=True)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    rows = means(outcomes, lambda outcome: (outcome.receivers, outcome.policy))
    for count in dict.fromkeys(outcome.receivers for outcome in outcomes):
        own = {policy: row for (number, policy), row in rows.items() if number == count}
        for policy, row in own.items():
            first = str(count) if policy == next(iter(own)) else ""
            table.add_row(
                first, policy, *(_cell(column, row.get(column.figure)) for column in columns)
            )
        if any(column.of_the_oracle for column in columns):
            # The oracle is the same beside all of them.
            best = next(iter(own.values()))
            cells = [_cell(column, best.get(column.of_the_oracle)) for column in columns]
            table.add_row("", "oracle", *cells, style="dim")
        table.add_section()
    return table


def _cell(column: _Column, value: float | None) -> str:
    return "" if value is None else column.write(value)


def as_json(traces: Sequence[Trace], job: Job, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The documented keys of ``--json``; `trio_allocator.lab.simulation.figures` defines the figures.

    ==============  ===============================================================================
    ``estimates``   ``ideal``, ``gcc`` or ``real``
    ``media``       ``real`` or ``smooth``
    ``impairments`` names of what befell packets and reports, separated by commas
    ``traces``      for each: ``name``, ``duration_s``, ``rtt_s``, ``mean_bps``
    ``runs``        for each: ``trace``, ``receivers``, ``policy``, ``seed``, and every figure
    ``means``       for each ``receivers`` and ``policy``: every figure, over traces and seeds
    ==============  ===============================================================================
    """
    return {
        "estimates": job.estimates,
        "media": job.media,
        "impairments": job.impairments,
        "traces": [
            {
                "name": trace.name,
                "duration_s": round(trace.duration, 6),
                "rtt_s": trace.rtt,
                "mean_bps": round(float(trace.capacity.mean())),
            }
            for trace in traces
        ],
        "runs": [
            {
                "trace": outcome.trace,
                "receivers": outcome.receivers,
                "policy": outcome.policy,
                "seed": outcome.seed,
                **_rounded(dict(outcome.figures)),
            }
            for outcome in outcomes
        ],
        "means": [
            {"receivers": count, "policy": policy, **_rounded(row)}
            for (count, policy), row in means(
                outcomes, lambda outcome: (outcome.receivers, outcome.policy)
            ).items()
        ],
    }


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in figures.items()
    }
