"""The entry point: loads the command line, or says what is missing for it."""

from __future__ import annotations

import sys

_EXTRA = ("typer", "rich")


def main() -> None:
    """Run ``trio-allocator``, and exit.

    Exit codes: 0 for done, 2 for input that cannot be used, 130 for Ctrl-C.

    Raises:
        SystemExit: Always.
    """
    try:
        # Inside, so that Ctrl-C while this loads leaves no traceback either.
        from .app import app  # noqa: PLC0415

        app(prog_name="trio-allocator")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print(
            f"trio-allocator: {error.name} is not installed: pip install 'trio-allocator[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
