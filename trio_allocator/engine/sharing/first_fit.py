"""The sharing of an allocator: one order, kept in an index.

Everybody could hold something, class by class from the highest priority, and in a class in the order
of `class_order`. Capacity is filled along that order; what does not fit is passed over, and what
comes later may still fit. A larger capacity never makes that of less utility (G4), and since what is
held comes before what is waited for, nothing moves while nothing changes (G3, G5).

The order is never walked as a whole. The index says of each class how much it could give, and who
would be served next, so that an event costs in proportion to what it changes (C2):

* Downwards, a class that has to give nothing keeps all, and one that has to give all gives it; only
  in the class between them the order decides, by the pure function.
* Upwards, the lowest round in which anybody fits is served, as a whole or by one knapsack; then the
  next, until nobody fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...policies.knapsack import best_subset
from ...policies.policy import PolicyError
from ...policies.step_classes import part_of
from ...policies.utility import CheckedUtility, Utility, log_utility
from ..ledger import Ledger
from ..receiver import Receiver
from ..settings import NEVER, Settings
from .class_index import ClassIndex, PriorityClass, restored
from .class_order import ClassOrder, Member
from .sharing import Capacity, asking_order
from .starvation import StarvationGuard

CROWD = 8
"""From so many waiting ones on it pays to look whether there is ample room."""

AMPLE = 3
"""There is ample room where this many times as much would do for everybody's wishes."""


class FirstFit:
    """Keeps the projections of a ledger at the shares of a capacity.

    Args:
        ledger: The books; only projections are written, and turns of those who back off.
        settings: Limits of bypassing.
        utility: Of an allocation; None for `log_utility` of the best step of a class.
    """

    ordered = True

    def __init__(self, ledger: Ledger, settings: Settings, utility: Utility | None = None) -> None:
        self._ledger = ledger
        self._given = None if utility is None else CheckedUtility(utility)
        self._index = ClassIndex()
        self._guard = StarvationGuard(ledger, settings, self._index)
        self._touched: dict[int, Receiver] = {}
        self._before: dict[int, tuple[Receiver, int]] = {}
        self._bypassed: set[int] = set()
        self._refusers: dict[int, Receiver] = {}  # some of them are to be forced
        self._best = 0
        self._utility = log_utility(1)

    def index(self, receiver: Receiver) -> None:
        """Take note of a receiver that is new, or of which anything changed."""
        self._index.note(receiver)

    def drop(self, receiver: Receiver) -> None:
        """Forget a receiver."""
        self._index.drop(receiver)

    # --- sharing -----------------------------------------------------------------------------

    def settle(self, capacity: Capacity, *, now: float) -> Iterable[Receiver]:
        """Bring the projections to the shares of this capacity.

        Args:
            capacity: What may be shared, and how.
            now: For what is reserved for one that was bypassed too often.

        Returns:
            The receivers whose projection changed, those to be asked first at the head.

        Raises:
            PolicyError: A utility of the user's failed. Nothing was changed.
        """
        if self._given is None:
            return self._settle(capacity, now)
        try:
            return self._settle(capacity, now)
        except Exception as error:
            for receiver, level in self._before.values():
                self._ledger.project(receiver, level)
            raise PolicyError.of("utility", self._given, error) from error

    def _settle(self, capacity: Capacity, now: float) -> Iterable[Receiver]:
        self._index.flush()
        self._touched = {}
        self._before = {}
        self._refusers = {number: r for number, r in self._refusers.items() if r.refusal}
        classes = self._index.classes.values()
        relieved = self._relieve(capacity)
        if relieved and not self._serve_everybody(capacity.for_raises(self._ledger.projected)):
            while self._serve_next(classes, capacity, now):
                pass
        if self._bypassed:
            bypassed, self._bypassed = self._bypassed, set()
            self._guard.bypassed(bypassed, capacity.usable, now)
        if len(self._touched) < 2:
            return self._touched.values()
        return sorted(self._touched.values(), key=asking_order)

    def _move(self, receiver: Receiver, level: int) -> None:
        if self._given is not None:
            self._before.setdefault(receiver.id, (receiver, receiver.projected))
        self._ledger.project(receiver, level)
        self._touched[receiver.id] = receiver
        if receiver.refusal is not None:
            self._refusers[receiver.id] = receiver
        self._index.note(receiver)

    # --- downwards ---------------------------------------------------------------------------

    def _relieve(self, capacity: Capacity) -> bool:
        """In overuse: bring down those who can be asked, and if that does not do those who refused.

        Returns:
            False if all is said: everybody gives all, or some are left to ask before any is forced.
        """
        ledger = self._ledger
        if not capacity.negotiate or ledger.projected <= capacity.usable:
            return True
        self._cut(capacity.usable, by_force=False)
        if ledger.projected <= capacity.usable:
            return True
        asking = any(r.projected < r.allocation for r in self._touched.values())
        if asking or not capacity.force:  # while anybody is left to ask, nobody is forced (N8)
            return False
        self._cut(capacity.usable, by_force=True)
        return ledger.projected <= capacity.usable

    def _cut(
        self, capacity: int, *, by_force: bool, below: float = NEVER, extras_of: float = NEVER
    ) -> None:
        """Let everybody keep what there is capacity for, the highest class first.

        Args:
            capacity: bit/s.
            by_force: Those who refused, instead of those who can be asked.
            below: Only classes below this.
            extras_of: ... and of this class what is above minimums.
        """
        self._index.flush()
        over = self._ledger.projected - capacity
        if over <= 0:
            return
        concerned: list[tuple[PriorityClass, int]] = []
        for each in self._index.classes.values():
            extras_only = each.priority == extras_of
            if each.priority >= below and not extras_only:
                break
            if extras_only:
                gives = each.forced_extra if by_force else each.gives_extra
            else:
                gives = each.forced if by_force else each.gives
            if gives:
                concerned.append((each, gives))
        room = max(0, sum(gives for _, gives in concerned) - over)
        cut: set[int] = set()  # they have nothing left in lower classes
        for each, gives in reversed(concerned):
            if gives <= room and cut.isdisjoint(each.forcible if by_force else each.askable):
                room -= gives
            else:
                extras_only = each.priority == extras_of
                room = self._cut_class(each, room, cut, by_force=by_force, extras_only=extras_only)
        self._index.flush()

    def _cut_class(
        self, each: PriorityClass, room: int, cut: set[int], *, by_force: bool, extras_only: bool
    ) -> int:
        """Let one class keep what there is room for; return what is left. Who loses something joins `cut`."""
        givers = (each.forcible if by_force else each.askable).values()
        receivers = [receiver for receiver in givers if receiver.id not in cut]
        members, levels, planned = [], [], []
        for receiver in receivers:
            begin, level = 0, receiver.projected
            if len(receiver.classes) > 1:
                begin, end = part_of(receiver.classes, each.priority) or (0, NEVER)
                level = int(min(level, end))
            least = max(begin, _least(receiver, by_force=by_force, extras_only=extras_only))
            # Plans above a minimum come after all that is held: they are made anew.
            held = min(level, max(receiver.allocation, least))
            member = Member.holding(receiver, held, least)
            members.append(member)
            levels.append(level)
            if least < receiver.minimum <= level and held < receiver.minimum:
                planned.append((member, receiver.minimum))
        if room > 0:
            order = ClassOrder(members, room, self._utility_of(each))
            order.keep_minimums()
            order.keep_planned(planned)
            order.keep_extras()
            room = order.room
        for receiver, member, level in zip(receivers, members, levels, strict=True):
            if member.level < level:
                cut.add(receiver.id)
                self._move(receiver, member.level)
        return room

    def _utility_of(self, each: PriorityClass) -> Utility:
        if self._given is not None:
            return self._given
        best = each.best_step or max(
            (max(r.want, r.allocation) for r in self._ledger if part_of(r.classes, each.priority)),
            default=1,
        )
        if best != self._best:
            self._best, self._utility = best, log_utility(max(1, best))
        return self._utility

    # --- upwards -----------------------------------------------------------------------------

    def _serve_everybody(self, capacity: int) -> bool:
        """Where there is room for all that everybody waits for, order does not matter.

        Returns:
            True if nobody waits any more.
        """
        ledger, index = self._ledger, self._index
        index.flush()
        classes = index.classes.values()
        demand = sum(each.demand for each in classes)
        if demand > capacity - ledger.projected:
            return False
        again = False
        for each in reversed(classes) if demand else ():
            for queue in (each.minimums, each.restorable, each.waiting):
                for receiver_id in list(queue):
                    receiver = ledger[receiver_id]
                    lowered = receiver.projected < receiver.allocation
                    self._move(receiver, receiver.allocation if lowered else receiver.want)
            each.release()
            again |= len(each.restorable) > 0  # who keeps what it holds may wait for more
        if again:
            index.flush()
        return not again

    def _serve_next(self, classes: Sequence[PriorityClass], capacity: Capacity, now: float) -> bool:
        """Serve those that come first among those who fit, or could by displacing lower ranks.

        Returns:
            Whether anybody was served.
        """
        self._index.flush()
        ledger, negotiate = self._ledger, capacity.negotiate
        kept = capacity.for_keeping(ledger.committed)
        raised = capacity.for_raises(ledger.projected)
        lowest = capacity.for_lowest(ledger.projected)
        spare, slack = kept - ledger.projected, raised - ledger.projected
        if self._refusers and self._spare_one(spare):
            return True
        below = sum(each.gives + each.forced for each in classes) if negotiate else 0
        askable = sum(each.gives for each in classes) if negotiate else 0
        forced = sum(max(0, r.allocation - r.projected) for r in self._refusers.values())
        reserved = False
        for each in reversed(classes):
            if negotiate:
                below -= each.gives + each.forced
                askable -= each.gives
            room = spare + max(0, askable - forced)  # nobody is forced lest another be asked (N8)
            back = each.restorable.first_fitting(room)
            level = 0 if back is None else restored(ledger[back], room)
            served, most = False, raised
            extras_of = NEVER
            if not reserved and back is None and not below and AMPLE * slack > each.demand:
                served = self._serve_all_rounds(each, slack)
            if not served and not reserved and (back is None or level > ledger[back].minimum):
                extra = each.gives_extra + each.forced_extra if negotiate else 0
                served = self._serve_minimums(each, lowest - ledger.projected + below + extra)
                if served:
                    most, extras_of = lowest, each.priority
            if not served and back is not None:
                self._move(ledger[back], level)
                served, most = True, kept
            if not served and not reserved:
                if not self._guard.keeps_for_lowest(each, slack + below, now):
                    served = self._serve_waiting(each, slack + below)
                reserved = each.reserved_for is not None  # nor do lower classes get anything
            if served:
                for by_force in (False, True):
                    self._cut(most, by_force=by_force, below=each.priority, extras_of=extras_of)
                return True
        return False

    def _spare_one(self, spare: int) -> bool:
        """Let one that refused keep what need not be taken, before any that can be asked (N8)."""
        for receiver in sorted(self._refusers.values(), key=asking_order, reverse=True):
            level = restored(receiver, spare)
            if receiver.projected < level <= receiver.projected + spare:
                self._move(receiver, level)
                return True
        return False

    def _serve_all_rounds(self, each: PriorityClass, room: int) -> bool:
        """Serve a class with ample room by the pure function: each is put in its place once, not in every round."""
        minimums, numbers = each.minimums, [*each.minimums, *each.waiting]
        if each.reserved_for is not None or len(numbers) < CROWD:
            return False
        if sum(minimums.need_of(number) or 0 for number in minimums) > room:
            return False
        each.patient, each.waits = True, 0
        first = each.longest.first()
        return self._note_bypassed(first, self._divide(each, numbers, room))

    def _serve_minimums(self, each: PriorityClass, room: int) -> bool:
        steps = each.minimums.next_round(room)
        return bool(self._serve_round(each, steps, room))

    def _serve_waiting(self, each: PriorityClass, room: int) -> bool:
        """Serve the next round of those who have their minimum."""
        steps = each.waiting.next_round(room)
        if each.reserved_for is not None:
            need = each.waiting.need_of(each.reserved_for)
            steps = [] if need is None or need > room else [(each.reserved_for, need)]
        if not steps:
            return False
        first = each.longest.first()
        if len(each.elastic):
            concerned = each.waiting if each.reserved_for is None else [each.reserved_for]
            served = self._divide(each, list(concerned), room)
        else:
            served = self._serve_round(each, steps, room)
        each.release()
        each.waits = 0 if served else each.waits
        return self._note_bypassed(first, served)

    def _note_bypassed(self, first: tuple[tuple[float, int], int] | None, served: set[int]) -> bool:
        if first is not None and first[1] not in served:
            self._bypassed.add(first[1])
        return bool(served)

    def _serve_round(
        self, each: PriorityClass, steps: Sequence[tuple[int, int]], room: int
    ) -> set[int]:
        """Serve those of a round that have the greatest utility together; return who they are."""
        ledger = self._ledger
        needs = [need for _, need in steps]
        if sum(needs) > room:
            of = self._utility_of(each)
            gains = []
            for receiver_id, need in steps:
                receiver = ledger[receiver_id]
                level = receiver.projected
                gains.append(receiver.options.weight * (of(level + need) - of(level)))
            steps = [steps[position] for position in best_subset(needs, gains, room)]
        for receiver_id, need in steps:
            receiver = ledger[receiver_id]
            self._move(receiver, receiver.projected + need)
        return {receiver_id for receiver_id, _ in steps}

    def _divide(self, each: PriorityClass, concerned: Sequence[int], room: int) -> set[int]:
        """Serve all rounds where some can use any part of what they wait for."""
        ledger = self._ledger
        members = [Member.waiting(ledger[receiver_id]) for receiver_id in concerned]
        order = ClassOrder(members, room, self._utility_of(each))
        order.serve()
        raised = [member for member in members if member.level > member.held]
        for member in raised:
            self._move(ledger[member.number], member.level)
        return {member.number for member in raised}

    # --- what the engine asks ----------------------------------------------------------------

    def reserved(self) -> dict[int, float]:
        """For whom what becomes free is reserved, and until when."""
        self._index.flush()  # who waits no more
        return self._guard.reserved()

    def bars(self) -> dict[int, int]:
        """Nobody: each step is given where it fits."""
        return {}

    @property
    def wake_at(self) -> float:
        """When the next of these reservations ends."""
        return self._guard.wake_at

    def advance(self, now: float) -> None:
        """End the reservations that are over."""
        self._guard.advance(now)

    def next_need(self, room: int, most: float = NEVER) -> int | None:
        """See `Sharing.next_need`."""
        self._index.flush()
        return min(self._index.needs_above(max(room, 1), most), default=None)


def _least(receiver: Receiver, *, by_force: bool, extras_only: bool) -> int:
    """How far down a receiver goes; without force a plan can be dropped, what is refused stays."""
    refuses = receiver.refusal is not None and not by_force
    least = receiver.allocation if refuses else receiver.lowest
    return max(least, min(receiver.minimum, receiver.projected)) if extras_only else least
