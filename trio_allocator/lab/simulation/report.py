"""The figures of many runs: a table for people, and keys for machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from rich import box
from rich.console import Console
from rich.table import Table

from .sweep import Outcome, means
from .trace import Trace


@frozen
class _Column:
    """A figure in the table: its heading, where it stands, and how it is written."""

    heading: str
    figure: str
    write: Callable[[float], str]
    of_the_oracle: str = ""


def _share(value: float) -> str:
    """Three digits and no more: ``.913``."""
    text = f"{value:.3f}"
    return text.removeprefix("0") if value < 1 else text[:5]


def _tenths(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"


def _hundredths(value: float) -> str:
    return f"{value:.2f}"


_COLUMNS = (
    _Column("U/O", "utility_ratio", _share),
    _Column("U", "utility", _share, "oracle"),
    _Column("frozen", "frozen", _share),
    _Column("QoE", "qoe", _hundredths, "oracle_qoe"),
    _Column("link\nover", "link_overuse", _share),
    _Column("alloc\nover", "allocator_overuse", _share),
    _Column("react\ns", "reaction", _tenths),
    _Column("switch\n/min", "switches", _tenths, "oracle_switches"),
    _Column("Jain", "fairness", _share),
    _Column("least\nU", "least_utility", _share),
    _Column("starved", "starved", _share),
    _Column("pad", "padding", _share),
    _Column("recov\ns", "recovery", _tenths),
    _Column("forced", "forced", _tenths),
)


WIDTH = 120
"""What the whole table takes, in characters; on a narrower screen it comes in two parts."""


def print_table(console: Console, outcomes: Sequence[Outcome], title: str) -> None:
    """Print the means for each number of receivers, the policies side by side.

    Args:
        console: Where.
        outcomes: What to take the means of.
        title: Stands above.
    """
    half = len(_COLUMNS) // 2
    wide = console.width >= WIDTH
    parts = [_COLUMNS] if wide else [_COLUMNS[:half], _COLUMNS[half:]]
    console.print(f"\n{title}", style="bold", highlight=False)
    for columns in parts:
        console.print(_table(outcomes, columns))


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
            table.add_row(first, policy, *(_cell(column, row[column.figure]) for column in columns))
        # The oracle is the same beside all of them.
        best = next(iter(own.values()))
        cells = [_cell(column, best.get(column.of_the_oracle)) for column in columns]
        table.add_row("", "oracle", *cells, style="dim", end_section=True)
    return table


def _cell(column: _Column, value: float | None) -> str:
    return "" if value is None else column.write(value)


def as_json(traces: Sequence[Trace], estimates: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The documented keys of ``--json``; `trio_allocator.lab.simulation.figures` defines the figures.

    ==============  ===============================================================================
    ``estimates``   ``ideal``, ``gcc`` or ``real``
    ``traces``      for each: ``name``, ``duration_s``, ``rtt_s``, ``mean_bps``
    ``runs``        for each: ``trace``, ``receivers``, ``policy``, ``seed``, and every figure
    ``means``       for each ``receivers`` and ``policy``: every figure, over traces and seeds
    ==============  ===============================================================================
    """
    return {
        "estimates": estimates,
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
