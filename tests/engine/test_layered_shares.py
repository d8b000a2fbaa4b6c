"""The layered sharing in an engine: its failures, holds and turns."""

import math

import pytest

from tests.engine.support import NOW, joined, opened
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.layered import LayeredPolicy
from trio_allocator.engine.settings import Settings
from trio_allocator.engine.status import snapshot

LADDER = (100_000, 300_000, 500_000)


def opened_layered(estimate, worth=None, **settings):
    settings.setdefault("estimate_timeout", math.inf)
    policy = LayeredPolicy(worth)
    return Engine(Settings(**settings), now=NOW, initial_estimate=estimate, policy=policy)


@pytest.mark.invariant("L3")
def test_a_worth_that_raises_is_a_policy_that_failed():
    def worth(bitrate):
        raise ZeroDivisionError

    engine = opened_layered(1_000_000, worth)
    receiver = joined(engine, 110_000, *LADDER)
    engine.request(NOW, receiver, 550_000)
    assert receiver.allocation == 550_000, "the built-in sharing has taken over"
    assert "ZeroDivisionError" in str(engine.settlement.policy_fault)


@pytest.mark.invariant("G9")
def test_what_is_kept_back_is_declared_and_granted_when_every_estimate_carried_it():
    engine = opened_layered(600_000)
    cast = [joined(engine, 110_000, *LADDER) for _ in range(4)]
    for second in range(1, 9):  # it falls again and again
        engine.update_estimate(NOW + second, (600_000, 450_000)[second % 2])
    for receiver in cast:
        engine.request(NOW + 8, receiver, 330_000)
        receiver.raises, receiver.raised_at = 50.0, NOW + 8
    engine.update_estimate(NOW + 9, 700_000)
    held = snapshot(engine).holds
    assert held
    assert all(NOW + 9 < until <= NOW + 19 for until in held.values())
    until = max(held.values())
    before = engine.ledger.committed
    assert engine.wake_at <= until
    engine.advance(until)
    assert engine.ledger.committed > before
    assert not snapshot(engine).holds


@pytest.mark.invariant("G8")
def test_what_is_held_for_one_that_was_passed_ends():
    engine = opened_layered(1_000_000)
    small = [joined(engine, 0, negotiable=False) for _ in range(2)]
    for receiver in small:
        engine.request(NOW, receiver, 450_000)
    big = joined(engine, 0, negotiable=False)
    engine.request(NOW, big, 900_000)
    for turn in (1, 2, 3):
        engine.request(NOW + turn, small[0], 0)
        engine.request(NOW + turn, small[0], 450_000)
    assert snapshot(engine).favoured == {big.id: NOW + 8}
    engine.request(NOW + 4, small[0], 0)
    engine.request(NOW + 4, small[0], 450_000)
    assert small[0].allocation == 0, "what is free is held"
    assert engine.settlement.sharing.wake_at == NOW + 8
    engine.advance(NOW + 8)
    assert small[0].allocation == 450_000


def test_with_the_built_in_sharing_nothing_is_kept_back():
    engine = opened(1_000)
    assert engine.settlement.sharing.kept_back(NOW, 1_000) == {}
