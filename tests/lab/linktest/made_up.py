"""Runs of a link test that were made up."""

from trio_allocator.lab.linktest.result import FlowRecord, Packet, Run, Stack
from trio_allocator.lab.linktest.scenarios import Scenario

DROP = Scenario("drop", "2, 1, 2 Mbit/s", ((0, 2e6), (10, 1e6), (20, 2e6)), 30)
TWO = Scenario("two", "two flows", ((0, 2e6),), 60, starts=(0, 5), pauses=((1, 30, 40),))


def stream(begin, end, rate, *, flow=0, waited=0.0, size=1_000):
    """Packets at a rate; what waits arrives as early as it waits."""
    gap = 8 * size / rate
    count = round((end - begin) / gap)
    return [
        Packet(begin + gap * number, flow, size, waited, begin + gap * (number + 1) + waited)
        for number in range(count)
    ]


def run_of(
    scenario, packets, line_up=(Stack.OURS,), *, lateness=(0.0,), overflowed=0, media=0, repeated=()
):
    flows = tuple(FlowRecord(stack, ((0.0, 1e6), (5.0, 2e6)), media, repeated) for stack in line_up)
    packets = tuple(sorted(packets))
    return Run(scenario, flows, packets, tuple(lateness), 0, overflowed)


def good_run(line_up=(Stack.OURS,), *, slow=0.5, **rest):
    """One that reacts to the drop after `slow` seconds, and recovers 2 s after the rise."""
    packets = [
        *stream(0, 10 + slow, 1.6e6),
        *stream(10 + slow, 22, 0.8e6),
        *stream(22, 30, 1.9e6),
    ]
    return run_of(DROP, packets, line_up, **rest)
