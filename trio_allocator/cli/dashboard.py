"""What one sees while a run is under way: estimate, allocations, decisions."""

from __future__ import annotations

from collections import deque

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..lab.pictures.palette import LOWERED, RAISED, colours, layer_name
from ..lab.rates import format_rate
from ..lab.replay.state import RunState
from .chart import Sample, area_chart, nice_ceiling

_CHART_LINES = (4, 20)
_DECISIONS = 8
_FEWEST_DECISIONS = 3
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SIDE_WIDTH = 38
_LEFT_WIDTH = 64
_RATE_WIDTH = 11
_SHORTEST_BAR = 6
_NARROWEST = 30
_WIDEST = 150


class Dashboard:
    """Turns the state of a run into something that rich can show, again and again.

    Args:
        state: Of the run; read at every `render`.
        speed: Seconds of the recording in one second of the clock, for the heading.
    """

    def __init__(self, state: RunState, speed: float = 1.0) -> None:
        self._state = state
        self._speed = speed
        self._colours = colours(state.recording.sources)
        self._samples: deque[Sample] = deque(maxlen=_WIDEST)
        self._largest: deque[int] = deque(maxlen=_WIDEST)
        # Like the picture: what is always there lies at the bottom and does not dance.
        self._order = sorted(
            range(len(state.recording.sources)),
            key=lambda index: not state.recording.sources[index].is_fixed,
        )

    def render(self, width: int, height: int = 30) -> RenderableType:
        """One frame that fits a terminal of this size. Each adds a column to the chart.

        Args:
            width: Characters.
            height: Lines.
        """
        state = self._state
        width = min(max(width, _NARROWEST), _WIDEST)
        weights = state.weights()
        if state.started:
            self._samples.append(
                Sample(state.estimate, tuple(weights[index] for index in self._order))
            )
            self._largest.append(max([*weights, *state.allocations]))
        # Side by side only where both have room.
        is_wide = width >= _SIDE_WIDTH + _LEFT_WIDTH
        left = width - _SIDE_WIDTH - 1 if is_wide else width
        receivers = self._receivers(left - 4)
        # The heading, two frames, and the line that the cursor keeps.
        room = height - receivers.row_count - 1 - 4 - 1
        if not is_wide:
            room -= _FEWEST_DECISIONS + 2
        # A multiple of 4, for the sake of the axis.
        lines = min(max(room - room % 4, _CHART_LINES[0]), _CHART_LINES[1])
        chart = _panel(
            area_chart(
                list(self._samples),
                [self._colours[index] for index in self._order],
                left - 4,
                lines,
            ),
            Text.assemble(
                ("━ estimate ", "bold"),
                (f"{format_rate(state.estimate)} ", "bold"),
                ("  ■ sent ", "dim"),
                format_rate(sum(weights)),
            ),
            left,
        )
        bars = _panel(receivers, "allocations", left)
        if not is_wide:
            spare = height - receivers.row_count - lines - 1 - 4 - 2 - 1
            parts: list[RenderableType] = [self._heading(width), chart, bars]
            if spare > 0:
                parts.append(self._decisions(width, min(spare, _DECISIONS)))
            return Group(*parts)
        body = Table.grid(padding=(0, 1, 0, 0))
        body.add_row(
            Group(chart, bars),
            # As high as the two panels beside it.
            self._decisions(_SIDE_WIDTH, lines + receivers.row_count + 2),
        )
        return Group(self._heading(width), body)

    def _heading(self, width: int) -> Text:
        state = self._state
        duration = state.recording.duration
        text = Text.assemble(
            (" trio-allocator ", "bold"),
            (f" {state.recording.name} ", "dim"),
            f" {state.time:6.1f} s of {duration:.0f} s ",
        )
        if self._speed != 1:
            text.append(f" ×{self._speed:g} ", style="dim")
        room = max(width - text.cell_len - 2, 0)
        done = round(room * min(state.time / duration, 1.0))
        text.append(" ")
        text.append("━" * done, style=RAISED)
        text.append("━" * (room - done), style="#3A4350")
        return text

    def _receivers(self, width: int) -> Table:
        """Each receiver's allocation as a bar, what is sent of it bright."""
        state = self._state
        sources = state.recording.sources
        weights = state.weights()
        # One scale for all, from as far back as the chart reaches: bars that can be compared.
        scale = nice_ceiling(max(self._largest, default=0))
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right", width=_RATE_WIDTH)
        rows = [
            (source.name, layer_name(source, state.choices[index]), [index])
            for index, source in enumerate(sources)
            if not source.is_fixed
        ]
        fixed = [index for index, source in enumerate(sources) if source.is_fixed]
        if fixed:
            rows.append(
                ("fixed", f"{len(fixed)} tracks", fixed)
                if len(fixed) > 1
                else (sources[fixed[0]].name, "", fixed)
            )
        names = max(len(name) for name, _layer, _members in rows)
        layers = max(8, *(len(layer) for _name, layer, _members in rows))
        # In a narrow terminal the bars go first, and the layers next: names and rates tell most.
        bar_width = max(width - names - layers - _RATE_WIDTH - 8, 0)
        if bar_width < _SHORTEST_BAR:
            bar_width = 0
        if names + layers + _RATE_WIDTH + 8 > width:
            layers = 0
        for name, layer, members in rows:
            colour = self._colours[members[0]]
            allocated = sum(state.allocations[index] for index in members)
            table.add_row(
                Text(name, style=f"bold {colour}"),
                Text(f"{layer:<{layers}}"[:layers], style="dim" if layer == "off" else ""),
                _bar(sum(weights[index] for index in members), allocated, scale, bar_width, colour),
                format_rate(allocated),
            )
        return table

    def _decisions(self, width: int, lines: int) -> Panel:
        sources = self._state.recording.sources
        text = Text(no_wrap=True, overflow="ellipsis")
        recent = self._state.changes[-lines:]
        for number, change in enumerate(reversed(recent)):
            source = sources[change.source]
            if number:
                text.append("\n")
            text.append(f"{change.time:6.1f} s ", style="dim")
            text.append("▲ " if change.is_up else "▼ ", style=RAISED if change.is_up else LOWERED)
            text.append(source.name, style=self._colours[change.source])
            text.append(f"  {layer_name(source, change.before)}", style="dim")
            text.append(" → ", style="dim")
            text.append(layer_name(source, change.after))
        if not recent:
            text.append("none yet", style="dim")
        # A fixed height, so that the frame does not jump.
        return _panel(text, f"decisions: {len(self._state.changes)}", width, lines + 2)


def _panel(
    content: RenderableType, title: str | Text, width: int, height: int | None = None
) -> Panel:
    return Panel(
        content,
        title=title,
        title_align="left",
        border_style="dim",
        box=box.ROUNDED,
        width=width,
        height=height,
    )


def _bar(sent: int, allocated: int, scale: float, width: int, colour: str) -> Text:
    """What is sent, bright, and what is allocated beyond it, dim; to an eighth of a character."""
    full, part = divmod(min(round(8 * width * sent / scale), 8 * width), 8)
    bright = "█" * full + (_EIGHTHS[part] if part else "")
    reserved = min(round(width * allocated / scale), width) - len(bright)
    return Text.assemble(
        (bright, colour),
        ("─" * max(reserved, 0), f"dim {colour}"),
        " " * (width - len(bright) - max(reserved, 0)),
    )
