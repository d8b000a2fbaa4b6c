"""What is at stake: what all that is planned is worth together, kept up to date."""

from __future__ import annotations

from ..ledger import Ledger
from ..receiver import Receiver
from .worth import Worth, log_worth


class Stakes:
    """Adds up worths, at a cost in proportion to what has changed.

    Without a worth of its own it measures by the best step of any ladder, and only when that is
    another one it adds up anew.

    Args:
        ledger: The books.
        worth: Of an allocation; None for `log_worth` of the best step.
    """

    __slots__ = ("_best", "_given", "_ledger", "_noted", "_of", "_owners", "_total", "_values")

    def __init__(self, ledger: Ledger, worth: Worth | None) -> None:
        self._ledger = ledger
        self._given = worth
        self._of: Worth = worth or log_worth(1)
        self._best = 0
        self._owners: set[int] = set()  # whose best step that is
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
        self._owners.discard(receiver.id)

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
        if not self._noted and (self._given is not None or self._owners):
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
        best = self._best
        for receiver in self._noted.values():
            top = _top(receiver)
            if top and top == best:
                self._owners.add(receiver.id)
            else:
                self._owners.discard(receiver.id)
            if top > best:
                self._owners.clear()  # look for the best, and whose it is
                break
        if self._owners:
            return False
        top = max(map(_top, self._ledger), default=0)
        if top:
            self._best = top
            self._owners = {receiver.id for receiver in self._ledger if _top(receiver) == top}
        else:  # no ladders: what is wanted changes all the time, so look each time
            wants = (max(receiver.want, receiver.allocation) for receiver in self._ledger)
            self._best = max(wants, default=1) or 1
        if self._best != best:
            self._of = log_worth(self._best)
        return self._best != best


def _top(receiver: Receiver) -> int:
    return receiver.steps[-1] if receiver.steps else 0
