"""Tracks of one's own, from a TOML file.

::

    [[track]]
    name = "screen"
    kind = "screen"                                 # video (default), screen or audio
    ladder = { slides = "200k", motion = "1M" }     # variant to bit/s
    priority = 10

    [[track]]
    name = "camera"
    count = 3                                       # camera0, camera1, camera2
    ladder = { low = 130_000, medium = 420_000, high = 1_250_000 }
    pausable = false
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ...options import ReceiverOptions
from ...tracks import Track
from ..rates import RateError, parse_rate, shown
from ..replay.recording import RecordingError
from .tracks import SimulatedTrack

MOST_TRACKS = 200
"""More would take minutes, and say no more."""

_KEYS = (
    "name",
    "kind",
    "ladder",
    "count",
    "priority",
    "weight",
    "pausable",
    "min_bitrate",
    "max_bitrate",
)
_OPTIONS = ("priority", "weight", "pausable", "min_bitrate", "max_bitrate")


def read_tracks(path: Path) -> tuple[SimulatedTrack, ...]:
    """Read tracks; the module shows a file.

    Args:
        path: The file, TOML in UTF-8.

    Raises:
        RecordingError: It is missing or malformed; the message says where, and the cure.
    """
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except FileNotFoundError:
        raise RecordingError(f"{path}: there is no such file: check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: not a TOML file: {error}") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RecordingError(f"{path}: cannot be read: {reason}") from None
    entries = content.get("track")
    if not isinstance(entries, list) or not entries or set(content) != {"track"}:
        raise RecordingError(
            f"{path}: there must be [[track]] tables and nothing else, with name and ladder in each"
        )
    tracks: list[SimulatedTrack] = []
    for number, entry in enumerate(cast("list[object]", entries), 1):
        if not isinstance(entry, dict):
            raise RecordingError(f"{path}: track {number} is not a table: write [[track]]")
        tracks += _tracks(cast("dict[str, Any]", entry), f"{path}, track {number}")
    _check(tracks, str(path))
    return tuple(tracks)


def _check(tracks: list[SimulatedTrack], place: str) -> None:
    names = [track.name for track in tracks]
    for name in names:
        if names.count(name) > 1:
            raise RecordingError(f"{place}: two tracks are called {shown(name)}: rename one")
    if len(tracks) > MOST_TRACKS:
        raise RecordingError(
            f"{place}: {len(tracks)} tracks are more than {MOST_TRACKS}: leave some out"
        )
    if not any(track.is_counted for track in tracks):
        raise RecordingError(f"{place}: no track has a picture: add one of kind video or screen")


def _tracks(entry: dict[str, Any], place: str) -> list[SimulatedTrack]:
    for key in entry:
        if key not in _KEYS:
            raise RecordingError(f"{place}: there is no {shown(key)}: there are {', '.join(_KEYS)}")
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise RecordingError(f'{place}: give it a name, such as name = "camera"')
    count = entry.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_TRACKS:
        raise RecordingError(f"{place}: count must be from 1 to {MOST_TRACKS}, not {count!r}")
    ladder = _ladder(entry.get("ladder"), place)
    given = {key: entry[key] for key in _OPTIONS if key in entry}
    for key in ("min_bitrate", "max_bitrate"):
        if isinstance(given.get(key), str):
            given[key] = _rate(given[key], f"{place}: {key}")
    if isinstance(given.get("priority"), list):
        raise RecordingError(
            f"{place}: priority must be one number for all steps here: the best that could be had "
            "is not worked out step by step"
        )
    kind = entry.get("kind", "video")
    given.setdefault("pausable", kind != "audio")
    try:
        track = Track(name, kind=kind, variants=ladder)
        ReceiverOptions.for_track(track, cast("Any", given))
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{place}: {error}") from None
    names = [name] if count == 1 else [f"{name}{number}" for number in range(count)]
    return [SimulatedTrack(name=one, kind=kind, ladder=ladder, **given) for one in names]


def _ladder(ladder: object, place: str) -> dict[str, int]:
    if not isinstance(ladder, Mapping) or not ladder:
        raise RecordingError(
            f'{place}: give it a ladder, such as ladder = {{ low = "150k", high = "1M" }}'
        )
    given = cast("Mapping[str, object]", ladder)
    return {name: _rate(rate, f"{place}: {shown(name)}") for name, rate in given.items()}


def _rate(rate: object, place: str) -> int:
    if isinstance(rate, str):
        try:
            return parse_rate(rate)
        except RateError as error:
            raise RecordingError(f"{place}: {error}") from None
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise RecordingError(
            f"{place}: {rate!r} is not a rate: write bit/s, such as 150000 or 150k"
        )
    return int(rate)
