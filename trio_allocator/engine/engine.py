"""The engine: one event and ``now`` in, effects out.

Every event takes the same way. What time alone has changed is caught up with; the event goes into
the books; and the settlement brings everybody to what they should have: decreases are asked for
(or forced, with nobody left to ask), raises are granted as far as the books are free.
"""

from __future__ import annotations

from ..options import ReceiverOptions
from ..policies.policy import Policy
from ..tracks import Track
from .dips import Dips
from .effects import Cause, DecisionReason, Effect, WakeReason
from .estimates import Estimates
from .ledger import Ledger
from .limits import Limits
from .negotiation import Negotiation, RefusalKind
from .negotiator import AnswerError
from .probing.padding import Meter, PaddingAccount
from .probing.probe_demand import demand_for_probes
from .probing.prober import Prober
from .receiver import Receiver
from .settings import NEVER, Settings
from .settlement import Settlement
from .sharing.registry import chosen_policy
from .sharing.sharing import Capacity

_ALARMS = (
    WakeReason.DEADLINE,
    WakeReason.HOLD,
    WakeReason.RESERVATION,
    WakeReason.ESTIMATE,
    WakeReason.PROBE,
    WakeReason.STEADY,
    WakeReason.HEADROOM,
    WakeReason.DIP,
)
"""Why time may bring something, in the order in which `Engine` looks."""


class Engine:
    """Decides for one connection.

    Rates are checked, whole bit/s (see `trio_allocator.quantities`); `now` never goes back.

    Args:
        settings: How it behaves.
        now: When it starts, s.
        initial_estimate: An estimate known from the start, bit/s, or None.
        policy: How to share; None for the default.
        limits: Of the connection.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: float,
        initial_estimate: int | None = None,
        policy: Policy | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._probes = settings.estimates == "ramping"
        self.meter: Meter = Meter()
        self.prober: Prober = Prober(settings, self.meter, now)
        self.estimates: Estimates = Estimates(settings.estimate_timeout)
        self.limits: Limits = Limits() if limits is None else limits
        self.ledger: Ledger = Ledger()
        self.settlement: Settlement = Settlement(settings, self.ledger, chosen_policy(policy))
        self.requests: int = 0
        self.answers: int = 0
        self.breaches: int = 0
        self._now = now
        self._last_id = 0
        self._budget = 0
        self._awaiting = False
        self._steady_at = NEVER
        self._dip_ends_at = NEVER
        self._rises_at = NEVER
        self.dips: Dips = Dips()
        if initial_estimate is not None:
            self.estimates.update(now, initial_estimate)
            self.settlement.headroom.note(now, initial_estimate, None)

    # --- events ------------------------------------------------------------------------------

    def register(
        self,
        now: float,
        track: Track,
        options: ReceiverOptions,
        bandwidth: int,
        account: PaddingAccount,
    ) -> Receiver:
        """A receiver joins with what it already sends; that is allocated without question."""
        self._begin(now, Cause.REGISTRATION)
        self._last_id += 1
        receiver = Receiver(self._last_id, track, options, bandwidth)
        self.ledger.add(receiver)
        self.settlement.joined(receiver)
        self.settlement.refresh(now, receiver)
        if options.can_pad:
            self.prober.padding.join(receiver.id, account)
        self._settle()
        return receiver

    def leave(self, now: float, receiver: Receiver) -> None:
        """A receiver is gone; what it held is free."""
        self._begin(now, Cause.LEAVING)
        self.settlement.forget(receiver)
        self.prober.padding.leave(receiver.id)
        self.ledger.remove(receiver)
        self._settle()

    def update_estimate(self, now: float, bitrate: int, carried: int | None = None) -> None:
        """The newest estimate has come, perhaps with what the connection lately carried (G2)."""
        self._begin(now, Cause.ESTIMATE)
        self.estimates.update(now, bitrate)
        steady_at = self.estimates.steady_at(now)
        self.settlement.headroom.note(now, bitrate, carried, steady_at=steady_at)
        if self._probes and carried is not None:  # an estimator, whose estimates dip and come back
            usable, padded = self.limits.usable(bitrate), self.prober.target > 0
            self.dips.note(now, self.ledger.committed, usable, padded=padded)
        self._forget_refusals(now, self.usable)
        self._settle()

    def limit(self, now: float, limits: Limits) -> None:
        """The connection has other limits; effective in this call."""
        self._begin(now, Cause.LIMIT)
        before, self.limits = self.usable, limits
        if before and self.usable is not None and self.usable < before:
            self.dips.forget()  # no dip of the estimate
            self.dips.note(now, self.ledger.committed, self.usable)
        self._forget_refusals(now, self.usable)
        self._settle()

    def request(self, now: float, receiver: Receiver, bitrate: int) -> None:
        """A receiver wants another allocation. Judged against what it holds (G9)."""
        self._begin(now, Cause.REQUEST)
        self.requests += 1
        # To keep a promise is the second half of an answer, and to repeat it is nothing (G3).
        keeps_word = receiver.negotiation is Negotiation.PLEDGED
        repeats = self._awaiting and bitrate == receiver.claim
        self._request(receiver, bitrate)
        self._settle(await_others=keeps_word or repeats)

    def answer(
        self,
        now: float,
        receiver: Receiver,
        request_id: int,
        *,
        accepted: bool,
        bitrate: int | None = None,
    ) -> bool:
        """A receiver answers a decrease request.

        Returns:
            True if the answer counts; otherwise nothing changes.

        Raises:
            AnswerError: See `Negotiator.counts`; or `bitrate` is not below the allocation.
        """
        self._begin(now, Cause.ANSWER)
        negotiator = self.settlement.negotiator
        if not negotiator.counts(receiver, request_id):
            return False
        if bitrate is not None and bitrate >= receiver.allocation:
            raise AnswerError(
                f"bitrate must be below the allocation of {receiver.allocation} bit/s to accept "
                f"a decrease, got {bitrate}"
            )
        self.answers += 1
        if accepted:
            negotiator.accept(receiver)
            self.settlement.refresh(now, receiver)
            if bitrate is not None:
                self._request(receiver, bitrate)
        else:
            negotiator.reject(now, receiver, self.usable or 0)
            self.settlement.unplan(receiver)
        self._settle(await_others=True)
        return True

    def configure(
        self,
        now: float,
        receiver: Receiver,
        track: Track,
        options: ReceiverOptions,
        account: PaddingAccount,
    ) -> None:
        """A ladder or options change; effective in this call."""
        self._begin(now, Cause.CONFIGURE)
        if (track, options) != (receiver.track, receiver.options):
            self._configure(receiver, track, options, account)
        self._settle()

    def force(self, now: float, receiver: Receiver, bitrate: int) -> None:
        """The application lowers an allocation without negotiation; the claim stays."""
        self._begin(now, Cause.FORCE)
        if bitrate < receiver.allocation:
            self.settlement.withdraw(receiver, DecisionReason.NO_NEED)
            self.settlement.force(now, receiver, bitrate, DecisionReason.APPLICATION)
        self._settle()

    def advance(self, now: float, *, heard_until: float = NEVER) -> None:
        """Time has passed: judge deadlines, end holds, notice that estimates have stopped.

        A negotiation deadline is judged here and nowhere else, so that the caller can give
        receivers their turn first (N3).

        Args:
            now: The time.
            heard_until: All that had to answer by then have had their turn; later deadlines are not
                judged yet, even if they have passed.
        """
        self._begin(now, Cause.TIME)
        expired = self.settlement.negotiator.expire(now, self.usable or 0, heard_until)
        for receiver, kind in expired:
            if kind is RefusalKind.SILENT:
                self.settlement.silent(receiver)
            else:
                self.settlement.unplan(receiver)
                self._enforce_promise(receiver)
        self._settle()

    # --- what the shell reads ----------------------------------------------------------------

    @property
    def now(self) -> float:
        """The time of the last event, s."""
        return self._now

    @property
    def usable(self) -> int | None:
        """What all allocations may come to, bit/s; None while the estimate is unknown."""
        known = self.estimates.value
        return None if known is None else self.limits.usable(known)

    @property
    def trusted(self) -> int:
        """How far raises may bring the allocations, bit/s; 0 while the estimate is unknown."""
        if self.estimates.value is None:
            return 0
        return self.limits.usable(self.settlement.headroom.trusted(self._now))

    def drain(self) -> list[Effect]:
        """Take what was decided since the last call, in order."""
        effects, self.settlement.effects = self.settlement.effects, []
        return effects

    @property
    def wake_at(self) -> float:
        """When `advance` is due next, unless an event comes before, s."""
        return min(self._alarms())

    @property
    def wake_reason(self) -> WakeReason:
        """What `advance` is due for next."""
        alarms = self._alarms()
        at = min(alarms)
        return WakeReason.NOTHING if at == NEVER else _ALARMS[alarms.index(at)]

    def _alarms(self) -> tuple[float, ...]:
        """When each of `_ALARMS` rings, s."""
        settlement = self.settlement
        return (
            settlement.negotiator.wake_at,
            settlement.hold_ends_at,
            settlement.sharing.wake_at,
            self.estimates.stale_at,
            self.prober.wake_at,
            self._steady_at,
            self._rises_at,
            self._dip_ends_at,
        )

    # --- one event ---------------------------------------------------------------------------

    def _begin(self, now: float, cause: Cause) -> None:
        """Let happen what time alone has brought, but for negotiation deadlines."""
        self._now = now
        settlement = self.settlement
        settlement.cause = Cause.TIME
        self._budget = self.ledger.committed
        due = settlement.end_holds(now) or self._rises_at <= now or self._dip_ends_at <= now
        self._forget_refusals(now, None)
        if settlement.sharing.wake_at <= now:
            settlement.sharing.advance(now)
            due = True
        if self.estimates.stale_at <= now:
            self.estimates.forget()
            self.dips.forget()
            settlement.unplan_everything()
            due = True
        by_itself = cause not in {Cause.ESTIMATE, Cause.TIME}  # judge deadlines before (N3)
        if due and (by_itself or self.estimates.value is None):
            self._settle()
            self._budget = self.ledger.committed
        settlement.cause = cause

    def _forget_refusals(self, now: float, estimate: int | None) -> None:
        for receiver in self.settlement.negotiator.lapsed(now, estimate):
            self.settlement.unplan(receiver)  # it need not be forced any more

    def _settle(self, *, await_others: bool = False) -> None:
        """Settle what has changed.

        Args:
            await_others: Ask nobody anew before all have answered: else the first to answer
                would be asked again, and the last be spared (G5).
        """
        known = self.estimates.value
        settlement = self.settlement
        self._awaiting = await_others and bool(settlement.negotiator.outstanding)
        negotiate = known is not None and not self._awaiting
        capacity = self._capacity(negotiate=negotiate)
        raised_at = settlement.headroom.raised_at
        settlement.settle(self._now, capacity)
        if settlement.headroom.raised_at != raised_at:
            self.dips.raised(self._now)
        if self._awaiting and not settlement.negotiator.outstanding:
            self._awaiting = False  # what was outstanding was withdrawn: nobody owes an answer
            settlement.settle(self._now, self._capacity(negotiate=True))
        self._await_headroom()
        ends_at = self.dips.ends_at(self.ledger.committed, self.usable or 0)
        self._dip_ends_at = ends_at if ends_at > self._now else NEVER
        self._review_probe()

    def _capacity(self, *, negotiate: bool) -> Capacity:
        """What the allocations may come to, and how far raises may bring them now."""
        limits = self.limits
        # What an event frees may be handed on. While the estimate is unknown (A6) that is all.
        reached = max(self._budget, self.ledger.committed)
        if self.estimates.value is None:
            most = int(min(reached, limits.most))
            return Capacity(most, most, most, negotiate)
        usable = limits.usable(self.estimates.value)
        held = reached if reached <= usable else self.ledger.committed
        held = held if held <= usable else 0  # in overuse nothing is raised
        kept = self.dips.kept(self._now, self.ledger.committed, usable)
        lowest = limits.usable(self.settlement.headroom.for_lowest(self._now))
        return Capacity(kept, max(self.trusted, held), max(lowest, held), negotiate)

    def _await_headroom(self) -> None:
        """Look again when raises may fill as much as the next step needs."""
        self._rises_at = NEVER
        trusted, usable = self.trusted, self.usable
        if usable is None or trusted >= usable or not self.ledger.waiting:
            return
        committed = self.ledger.committed
        need = self.settlement.sharing.next_need(trusted - committed, usable - committed)
        if need is not None:
            total = committed + need + self.limits.reserve
            headroom = self.settlement.headroom
            reached = headroom.reaches_at(self._now, total)
            self._rises_at = min(reached, headroom.lowest_rises_at(self._now))

    def _review_probe(self) -> None:
        if self._probes:
            demand, self._steady_at = demand_for_probes(
                self._now, self.estimates, self.limits, self.ledger, self.settlement, self.trusted
            )
            self.prober.review(self._now, demand)

    # --- single acts -------------------------------------------------------------------------

    def _request(self, receiver: Receiver, bitrate: int) -> None:
        if bitrate == receiver.claim:
            return
        waited = receiver.want > receiver.allocation
        receiver.set_claim(bitrate)
        if receiver.request is None:
            self.settlement.unplan(receiver)
        if bitrate < receiver.allocation:
            # What cannot be sent is not held (A7); what was asked for is no wish of its own.
            own = receiver.request is None or receiver.request.limit > 0
            receiver.returning = own and bitrate == 0
            self.settlement.lower(receiver, bitrate, DecisionReason.OWN_WISH)
        elif bitrate == receiver.allocation and waited:
            self.settlement.confirm(receiver)
        elif receiver.request is None:
            self._keep_dearer(receiver)
        self.settlement.refresh(self._now, receiver)

    def _configure(
        self, receiver: Receiver, track: Track, options: ReceiverOptions, account: PaddingAccount
    ) -> None:
        if not options.negotiable:
            self.settlement.withdraw(receiver, DecisionReason.NOT_NEGOTIABLE)
        if options.can_pad and not receiver.options.can_pad:
            self.prober.padding.join(receiver.id, account)
        elif receiver.options.can_pad and not options.can_pad:
            self.prober.padding.leave(receiver.id)
        receiver.configure(track, options)
        if receiver.request is None:
            self.settlement.unplan(receiver)
            self._keep_dearer(receiver)
        else:
            self.settlement.reconsider(receiver)
        if options.max_bitrate is not None and receiver.allocation > options.max_bitrate:
            self.settlement.lower(receiver, receiver.want, DecisionReason.RECONFIGURED)
        self.settlement.refresh(self._now, receiver)

    def _keep_dearer(self, receiver: Receiver) -> None:
        """A lowest step that costs more than before is sent already: nobody is lowered for it if it fits."""
        held, step = receiver.allocation, receiver.steps[0] if receiver.reached == 1 else 0
        fits = held < step <= (self.usable or 0) - self.ledger.committed + held
        if fits and step <= receiver.want and receiver.held_until is None:
            self.settlement.grant(self._now, receiver, step, self.ledger.committed)

    def _enforce_promise(self, receiver: Receiver) -> None:
        """A promise was broken: one step is taken, if it is still needed (N4)."""
        self.breaches += 1
        usable = self._capacity(negotiate=True).usable
        self.settlement.unplan_upon(receiver, usable)
        need = self.ledger.projected - usable
        level = max(receiver.step_below(receiver.allocation, need), receiver.lowest)
        if need > 0 and level < receiver.allocation:
            self.settlement.force(self._now, receiver, level, DecisionReason.BROKEN_PROMISE)
