"""Nobody waits for ever: who is passed too often has what becomes free held for it (G8)."""

from __future__ import annotations

from collections.abc import Iterable

from ..ledger import Ledger
from ..receiver import Receiver
from ..settings import NEVER, Settings
from .shelves import Shelves


class Turns:
    """Counts who was overtaken, and keeps the holds that come of it.

    Args:
        ledger: The books; only turns of those who back off are written.
        settings: Limits of overtaking.
        shelves: Where everybody stands.
    """

    __slots__ = ("_ledger", "_settings", "_shelves")

    def __init__(self, ledger: Ledger, settings: Settings, shelves: Shelves) -> None:
        self._ledger = ledger
        self._settings = settings
        self._shelves = shelves

    def overtaken(self, receivers: Iterable[int], capacity: int, now: float) -> bool:
        """These were passed in one event; three times, and what gets free is held.

        Returns:
            Whether anything is held for anybody, or anybody backed off.
        """
        changed = False
        for receiver_id in sorted(receivers):
            if self._shelves.senior_key(receiver_id) is None:
                continue
            receiver = self._ledger[receiver_id]
            shelf = self._shelves.shelf_of(receiver_id)
            receiver.overtaken += 1
            if receiver.overtaken < self._settings.overtaken_limit or shelf.favoured is not None:
                continue
            changed = True
            if receiver.step_above(receiver.projected) > capacity:
                self._back_off(receiver, now)
                continue
            shelf.favoured = receiver_id
            shelf.favoured_until = now + self._settings.overtaken_hold
        return changed

    def _back_off(self, receiver: Receiver, now: float) -> None:
        receiver.overtaken = 0
        self._ledger.mark_waiting(receiver, now)
        self._shelves.place(receiver)

    def favoured(self) -> dict[int, float]:
        """For whom what becomes free is held, and until when."""
        return {
            shelf.favoured: shelf.favoured_until
            for shelf in self._shelves.classes.values()
            if shelf.favoured is not None
        }

    @property
    def wake_at(self) -> float:
        """When the next of these holds ends."""
        return min(
            (shelf.favoured_until for shelf in self._shelves.classes.values()), default=NEVER
        )

    def advance(self, now: float) -> list[Receiver]:
        """End the holds that are over: whoever had one goes to the end of the line."""
        ended = []
        for shelf in list(self._shelves.classes.values()):
            if shelf.favoured is not None and shelf.favoured_until <= now:
                receiver = self._ledger[shelf.favoured]
                shelf.disfavour()
                self._back_off(receiver, now)
                ended.append(receiver)
        return ended
