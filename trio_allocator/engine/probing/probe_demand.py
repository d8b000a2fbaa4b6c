"""What the books say about probing."""

from __future__ import annotations

from ..estimates import Estimates
from ..ledger import Ledger
from ..limits import Limits
from ..settings import NEVER
from ..settlement import Settlement
from .prober import Demand


def demand_for_probes(  # noqa: PLR0917 - what there is to look at
    now: float,
    estimates: Estimates,
    limits: Limits,
    ledger: Ledger,
    settlement: Settlement,
    trusted: int,
) -> tuple[Demand, float]:
    """See what a probe would be good for.

    Args:
        now: The time, s.
        estimates: Of the connection.
        limits: Of the connection: no probe aims at what they do not allow.
        ledger: The books.
        settlement: Knows who waits for what, and who owes an answer.
        trusted: How far raises may bring the allocations, bit/s.

    Returns:
        The demand, and when it may change by time alone, s.
    """
    estimate, sharing = estimates.value, settlement.sharing
    negotiating = bool(settlement.negotiator.outstanding)
    reach = limits.most - ledger.committed
    # Where the source tells what was carried, a step that fits the estimate and not the part of it
    # that raises may fill is probed for: the probe is a proof (G2). A number alone proves nothing
    # more by padding: what keeps such a step back then passes with time (P1).
    need, free_to = None, trusted
    if ledger.waiting and estimate is not None:
        told = settlement.headroom.carried is not None
        free_to = trusted if told else limits.usable(estimate)
        need = sharing.next_need(free_to - ledger.committed, reach)
    allowed = fell = False
    changes_at = NEVER
    if need is not None and estimate is not None:
        steady_at = estimates.steady_at(now)
        steady = steady_at <= now
        changes_at = NEVER if steady else steady_at
        fell = not steady or ledger.committed > limits.usable(estimate)
        allowed = not fell and not negotiating
    stuck = estimates.ever and ledger.waiting > 0 and ledger.waiting_with_allocation == 0
    if stuck and limits.max_bitrate is not None and not negotiating:
        stuck = sharing.next_need(0, reach) is not None
    wanted = 0 if need is None else ledger.committed + need
    demand = Demand(
        estimate=estimate,
        wanted=wanted,
        allowed=allowed,
        fell=fell,
        stuck=stuck,
        most=limits.most,
        committed=ledger.committed,
        free_to=free_to,
        carried=settlement.headroom.carried,
        raised_at=settlement.headroom.raised_at,
    )
    return demand, changes_at
