"""One run: a policy by its name, in a world of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from ...engine.engine import Engine
from ...engine.settings import Settings
from ...engine.sharing.registry import DEFAULT_POLICY, chosen_policy
from .engine_subject import EngineSubject
from .estimates import NOISE
from .figures import Figures, measure
from .oracle import Oracle, consult_oracle
from .reference import ReferenceSubject
from .trace import Trace
from .world import Subject, World

REFERENCE = "reference"
"""The name of the baseline."""

ENGINE_SETTINGS: dict[str, dict[str, Any]] = {
    "ideal": {"estimates": "ideal"},
    "gcc": {"estimates": "ramping"},
    "real": {"estimates": "ramping"},
}
"""What the engine is told of the estimates that it gets, by their kind."""

PolicyChoice: TypeAlias = str | Callable[..., Any] | None
"""A name, or a policy of one's own."""


def make_engine(policy: PolicyChoice, settings: Mapping[str, Any] | None = None) -> Engine:
    """An engine that begins at time 0.

    Args:
        policy: A policy of this package by its name, or one of one's own.
        settings: Of the engine, by name; see `Settings`.
    """
    return Engine(Settings(**dict(settings or {})), now=0.0, policy=chosen_policy(policy))


def simulate(
    trace: Trace,
    receivers: int,
    policy: PolicyChoice = DEFAULT_POLICY,
    estimates: str = "ideal",
    seed: int = 1,
    *,
    settings: Mapping[str, Any] | None = None,
) -> Figures:
    """Make a run, and take its figures.

    Args:
        trace: The capacity of the link.
        receivers: How many cameras.
        policy: ``reference``, a policy of this package by its name, or one of one's own.
        estimates: ``ideal``, ``gcc`` or ``real``.
        seed: Of rates, key frames and noise.
        settings: Of the engine, by name; they go before `ENGINE_SETTINGS`.
    """
    world, subject = run(trace, receivers, policy, estimates, seed, settings=settings)
    oracle = oracle_of(trace, receivers, world.cameras.audio)
    return measure(world, oracle, forced=subject.forced, asked=subject.asked)


def run(
    trace: Trace,
    receivers: int,
    policy: PolicyChoice = DEFAULT_POLICY,
    estimates: str = "ideal",
    seed: int = 1,
    *,
    settings: Mapping[str, Any] | None = None,
    noise: float = NOISE,
) -> tuple[World, Subject]:
    """Make a run, and return all that there is to look at; see `simulate`.

    Args:
        trace: The capacity of the link.
        receivers: How many cameras.
        policy: See `simulate`.
        estimates: ``ideal``, ``gcc`` or ``real``.
        seed: Of rates, key frames and noise.
        settings: Of the engine, by name.
        noise: By which share an estimate may be off.
    """
    subject: Subject
    if policy == REFERENCE:
        subject = ReferenceSubject(receivers)
    else:
        engine = make_engine(policy, {**ENGINE_SETTINGS[estimates], **(settings or {})})
        subject = EngineSubject(engine, receivers)
    world = World(trace, receivers, subject, estimates, seed, noise=noise)
    world.run()
    return world, subject


@lru_cache(maxsize=256)
def oracle_of(trace: Trace, receivers: int, audio: int) -> Oracle:
    """The oracle of a trace, which is the same for all policies and seeds."""
    return consult_oracle(trace, receivers, audio)
