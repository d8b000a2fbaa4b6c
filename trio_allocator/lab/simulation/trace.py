"""The capacity of a link over time: read from a CSV file, or one of the schedules that ship."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from attrs import field, frozen

from ...network.capacity import RateSchedule
from ..files import name_of, open_text, place_of
from ..rates import RateError, parse_rate
from ..replay.recording import RecordingError
from .clock import STEP, STEPS_PER_SECOND, WARM_UP, Series

SHIPPED = ("step_rfc8867_5_1", "step_square_4m_1p2m")
"""The schedules that come with the package, by the stem of their file in ``lab/data``."""

DATA = Path(__file__).parents[1] / "data"

DEFAULT_RTT = 0.05
"""Round-trip time of a link that nothing is known of, s."""

RTT = {
    "wired_fcc_1p7m": 0.03,
    "wired_eth_11m": 0.02,
    "lte_att_drive": 0.06,
    "lte_tmobile_drive": 0.06,
    "umts_tmobile_drive": 0.12,
    "hsdpa_norway_tram": 0.12,
    "lte_nyc_subway7": 0.06,
    "lte_china_hsr": 0.08,
    "cell_cloudgaming": 0.05,
    "wifi_office_edge": 0.03,
    "wifi_restaurant": 0.03,
    "nr5g_drive": 0.04,
    "starlink_mobile_ul": 0.06,
    "step_rfc8867_5_1": 0.1,
    "step_square_4m_1p2m": 0.06,
}
"""Round-trip times by the stem of the file, s: assumptions per type of access, but for RFC 8867's
(its section 5.1: 50 ms one way)."""

LONGEST = 3600.0
"""The longest trace that is taken, s."""

LARGEST = 1e12
"""The largest capacity that is taken, bit/s."""


@frozen(eq=False)
class Trace:
    """The capacity of a link.

    Attributes:
        name: The file's stem.
        rtt: Round-trip time, s.
        capacity: bit/s in each step of the clock.
        median: The median of the rows, bit/s: what the queue is sized by.
    """

    name: str
    rtt: float
    capacity: Series
    median: float = field()

    @property
    def steps(self) -> int:
        """How long it lasts, in steps of the clock."""
        return len(self.capacity)

    @property
    def duration(self) -> float:
        """How long it lasts, s."""
        return self.steps * STEP

    def schedule(self) -> RateSchedule:
        """The same in steps, for a link that is made of packets."""
        changes = np.flatnonzero(np.diff(self.capacity)) + 1
        begins = [0, *changes.tolist()]
        return RateSchedule([(step * STEP, float(self.capacity[step])) for step in begins])

    def per_second(self) -> Series:
        """The mean capacity in each whole second, bit/s."""
        seconds = self.steps // STEPS_PER_SECOND
        whole = self.capacity[: seconds * STEPS_PER_SECOND]
        return np.asarray(whole.reshape(seconds, STEPS_PER_SECOND).mean(axis=1))


def make_trace(
    name: str,
    times: Iterable[float],
    rates: Iterable[float],
    rtt: float | None = None,
    *,
    place: str | None = None,
) -> Trace:
    """A trace of rows that each hold until the next; the last as long as the one before it.

    Args:
        name: What to call it.
        times: When each row begins, s, ascending.
        rates: Its capacity, bit/s.
        rtt: s; None for the table's, by the name.
        place: Where it is from, for messages; None for its name.

    Raises:
        RecordingError: There are too few rows, or they last too long or not long enough.
    """
    place = name if place is None else place
    begins, values = list(times), list(rates)
    if len(begins) < 2:
        raise RecordingError(f"{place}: {len(begins)} rows are no trace: give at least two")
    begins.append(2 * begins[-1] - begins[-2])
    duration = begins[-1] - begins[0]
    if duration > LONGEST:
        raise RecordingError(f"{place}: lasts {duration:g} s: cut it to {LONGEST:g} s")
    if duration < WARM_UP + 1:
        raise RecordingError(
            f"{place}: lasts {duration:g} s, and the first {WARM_UP:g} s are not counted: "
            "give a longer trace"
        )
    edges = [round((time - begins[0]) * STEPS_PER_SECOND) for time in begins]
    median = float(np.median(values))
    if median <= 0:
        raise RecordingError(f"{place}: the median capacity is 0 bit/s: nothing can be sent")
    return Trace(
        name,
        RTT.get(name, DEFAULT_RTT) if rtt is None else rtt,
        np.repeat(np.asarray(values, dtype=float), np.diff(edges)),
        median,
    )


def constant_trace(rate: float, duration: float = 120.0, rtt: float | None = None) -> Trace:
    """A link that never changes: what is calm on it shows what is restless elsewhere.

    Args:
        rate: bit/s.
        duration: s.
        rtt: Round-trip time, s; None for `DEFAULT_RTT`.

    Raises:
        RecordingError: It does not last long enough, or carries nothing.
    """
    seconds = range(round(duration))
    return make_trace(f"constant_{rate / 1e6:g}M", seconds, [rate] * len(seconds), rtt)


def read_trace(path: Path, rtt: float | None = None) -> Trace:
    """Read a trace: a CSV file with the columns ``time_s`` and ``capacity_bps``.

    Args:
        path: The file, UTF-8; see `open_text`. Rates may be written as 150k or 2M.
        rtt: s; None for the table's, by the file's stem.

    Raises:
        RecordingError: It is missing, empty, or malformed; the message says where, and the cure.
    """
    file_place = place_of(path)
    with open_text(path, encoding="utf-8-sig") as file:
        try:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
        except csv.Error as error:
            raise RecordingError(f"{file_place}: not a CSV file: {error}") from None
    if not rows:
        raise RecordingError(f"{file_place}: the file is empty: {_SHAPE}")
    header = [column.strip() for column in rows[0][1]]
    for needed in ("time_s", "capacity_bps"):
        if needed not in header:
            raise RecordingError(f"{file_place}, line {rows[0][0]}: no column {needed}: {_SHAPE}")
    time, capacity = header.index("time_s"), header.index("capacity_bps")
    times: list[float] = []
    rates: list[float] = []
    for number, row in rows[1:]:
        place = f"{file_place}, line {number}"
        if len(row) != len(header):
            raise RecordingError(
                f"{place}: {len(row)} values, but the header names {len(header)} columns"
            )
        times.append(_number(row[time], f"{place}, column time_s", LONGEST * 1000))
        rates.append(_rate(row[capacity], f"{place}, column capacity_bps"))
        if len(times) > 1 and times[-1] <= times[-2]:
            raise RecordingError(
                f"{place}, column time_s: {times[-1]:g} does not come after {times[-2]:g}: "
                "sort the rows"
            )
    name = name_of(path).removesuffix(".gz").removesuffix(".csv")
    return make_trace(name, times, rates, rtt, place=file_place)


_SHAPE = "the first line must be time_s,capacity_bps (seconds, bit/s)"


def _rate(text: str, place: str) -> float:
    if text.strip()[-1:].lower() not in {"k", "m", "g"}:
        # A trace may have fractions of a bit.
        return _number(text, place, LARGEST)
    try:
        return parse_rate(text)
    except RateError as error:
        raise RecordingError(f"{place}: {error}") from None


def _number(text: str, place: str, largest: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise RecordingError(f"{place}: {text.strip()!r} is not a number") from None
    if not (math.isfinite(number) and 0 <= number <= largest):
        raise RecordingError(f"{place}: {text.strip()} must be from 0 to {largest:g}")
    return number


def shipped_traces(rtt: float | None = None) -> list[Trace]:
    """The schedules that come with the package."""
    return [read_trace(DATA / f"{stem}.csv", rtt) for stem in SHIPPED]
