"""The picture of one run: what the link carried, and who sent which variant.

It needs matplotlib, which is slow to load: it is imported for ``--plot`` only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from ..pictures.drawing import FAINT, INK, MUTED, new_figure, plain_frame, write_figure
from ..pictures.palette import COLOURS
from .cameras import VARIANTS
from .clock import STEP, WARM_UP, Series
from .figures import frozen_steps
from .world import World

_PIXEL = 20
"""Steps that are drawn as one: 0.2 s."""

_MOST_LANES = 40
"""More receivers cannot be told apart: the first so many are drawn."""


def save_picture(path: Path, world: World, policy: str, estimates: str) -> None:
    """Draw a run into a file.

    Args:
        path: Where to; the name's ending says the format: ``.png``, ``.svg``, ``.pdf``.
        world: After the run.
        policy: What to call the policy.
        estimates: What to call the estimates.

    Raises:
        RecordingError: It cannot be written there.
    """
    figure = new_figure()
    lanes = min(world.cameras.count, _MOST_LANES)
    top, bottom = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={"height_ratios": [5, min(max(0.45 * lanes, 0.6), 7)], "hspace": 0.06},
    )
    _draw_link(top, world)
    _draw_lanes(bottom, world, lanes)
    figure.subplots_adjust(left=0.075, right=0.865, top=0.89, bottom=0.075)
    figure.text(
        0.075, 0.95, world.trace.name, fontsize=15, fontweight="bold", color=INK, va="center"
    )
    line = (
        f"policy {policy}    {world.cameras.count} receivers    {estimates} estimates    "
        f"frozen {frozen_steps(world).mean():.1%} of the time"
    )
    figure.text(0.075, 0.915, line, fontsize=10, color=MUTED, va="center")
    write_figure(path, figure)


def _draw_link(axes: Any, world: World) -> None:
    capacity = _coarse(np.asarray(world.link.capacity)) / STEP
    media = _coarse(np.asarray(world.link.media)) / STEP
    sent = media + _coarse(np.asarray(world.link.padding)) / STEP
    highest = max(float(capacity.max()), float(sent.max()))
    unit, name = (1e6, "Mbit/s") if highest >= 2e6 else (1e3, "kbit/s")
    times = _times(world, len(capacity))
    axes.fill_between(times, 0, _stairs(media) / unit, color="#4C9BE8", linewidth=0, label="media")
    axes.fill_between(
        times,
        _stairs(media) / unit,
        _stairs(sent) / unit,
        color="#F2A541",
        linewidth=0,
        label="padding",
    )
    axes.plot(times, _stairs(capacity) / unit, color=INK, linewidth=1.4, label="capacity")
    steps = [step * STEP for step, _ in world.estimates]
    axes.step(
        steps,
        [estimate / unit for _, estimate in world.estimates],
        where="post",
        color="#D0435B",
        linewidth=1.1,
        label="estimate",
    )
    frozen = _coarse(frozen_steps(world).astype(float)) > 0
    axes.fill_between(
        times,
        0,
        np.repeat(frozen, 2),
        transform=axes.get_xaxis_transform(),
        color=MUTED,
        alpha=0.18,
        linewidth=0,
        label="frozen",
    )
    axes.axvline(WARM_UP, color=MUTED, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.04 * highest / unit)
    axes.set_ylabel(name, color=INK)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, labelcolor=INK)
    plain_frame(axes)


def _draw_lanes(axes: Any, world: World, lanes: int) -> None:
    """One lane a receiver: the taller the bar, the better the variant."""
    for lane in range(lanes):
        changes = [(0, -1)]
        changes += [
            (step, level) for step, camera, level in world.cameras.changes if camera == lane
        ]
        steps = [step * STEP for step, _ in changes] + [world.trace.duration]
        heights = [lane + 0.84 * (level + 1) / len(VARIANTS) for _, level in changes]
        axes.fill_between(
            steps,
            lane,
            [*heights, heights[-1]],
            step="post",
            color=COLOURS[lane % len(COLOURS)],
            linewidth=0,
            alpha=0.85,
        )
        axes.axhline(lane, color=FAINT, linewidth=0.5, zorder=0)
    axes.axvline(WARM_UP, color=MUTED, linewidth=0.8, linestyle=":")
    axes.set_ylim(-0.08, lanes)
    axes.set_yticks([lane + 0.42 for lane in range(lanes)])
    axes.set_yticklabels(
        [f"camera{lane}" for lane in range(lanes)], fontsize=8 if lanes > 12 else 10
    )
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, world.trace.duration)
    axes.set_xlabel("time, s", color=INK)
    hint = "height: variant\n(" + ", ".join(VARIANTS) + ")\n\nup to the dotted line\nnot counted"
    axes.text(1.015, 1.0, hint, transform=axes.transAxes, fontsize=8.5, color=MUTED, va="top")
    plain_frame(axes)


def _coarse(series: Series) -> Series:
    """The mean over each `_PIXEL` steps."""
    whole = len(series) // _PIXEL * _PIXEL
    return np.asarray(series[:whole].reshape(-1, _PIXEL).mean(axis=1))


def _times(world: World, count: int) -> Series:
    """Both ends of every pixel, s."""
    edges = np.minimum(np.arange(count + 1) * _PIXEL, world.trace.steps) * STEP
    return np.repeat(edges, 2)[1:-1]


def _stairs(series: Series) -> Series:
    return np.repeat(series, 2)
