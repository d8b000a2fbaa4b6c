"""An alarm that wakes one task: it is moved forward at no cost to who moves it often."""

from __future__ import annotations

import trio


class Alarm:
    """Rings at a time, or when somebody rings it, for the one task that waits for it.

    It is never moved back: to ring too early is cheaper than to be set anew for each packet.
    """

    __slots__ = ("_scope",)

    def __init__(self) -> None:
        self._scope = trio.CancelScope()

    def ring_by(self, time: float) -> None:
        """Ring at this time, s, or before; infinite for whenever."""
        scope = self._scope
        if time < scope.deadline:  # noqa: PLR1730 - Trio's setter costs, even for the same value
            scope.deadline = time

    def ring(self) -> None:
        """Ring now; if nobody waits, as soon as somebody does."""
        self._scope.cancel()

    async def rings(self) -> None:
        """Wait until it rings; then it is set for no time."""
        with self._scope:
            await trio.sleep_forever()
        self._scope = trio.CancelScope()
