"""The picture of one run: what the link carried, and who sent which variant.

It needs matplotlib, which is slow to load: it is imported for ``--plot`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from ..judging import TAKEN_BACK
from ..pictures.drawing import FAINT, INK, MUTED, new_figure, plain_frame, write_figure
from ..pictures.palette import COLOURS
from .cameras import VARIANTS
from .clock import STEP, WARM_UP, Series
from .conference_figures import waits
from .figures import frozen_by, frozen_steps
from .job import Job, record_of
from .record import Record
from .run import run
from .trace import Trace
from .world import World

_PIXEL = 20
"""Steps that are drawn as one: 0.2 s."""

_MOST_LANES = 40
"""More receivers cannot be told apart: only the first of them are drawn."""


@frozen(eq=False)
class Lane:
    """One receiver.

    Attributes:
        name: What to call it.
        levels: How many variants it has.
        changes: What flowed: (s, level), -1 for nothing.
        undone: When a change was taken back within a second, s.
    """

    name: str
    levels: int
    changes: Sequence[tuple[float, int]]
    undone: Sequence[float] = ()


@frozen(eq=False)
class Scene:
    """What there is to draw of a run.

    Attributes:
        title: Above all.
        line: Below that.
        capacity: bit/s in each step of the clock.
        media: What was sent in each step, padding apart, bits.
        padding: The padding, bits.
        frozen: Whether no picture moved in a step.
        estimates: (s, bit/s).
        lanes: The receivers.
    """

    title: str
    line: str
    capacity: Series
    media: Series
    padding: Series
    frozen: NDArray[np.bool_]
    estimates: Sequence[tuple[float, float]]
    lanes: Sequence[Lane]

    @property
    def duration(self) -> float:
        """How long it lasts, s."""
        return len(self.capacity) * STEP


def scene_of(job: Job) -> Scene:
    """Make a run, and say what there is to draw of it."""
    if job.media == "smooth":
        choice = job.policy if job.choice is None else job.choice
        world, _subject = run(
            job.trace, job.receivers, choice, job.estimates, job.seed, settings=job.settings
        )
        return scene_of_world(world, job.policy, job.estimates)
    impaired = f"    {job.impairments}" if job.impairments else ""
    line = (
        f"policy {job.policy}    {job.receivers} receivers    real media    "
        f"{job.estimates} estimates{impaired}"
    )
    return scene_of_record(record_of(job), job.trace, line)


def scene_of_world(world: World, policy: str, estimates: str) -> Scene:
    """What there is to draw of a run with smooth media.

    Args:
        world: After the run.
        policy: What to call the policy.
        estimates: What to call the estimates.
    """
    is_frozen = frozen_steps(world)
    changes = [
        [(step * STEP, level) for step, camera, level in world.cameras.changes if camera == lane]
        for lane in range(world.cameras.count)
    ]
    return Scene(
        world.trace.name,
        f"policy {policy}    {world.cameras.count} receivers    {estimates} estimates    "
        f"frozen {is_frozen.mean():.1%} of the time",
        np.asarray(world.link.capacity) / STEP,
        np.asarray(world.link.media),
        np.asarray(world.link.padding),
        is_frozen,
        [(step * STEP, estimate) for step, estimate in world.estimates],
        [
            Lane(f"camera{lane}", len(VARIANTS), own, _undone(own))
            for lane, own in enumerate(changes)
        ],
    )


def scene_of_record(record: Record, trace: Trace, line: str) -> Scene:
    """What there is to draw of a run with real media.

    Args:
        record: The run.
        trace: The capacity that it had.
        line: What is special about it.
    """
    steps = trace.steps
    media, padding, dropped, free_at = (
        np.asarray(series[:steps])
        for series in (record.media, record.padding, record.dropped, record.free_at)
    )
    is_frozen = frozen_by(dropped, media + padding, waits(free_at))
    return Scene(
        trace.name,
        f"{line}    frozen {is_frozen.mean():.1%} of the time",
        trace.capacity,
        media,
        padding,
        is_frozen,
        record.estimates,
        [
            Lane(seat.track.name, len(seat.track.ladder), seat.flows, _undone(seat.flows))
            for seat in record.seats
            if seat.track.is_counted
        ],
    )


def _undone(changes: Sequence[tuple[float, int]]) -> list[float]:
    """When a change was taken back soon after it."""
    before = [-1, *(level for _, level in changes)]
    return [
        then
        for (now, to), (then, after), level in zip(changes, changes[1:], before, strict=False)
        if then - now < TAKEN_BACK and (to - level) * (after - to) < 0
    ]


def save_picture(path: Path, scene: Scene) -> None:
    """Draw a run into a file.

    Args:
        path: Where to; the name's ending says the format: ``.png``, ``.svg``, ``.pdf``.
        scene: What to draw.

    Raises:
        RecordingError: It cannot be written there.
    """
    figure = new_figure()
    lanes = min(len(scene.lanes), _MOST_LANES)
    top, bottom = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={"height_ratios": [5, min(max(0.45 * lanes, 0.6), 7)], "hspace": 0.06},
    )
    _draw_link(top, scene)
    _draw_lanes(bottom, scene, lanes)
    figure.subplots_adjust(left=0.075, right=0.865, top=0.89, bottom=0.075)
    figure.text(0.075, 0.95, scene.title, fontsize=15, fontweight="bold", color=INK, va="center")
    figure.text(0.075, 0.915, scene.line, fontsize=10, color=MUTED, va="center")
    write_figure(path, figure)


def _draw_link(axes: Any, scene: Scene) -> None:
    capacity = _coarse(scene.capacity)
    media = _coarse(scene.media) / STEP
    sent = media + _coarse(scene.padding) / STEP
    highest = max(float(capacity.max()), float(sent.max()))
    unit, name = (1e6, "Mbit/s") if highest >= 2e6 else (1e3, "kbit/s")
    times = _times(scene, len(capacity))
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
    axes.step(
        [time for time, _ in scene.estimates],
        [estimate / unit for _, estimate in scene.estimates],
        where="post",
        color="#D0435B",
        linewidth=1.1,
        label="estimate",
    )
    frozen = _coarse(scene.frozen.astype(float)) > 0
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


def _draw_lanes(axes: Any, scene: Scene, lanes: int) -> None:
    """One lane a receiver: the taller the bar, the better the variant; a line for each switch."""
    for number, lane in enumerate(scene.lanes[:lanes]):
        changes = [(0.0, -1), *lane.changes]
        times = [time for time, _ in changes] + [scene.duration]
        heights = [number + 0.84 * (level + 1) / lane.levels for _, level in changes]
        axes.fill_between(
            times,
            number,
            [*heights, heights[-1]],
            step="post",
            color=COLOURS[number % len(COLOURS)],
            linewidth=0,
            alpha=0.85,
        )
        switches = [time for time, _ in lane.changes]
        axes.vlines(switches, number, number + 0.84, color=INK, linewidth=0.5, alpha=0.6)
        axes.vlines(lane.undone, number, number + 0.84, color="#D0435B", linewidth=1.2)
        axes.axhline(number, color=FAINT, linewidth=0.5, zorder=0)
    axes.axvline(WARM_UP, color=MUTED, linewidth=0.8, linestyle=":")
    axes.set_ylim(-0.08, lanes)
    axes.set_yticks([lane + 0.42 for lane in range(lanes)])
    axes.set_yticklabels(
        [lane.name for lane in scene.lanes[:lanes]], fontsize=8 if lanes > 12 else 10
    )
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, scene.duration)
    axes.set_xlabel("time, s", color=INK)
    hint = (
        "height: variant\nline: switch\nred: taken back\n  within 1 s\n\n"
        "up to the dotted line\nnot counted"
    )
    axes.text(1.015, 1.0, hint, transform=axes.transAxes, fontsize=8.5, color=MUTED, va="top")
    plain_frame(axes)


def _coarse(series: Series) -> Series:
    """The mean over each `_PIXEL` steps."""
    whole = len(series) // _PIXEL * _PIXEL
    return np.asarray(series[:whole].reshape(-1, _PIXEL).mean(axis=1))


def _times(scene: Scene, count: int) -> Series:
    """Both ends of every pixel, s."""
    edges = np.minimum(np.arange(count + 1) * _PIXEL, len(scene.capacity)) * STEP
    return np.repeat(edges, 2)[1:-1]


def _stairs(series: Series) -> Series:
    return np.repeat(series, 2)
