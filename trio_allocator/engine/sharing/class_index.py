"""The index: for each priority class, who can be brought down, and who waits for what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sortedcontainers import SortedDict

from ...policies.step_classes import class_above, class_below, parts_between
from ..lazy_heap import LazyHeap
from ..negotiation import Negotiation
from ..receiver import Receiver
from ..settings import NEVER
from .need_queue import NeedQueue, Place


class PriorityClass:
    """One priority class. Rates are bit/s.

    Of a receiver with a priority per step, what is below is meant of the steps of this class.

    Attributes:
        priority: The class.
        alone: This class and no other: where nearly all receivers stand.
        members: How many receivers have a step in it.
        askable: Who can be brought down by asking, or by dropping a plan.
        forcible: Who refused, and can be brought down only by force.
        gives: How far down the askable go together.
        gives_extra: The part of that above their minimums.
        forced: How far down the forcible go together.
        forced_extra: The part of that above their minimums.
        minimums: Who waits for a minimum.
        restorable: Who may keep what was to be taken.
        waiting: Who waits for more than a minimum.
        demand: What all three of them would take.
        longest: Those in `waiting`, longest waiting first.
        elastic: Those of them who can use any part of what they wait for, least missing first.
        tops: The highest step of each ladder, highest first.
        reserved_for: For whom what becomes free is reserved, if for anybody.
        reserved_until: Until when.
    """

    __slots__ = (
        "alone",
        "askable",
        "demand",
        "elastic",
        "forced",
        "forced_extra",
        "forcible",
        "gives",
        "gives_extra",
        "longest",
        "members",
        "minimums",
        "priority",
        "reserved_for",
        "reserved_until",
        "restorable",
        "tops",
        "waiting",
    )

    def __init__(self, priority: int) -> None:
        self.priority: int = priority
        self.alone: tuple[PriorityClass, ...] = (self,)
        self.members: int = 0
        self.askable: dict[int, Receiver] = {}
        self.forcible: dict[int, Receiver] = {}
        self.gives: int = 0
        self.gives_extra: int = 0
        self.forced: int = 0
        self.forced_extra: int = 0
        self.demand: int = 0
        self.minimums: NeedQueue = NeedQueue()
        self.restorable: NeedQueue = NeedQueue()
        self.waiting: NeedQueue = NeedQueue()
        self.longest: LazyHeap[tuple[float, int]] = LazyHeap()
        self.elastic: LazyHeap[tuple[float]] = LazyHeap()
        self.tops: LazyHeap[tuple[float]] = LazyHeap()
        self.reserved_for: int | None = None
        self.reserved_until: float = NEVER

    def release(self) -> None:
        """Reserve what becomes free for nobody."""
        self.reserved_for = None
        self.reserved_until = NEVER

    @property
    def best_step(self) -> int:
        """The highest step of any ladder of the class; 0 without ladders."""
        first = self.tops.first()
        return 0 if first is None else -int(first[0][0])


class _Entry:
    """Where a receiver stands in the indices, so that it can be taken out again."""

    __slots__ = (
        "classes",
        "demand",
        "elastic",
        "forced",
        "gives",
        "longest",
        "place",
        "queue",
        "waits_in",
    )

    def __init__(self, classes: Sequence[PriorityClass], waits_in: PriorityClass) -> None:
        self.classes = classes
        self.waits_in = waits_in
        self.gives: tuple[tuple[PriorityClass, int, int], ...] = ()
        self.forced = False
        self.demand = 0
        self.queue: NeedQueue | None = None
        self.place: Place = (0.0, 0, 0.0, (0.0, 0))
        self.longest: tuple[float, int] | None = None
        self.elastic = False


class ClassIndex:
    """All classes, kept up to date.

    What changed is only noted by `note`, and put in its place when somebody looks (`flush`):
    one event may touch a receiver several times.
    """

    __slots__ = ("_entries", "_noted", "classes")

    def __init__(self) -> None:
        self.classes: SortedDict[int, PriorityClass] = SortedDict()
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
        """Forget a receiver."""
        self._noted.pop(receiver.id, None)
        entry = self._entries.pop(receiver.id)
        self._take_out(receiver.id, entry)
        for each in entry.classes:
            self._leave(receiver.id, each)

    def class_of(self, receiver_id: int) -> PriorityClass:
        """The class that a receiver's next step belongs to."""
        return self._entries[receiver_id].waits_in

    def waits_for_more(self, receiver_id: int) -> bool:
        """Whether a receiver waits for more than a minimum."""
        entry = self._entries.get(receiver_id)
        return entry is not None and entry.longest is not None

    def needs_above(self, room: int, most: float) -> Iterator[int]:
        """Increments waited for that `room` does not hold, and `most` does, bit/s.

        The smallest of each class are among them. A receiver that can use any part of what it waits for counts
        with all of it, or as much as `most` holds: a bit is no step worth probing for.
        """
        for each in self.classes.values():
            for queue in (each.minimums, each.waiting):
                need = queue.smallest_need_above(room)
                if need is not None and need <= most:
                    yield need
            first = each.elastic.first()
            if first is not None and min(first[0][0], most) > room:
                yield int(min(first[0][0], most))

    # --- placing -----------------------------------------------------------------------------

    def place(self, receiver: Receiver) -> None:
        """Put a receiver in its place."""
        number = receiver.id
        old = self._entries.get(number)
        classes = tuple(self._class(priority) for priority, _ in receiver.classes)
        if len(classes) == 1:
            classes = classes[0].alone  # one tuple for all of them
        each = self.classes[_waits_in(receiver)]
        entry = self._entries[number] = _Entry(classes, each)
        self._find_what_it_gives(receiver, entry)
        _find_queue(receiver, entry)
        if old is not None:
            self._take_out(number, old, entry)
        before = () if old is None else old.classes
        if before != classes:
            for one in classes:
                one.members += one not in before
            for one in before:
                if one not in classes:
                    self._leave(number, one)
        for one in classes:
            if receiver.steps:
                one.tops.put(number, (-receiver.steps[-1],))
            else:
                one.tops.discard(number)
            if one.reserved_for == number and (one is not each or entry.longest is None):
                one.release()
        for one, gives, extra in entry.gives:
            if entry.forced:
                one.forcible[number] = receiver
                one.forced += gives
                one.forced_extra += extra
            else:
                one.askable[number] = receiver
                one.gives += gives
                one.gives_extra += extra
        if entry.queue is not None:
            entry.queue.put(number, entry.place)
            each.demand += entry.demand
        if entry.longest is not None:
            each.longest.put(number, entry.longest)
        if entry.elastic:
            each.elastic.put(number, (entry.demand,))

    def _class(self, priority: int) -> PriorityClass:
        each: PriorityClass | None = self.classes.get(priority)
        if each is None:
            each = self.classes[priority] = PriorityClass(priority)
        return each

    def _find_what_it_gives(self, receiver: Receiver, entry: _Entry) -> None:
        """How far a receiver can be brought down in each class, and whether only by force."""
        if receiver.negotiation is not Negotiation.IDLE:
            return
        level, lowest = receiver.projected, receiver.lowest
        planned = level > receiver.allocation
        refused = receiver.refusal is not None
        if planned and refused:
            lowest = receiver.allocation  # the plan can be dropped, what is held stays
        entry.forced = refused and not planned
        if level <= lowest:
            return
        base = max(lowest, receiver.minimum)
        if len(entry.classes) == 1:  # as nearly always
            entry.gives = ((entry.waits_in, level - lowest, max(0, level - base)),)
            return
        extras = dict(parts_between(receiver.classes, base, level))
        entry.gives = tuple(
            (self.classes[priority], gives, extras.get(priority, 0))
            for priority, gives in parts_between(receiver.classes, lowest, level)
        )

    @staticmethod
    def _take_out(number: int, old: _Entry, new: _Entry | None = None) -> None:
        """Undo an entry, but for what the new one overwrites anyway."""
        each = old.waits_in
        same = new is not None and new.waits_in is each
        for one, gives, extra in old.gives:
            if old.forced:
                del one.forcible[number]
                one.forced -= gives
                one.forced_extra -= extra
            else:
                del one.askable[number]
                one.gives -= gives
                one.gives_extra -= extra
        if old.queue is not None:
            each.demand -= old.demand
            if new is None or new.queue is not old.queue:
                old.queue.discard(number)
        if old.longest is not None and not (same and new is not None and new.longest is not None):
            each.longest.discard(number)
        if old.elastic and not (same and new is not None and new.elastic):
            each.elastic.discard(number)

    def _leave(self, number: int, each: PriorityClass) -> None:
        """One is no more in a class."""
        each.tops.discard(number)
        each.members -= 1
        if each.reserved_for == number:
            each.release()
        if each.members == 0:
            del self.classes[each.priority]


def _waits_in(receiver: Receiver) -> int:
    """The class in which a receiver waits, or would: that of its next step."""
    if receiver.request is not None and receiver.projected < receiver.allocation:
        return class_below(receiver.classes, receiver.allocation)  # it keeps all, or goes there
    return class_above(receiver.classes, receiver.projected)


def _find_queue(receiver: Receiver, entry: _Entry) -> None:
    """Where a receiver stands among those that wait."""
    level, each = receiver.projected, entry.waits_in
    if level < receiver.allocation:
        if receiver.negotiation is Negotiation.PLEDGED:
            return
        target = restored(receiver, receiver.allocation - level)
        whole = receiver.steps or receiver.request is not None or level < receiver.minimum
        need = target - level if whole else 1
        weight = receiver.options.weight
        # Minimums first; among them, too, the lowest rate per weight.
        rank = target / weight if target > receiver.minimum else -weight / target
        entry.queue, entry.place = each.restorable, (rank, need, 0.0, (weight, level))
        entry.demand = receiver.allocation - level
        return
    if receiver.waiting_since is None or level >= receiver.want or receiver.held_until is not None:
        return
    if receiver.negotiation is not Negotiation.IDLE:
        return
    need = receiver.step_above(level) - level
    weight, turn = receiver.options.weight, receiver.turn(level)
    first = turn == -NEVER  # a round of its own, before all others
    entry.demand = receiver.want - level
    if level < receiver.minimum:
        entry.queue, entry.place = (
            each.minimums,
            (-1.0 if first else 0.0, need, turn, (weight, level)),
        )
        return
    if receiver.options.elastic and not receiver.steps:
        need, entry.elastic = 1, True
    entry.queue = each.waiting
    entry.place = (-1.0 if first else float(receiver.rank(level)), need, turn, (weight, level))
    entry.longest = (
        receiver.waiting_since,
        receiver.id,
    )  # who returns bypasses it, and that counts


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
