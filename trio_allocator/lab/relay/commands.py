"""What a running relay can be told: the same words for a person, a socket and the Python handle.

========================  ========================================================================
``rate 600k``             carry that much from now on (bit/s)
``delay 0.08``            the way takes that long (s): longer or shorter for what is sent from now
``loss 0.02``             that share of the packets is lost by chance (0 to 1)
``queue 75000``           that many bytes may wait
``pause 0.3``             nothing leaves for that long (s), and then all that waited
``cut 5``                 all that is sent in that time (s) is lost; ``cut 0`` ends a cut
``report``                tell what has passed
========================  ========================================================================

Each but the last may end in a way: ``to-clients``, ``to-target`` or ``both``. Without one, a pause
and a cut are for both, and the others are for the way that the relay was opened to narrow. Several
settings can stand in one line: ``rate 600k delay 0.08 to-clients``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum

from attrs import frozen

from ...quantities import MAX_SIZE
from ..rates import RateError, parse_rate, shown

LONGEST_DELAY = 60.0
"""The longest way accepted, s."""
LONGEST_BREAK = 3_600.0
"""The longest pause or cut accepted, s."""


class Way(StrEnum):
    """A direction through a relay."""

    TO_CLIENTS = "to-clients"
    TO_TARGET = "to-target"
    BOTH = "both"

    def singles(self) -> tuple[Way, ...]:
        """The one or two directions that it means."""
        return (Way.TO_CLIENTS, Way.TO_TARGET) if self is Way.BOTH else (self,)


class CommandError(ValueError):
    """A command that can not be obeyed. Its message is one line, and names the cure."""


@frozen
class Setting:
    """Change what is given.

    Attributes:
        way: None for the relay's own.
        rate: bit/s.
        delay: s.
        loss: A probability.
        queue: Bytes.
    """

    way: Way | None = None
    rate: float | None = None
    delay: float | None = None
    loss: float | None = None
    queue: int | None = None

    def __str__(self) -> str:
        """As `parse_command` reads it."""
        values = {"rate": self.rate, "delay": self.delay, "loss": self.loss, "queue": self.queue}
        words = [f"{word} {value!r}" for word, value in values.items() if value is not None]
        return " ".join([*words, *([self.way.value] if self.way else [])])

    def checked(self) -> Setting:
        """The same, if it can be obeyed.

        Raises:
            CommandError: It can not.
        """
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise CommandError(
                f"rate must be finite and greater than 0 bit/s, not {self.rate:g}: "
                "`pause` or `cut` lets nothing pass"
            )
        _check("delay", self.delay, LONGEST_DELAY, "s")
        _check("loss", self.loss, 1.0, "(a probability)")
        _check("queue", self.queue, MAX_SIZE, "bytes")
        return self


@frozen
class Break:
    """Let nothing pass for a while.

    Attributes:
        duration: s.
        is_cut: What comes is lost; else it waits.
        way: Which way.
    """

    duration: float
    is_cut: bool
    way: Way = Way.BOTH

    def __str__(self) -> str:
        """As `parse_command` reads it."""
        return f"{'cut' if self.is_cut else 'pause'} {self.duration!r} {self.way.value}"

    def checked(self) -> Break:
        """The same, if it can be obeyed.

        Raises:
            CommandError: It can not.
        """
        _check("cut" if self.is_cut else "pause", self.duration, LONGEST_BREAK, "s")
        return self


@frozen
class Reporting:
    """Tell what has passed."""

    def __str__(self) -> str:
        """As `parse_command` reads it."""
        return "report"


Command = Setting | Break | Reporting


def parse_command(line: str) -> Command:
    """Read a line such as ``rate 600k to-clients``.

    Raises:
        CommandError: It is none.
    """
    words = line.split()
    if words == ["report"]:
        return Reporting()
    values: dict[str, float] = {}
    way: Way | None = None
    rest = iter(words)
    for word in rest:
        if word in _READERS:
            if word in values:
                raise CommandError(f"{word} is given twice")
            values[word] = _READERS[word](word, next(rest, None))
        elif word in list(Way) and way is None:
            way = Way(word)
        else:
            raise CommandError(
                f"{shown(word)} is not a command: write one of {', '.join(_READERS)}, report, "
                "such as `rate 600k` or `pause 0.3`"
            )
    return from_values(values, way)


def from_values(values: Mapping[str, float], way: Way | None) -> Command:
    """A command of its words and their numbers.

    Raises:
        CommandError: They do not go together, or can not be obeyed.
    """
    breaks = [word for word in ("pause", "cut") if word in values]
    if breaks:
        if len(values) > 1:
            raise CommandError(f"{breaks[0]} must stand alone: give the rest a line of its own")
        (word,) = breaks
        return Break(values[word], word == "cut", way or Way.BOTH).checked()
    if not values:
        raise CommandError("nothing is to be changed: write such as `rate 600k`")
    queue = values.get("queue")
    return Setting(
        way,
        values.get("rate"),
        values.get("delay"),
        values.get("loss"),
        None if queue is None else int(queue),
    ).checked()


def _number(word: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        example = {"loss": "0.02", "queue": "75000"}.get(word, "0.3")
        raise CommandError(f"{word} needs a number, such as `{word} {example}`")
    return number


def _rate(word: str, text: str | None) -> float:
    if text is None:
        raise CommandError(f"{word} needs a number, such as `rate 600k`")
    try:
        return parse_rate(text)
    except RateError as error:
        raise CommandError(f"{word} {error}") from None


_READERS: Mapping[str, Callable[[str, str | None], float]] = {
    "rate": _rate,
    "delay": _number,
    "loss": _number,
    "queue": _number,
    "pause": _number,
    "cut": _number,
}


def _check(name: str, value: float | None, most: float, unit: str) -> None:
    if value is not None and not 0 <= value <= most:
        raise CommandError(f"{name} must be from 0 to {most:g} {unit}, not {value:g}")
