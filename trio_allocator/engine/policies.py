"""Ways to share, written as pure functions: claims and capacity in, allocations out.

A user's policy is checked, never trusted: one that raises, or whose result breaks an invariant,
is replaced by the built-in sharing, and the allocator's status says so (L3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

from attrs import field, frozen

from .ledger import Ledger
from .negotiation import Negotiation
from .receiver import Receiver
from .settings import NEVER


@frozen
class Claim:
    """What a policy knows of one receiver. Rates are bit/s.

    Attributes:
        receiver_id: Identity, ascending in order of registration.
        priority: Larger first.
        weight: Share within the class, relative to 1.
        allocation: What it holds.
        lowest: What it can be brought down to; its allocation if it cannot be asked now.
        minimum: What it should have before anyone of its class has more.
        wanted: What it could use; its allocation if it waits for nothing now.
        levels: The levels from `lowest` to `wanted` worth having, ascending; empty if any level
            down is, and upwards only `wanted` itself (or anything, if it is elastic).
        elastic: Without a ladder, part of what it wants is of use too.
        waiting_since: When it began to wait for more, s; None while it does not.
        pausable: It may be brought down to nothing, and is paused when it holds nothing.
    """

    receiver_id: int
    priority: int
    weight: float
    allocation: int
    lowest: int
    minimum: int
    wanted: int
    levels: tuple[int, ...]
    elastic: bool
    waiting_since: float | None
    pausable: bool = False

    def level_above(self, level: int) -> int:
        """The next level worth having above this one; itself if there is none."""
        if level >= self.wanted:
            return level
        if level < self.minimum:
            return min(self.minimum, self.wanted)
        return next((step for step in self.levels if step > level), self.wanted)


@frozen
class Shares:
    """A policy's answer.

    Attributes:
        allocations: Receiver id to bit/s, for every claim.
        lowest: The smallest capacity, bit/s, for which the answer would be the same.
        highest: The largest; the engine asks again only outside, or when the claims change.
        bars: Receiver id to the level, bit/s, that must fit before that receiver is raised at
            all; for those who are kept back by one. A hold, which is bounded in size by what the
            receiver wants, and which the status declares (G2).
    """

    allocations: Mapping[int, int]
    lowest: float = field(default=NEVER)
    highest: float = field(default=-NEVER)
    bars: Mapping[int, int] = field(factory=dict[int, int])


class Policy(Protocol):
    """A way to share. It must be pure: same claims, same capacity, same answer."""

    def __call__(self, claims: Sequence[Claim], capacity: int) -> Shares:
        """Choose the allocation that everybody should have.

        Every allocation lies between the claim's `lowest` and the larger of `allocation` and
        `wanted`. Their sum is within the capacity, unless everybody is at the lowest. Nothing
        that would fit is left out (G2), a lower class keeps nothing above its minimums that a
        higher one waits for (G6), and nobody in a class has more than a minimum while another's
        minimum waits (G8).
        """
        ...


class PolicyError(Exception):
    """A policy raised, or its answer breaks an invariant."""


class Sharing(Protocol):
    """What the engine needs of a way to share: it keeps the projections of a ledger."""

    def index(self, receiver: Receiver) -> None:
        """A receiver is new, or anything of it changed."""
        ...

    def drop(self, receiver: Receiver) -> None:
        """A receiver is gone."""
        ...

    def settle(
        self, capacity: int, *, negotiate: bool, force: bool, now: float
    ) -> Iterable[Receiver]:
        """Bring the projections up to date; return the receivers whose projection changed."""
        ...

    def next_need(self, room: int) -> int | None:
        """The smallest increment waited for that `room` does not hold, bit/s."""
        ...

    def favoured(self) -> dict[int, float]:
        """For whom what becomes free is held, and until when."""
        ...

    def bars(self) -> dict[int, int]:
        """Who is raised only where this level fits, bit/s."""
        ...

    @property
    def wake_at(self) -> float:
        """When `advance` is due."""
        ...

    def advance(self, now: float) -> None:
        """Time has passed."""
        ...


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
        self._bars: Mapping[int, int] = {}

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
        # The range is the policy's word; that what it gave still fits is seen to.
        holds_out = self._lowest <= capacity <= self._highest and self._total <= capacity
        if holds_out and not self._dirty and (negotiate, force) == self._mode:
            return []
        claims = [_claim(receiver, negotiate, pinned=True) for receiver in self._ledger]
        shares = self._ask(claims, capacity)
        self._total = sum(shares.allocations.values())
        over = self._total > capacity
        asking = any(shares.allocations[c.receiver_id] < c.allocation for c in claims)
        if over and (asking or not force):
            pass  # while anybody is left to ask, nobody is forced (N8)
        elif negotiate and (over or self._refusers_needed(claims, shares)):
            claims = [_claim(receiver, negotiate, pinned=False) for receiver in self._ledger]
            shares = self._ask(claims, capacity)
            self._total = sum(shares.allocations.values())
        self._lowest, self._highest, self._bars = shares.lowest, shares.highest, shares.bars
        self._dirty, self._mode = False, (negotiate, force)
        touched = [
            receiver
            for receiver in self._ledger
            if self._apply(receiver, shares.allocations[receiver.id])
        ]
        return sorted(touched, key=_cut_order)

    def _ask(self, claims: Sequence[Claim], capacity: int) -> Shares:
        try:
            answer = self._policy(claims, capacity)
            chosen = {c.receiver_id: answer.allocations[c.receiver_id] for c in claims}
            shares = Shares(chosen, float(answer.lowest), float(answer.highest), dict(answer.bars))
            check_shares(claims, capacity, shares)
        except Exception as error:
            raise PolicyError(f"the policy {self._policy!r} failed: {error!r}") from error
        return shares

    def _refusers_needed(self, claims: Sequence[Claim], shares: Shares) -> bool:
        """Whether somebody waits for what only a refuser could give (G6, G8)."""
        chosen = shares.allocations
        # Who must give something itself does not wait: it is asked before anyone is forced (N8).
        waiting = [c for c in claims if c.allocation <= chosen[c.receiver_id] < c.wanted]
        highest = max((c.priority for c in waiting), default=-1)
        starved = max((c.priority for c in waiting if _starves(c, chosen)), default=-1)
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
            max(receiver.step_above(receiver.projected), self._bars.get(receiver.id, 0))
            - receiver.projected
            for receiver in self._ledger
            if receiver.waiting_since is not None
            and receiver.held_until is None
            and receiver.projected < receiver.want
        )
        return min((need for need in needs if need > max(room, 0)), default=None)

    def favoured(self) -> dict[int, float]:
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


def _cut_order(receiver: Receiver) -> tuple[int, float, int]:
    """Those to be asked first at the head: lowest class, then the highest rate per weight."""
    return (
        receiver.options.priority,
        -receiver.allocation / receiver.options.weight,
        -receiver.id,
    )


def _claim(receiver: Receiver, negotiate: bool, *, pinned: bool) -> Claim:
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
    return Claim(
        receiver.id,
        receiver.options.priority,
        receiver.options.weight,
        held,
        lowest,
        minimum,
        wanted,
        tuple(sorted(levels)) if receiver.steps or asked else (),
        receiver.options.elastic and not receiver.steps and not asked,
        receiver.waiting_since,
        receiver.options.pausable,
    )


def check_shares(claims: Sequence[Claim], capacity: int, shares: Shares) -> None:
    """Check a policy's answer.

    Raises:
        ValueError: It breaks an invariant; the message names it.
    """
    chosen = {claim.receiver_id: shares.allocations[claim.receiver_id] for claim in claims}
    for claim in claims:
        level = chosen[claim.receiver_id]
        if isinstance(level, bool) or not isinstance(level, int):
            raise ValueError(f"A1: the share of receiver {claim.receiver_id} is {level!r}")  # noqa: TRY004 - no argument of ours
        if not claim.lowest <= level <= max(claim.allocation, claim.wanted):
            raise ValueError(
                f"A2: the share of receiver {claim.receiver_id} is {level} bit/s, outside "
                f"{claim.lowest} to {max(claim.allocation, claim.wanted)}"
            )
    total = sum(chosen.values())
    if total > capacity and any(chosen[c.receiver_id] > c.lowest for c in claims):
        raise ValueError(f"A2: {total} bit/s are shared out of {capacity}")
    extra: dict[int, int] = {}
    for claim in claims:
        above = chosen[claim.receiver_id] - max(claim.lowest, claim.minimum)
        extra[claim.priority] = extra.get(claim.priority, 0) + max(0, above)
    below = dict(
        zip(sorted(extra), accumulate((extra[p] for p in sorted(extra)), initial=0), strict=False)
    )
    for claim in claims:
        level = chosen[claim.receiver_id]
        within = _starves(claim, chosen)
        following = level + 1 if claim.elastic and not within else claim.level_above(level)
        bar = shares.bars.get(claim.receiver_id, 0)
        if bar > claim.wanted:
            raise ValueError(f"G2: the bar of receiver {claim.receiver_id} is above all it wants")
        need = max(following, bar) - level
        if level >= claim.wanted:
            continue
        room = capacity - total
        if need <= room:
            raise ValueError(f"G2: {need} bit/s for receiver {claim.receiver_id} would fit")
        room += below[claim.priority] + (extra[claim.priority] if within else 0)
        if need <= room:
            raise ValueError(
                f"{'G8' if within else 'G6'}: receiver {claim.receiver_id} waits for {need} bit/s "
                "that those after it hold above their minimums"
            )


def _starves(claim: Claim, chosen: Mapping[int, int]) -> bool:
    """Whether somebody has less than a minimum, and could use it."""
    return chosen[claim.receiver_id] < min(claim.minimum, claim.wanted)
