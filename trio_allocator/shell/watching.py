"""A value that others may watch: trio-util's AsyncValue behind a read-only view."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from enum import Enum
from typing import Generic, TypeVar, cast

import trio
from trio_util import AsyncValue

T = TypeVar("T")


class _Mark(Enum):
    """No value of the user's equals this."""

    ENDED = 0


class WatchedValue(Generic[T]):
    """The owner's side of a watched value, for an allocator of your own.

    ::

        self._estimate = WatchedValue[int | None](None)
        ...
        self._estimate.publish(1_000_000)
        self._estimate.end()                    # when the allocator does

        @property
        def estimate(self) -> Watch[int | None]:
            return Watch(self._estimate)

    Args:
        value: The first value.
    """

    def __init__(self, value: T) -> None:
        self._value: AsyncValue[T | _Mark] = AsyncValue(value)
        self._next: T | _Mark = value
        self._publishing = False

    def __repr__(self) -> str:
        return "an ended value" if self._next is _Mark.ENDED else repr(self._next)

    def publish(self, value: T) -> None:
        """Set the value, and wake those who wait for it.

        Users' predicates run in here. What they publish themselves comes after, not in between.
        """
        self._publish(value)

    def end(self) -> None:
        """Nothing will be published any more: all that wait are told."""
        self._publish(_Mark.ENDED)

    def _publish(self, value: T | _Mark) -> None:
        if self._next is not _Mark.ENDED:
            self._next = value
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._value.value != self._next:
                self._value.value = self._next
        finally:
            self._publishing = False

    # --- the watchers' side ------------------------------------------------------------------

    @property
    def value(self) -> T:
        """The newest value.

        Raises:
            trio.ClosedResourceError: Its owner has ended.
        """
        value: T | _Mark = self._value.value
        if isinstance(value, _Mark):
            raise trio.ClosedResourceError("the owner of this value has ended")
        return value

    async def wait_value(self, wanted: object | Callable[[T], bool]) -> T:
        """Wait for a value; see `trio_allocator.Watchable`.

        Raises:
            Exception: Whatever the caller's own predicate raises.
            trio.ClosedResourceError: The owner ended meanwhile.
        """
        failure: list[BaseException] = []
        predicate = cast(
            "Callable[[T], bool]",
            wanted if callable(wanted) else lambda value: value == wanted,
        )

        def matches(value: T | _Mark) -> bool:
            # This runs in the owner's call, which it must not fail.
            try:
                return isinstance(value, _Mark) or bool(predicate(value))
            except BaseException as error:  # noqa: ASYNC103, BLE001 - raised in the task below
                failure.append(error)
                return True  # noqa: ASYNC104

        found: T | _Mark = await self._value.wait_value(matches)
        if failure:
            raise failure[0]
        if isinstance(found, _Mark):
            raise trio.ClosedResourceError("the owner of this value has ended")
        return found

    def eventual_values(self) -> AbstractAsyncContextManager[AsyncIterator[T]]:
        """Iterate over the values; see `trio_allocator.Watchable`. Ends with the owner.

        Returns:
            A context manager that yields an asynchronous iterator.
        """
        return aclosing(self._values())

    async def _values(self) -> AsyncGenerator[T, None]:  # noqa: ASYNC900 - closed by aclosing
        last: T | None = None
        first = True
        while True:
            if first:
                await trio.lowlevel.checkpoint()
            else:
                await self._value.wait_value(lambda value: value != last)  # noqa: B023 - same turn
            value = self._value.value
            if isinstance(value, _Mark):
                return
            if first or value != last:
                first, last = False, value
                yield value


class Watch(Generic[T]):
    """The read-only view of a watched value that its owner hands out: a `Watchable`.

    Args:
        watched: What is shown.
    """

    __slots__ = ("_watched",)

    def __init__(self, watched: WatchedValue[T]) -> None:
        self._watched = watched

    def __repr__(self) -> str:
        return f"<Watch of {self._watched!r}>"

    @property
    def value(self) -> T:
        """The newest value; see `WatchedValue.value`."""
        return self._watched.value

    async def wait_value(self, wanted: object | Callable[[T], bool]) -> T:
        """Wait for a value; see `WatchedValue.wait_value`."""
        return await self._watched.wait_value(wanted)

    def eventual_values(self) -> AbstractAsyncContextManager[AsyncIterator[T]]:
        """Iterate over the values; see `WatchedValue.eventual_values`.

        Returns:
            A context manager that yields an asynchronous iterator.
        """
        return self._watched.eventual_values()
