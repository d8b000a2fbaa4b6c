"""All runs of a link test, their medians, and how ours stands beside libwebrtc's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from attrs import frozen

from .figures import Figures, combine, measure
from .result import Run, Stack
from .scenarios import Scenario

UTILISATION_BAR = 0.95
"""Of libwebrtc's utilisation, ours is to reach at least this share."""
QUEUE_BAR = 1.1
"""Of libwebrtc's queue delay, ours is to be at most this multiple."""
REACTION_BAR = 0.2
"""How much later than libwebrtc's our reaction may come, s."""


class Verdict(StrEnum):
    """What a comparison comes to."""

    HOLDS = "holds"
    """Within all three bars."""
    BETTER = "better"
    """Not worse in anything that the bars are about."""
    SHORT = "falls short"
    """Of one bar at least."""
    INCONCLUSIVE = "inconclusive"
    """One of the two has no run that was not starved."""


@frozen
class Judgement:
    """A verdict, and why.

    Attributes:
        verdict: The word.
        short: The names of the bars that ours falls short of.
    """

    verdict: Verdict
    short: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ": ".join([str(self.verdict), *filter(None, [", ".join(self.short)])])


@frozen
class Row:
    """One line-up in one scenario.

    Attributes:
        scenario: Which.
        line_up: Whose flows.
        runs: All of them.
        figures: The medians of those that were not starved; None if all were.
    """

    scenario: Scenario
    line_up: tuple[Stack, ...]
    runs: tuple[Run, ...]
    figures: Figures | None

    @property
    def conclusive(self) -> tuple[Run, ...]:
        """The runs that were not starved."""
        return tuple(run for run in self.runs if not run.is_starved)


def line_ups(scenario: Scenario, stacks: Iterable[Stack]) -> list[tuple[Stack, ...]]:
    """Who is to run a scenario: each with its own kind, and two flows also one with the other."""
    kinds = tuple(stacks)
    count = len(scenario.starts)
    alike = [(stack,) * count for stack in kinds]
    return [*alike, kinds] if count == len(kinds) == 2 else alike


def tabulate(runs: Iterable[Run]) -> list[Row]:
    """Put runs of the same scenario and line-up together, in the order of the first of each."""
    groups: dict[tuple[str, tuple[Stack, ...]], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.scenario.name, run.line_up), []).append(run)
    rows = []
    for (_name, line_up), group in groups.items():
        judged = [measure(run) for run in group if not run.is_starved]
        figures = combine(judged) if judged else None
        rows.append(Row(group[0].scenario, line_up, tuple(group), figures))
    return rows


def judge(row: Row, rows: Sequence[Row]) -> Judgement | None:
    """How a row of ours alone stands beside libwebrtc's.

    Returns:
        None for any other row, and where there is none of libwebrtc's.
    """
    other = next(
        (
            candidate
            for candidate in rows
            if candidate.scenario.name == row.scenario.name
            and set(candidate.line_up) == {Stack.LIBWEBRTC}
        ),
        None,
    )
    if set(row.line_up) != {Stack.OURS} or other is None:
        return None
    if row.figures is None or other.figures is None:
        return Judgement(Verdict.INCONCLUSIVE)
    short = tuple(_shortfalls(row.figures, other.figures))
    if short:
        return Judgement(Verdict.SHORT, short)
    return Judgement(Verdict.BETTER if _is_better(row.figures, other.figures) else Verdict.HOLDS)


def _shortfalls(ours: Figures, theirs: Figures) -> Iterator[str]:
    if ours.utilisation < UTILISATION_BAR * theirs.utilisation:
        yield "utilisation"
    if ours.queue_delay > QUEUE_BAR * theirs.queue_delay:
        yield "queue delay"
    # A scenario has drops for both or for neither.
    if (ours.reaction or 0.0) > (theirs.reaction or 0.0) + REACTION_BAR:
        yield "reaction"


def _is_better(ours: Figures, theirs: Figures) -> bool:
    return (
        ours.utilisation >= theirs.utilisation
        and ours.queue_delay <= theirs.queue_delay
        and (ours.reaction or 0.0) <= (theirs.reaction or 0.0)
    )
