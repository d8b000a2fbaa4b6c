"""Runs of the simulated world, one or many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from ...engine.engine import Engine
from ...engine.policies import Policy
from ...engine.settings import Settings
from .engine_subject import EngineSubject
from .figures import Figures, measure
from .oracle import Oracle, consult_oracle
from .reference import ReferenceSubject
from .trace import Trace
from .world import World

POLICIES: dict[str, Policy | None] = {"fair": None}
"""The policies of this package, by name."""

REFERENCE = "reference"
"""The baseline."""

PolicyChoice: TypeAlias = str | Callable[..., Any] | None


def make_engine(policy: PolicyChoice, settings: Mapping[str, Any] | None = None) -> Engine:
    """An engine that begins at time 0.

    Args:
        policy: A name out of `POLICIES`, or a policy of one's own.
        settings: Of the engine, by name; see `Settings`.
    """
    chosen: Any = POLICIES[policy] if isinstance(policy, str) else policy
    return Engine(Settings(**dict(settings or {})), now=0.0, policy=chosen)


def simulate(
    trace: Trace,
    receivers: int,
    policy: PolicyChoice = "fair",
    estimates: str = "ideal",
    seed: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> Figures:
    """One run.

    Args:
        trace: The capacity of the link.
        receivers: How many cameras.
        policy: ``reference``, a name out of `POLICIES`, or a policy of one's own.
        estimates: ``ideal`` or ``gcc``.
        seed: Of rates, key frames and noise.
        settings: Of the engine, by name.
    """
    world, subject = run(trace, receivers, policy, estimates, seed, settings)
    oracle = oracle_of(trace, receivers, world.cameras.audio)
    return measure(world, oracle, forced=subject.forced, asked=subject.asked)


def run(
    trace: Trace,
    receivers: int,
    policy: PolicyChoice,
    estimates: str,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> tuple[World, EngineSubject | ReferenceSubject]:
    """As `simulate`; returns all that there is to look at."""
    subject: EngineSubject | ReferenceSubject
    if policy == REFERENCE:
        subject = ReferenceSubject(receivers)
    else:
        subject = EngineSubject(make_engine(policy, settings), receivers)
    world = World(trace, receivers, subject, estimates, seed)
    world.run()
    return world, subject


@lru_cache(maxsize=256)
def oracle_of(trace: Trace, receivers: int, audio: int) -> Oracle:
    """The oracle of a trace, which is the same for all policies and seeds."""
    return consult_oracle(trace, receivers, audio)
