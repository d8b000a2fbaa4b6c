"""The figures of a score, and its chapters, in words: the same on the terminal and on the page."""

from __future__ import annotations

LEGEND = {
    "qoe": ("QoE", "U, less the time frozen, less half a second for each switch: higher is better"),
    "utility_ratio": (
        "U/O",
        "what is seen, of what the best choice would have shown: higher is better",
    ),
    "frozen": ("frozen", "share of the time in which no picture moves, by loss or by waiting"),
    "switches": ("switches /min", "changes of what a receiver gets, of the allocator's own doing"),
    "taken_back": ("taken back /min", "changes that were undone within a second: none is right"),
    "padding": ("padding", "padding, of all that is sent"),
    "join_p95": ("join p95, s", "from joining to nearly the best steps that fit, 95 of 100 times"),
    "recovery": ("recovery, s", "from a rise of the capacity to nearly the best steps that fit"),
    "withheld_p95": (
        "withheld p95, s",
        "how long a step fits with a fifth to spare, and is not given",
    ),
    "used": ("used", "what was carried, padding included, of what could have been"),
    "delay_p95": ("queue p95, s", "how long 95 of 100 moments a packet would have waited at most"),
    "loss": ("loss", "share of what was sent that got lost"),
}
"""The figures that are shown, in this order: a heading, and what it says."""

CHAPTER_TITLES = {
    "steady": (
        "Steady links",
        "Nothing changes, and nobody comes or goes. A change here is the allocator's own.",
    ),
    "changing": (
        "Changing links",
        "Capacities that rise and fall, while participants come, leave, pin, mute and turn cameras off.",
    ),
    "impaired": ("Impaired links", "A steady link with one thing wrong with it at a time."),
    "crowd": ("A crowd", "Many receivers on one link."),
}
"""What the chapters are called, and what they are about."""

_SHARES = {"frozen", "padding", "used", "loss"}
_FINE = {"qoe", "utility_ratio"}


def shown(figure: str, value: float | None) -> str:
    """A figure with as many digits as it deserves; nothing for one that is not there."""
    if value is None:
        return ""
    if figure in _SHARES:
        return f"{value:.1%}"
    return f"{value:.3f}" if figure in _FINE else f"{value:.2f}"
