"""How well a recording was divided: the figures, each defined in one place.

Between two events (an estimate, or a change of choice) everything stands still, so every figure
is a sum over such intervals, weighted by their length. Estimates and layer rates are those of
the row in force; of rows with equal times the last counts. The run ends at the last row.

* **choice**: the layer of a source that its receiver has selected; or none.
* **changes**: changes of choice, counted per source. Four cameras that step down at one moment
  are four changes. What stands once the first row has been settled is the start, no change.
* **decisions**: moments at which at least one choice changed. The four above are one decision.
  Changes within 10 ms are one moment: in real time nothing is quite simultaneous.
* **reversals**: changes that go the other way (up, down) than the same source's change before,
  at most 10 s after it.
* **share_over_estimate**: share of the time in which the measured rates of the chosen layers and
  of the fixed tracks add up to more than the estimate.
* **utilisation**: of the bits that could have been used, those that were. Usable is the estimate,
  but no more than all sources at their heaviest layer weigh; used is what the chosen layers
  weigh, but no more than is usable. Over-commitment is thus no merit.
* **quality**: utility of the choices over time, divided by the utility over time of the best
  possible choice at each event: the exact multiple-choice knapsack of the measured layer rates
  under the estimate, after the fixed tracks (`trio_allocator.lab.replay.knapsack`). The best choice
  looks at no past and no future, pays nothing for switching, and needs no headroom, so no allocator
  that also keeps still reaches 1. Somebody who over-commits can pass it: read it beside
  **share_over_estimate**. What a layer is worth: `trio_allocator.lab.replay.utility`.

* **taken_back**: changes of choice that were undone within 1 s: none is right.
* **withheld**: share of the time in which a step fits the estimate with a fifth to spare and is not
  given, and for how long each time (median, and what 95 of 100 are not above).
* **to_best**: from the start, and from each rise of the estimate by half within 5 s, until the
  choice is worth 0.9 of the best possible one (median, and what 95 of 100 are not above).

A source of a single layer, such as audio, is fixed: carried whole, always. It counts in
share_over_estimate and utilisation, and it is in nobody's choice.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

from attrs import define, field, frozen

from ..judging import NEARLY_BEST, NONE, Watched, spread, taken_back, withheld
from .knapsack import best_choice
from .recording import Recording, Row, Source
from .utility import UtilityRule, layer_utilities, resolve_rule

REVERSAL_WINDOW = 10.0
"""Who turns round within this time flaps, s (the peers' are counted alike)."""

MOST_LOOKS = 20_000
"""How often it is looked whether a step is withheld, in the whole recording."""

RISE = 1.5
"""The estimate has risen if it is so many times the least"""
RISE_WINDOW = 5.0
"""... of the last seconds, s."""

_MOMENT = 0.01


@frozen
class Change:
    """A receiver chose another layer.

    Attributes:
        time: Seconds since the first row.
        source: Index of the source.
        before: Index of the layer before, or None.
        after: Index of the layer from now on, or None.
    """

    time: float
    source: int
    before: int | None
    after: int | None

    @property
    def is_up(self) -> bool:
        """To a better layer, or from none to any."""
        return height_of(self.after) > height_of(self.before)


def height_of(layer: int | None) -> int:
    """How many layers up a choice is: 0 for none, 1 for the lowest."""
    return 0 if layer is None else layer + 1


@frozen
class History:
    """What was chosen over time.

    Attributes:
        start: For each source what stood when the first row had been settled.
        changes: Everything after, ascending in time.
    """

    start: tuple[int | None, ...]
    changes: tuple[Change, ...]


@frozen
class Interval:
    """A time in which nothing changes.

    Attributes:
        start: Seconds since the first row.
        end: Seconds since the first row.
        row: The estimate and the rates in force.
        choices: For each source the layer chosen, or None.
    """

    start: float
    end: float
    row: Row
    choices: tuple[int | None, ...]

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end - self.start

    def weights(self) -> tuple[int, ...]:
        """What each source sends, bit/s."""
        return tuple(
            0 if choice is None else rates[choice]
            for rates, choice in zip(self.row.rates, self.choices, strict=True)
        )


@frozen
class SourceFigures:
    """One source's part.

    Attributes:
        source: Which.
        changes: Changes of its choice.
        reversals: Those that turned back within 10 s.
        mean_rate: What it sent on average, bit/s.
        utility: Mean utility, as the rule gives it.
        shares: Share of the time in each of its layers; what is missing to 1 was nothing.
    """

    source: Source
    changes: int
    reversals: int
    mean_rate: float
    utility: float
    shares: tuple[float, ...]


@frozen
class Figures:
    """The figures of a run; the module says what each means."""

    duration: float
    rule: UtilityRule
    changes: int
    decisions: int
    reversals: int
    share_over_estimate: float
    utilisation: float
    quality: float
    sources: tuple[SourceFigures, ...]
    taken_back: int
    withheld: float
    withheld_p50: float | None
    withheld_p95: float | None
    to_best_p50: float | None
    to_best_p95: float | None


@define
class _Tally:
    time: float = 0.0
    rate: float = 0.0
    utility: float = 0.0
    layers: list[float] = field(factory=list)


def intervals(recording: Recording, history: History) -> Iterator[Interval]:
    """Cut a run wherever an estimate came or a choice changed; empty intervals are left out."""
    times = [row.time for row in recording.rows]
    choices = list(history.start)
    changes = [change for change in history.changes if change.time < recording.duration]
    cuts = sorted({0.0, *times, *(change.time for change in changes), recording.duration})
    position = 0
    for start, end in pairwise(cuts):
        while position < len(changes) and changes[position].time <= start:
            choices[changes[position].source] = changes[position].after
            position += 1
        row = recording.rows[bisect_right(times, start) - 1]
        yield Interval(start, end, row, tuple(choices))


def count_moments(changes: Sequence[Change]) -> int:
    """At how many moments something changed."""
    moment = -math.inf
    count = 0
    for change in changes:
        if change.time - moment > _MOMENT:
            count += 1
            moment = change.time
    return count


def count_reversals(changes: Sequence[Change]) -> dict[int, int]:
    """How often each source turned round within `REVERSAL_WINDOW`, by index of the source."""
    last: dict[int, Change] = {}
    count: dict[int, int] = {}
    for change in changes:
        before = last.get(change.source)
        if (
            before is not None
            and before.is_up != change.is_up
            and change.time - before.time <= REVERSAL_WINDOW
        ):
            count[change.source] = count.get(change.source, 0) + 1
        last[change.source] = change
    return count


def measure(
    recording: Recording, history: History, rule: UtilityRule = UtilityRule.AUTO
) -> Figures:
    """Compute the figures of a run.

    Args:
        recording: What was fed.
        history: What was chosen.
        rule: What layers are worth.

    Raises:
        RecordingError: The rule does not go with the recording's layers.
    """
    rule = resolve_rule(rule, recording.sources)
    utilities = tuple(layer_utilities(rule, source) for source in recording.sources)
    tallies = [_Tally(layers=[0.0] * len(source.layers)) for source in recording.sources]
    optimum = _Optimum(recording.sources, utilities)
    total = over = used = usable = achieved = possible = 0.0
    worth: list[tuple[float, float, float]] = []
    for interval in intervals(recording, history):
        length, estimate = interval.length, interval.row.estimate
        weights = interval.weights()
        total += length
        over += length if sum(weights) > estimate else 0.0
        could = min(estimate, sum(max(rates) for rates in interval.row.rates))
        usable += length * could
        used += length * min(sum(weights), could)
        best = optimum.utility(interval.row)
        possible += length * best
        worth.append((interval.start, best, _worth(interval, recording.sources, utilities)))
        for index, (choice, weight) in enumerate(zip(interval.choices, weights, strict=True)):
            if choice is None:
                continue
            tally = tallies[index]
            tally.layers[choice] += length
            tally.rate += length * weight
            # A layer that is not sent just now shows nothing, whoever chose it.
            tally.utility += length * utilities[index][choice] if weight else 0.0
    achieved = sum(
        tally.utility
        for tally, source in zip(tallies, recording.sources, strict=True)
        if not source.is_fixed
    )
    reversals = count_reversals(history.changes)
    watched = _watched(recording, history)
    outside = float(sum(s.mean_rates[0] for s in recording.sources if s.is_fixed))
    estimates = [(row.time, float(row.estimate)) for row in recording.rows]
    # Of hours, a look each few seconds is enough.
    step = max(0.1, recording.duration / MOST_LOOKS)
    share, kept = withheld(watched, estimates, 0.0, recording.duration, outside=outside, step=step)
    waits = _times_to_best(recording, worth)
    return Figures(
        duration=total,
        rule=rule,
        changes=len(history.changes),
        decisions=count_moments(history.changes),
        reversals=sum(reversals.values()),
        share_over_estimate=over / total,
        # Where nothing could be had, nothing was missed.
        utilisation=used / usable if usable else 1.0,
        quality=achieved / possible if possible else 1.0,
        sources=tuple(
            SourceFigures(
                source=source,
                changes=sum(change.source == index for change in history.changes),
                reversals=reversals.get(index, 0),
                mean_rate=tally.rate / total,
                utility=tally.utility / total,
                shares=tuple(time / total for time in tally.layers),
            )
            for index, (source, tally) in enumerate(zip(recording.sources, tallies, strict=True))
        ),
        taken_back=sum(map(taken_back, watched)),
        withheld=share,
        **spread("withheld", kept),
        **spread("to_best", waits),
    )


def _watched(recording: Recording, history: History) -> list[Watched]:
    """What each source that is chosen of was given, as every measurement has it."""
    found = []
    for index, source in enumerate(recording.sources):
        if source.is_fixed:
            continue
        choices = [(0.0, history.start[index])]
        choices += [(one.time, one.after) for one in history.changes if one.source == index]
        levels = tuple((time, NONE if layer is None else layer) for time, layer in choices)
        shown: list[tuple[float, tuple[int, ...]]] = []
        for row in recording.rows:
            sent = tuple(layer for layer, rate in enumerate(row.rates[index]) if rate)
            if not shown or shown[-1][1] != sent:
                shown.append((row.time, sent))
        found.append(Watched(source.mean_rates, levels, levels, shown))
    return found


def _worth(
    interval: Interval, sources: Sequence[Source], utilities: Sequence[Sequence[float]]
) -> float:
    """What the choices of an interval are worth, of sources that are chosen of."""
    return sum(
        worth[choice]
        for source, worth, choice, weight in zip(
            sources, utilities, interval.choices, interval.weights(), strict=True
        )
        if choice is not None and weight and not source.is_fixed
    )


def _times_to_best(
    recording: Recording, worth: Sequence[tuple[float, float, float]]
) -> list[float]:
    starts = [0.0]
    recent: deque[tuple[float, int]] = deque()
    for row in recording.rows:
        while recent and recent[0][0] < row.time - RISE_WINDOW:
            recent.popleft()
        if recent and row.estimate >= RISE * min(estimate for _time, estimate in recent):
            starts.append(row.time)
            recent.clear()
        recent.append((row.time, row.estimate))
    waits = []
    times = [time for time, _best, _mine in worth]
    for begin, until in pairwise([*starts, recording.duration]):
        first = bisect_right(times, begin) - 1
        reached = next(
            (
                max(time, begin)
                for time, best, mine in worth[max(first, 0) :]
                if time < until and mine >= NEARLY_BEST * best
            ),
            until,
        )
        if until > begin:
            waits.append(reached - begin)
    return waits


class _Optimum:
    """The best possible choice at an event; rows that repeat are looked up."""

    def __init__(self, sources: Sequence[Source], utilities: Sequence[Sequence[float]]) -> None:
        self._sources = sources
        self._utilities = utilities
        self._known: dict[tuple[int, tuple[tuple[int, ...], ...]], float] = {}

    def utility(self, row: Row) -> float:
        key = row.estimate, row.rates
        if key not in self._known:
            capacity = row.estimate
            ladders: list[list[tuple[int, float]]] = []
            for source, rates, worth in zip(self._sources, row.rates, self._utilities, strict=True):
                if source.is_fixed:
                    capacity -= sum(rates)
                else:
                    ladders.append(
                        [(rate, value) for rate, value in zip(rates, worth, strict=True) if rate]
                    )
            self._known[key] = best_choice(ladders, max(capacity, 0))[0]
        return self._known[key]
