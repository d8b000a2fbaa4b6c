"""What stands between a receiver and its next step.

A receiver is blocked by one thing or several. Lifting all that are named, and nothing else, grants
its next step. What lifting means, for each:

* **unknown estimate**: an estimate comes that is enough (`Blockage.enough`).
* **sender**: it claims the next step of its ladder.
* **stalled**: it claims that step, since its key frame comes. **dear**: the step costs what was
  declared, and is claimed. Both are known to the receiver only, which says so.
* **cap**: `max_bitrate` is taken away.
* **hold**: time passes until the hold ends, the estimate being repeated.
* **negotiation**: those who owe an answer accept, and go to the limit at once.
* **priority**: the receivers with steps of higher classes leave. (A larger estimate would do as well.)
* **connection cap**: `max_bitrate` of the connection is taken away.
* **reserve**: that of the connection is set to 0.
* **network**: the estimate rises to what is enough.

A raise that none of these stands against any more may be one that is not trusted at once (G9). Then
it is blocked by a hold afterwards, with an end. And where it is due even more than its next step,
at the cost of others, all of it comes at once when they have answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from attrs import evolve, frozen

from ..engine.engine import Engine
from ..engine.negotiation import Negotiation
from ..engine.receiver import Receiver
from ..engine.settings import NEVER
from ..obstacle import Obstacle
from ..policies.next_step import next_step
from ..policies.step_classes import class_above
from .demand_ahead import DemandAhead


class Blocker(StrEnum):
    """Who or what stands between a receiver and its next step."""

    UNKNOWN_ESTIMATE = "unknown estimate"
    """No estimate has come yet, or they have stopped: raises wait (A6)."""
    SENDER = "sender"
    """It claims no more than it holds; if there is no next step, its ladder has no higher one."""
    STALLED = "stalled"
    """The key frame of its next variant does not come: it says so (`Obstacle`)."""
    DEAR = "dear"
    """Its next variant proved to need more than was declared: it says so (`Obstacle`)."""
    CAP = "cap"
    """Its `max_bitrate`."""
    NEGOTIATION = "negotiation"
    """An answer to a decrease request is awaited: from others, who make room, or from itself."""
    HOLD = "hold"
    """It was lowered by force a moment ago. Or there is room, but it is not trusted yet, after a fall of
    the estimate or a raise that was taken back. Or room is held for one that was overtaken, or that waits
    for its lowest step."""
    PRIORITY = "priority"
    """Higher classes hold and wait for more than leaves room for it."""
    CONNECTION_CAP = "connection cap"
    """The connection's `max_bitrate`; see `Limits`."""
    RESERVE = "reserve"
    """The connection's `reserve`: without it the estimate would do; see `Limits`."""
    NETWORK = "network"
    """The estimate is too low."""


@frozen
class Blockage:
    """What is found for one receiver. Rates are bit/s, times s.

    Attributes:
        next_step: The next allocation of use; None if there is none.
        enough: The estimate that carries it, the reserve, and all that is served before, with
            nobody brought down. Of a policy whose order is not known: all that everybody claims.
        blockers: What blocks it; what to look at first comes first.
        blocking: Ids of the receivers that are meant.
        held_until: When the hold ends at the latest; None without one.
    """

    next_step: int | None
    enough: int
    blockers: tuple[Blocker, ...]
    blocking: tuple[int, ...]
    held_until: float | None


class BlockerFinder:
    """Finds what blocks each receiver; what they have in common is looked up once.

    Args:
        engine: What it looks at, and does not change.
    """

    def __init__(self, engine: Engine) -> None:
        settlement = engine.settlement
        sharing = settlement.sharing
        self._now = engine.now
        self._ledger = engine.ledger
        self._limits = engine.limits
        self._estimate = engine.estimates.value
        self._usable = engine.usable
        self._owing = settlement.negotiator.outstanding
        self._headroom = settlement.headroom
        self._trusted = engine.trusted
        self._ordered = sharing.ordered
        self._demand = DemandAhead(engine.ledger, ordered=self._ordered)
        self._reserved = sharing.reserved()

    def find(self, receiver: Receiver) -> Blockage:
        """What blocks a receiver."""
        found = self._find(receiver)
        return evolve(found, blockers=_named(found.blockers, receiver.obstacle))

    def _find(self, receiver: Receiver) -> Blockage:
        level, committed = receiver.allocation, self._ledger.committed
        following = _following(receiver)
        if following is None:
            return Blockage(None, committed, (Blocker.SENDER,), (), None)
        # A policy of which nothing is known may keep a bar for it, somewhere up to its claim (G2).
        sure = following if self._ordered else max(following, receiver.claim)
        needed = committed + self._demand.before(receiver) + sure - level
        enough = self._headroom.enough(needed + self._limits.reserve)
        blockers = list(_own_limits(receiver, following))
        free_to_rise = not blockers and self._estimate is not None
        blocking: set[int] = set()
        if self._estimate is None:
            blockers.insert(0, Blocker.UNKNOWN_ESTIMATE)
        planned = receiver.projected > level
        outer: list[Blocker] = []
        higher: set[int] = set()
        holds: dict[int, float] = {}
        if not planned:  # else it is within what there is, and what is trusted
            outer, higher = self._outer(receiver, needed, enough)
            holds = self._holds(receiver, needed)
        if planned or receiver.negotiation is not Negotiation.IDLE:
            blockers.append(Blocker.NEGOTIATION)
            blocking.update(self._owing if planned else {receiver.id: receiver})
        elif free_to_rise and not outer and not holds:
            holds[receiver.id] = self._now  # a policy of the user's kept it back
        if holds:
            blockers.append(Blocker.HOLD)
            blocking.update(holds.keys() - {receiver.id})
        blockers += outer
        blocking |= higher
        held_until = max(holds.values()) if holds else None
        return Blockage(following, enough, tuple(blockers), tuple(sorted(blocking)), held_until)

    def _holds(self, receiver: Receiver, needed: int) -> dict[int, float]:
        """For whom it is held back (mostly itself), and until when at the latest."""
        ends: list[tuple[int, float]] = []
        if receiver.held_until is not None:
            ends.append((receiver.id, receiver.held_until))
        if self._usable is not None and self._trusted < needed <= self._usable:
            until = self._headroom.reaches_at(self._now, needed + self._limits.reserve)
            if until < NEVER:
                ends.append((receiver.id, until))
        above_minimum = receiver.allocation >= receiver.minimum
        for other, until in self._reserved.items():
            ahead = self._ledger[other].priority - receiver.priority
            if other != receiver.id and (ahead > 0 or (ahead == 0 and above_minimum)):
                ends.append((other, until))
        return {who: max(end for other, end in ends if other == who) for who, _ in ends}

    def _outer(
        self, receiver: Receiver, needed: int, enough: int
    ) -> tuple[list[Blocker], set[int]]:
        """What of the connection is in the way of this total, and whose higher priority."""
        limits, estimate = self._limits, self._estimate
        borne = estimate is not None and enough <= estimate
        if self._usable is not None and needed <= self._usable and borne:
            return [], set()
        higher = self._higher(receiver, needed)
        if higher:
            return [Blocker.PRIORITY], higher
        found = [Blocker.CONNECTION_CAP] if needed > limits.most else []
        if estimate is None or borne:
            return found, set()
        without_reserve = self._headroom.enough(needed)
        if without_reserve <= evolve(limits, reserve=0).usable(estimate):
            return [Blocker.RESERVE], set()
        found.append(Blocker.RESERVE if without_reserve <= estimate else Blocker.NETWORK)
        return found, set()

    def _higher(self, receiver: Receiver, needed: int) -> set[int]:
        """The receivers of higher classes, if without them there would be enough."""
        above = self._demand.above(receiver) if self._ordered else 0
        if not above or needed - above > (self._usable or 0):
            return set()
        priority = class_above(receiver.classes, receiver.allocation)
        return {
            other.id
            for other in self._ledger
            if other is not receiver and other.classes[0][0] > priority
        }


def _following(receiver: Receiver) -> int | None:
    """The next allocation of use: claimed, beyond the cap, or not claimed at all."""
    level = receiver.allocation
    if receiver.want > level:
        above = receiver.step_above(level)
        # Who can use any part may be about to get one.
        return min(above, receiver.projected) if receiver.projected > level else above
    claims = receiver.claim > level
    most = receiver.claim if claims else max((receiver.minimum, *receiver.steps))
    return next_step(level, receiver.minimum, receiver.steps, most) if most > level else None


def _own_limits(receiver: Receiver, following: int) -> Iterator[Blocker]:
    """What the receiver itself, and its options, stand against it."""
    cap = receiver.options.max_bitrate
    if receiver.want > receiver.allocation:
        return
    claims = receiver.claim > receiver.allocation
    if not claims:
        yield Blocker.SENDER
    if claims or (cap is not None and following > cap):
        yield Blocker.CAP


def _named(blockers: tuple[Blocker, ...], obstacle: Obstacle | None) -> tuple[Blocker, ...]:
    """What the receiver itself knows of it: in place of the sender, of which that is known."""
    if obstacle is None or not blockers:
        return blockers
    name = Blocker(obstacle.value)
    if Blocker.SENDER in blockers:
        return tuple(name if blocker is Blocker.SENDER else blocker for blocker in blockers)
    return (name, *blockers)
