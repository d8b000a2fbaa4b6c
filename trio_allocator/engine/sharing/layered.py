"""The default policy, as a pure function of claims and capacity; see `division` for how it divides."""

from __future__ import annotations

from collections.abc import Sequence

from .division import Division
from .policies import Claim, Shares
from .worth import Worth


class LayeredPolicy:
    """Greatest worth, round by round: the default policy.

    A pure function of claims and capacity, see `Policy`. In an allocator it also weighs whether a
    raise is worth its risk; called by itself it does not.

    Args:
        worth: What an allocation in bit/s is worth: finite, at least 0, and never falling. Called
            a few times for each claim. Default: `log_worth` of the best step there is.

    Raises:
        TypeError: `worth` can not be called.
    """

    def __init__(self, worth: Worth | None = None) -> None:
        if worth is not None and not callable(worth):
            raise TypeError(f"worth must be a function of bit/s, not {worth!r}")
        self.worth: Worth | None = worth

    def __repr__(self) -> str:
        return f"LayeredPolicy(worth={self.worth!r})"

    def __call__(self, claims: Sequence[Claim], capacity: int) -> Shares:
        """Choose the allocation that everybody should have."""
        return Division(self.worth, claims, capacity).shares()
