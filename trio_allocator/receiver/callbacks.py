"""Callbacks are synchronous: what takes time is handed to a task."""

from __future__ import annotations

import inspect


def check_synchronous(name: str, callback: object) -> None:
    """Check a callback when it is handed in.

    Raises:
        TypeError: It can not be called, or it is asynchronous.
    """
    if not callable(callback):
        raise TypeError(f"{name} must be callable, not {callback!r}")
    if inspect.iscoroutinefunction(callback):
        raise TypeError(
            f"{name} must be a synchronous function, not {callback!r}: hand the work to a task of "
            "yours, for example by a memory channel's send_nowait"
        )


def check_completed(result: object) -> None:
    """Check what a callback returned: an asynchronous function may hide in a lambda.

    Raises:
        TypeError: It returned a coroutine.
    """
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(
            "request_variant must be a synchronous function, but it returned a coroutine: hand "
            "the work to a task of yours, for example by a memory channel's send_nowait"
        )
