"""Output in encodings that lack characters of ours, or of a file's name: what can be printed is.

A terminal may speak ASCII, cp1252 or cp437, and a file may be named by bytes that are no text at
all. Each character that can not be printed becomes one that can, so that columns stay columns.
"""

from __future__ import annotations

import codecs
import io
import sys

_NAME = "trio-allocator.plain"
_REPLACEMENTS = str.maketrans(
    {
        **dict.fromkeys("━─–−", "-"),
        **dict.fromkeys("█▓■▀▉▊▋", "#"),
        **dict.fromkeys("▒▄▌▍", "="),
        **dict.fromkeys("░▎▏", "-"),
        "×": "x",
        "→": ">",
        "▲": "^",
        "▼": "v",
        "·": ".",
        "…": "~",
        "≤": "<",
        "≥": ">",
        "’": "'",
    }
)
_SURROGATES = range(0xDC80, 0xDD00)


def use_plain_output() -> None:
    """Let standard output and standard error never fail for a character that they lack."""
    codecs.register_error(_NAME, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_REPLACEMENTS)
    return "".join(_ascii(character) for character in text), error.end


def _ascii(character: str) -> str:
    if ord(character) in _SURROGATES:
        # A byte of a file's name that is no text.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isascii() else "?"
