"""Counters for metrics, put together when somebody asks."""

from __future__ import annotations

from attrs import asdict, frozen

from ..engine.effects import Act, DecisionReason
from ..engine.engine import Engine
from ..engine.negotiation import RefusalKind


@frozen(kw_only=True)
class AllocatorStatistics:
    """What an allocator has done since it was opened. All count up only.

    What it decides is counted as `ProbingAllocator.decisions` tells it; the rest is what came in: estimates,
    requests, and answers.

    Attributes:
        estimates: Estimates delivered by `update_bandwidth_estimation`.
        estimates_stopped: How often they have stopped, so that the estimate became unknown (A6).
        registrations: Receivers that joined.
        departures: Receivers that left.
        requests: Allocations requested by `request_allocation`.
        granted: Allocations raised, a step or more at a time.
        lowered: Allocations lowered by their receiver, asked to or not, or by a new cap.
        forced: Allocations taken without negotiation, by the application or with nobody left to
            ask.
        breaches_punished: Allocations taken a step down since a promise was not kept.
        decreases_asked: Decrease requests sent.
        decreases_accepted: Decrease requests accepted.
        decreases_rejected: Decrease requests rejected.
        decreases_silent: Decrease requests that nobody answered in time.
        decreases_breached: Decrease requests accepted, and the promise was not kept.
        decreases_withdrawn: Decrease requests that were void before they were answered, or before the
            promise was kept, but not by silence: the need had gone, the receiver had given
            what was asked for, had left, or may not be asked any more.
        holds: Times that a receiver's raises were put on hold after it was forced (G9).
        raises_taken_back: Raises after which somebody had to be lowered within seconds, as the
            estimate did not bear them (G10).
        probes_started: Probes begun; one that goes on after a short interruption is the same.
        probes_fruitless: Probes that ended because they brought too little (P4).
        escapes: Short episodes of padding while everybody is paused (P5).
        padding_bytes: Padding put into mailboxes, bytes.
        media_bytes: What receivers reported as sent, padding apart, bytes.
        policy_faults: Times that a user's policy failed and was replaced: at most once.
    """

    estimates: int
    estimates_stopped: int
    registrations: int
    departures: int
    requests: int
    granted: int
    lowered: int
    forced: int
    breaches_punished: int
    decreases_asked: int
    decreases_accepted: int
    decreases_rejected: int
    decreases_silent: int
    decreases_breached: int
    decreases_withdrawn: int
    holds: int
    raises_taken_back: int
    probes_started: int
    probes_fruitless: int
    escapes: int
    padding_bytes: int
    media_bytes: int
    policy_faults: int

    def as_dict(self) -> dict[str, int]:
        """Name to count: ready for JSON, or for a metrics library."""
        return asdict(self)


def statistics(engine: Engine) -> AllocatorStatistics:
    """Read an engine's counters; costs the same for any number of receivers."""
    settlement = engine.settlement
    broken = settlement.count(Act.FORCED, DecisionReason.BROKEN_PROMISE)
    silent = settlement.count(Act.WITHDRAWN, DecisionReason.SILENCE)
    # Answers are no decisions, and a broken promise may cost nothing: these are counted where they come in.
    negotiator = settlement.negotiator
    return AllocatorStatistics(
        estimates=engine.estimates.count,
        estimates_stopped=engine.estimates.stopped,
        registrations=engine.ledger.entered,
        departures=engine.ledger.entered - len(engine.ledger),
        requests=engine.requests,
        granted=settlement.count(Act.GRANTED),
        lowered=settlement.count(Act.LOWERED),
        forced=settlement.count(Act.FORCED) - broken,
        breaches_punished=broken,
        decreases_asked=settlement.count(Act.ASKED),
        decreases_accepted=negotiator.accepted,
        decreases_rejected=negotiator.refusals[RefusalKind.REJECTED],
        decreases_silent=silent,
        decreases_breached=negotiator.refusals[RefusalKind.BREACH],
        decreases_withdrawn=settlement.count(Act.WITHDRAWN) - silent,
        holds=settlement.held,
        raises_taken_back=settlement.headroom.failed,
        probes_started=engine.prober.started,
        probes_fruitless=engine.prober.fruitless,
        escapes=engine.prober.escapes,
        padding_bytes=engine.prober.padding.booked,
        media_bytes=engine.meter.media,
        policy_faults=int(settlement.policy_fault is not None),
    )
