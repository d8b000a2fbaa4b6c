"""Links that lose packets by chance: what is told of them, and what is repaired."""

from __future__ import annotations

import json
import urllib.request
from contextlib import AsyncExitStack
from itertools import pairwise

import trio
from attrs import define

from tests.sfu.measure import run, serving
from tests.sfu.pages import open_page
from trio_allocator.lab.relay import Way, open_relay

LOSS = 0.02
SECONDS = 12.0

LATE = 0.25
"""A relay that delivered one packet in a hundred later than this was starved, s: packets are counted here."""

RATE, DELAY, QUEUE = 20e6, 0.01, 200_000
"""Of the publisher's link: nothing waits there."""


async def test_the_losses_that_are_told_are_those_of_the_link(unless_starved):
    await unless_starved(
        lambda: run(((0.0, 4_000_000),), SECONDS, loss=LOSS, late=LATE), judge_told
    )


def judge_told(result):
    print(result)
    assert result.lost_really >= 10
    # But for the tail, and what has no number: reports, and answers to checks.
    assert abs(result.lost_told - result.lost_really) <= 5
    assert result.frozen <= 1.0


@define
class Repaired:
    starved: str | None
    counts: dict
    dropped: int
    gaps: list[float]


async def publish_through_losses():
    async with AsyncExitStack() as stack, serving("--no-link") as (port, _pid):
        relays = []

        async def through(address):
            opened = open_relay(address, rate=RATE, delay=DELAY, queue=QUEUE)
            relays.append(await stack.enter_async_context(opened))
            await relays[0].set(loss=LOSS, way=Way.TO_TARGET)
            return relays[0].address

        async with open_page(port, "publish", through=through) as publisher:
            async with open_page(port, "watch") as watcher:
                await watcher.watch(1)
                await watcher.until(lambda page: page.frames)
                await trio.sleep(SECONDS)
                told = await trio.to_thread.run_sync(debug, port)
                report = await relays[0].report()
                (frames,) = watcher.frames.values()
                times = [at for at, _ in frames]
                assert publisher.errors == watcher.errors == []
        (publication,) = told["publications"]
        late = report.lateness.p99
        return Repaired(
            f"the relay was {1e3 * late:.0f} ms late" if late > LATE else None,
            publication["counts"],
            report.to_target.lost,
            [after - before for before, after in pairwise(times)],
        )


def debug(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/debug", timeout=10) as answer:
        return json.load(answer)


async def test_what_a_publishers_link_loses_is_repaired(unless_starved):
    await unless_starved(publish_through_losses, judge_repaired)


def judge_repaired(result):
    print(result)
    counts = result.counts
    assert result.dropped >= 10
    # Sound is not asked for again, nor what nobody takes, nor a repetition that gets lost in turn.
    assert counts["repaired"] >= 0.5 * counts["nacked"] > 0
    assert max(result.gaps) <= 1.0
