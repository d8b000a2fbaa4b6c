"""What is asked of several measurements alike, in words: policies, settings, priorities, weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from attrs import field, fields_dict, frozen

from ..engine.settings import Settings
from ..engine.sharing.registry import DEFAULT_POLICY, POLICIES, PolicyName
from ..network.impairments import find_impairments
from ..options import ReceiverOptions
from .rates import RateError, parse_rate, shown
from .replay.recording import RecordingError

_WORDS = {"none": None, "true": True, "false": False}


@frozen
class Asked:
    """How an allocator and its receivers are to be set up.

    Attributes:
        policy: How to share.
        settings: Of the allocator, by name; see `Settings`.
        priorities: Of tracks, by name; 0 for those that are not there.
        weights: Of tracks, by name; 1 for those that are not there.
    """

    policy: PolicyName = DEFAULT_POLICY
    settings: Mapping[str, Any] = field(factory=dict)
    priorities: Mapping[str, int | tuple[int, ...]] = field(factory=dict)
    weights: Mapping[str, float] = field(factory=dict)

    def check_names(self, known: Iterable[str]) -> None:
        """Find out whether all tracks that are spoken of are there.

        Raises:
            RecordingError: One is not.
        """
        names = list(known)
        for option, said in (("--priority", self.priorities), ("--weight", self.weights)):
            for name in said:
                if name not in names:
                    there = ", ".join(map(shown, names))
                    raise RecordingError(
                        f"{option}: there is no track {shown(name)}: choose from {there}"
                    )


def parse_policies(text: str, others: Sequence[str] = ()) -> list[str]:
    """Read the names of policies, such as ``layered,fair``.

    Args:
        text: Names with commas between.
        others: Names that are known besides.

    Raises:
        RecordingError: One is not known.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    known = [*POLICIES, *others]
    for name in names:
        if name not in known:
            raise RecordingError(
                f"--policy: {shown(name)} is not known: choose from {', '.join(known)}"
            )
    return names


def named_policy(name: str) -> PolicyName:
    """A name of one of this package's policies, as such.

    Raises:
        RecordingError: It is none.
    """
    for known in POLICIES:
        if known == name:
            return known
    raise RecordingError(f"--policy: {shown(name)} is not known: choose from {', '.join(POLICIES)}")


def check_impairments(names: str) -> str:
    """The same names of impairments, if all are known.

    Raises:
        RecordingError: One is not.
    """
    try:
        find_impairments(names)
    except ValueError as error:
        raise RecordingError(f"--impair: {error}") from None
    return names


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Read settings of an allocator, such as ``hold=2`` or ``probe_increment=200k``.

    Raises:
        RecordingError: There is no such setting, or the value can not be used.
    """
    known = fields_dict(Settings)
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise RecordingError(
                f"--set: {shown(text)} is not a setting and its value: "
                f"write such as hold=2; there are {', '.join(known)}"
            )
        if name not in known:
            nearest = "".join(f"did you mean {n}? " for n in get_close_matches(name, known, 1))
            raise RecordingError(
                f"--set: there is no setting {shown(name)}: {nearest}there are {', '.join(known)}"
            )
        found[name] = _value(value.strip())
    try:
        Settings(**found)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"--set: {error}") from None
    return found


def parse_priorities(texts: Iterable[str]) -> dict[str, int | tuple[int, ...]]:
    """Read priorities of tracks, such as ``screen=2``, or ``screen=9,0`` step by step.

    Raises:
        RecordingError: There is no name, or a number is not from 0 to 255, or they rise.
    """
    found: dict[str, int | tuple[int, ...]] = {}
    for place, name, value in _pairs("--priority", texts):
        numbers = [number.strip() for number in value.split(",")]
        if not all(number.isdecimal() for number in numbers):
            raise RecordingError(
                f"{place}: {shown(value)} is not a whole number: write 0 to 255, or several "
                "with commas between, one for each step"
            )
        priority = tuple(map(int, numbers)) if len(numbers) > 1 else int(value)
        _check(place, priority=priority)
        found[name] = priority
    return found


def parse_weights(texts: Iterable[str]) -> dict[str, float]:
    """Read weights of tracks, such as ``screen=2.5``.

    Raises:
        RecordingError: There is no name, or the number is not greater than 0.
    """
    found = {}
    for place, name, value in _pairs("--weight", texts):
        try:
            weight = float(value)
        except ValueError:
            raise RecordingError(f"{place}: {shown(value)} is not a number: write 2.5") from None
        _check(place, weight=weight)
        found[name] = weight
    return found


def _pairs(option: str, texts: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    """Of each text what to call it in a message, the name of the track, and what is said of it."""
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name.strip():
            raise RecordingError(f"{option}: {shown(text)} must be TRACK=NUMBER, such as camera=2")
        yield f"{option} {shown(text)}", name.strip(), value.strip()


def _check(place: str, **options: Any) -> None:
    try:
        ReceiverOptions(negotiable=True, can_pad=True, **options)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{place}: {error}") from None


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parse_rate(text)
    except RateError:
        return text
