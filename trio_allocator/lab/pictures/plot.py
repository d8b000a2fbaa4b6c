"""The picture of a run: the estimate, what was sent under it, and who decided what, when.

It needs matplotlib, which is slow to load: it is imported for ``--plot`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter

from ..replay.quality import Change, Figures, History, Interval, height_of, intervals
from ..replay.recording import Recording, Source
from .drawing import FAINT, INK, MUTED, new_figure, plain_frame, write_figure
from .palette import LOWERED, RAISED, colours


def save_plot(path: Path, recording: Recording, history: History, figures: Figures) -> None:
    """Draw a run into a file.

    Args:
        path: Where to; the name's ending says the format: ``.png``, ``.svg``, ``.pdf``.
        recording: What was fed.
        history: What was chosen.
        figures: For the line under the title.

    Raises:
        RecordingError: It cannot be written there.
    """
    figure = new_figure()
    choosers = sum(not source.is_fixed for source in recording.sources)
    rates, lanes = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={"height_ratios": [5, max(0.45 * choosers, 0.6)], "hspace": 0.06},
    )
    parts = list(intervals(recording, history))
    _draw_rates(rates, recording, parts)
    _draw_lanes(lanes, recording, history, parts)
    _title(figure, recording, figures)
    write_figure(path, figure)


def _title(figure: Any, recording: Recording, figures: Figures) -> None:
    figure.subplots_adjust(left=0.075, right=0.865, top=0.89, bottom=0.075)
    figure.text(0.075, 0.95, recording.name, fontsize=15, fontweight="bold", color=INK, va="center")
    line = (
        f"quality {figures.quality:.3f}    utilisation {figures.utilisation:.1%}    "
        f"over the estimate {figures.share_over_estimate:.1%} of the time    "
        f"{figures.changes} changes, {figures.reversals} reversed within 10 s"
    )
    figure.text(0.075, 0.915, line, fontsize=10, color=MUTED, va="center")


def _draw_rates(axes: Any, recording: Recording, parts: Sequence[Interval]) -> None:
    top = max(row.estimate for row in recording.rows)
    unit, name = (1e6, "Mbit/s") if top >= 2e6 else (1e3, "kbit/s")
    # Steps: every interval is drawn by both its ends.
    times = [time for part in parts for time in (part.start, part.end)]
    weights = [part.weights() for part in parts]
    floor = [0.0] * len(times)
    palette = colours(recording.sources)
    for label, members in _bands(recording.sources):
        heights = [
            sum(weight[index] for index in members) / unit
            for weight in weights
            for _side in range(2)
        ]
        ceiling = [low + height for low, height in zip(floor, heights, strict=True)]
        axes.fill_between(
            times, floor, ceiling, color=palette[members[0]], linewidth=0, alpha=0.85, label=label
        )
        floor = ceiling
    estimates = [part.row.estimate / unit for part in parts for _side in range(2)]
    axes.plot(times, estimates, color=INK, linewidth=1.5, label="estimate", zorder=5)
    axes.set_ylim(0, 1.06 * max(*estimates, *floor))
    axes.set_ylabel(name, color=INK)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    # The stack's own order from top to bottom, under the estimate.
    order = [len(handles) - 1, *reversed(range(len(handles) - 1))]
    axes.legend(
        [handles[n] for n in order],
        [labels[n] for n in order],
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        labelcolor=INK,
    )
    plain_frame(axes)


def _bands(sources: Sequence[Source]) -> list[tuple[str, list[int]]]:
    """The stack from the bottom up: the fixed tracks as one band first, since it lies still."""
    fixed = [index for index, source in enumerate(sources) if source.is_fixed]
    bands = [(source.name, [index]) for index, source in enumerate(sources) if not source.is_fixed]
    if not fixed:
        return bands
    label = sources[fixed[0]].name if len(fixed) == 1 else f"{len(fixed)} fixed tracks"
    return [(label, fixed), *bands]


def _draw_lanes(
    axes: Any, recording: Recording, history: History, parts: Sequence[Interval]
) -> None:
    """One lane a source: the taller the bar, the better the layer; marks where it was decided."""
    choosers = [n for n, source in enumerate(recording.sources) if not source.is_fixed]
    for lane, index in enumerate(choosers):
        count = len(recording.sources[index].layers)
        times = [time for part in parts for time in (part.start, part.end)]
        heights = [
            lane + 0.82 * height_of(part.choices[index]) / count
            for part in parts
            for _side in range(2)
        ]
        axes.fill_between(
            times,
            lane,
            heights,
            color=colours(recording.sources)[index],
            linewidth=0,
            alpha=0.85,
        )
        axes.axhline(lane, color=FAINT, linewidth=0.6, zorder=0)
    for is_up, marker, colour, word in (
        (True, "^", RAISED, "raised"),
        (False, "v", LOWERED, "lowered"),
    ):
        marks = [change for change in history.changes if change.is_up is is_up]
        axes.scatter(
            [change.time for change in marks],
            [_mark_height(change, choosers, recording.sources) for change in marks],
            marker=marker,
            s=26,
            color=colour,
            edgecolors="white",
            linewidths=0.6,
            zorder=6,
            label=word,
        )
    axes.set_ylim(-0.08, max(len(choosers), 1))
    axes.set_yticks([lane + 0.41 for lane in range(len(choosers))])
    axes.set_yticklabels([recording.sources[index].name for index in choosers], color=INK)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, recording.duration)
    axes.set_xlabel("time, s", color=INK)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        labelcolor=INK,
        title=_layer_title(recording.sources, choosers),
        title_fontsize=8.5,
        fontsize=9,
        alignment="left",
    )
    plain_frame(axes)


def _layer_title(sources: Sequence[Source], choosers: Sequence[int]) -> str:
    """What the heights of the lanes mean, where all the lanes mean the same."""
    ladders = {sources[index].layers for index in choosers}
    if len(ladders) != 1:
        return "height: layer"
    return "height: layer\n(" + ", ".join(ladders.pop()) + ")"


def _mark_height(change: Change, choosers: Sequence[int], sources: Sequence[Source]) -> float:
    """At the top edge of the bar that the change made or left, whichever is taller."""
    taller = max(height_of(change.before), height_of(change.after))
    count = len(sources[change.source].layers)
    return choosers.index(change.source) + 0.82 * taller / count
