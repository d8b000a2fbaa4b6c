"""An object that lives in a nursery, and a block around it that keeps the user's exceptions whole.

The policy, in prose. What the block's body raises leaves the block as it is, never wrapped in a
group: the user's errors, groups, time-outs and cancellation alike (L4). If the object itself fails,
the body is cancelled and the block raises the cause of the failure (L3); an error that the body
raised besides becomes the context of that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import trio


class Living(Protocol):
    """Something with tasks in a nursery."""

    @property
    def failure(self) -> BaseException | None:
        """Why it failed, if it did."""
        ...

    def close(self) -> None:
        """End it; its tasks end soon."""
        ...


L = TypeVar("L", bound=Living)


@asynccontextmanager
async def living(start: Callable[[trio.Nursery], L]) -> AsyncIterator[L]:
    """Let something live exactly as long as a block.

    Args:
        start: Makes it, with its tasks in the nursery given.
    """
    error: BaseException | None = None
    being: L | None = None
    try:
        try:
            async with trio.open_nursery() as nursery:
                try:
                    being = start(nursery)
                    yield being
                except BaseException as raised:  # noqa: ASYNC103, BLE001 - raised again below
                    error = raised
                finally:
                    if being is not None:
                        being.close()
        except BaseException:  # noqa: ASYNC103 - what is not raised here gives way below
            failed = being is not None and being.failure is not None
            if not failed and _is_cancellation(error):
                raise
        failure = None if being is None else being.failure
        if failure is not None:
            if error is not failure and not _is_cancellation(error):
                failure.__context__ = error
            raise failure
        if error is not None:
            raise error
    finally:
        # A frame that keeps its own traceback alive would keep everything in it alive, too.
        del error


def _is_cancellation(error: BaseException | None) -> bool:
    """Whether an error says no more than that the block was cancelled, in a group or not."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return error is None or isinstance(error, trio.Cancelled)
