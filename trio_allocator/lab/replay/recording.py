"""A recording: what an estimator said over time, and what each layer of each source weighed.

Two shapes of CSV file are understood, told apart by their header line:

=================  ==========================  =======================================
column             ours                        a Jitsi bridge's
=================  ==========================  =======================================
time, ascending    ``time_s``: seconds         ``ts``: clock time ``HH:MM:SS.mmm``
estimate, bit/s    ``estimate_bps``            ``bwe``
layer, bit/s       ``SOURCE_LAYER``            ``bps_SOURCE_LAYER``
=================  ==========================  =======================================

Columns may stand in any order, and there may be no layer columns at all. The layer's name is
what follows the last underscore. An empty or zero rate says that the layer was not sent just
then. Equal times are allowed; clock time may pass midnight.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from ..rates import RateError, parse_rate, shown

MAX_DURATION = 86_400.0
"""The longest recording accepted, s: more is a wrong unit far more often than a long call."""

_NAMES_BY_COUNT = {1: ("full",), 2: ("low", "high"), 3: ("low", "medium", "high")}


class RecordingError(ValueError):
    """A recording or a track that cannot be used; the message is one line with place and cure."""


@frozen
class Source:
    """One sender of media and its layers.

    Attributes:
        name: What the file calls it.
        layers: Names, ascending by mean rate.
        mean_rates: What each layer weighed on average while it was sent, bit/s.
    """

    name: str
    layers: tuple[str, ...]
    mean_rates: tuple[int, ...]

    @property
    def is_fixed(self) -> bool:
        """Nothing to choose: a single layer, such as audio. It is carried whole, always."""
        return len(self.layers) == 1


@frozen
class Row:
    """One estimate.

    Attributes:
        time: Seconds since the first row.
        estimate: bit/s.
        rates: For each source the rate of each of its layers, bit/s; 0 while it is not sent.
    """

    time: float
    estimate: int
    rates: tuple[tuple[int, ...], ...]


@frozen
class Recording:
    """Estimates over time, with the sources among which they are divided.

    Attributes:
        name: What to call it: the file's name.
        sources: In the order of the file's columns, then of the tracks added.
        rows: Ascending in time, at least one.
    """

    name: str
    sources: tuple[Source, ...]
    rows: tuple[Row, ...]

    @property
    def duration(self) -> float:
        """From the first row to the last, s. A recording of one moment is held for 1 s."""
        return self.rows[-1].time or 1.0

    def until(self, time: float) -> Recording:
        """The rows up to a time, and that of the first row in any case.

        Args:
            time: Seconds since the first row.
        """
        rows = [row for row in self.rows if row.time <= time] or [self.rows[0]]
        if rows[-1].time < min(time, self.rows[-1].time):
            # What stood at the end stood until then.
            rows.append(evolve(rows[-1], time=time))
        return evolve(self, rows=tuple(rows))

    def with_tracks(self, tracks: Iterable[Source]) -> Recording:
        """The same estimates with more sources, whose rates never change.

        Raises:
            RecordingError: There is such a source already.
        """
        added = tuple(tracks)
        names = [source.name for source in self.sources]
        for track in added:
            if track.name in names:
                raise RecordingError(
                    f"--track: there is a source {shown(track.name)} already: "
                    "give the added track another name"
                )
            names.append(track.name)
        constant = tuple(track.mean_rates for track in added)
        rows = tuple(evolve(row, rates=row.rates + constant) for row in self.rows)
        return Recording(name=self.name, sources=self.sources + added, rows=rows)


def parse_track(text: str) -> Source:
    """Read a track as the command line gives it: ``name=150k,500k,2.5M``.

    Up to three layers are called full; low, high; low, medium, high; more are numbered from 1.

    Raises:
        RecordingError: There is no name, or a rate is not a positive number, ascending.
    """
    name, equals, ladder = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise RecordingError(
            f"--track: {shown(text)} must be a name and rates, such as camera=150k,500k,2.5M"
        )
    rates: list[int] = []
    for part in ladder.split(","):
        try:
            rate = parse_rate(part)
        except RateError as error:
            raise RecordingError(f"--track {shown(text)}: {error}") from None
        if rate <= (rates[-1] if rates else 0):
            raise RecordingError(
                f"--track {shown(text)}: rates must ascend from above 0, and {shown(part)} does not"
            )
        rates.append(rate)
    layers = _NAMES_BY_COUNT.get(len(rates)) or tuple(str(n + 1) for n in range(len(rates)))
    return Source(name=name, layers=layers, mean_rates=tuple(rates))
