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

* **taken_back**: changes that the same source undoes within 1 s: none is right.
* **withheld**: share of the time in which some source's next layer fits with a fifth to spare, and
  is not chosen; and, as median and 95th percentile, for how long each time, s.
* **wait**: from the start, and from each rise of the estimate to 1.5 × the mean of the 5 s before,
  until the utility is 0.9 of the best possible one, s: median and 95th percentile.

A source of a single layer, such as audio, is fixed: carried whole, always. It counts in
share_over_estimate and utilisation, and it is in nobody's choice.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import define, field, frozen

from ..judging import SPARE, TAKEN_BACK, spread, times_to_best
from .knapsack import best_choice
from .recording import Recording, Row, Source
from .utility import UtilityRule, layer_utilities, resolve_rule

REVERSAL_WINDOW = 10.0
"""A receiver that turns round within this time flaps, s (the peers' are counted alike)."""

RISE = 1.5
"""An estimate has risen at this many times the mean of those within"""

RISE_WINDOW = 5.0
"""... this time before, s."""

MOST_ROWS = 1_000
"""No more rows than that are looked back at."""

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
    """The figures of a run; the module says what each means. Distributions are in `spreads`."""

    duration: float
    rule: UtilityRule
    changes: int
    decisions: int
    reversals: int
    share_over_estimate: float
    utilisation: float
    quality: float
    taken_back: int
    withheld: float
    spreads: Mapping[str, float | int | None]
    sources: tuple[SourceFigures, ...]


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


def count_reversals(changes: Sequence[Change], window: float = REVERSAL_WINDOW) -> dict[int, int]:
    """How often each source turned round within a time, by index of the source."""
    last: dict[int, Change] = {}
    count: dict[int, int] = {}
    for change in changes:
        before = last.get(change.source)
        if (
            before is not None
            and before.is_up != change.is_up
            and change.time - before.time <= window
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
    follow = _Following(recording)
    total = over = used = usable = achieved = possible = 0.0
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
        follow.take(interval, best, _worth(interval, recording.sources, utilities))
        for index, (choice, weight) in enumerate(zip(interval.choices, weights, strict=True)):
            if choice is None:
                continue
            tally = tallies[index]
            tally.layers[choice] += length
            tally.rate += length * weight
            # A layer that is not sent just now shows nothing.
            tally.utility += length * utilities[index][choice] if weight else 0.0
    achieved = sum(
        tally.utility
        for tally, source in zip(tallies, recording.sources, strict=True)
        if not source.is_fixed
    )
    reversals = count_reversals(history.changes)
    undone = count_reversals(history.changes, TAKEN_BACK)
    held, spreads = follow.figures()
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
        taken_back=sum(undone.values()),
        withheld=held / total,
        spreads=spreads,
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
    )


def _worth(
    interval: Interval, sources: Sequence[Source], utilities: Sequence[Sequence[float]]
) -> float:
    """What the choices show."""
    return sum(
        worth[choice]
        for source, worth, choice, weight in zip(
            sources, utilities, interval.choices, interval.weights(), strict=True
        )
        if not source.is_fixed and choice is not None and weight
    )


class _Following:
    """How soon what fits is chosen."""

    STEP = 0.1
    """s: waits are counted in such steps."""

    def __init__(self, recording: Recording) -> None:
        self._sources = recording.sources
        self._rows = recording.rows
        self._held: list[float] = []
        self._held_until = -math.inf
        self._best: list[float] = []
        self._mine: list[float] = []
        self._end = 0.0

    def take(self, interval: Interval, best: float, mine: float) -> None:
        """Take in the next interval."""
        room = interval.row.estimate / SPARE - sum(interval.weights())
        if any(
            extra <= room
            for source, choice, rates in zip(
                self._sources, interval.choices, interval.row.rates, strict=True
            )
            if not source.is_fixed and (extra := _next_step(choice, rates)) is not None
        ):
            if interval.start == self._held_until:
                self._held[-1] += interval.length
            else:
                self._held.append(interval.length)
            self._held_until = interval.end
        self._end = interval.end
        while len(self._best) * self.STEP < interval.end:
            self._best.append(best)
            self._mine.append(mine)

    def figures(self) -> tuple[float, dict[str, float | int | None]]:
        """For how long something was withheld, s; and the distributions."""
        waits = times_to_best([0.0, *self._rises()], self._best, self._mine, self.STEP, self._end)
        return sum(self._held), {**spread("withheld", self._held), **spread("wait", waits)}

    def _rises(self) -> Iterator[float]:
        quiet_until = RISE_WINDOW
        for number, row in enumerate(self._rows):
            if row.time < quiet_until:
                continue
            before = [
                other.estimate
                for other in self._rows[max(number - MOST_ROWS, 0) : number]
                if other.time >= row.time - RISE_WINDOW
            ]
            if before and row.estimate >= RISE * sum(before) / len(before):
                yield row.time
                quiet_until = row.time + RISE_WINDOW


def _next_step(choice: int | None, rates: Sequence[int]) -> int | None:
    """What the next layer that is sent just now costs more, bit/s; None if there is none."""
    now = 0 if choice is None else rates[choice]
    above = [rate for rate in rates[height_of(choice) :] if rate]
    return above[0] - now if above else None


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
