"""Whatever sources do, nothing that fits lies idle for long, nobody is left dark, and few switch.

Sources go off and on, stop and start variants, stall, and cost more than they say, under every
policy, at a constant estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.shell.senders import LADDER, Sender, keep_estimating
from trio_allocator import open_allocator

IDLE = 5.0
"""Longest time for which a step that fits with a fifth to spare may wait, s."""
DARK = 10.0
"""Longest time for which a source that sends again may go unnoticed, s: it stalled, and nobody said
that it is back; see LONGEST_REPEAT."""
SPARE = 1.2
SWITCHES = 8
"""Most switches of a receiver in a minute, besides three for each thing that happened."""
TAIL = 30.0
"""How long nothing happens at the end, s."""

names = st.sampled_from(list(LADDER))
events = st.one_of(
    st.tuples(st.sampled_from(["off", "on", "mute", "unmute", "all come"])),
    st.tuples(
        st.sampled_from(["stop", "start", "stall", "come", "cost more", "cost as told"]), names
    ),
)
happenings = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 1.5, 4.0, 9.0]), st.integers(0, 2), events), max_size=12
)


@dataclass
class Life:
    """A sender, what its source does, and for how long something has been wrong."""

    sender: Sender
    costs: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LADDER, 1.0))
    idle_since: float = math.inf
    dark_since: float = math.inf

    def happens(self, event, variant=None):
        receiver, sender = self.sender.receiver, self.sender
        match event:
            case "off" | "on":
                for name in LADDER:
                    (receiver.variant_inactive if event == "off" else receiver.variant_active)(name)
            case "mute" | "unmute":
                getattr(receiver, event)()
            case "stop" | "start":
                (receiver.variant_inactive if event == "stop" else receiver.variant_active)(variant)
            case "stall":
                sender.stalled.add(variant)
            case "come":
                sender.stalled.discard(variant)
            case "all come":
                sender.stalled.clear()
            case "cost more":
                self.costs[variant] = 1.5
            case "cost as told":
                self.costs[variant] = 1.0

    def usable(self):
        """What it could send, as far as anybody can know, ascending: name to bit/s."""
        selector = self.sender.receiver._selector
        return {
            name: selector.rates.cost(name)
            for name in selector._candidates()
            if name not in self.sender.stalled
        }

    def judge(self, free, now):
        usable, held, current = self.usable(), self.sender.held, self.sender.current
        above = [rate for rate in usable.values() if rate > held]
        # One that flows, or is awaited, is not idle.
        idle = bool(above) and SPARE * (min(above) - held) <= free
        self.idle_since = min(self.idle_since, now) if idle else math.inf
        assert now - self.idle_since <= IDLE, (self.sender.receiver.track.id, usable, held, free)
        comes = [
            name
            for name in self.sender.receiver._selector._available.candidates()
            if name not in self.sender.stalled
        ]
        least = min((LADDER[name] for name in comes), default=math.inf)
        dark = current is None and SPARE * (least - held) <= free
        self.dark_since = min(self.dark_since, now) if dark else math.inf
        assert now - self.dark_since <= DARK, (self.sender.receiver.track.id, comes, held, free)


def rates(life):
    return lambda variant: LADDER[variant] * life.costs[variant]


@pytest.mark.parametrize("policy", ["layered", "fair", "water-filling"])
@settings(max_examples=max(10, settings.default.max_examples // 5))
@given(
    plan=happenings,
    estimate=st.sampled_from([150_000, 500_000, 1_000_000, 2_200_000, 6_000_000]),
    pausable=st.booleans(),
    order=st.random_module(),
)
def test_nothing_that_fits_is_idle_and_nobody_dark(policy, plan, estimate, pausable, order):
    async def main():
        async with open_allocator(policy=policy) as allocator, trio.open_nursery() as nursery:
            nursery.start_soon(keep_estimating, allocator, estimate)
            lives = []
            for number in range(3):
                sender = Sender(allocator, f"t{number}", priority=number % 2, pausable=pausable)
                life = Life(sender)
                sender.rates = rates(life)
                lives.append(life)
                await sender.start(nursery)

            async def judge(seconds):
                for _ in range(round(seconds / 0.25)):
                    await trio.sleep(0.25)
                    free = estimate - allocator.status.committed
                    for life in lives:
                        life.judge(free, trio.current_time())

            for pause, number, event in plan:
                await judge(pause)
                lives[number].happens(*event)
            await judge(TAIL)
            minutes = trio.current_time() / 60
            for life in lives:
                happened = 3 * (1 + len(plan))
                told = [one for one in life.sender.switches() if one[1] is not None]
                assert len(told) <= SWITCHES * minutes + happened
            assert allocator.status.policy_fault is None
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
