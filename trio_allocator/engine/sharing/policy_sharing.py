"""A policy in an allocator: when it is asked, what it is told, and what is made of its answer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from ...policies.policy import Claim, Policy, PolicyError, Shares, check_shares, unserved
from ...policies.step_classes import class_below
from ..ledger import Ledger
from ..negotiation import Negotiation
from ..receiver import Receiver
from ..settings import NEVER
from .by_class import ask
from .sharing import Capacity, asking_order


class PolicySharing:
    """Keeps the projections of a ledger at the answers of a user's policy.

    Args:
        ledger: The books; only projections are written.
        policy: The user's function.
    """

    def __init__(self, ledger: Ledger, policy: Policy) -> None:
        self._ledger = ledger
        self._policy = policy
        self._dirty = True
        self._needs: list[tuple[int, bool]] | None = None
        self._mode = (True, True)
        self._lowest = NEVER
        self._highest = -NEVER
        self._total = 0
        self._capacity = -1
        self._lasting = False
        self._bars: Mapping[int, int] = {}

    ordered = False

    def index(self, receiver: Receiver) -> None:  # noqa: ARG002 - all claims are asked again
        """The claims have changed: ask again."""
        self._dirty = True
        self._needs = None

    def drop(self, receiver: Receiver) -> None:  # noqa: ARG002
        """The claims have changed: ask again."""
        self._dirty = True
        self._needs = None

    def settle(
        self,
        capacity: Capacity,
        *,
        now: float,  # noqa: ARG002 - a policy knows no time
    ) -> Iterable[Receiver]:
        """Ask the policy, unless its last answer still holds.

        Raises:
            PolicyError: It raised, or its answer breaks an invariant. Nothing was changed.
        """
        mode = (capacity.negotiate, capacity.force)
        ledger = self._ledger
        most = max(
            capacity.for_keeping(ledger.committed), capacity.for_raises(ledger.projected)
        )  # a policy is told one number
        if not self._dirty and mode == self._mode and self._holds_out(most):
            return []
        claims = self._claims(capacity.negotiate, pinned=True)
        shares = self._ask(claims, most)
        self._total = sum(shares.allocations.values())
        over = self._total > most
        asking = any(shares.allocations[c.receiver_id] < c.allocation for c in claims)
        refusers = any(r.refusal is not None and r.allocation > r.lowest for r in self._ledger)
        if over and (asking or not capacity.force):
            pass  # while anybody is left to ask, nobody is forced (N8)
        elif capacity.negotiate and refusers:
            claims = self._claims(capacity.negotiate, pinned=False)
            if over or _refusers_needed(claims, most, shares):
                shares = self._ask(claims, most)
                self._total = sum(shares.allocations.values())
        self._lowest, self._highest, self._bars = shares.lowest, shares.highest, shares.bars
        self._capacity = most
        self._lasting = not refusers and self._total <= most
        self._dirty, self._mode = False, mode
        self._needs = None
        touched = [
            receiver
            for receiver in self._ledger
            if self._apply(receiver, shares.allocations[receiver.id])
        ]
        return sorted(touched, key=asking_order)

    def _holds_out(self, capacity: int) -> bool:
        """Whether the last answer is still the answer, with the same claims."""
        if capacity == self._capacity:
            return True
        # The range is the policy's word; that what it gave still fits is seen to. In overuse, and
        # with somebody who refuses, more depends on the capacity than its answer.
        fits = self._lasting and self._total <= capacity
        return fits and self._lowest <= capacity <= self._highest

    def _claims(self, negotiate: bool, *, pinned: bool) -> list[Claim]:
        """Make the claims; a receiver that refused may be pinned to what it holds."""
        return [claim_of(receiver, negotiate=negotiate, pinned=pinned) for receiver in self._ledger]

    def _ask(self, claims: Sequence[Claim], capacity: int) -> Shares:
        try:
            shares = ask(self._policy, claims, capacity)
            check_shares(claims, capacity, shares)
        except Exception as error:
            raise PolicyError.of("policy", self._policy, error) from error
        return shares

    def _apply(self, receiver: Receiver, level: int) -> bool:
        if receiver.negotiation is Negotiation.PLEDGED:
            return False
        if receiver.negotiation is Negotiation.ASKED and level < receiver.allocation:
            return False  # it was asked already; it is asked again once it has answered
        if receiver.projected == level:
            return False
        self._ledger.project(receiver, level)
        return True

    def next_need(self, room: int, most: float = NEVER) -> int | None:
        """See `Sharing.next_need`."""
        if self._needs is None:  # looked up once for each answer, not for each estimate (C2)
            waiting = (receiver for receiver in self._ledger if _waits(receiver))
            self._needs = sorted(map(self._need, waiting))
        least = max(room, 0)
        fixed = self._needs[bisect_right(self._needs, (least, True)) :]
        need = next((need for need, divisible in fixed if not divisible and need <= most), None)
        if any(divisible for _, divisible in fixed) and most > least:
            largest = int(min(next(need for need, divisible in fixed if divisible), most))
            need = largest if need is None else min(need, largest)
        return need

    def _need(self, receiver: Receiver) -> tuple[int, bool]:
        """What is worth probing for, for one that waits, bit/s; and whether any part of it is."""
        level = receiver.projected
        following = max(receiver.step_above(level), self._bars.get(receiver.id, 0))
        elastic = receiver.options.elastic and not receiver.steps and level >= receiver.minimum
        return following - level, elastic

    def reserved(self) -> dict[int, float]:
        """Nobody: the order is the policy's own affair."""
        return {}

    def bars(self) -> dict[int, int]:
        """See `Sharing.bars`."""
        return dict(self._bars)

    @property
    def wake_at(self) -> float:
        """Never."""
        return NEVER

    def advance(self, now: float) -> None:
        """Nothing to do."""


def claim_of(receiver: Receiver, *, negotiate: bool, pinned: bool) -> Claim:
    """What the policy may know, and may do, of a receiver now."""
    held = receiver.allocation
    lowest = receiver.lowest
    minimum = receiver.minimum
    wanted = held
    asked = receiver.negotiation is Negotiation.ASKED
    if receiver.negotiation is Negotiation.PLEDGED:
        held = lowest = wanted = receiver.projected
    elif asked:  # it stays asked for what it was, unless the need for that has gone
        lowest = receiver.projected
        minimum = min(minimum, lowest)
    elif not negotiate or (pinned and receiver.refusal is not None):
        lowest = held
    if receiver.negotiation is Negotiation.IDLE and receiver.held_until is None:
        wanted = max(held, receiver.want)
    steps = set() if asked else {*receiver.steps, receiver.minimum}
    levels = {lowest, held, wanted, *(step for step in steps if lowest < step < wanted)}
    # Who was asked keeps all, or goes there: that is decided where the last of it belongs.
    asked_in = class_below(receiver.classes, receiver.allocation)
    return Claim(
        receiver.id,
        asked_in if asked else receiver.classes[0][0],
        receiver.options.weight,
        held,
        lowest,
        minimum,
        wanted,
        tuple(sorted(levels)) if receiver.steps or asked else (),
        receiver.options.elastic and not receiver.steps and not asked,
        None if receiver.waiting_since is None else receiver.turn(held),
        receiver.steps,
        receiver.options.pausable,
        receiver.projected > receiver.allocation,
        asked,
        () if asked or len(receiver.classes) == 1 else receiver.classes,
    )


def _refusers_needed(claims: Sequence[Claim], capacity: int, shares: Shares) -> bool:
    """Whether somebody waits for what only a refuser could give (G6, G8)."""
    # Who has to give something itself does not wait: it is asked before anyone is forced (N8).
    return any(
        rule != "G2" and shares.allocations[claim.receiver_id] >= claim.allocation
        for rule, claim, _ in unserved(claims, capacity, shares, down_to_lowest=True)
    )


def _waits(receiver: Receiver) -> bool:
    """Whether somebody waits for more than is planned for it, and no hold keeps it back."""
    waits = receiver.waiting_since is not None and receiver.held_until is None
    return waits and receiver.projected < receiver.want
