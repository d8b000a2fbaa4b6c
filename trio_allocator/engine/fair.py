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

from attrs import frozen
from sortedcontainers import SortedDict, SortedList

from .ledger import Ledger
from .line import Line, Place
from .negotiation import Negotiation
from .receiver import Receiver
from .settings import NEVER, Settings

_HELD_MINIMUM, _PLANNED_MINIMUM, _HELD_EXTRA, _PLANNED_EXTRA = range(4)
"""Within a class, the larger is cut first."""

_Cut = tuple[int, float, int]
"""One of the above, rate per weight, receiver id: the largest is cut first."""


class _Class:
    """The indices of one priority class."""

    __slots__ = (
        "cuts",
        "cuttable",
        "extra",
        "favoured",
        "favoured_until",
        "forced",
        "members",
        "minimums",
        "priority",
        "restorable",
        "seniority",
        "waiting",
    )

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.members = 0
        self.cuts: SortedList[_Cut] = SortedList()
        self.forced: SortedList[_Cut] = SortedList()
        self.minimums = Line()
        self.restorable = Line()
        self.waiting = Line()
        self.seniority: SortedList[tuple[float, int]] = SortedList()
        self.cuttable = 0
        self.extra = 0
        self.favoured: int | None = None
        self.favoured_until = NEVER

    @property
    def lines(self) -> tuple[Line, Line, Line]:
        return self.minimums, self.restorable, self.waiting


@frozen
class _Entry:
    """Where a receiver stands in the indices, so that it can be taken out again."""

    home: _Class
    cuts: SortedList[_Cut] | None = None
    cut: _Cut | None = None
    cuttable: int = 0
    extra: int = 0
    line: Line | None = None
    place: Place | None = None
    senior: tuple[float, int] | None = None


class FairShares:
    """Keeps the projections of a ledger at the fair shares.

    Args:
        ledger: The books; only projections are written.
        settings: Limits of overtaking.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._classes: SortedDict[int, _Class] = SortedDict()
        self._entries: dict[int, _Entry] = {}
        self._touched: dict[int, Receiver] = {}
        self._overtaken: set[int] = set()

    # --- keeping the indices -----------------------------------------------------------------

    def index(self, receiver: Receiver) -> None:
        """Take note of a receiver that is new, or of which anything changed."""
        old = self._take_out(receiver.id)
        home = self._home(receiver.options.priority)
        entry = self._entry(receiver, home)
        self._entries[receiver.id] = entry
        home.members += 1
        if entry.cuts is not None:
            entry.cuts.add(entry.cut)
            home.cuttable += entry.cuttable
            home.extra += entry.extra
        if entry.line is not None and entry.place is not None:
            entry.line.add(entry.place)
        if entry.senior is not None:
            home.seniority.add(entry.senior)
        if old is not None:
            if old.home.favoured == receiver.id and (entry.senior is None or old.home is not home):
                self._disfavour(old.home)
            self._close_if_empty(old.home)

    def drop(self, receiver: Receiver) -> None:
        """Forget a receiver, if it is known."""
        entry = self._take_out(receiver.id)
        if entry is not None:
            if entry.home.favoured == receiver.id:
                self._disfavour(entry.home)
            self._close_if_empty(entry.home)

    def _home(self, priority: int) -> _Class:
        home: _Class | None = self._classes.get(priority)
        if home is None:
            home = self._classes[priority] = _Class(priority)
        return home

    def _close_if_empty(self, home: _Class) -> None:
        if home.members == 0:
            del self._classes[home.priority]

    def _take_out(self, receiver_id: int) -> _Entry | None:
        entry = self._entries.pop(receiver_id, None)
        if entry is None:
            return None
        home = entry.home
        home.members -= 1
        if entry.cuts is not None:
            entry.cuts.remove(entry.cut)
            home.cuttable -= entry.cuttable
            home.extra -= entry.extra
        if entry.line is not None and entry.place is not None:
            entry.line.remove(entry.place)
        if entry.senior is not None:
            home.seniority.remove(entry.senior)
        return entry

    def _entry(self, receiver: Receiver, home: _Class) -> _Entry:
        cuts, cut, cuttable, extra = self._cut_entry(receiver, home)
        line, place = self._line_entry(receiver, home)
        senior = None
        if line is home.waiting and receiver.waiting_since is not None:
            senior = (receiver.waiting_since, receiver.id)
        return _Entry(home, cuts, cut, cuttable, extra, line, place, senior)

    @staticmethod
    def _cut_entry(
        receiver: Receiver, home: _Class
    ) -> tuple[SortedList[_Cut] | None, _Cut | None, int, int]:
        level = receiver.projected
        planned = level > receiver.allocation
        if receiver.negotiation is not Negotiation.IDLE:
            return None, None, 0, 0
        lowest = receiver.lowest
        by_force = receiver.refusal is not None and not planned
        if planned and (receiver.refusal is not None or not receiver.options.negotiable):
            lowest = receiver.allocation
        if level <= lowest:
            return None, None, 0, 0
        if level > receiver.minimum:
            tier = _PLANNED_EXTRA if planned else _HELD_EXTRA
        else:
            tier = _PLANNED_MINIMUM if planned else _HELD_MINIMUM
        cut = (tier, level / receiver.options.weight, receiver.id)
        extra = max(0, level - max(lowest, receiver.minimum))
        return home.forced if by_force else home.cuts, cut, level - lowest, extra

    @staticmethod
    def _line_entry(receiver: Receiver, home: _Class) -> tuple[Line | None, Place | None]:
        level = receiver.projected
        if level < receiver.allocation:
            if receiver.negotiation is Negotiation.PLEDGED:
                return None, None
            target = _restored(receiver, receiver.allocation - level)
            need = target - level if receiver.steps or receiver.request is not None else 1
            rank = target / receiver.options.weight if target > receiver.minimum else 0.0
            return home.restorable, (rank, need, 0.0, receiver.id)
        since = receiver.waiting_since
        if since is None or level >= receiver.want or receiver.held_until is not None:
            return None, None
        if receiver.negotiation is not Negotiation.IDLE:
            return None, None
        need = receiver.step_above(level) - level
        if level < min(receiver.minimum, receiver.want):
            return home.minimums, (0.0, need, since, receiver.id)
        if receiver.options.elastic and not receiver.steps:
            need = 1
        return home.waiting, (float(receiver.rank(level)), need, since, receiver.id)

    # --- sharing -----------------------------------------------------------------------------

    def settle(self, capacity: int, *, negotiate: bool, now: float) -> Iterable[Receiver]:
        """Bring the projections to the fair shares of this capacity.

        Args:
            capacity: bit/s.
            negotiate: Whether anybody may be brought down; False while the estimate is unknown.
            now: For the hold of one that was overtaken too often.

        Returns:
            The receivers whose projection changed, those to be cut first at the head.
        """
        self._touched = {}
        if negotiate:
            self._cut(capacity, below=None, with_extras_of=None)
        while self._raise_one(capacity, negotiate=negotiate):
            pass
        if self._overtaken:
            self._favour_overtaken(capacity, now)
        return self._touched.values()

    def _move(self, receiver: Receiver, level: int) -> None:
        self._ledger.project(receiver, level)
        self.index(receiver)
        self._touched[receiver.id] = receiver

    def _cut(self, capacity: int, *, below: int | None, with_extras_of: int | None) -> None:
        """Cut until it fits: those who can be asked first, then those who refused (N8)."""
        for attribute in ("cuts", "forced"):
            for home in list(self._classes.values()):
                same = home.priority == with_extras_of
                if below is not None and home.priority >= below and not same:
                    break
                queue: SortedList[_Cut] = getattr(home, attribute)
                while queue and self._ledger.projected > capacity:
                    tier, _, receiver_id = queue[-1]
                    if same and tier < _HELD_EXTRA:
                        break
                    receiver = self._ledger[receiver_id]
                    self._move(receiver, _cut_down(receiver, self._ledger.projected - capacity))
                if self._ledger.projected <= capacity:
                    return

    def _raise_one(self, capacity: int, *, negotiate: bool) -> bool:
        """Serve whoever comes first among those who fit, or could by displacing lower ranks."""
        slack = capacity - self._ledger.projected
        below = sum(home.cuttable for home in self._classes.values()) if negotiate else 0
        held_back = False
        for home in reversed(self._classes.values()):
            extra = home.extra if negotiate else 0
            below -= home.cuttable if negotiate else 0
            room = slack + below
            chosen = None if held_back else home.minimums.first_fitting(room + extra)
            if chosen is not None:
                receiver = self._ledger[chosen]
                self._move(receiver, receiver.step_above(receiver.projected))
                self._cut(capacity, below=home.priority, with_extras_of=home.priority)
                return True
            chosen = home.restorable.first_fitting(room)
            if chosen is not None:
                receiver = self._ledger[chosen]
                self._move(receiver, _restored(receiver, room))
                self._cut(capacity, below=home.priority, with_extras_of=None)
                return True
            if not held_back:
                chosen = self._first_waiting(home, room)
                held_back = home.favoured is not None
            if chosen is not None:
                self._serve(home, self._ledger[chosen], room)
                self._cut(capacity, below=home.priority, with_extras_of=None)
                return True
        return False

    def _first_waiting(self, home: _Class, room: int) -> int | None:
        if home.favoured is None:
            return home.waiting.first_fitting(room)
        place = self._entries[home.favoured].place
        return home.favoured if place is not None and place[1] <= room else None

    def _serve(self, home: _Class, receiver: Receiver, room: int) -> None:
        turn = self._entries[receiver.id].senior
        first = home.seniority[0]
        if turn is not None and first < turn:
            self._overtaken.add(first[1])
        self._disfavour(home)
        level = receiver.step_above(receiver.projected)
        if receiver.options.elastic and not receiver.steps:
            level = min(level, receiver.projected + room)
        self._move(receiver, level)

    # --- nobody waits for ever ---------------------------------------------------------------

    def _favour_overtaken(self, capacity: int, now: float) -> None:
        """Count who was overtaken in this event; three times, and what gets free is held (G8)."""
        for receiver_id in sorted(self._overtaken):
            entry = self._entries.get(receiver_id)
            if entry is None or entry.senior is None:
                continue
            receiver = self._ledger[receiver_id]
            receiver.overtaken += 1
            if (
                receiver.overtaken < self._settings.overtaken_limit
                or entry.home.favoured is not None
            ):
                continue
            if receiver.step_above(receiver.projected) > capacity:
                self._back_off(receiver, now)
                continue
            entry.home.favoured = receiver_id
            entry.home.favoured_until = now + self._settings.overtaken_hold
        self._overtaken = set()

    def _back_off(self, receiver: Receiver, now: float) -> None:
        receiver.overtaken = 0
        self._ledger.mark_waiting(receiver, now)
        self.index(receiver)

    @staticmethod
    def _disfavour(home: _Class) -> None:
        home.favoured = None
        home.favoured_until = NEVER

    def favoured(self) -> dict[int, float]:
        """For whom what becomes free is held, and until when."""
        return {
            home.favoured: home.favoured_until
            for home in self._classes.values()
            if home.favoured is not None
        }

    @property
    def wake_at(self) -> float:
        """When the next of these holds ends."""
        return min((home.favoured_until for home in self._classes.values()), default=NEVER)

    def advance(self, now: float) -> None:
        """End the holds that are over: whoever had one goes to the end of the line."""
        for home in self._classes.values():
            if home.favoured is not None and home.favoured_until <= now:
                receiver = self._ledger[home.favoured]
                self._disfavour(home)
                self._back_off(receiver, now)

    def next_need(self, room: int) -> int | None:
        """The smallest increment, bit/s, that somebody waits for and that `room` does not hold."""
        needs = (
            need
            for home in self._classes.values()
            for line in (home.minimums, home.waiting)
            if (need := line.smallest_need_above(max(room, 0))) is not None
        )
        return min(needs, default=None)


def _restored(receiver: Receiver, room: int) -> int:
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


def _cut_down(receiver: Receiver, need: int) -> int:
    """The next level down: first what is only planned, then what is held."""
    level, held = receiver.projected, receiver.allocation
    if level > held:
        return max(receiver.step_below(level, need), held) if level > receiver.minimum else held
    return max(receiver.step_below(level, need), receiver.lowest)
