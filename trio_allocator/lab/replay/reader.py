"""Reads a recording from a CSV file, and says in one line what is wrong with one that is not."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from ..files import name_of, open_text, place_of
from ..rates import RateError, parse_rate, shown
from .recording import MAX_DURATION, Recording, RecordingError, Row, Source

_CLOCK = re.compile(r"(\d{1,2}):(\d{2}):(\d{2}(?:\.\d*)?)", re.ASCII)
_DAY = 86_400.0
_MANY_COLUMNS = 6


@frozen
class _Columns:
    """Where the header line says that everything is."""

    time: int
    estimate: int
    layers: tuple[tuple[str, str, int], ...]
    is_clock: bool


class _Place:
    """Where we are in a file, for error messages."""

    def __init__(self, name: str, header: Sequence[str], line: int) -> None:
        self.name = name
        self.header = header
        self.line = line

    def error(self, problem: str, column: int | None = None) -> RecordingError:
        at = f"{self.name}, line {self.line}"
        if column is not None:
            at += f", column {self.header[column]}"
        return RecordingError(f"{at}: {problem}")


def read_recording(path: Path, advance: Callable[[int], None] | None = None) -> Recording:
    """Read a recording; see `trio_allocator.lab.replay.recording` for the shapes understood.

    Args:
        path: The CSV file, UTF-8; see `open_text`.
        advance: See `open_text`.

    Raises:
        RecordingError: It is missing, empty, not of a known shape, or malformed; the message
            names the file, the line, the column, the value and the cure.
    """
    # utf-8-sig drops what spreadsheets put in front.
    with open_text(path, encoding="utf-8-sig", advance=advance) as file:
        reader = csv.reader(file, strict=True)
        try:
            return _read(path, ((reader.line_num, line) for line in reader))
        except csv.Error as error:
            raise RecordingError(
                f"{place_of(path)}, line {reader.line_num}: not a CSV file: {error}"
            ) from None


def _read(path: Path, lines: Iterator[tuple[int, list[str]]]) -> Recording:
    first, header = next(((number, line) for number, line in lines if line), (0, None))
    if header is None:
        raise RecordingError(
            f"{place_of(path)}: the file is empty: the first line must name the columns, "
            "such as time_s,estimate_bps"
        )
    header = [column.strip() for column in header]
    place = _Place(place_of(path), header, first)
    columns = _find_columns(header, place)
    times: list[float] = []
    estimates: list[int] = []
    weights: list[list[int]] = []
    for place.line, line in lines:
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(header):
            raise place.error(f"{len(line)} values, but the header names {len(header)} columns")
        times.append(_time(line[columns.time], times, columns, place))
        estimates.append(_rate(line[columns.estimate], columns.estimate, place))
        weights.append(
            [
                _rate(line[index], index, place) if line[index].strip() else 0
                for _source, _layer, index in columns.layers
            ]
        )
    if not times:
        raise RecordingError(
            f"{place_of(path)}: only a header, no estimates: add a line for each estimate"
        )
    return _assemble(name_of(path), columns, times, estimates, weights)


def _find_columns(header: list[str], place: _Place) -> _Columns:
    repeated = next((column for column in header if header.count(column) > 1), None)
    if repeated is not None:
        raise place.error(f"two columns are called {shown(repeated)}: rename one")
    is_clock = ("ts" in header or "bwe" in header) and "estimate_bps" not in header
    time, estimate, prefix = ("ts", "bwe", "bps_") if is_clock else ("time_s", "estimate_bps", "")
    for needed in (time, estimate):
        if needed not in header:
            found = ", ".join(shown(column) for column in header[:_MANY_COLUMNS])
            more = ", …" if len(header) > _MANY_COLUMNS else ""
            raise place.error(
                f"no column {needed} (found {found}{more}): name the columns time_s, "
                "estimate_bps, SOURCE_LAYER… or ts, bwe, bps_SOURCE_LAYER…"
            )
    layers: list[tuple[str, str, int]] = []
    for index, column in enumerate(header):
        if column in (time, estimate):
            continue
        source, _underscore, layer = column.removeprefix(prefix).rpartition("_")
        if not column.startswith(prefix) or not source or not layer:
            raise place.error(
                f"column {shown(column)} is not of the form {prefix}SOURCE_LAYER: "
                "rename it or leave it out"
            )
        layers.append((source, layer, index))
    return _Columns(header.index(time), header.index(estimate), tuple(layers), is_clock)


def _time(text: str, earlier: Sequence[float], columns: _Columns, place: _Place) -> float:
    """One time in seconds that never falls; a clock that passed midnight goes on counting."""
    if columns.is_clock:
        match = _CLOCK.fullmatch(text.strip())
        hours, minutes, seconds = map(float, match.groups()) if match else (math.nan,) * 3
        if not (hours < 24 and minutes < 60 and seconds < 61):
            raise place.error(
                f"{shown(text)} is not a clock time: write HH:MM:SS.mmm", columns.time
            )
        time = hours * 3600 + minutes * 60 + seconds
        if earlier:
            time += _DAY * (earlier[-1] // _DAY)
            # Half a day back is a midnight passed; less is a line out of order.
            if earlier[-1] - time > _DAY / 2:
                time += _DAY
    else:
        try:
            time = float(text)
        except ValueError:
            time = math.nan
        if not math.isfinite(time):
            raise place.error(
                f"{shown(text)} is not a number of seconds: write digits such as 12.5",
                columns.time,
            )
    if earlier and time < earlier[-1]:
        raise place.error(
            f"{shown(text)} is earlier than the line before: sort the lines by time", columns.time
        )
    if earlier and time - earlier[0] > MAX_DURATION:
        raise place.error(
            f"{shown(text)} is more than {MAX_DURATION / 3600:.0f} h after the first line: "
            "give seconds, or cut the recording",
            columns.time,
        )
    return time


def _rate(text: str, column: int, place: _Place) -> int:
    try:
        return parse_rate(text)
    except RateError as error:
        raise place.error(str(error), column) from None


def _assemble(
    name: str,
    columns: _Columns,
    times: Sequence[float],
    estimates: Sequence[int],
    weights: Sequence[Sequence[int]],
) -> Recording:
    """Group the layer columns by source, each source's layers ascending by mean rate."""
    ladders: dict[str, list[tuple[int, str, int]]] = {}
    for position, (source, layer, _index) in enumerate(columns.layers):
        sent = [weight[position] for weight in weights if weight[position]]
        # A layer that was never sent is no choice at all; a source without any is no source.
        if sent:
            mean = sum(sent) // len(sent)
            ladders.setdefault(source, []).append((mean, layer, position))
    for ladder in ladders.values():
        ladder.sort()
    sources = tuple(
        Source(
            name=source,
            layers=tuple(layer for _mean, layer, _position in ladder),
            mean_rates=tuple(mean for mean, _layer, _position in ladder),
        )
        for source, ladder in ladders.items()
    )
    rows = tuple(
        Row(
            time=time - times[0],
            estimate=estimate,
            rates=tuple(
                tuple(weight[position] for _mean, _layer, position in ladder)
                for ladder in ladders.values()
            ),
        )
        for time, estimate, weight in zip(times, estimates, weights, strict=True)
    )
    return Recording(name=name, sources=sources, rows=rows)
