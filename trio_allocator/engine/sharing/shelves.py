"""The indices of the built-in sharing: per priority class, who would be cut or served first."""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict

from ..negotiation import Negotiation
from ..receiver import Receiver
from ..settings import NEVER
from .lazy_heap import LazyHeap
from .line import Line, Place

HELD_MINIMUM, PLANNED_MINIMUM, HELD_EXTRA, PLANNED_EXTRA = range(4)
"""What can be cut; within a class, the larger is cut first."""

CutKey = tuple[float, float, float]
"""One of the above, rate per weight, receiver id, all negated: the smallest key is cut first."""


class Shelf:
    """One priority class.

    Attributes:
        priority: The class.
        members: How many receivers are in it.
        asked_first: Who can be brought down by asking, or by dropping a plan.
        forced_last: Who refused, and can be brought down only by force.
        cuttable: How far down both of them go together, bit/s.
        extra: The part of that above their minimums.
        askable: The part of that in `asked_first`.
        minimums: Who waits for a minimum.
        restorable: Who may keep what was to be taken.
        waiting: Who waits for more than a minimum.
        demand: What all three of them would take, bit/s.
        seniors: Those in `waiting`, longest waiting first.
        elastic: Those of them who can use any part of what they wait for, least missing first.
        favoured: For whom what becomes free is held, if for anybody.
        favoured_until: Until when.
    """

    __slots__ = (
        "askable",
        "asked_first",
        "cuttable",
        "demand",
        "elastic",
        "extra",
        "favoured",
        "favoured_until",
        "forced_last",
        "members",
        "minimums",
        "priority",
        "restorable",
        "seniors",
        "waiting",
    )

    def __init__(self, priority: int) -> None:
        self.priority: int = priority
        self.members: int = 0
        self.asked_first: LazyHeap[CutKey] = LazyHeap()
        self.forced_last: LazyHeap[CutKey] = LazyHeap()
        self.cuttable: int = 0
        self.extra: int = 0
        self.askable: int = 0
        self.demand: int = 0
        self.minimums: Line = Line()
        self.restorable: Line = Line()
        self.waiting: Line = Line()
        self.seniors: LazyHeap[tuple[float, int]] = LazyHeap()
        self.elastic: LazyHeap[tuple[float]] = LazyHeap()
        self.favoured: int | None = None
        self.favoured_until: float = NEVER

    def disfavour(self) -> None:
        """Hold what becomes free for nobody."""
        self.favoured = None
        self.favoured_until = NEVER


class _Entry:
    """Where a receiver stands in the indices, so that it can be taken out again."""

    __slots__ = (
        "cut",
        "cuttable",
        "demand",
        "elastic",
        "extra",
        "line",
        "place",
        "queue",
        "senior",
        "shelf",
    )

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.queue: LazyHeap[CutKey] | None = None
        self.cut: CutKey = (0.0, 0.0, 0.0)
        self.cuttable = 0
        self.extra = 0
        self.demand = 0
        self.line: Line | None = None
        self.place: Place = (0.0, 0, 0.0)
        self.senior: tuple[float, int] | None = None
        self.elastic = False


class Shelves:
    """All classes, kept up to date.

    What changed is only noted by `note`, and put in its place when somebody looks (`flush`):
    one event may touch a receiver several times.
    """

    __slots__ = ("_entries", "_noted", "classes")

    def __init__(self) -> None:
        self.classes: SortedDict[int, Shelf] = SortedDict()
        self._entries: dict[int, _Entry] = {}
        self._noted: dict[int, Receiver] = {}

    def note(self, receiver: Receiver) -> None:
        """A receiver is new, or anything of it changed."""
        self._noted[receiver.id] = receiver

    def flush(self) -> None:
        """Put everything in its place."""
        if self._noted:
            noted, self._noted = self._noted, {}
            for receiver in noted.values():
                self.place(receiver)

    def drop(self, receiver: Receiver) -> None:
        """Forget a receiver, if it is known."""
        self._noted.pop(receiver.id, None)
        entry = self._entries.pop(receiver.id, None)
        if entry is not None:
            self._take_out(receiver.id, entry, None)
            if entry.shelf.favoured == receiver.id:
                entry.shelf.disfavour()
            self._close_if_empty(entry.shelf)

    def shelf_of(self, receiver_id: int) -> Shelf:
        """The class that a receiver stands in."""
        return self._entries[receiver_id].shelf

    def senior_key(self, receiver_id: int) -> tuple[float, int] | None:
        """A receiver's place among those who wait for more than a minimum; None if it does not."""
        entry = self._entries.get(receiver_id)
        return None if entry is None else entry.senior

    def needs_above(self, room: int, most: float) -> Iterator[int]:
        """Increments waited for that `room` does not hold, and `most` does, bit/s.

        The smallest of each class are among them. Who can use any part of what it waits for counts
        with all of it, or as much as `most` holds: a bit is no step worth probing for.
        """
        for shelf in self.classes.values():
            for line in (shelf.minimums, shelf.waiting):
                need = line.smallest_need_above(room)
                if need is not None and need <= most:
                    yield need
            first = shelf.elastic.first()
            if first is not None and min(first[0][0], most) > room:
                yield int(min(first[0][0], most))

    # --- placing -----------------------------------------------------------------------------

    def place(self, receiver: Receiver) -> None:
        """Put a receiver in its place."""
        priority = receiver.options.priority
        shelf: Shelf | None = self.classes.get(priority)
        if shelf is None:
            shelf = self.classes[priority] = Shelf(priority)
        entry = _Entry(shelf)
        _find_cut(receiver, entry)
        _find_line(receiver, entry)
        old = self._entries.get(receiver.id)
        self._entries[receiver.id] = entry
        shelf.members += 1
        if old is not None:
            self._take_out(receiver.id, old, entry)
        if entry.queue is not None:
            entry.queue.put(receiver.id, entry.cut)
            shelf.cuttable += entry.cuttable
            shelf.extra += entry.extra
            if entry.queue is shelf.asked_first:
                shelf.askable += entry.cuttable
        if entry.line is not None:
            entry.line.put(receiver.id, entry.place)
            shelf.demand += entry.demand
        if entry.senior is not None:
            shelf.seniors.put(receiver.id, entry.senior)
        if entry.elastic:
            shelf.elastic.put(receiver.id, (entry.demand,))
        if old is not None:
            if old.shelf.favoured == receiver.id and (
                entry.senior is None or old.shelf is not shelf
            ):
                old.shelf.disfavour()
            self._close_if_empty(old.shelf)

    @staticmethod
    def _take_out(receiver_id: int, old: _Entry, new: _Entry | None) -> None:
        """Undo an entry, but for what the new one overwrites anyway."""
        shelf = old.shelf
        shelf.members -= 1
        if old.queue is not None:
            shelf.cuttable -= old.cuttable
            shelf.extra -= old.extra
            if old.queue is shelf.asked_first:
                shelf.askable -= old.cuttable
            if new is None or new.queue is not old.queue:
                old.queue.discard(receiver_id)
        if old.line is not None:
            shelf.demand -= old.demand
            if new is None or new.line is not old.line:
                old.line.discard(receiver_id)
        if old.senior is not None and (new is None or new.senior is None or new.shelf is not shelf):
            shelf.seniors.discard(receiver_id)
        if old.elastic and (new is None or not new.elastic or new.shelf is not shelf):
            shelf.elastic.discard(receiver_id)

    def _close_if_empty(self, shelf: Shelf) -> None:
        if shelf.members == 0:
            del self.classes[shelf.priority]


def _find_cut(receiver: Receiver, entry: _Entry) -> None:
    """Where a receiver stands among those that can be brought down."""
    if receiver.negotiation is not Negotiation.IDLE:
        return
    level, lowest = receiver.projected, receiver.lowest
    planned = level > receiver.allocation
    refused = receiver.refusal is not None
    if planned and refused:
        lowest = receiver.allocation  # the plan can be dropped, what is held stays
    if level <= lowest:
        return
    if level > receiver.minimum:
        tier = PLANNED_EXTRA if planned else HELD_EXTRA
        entry.extra = level - max(lowest, receiver.minimum)
    else:
        tier = PLANNED_MINIMUM if planned else HELD_MINIMUM
    shelf = entry.shelf
    entry.queue = shelf.forced_last if refused and not planned else shelf.asked_first
    entry.cut = (-tier, -level / receiver.options.weight, -receiver.id)
    entry.cuttable = level - lowest


def _find_line(receiver: Receiver, entry: _Entry) -> None:
    """Where a receiver stands among those that wait."""
    level, shelf = receiver.projected, entry.shelf
    if level < receiver.allocation:
        if receiver.negotiation is Negotiation.PLEDGED:
            return
        target = restored(receiver, receiver.allocation - level)
        whole = receiver.steps or receiver.request is not None or level < receiver.minimum
        need = target - level if whole else 1
        weight = receiver.options.weight
        # Minimums first; among them, too, the lowest rate per weight, as they are cut.
        rank = target / weight if target > receiver.minimum else -weight / target
        entry.line, entry.place = shelf.restorable, (rank, need, 0.0)
        entry.demand = receiver.allocation - level
        return
    since = receiver.waiting_since
    if since is None or level >= receiver.want or receiver.held_until is not None:
        return
    if receiver.negotiation is not Negotiation.IDLE:
        return
    need = receiver.step_above(level) - level
    entry.demand = receiver.want - level
    if level < receiver.minimum:
        entry.line, entry.place = shelf.minimums, (0.0, need, since)
        return
    if receiver.options.elastic and not receiver.steps:
        need, entry.elastic = 1, True
    entry.line, entry.place = shelf.waiting, (float(receiver.rank(level)), need, since)
    entry.senior = (since, receiver.id)


def restored(receiver: Receiver, room: int) -> int:
    """The next level back up towards what is held: all of it once asked, else a step."""
    level, held = receiver.projected, receiver.allocation
    if receiver.request is not None:
        return held
    if level < receiver.minimum:
        return min(receiver.minimum, held)
    if not receiver.steps:
        return min(held, level + room)
    rank = receiver.rank(level)
    return min(receiver.steps[rank], held) if rank < len(receiver.steps) else held
