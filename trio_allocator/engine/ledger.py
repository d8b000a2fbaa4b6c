"""Who holds what: every sum kept up to date, never recomputed (A1)."""

from __future__ import annotations

from collections.abc import Iterator

from .receiver import Receiver


class Ledger:
    """The books of one connection.

    Allocations are reserved from grant to release, whatever is really sent. Beside them stand
    the projections: what everybody will hold when all that is under way is done.

    Attributes:
        entered: How many receivers were ever entered; their ids count up to this.
        committed: Sum of the allocations, bit/s.
        projected: Sum of the projections, bit/s.
        waiting: How many receivers wait for more than they hold.
        waiting_with_allocation: How many of those hold anything at all.
    """

    __slots__ = (
        "_receivers",
        "committed",
        "entered",
        "projected",
        "waiting",
        "waiting_with_allocation",
    )

    def __init__(self) -> None:
        self._receivers: dict[int, Receiver] = {}
        self.entered: int = 0
        self.committed: int = 0
        self.projected: int = 0
        self.waiting: int = 0
        self.waiting_with_allocation: int = 0

    def __len__(self) -> int:
        return len(self._receivers)

    def __iter__(self) -> Iterator[Receiver]:
        return iter(self._receivers.values())

    def __contains__(self, receiver_id: int) -> bool:
        return receiver_id in self._receivers

    def __getitem__(self, receiver_id: int) -> Receiver:
        return self._receivers[receiver_id]

    def unpaused(self) -> int:
        """What the allocations come to with everybody at the lowest, bit/s; 0 if that pauses anyone."""
        lowest = [receiver.lowest for receiver in self if receiver.allocation]
        return sum(lowest) if all(lowest) else 0

    def add(self, receiver: Receiver) -> None:
        """Enter a receiver with what it already holds."""
        self._receivers[receiver.id] = receiver
        self.entered += 1
        self.committed += receiver.allocation
        self.projected += receiver.projected

    def remove(self, receiver: Receiver) -> None:
        """Strike a receiver: what it held is free."""
        self.mark_waiting(receiver, None)
        del self._receivers[receiver.id]
        self.committed -= receiver.allocation
        self.projected -= receiver.projected

    def allocate(self, receiver: Receiver, allocation: int) -> None:
        """Book a new allocation; the projection follows it."""
        self.project(receiver, allocation)
        self.committed += allocation - receiver.allocation
        if receiver.waiting_since is not None:
            self.waiting_with_allocation += (allocation > 0) - (receiver.allocation > 0)
        receiver.allocation = allocation
        receiver.reached = receiver.rank(allocation)

    def project(self, receiver: Receiver, level: int) -> None:
        """Expect the receiver to hold this much when all under way is done."""
        self.projected += level - receiver.projected
        receiver.projected = level

    def mark_waiting(self, receiver: Receiver, since: float | None) -> None:
        """Note since when a receiver waits for more; None if it does not."""
        change = (since is not None) - (receiver.waiting_since is not None)
        self.waiting += change
        self.waiting_with_allocation += change * (receiver.allocation > 0)
        receiver.waiting_since = since
