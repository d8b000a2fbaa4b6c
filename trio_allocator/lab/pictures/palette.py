"""The colours of sources, the same on the terminal and in the picture."""

from __future__ import annotations

from collections.abc import Sequence

from ..replay.recording import Source

COLOURS = (
    "#4C9BE8",
    "#F2A541",
    "#5BBF8A",
    "#C879C9",
    "#E4716A",
    "#8C83E0",
    "#4DBFC4",
    "#B3A04A",
    "#E58FB4",
    "#7FA05C",
)
_FIXED = "#8A94A3"

RAISED = "#5BBF8A"
LOWERED = "#E4716A"


def colours(sources: Sequence[Source]) -> tuple[str, ...]:
    """One ``#rrggbb`` for each source; the fixed ones share a grey, since nobody chooses there."""
    chosen: list[str] = []
    count = 0
    for source in sources:
        if source.is_fixed:
            chosen.append(_FIXED)
        else:
            chosen.append(COLOURS[count % len(COLOURS)])
            count += 1
    return tuple(chosen)


def layer_name(source: Source, layer: int | None) -> str:
    """What to call a choice."""
    return "off" if layer is None else source.layers[layer]
