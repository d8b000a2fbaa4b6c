"""Plain counters, added to where things happen."""

from __future__ import annotations

from collections.abc import Callable

from ..messages import GrantReason
from .sharing.calm import Calm, Temper
from .sharing.division import Raising


class Tally:
    """What an engine has done since it started.

    Attributes:
        requests: Allocations requested.
        grants: Changes of allocations, by reason.
        held: Holds begun after a lowering.
        kept_back: Judgements by which a raise was not worth its risk.
    """

    __slots__ = (
        "grants",
        "held",
        "kept_back",
        "requests",
    )

    def __init__(self) -> None:
        self.requests: int = 0
        self.grants: dict[GrantReason, int] = dict.fromkeys(GrantReason, 0)
        self.held: int = 0
        self.kept_back: int = 0


class CountedCalm(Calm):
    """Judges raises, and counts those that it keeps back."""

    __slots__ = ("_tally",)

    def __init__(
        self,
        temper: Temper,
        hold: float,
        restlessness: Callable[[int, float], float],
        tally: Tally,
    ) -> None:
        super().__init__(temper, hold, restlessness)
        self._tally = tally

    def allows(self, raising: Raising) -> bool:
        """See `Calm.allows`."""
        allowed = super().allows(raising)
        if not allowed:
            self._tally.kept_back += 1
        return allowed
