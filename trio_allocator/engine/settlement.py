"""From the books to effects: share, ask, grant, and force with nobody left to ask."""

from __future__ import annotations

from collections import Counter

from attrs import evolve

from ..messages import AllocationGranted, DecreaseAllocation, GrantReason
from ..policies.policy import Policy, PolicyError, is_cautious
from ..policies.step_classes import class_above, class_below, part_of
from .effects import Act, Cause, DecisionReason, Effect
from .headroom import Headroom
from .lazy_heap import LazyHeap
from .ledger import Ledger
from .negotiation import Negotiation
from .negotiator import Negotiator
from .receiver import Receiver
from .settings import NEVER, Settings
from .sharing.registry import POLICIES, sharing_of
from .sharing.sharing import Capacity, Sharing

MOST_ROUNDS = 16
"""A user's policy that has not settled after this many rounds in one event never will (L3). The
package's own need two; more are needed where requests are withdrawn one after the other."""

_ACTS = {
    GrantReason.GRANTED: Act.GRANTED,
    GrantReason.LOWERED: Act.LOWERED,
    GrantReason.FORCED: Act.FORCED,
    GrantReason.BREACH: Act.FORCED,
}


class Settlement:
    """Carries out what the books ask for.

    Args:
        settings: How it behaves.
        ledger: The books.
        policy: How to share.

    Attributes:
        cause: The event that is handled, for the effects.
        effects: What was decided, until it is drained.
        counts: How often each was decided, by what and why.
        policy_fault: Why the user's policy was replaced; None if it was not.
    """

    def __init__(self, settings: Settings, ledger: Ledger, policy: Policy) -> None:
        self._settings = settings
        self._ledger = ledger
        self.negotiator: Negotiator = Negotiator(settings)
        self.headroom: Headroom = Headroom(cautious=is_cautious(policy))
        self.sharing: Sharing = sharing_of(policy, ledger, settings)
        self.cause: Cause = Cause.TIME
        self.effects: list[Effect] = []
        self.counts: Counter[tuple[Act, DecisionReason]] = Counter()
        self.held: int = 0
        self.policy_fault: PolicyError | None = None
        self._holds: LazyHeap[tuple[float]] = LazyHeap()
        self._planned: dict[int, Receiver] = {}
        self._pending: dict[int, Receiver] = {}

    # --- everybody ---------------------------------------------------------------------------

    def settle(self, now: float, capacity: Capacity) -> None:
        """Bring everybody to what the sharing says, as far as may be done now.

        Args:
            now: The time, s.
            capacity: What may be shared, while nobody owes an answer.
        """
        self._share(now, capacity)
        if not self.negotiator.outstanding and self._pending:
            for receiver in list(self._pending.values()):  # see afresh who can be asked (N8)
                self.unplan(receiver)
            self._share(now, capacity)
            if not self.negotiator.outstanding:
                for receiver in list(self._pending.values()):
                    self.force(now, receiver, receiver.projected, DecisionReason.NOBODY_LEFT)
        if self._grant(now, capacity):
            self._share(now, capacity)

    def _share(self, now: float, capacity: Capacity) -> None:
        # Who is not asked any more may be served, or give to a higher class: so look again. It
        # ends, for with each round something is asked of lower ranks only; a policy of the user's
        # may know no ranks.
        rounds = 0
        while self._share_once(now, capacity):
            rounds += 1
            if rounds >= MOST_ROUNDS and not self.sharing.ordered:
                self._replace(PolicyError(f"the policy had not settled after {rounds} rounds"))

    def _share_once(self, now: float, capacity: Capacity) -> bool:
        """Share, and set about it; return whether a request was withdrawn."""
        if self.negotiator.outstanding:
            capacity = evolve(capacity, force=False)
        try:
            touched = self.sharing.settle(capacity, now=now)
        except PolicyError as error:
            self._replace(error)
            touched = self.sharing.settle(capacity, now=now)
        withdrawn = False
        for receiver in touched:
            if receiver.request is not None and receiver.projected >= receiver.allocation:
                withdrawn = True
            self._plan(now, receiver, capacity.usable)
        return withdrawn

    def _replace(self, error: PolicyError) -> None:
        """A user's policy failed: a simple one takes over, and it is reported (L3)."""
        self.policy_fault = error
        self.sharing = sharing_of(POLICIES["fair"], self._ledger, self._settings)
        for receiver in self._ledger:
            self.sharing.index(receiver)

    def _plan(self, now: float, receiver: Receiver, usable: int) -> None:
        """Set about what a projection says."""
        over = self._ledger.committed > usable
        self._planned.pop(receiver.id, None)
        self._pending.pop(receiver.id, None)
        if receiver.projected < receiver.allocation:
            if receiver.refusal is None:
                request = self.negotiator.ask(now, receiver)
                reason = DecisionReason.OVERUSE if over else DecisionReason.MAKE_ROOM
                self._emit(Act.ASKED, receiver, request.limit, reason, request)
                if over and self.cause in {Cause.ESTIMATE, Cause.TIME}:  # no join, no limit
                    self.headroom.lowered(now, receiver.raised_at, usable, self._ledger.unpaused)
                self.sharing.index(receiver)
            else:
                self._pending[receiver.id] = receiver
        else:
            self.withdraw(receiver, DecisionReason.NO_NEED)
            if receiver.projected > receiver.allocation:
                self._planned[receiver.id] = receiver

    def _grant(self, now: float, capacity: Capacity) -> bool:
        """Grant the planned raises that the books are free for.

        Returns:
            Whether one that had refused was raised: it may be asked again (N5), and be asked now as
            well as in the next event (G3).
        """
        if not self._planned:
            return False
        ledger = self._ledger
        most = capacity.for_raises(ledger.projected)
        raises = {r.id: r.projected - r.allocation for r in self._planned.values()}
        if min(raises.values()) > most - ledger.committed:
            return False
        outstanding = self.negotiator.outstanding.values()
        promised = sum(max(0, r.allocation - r.projected) for r in outstanding)
        ended, ahead, before_all = False, 0, ledger.committed
        for receiver in sorted(self._planned.values(), key=_turn):  # whatever the history (G5)
            # What was given for those before stays free for them, as far as no more is asked for
            # them: else they would be overtaken, and others be asked in their name, for ever (N6).
            free = most - ledger.committed - max(0, ahead - promised)
            if raises[receiver.id] > free:
                ahead += raises[receiver.id]
                continue
            del self._planned[receiver.id]
            ended |= receiver.refusal is not None
            self.grant(now, receiver, receiver.projected, before_all)
        return ended

    def grant(self, now: float, receiver: Receiver, level: int, before_all: int) -> None:
        """Let a receiver hold more; so much was allocated before the raises of this event, bit/s."""
        if receiver.rises_to(level):
            self.headroom.raised(now, before_all)
            receiver.raised_at = now
        before = receiver.allocation
        self._ledger.allocate(receiver, level)
        self._ledger.mark_waiting(receiver, None)
        receiver.overtaken = 0
        receiver.returning = False
        self.negotiator.forget_refusal(receiver)
        self.tell(receiver, before, GrantReason.GRANTED, DecisionReason.FITS)
        self.refresh(now, receiver)

    # --- effects -----------------------------------------------------------------------------

    def _emit(
        self,
        act: Act,
        receiver: Receiver,
        after: int,
        reason: DecisionReason,
        message: AllocationGranted | DecreaseAllocation | None = None,
        *,
        before: int | None = None,
    ) -> None:
        held = receiver.allocation if before is None else before
        self.effects.append(
            Effect(act, receiver.id, receiver.track.id, held, after, self.cause, reason, message)
        )
        self.counts[act, reason] += 1

    def tell(
        self, receiver: Receiver, before: int, grant: GrantReason, reason: DecisionReason
    ) -> None:
        """Let a receiver know what it holds."""
        after = receiver.allocation
        message = AllocationGranted(after, grant, receiver.id)
        self._emit(_ACTS[grant], receiver, after, reason, message, before=before)

    def joined(self, receiver: Receiver) -> None:
        """A receiver was entered into the books."""
        self._emit(Act.JOINED, receiver, receiver.allocation, DecisionReason.REGISTERED, before=0)

    def confirm(self, receiver: Receiver) -> None:
        """Tell a receiver that it holds what it did: its raise is cancelled."""
        self.tell(receiver, receiver.allocation, GrantReason.LOWERED, DecisionReason.OWN_WISH)

    # --- one receiver ------------------------------------------------------------------------

    def refresh(self, now: float, receiver: Receiver) -> None:
        """Bring what depends on claim, allocation and negotiation up to date."""
        if receiver.want <= receiver.allocation:
            receiver.overtaken = 0
            self._ledger.mark_waiting(receiver, None)
        elif receiver.waiting_since is None:
            self._ledger.mark_waiting(receiver, now)
        self.sharing.index(receiver)

    def unplan(self, receiver: Receiver) -> None:
        """Expect nothing else of a receiver than what it holds."""
        self._planned.pop(receiver.id, None)
        self._pending.pop(receiver.id, None)
        self._ledger.project(receiver, receiver.allocation)
        self.sharing.index(receiver)

    def unplan_everything(self) -> None:
        """Withdraw every request, plan nothing: the estimate is no longer known (A6)."""
        for receiver in list(self.negotiator.outstanding.values()):
            self.withdraw(receiver, DecisionReason.NO_ESTIMATE)
        for receiver in [*self._planned.values(), *self._pending.values()]:
            self.unplan(receiver)

    def unplan_upon(self, receiver: Receiver, usable: int) -> None:
        """Plan no raises that counted on a promise of this receiver's, and have no right to what it holds.

        A higher class has. Those of its own class have where it is a minimum that they wait for, and what
        this receiver has above its own will do.
        """
        priority = class_below(receiver.classes, receiver.allocation)
        begin, _ = part_of(receiver.classes, priority) or (0, NEVER)
        gives = receiver.allocation - max(begin, receiver.minimum)
        for other in list(self._planned.values()):
            ahead = class_above(other.classes, other.allocation) - priority
            for_minimum = other.allocation < other.minimum
            enough = self._ledger.projected - usable <= gives
            if ahead < 0 or (ahead == 0 and not (for_minimum and enough)):
                self.unplan(other)

    def withdraw(self, receiver: Receiver, reason: DecisionReason) -> None:
        """Take back the outstanding request of a receiver, if there is one."""
        if receiver.request is not None:
            self.negotiator.withdraw(receiver)
            self._emit(Act.WITHDRAWN, receiver, receiver.allocation, reason)
            if receiver.projected < receiver.allocation:
                self.unplan(receiver)
            self.sharing.index(receiver)

    def silent(self, receiver: Receiver) -> None:
        """A receiver did not answer in time: its request is void."""
        self.unplan(receiver)
        self._emit(Act.WITHDRAWN, receiver, receiver.allocation, DecisionReason.SILENCE)

    def reconsider(self, receiver: Receiver) -> None:
        """A receiver under request has another ladder or other options."""
        request = receiver.request
        assert request is not None
        before = request.limit
        self.negotiator.reconsider(receiver)
        if request.limit >= receiver.allocation:
            self.withdraw(receiver, DecisionReason.NO_NEED)
        elif request.limit != before:
            self._ledger.project(receiver, request.limit)
            self._revise(receiver, DecisionReason.RECONFIGURED)
            self.sharing.index(receiver)

    def _revise(self, receiver: Receiver, reason: DecisionReason) -> None:
        """A request is to be read as it is now: what it asks for, and of whom that holds what."""
        request = receiver.request
        assert request is not None
        asked = DecreaseAllocation(receiver.allocation, request.limit, request.id, receiver.id)
        self._emit(Act.REVISED, receiver, request.limit, reason, asked)

    def lower(self, receiver: Receiver, bitrate: int, reason: DecisionReason) -> None:
        """Book a receiver's own lowering; it may be what an outstanding request asked for."""
        request = receiver.request
        asked = receiver.negotiation is Negotiation.ASKED
        before = receiver.allocation
        self._ledger.allocate(receiver, bitrate)
        kept = self.negotiator.lowered(receiver)
        if kept and asked:
            self._emit(Act.WITHDRAWN, receiver, before, DecisionReason.GIVEN, before=before)
        if reason is DecisionReason.OWN_WISH and kept:
            reason = DecisionReason.KEPT_WORD
        self.tell(receiver, before, GrantReason.LOWERED, reason)
        if request is not None and not kept:
            self._ledger.project(receiver, request.limit)
            if asked:  # and perhaps not read yet: it names what the receiver holds (N2)
                self._revise(receiver, reason)

    def force(self, now: float, receiver: Receiver, bitrate: int, reason: DecisionReason) -> None:
        """Take what is above `bitrate`; the claim stays, and waits out a hold (G9)."""
        self.unplan(receiver)
        before = receiver.allocation
        self._ledger.allocate(receiver, bitrate)
        self._hold(now, receiver)
        broken = reason is DecisionReason.BROKEN_PROMISE
        self.tell(receiver, before, GrantReason.BREACH if broken else GrantReason.FORCED, reason)
        self.refresh(now, receiver)

    def forget(self, receiver: Receiver) -> None:
        """Drop all that concerns a receiver that leaves."""
        self._drop_hold(receiver)
        self.withdraw(receiver, DecisionReason.CLOSED)
        self.negotiator.forget_refusal(receiver)
        self._planned.pop(receiver.id, None)
        self._pending.pop(receiver.id, None)
        self.sharing.drop(receiver)
        self._emit(Act.LEFT, receiver, 0, DecisionReason.CLOSED)

    def count(self, act: Act, reason: DecisionReason | None = None) -> int:
        """How often something was decided."""
        counts = self.counts.items()
        return sum(n for (what, why), n in counts if what is act and reason in {None, why})

    # --- holds -------------------------------------------------------------------------------

    def _hold(self, now: float, receiver: Receiver) -> None:
        receiver.held_until = now + self._settings.hold
        self._holds.put(receiver.id, (receiver.held_until,))
        self.held += 1

    def _drop_hold(self, receiver: Receiver) -> None:
        if receiver.held_until is not None:
            self._holds.discard(receiver.id)
            receiver.held_until = None

    @property
    def hold_ends_at(self) -> float:
        """When the next hold ends, s."""
        first = self._holds.first()
        return NEVER if first is None else first[0][0]

    def holds(self) -> dict[int, float]:
        """Receiver id to the end of its hold."""
        held = (self._ledger[number] for number in self._holds)
        return {r.id: r.held_until for r in held if r.held_until is not None}

    def end_holds(self, now: float) -> bool:
        """End the holds that have lasted their time; return whether there were any."""
        ended = False
        while self.hold_ends_at <= now:
            first = self._holds.first()
            assert first is not None
            receiver = self._ledger[first[1]]
            self._drop_hold(receiver)
            self.sharing.index(receiver)
            ended = True
        return ended


def _turn(receiver: Receiver) -> tuple[float, ...]:
    """In which order raises are carried out: as they are served."""
    more = receiver.allocation >= receiver.minimum
    rank = receiver.rank(receiver.allocation)
    priority = class_above(receiver.classes, receiver.allocation)
    return (-priority, more, rank, receiver.turn(receiver.allocation), receiver.id)
