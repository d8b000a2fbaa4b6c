"""What direct tests of the engine share: an engine, its receivers, and what it says to them."""

from __future__ import annotations

import math

from trio_allocator.engine.effects import Act, Effect
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.limits import LimitChanges, Limits
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.engine.receiver import Receiver
from trio_allocator.engine.settings import Settings
from trio_allocator.engine.sharing.layered_policy import FairPolicy
from trio_allocator.messages import AllocationGranted, DecreaseAllocation, GrantReason
from trio_allocator.options import ReceiverOptions
from trio_allocator.policies.policy import Policy
from trio_allocator.tracks import Track

NOW = 100.0
FAIR = FairPolicy()


class EngineOfTests(Engine):
    """An engine that does not repeat what a test has just done: who joined, and who left."""

    def drain(self) -> list[Effect]:
        return [e for e in super().drain() if e.act not in {Act.JOINED, Act.LEFT}]


def ladder(*rates: int) -> Track:
    """A track with these rates; its steps are a tenth above them."""
    return Track("t", variants={f"v{rate}": rate for rate in rates})


def opened(
    estimate: int | None = None,
    policy: Policy = FAIR,
    limits: LimitChanges | None = None,
    **settings,
) -> Engine:
    """An engine at `NOW`, whose estimates last unless told otherwise."""
    chosen = Settings(**{"estimate_timeout": math.inf, **settings})
    known = Limits(**(limits or {}))
    return EngineOfTests(chosen, now=NOW, initial_estimate=estimate, policy=policy, limits=known)


def limit(engine: Engine, now: float = NOW, **changes) -> None:
    """Change limits of the connection."""
    engine.limit(now, engine.limits.changed(changes))


def joined(engine: Engine, bandwidth: int, *rates: int, now: float = NOW, **options) -> Receiver:
    """A negotiable receiver with this ladder."""
    track = ladder(*rates)
    checked = ReceiverOptions.for_track(track, {"negotiable": True, **options})
    return engine.register(now, track, checked, bandwidth, PaddingAccount())


def record(bandwidth: int, *rates: int, number: int = 1, **options) -> Receiver:
    """A receiver in no books."""
    track = ladder(*rates)
    checked = ReceiverOptions.for_track(track, {"negotiable": True, **options})
    return Receiver(number, track, checked, bandwidth)


def asked(effects: list[Effect]) -> dict[int, int]:
    """Who is asked, and to come down to what."""
    return {e.receiver_id: e.after for e in effects if e.act is Act.ASKED}


def granted(effects: list[Effect]) -> list[tuple[int, int, GrantReason]]:
    """Who was told to hold what, and why; in order."""
    messages = [e.message for e in effects]
    return [
        (m.receiver_id, m.allocation, m.reason)
        for m in messages
        if isinstance(m, AllocationGranted)
    ]


def withdrawn(effects: list[Effect]) -> list[int]:
    """Whose requests are void."""
    return [e.receiver_id for e in effects if e.act is Act.WITHDRAWN]


def revised(effects: list[Effect]) -> list[DecreaseAllocation]:
    """What requests ask for now, instead of what they did."""
    return [
        e.message
        for e in effects
        if isinstance(e.message, DecreaseAllocation) and e.act is Act.REVISED
    ]
