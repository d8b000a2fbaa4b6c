"""A transition table as a picture: states on an ellipse, one arrow for each pair that is connected.

It writes SVG by itself, so that the documentation needs no other program and no network, and so
that a picture is never older than the table that it shows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import TypeAlias

Table: TypeAlias = Mapping[Hashable, Mapping[Hashable, Hashable]]
"""State to event to next state."""

_BOX_HEIGHT = 34
_CHARACTER = 7.6  # width of one in the boxes' font, px
_LINE = 15  # height of a line of labels, px
_BEND = 0.16  # how far an arrow leaves the straight line, as a share of its length
_LABEL = 0.36  # where on its arrow an event stands, from 0 (the start) to 1
_STYLE = """
.state-diagram { width: 100%; height: auto; color: inherit; }
.state-diagram rect { fill: none; stroke: currentColor; stroke-width: 1.5; }
.state-diagram rect.final { stroke-width: 3.5; }
.state-diagram path.arrow { fill: none; stroke: currentColor; stroke-width: 1.2; opacity: 0.65; }
.state-diagram path.head { fill: currentColor; opacity: 0.65; }
.state-diagram text { fill: currentColor; text-anchor: middle; dominant-baseline: middle; }
.state-diagram text.state { font: 600 13px sans-serif; }
.state-diagram text.event, .state-diagram text.halo { font: 12px sans-serif; }
.state-diagram text.halo { stroke: var(--color-background-primary, white); stroke-width: 4px; }
"""


@dataclass(frozen=True)
class _Point:
    x: float
    y: float

    def towards(self, other: _Point, share: float) -> _Point:
        return _Point(self.x + (other.x - self.x) * share, self.y + (other.y - self.y) * share)


def label(name: Hashable) -> str:
    """What a state or an event is called in a picture or a table."""
    if isinstance(name, Enum):
        name = name.name
    elif isinstance(name, type):
        name = name.__name__
    return str(name).replace("_", " ").lower()


def states(table: Table) -> list[Hashable]:
    """Every state of a table, those without a way out too, in order of appearance."""
    seen: dict[Hashable, None] = dict.fromkeys(table)
    for transitions in table.values():
        seen.update(dict.fromkeys(transitions.values()))
    return list(seen)


def _box_width(state: Hashable) -> float:
    return len(label(state)) * _CHARACTER + 26


def _edge_of_box(centre: _Point, state: Hashable, outside: _Point) -> _Point:
    """Where the line from a box's centre to a point outside leaves the box."""
    half_width, half_height = _box_width(state) / 2 + 3, _BOX_HEIGHT / 2 + 3
    dx, dy = abs(outside.x - centre.x), abs(outside.y - centre.y)
    share = min(half_width / dx if dx else math.inf, half_height / dy if dy else math.inf)
    return centre.towards(outside, share)


def _arrow_head(tip: _Point, origin: _Point) -> str:
    angle = math.atan2(tip.y - origin.y, tip.x - origin.x)
    left, right = (
        _Point(tip.x - 9 * math.cos(angle + turn), tip.y - 9 * math.sin(angle + turn))
        for turn in (0.4, -0.4)
    )
    return (
        f'<path class="head" d="M{tip.x:.1f},{tip.y:.1f} L{left.x:.1f},{left.y:.1f} '
        f'L{right.x:.1f},{right.y:.1f} Z"/>'
    )


def _event_labels(at: _Point, events: list[str]) -> str:
    first = at.y - (len(events) - 1) * _LINE / 2
    # Drawn twice: the halo keeps the arrows from running through the letters.
    return "".join(
        f'<text class="{kind}" x="{at.x:.1f}" y="{first + i * _LINE:.1f}">{escape(event)}</text>'
        for kind in ("halo", "event")
        for i, event in enumerate(events)
    )


def _arrow(
    origin: tuple[Hashable, _Point], target: tuple[Hashable, _Point], events: list[str]
) -> str:
    (origin_state, start), (target_state, end) = origin, target
    length = math.hypot(end.x - start.x, end.y - start.y)
    # To the left of the way, so that the arrow back runs beside this one.
    normal = _Point((end.y - start.y) / length, (start.x - end.x) / length)
    middle = start.towards(end, 0.5)
    control = _Point(
        middle.x + normal.x * length * _BEND * 2, middle.y + normal.y * length * _BEND * 2
    )
    tail = _edge_of_box(start, origin_state, control)
    tip = _edge_of_box(end, target_state, control)
    # On the curve, nearer to where it starts: in the middle all the labels would meet.
    text_at = tail.towards(control, _LABEL).towards(control.towards(tip, _LABEL), _LABEL)
    return (
        f'<path class="arrow" d="M{tail.x:.1f},{tail.y:.1f} '
        f'Q{control.x:.1f},{control.y:.1f} {tip.x:.1f},{tip.y:.1f}"/>'
        + _arrow_head(tip, control)
        + _event_labels(text_at, events)
    )


def _loop(at: _Point, centre: _Point, events: list[str]) -> str:
    """An arrow from a state to itself, on the side away from the centre."""
    up = -1 if at.y <= centre.y else 1
    edge = at.y + up * (_BOX_HEIGHT / 2 + 3)
    far = edge + up * 34
    tip = _Point(at.x + 14, edge)
    return (
        f'<path class="arrow" d="M{at.x - 14:.1f},{edge:.1f} C{at.x - 30:.1f},{far:.1f} '
        f'{at.x + 30:.1f},{far:.1f} {tip.x:.1f},{tip.y:.1f}"/>'
        + _arrow_head(tip, _Point(at.x + 24, far))
        + _event_labels(_Point(at.x, far + up * (2 + len(events) * _LINE / 2)), events)
    )


def svg(table: Table, title: str) -> str:
    """Draw a transition table.

    Args:
        table: State to event to next state.
        title: What the picture shows, for those who cannot see it.

    Returns:
        An ``<svg>`` element; its lines take the colour of the text around it.
    """
    names = states(table)
    radius_x, radius_y = 90 + 55 * len(names), 70 + 32 * len(names)
    centre = _Point(radius_x + 170, radius_y + 110)
    places = {
        state: _Point(
            centre.x + radius_x * math.cos(2 * math.pi * i / len(names) - math.pi / 2),
            centre.y + radius_y * math.sin(2 * math.pi * i / len(names) - math.pi / 2),
        )
        for i, state in enumerate(names)
    }
    arrows: defaultdict[tuple[Hashable, Hashable], list[str]] = defaultdict(list)
    for state, transitions in table.items():
        for event, following in transitions.items():
            arrows[state, following].append(label(event))

    parts = []
    for (state, following), events in arrows.items():
        if state == following:
            parts.append(_loop(places[state], centre, events))
        else:
            parts.append(_arrow((state, places[state]), (following, places[following]), events))
    for state, at in places.items():
        width = _box_width(state)
        final = "" if table.get(state) else ' class="final"'
        parts.append(
            f'<rect{final} x="{at.x - width / 2:.1f}" y="{at.y - _BOX_HEIGHT / 2:.1f}" '
            f'width="{width:.1f}" height="{_BOX_HEIGHT}" rx="9"/>'
            f'<text class="state" x="{at.x:.1f}" y="{at.y:.1f}">{escape(label(state))}</text>'
        )
    return (
        f'<svg class="state-diagram" role="img" viewBox="0 0 {2 * centre.x:.0f} {2 * centre.y:.0f}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>{''.join(parts)}</svg>"
    )
