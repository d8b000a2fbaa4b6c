"""Why everybody holds what it holds: an answer for each receiver, worked out when somebody looks."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

from attrs import asdict, frozen

from ..engine.engine import Engine
from ..engine.receiver import Receiver
from ..policies.step_classes import class_above
from .blockers import Blocker, BlockerFinder
from .status import AllocatorStatus, snapshot


@frozen(kw_only=True)
class ReceiverExplanation:
    """One receiver. Rates are bit/s, times seconds of the allocator's clock.

    Attributes:
        receiver_id: Whose.
        track_id: What it sends.
        priority: The class of its next step; it has one only, but for a priority per step.
        allocation: What it holds.
        claim: What it asked for last.
        next_step: The next allocation that would be of use to it; None if there is none.
        lacks: How much higher the estimate would have to be to carry the next step, the reserve
            of the connection, and all that is served before it or in the same round, with nobody
            brought down; 0 if it would do, None if the estimate is unknown.
        enough: The estimate that would carry them.
        blockers: What it is blocked by, what to look at first coming first. With all of them
            lifted, and nothing else, it is granted the next step; see `Blocker`.
        blocking: Ids of the receivers that are meant by that: those that owe an answer, for which
            capacity is held, that have a higher priority.
        held_until: When the hold that it waits out ends at the latest; None without one.
    """

    receiver_id: int
    track_id: str
    priority: int
    allocation: int
    claim: int
    next_step: int | None
    lacks: int | None
    enough: int
    blockers: tuple[Blocker, ...]
    blocking: tuple[int, ...]
    held_until: float | None

    @property
    def is_off(self) -> bool:
        """It asked for nothing, and holds nothing: its source is off, muted or stalled (A7)."""
        return not self.claim and not self.allocation

    @property
    def blocker(self) -> Blocker:
        """What to look at first."""
        return self.blockers[0]

    def __str__(self) -> str:
        if self.is_off:
            stalled = Blocker.STALLED in self.blockers
            why = "no key frame of it comes (stalled)" if stalled else "it asked for nothing"
            return f"{self.track_id} is off: {why}"
        if self.next_step is None:
            most = "has no use for more"
            if self.blocker is not Blocker.SENDER:
                most = f"claims no more: its next variant is {self.blocker}"
            return f"{self.track_id} holds {self.allocation} bit/s, and {most}"
        lacking = f", which lacks {self.lacks} bit/s" if self.lacks else ""
        end = "" if self.held_until is None else f" (hold until {self.held_until:.1f} s at most)"
        return (
            f"{self.track_id} holds {self.allocation} bit/s; its next step is {self.next_step}"
            f"{lacking}; blocked by {', '.join(self.blockers)}{end}"
        )


@frozen(kw_only=True)
class Explanation:
    """How an allocator stands, and why everybody holds what it holds.

    Attributes:
        time: When, seconds of the allocator's clock: its last event.
        estimate: The estimate in force, bit/s; None while it is unknown.
        usable: What the allocations may come to, bit/s: the estimate within the limits of the
            connection; see `AllocatorStatus.ceiling` for how far they may grow now. None while it
            is unknown.
        committed: Sum of all allocations, bit/s.
        status: All else: allowances, holds, the probe.
        padding: Ids of the receivers that are able to pad: without one, nothing is probed for.
        receivers: One by one, in order of registration.
    """

    time: float
    estimate: int | None
    usable: int | None
    committed: int
    status: AllocatorStatus
    padding: tuple[int, ...]
    receivers: tuple[ReceiverExplanation, ...]

    def __str__(self) -> str:
        known = "unknown" if self.estimate is None else f"{self.estimate} bit/s"
        head = f"estimate {known}, {self.committed} bit/s allocated"
        if self.receivers and not self.padding:
            head += "; nobody can pad"
        return "\n".join([head, *map(str, self.receivers)])

    def of(self, receiver_id: int) -> ReceiverExplanation:
        """What concerns one receiver.

        Raises:
            KeyError: No receiver of that id is registered.
        """
        for receiver in self.receivers:
            if receiver.receiver_id == receiver_id:
                return receiver
        raise KeyError(f"receiver {receiver_id} is not registered")

    def as_dict(self) -> dict[str, Any]:
        """The same as dicts, lists, strings, numbers and None, ready for JSON.

        Infinite times become None, and the keys of all dicts strings.
        """
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def explain(engine: Engine) -> Explanation:
    """Say how an engine stands, and why; costs in proportion to its receivers."""
    finder = BlockerFinder(engine)
    return Explanation(
        time=engine.now,
        estimate=engine.estimates.value,
        usable=engine.usable,
        committed=engine.ledger.committed,
        status=snapshot(engine),
        padding=tuple(receiver.id for receiver in engine.ledger if receiver.options.can_pad),
        receivers=tuple(_explained(engine, finder, receiver) for receiver in engine.ledger),
    )


def _explained(engine: Engine, finder: BlockerFinder, receiver: Receiver) -> ReceiverExplanation:
    found = finder.find(receiver)
    estimate = engine.estimates.value
    lacks = None
    if estimate is not None:
        lacks = 0 if found.next_step is None else max(0, found.enough - estimate)
    return ReceiverExplanation(
        receiver_id=receiver.id,
        track_id=receiver.track.id,
        priority=class_above(receiver.classes, receiver.allocation),
        allocation=receiver.allocation,
        claim=receiver.claim,
        next_step=found.next_step,
        lacks=lacks,
        enough=found.enough,
        blockers=found.blockers,
        blocking=found.blocking,
        held_until=found.held_until,
    )
