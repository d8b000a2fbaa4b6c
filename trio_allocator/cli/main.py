"""The entry point: loads the command line, or says what is missing for it."""

from __future__ import annotations

import errno
import os
import sys

from .plain import use_plain_output

_EXTRA = ("typer", "rich", "numpy")


def main() -> None:
    """Run ``trio-allocator``, and exit.

    Exit codes: 0 for done, 1 for output that cannot be written, 2 for input that cannot be used,
    130 for Ctrl-C, 143 for SIGTERM.

    Raises:
        SystemExit: Always.
    """
    if sys.stdout is None:
        # Nothing could be printed, and Python would not say so.
        print("trio-allocator: cannot go on: standard output is closed", file=sys.stderr)
        sys.exit(1)
    try:
        use_plain_output()
        # Inside, so that Ctrl-C while this loads leaves no traceback either.
        from .app import app  # noqa: PLC0415

        try:
            app(prog_name="trio-allocator")
        finally:
            # A full device may be noticed only now, and at exit it would be too late to say so.
            sys.stdout.flush()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print(
            f"trio-allocator: {error.name} is not installed: pip install 'trio-allocator[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    except OSError as error:
        # The reader of a closed pipe has read enough; any other error is worth a line.
        if error.errno != errno.EPIPE:
            reason = error.strerror or type(error).__name__
            print(f"trio-allocator: cannot go on: {reason}", file=sys.stderr)
        _discard_output()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _discard_output() -> None:
    """What could not be written is not tried again at exit, where it would fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
