"""From the books to messages: share, ask, grant, and force with nobody left to ask."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeAlias

from attrs import frozen

from ..messages import AllocationGranted, DecreaseAllocation, GrantReason
from .ledger import Ledger
from .negotiation import Negotiation
from .negotiator import Negotiator
from .receiver import Receiver
from .settings import NEVER, Settings
from .sharing.calm import IDEAL, RAMPING, Calm
from .sharing.caution import Caution
from .sharing.fair import FairShares
from .sharing.layered import LayeredPolicy
from .sharing.layered_shares import LayeredShares
from .sharing.policies import Policy, PolicyError, Sharing
from .sharing.policy_shares import PolicyShares
from .tally import CountedCalm, Tally


@frozen
class RequestWithdrawn:
    """The decrease request in this receiver's mailbox is void, read or not."""

    receiver_id: int


@frozen
class RequestRevised:
    """The decrease request in this receiver's mailbox asks for something else, if it is unread."""

    receiver_id: int
    request: DecreaseAllocation


Effect: TypeAlias = AllocationGranted | DecreaseAllocation | RequestWithdrawn | RequestRevised


class Settlement:
    """Carries out what the books ask for.

    Args:
        settings: How it behaves.
        ledger: The books.
        policy: A user's way to share, or None for the built-in one.
    """

    def __init__(self, settings: Settings, ledger: Ledger, policy: Policy | None) -> None:
        self._settings = settings
        self._ledger = ledger
        self.tally: Tally = Tally()
        self.negotiator: Negotiator = Negotiator(settings)
        self.caution: Caution = Caution(settings.hold)
        temper = IDEAL if settings.estimates == "ideal" else RAMPING
        self.calm: Calm = CountedCalm(temper, settings.hold, self._restlessness, self.tally)
        self.sharing: Sharing = self._sharing_by(policy)
        self.effects: list[Effect] = []
        self.holds: OrderedDict[int, float] = OrderedDict()  # all last as long: ends ascend
        self.forced: int = 0
        self.raised_at: float = -NEVER
        self.lowered: bool = False
        self.policy_fault: PolicyError | None = None
        self._planned: dict[int, Receiver] = {}
        self._pending: dict[int, Receiver] = {}

    @property
    def wake_at(self) -> float:
        """The next deadline, or end of a hold."""
        held = next(iter(self.holds.values()), NEVER)
        return min(held, self.negotiator.wake_at, self.sharing.wake_at)

    def _sharing_by(self, policy: Policy | None) -> Sharing:
        if policy is None:
            return FairShares(self._ledger, self._settings)
        if isinstance(policy, LayeredPolicy):
            return LayeredShares(self._ledger, policy, self.calm, self._settings)
        return PolicyShares(self._ledger, policy)

    def _restlessness(self, receiver_id: int, now: float) -> float:
        return self._ledger[receiver_id].restlessness(now)

    # --- everybody ---------------------------------------------------------------------------

    def settle(self, now: float, capacity: int, *, negotiate: bool) -> None:
        """Bring everybody to what the sharing says, as far as may be done now.

        Args:
            now: The time, s.
            capacity: bit/s.
            negotiate: Whether anybody may be brought down.
        """
        if not self.negotiator.outstanding:
            # Nobody owes an answer any more. See afresh who can be asked before anyone is forced.
            for receiver in list(self._pending.values()):
                self.unplan(receiver)
        self._share(now, capacity, negotiate=negotiate)
        if not self.negotiator.outstanding:
            for receiver in list(self._pending.values()):  # nobody is left to ask (N8)
                self.force(now, receiver, receiver.projected, GrantReason.FORCED)
        self._grant(now, capacity)

    def _share(self, now: float, capacity: int, *, negotiate: bool) -> None:
        # Who is not asked any more may be served, or give to a higher class: so look again. It
        # ends, for with each round something is asked of lower ranks only.
        while self._share_once(now, capacity, negotiate=negotiate):
            pass

    def _share_once(self, now: float, capacity: int, *, negotiate: bool) -> bool:
        """Share, and set about it; return whether a request was withdrawn."""
        force = not self.negotiator.outstanding
        try:
            touched = self.sharing.settle(capacity, negotiate=negotiate, force=force, now=now)
        except PolicyError as error:
            self.policy_fault = error
            self.sharing = FairShares(self._ledger, self._settings)
            for receiver in self._ledger:
                self.sharing.index(receiver)
            touched = self.sharing.settle(capacity, negotiate=negotiate, force=force, now=now)
        withdrawn = False
        for receiver in list(touched):
            if receiver.request is not None and receiver.projected >= receiver.allocation:
                withdrawn = True
            self._plan(now, receiver)
        return withdrawn

    def _plan(self, now: float, receiver: Receiver) -> None:
        """Set about what a projection says."""
        self._planned.pop(receiver.id, None)
        self._pending.pop(receiver.id, None)
        if receiver.projected < receiver.allocation:
            if receiver.refusal is None:
                self.effects.append(self.negotiator.ask(now, receiver))
                self.sharing.index(receiver)
            else:
                self._pending[receiver.id] = receiver
        else:
            self.withdraw(receiver)
            if receiver.projected > receiver.allocation:
                self._planned[receiver.id] = receiver

    def _grant(self, now: float, capacity: int) -> None:
        """Grant the planned raises that the books are free for."""
        for receiver in sorted(self._planned.values(), key=_turn):  # whatever the history (G5)
            if self._ledger.committed + receiver.projected - receiver.allocation > capacity:
                continue
            del self._planned[receiver.id]
            if receiver.rank(receiver.projected) > receiver.rank(receiver.allocation):
                receiver.raised(now)
                self.raised_at = now
            self._ledger.allocate(receiver, receiver.projected)
            self._ledger.mark_waiting(receiver, None)
            receiver.overtaken = 0
            self.negotiator.pardon(receiver)
            self.caution.raised(now)
            self.tell(receiver, GrantReason.GRANTED)
            self.refresh(now, receiver)

    # --- one receiver ------------------------------------------------------------------------

    def tell(self, receiver: Receiver, reason: GrantReason) -> None:
        """Let a receiver know what it holds."""
        self.effects.append(AllocationGranted(receiver.allocation, reason, receiver.id))
        self.tally.grants[reason] += 1

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
            self.withdraw(receiver)
        for receiver in [*self._planned.values(), *self._pending.values()]:
            self.unplan(receiver)

    def withdraw(self, receiver: Receiver) -> None:
        """Take back the outstanding request of a receiver, if there is one."""
        if receiver.request is not None:
            self.negotiator.withdraw(receiver)
            self.effects.append(RequestWithdrawn(receiver.id))
            if receiver.projected < receiver.allocation:
                self.unplan(receiver)
            self.sharing.index(receiver)

    def reconsider(self, receiver: Receiver) -> None:
        """A receiver under request has another ladder or other options."""
        request = receiver.request
        assert request is not None
        before = request.limit
        self.negotiator.reconsider(receiver)
        if request.limit >= receiver.allocation:
            self.withdraw(receiver)
        elif request.limit != before:
            self._ledger.project(receiver, request.limit)
            revised = DecreaseAllocation(
                receiver.allocation, request.limit, request.id, receiver.id
            )
            self.effects.append(RequestRevised(receiver.id, revised))

    def lower(self, now: float, receiver: Receiver, bitrate: int) -> None:
        """Book a receiver's own lowering; it may be what an outstanding request asked for."""
        request = receiver.request
        asked = receiver.negotiation is Negotiation.ASKED
        self._ledger.allocate(receiver, bitrate)
        if request is not None:
            # Where raises are judged, who gives way is not punished for it.
            if isinstance(self.sharing, LayeredShares):
                self.lowered = True
            else:
                self._hold(now, receiver)
            if self.negotiator.lowered(receiver):
                if asked:
                    self.effects.append(RequestWithdrawn(receiver.id))
            else:
                self._ledger.project(receiver, min(bitrate, request.limit))
        self.tell(receiver, GrantReason.LOWERED)

    def force(self, now: float, receiver: Receiver, bitrate: int, reason: GrantReason) -> None:
        """Take what is above `bitrate`; the claim stays, and waits out a hold (G9)."""
        self.unplan(receiver)
        self._ledger.allocate(receiver, bitrate)
        self.forced += 1
        self._hold(now, receiver)
        self.tell(receiver, reason)
        self.refresh(now, receiver)

    def forget(self, receiver: Receiver) -> None:
        """Drop all that concerns a receiver that leaves."""
        self._drop_hold(receiver)
        self.negotiator.forget(receiver)
        self._planned.pop(receiver.id, None)
        self._pending.pop(receiver.id, None)
        self.sharing.drop(receiver)

    # --- holds -------------------------------------------------------------------------------

    def _hold(self, now: float, receiver: Receiver) -> None:
        self._drop_hold(receiver)
        receiver.held_until = now + self._settings.hold
        self.lowered = True
        self.holds[receiver.id] = receiver.held_until
        self.tally.held += 1

    def _drop_hold(self, receiver: Receiver) -> None:
        if receiver.held_until is not None:
            del self.holds[receiver.id]
            receiver.held_until = None

    def holds_over(self, now: float) -> Iterator[Receiver]:
        """End the holds that have lasted their time."""
        while self.holds:
            receiver_id, until = next(iter(self.holds.items()))
            if until > now:
                break
            receiver = self._ledger[receiver_id]
            self._drop_hold(receiver)
            self.sharing.index(receiver)
            yield receiver


def _turn(receiver: Receiver) -> tuple[float, ...]:
    """In which order raises are carried out: as the built-in sharing serves them."""
    assert receiver.waiting_since is not None
    more = receiver.allocation >= receiver.minimum
    rank = receiver.rank(receiver.allocation)
    return (-receiver.options.priority, more, rank, receiver.waiting_since, receiver.id)
