"""Opens what somebody wants read: a file, one that gzip made smaller, or standard input."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from .replay.recording import RecordingError

STANDARD_INPUT = Path("-")
"""Instead of a file's name."""


def name_of(path: Path) -> str:
    """What to call it in a heading."""
    return "standard input" if path == STANDARD_INPUT else path.name


def place_of(path: Path) -> str:
    """What to call it in a message: the path as it was given."""
    return "standard input" if path == STANDARD_INPUT else str(path)


@contextmanager
def open_text(
    path: Path,
    *,
    encoding: str = "utf-8",
    advance: Callable[[int], None] | None = None,
) -> Iterator[TextIO]:
    """Open a text for reading.

    Args:
        path: A file; one that ends in ``.gz`` is unpacked; ``-`` is standard input.
        encoding: Of the text.
        advance: Told how many bytes more of the file were read, again and again.

    Raises:
        RecordingError: It can not be opened, or, in the course of the block, not be read. The
            message names the file and the cure, in one line.
    """
    shown = place_of(path)
    try:
        with _open(path, advance) as opened:
            # newline="" leaves the ends of lines to csv.
            text = io.TextIOWrapper(opened, encoding=encoding, newline="")
            yield text
            if path == STANDARD_INPUT:
                text.detach()
    except FileNotFoundError:
        raise RecordingError(f"{shown}: there is no such file: check the path") from None
    except IsADirectoryError:
        raise RecordingError(f"{shown}: cannot be read, as it is a folder: give a file") from None
    except UnicodeDecodeError:
        raise RecordingError(f"{shown}: not a text file in UTF-8: save it as CSV") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise RecordingError(
            f"{shown}: not a whole file of gzip's: pack it anew, or drop the .gz"
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RecordingError(f"{shown}: cannot be read: {reason}") from None


@contextmanager
def _open(path: Path, advance: Callable[[int], None] | None) -> Iterator[BinaryIO]:
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise FileNotFoundError
        yield sys.stdin.buffer
        return
    with path.open("rb", buffering=0) as raw:
        # What is counted are the bytes of the file, and not what gzip makes of them.
        counted = io.BufferedReader(_Counted(raw, advance) if advance else raw)
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=counted) as unpacked:
                yield io.BufferedReader(unpacked)
        else:
            yield counted


class _Counted(io.RawIOBase):
    """Tells how much of a file was read."""

    def __init__(self, raw: io.RawIOBase, advance: Callable[[int], None]) -> None:
        self._raw = raw
        self._advance = advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        self._advance(count or 0)
        return count
