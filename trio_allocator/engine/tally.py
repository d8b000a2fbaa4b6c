"""Plain counters, added to where things happen."""

from __future__ import annotations

from collections.abc import Callable

from ..messages import GrantReason
from .calm import Calm, Temper
from .layered import Raising


class Tally:
    """What an engine has done since it started.

    Attributes:
        estimates: Estimates delivered.
        estimates_stopped: How often they have stopped, so that the estimate became unknown.
        requests: Allocations requested.
        grants: Changes of allocations, by reason.
        asked: Decrease requests sent.
        accepted: ... accepted.
        rejected: ... rejected.
        silent: ... without an answer in time.
        withdrawn: ... taken back, since the need had gone.
        held: Holds begun after a lowering.
        kept_back: Judgements by which a raise was not worth its risk.
    """

    __slots__ = (
        "accepted",
        "asked",
        "estimates",
        "estimates_stopped",
        "grants",
        "held",
        "kept_back",
        "rejected",
        "requests",
        "silent",
        "withdrawn",
    )

    def __init__(self) -> None:
        self.estimates: int = 0
        self.estimates_stopped: int = 0
        self.requests: int = 0
        self.grants: dict[GrantReason, int] = dict.fromkeys(GrantReason, 0)
        self.asked: int = 0
        self.accepted: int = 0
        self.rejected: int = 0
        self.silent: int = 0
        self.withdrawn: int = 0
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
