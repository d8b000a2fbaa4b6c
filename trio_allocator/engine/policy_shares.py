"""A policy at work: asked when anything may have changed, and checked at every answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .ledger import Ledger
from .negotiation import Negotiation
from .policies import Claim, Policy, PolicyError, Shares, check_shares, starves
from .receiver import Receiver
from .settings import NEVER


class PolicyShares:
    """Keeps the projections of a ledger at the answers of a user's policy.

    Args:
        ledger: The books; only projections are written.
        policy: The user's function.
    """

    def __init__(self, ledger: Ledger, policy: Policy) -> None:
        self._ledger = ledger
        self._policy = policy
        self._dirty = True
        self._mode = (True, True)
        self._lowest = NEVER
        self._highest = -NEVER
        self._total = 0

    def index(self, receiver: Receiver) -> None:  # noqa: ARG002 - all claims are asked again
        """The claims have changed: ask again."""
        self._dirty = True

    def drop(self, receiver: Receiver) -> None:  # noqa: ARG002
        """The claims have changed: ask again."""
        self._dirty = True

    def settle(
        self,
        capacity: int,
        *,
        negotiate: bool,
        force: bool,
        now: float,  # noqa: ARG002 - a policy knows no time
    ) -> Iterable[Receiver]:
        """Ask the policy, unless its last answer still holds.

        Raises:
            PolicyError: It raised, or its answer breaks an invariant. Nothing was changed.
        """
        if not self._dirty and (negotiate, force) == self._mode and self._holds_out(capacity):
            return []
        claims = self._claims(negotiate, pinned=True)
        shares = self._ask(claims, capacity)
        self._total = sum(shares.allocations.values())
        over = self._total > capacity
        asking = any(shares.allocations[c.receiver_id] < c.allocation for c in claims)
        if over and (asking or not force):
            pass  # while anybody is left to ask, nobody is forced (N8)
        elif negotiate and (over or self._refusers_needed(claims, shares)):
            claims = self._claims(negotiate, pinned=False)
            shares = self._ask(claims, capacity)
            self._total = sum(shares.allocations.values())
        self._lowest, self._highest = shares.lowest, shares.highest
        self._dirty, self._mode = False, (negotiate, force)
        touched = [
            receiver
            for receiver in self._ledger
            if self._apply(receiver, shares.allocations[receiver.id])
        ]
        return sorted(touched, key=_cut_order)

    def _holds_out(self, capacity: int) -> bool:
        """Whether the last answer is still the answer, with the same claims."""
        # The range is the policy's word; that what it gave still fits is seen to.
        return self._lowest <= capacity <= self._highest and self._total <= capacity

    def _claims(self, negotiate: bool, *, pinned: bool) -> list[Claim]:
        """What the policy may know now; who refused is pinned to what it holds, or is not."""
        return [claim_of(receiver, negotiate=negotiate, pinned=pinned) for receiver in self._ledger]

    def _ask(self, claims: Sequence[Claim], capacity: int) -> Shares:
        try:
            answer = self._policy(claims, capacity)
            chosen = {c.receiver_id: answer.allocations[c.receiver_id] for c in claims}
            shares = Shares(chosen, float(answer.lowest), float(answer.highest))
            check_shares(claims, capacity, shares)
        except Exception as error:
            raise PolicyError(f"the policy {self._policy!r} failed: {error!r}") from error
        return shares

    def _refusers_needed(self, claims: Sequence[Claim], shares: Shares) -> bool:
        """Whether somebody waits for what only a refuser could give (G6, G8)."""
        chosen = shares.allocations
        # Who is to give something up itself is asked before anybody is forced (N8).
        waiting = [c for c in claims if c.allocation <= chosen[c.receiver_id] < c.wanted]
        highest = max((c.priority for c in waiting), default=-1)
        starved = max((c.priority for c in waiting if starves(c, chosen)), default=-1)
        return any(
            receiver.options.priority < highest
            or (receiver.options.priority <= starved and receiver.allocation > receiver.minimum)
            for receiver in self._ledger
            if receiver.refusal is not None and receiver.allocation > receiver.lowest
        )

    def _apply(self, receiver: Receiver, level: int) -> bool:
        if receiver.negotiation is Negotiation.PLEDGED:
            return False
        if receiver.negotiation is Negotiation.ASKED and level < receiver.allocation:
            return False  # it was asked already; it is asked again once it has answered
        if receiver.projected == level:
            return False
        self._ledger.project(receiver, level)
        return True

    def next_need(self, room: int) -> int | None:
        """See `Sharing.next_need`."""
        needs = (
            receiver.step_above(receiver.projected) - receiver.projected
            for receiver in self._ledger
            if receiver.waiting_since is not None
            and receiver.held_until is None
            and receiver.projected < receiver.want
        )
        return min((need for need in needs if need > max(room, 0)), default=None)

    def favoured(self) -> dict[int, float]:
        """Nobody: the order is the policy's own affair."""
        return {}

    def kept_back(self, now: float, free: int) -> dict[int, float]:  # noqa: ARG002
        """Nobody: what a policy gives is granted."""
        return {}

    @property
    def wake_at(self) -> float:
        """Never."""
        return NEVER

    def advance(self, now: float) -> None:
        """Nothing to do."""


def _cut_order(receiver: Receiver) -> tuple[int, float, int]:
    """Those to be asked first at the head: lowest class, then the highest rate per weight."""
    return (
        receiver.options.priority,
        -receiver.allocation / receiver.options.weight,
        -receiver.id,
    )


def claim_of(receiver: Receiver, *, negotiate: bool, pinned: bool) -> Claim:
    """What the policy may know, and may do, of a receiver now."""
    held = receiver.allocation
    lowest = receiver.lowest
    wanted = held
    if receiver.negotiation is Negotiation.PLEDGED:
        held = lowest = wanted = receiver.projected
    elif receiver.negotiation is Negotiation.ASKED:
        return _asked_claim(receiver)
    elif not negotiate or (pinned and receiver.refusal is not None):
        lowest = held
    if receiver.negotiation is Negotiation.IDLE and receiver.held_until is None:
        wanted = max(held, receiver.want)
    steps = {step for step in (*receiver.steps, receiver.minimum) if lowest < step < wanted}
    levels = tuple(sorted({lowest, held, wanted, *steps})) if receiver.steps else ()
    return Claim(
        receiver.id,
        receiver.options.priority,
        receiver.options.weight,
        held,
        lowest,
        receiver.minimum,
        wanted,
        levels,
        receiver.options.elastic and not receiver.steps,
        receiver.waiting_since,
        receiver.steps,
    )


def _asked_claim(receiver: Receiver) -> Claim:
    """It stays asked for what it was asked for, or keeps all if the need has gone."""
    held, lowest = receiver.allocation, receiver.projected
    return Claim(
        receiver.id,
        receiver.options.priority,
        receiver.options.weight,
        held,
        lowest,
        held if lowest < receiver.minimum else receiver.minimum,
        held,
        (lowest, held),
        elastic=False,
        waiting_since=receiver.waiting_since,
        steps=receiver.steps,
        asked=True,
    )
