"""What all pictures share: size, colours of lines and letters, and how a file is written.

It needs matplotlib, which is slow to load: it is imported for ``--plot`` only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..replay.recording import RecordingError

INK = "#2B3440"
FAINT = "#D5DAE1"
MUTED = "#66717F"
_SIZE = (13.0, 8.0)
_DPI = 130


def check_plot(path: Path) -> None:
    """Find out before a run whether a plot could be written after it.

    Args:
        path: Where to.

    Raises:
        RecordingError: Matplotlib knows no such format, or there is no such folder.
    """
    formats = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in formats:
        raise RecordingError(
            f"--plot {path}: a plot cannot have this format: call it .png, .svg or .pdf"
        )
    if not path.parent.is_dir():
        raise RecordingError(f"--plot {path}: there is no folder {path.parent}: create it first")


def new_figure() -> Figure:
    """An empty picture.

    A Figure of its own, not pyplot: no global state, no window (it draws with Agg), nothing to
    close.
    """
    return Figure(figsize=_SIZE, dpi=_DPI, facecolor="white")


def write_figure(path: Path, figure: Figure) -> None:
    """Write a picture.

    Raises:
        RecordingError: It cannot be written there.
    """
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RecordingError(f"--plot {path}: the plot cannot be written: {reason}") from None


def plain_frame(axes: Any) -> None:
    """Leave of a frame what is needed to read it."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#9AA4B2")
    axes.tick_params(colors=MUTED)
