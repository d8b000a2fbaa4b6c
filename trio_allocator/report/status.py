"""What an allocator says of itself: frozen plain data."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ..engine.effects import Act, WakeReason
from ..engine.engine import Engine
from ..engine.probing.probe_status import ProbeStatus
from ..engine.receiver import Receiver
from ..engine.settings import NEVER


@frozen
class Allowance:
    """A reason why more is allocated than is usable (A2).

    Attributes:
        name: ``"dip"``, ``"decrease under way"``, ``"not negotiable"`` or ``"minimum"``.
        bitrate: How much of the excess it stands for, bit/s.
    """

    name: str
    bitrate: int


@frozen
class AllocatorStatus:
    """A snapshot of an allocator. Rates are bit/s, times seconds of the allocator's clock.

    Attributes:
        estimate: The estimate in force; None while it is unknown.
        max_bitrate: What the connection may be used for at most; None for no cap.
        reserve: What is kept free for what is sent outside of allocations.
        usable: What the allocations may come to: the estimate within the cap, less the reserve; None
            while the estimate is unknown.
        committed: Sum of all allocations.
        free: What may still be granted; 0 in overuse and while the estimate is unknown.
        allowances: Why more than is usable is allocated, by name and size; empty if it is not.
        unrelieved: The excess that nobody can give up any more.
        receivers: How many are registered.
        waiting: How many of them wait for more than they hold.
        asked: How many have a decrease request outstanding, or owe a promised decrease.
        refusing: How many refused, and are not asked again for now.
        holds: Receiver id to the end of its hold: its raises wait until then.
        ceiling: How far raises above lowest steps may bring the sum for now, where that is less
            than is usable: after the estimate fell, or a raise had to be taken back, or as no more
            was seen to be carried; see `Headroom`. None while the estimate itself says it.
        ceiling_until: When falls and raises that were taken back are forgotten, if none come; None
            likewise.
        favoured: Receiver id to the end of the hold on what becomes free for it.
        bars: Receiver id to the level, bit/s, that must fit before it is raised: a hold of the
            policy's, such as the bar for resuming one that is paused.
        probe: What the prober does.
        probe_target: The rate that media and padding together follow; 0 while nothing is probed.
        probes_fruitless: How many probes ended because they brought too little (P4).
        forced: How many times an allocation was taken without negotiation.
        breaches: How many times a promised decrease did not come.
        policy_fault: Why the user's policy was replaced; None if it was not.
        next_look: When it will look again though nothing happens, by its own clock; None for never.
        next_look_for: What it will look for then.
    """

    estimate: int | None
    max_bitrate: int | None
    reserve: int
    usable: int | None
    committed: int
    free: int
    allowances: tuple[Allowance, ...]
    unrelieved: int
    receivers: int
    waiting: int
    asked: int
    refusing: int
    holds: dict[int, float]
    ceiling: int | None
    ceiling_until: float | None
    favoured: dict[int, float]
    bars: dict[int, int]
    probe: ProbeStatus
    probe_target: int
    probes_fruitless: int
    forced: int
    breaches: int
    policy_fault: str | None
    next_look: float | None
    next_look_for: WakeReason


def snapshot(engine: Engine) -> AllocatorStatus:
    """Say how an engine stands; costs in proportion to its receivers."""
    usable = engine.usable
    committed = engine.ledger.committed
    excess = 0 if usable is None else max(0, committed - usable)
    dip = 0 if usable is None else engine.dips.kept(engine.now, committed, usable) - usable
    under_way = sum(max(0, r.allocation - _expected(r, engine)) for r in engine.ledger)
    fixed = sum(r.allocation for r in engine.ledger if not r.options.negotiable)
    free = 0 if usable is None else max(0, usable - committed)
    settlement = engine.settlement
    headroom = settlement.headroom
    fault = settlement.policy_fault
    limits, estimate = engine.limits, engine.estimates.value
    ceiling = None if usable is None or engine.trusted >= usable else engine.trusted
    wake_at = engine.wake_at
    return AllocatorStatus(
        estimate=estimate,
        max_bitrate=limits.max_bitrate,
        reserve=limits.reserve,
        usable=usable,
        committed=committed,
        free=free,
        allowances=tuple(_allowances(excess, dip, under_way, fixed)),
        unrelieved=max(0, excess - dip - under_way),
        receivers=len(engine.ledger),
        waiting=engine.ledger.waiting,
        asked=len(settlement.negotiator.outstanding),
        refusing=sum(receiver.refusal is not None for receiver in engine.ledger),
        holds=settlement.holds(),
        ceiling=ceiling,
        ceiling_until=None if ceiling is None else headroom.clear_at(engine.now),
        favoured=settlement.sharing.reserved(),
        bars=settlement.sharing.bars(),
        probe=engine.prober.status,
        probe_target=engine.prober.target,
        probes_fruitless=engine.prober.fruitless,
        forced=settlement.count(Act.FORCED),
        breaches=engine.breaches,
        policy_fault=None if fault is None else str(fault),
        next_look=None if wake_at == NEVER else wake_at,
        next_look_for=engine.wake_reason,
    )


def _expected(receiver: Receiver, engine: Engine) -> int:
    """What a receiver will hold; while anybody owes an answer, all may yet have to give more."""
    unfinished = engine.settlement.negotiator.outstanding
    return min(receiver.projected, receiver.lowest) if unfinished else receiver.projected


def _allowances(excess: int, dip: int, under_way: int, fixed: int) -> Iterator[Allowance]:
    """Explain an excess: a dip, what is being negotiated, and minimums for the rest."""
    named = (
        ("dip", dip),
        ("decrease under way", under_way),
        ("not negotiable", fixed),
        ("minimum", excess),
    )
    for name, size in named:
        part = min(excess, size)
        excess -= part
        if part:
            yield Allowance(name, part)
