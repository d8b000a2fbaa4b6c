"""A stacked area chart made of half blocks: two points of height to each line of the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from rich.text import Text

from ..lab.rates import format_rate

_ESTIMATE = "default"
"""The terminal's own colour for text: to be seen on a light ground and on a dark one."""
_AXIS_WIDTH = 12


@frozen
class Sample:
    """One column of the chart.

    Attributes:
        estimate: bit/s.
        weights: What each source sends, bit/s, from the bottom of the stack up.
    """

    estimate: int
    weights: tuple[int, ...]


def nice_ceiling(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten: the top of a calm axis."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def area_chart(samples: Sequence[Sample], colours: Sequence[str], width: int, height: int) -> Text:
    """Draw samples, the newest at the right.

    Args:
        samples: At most the last ones that fit are drawn.
        colours: One ``#rrggbb`` for each weight.
        width: Characters, axis included.
        height: Lines; a multiple of 4 gives an axis of round figures.
    """
    columns = max(width - _AXIS_WIDTH, 1)
    visible = samples[-columns:]
    top = nice_ceiling(
        max((max(sample.estimate, sum(sample.weights)) for sample in visible), default=0)
    )
    points = 2 * height
    drawn = [_column(sample, colours, top, points) for sample in visible]
    blank: list[str | None] = [None] * points
    drawn = [blank] * (columns - len(drawn)) + drawn
    text = Text(no_wrap=True)
    for line in range(height):
        quarters, between = divmod(4 * (height - line), height)
        label = "" if between else format_rate(top * quarters / 4)
        text.append(f"{label:>{_AXIS_WIDTH - 1}} ", style="dim")
        upper = points - 1 - 2 * line
        for column in drawn:
            _cell(text, column[upper], column[upper - 1])
        if line < height - 1:
            text.append("\n")
    return text


def _column(sample: Sample, colours: Sequence[str], top: float, points: int) -> list[str | None]:
    column: list[str | None] = [None] * points
    reached = 0
    filled = 0
    for weight, colour in zip(sample.weights, colours, strict=True):
        reached += weight
        height = min(round(reached / top * points), points)
        column[filled:height] = [colour] * (height - filled)
        filled = max(filled, height)
    # The estimate is a line, so it covers the one point that it falls into.
    column[min(int(sample.estimate / top * points), points - 1)] = _ESTIMATE
    return column


def _cell(text: Text, upper: str | None, lower: str | None) -> None:
    if upper is None and lower is None:
        text.append(" ")
    elif upper is None:
        text.append("▄", style=lower)
    elif lower is None:
        text.append("▀", style=upper)
    elif lower == _ESTIMATE:
        # As a background, the default colour would be that of the ground, and not be seen.
        text.append("▄", style=f"{lower} on {upper}")
    else:
        text.append("▀", style=f"{upper} on {lower}")
