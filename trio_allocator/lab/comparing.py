"""Compares two results of the same command: what got better or worse, beyond noise.

Runs are paired: the same condition and seed in both. Of each figure the differences of all pairs of
a group are taken (a chapter of `score`, a number of receivers in `simulate`, …). A mean difference
counts

- if it is large enough to matter (`GOOD`), and
- if it is beyond what chance does: more than t × s / √n, with Student's t for a chance of one in a
  thousand, s the spread of the differences and n how many there are. A single pair has no spread:
  there it must be twice as large as what matters.

Chances are that small since hundreds of figures are looked at together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from attrs import frozen

from .files import open_text, place_of
from .replay.recording import RecordingError

CHANCE = 0.001
"""That a difference counts which is none."""

_UP, _DOWN = 1, -1

_SHARE, _TENTH, _FIFTH, _ONE = 0.005, 0.1, 0.2, 1.0

GOOD: Mapping[str, tuple[int, float]] = {
    # Which way is better, and by how much it must differ to matter.
    "utility": (_UP, _SHARE),
    "utility_ratio": (_UP, _SHARE),
    "qoe": (_UP, _SHARE),
    "qoe_ratio": (_UP, _SHARE),
    "fairness": (_UP, _SHARE),
    "least_utility": (_UP, 2 * _SHARE),
    "frozen": (_DOWN, _SHARE),
    "link_overuse": (_DOWN, _SHARE),
    "allocator_overuse": (_DOWN, _SHARE),
    "starved": (_DOWN, _SHARE),
    "loss": (_DOWN, 0.001),
    "padding": (_DOWN, 2 * _SHARE),
    "switches": (_DOWN, _FIFTH),
    "switches_p95": (_DOWN, 2 * _FIFTH),
    "taken_back": (_DOWN, 0.02),
    "withheld": (_DOWN, _SHARE),
    "withheld_p95": (_DOWN, 2 * _FIFTH),
    "recovery": (_DOWN, 2 * _FIFTH),
    "join_p95": (_DOWN, 2 * _FIFTH),
    "reaction": (_DOWN, _TENTH),
    "delay_p95": (_DOWN, 0.005),
    "forced": (_DOWN, _ONE),
    # replay
    "quality": (_UP, _SHARE),
    "utilisation": (_UP, _SHARE),
    "share_over_estimate": (_DOWN, _SHARE),
    "changes": (_DOWN, _ONE),
    "reversals": (_DOWN, _ONE),
    "padding_bps": (_DOWN, 20_000.0),
    # link-test
    "queue_delay": (_DOWN, 0.005),
    "overflow": (_DOWN, 0.001),
    "repeated": (_DOWN, 0.02),
    "media": (_UP, 2 * _SHARE),
}
"""The figures that are judged. Others tell of the world (what an oracle has), or are good or bad by
what they come with."""


class Outcome(StrEnum):
    """What became of a figure."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"


@frozen
class Point:
    """One figure of one run.

    Attributes:
        group: What it is taken together with.
        pair: Which run of the group, such as condition and seed.
        figure: Its name.
        value: Its value.
    """

    group: str
    pair: str
    figure: str
    value: float


@frozen
class Difference:
    """One figure of a group, before and after.

    Attributes:
        group: Which.
        figure: Which.
        before: Mean of the old runs that have a new one.
        after: Mean of their new ones.
        noise: By how much it may differ by chance, or too little to matter.
        pairs: How many runs these are.
        outcome: What became of it.
    """

    group: str
    figure: str
    before: float
    after: float
    noise: float
    pairs: int
    outcome: Outcome


@frozen
class Comparison:
    """Two results side by side.

    Attributes:
        kind: Of the command they are from.
        differences: Of all figures that are judged, in the order of groups.
        unpaired: How many runs only one of the two has.
    """

    kind: str
    differences: tuple[Difference, ...]
    unpaired: int

    @property
    def is_regression(self) -> bool:
        """Whether any figure got worse."""
        return any(one.outcome is Outcome.WORSE for one in self.differences)


def read_result(path: Path) -> tuple[str, list[Point]]:
    """Read what a command printed with ``--json``.

    Args:
        path: The file; see `open_text`.

    Returns:
        The command's name, and its figures.

    Raises:
        RecordingError: It can not be read, or is nothing of the kind.
    """
    with open_text(path) as file:
        text = file.read()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise RecordingError(
            f"{place_of(path)}: not JSON: give what a command printed with --json"
        ) from None
    for kind, key, points in _KINDS:
        if isinstance(content, dict) and key in content:
            try:
                return kind, list(points(content))
            except (KeyError, TypeError, AttributeError):
                raise RecordingError(
                    f"{place_of(path)}: looks like what {kind} printed, and lacks some of it"
                ) from None
    raise RecordingError(
        f"{place_of(path)}: not what score, simulate, link-test or replay print with --json"
    )


def compare(before: tuple[str, Sequence[Point]], after: tuple[str, Sequence[Point]]) -> Comparison:
    """Compare two results, as of `read_result`.

    Raises:
        RecordingError: They are of different commands, or have no run in common.
    """
    kind, old_points = before
    if after[0] != kind:
        raise RecordingError(
            f"the one is of {kind}, the other of {after[0]}: compare like with like"
        )
    old, new = (
        {(point.group, point.figure, point.pair): point.value for point in points}
        for points in (old_points, after[1])
    )
    common = [key for key in old if key in new]
    if not common:
        raise RecordingError(
            "the two have no run in common: run the same suite, policies and seeds"
        )
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for group, figure, pair in common:
        if figure in GOOD:
            pairs.setdefault((group, figure), []).append(
                (old[group, figure, pair], new[group, figure, pair])
            )
    runs = [{(group, pair) for group, _figure, pair in values} for values in (old, new)]
    return Comparison(
        kind,
        tuple(_difference(group, figure, both) for (group, figure), both in pairs.items()),
        len(runs[0] ^ runs[1]),
    )


def _difference(group: str, figure: str, both: Sequence[tuple[float, float]]) -> Difference:
    way, matters = GOOD[figure]
    changes = [new - old for old, new in both]
    count = len(changes)
    if count > 1:
        noise = max(matters, student(count - 1) * stdev(changes) / math.sqrt(count))
    else:
        noise = 2 * matters
    change = fmean(changes)
    # Rounded, or what is exactly as large as what matters would be by chance.
    is_same = round(abs(change), 9) <= noise
    outcome = Outcome.SAME if is_same else Outcome.BETTER if change * way > 0 else Outcome.WORSE
    before, after = (fmean(values) for values in zip(*both, strict=True))
    return Difference(group, figure, before, after, noise, count, outcome)


@lru_cache
def student(freedom: int, chance: float = CHANCE) -> float:
    """What Student's t is above, either way, with this chance.

    Args:
        freedom: Degrees of freedom, at least 1.
        chance: Of both tails together.
    """
    low, high = 0.0, 1e4
    for _step in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _tails(middle, freedom) > chance else (low, middle)
    return high


def _tails(t: float, freedom: int) -> float:
    """The chance of more than t either way: the finite series of Abramowitz and Stegun, 26.7.3-4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    if freedom % 2:
        term, total = cosine, 0.0
        for number in range(1, freedom, 2):
            total += term
            term *= cosine * cosine * (number + 1) / (number + 2)
        inside = 2 / math.pi * (angle + sine * total)
    else:
        term, total = 1.0, 0.0
        for number in range(0, freedom, 2):
            total += term
            term *= cosine * cosine * (number + 1) / (number + 2)
        inside = sine * total
    return 1 - inside


# --- what the commands print ---------------------------------------------------------------------


def _figures(group: str, pair: str, row: Mapping[str, Any]) -> Iterator[Point]:
    for figure, value in row.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Point(group, pair, figure, float(value))


def _of_score(content: Mapping[str, Any]) -> Iterator[Point]:
    for run in content["runs"]:
        group = f"{run['chapter']}, {run['policy']}"
        yield from _figures(group, f"{run['condition']}, seed {run['seed']}", run["figures"])


def _of_simulate(content: Mapping[str, Any]) -> Iterator[Point]:
    for run in content["runs"]:
        group = f"N = {run['receivers']}, {run['policy']}"
        how = f"{run['trace']}, {run.get('impairments', '')}, seed {run['seed']}"
        yield from _figures(group, how, run)


def _of_replay(content: Mapping[str, Any]) -> Iterator[Point]:
    for run in content.get("policies", [content]):
        yield from _figures(run.get("policy", "layered"), run["recording"], run)
        yield Point(
            run.get("policy", "layered"),
            run["recording"],
            "padding_bps",
            8 * run["padding_bytes"] / run["duration_s"],
        )


def _of_link_test(content: Mapping[str, Any]) -> Iterator[Point]:
    for row in content["schedules"]:
        group = f"{row['schedule']}, {' + '.join(row['flows'])}"
        runs = row.get("each") or ([row["figures"]] if row["figures"] else [])
        for number, figures in enumerate(runs):
            yield from _figures(group, f"run {number + 1}", figures)


_KINDS: Sequence[tuple[str, str, Callable[[Mapping[str, Any]], Iterator[Point]]]] = (
    ("score", "score", _of_score),
    ("simulate", "means", _of_simulate),
    ("link-test", "schedules", _of_link_test),
    ("replay", "policies", _of_replay),
    ("replay", "share_over_estimate", _of_replay),
)
"""The commands, by which key each is known, and how it is read."""
