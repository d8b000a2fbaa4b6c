"""What is at stake: what all that is planned is worth together, kept up to date."""

from __future__ import annotations

from .ledger import Ledger
from .receiver import Receiver
from .worth import Worth, log_worth


class Stakes:
    """Adds up worths, at a cost in proportion to what has changed.

    Without a worth of its own it measures by the best step of any ladder, and only when that is
    another one it adds up anew.

    Args:
        ledger: The books.
        worth: Of an allocation; None for `log_worth` of the best step.
    """

    __slots__ = ("_best", "_given", "_ledger", "_noted", "_of", "_owner", "_total", "_values")

    def __init__(self, ledger: Ledger, worth: Worth | None) -> None:
        self._ledger = ledger
        self._given = worth
        self._of: Worth = worth or log_worth(1)
        self._best = 0
        self._owner: int | None = None  # one of those whose best step that is
        self._noted: dict[int, Receiver] = {}
        self._values: dict[int, float] = {}
        self._total = 0.0

    def note(self, receiver: Receiver) -> None:
        """A receiver is new, or anything of it changed."""
        self._noted[receiver.id] = receiver

    def drop(self, receiver: Receiver) -> None:
        """A receiver is gone."""
        self._noted.pop(receiver.id, None)
        self._total -= self._values.pop(receiver.id, 0.0)
        if receiver.id == self._owner:
            self._owner = None

    @property
    def of(self) -> Worth:
        """What an allocation in bit/s is worth."""
        self._flush()
        return self._of

    @property
    def total(self) -> float:
        """What all projections are worth, by their weights."""
        self._flush()
        return self._total

    def _flush(self) -> None:
        if not self._noted and (self._given is not None or self._owner is not None):
            return
        if self._given is None and self._is_rescaled():
            self._noted = {receiver.id: receiver for receiver in self._ledger}
            self._values.clear()
            self._total = 0.0
        noted, self._noted = self._noted, {}
        for receiver in noted.values():
            value = receiver.options.weight * self._of(receiver.projected)
            self._total += value - self._values.get(receiver.id, 0.0)
            self._values[receiver.id] = value

    def _is_rescaled(self) -> bool:
        """Whether there is another best step."""
        owner = self._noted.get(self._owner) if self._owner is not None else None
        higher = any(_top(receiver) > self._best for receiver in self._noted.values())
        if self._owner is not None and not higher and (owner is None or _top(owner) == self._best):
            return False
        before = self._best
        first = max(self._ledger, key=_top, default=None)
        if first is not None and first.steps:
            self._best, self._owner = _top(first), first.id
        else:  # no ladders: what is wanted changes all the time, so look each time
            wants = (max(receiver.want, receiver.allocation) for receiver in self._ledger)
            self._best, self._owner = max(wants, default=1) or 1, None
        if self._best != before:
            self._of = log_worth(self._best)
        return self._best != before


def _top(receiver: Receiver) -> int:
    return receiver.steps[-1] if receiver.steps else 0
