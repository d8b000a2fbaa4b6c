"""The built-in way to share: priority classes, minimums first, then low steps before high ones.

Everything that could be held is put into one order, and capacity is filled along it; what does
not fit is skipped, and what comes later may still fit ("first fit in a fixed order"). The order,
class by class from the highest priority:

1. minimums held, 2. minimums waited for, 3. what is held above minimums, lowest rate per weight
first, 4. what is waited for above minimums, lowest step first, longest waiting first.

A larger capacity never makes a first fit in a fixed order worth less (G4): where an item newly
fits, it alone outweighs all that it displaces. Since what is held stands before what is waited
for, nothing moves while nothing changes (G3, G5).

The order is never walked as a whole. Indices say what would be cut last and what would be served
first, so that an event costs in proportion to what it changes (C2).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..ledger import Ledger
from ..receiver import Receiver
from ..settings import NEVER, Settings
from .shelves import HELD_EXTRA, Shelf, Shelves, restored
from .turns import Turns


class FairShares:
    """Keeps the projections of a ledger at the fair shares.

    Args:
        ledger: The books; only projections are written, and turns of those who back off.
        settings: Limits of overtaking.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._shelves = Shelves()
        self._turns = Turns(ledger, settings, self._shelves)
        self._touched: dict[int, Receiver] = {}
        self._overtaken: set[int] = set()

    def index(self, receiver: Receiver) -> None:
        """Take note of a receiver that is new, or of which anything changed."""
        self._shelves.note(receiver)

    def drop(self, receiver: Receiver) -> None:
        """Forget a receiver, if it is known."""
        self._shelves.drop(receiver)

    # --- sharing -----------------------------------------------------------------------------

    def settle(
        self, capacity: int, *, negotiate: bool, force: bool, now: float
    ) -> Iterable[Receiver]:
        """Bring the projections to the fair shares of this capacity.

        Args:
            capacity: bit/s.
            negotiate: Whether anybody may be brought down; False while the estimate is unknown.
            force: Whether nobody owes an answer: only then may an overuse be cured by force.
            now: For the hold of one that was overtaken too often.

        Returns:
            The receivers whose projection changed, those to be cut first at the head.
        """
        self._shelves.flush()
        self._touched = {}
        exhausted = False
        if negotiate and self._ledger.projected > capacity:
            exhausted = self._cut_everybody(capacity, force=force)
        if not exhausted and not self._raise_everybody(capacity):
            while self._raise_one(capacity, negotiate=negotiate):
                pass
        overtaken, self._overtaken = self._overtaken, set()
        self._turns.overtaken(overtaken, capacity, now)
        return self._touched.values()

    def _move(self, receiver: Receiver, level: int) -> None:
        self._ledger.project(receiver, level)
        self._shelves.place(receiver)
        self._touched[receiver.id] = receiver

    def _move_all(self, moves: Iterable[tuple[Receiver, int]]) -> None:
        """As `_move`, for many at once; they are put in their places when somebody looks."""
        ledger, touched, note = self._ledger, self._touched, self._shelves.note
        for receiver, level in moves:
            ledger.project(receiver, level)
            touched[receiver.id] = receiver
            note(receiver)

    def _cut_everybody(self, capacity: int, *, force: bool) -> bool:
        """In overuse: where a whole class must give all that it can, order does not matter.

        Returns:
            True if everybody has given all, and nothing is left over: all is said then.
        """
        ledger = self._ledger
        classes = self._shelves.classes.values()
        asking = False
        for by_force in (False, True):
            if by_force and (asking or not force):
                return True  # while anybody is left to ask, nobody is forced (N8)
            for shelf in classes:
                most = shelf.cuttable - shelf.askable if by_force else shelf.askable
                if ledger.projected - capacity < most:
                    self._shelves.flush()
                    self._cut(capacity, below=None, with_extras_of=None)
                    return False
                queue = shelf.forced_last if by_force else shelf.asked_first
                members = [ledger[receiver_id] for receiver_id in queue.in_order()]
                self._move_all([(r, _lowest(r, by_force=by_force)) for r in members])
                asking = asking or any(r.projected < r.allocation for r in members)
                if any(receiver.refusal is not None for receiver in members):
                    self._shelves.flush()  # whose plan was dropped may be forced besides
        return ledger.projected >= capacity

    def _raise_everybody(self, capacity: int) -> bool:
        """Where there is room for all that everybody waits for, order does not matter.

        Returns:
            True if nobody waits any more.
        """
        ledger = self._ledger
        classes = self._shelves.classes.values()
        demand = sum(shelf.demand for shelf in classes)
        if demand > capacity - ledger.projected:
            return False
        again = False
        for shelf in reversed(classes) if demand else ():
            members = [
                ledger[receiver_id]
                for line in (shelf.minimums, shelf.restorable, shelf.waiting)
                for receiver_id in line
            ]
            self._move_all(
                [(r, r.allocation if r.projected < r.allocation else r.want) for r in members]
            )
            shelf.disfavour()
            again |= len(shelf.restorable) > 0  # who keeps what it holds may wait for more
        if again:
            self._shelves.flush()
        return not again

    def _cut(self, capacity: int, *, below: int | None, with_extras_of: int | None) -> None:
        """Cut until it fits: those who can be asked first, then those who refused (N8)."""
        ledger = self._ledger
        for by_force in (False, True):
            for shelf in list(self._shelves.classes.values()):
                if ledger.projected <= capacity:
                    return
                same = shelf.priority == with_extras_of
                if below is not None and shelf.priority >= below and not same:
                    break
                queue = shelf.forced_last if by_force else shelf.asked_first
                while ledger.projected > capacity and (first := queue.first()) is not None:
                    key, receiver_id = first
                    if same and -key[0] < HELD_EXTRA:
                        break
                    receiver = ledger[receiver_id]
                    self._move(receiver, _cut_down(receiver, ledger.projected - capacity))

    def _raise_one(self, capacity: int, *, negotiate: bool) -> bool:
        """Serve whoever comes first among those who fit, or could by displacing lower ranks."""
        slack = capacity - self._ledger.projected
        classes = self._shelves.classes.values()
        below = sum(shelf.cuttable for shelf in classes) if negotiate else 0
        askable = sum(shelf.askable for shelf in classes) if negotiate else 0
        held_back = False
        for shelf in reversed(classes):
            if negotiate:
                below -= shelf.cuttable
                askable -= shelf.askable
            room = slack + below
            # Nobody is forced lest another be asked (N8).
            back = shelf.restorable.first_fitting(slack + askable)
            level = 0 if back is None else restored(self._ledger[back], slack + askable)
            held_minimum = back is not None and level <= self._ledger[back].minimum
            if not held_back and not held_minimum:
                extra = shelf.extra if negotiate else 0
                chosen = shelf.minimums.first_fitting(room + extra)
                if chosen is not None:
                    receiver = self._ledger[chosen]
                    self._move(receiver, receiver.step_above(receiver.projected))
                    self._cut(capacity, below=shelf.priority, with_extras_of=shelf.priority)
                    return True
            chosen = back
            if back is not None:
                self._move(self._ledger[back], level)
            elif not held_back:
                chosen = self._first_waiting(shelf, room)
                held_back = shelf.favoured is not None
                if chosen is not None:
                    self._serve(shelf, self._ledger[chosen], room)
            if chosen is not None:
                self._cut(capacity, below=shelf.priority, with_extras_of=None)
                return True
        return False

    @staticmethod
    def _first_waiting(shelf: Shelf, room: int) -> int | None:
        if shelf.favoured is None:
            return shelf.waiting.first_fitting(room)
        need = shelf.waiting.need_of(shelf.favoured)
        return shelf.favoured if need is not None and need <= room else None

    def _serve(self, shelf: Shelf, receiver: Receiver, room: int) -> None:
        first = shelf.seniors.first()
        if first is not None and first[1] != receiver.id:
            self._overtaken.add(first[1])
        shelf.disfavour()
        level = receiver.step_above(receiver.projected)
        if receiver.options.elastic and not receiver.steps:
            level = min(level, receiver.projected + room)
        self._move(receiver, level)

    # --- turns -------------------------------------------------------------------------------

    def favoured(self) -> dict[int, float]:
        """For whom what becomes free is held, and until when."""
        return self._turns.favoured()

    def kept_back(self, now: float, free: int) -> dict[int, float]:  # noqa: ARG002
        """Nobody: what fits is granted."""
        return {}

    def bars(self) -> dict[int, int]:
        """Nobody: what fits is granted."""
        return {}

    @property
    def wake_at(self) -> float:
        """When the next of these holds ends."""
        return self._turns.wake_at

    def advance(self, now: float) -> None:
        """End the holds that are over."""
        self._turns.advance(now)

    def next_need(self, room: int, most: float = NEVER) -> int | None:
        """See `Sharing.next_need`."""
        self._shelves.flush()
        return min(self._shelves.needs_above(max(room, 1), most), default=None)


def _lowest(receiver: Receiver, *, by_force: bool) -> int:
    """How far down a receiver goes; without force a plan can be dropped, what is refused stays."""
    refuses = receiver.refusal is not None and not by_force
    return receiver.allocation if refuses else receiver.lowest


def _cut_down(receiver: Receiver, need: int) -> int:
    """The next level down: first what is only planned, then what is held."""
    level, held = receiver.projected, receiver.allocation
    if level > held:
        divisible = receiver.steps or receiver.options.elastic
        if level <= receiver.minimum:
            return held
        if not divisible:  # a part of it would be of no use
            return max(receiver.minimum, held)
        return max(receiver.step_below(level, need), held)
    return max(receiver.step_below(level, need), receiver.lowest)
