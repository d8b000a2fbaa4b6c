"""Runs a recorded log of feedback through an estimator: a recording comes out, to be replayed.

What a log holds is told in `trio_allocator.estimation.feedback_log`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...estimation import FeedbackError, FeedbackHandler, SendSideEstimator
from ...estimation.feedback_log import NAME, VERSION
from ..files import name_of, open_text, place_of
from ..rates import shown
from .recording import MAX_DURATION, Recording, RecordingError, Row, Source

_MOST = 2**63
"""Of a sequence number or a size: what is larger is no such thing."""


class _Line:
    """One line of a log; every error says where."""

    def __init__(self, name: str, number: int, text: str) -> None:
        self._place = f"{name}, line {number}"
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            raise self.error(
                f"{shown(text.strip())} is not JSON: write one object a line"
            ) from None
        if not isinstance(content, dict):
            raise self.error(f"{shown(text.strip())} is not an object: write {{...}}")
        self.content: dict[str, Any] = content

    def error(self, problem: str) -> RecordingError:
        return RecordingError(f"{self._place}: {problem}")

    @contextmanager
    def judging(self) -> Iterator[None]:
        """What is wrong with a value is wrong with this line.

        Raises:
            RecordingError: In place of a `ValueError`.
        """
        try:
            yield
        except ValueError as error:
            raise self.error(str(error)) from None

    def number(self, key: str, value: object) -> float:
        """A number that is finite and not negative.

        Raises:
            RecordingError: It is none.
        """
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
            raise self.error(f"{key} must be a number from 0, not {shown(json.dumps(value))}")
        return value

    def whole(self, key: str, value: object) -> int:
        """As `number`, and whole.

        Raises:
            RecordingError: It is none.
        """
        number = self.number(key, value)
        if not isinstance(number, int):
            raise self.error(f"{key} must be a whole number, not {number!r}")
        return number


class _Estimation:
    """The estimator, and what it has said so far."""

    def __init__(self, start_bitrate: float) -> None:
        self.rows: list[tuple[float, int]] = []
        self._estimator = SendSideEstimator(start_bitrate=start_bitrate)
        self._handler = FeedbackHandler(self._estimator)
        self._last_sent: int | None = None

    def handle(self, line: _Line, time: float) -> None:
        """Take one event; what is due before it comes first."""
        self._wait_until(time)
        match line.content:
            case {"sent": [sequence, size, cluster]}:
                number = line.whole("sent", sequence)
                bytes_sent = line.whole("sent", size)
                probe = None if cluster is None else line.whole("sent", cluster)
                with line.judging():
                    self._estimator.packet_sent(number, bytes_sent, time, probe)
                last = self._last_sent
                self._last_sent = number if last is None else max(last, number)
            case {"probe": wanted}:
                most = None if wanted is None else line.number("probe", wanted)
                with line.judging():
                    self._estimator.next_probe(time, most)
            case {"rtcp": str(text)}:
                with line.judging():
                    data = bytes.fromhex(text)
                self._receive(data, time)
            case {"estimate": _}:
                pass
            case _:
                raise line.error("says neither sent, probe, rtcp nor estimate")
        self._note(time)

    def _wait_until(self, time: float) -> None:
        while (due := self._estimator.wake_at) <= time:
            self._estimator.advance(due)
            self._note(due)

    def _receive(self, data: bytes, time: float) -> None:
        # What is malformed is dropped: so would a sender do.
        with suppress(FeedbackError):
            self._handler.handle(data, time, self._last_sent)

    def _note(self, time: float) -> None:
        estimate = self._estimator.estimate
        if not self.rows or self.rows[-1][1] != estimate:
            self.rows.append((time, estimate))


def read_feedback(path: Path, advance: Callable[[int], None] | None = None) -> Recording:
    """Estimate from a log of feedback.

    Args:
        path: As ``link-test --record`` writes it; see `open_text`.
        advance: See `open_text`.

    Returns:
        A row for each estimate that differs from the one before; the tracks are those of the log,
        and their rates never change.

    Raises:
        RecordingError: It is missing, empty, or malformed; the message names the file, the line,
            the value and the cure.
    """
    with open_text(path, advance=advance) as file:
        return _read(path, (line for line in enumerate(file, 1) if line[1].strip()))


def _read(path: Path, lines: Iterator[tuple[int, str]]) -> Recording:
    place = place_of(path)
    number, text = next(lines, (1, "{}"))
    header = _Line(place, number, text)
    if header.content.get("log") != NAME or header.content.get("version") != VERSION:
        raise header.error(
            f"not a log of feedback: it must begin with "
            f'{{"log": "{NAME}", "version": {VERSION}}}, as link-test --record writes it'
        )
    sources = _sources(header)
    start = header.number("start_bitrate", header.content.get("start_bitrate"))
    with header.judging():
        estimation = _Estimation(start)
    first: float | None = None
    last = -math.inf
    for number, text in lines:
        line = _Line(place, number, text)
        time = line.number("t", line.content.get("t"))
        first = time if first is None else first
        if time < last:
            raise line.error(f"t {time:g} is earlier than the line before: sort the lines by time")
        if time - first > MAX_DURATION:
            raise line.error(f"t {time:g} is more than {MAX_DURATION / 3600:.0f} h after the first")
        last = time
        estimation.handle(line, time)
    if first is None:
        raise RecordingError(f"{place}: only a header, no packets: record something")
    rates = tuple(source.mean_rates for source in sources)
    # The last row ends the recording: it lasts as long as the log.
    rows = [*estimation.rows, (last, estimation.rows[-1][1])]
    return Recording(
        name=name_of(path),
        sources=sources,
        rows=tuple(Row(time - first, estimate, rates) for time, estimate in rows),
    )


def _sources(header: _Line) -> tuple[Source, ...]:
    tracks = header.content.get("tracks")
    if not isinstance(tracks, dict):
        raise header.error('"tracks" must map names to layers and their rates, or be {}')
    sources = []
    for name, layers in tracks.items():
        if not isinstance(layers, dict) or not layers:
            raise header.error(f"track {shown(name)} must map layers to rates in bit/s")
        rates = {
            layer: header.whole(f"track {shown(name)}", rate) for layer, rate in layers.items()
        }
        ladder = sorted(rates.items(), key=lambda item: item[1])
        sources.append(
            Source(name, tuple(layer for layer, _ in ladder), tuple(rate for _, rate in ladder))
        )
    return tuple(sources)
