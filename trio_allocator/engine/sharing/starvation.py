"""What becomes free is reserved for a moment: for one that was bypassed too often, or for a lowest step (G8)."""

from __future__ import annotations

from collections.abc import Iterable

from ..ledger import Ledger
from ..receiver import Receiver
from ..settings import NEVER, Settings
from .class_index import ClassIndex, PriorityClass

PATIENCE = 2.0
"""How long a better picture waits while somebody of its class waits for a lowest step, s; G10 allows 2.5. Where
estimates climb, the lowest step fits soon after the better picture would, and takes its place: without this wait,
three raises on a Jitsi bridge's recording were taken back within 1 s."""

WAITS = 5
"""A picture that does not fit any more by then waits anew, up to this many times: 10 s in all. On ten
variations of that recording 2, 3, 5 and no end of it make 19.6, 18.6, 17.6 and 18.4 changes."""


class StarvationGuard:
    """Counts how often each was bypassed, and keeps the reservations that come of it.

    Args:
        ledger: The books; only turns of those who back off are written.
        settings: Limits of bypassing.
        index: Where everybody stands.
    """

    __slots__ = ("_index", "_ledger", "_settings")

    def __init__(self, ledger: Ledger, settings: Settings, index: ClassIndex) -> None:
        self._ledger = ledger
        self._settings = settings
        self._index = index

    def bypassed(self, receivers: Iterable[int], capacity: int, now: float) -> None:
        """These were bypassed in one event; three times, and what gets free is reserved."""
        self._index.flush()
        for receiver_id in sorted(receivers):
            if not self._index.waits_for_more(receiver_id):
                continue
            receiver = self._ledger[receiver_id]
            each = self._index.class_of(receiver_id)
            receiver.overtaken += 1
            if receiver.overtaken < self._settings.overtaken_limit or each.reserved_for is not None:
                continue
            if receiver.step_above(receiver.projected) > capacity:
                self._back_off(receiver, now)
                continue
            each.reserve(receiver_id, each.waiting, now + self._settings.overtaken_hold)

    @staticmethod
    def keeps_for_lowest(each: PriorityClass, room: int, now: float) -> bool:
        """Whether better pictures of a class wait: somebody waits for a lowest step, which does not fit yet.

        They wait once for each raise, or `WAITS` times where they do not fit any more by then: a lowest
        step that never fits does not keep them back for ever. Nor do lower classes get meanwhile what
        they would soon give.
        """
        if each.reserved_for is not None:
            return each.reserved_in is each.minimums
        waited, each.patient = not each.patient, True
        if waited or each.waits >= WAITS or not (each.minimums and each.waiting.next_round(room)):
            return False
        each.waits += 1
        each.reserve(each.minimums.first(), each.minimums, now + PATIENCE)
        return True

    def _back_off(self, receiver: Receiver, now: float) -> None:
        """It goes to the end of the queue."""
        receiver.overtaken = 0
        self._ledger.mark_waiting(receiver, now)
        self._index.place(receiver)

    def reserved(self) -> dict[int, float]:
        """For whom what becomes free is reserved, and until when."""
        return {
            each.reserved_for: each.reserved_until
            for each in self._index.classes.values()
            if each.reserved_for is not None
        }

    @property
    def wake_at(self) -> float:
        """When the next of these reservations ends."""
        return min((each.reserved_until for each in self._index.classes.values()), default=NEVER)

    def advance(self, now: float) -> None:
        """End the reservations that are over: those who were bypassed go to the end of the queue."""
        for each in list(self._index.classes.values()):
            if each.reserved_for is not None and each.reserved_until <= now:
                receiver = self._ledger[each.reserved_for]
                for_lowest = each.reserved_in is each.minimums
                each.release()
                if for_lowest:
                    each.patient = False
                else:
                    self._back_off(receiver, now)
