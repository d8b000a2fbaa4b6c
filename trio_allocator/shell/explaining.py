"""What an allocator tells those who ask why."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress

import trio

from .. import quantities
from ..engine.engine import Engine
from ..report.explanation import Explanation, explain
from ..report.statistics import AllocatorStatistics, statistics
from ..report.status import AllocatorStatus, snapshot
from .decisions import DecisionChannel, DecisionLog

DECISIONS_KEPT = 1_000
"""So many decisions wait unread before the oldest is dropped, unless the listener says otherwise:
about 200 bytes each."""


class Explaining(ABC):
    """The part of an allocator that answers questions; it costs nothing until somebody asks."""

    _engine: Engine
    _decision_log: DecisionLog

    @abstractmethod
    def _check_open(self) -> None:
        """Raise what an ended or failed allocator raises."""

    @property
    def status(self) -> AllocatorStatus:
        """A snapshot of what it does.

        Raises:
            trio.ClosedResourceError: The allocator has ended.
        """
        self._check_open()
        return snapshot(self._engine)

    def explain(self) -> Explanation:
        """Why everybody holds what it holds, and what blocks the next step of each.

        Takes time in proportion to the receivers, and changes nothing.

        Raises:
            trio.ClosedResourceError: The allocator has ended.
        """
        self._check_open()
        return explain(self._engine)

    @property
    def last_explanation(self) -> Explanation:
        """As `explain`; after its end, how it stood last.

        Raises:
            trio.BrokenResourceError: The allocator has failed.
        """
        with suppress(trio.ClosedResourceError):
            self._check_open()
        return explain(self._engine)

    def statistics(self) -> AllocatorStatistics:
        """Counters for metrics. May be read after the allocator has ended, too."""
        return statistics(self._engine)

    def decisions(self, capacity: int = DECISIONS_KEPT) -> DecisionChannel:
        """Listen to all decisions from now on; use it in a ``with``.

        Args:
            capacity: So many wait unread; beyond that the oldest are dropped and counted.

        Raises:
            TypeError, ValueError: `capacity` is not a number of decisions, at least 1.
            trio.ClosedResourceError: The allocator has ended.
        """
        self._check_open()
        return self._decision_log.open(quantities.whole_number("capacity", capacity, 1, 1_000_000))
