"""The index: for each priority class, who can be brought down, and who waits for what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from attrs import define, field
from sortedcontainers import SortedDict

from ...policies.next_step import next_step
from ...policies.step_classes import class_above, class_below, parts_between
from ..lazy_heap import LazyHeap
from ..negotiation import Negotiation
from ..receiver import Receiver
from ..settings import NEVER
from .need_queue import NeedQueue, Place


@define(eq=False)
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
        reserved_in: The queue in which that receiver waits.
        reserved_until: Until when.
        patient: Better pictures have not just waited for somebody's lowest step.
        waits: How often they have since one was served.
    """

    priority: int
    alone: tuple[PriorityClass, ...] = field(init=False)
    members: int = 0
    askable: dict[int, Receiver] = field(factory=dict)
    forcible: dict[int, Receiver] = field(factory=dict)
    gives: int = 0
    gives_extra: int = 0
    forced: int = 0
    forced_extra: int = 0
    demand: int = 0
    minimums: NeedQueue = field(factory=NeedQueue)
    restorable: NeedQueue = field(factory=NeedQueue)
    waiting: NeedQueue = field(factory=NeedQueue)
    longest: LazyHeap[tuple[float, int]] = field(factory=LazyHeap)
    elastic: LazyHeap[tuple[float]] = field(factory=LazyHeap)
    tops: LazyHeap[tuple[float]] = field(factory=LazyHeap)
    reserved_for: int | None = None
    reserved_in: NeedQueue | None = None
    reserved_until: float = NEVER
    patient: bool = True
    waits: int = 0

    def __attrs_post_init__(self) -> None:
        self.alone = (self,)

    def reserve(self, receiver_id: int, queue: NeedQueue, until: float) -> None:
        """Reserve what becomes free for one that waits in a queue of this class."""
        self.reserved_for, self.reserved_in, self.reserved_until = receiver_id, queue, until

    def release(self) -> None:
        """Reserve what becomes free for nobody."""
        self.reserved_for = self.reserved_in = None
        self.reserved_until = NEVER

    @property
    def best_step(self) -> int:
        """The highest step of any ladder of the class; 0 without ladders."""
        first = self.tops.first()
        return 0 if first is None else -int(first[0][0])


@define(eq=False)
class _Entry:
    """Where a receiver stands in the indices, so that it can be taken out again."""

    waits_in: PriorityClass
    classes: Sequence[PriorityClass] = ()
    top: int = 0
    gives: tuple[tuple[PriorityClass, int, int], ...] = ()
    forced: bool = False
    queue: NeedQueue | None = None
    demand: int = 0
    longest: tuple[float, int] | None = None
    elastic: bool = False


_Gives: TypeAlias = tuple[tuple[PriorityClass, int, int], ...]
"""Classes, how far down a receiver can be brought in each, and the part of that above its minimum, bit/s."""

_Standing: TypeAlias = tuple[NeedQueue | None, Place, int, tuple[float, int] | None, bool]
"""Queue and place in it, what is wanted in all, bit/s; place among the longest waiting, if it is in that
queue, and whether any part is of use."""

_NOT_WAITING: _Standing = (None, (0.0, 0, 0.0, (1.0, 0)), 0, None, False)


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
        number = receiver.id
        self._noted.pop(number, None)
        entry = self._entries.pop(number)
        _give(receiver, entry, (), forced=False)
        _wait(number, entry, _NOT_WAITING)
        for each in entry.classes:
            self._leave(number, each)

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
        if len(receiver.classes) == 1:  # as nearly always
            each = self._class(receiver.classes[0][0])
            classes = each.alone  # one tuple for all of them
        else:
            classes = tuple(self._class(priority) for priority, _ in receiver.classes)
            each = self.classes[_waits_in(receiver)]
        entry = self._entries.get(number)
        if entry is None:
            entry = self._entries[number] = _Entry(each)
        top = receiver.steps[-1] if receiver.steps else 0
        if top != entry.top or classes != entry.classes:
            self._join(number, entry, classes, top)
        _give(receiver, entry, *self._what_it_gives(receiver, each, classes))
        standing = _standing(receiver, each)
        if each is not entry.waits_in:
            _wait(number, entry, _NOT_WAITING)
            entry.waits_in = each
        _wait(number, entry, standing)
        for one in classes:
            if one.reserved_for == number and entry.queue is not one.reserved_in:
                one.release()

    def _class(self, priority: int) -> PriorityClass:
        each: PriorityClass | None = self.classes.get(priority)
        if each is None:
            each = self.classes[priority] = PriorityClass(priority)
        return each

    def _join(self, number: int, entry: _Entry, classes: Sequence[PriorityClass], top: int) -> None:
        """A receiver belongs to these classes from now on, with this highest step."""
        for one in classes:
            one.members += one not in entry.classes
            if top:
                one.tops.put(number, (-top,))
            else:
                one.tops.discard(number)
        for one in entry.classes:
            if one not in classes:
                self._leave(number, one)
        entry.classes, entry.top = classes, top

    def _what_it_gives(
        self, receiver: Receiver, each: PriorityClass, classes: Sequence[PriorityClass]
    ) -> tuple[_Gives, bool]:
        """How far a receiver can be brought down in each class, and whether only by force."""
        if receiver.negotiation is not Negotiation.IDLE:
            return (), False
        level, lowest = receiver.projected, receiver.lowest
        planned = level > receiver.allocation
        refused = receiver.refusal is not None
        if planned and refused:
            lowest = receiver.allocation  # the plan can be dropped, what is held stays
        forced = refused and not planned
        if level <= lowest:
            return (), forced
        base = max(lowest, receiver.minimum)
        if len(classes) == 1:
            return ((each, level - lowest, max(0, level - base)),), forced
        extras = dict(parts_between(receiver.classes, base, level))
        gives = tuple(
            (self.classes[priority], gives, extras.get(priority, 0))
            for priority, gives in parts_between(receiver.classes, lowest, level)
        )
        return gives, forced

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


def _give(receiver: Receiver, entry: _Entry, gives: _Gives, forced: bool) -> None:
    """A receiver can be brought down by this much from now on."""
    if gives == entry.gives and forced is entry.forced:
        return
    for one, below, extra in entry.gives:
        if entry.forced:
            del one.forcible[receiver.id]
            one.forced -= below
            one.forced_extra -= extra
        else:
            del one.askable[receiver.id]
            one.gives -= below
            one.gives_extra -= extra
    for one, below, extra in gives:
        if forced:
            one.forcible[receiver.id] = receiver
            one.forced += below
            one.forced_extra += extra
        else:
            one.askable[receiver.id] = receiver
            one.gives += below
            one.gives_extra += extra
    entry.gives, entry.forced = gives, forced


def _wait(number: int, entry: _Entry, standing: _Standing) -> None:
    """A receiver waits like this from now on, in the class of its entry."""
    queue, place, demand, longest, elastic = standing
    each = entry.waits_in
    if entry.queue is not None and entry.queue is not queue:
        entry.queue.discard(number)
    if queue is not None:
        queue.put(number, place)
    each.demand += demand - entry.demand
    if longest is not None:
        each.longest.put(number, longest)
    elif entry.longest is not None:
        each.longest.discard(number)
    if elastic:
        each.elastic.put(number, (demand,))
    elif entry.elastic:
        each.elastic.discard(number)
    entry.queue, entry.demand, entry.longest, entry.elastic = queue, demand, longest, elastic


def _standing(receiver: Receiver, each: PriorityClass) -> _Standing:
    """How a receiver waits, in the class that it waits in."""
    level = receiver.projected
    weight = receiver.options.weight
    if level < receiver.allocation:
        if receiver.negotiation is Negotiation.PLEDGED:
            return _NOT_WAITING
        target = restored(receiver, receiver.allocation - level)
        whole = receiver.steps or receiver.request is not None or level < receiver.minimum
        need = target - level if whole else 1
        # Minimums first; among them, too, the lowest rate per weight.
        rank = target / weight if target > receiver.minimum else -weight / target
        place = (rank, need, 0.0, (weight, level))
        return each.restorable, place, receiver.allocation - level, None, False
    since = receiver.waiting_since
    if since is None or level >= receiver.want or receiver.held_until is not None:
        return _NOT_WAITING
    if receiver.negotiation is not Negotiation.IDLE:
        return _NOT_WAITING
    need, demand = receiver.step_above(level) - level, receiver.want - level
    turn = receiver.turn(level)
    first = turn == -NEVER  # a round of its own, before all others
    if level < receiver.minimum:
        place = (-1.0 if first else 0.0, need, turn, (weight, level))
        return each.minimums, place, demand, None, False
    elastic = receiver.options.elastic and not receiver.steps
    place = (
        -1.0 if first else float(receiver.rank(level)),
        1 if elastic else need,
        turn,
        (weight, level),
    )
    # One that returns bypasses the one that waits longest, and that counts.
    return each.waiting, place, demand, (since, receiver.id), elastic


def restored(receiver: Receiver, room: int) -> int:
    """The next level back up towards what is held: all of it once asked, else a step."""
    level, held = receiver.projected, receiver.allocation
    if receiver.request is not None:
        return held
    if not receiver.steps and level >= receiver.minimum:
        return min(held, level + room)
    return next_step(level, receiver.minimum, receiver.steps, held)
