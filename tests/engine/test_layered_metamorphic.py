"""Engines with the layered policy side by side: what is equal, larger, or scaled between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import pytest
from hypothesis import given, strategies as st

from tests.engine.test_metamorphic import CASTS, EVENTS, Member, Stage
from trio_allocator.engine.sharing.layered_policy import LayeredPolicy
from trio_allocator.policies.utility import log_utility
from trio_allocator.report.status import snapshot

ESTIMATES = st.integers(0, 9000)


class LayeredStage(Stage):
    """Each event has a moment of its own, and is followed by one in which no raise is judged."""

    @classmethod
    def opened(cls, estimate: int) -> Self:
        return cls.open(estimate, policy=LayeredPolicy())

    @classmethod
    def of(cls, cast, estimate: int) -> Self:
        stage = cls.opened(estimate)
        for member in cast:
            stage.add(member)
        return stage

    def ask(self, record, bitrate: int) -> None:
        self.now += 1.0
        super().ask(record, bitrate)
        self.pass_time()

    def estimate(self, bitrate: int) -> None:
        self.now += 1.0
        super().estimate(bitrate)
        self.pass_time()

    def leave(self, record) -> None:
        super().leave(record)
        self.pass_time()

    def pass_time(self) -> None:
        self.now += 1.0
        self.engine.advance(self.now)
        self.settle()

    def wait(self) -> None:
        """Better pictures have waited for lowest steps; what fell, or failed, is long forgotten."""
        for _ in range(8):
            self.pass_time()
        self.now += 1000.0
        self.pass_time()

    def layers(self, worth, started) -> list[float]:
        """What is worth how much: by class; minimums first; held at the start; round by round."""
        parts = []
        for priority in sorted({r.options.priority for r in self.cast}, reverse=True):
            members = [
                (r, held)
                for r, held in zip(self.cast, started, strict=True)
                if r.options.priority == priority
            ]
            for within in (
                lambda r, held: min(r.allocation, r.minimum, held),
                lambda r, _: min(r.allocation, r.minimum),
                lambda r, held: min(r.allocation, max(r.minimum, held)),
                lambda r, _: r.allocation,
            ):
                parts += [
                    sum(
                        r.options.weight * worth(min(within(r, held), top))
                        for r, held in members
                        for top in [[*r.steps, 10**9][min(rank, len(r.steps))]]
                    )
                    for rank in range(5)
                ]
        return [round(part, 9) for part in parts]


@pytest.mark.invariant("G4")
@given(CASTS, ESTIMATES, ESTIMATES, st.integers(0, 3000) | st.just(1))
def test_a_larger_estimate_is_worth_more_layer_by_layer(cast, start, estimate, more):
    smaller, larger = LayeredStage.of(cast, start), LayeredStage.of(cast, start)
    started = smaller.shares
    assert started == larger.shares
    worth = log_utility(max(r.steps[-1] for r in smaller.cast))
    smaller.estimate(estimate)
    larger.estimate(estimate + more)
    assert larger.layers(worth, started) >= smaller.layers(worth, started), "G4"


@pytest.mark.invariant("G3")
@given(CASTS, ESTIMATES, ESTIMATES)
def test_the_same_estimate_again_moves_nobody(cast, start, estimate):
    stage = LayeredStage.of(cast, start)
    stage.estimate(estimate)
    stage.wait()
    shares = stage.shares
    for _ in range(3):
        stage.estimate(estimate)
    assert stage.shares == shares, "G3"


@pytest.mark.invariant("G7")
@given(CASTS, st.integers(0, 900), st.integers(0, 900), st.integers(2, 1000))
def test_everything_scales(cast, start, estimate, k):
    one = LayeredStage.of(cast, start * 10)
    many = LayeredStage.of([m.scaled(k) for m in cast], start * 10 * k)
    assert many.shares == [share * k for share in one.shares], "G7"
    one.estimate(estimate * 10)
    many.estimate(estimate * 10 * k)
    assert many.shares == [share * k for share in one.shares], "G7"


@pytest.mark.invariant("G5")
@given(CASTS, CASTS, ESTIMATES, ESTIMATES, ESTIMATES)
def test_history_and_numbering_decide_nothing(cast, others, start, between, estimate):
    """The same state is reached directly, and by way of others who leave, and of other rates."""
    straight, winding = LayeredStage.opened(10**9), LayeredStage.opened(10**9)
    for member in cast:
        for stage, passers_by in ((straight, []), (winding, others[:2])):
            gone = [stage.add(other) for other in passers_by]
            stage.add(replace(member, bandwidth=member.claim))
            for other in gone:
                stage.leave(other)
    winding.estimate(10**9 + between)
    assert straight.shares == winding.shares
    for stage in (straight, winding):
        stage.now = 1000.0
        stage.estimate(start)
        stage.estimate(estimate)
    assert straight.shares == winding.shares, "G5"


@pytest.mark.invariant("C2", "L3")
@given(CASTS, ESTIMATES, EVENTS)
def test_asked_only_when_its_indices_say_so_it_is_the_policy_asked_each_time(cast, start, events):
    lazy = LayeredStage.opened(start)
    policy = LayeredPolicy()
    eager = LayeredStage.open(start, policy=policy.__call__)
    for name, value, index in [*(("add", member, 0) for member in cast), *events]:
        for stage in (lazy, eager):
            match name:
                case "add":
                    stage.add(value)
                case "estimate":
                    stage.estimate(value)
                case "leave" if index < len(stage.cast):
                    stage.leave(stage.cast[index])
                case "ask" if index < len(stage.cast):
                    stage.ask(stage.cast[index], value)
            stage.wait()
        assert snapshot(eager.engine).policy_fault is None, "L3"
        assert lazy.shares == eager.shares
        for stage in (lazy, eager):
            stage.now = float(int(max(lazy.now, eager.now)) + 1)


def test_a_stage_is_layered():
    stage = LayeredStage.of([Member((100, 500), 0, 550)] * 2, 700)
    assert stage.shares == [550, 110]
