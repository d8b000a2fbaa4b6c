"""The picture of a link test: for each schedule the capacity, the estimates, and the queue.

Needs matplotlib, which is slow to load: it is imported for ``--plot`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: F401  # registers savefig
from matplotlib.figure import Figure

from ..replay.recording import RecordingError
from .comparison import Row
from .figures import bins
from .result import Run, Stack
from .scenarios import Scenario

_INK = "#2B3440"
_FAINT = "#D5DAE1"
_MUTED = "#66717F"
_COLOURS = {Stack.OURS: "#2F7FD3", Stack.LIBWEBRTC: "#E08A1E"}
_DPI = 110
_COLUMNS = 2
_BIN = 0.5


def save_picture(path: Path, rows: Sequence[Row], subtitle: str) -> None:
    """Draw the first run of each row that was not starved.

    Args:
        path: Where to; the name's ending says the format: ``.png``, ``.svg``, ``.pdf``.
        rows: What was run.
        subtitle: A line that says how.

    Raises:
        RecordingError: It cannot be written there.
    """
    shown = panels(rows)
    lines = -(-len(shown) // _COLUMNS) or 1
    columns = min(len(shown), _COLUMNS) or 1
    figure = Figure(figsize=(7.0 * columns, 3.6 * lines + 1.0), dpi=_DPI, facecolor="white")
    height = 3.6 * lines + 1.0
    grid = figure.add_gridspec(
        lines,
        columns,
        left=0.07,
        right=0.98,
        top=1 - 0.95 / height,
        bottom=0.45 / height,
        hspace=0.32,
        wspace=0.14,
    )
    for number, panel in enumerate(shown):
        cell = grid[number // columns, number % columns].subgridspec(
            2, 1, height_ratios=[3, 1], hspace=0.08
        )
        upper = figure.add_subplot(cell[0])
        lower = figure.add_subplot(cell[1], sharex=upper)
        _draw_rates(upper, panel.scenario, panel.runs)
        _draw_queue(lower, panel.scenario, panel.runs)
        upper.set_title(panel.title, fontsize=10, color=_INK, loc="left")
    figure.text(
        0.07,
        1 - 0.3 / height,
        "Ours and libwebrtc's on the same link",
        fontsize=14,
        fontweight="bold",
        color=_INK,
        va="center",
    )
    figure.text(0.07, 1 - 0.55 / height, subtitle, fontsize=9, color=_MUTED, va="center")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RecordingError(f"{path}: the plot cannot be written: {reason}") from None


@frozen
class Panel:
    """What is drawn into one pair of axes.

    Attributes:
        title: Above it.
        scenario: What was to be coped with.
        runs: Who coped.
    """

    title: str
    scenario: Scenario
    runs: tuple[Run, ...]


def panels(rows: Sequence[Row]) -> list[Panel]:
    """One for each schedule of one flow, and one for each line-up of two."""
    found: dict[str, Panel] = {}
    for row in rows:
        if not row.conclusive:
            continue
        what = row.scenario.title if len(row.line_up) == 1 else " + ".join(row.line_up)
        title = f"{row.scenario.name}: {what}"
        before = found[title].runs if title in found else ()
        found[title] = Panel(title, row.scenario, (*before, row.conclusive[0]))
    return list(found.values())


def _draw_rates(axes: Any, scenario: Scenario, runs: Sequence[Run]) -> None:
    ends = [time for time, _rate in scenario.steps[1:]] + [scenario.duration]
    times: list[float] = []
    capacity: list[float] = []
    for (time, rate), end in zip(scenario.steps, ends, strict=True):
        times += [time, end]
        capacity += [rate / 1e6] * 2
    axes.fill_between(times, capacity, color=_FAINT, linewidth=0, label="capacity")
    named: set[Stack] = set()
    for run in runs:
        for index, flow in enumerate(run.flows):
            colour = _COLOURS[flow.stack]
            style = "-" if flow.stack not in {run.flows[n].stack for n in range(index)} else "--"
            sent = bins(((p.arrived, p.size) for p in run.packets if p.flow == index), _BIN)
            spans = range(int(scenario.duration / _BIN))
            axes.plot(
                [(span + 0.5) * _BIN for span in spans],
                [8 * sent.get(span, 0) / _BIN / 1e6 for span in spans],
                color=colour,
                linewidth=0.8,
                alpha=0.45,
                linestyle=style,
            )
            axes.plot(
                [time for time, _estimate in flow.estimates],
                [estimate / 1e6 for _time, estimate in flow.estimates],
                color=colour,
                linewidth=1.4,
                linestyle=style,
                label=None if flow.stack in named else f"{flow.stack}: estimate (pale: sent)",
            )
            named.add(flow.stack)
    # Room for the legend above the capacity; what an estimate reaches beyond that is cut off.
    axes.set_ylim(0, 1.35 * max(capacity))
    axes.set_ylabel("Mbit/s", color=_INK, fontsize=9)
    axes.tick_params(labelbottom=False)
    axes.legend(loc="upper left", frameon=False, fontsize=7.5, labelcolor=_INK, ncols=3)
    _plain_frame(axes)


def _draw_queue(axes: Any, scenario: Scenario, runs: Sequence[Run]) -> None:
    for run in runs:
        waits = [(p.arrived, p.waited) for p in run.packets if p.waited is not None]
        colour = _COLOURS[run.flows[0].stack] if len(set(run.line_up)) == 1 else _MUTED
        axes.plot(
            [time for time, _waited in waits],
            [1e3 * waited for _time, waited in waits],
            color=colour,
            linewidth=0.7,
            alpha=0.8,
        )
    axes.set_xlim(0, scenario.duration)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("queue, ms", color=_INK, fontsize=8)
    axes.set_xlabel("time, s", color=_INK, fontsize=8)
    _plain_frame(axes)


def _plain_frame(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#9AA4B2")
    axes.tick_params(colors=_MUTED, labelsize=8)
    axes.set_axisbelow(True)
