"""Runs a scenario once: a relay, the flows, and a clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from ...estimation import FeedbackLog
from ..child import open_child
from ..relay.commands import Way
from ..relay.datagrams import clock_offset
from ..relay.handle import Relay
from ..relay.process import configuration
from .flow import Flow
from .libwebrtc import open_libwebrtc
from .ours import open_ours
from .result import Packet, Run, Stack
from .scenarios import Scenario
from .setup import Setup


async def run_scenario(
    scenario: Scenario,
    line_up: Sequence[Stack],
    seed: int,
    setup: Setup,
    *,
    log: FeedbackLog | None = None,
) -> Run:
    """Run one scenario, in real time.

    Args:
        scenario: With as many starts as there are flows.
        line_up: Who sends.
        seed: Of all that is random.
        setup: What flows of ours send, and what befalls the link.
        log: Of the first flow of ours.

    Raises:
        ChildError: A process died, or did not answer in time.
    """
    async with AsyncExitStack() as stack:
        relay = Relay(await stack.enter_async_context(open_child("relay")))
        await relay.ask(
            configuration(
                toward=Way.TO_TARGET,
                steps=scenario.steps,
                delay=scenario.delay,
                queue=scenario.queue,
                loss=scenario.loss,
                seed=seed,
                impairments=setup.impairments,
                is_logged=True,
            )
        )
        flows: list[Flow] = []
        for who in line_up:
            flow_log = log if who not in line_up[: len(flows)] else None
            flows.append(
                await stack.enter_async_context(
                    _open(who, setup, seed + 1000 * len(flows), flow_log)
                )
            )
            _host, port = await relay.open_flow(flows[-1].address)
            await flows[-1].connect(port)
        started = await relay.start()
        origin = started + clock_offset()
        async with trio.open_nursery() as nursery:
            for index, flow in enumerate(flows):
                nursery.start_soon(_conduct, flow, scenario.switches(index), origin)
            await trio.sleep_until(origin + scenario.duration)
        # In this order: what a flow says that it sent has passed the relay.
        records = [await flow.stop(started) for flow in flows]
        report = await relay.log()
    return Run(
        scenario,
        tuple(records),
        tuple(Packet(*row) for row in report["packets"]),
        tuple(report["lateness"]),
        report["lost"],
        report["overflowed"],
    )


@asynccontextmanager
async def _open(
    stack: Stack, setup: Setup, seed: int, log: FeedbackLog | None
) -> AsyncIterator[Flow]:
    match stack:
        case Stack.OURS:
            async with open_ours(setup, seed, log) as ours:
                yield ours
        case Stack.LIBWEBRTC:
            async with open_libwebrtc() as theirs:
                yield theirs


async def _conduct(flow: Flow, switches: Sequence[tuple[float, bool]], origin: float) -> None:
    for time, is_active in switches:
        await trio.sleep_until(origin + time)
        await flow.set_active(is_active)
    await trio.lowlevel.checkpoint()
