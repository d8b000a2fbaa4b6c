"""The default policy, as a pure function of claims and capacity."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ...policies.policy import Claim, Shares, shown
from ...policies.utility import CheckedUtility, Utility, log_utility
from .class_order import ClassOrder, Member


class LayeredPolicy:
    """Class by class the greatest utility, round by round: the default policy; see `class_order`.

    A pure function of claims and capacity, see `Policy`. An allocator does not call it: it keeps an
    index that comes to the same answer at a cost in proportion to what changes. In an allocator
    raises are also kept back where an estimate is not to be trusted; see `Headroom`.

    Args:
        worth: The utility of an allocation in bit/s: finite, at least 0, and never falling. Called
            a few times for each claim, and checked: one that is none of that fails, as a policy
            does. Default: `log_utility` of the best step of the class.

    Raises:
        TypeError: `worth` can not be called.
    """

    worth: Utility | None = None

    def __init__(self, worth: Utility | None = None) -> None:
        if worth is not None and not callable(worth):
            raise TypeError(f"worth must be a function of bit/s, not {shown(worth)}")
        self.worth = worth

    def __repr__(self) -> str:
        return f"LayeredPolicy(worth={self.worth!r})"

    def __call__(self, claims: Sequence[Claim], capacity: int) -> Shares:
        """Choose the allocation that everybody should have."""
        room = capacity - sum(claim.lowest for claim in claims)
        given = None if self.worth is None else CheckedUtility(self.worth)
        in_order = sorted(claims, key=_priority, reverse=True)
        levels = {claim.receiver_id: claim.lowest for claim in claims}
        everybody: list[Member] = []
        orders: list[ClassOrder] = []
        for _, members_of in groupby(in_order, key=_priority) if room > 0 else ():
            claims_of = list(members_of)
            members = [Member(claim) for claim in claims_of]
            order = ClassOrder(members, room, given or log_utility(_best_step(claims_of)))
            order.serve()
            room = order.room
            orders.append(order)
            everybody += members
        for order in orders:  # who was asked may keep all, even out of what lower classes leave
            order.room = room
            order.restore()
            room = order.room
        levels.update((member.number, member.level) for member in everybody)
        return Shares(levels)


class FairPolicy(LayeredPolicy):
    """`LayeredPolicy`, but a fall of the estimate keeps no raise back; see `Headroom`.

    It shares alike, and all else keeps raises back as there: raises that were taken back, what the
    source of the estimates says was carried, reservations, and holds. It takes over for a policy
    that fails.
    """

    cautious = False

    def __repr__(self) -> str:
        return "FairPolicy()"


def _priority(claim: Claim) -> int:
    return claim.priority


def _best_step(claims: Sequence[Claim]) -> int:
    """The highest step of any ladder; without ladders, the most that anybody wants. bit/s."""
    tops = [step for claim in claims for step in (claim.steps or claim.levels)[-1:]]
    return max(tops or [claim.wanted for claim in claims], default=1) or 1
