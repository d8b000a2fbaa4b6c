"""``python -m tests.sfu.measure``: real peers over an emulated link, and what came of it in figures.

One libwebrtc publishes three layers (120, 400 and 1200 kbit/s) and sound, another watches over the
relay. Everything is measured from outside: by the relay, by the peers, and by what the server tells
its page. A run on a machine that was too busy says so, and is no measurement.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

import trio
from attrs import asdict, define, field

from examples.sfu.link import DELAY, QUEUE
from examples.sfu.publication import LINGER
from examples.sfu.signalling import STATE
from tests.sfu.options import link_parser, need
from tests.sfu.pages import RATES, ROOT, open_page
from trio_allocator.lab.linktest.result import Stack
from trio_allocator.lab.linktest.run import run_scenario
from trio_allocator.lab.linktest.scenarios import Scenario
from trio_allocator.lab.linktest.setup import Setup

LATE = 0.010
"""A relay that delivered one packet in a hundred later than this was starved, s."""

LOST_PICTURES = 0.2
"""A publisher whose pictures came so much less often than they should was starved."""

SETTLED = 0.8
"""A publisher whose layers come to this share of their rates has begun: what is measured is the way from
the server on."""

START = 20.0
"""The server starts, and ends, within this time, s."""

WIDEST = 960
"""Pixels of the best layer."""

STEPS = ((0.0, 1_000_000), (4.0, 2_500_000), (11.0, 600_000), (16.0, 1_500_000))
"""The link of the acceptance test: from when on it carries what."""


@define
class Section:
    """One rate of the link. Rates are bit/s, times seconds.

    Attributes:
        used: Share of the rate that media, repetitions and sound came to, from a second after the
            step on.
        filled: The same with padding.
        carried: All that the link delivered, reports and answers to checks as well.
        estimate: Median of the second half, as a share of the rate.
        queue_p95: Of what packets waited before the link, s.
        over: Shares of the rate that were sent above it, the worst second from a second after the
            step on; 1 is the rate.
    """

    rate: int
    used: float
    filled: float
    carried: float
    estimate: float
    queue_p95: float
    over: float


@define
class Measured:
    """What a run came to."""

    starved: str | None
    connected_after: float
    sections: list[Section] = field(factory=list)
    switches: int = 0
    frames: int = 0
    freezes: int = 0
    frozen: float = 0.0
    longest_gap: float = 0.0
    queue_p95: float = 0.0
    lost_told: int = 0
    lost_really: int = 0
    over_committed: int = 0
    shares: dict[str, float] = field(factory=dict)
    climbs: list[float | None] = field(factory=list)
    processor: float = 0.0


@asynccontextmanager
async def serving(*options):
    """The server, in a process of its own; yields the port of its pages and its process id."""
    command = [sys.executable, "-m", "examples.sfu", "--port", "0", *options]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        line = b""
        with trio.fail_after(START):
            while not line.endswith(b"\n"):
                chunk = await process.stdout.receive_some(1_000)
                assert chunk, "the server did not start"
                line += chunk
        address = next(word for word in line.decode().split() if word.startswith("http"))
        yield int(address.rsplit(":", 1)[1].strip("/")), process.pid
    finally:
        process.terminate()
        with trio.move_on_after(START, shield=True):
            await process.wait()
        process.kill()  # if it has not ended


def processor_times(pid):
    """Seconds that a process has used the processor: itself, and the kernel for it."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(numbers[11]) / 100, int(numbers[12]) / 100


def processor_waits(pid):
    """Seconds that the thread of a process could have run, and something else did."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def processor_time(pid):
    """Seconds that a process has used the processor."""
    return sum(processor_times(pid))


async def run(steps, seconds, *, options=(), log=None, loss=0.0, late=LATE, rates=RATES):
    """One publisher, one watcher, one link; `log` is a file that gets all that the page was told.

    A share of the packets is lost by chance: `loss`. A relay that is later than `late` was starved.
    """
    async with (
        serving(*options) as (port, pid),
        open_page(port, "publish", rates=rates) as publisher,
        open_page(port, "watch") as watcher,
    ):
        with trio.move_on_after(LINGER - 1):  # then the server switches off what nobody watches
            await publisher.until(sends_all)
        await watcher.watch(1)
        await watcher.socket.send(type="link", name="rate", value=steps[0][1])
        await watcher.socket.send(type="link", name="loss", value=loss)
        with trio.fail_after(10):
            await watcher.until(lambda page: page.frames and page.states)
        begin = watcher.times["frame"]
        processor = processor_time(pid)
        for at, rate in steps[1:]:
            await trio.sleep(begin + at - time.monotonic())
            await watcher.socket.send(type="link", name="rate", value=rate)
        await trio.sleep(begin + seconds - time.monotonic())
        processor = (processor_time(pid) - processor) / seconds
        if log is not None:
            told = [*watcher.states, *watcher.decisions]
            lines = [json.dumps(each) for each in sorted(told, key=itemgetter("time"))]
            await trio.Path(log).write_text("\n".join(lines) + "\n")
        return evaluate(publisher, watcher, steps, seconds, begin, processor, late)


def sends_all(publisher):
    """Whether all layers come at their rates: libwebrtc takes seconds for that, on a link without limits."""
    sent = {}
    for at, stats in publisher.stats[-3:]:
        for each in stats:
            if each["kind"] == "video" and each["rid"]:
                sent.setdefault(each["rid"], []).append((at, each["sent"] or 0))
    return sent.keys() == publisher.rates.keys() and all(
        8 * (told[-1][1] - told[0][1]) >= SETTLED * rate * (told[-1][0] - told[0][0]) > 0
        for told, rate in ((sent[name], rate) for name, rate in publisher.rates.items())
    )


def evaluate(publisher, watcher, steps, seconds, begin, processor, late):
    """Figures of a run."""
    states = [(state["clock"], state) for state in watcher.states]
    end = begin + seconds
    (frames,) = watcher.frames.values()
    frames = [(at, width) for at, width in frames if at <= end]
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(frames)]
    last = states[-1][1]
    result = Measured(
        starved=starved(publisher, watcher, late),
        connected_after=watcher.times["frame"] - watcher.times["offer"],
        processor=processor,
        frames=len(frames),
        switches=sum(before != after for (_, before), (_, after) in pairwise(frames)),
        longest_gap=max(gaps, default=math.inf),
        lost_told=last["statistics"]["lost"],
        lost_really=int(last["link"]["dropped"]),
    )
    inbound = next(each for each in watcher.stats[-1][1] if each["kind"] == "video")
    result.freezes, result.frozen = inbound["freezes"], inbound["frozen"]
    result.queue_p95 = p95(
        [state["link"]["queue_delay"] for at, state in states if begin <= at <= end]
    )
    result.over_committed = sum(
        state["committed"] > state["usable"] + sum(state["allowances"].values())
        for _, state in states
        if state["usable"] is not None
    )
    total = sum(last["bytes"].values())
    result.shares = {kind: round(size / total, 3) for kind, size in last["bytes"].items()}
    edges = [*(at for at, _ in steps), seconds]
    for (at, rate), until in zip(steps, edges[1:], strict=True):
        result.sections.append(section(states, rate, begin + at, begin + until))
    for (_, before), (at, after), until in zip(steps, steps[1:], edges[2:], strict=False):
        if after > before:
            result.climbs.append(climb(frames, begin + at, begin + until))
    return result


def starved(publisher, watcher, tolerated):
    """Why the run is no measurement; None if it is one."""
    late = watcher.states[-1]["link"]["late"]
    if late > tolerated:
        return f"the relay was {1e3 * late:.0f} ms late"
    rates = [
        each["fps"] or 0
        for at, stats in publisher.stats
        for each in stats
        if each["kind"] == "video" and each["fps"]
    ]
    if not rates or statistics.median(rates) < (1 - LOST_PICTURES) * 20:
        return "the publisher did not come to 20 pictures a second"
    return None


def section(states, rate, begin, end):
    """Figures of the time of one rate; its first second is for the reaction."""
    inside = [(at, state) for at, state in states if begin + 1 <= at <= end]
    (first, before), (last, after) = inside[0], inside[-1]

    def sent(kinds, start, stop):
        (_, earlier), (_, later) = start, stop
        size = sum(later["bytes"].get(kind, 0) - earlier["bytes"].get(kind, 0) for kind in kinds)
        return 8 * size / (later["time"] - earlier["time"]) / rate

    useful = ("media", "audio", "repeated")
    everything = (*useful, "padding")
    delivered = after["link"]["delivered_bytes"] - before["link"]["delivered_bytes"]
    half = [state["estimate"] for at, state in inside if at >= (first + last) / 2]
    seconds = [sent(everything, one, other) for one, other in zip(inside, inside[4:], strict=False)]
    return Section(
        rate,
        used=sent(useful, (first, before), (last, after)),
        filled=sent(everything, (first, before), (last, after)),
        carried=8 * delivered / (after["time"] - before["time"]) / rate,
        estimate=statistics.median(half) / rate,
        queue_p95=p95([state["link"]["queue_delay"] for _, state in inside]),
        over=max(seconds, default=0.0),
    )


def climb(frames, begin, end):
    """How long after a rise of the link the picture becomes larger, s; 0 if it can not."""
    before = [width for at, width in frames if at < begin][-1]
    if before == WIDEST:
        return 0.0
    return next((at - begin for at, width in frames if begin <= at < end and width > before), None)


@define
class Reference:
    """A run of libwebrtc's own congestion control: all that the link carried, and waited, by section."""

    late: float
    carried: list[float] = field(factory=list)
    estimate: list[float] = field(factory=list)
    queue_p95: list[float] = field(factory=list)


async def run_libwebrtc(steps, seconds):
    """libwebrtc's own congestion control over the same link: its delay, its queue, its steps.

    Its one encoder follows the estimate, whatever that is: there are no layers to fill a link with,
    and no sound beside it.
    """
    scenario = Scenario(
        "sfu", "the steps of the media server", tuple(steps), seconds, delay=DELAY, queue=QUEUE
    )
    run = await run_scenario(scenario, (Stack.LIBWEBRTC,), 1, Setup(tracks=()))
    result = Reference(sorted(run.lateness)[int(0.99 * len(run.lateness))])
    (flow,) = run.flows
    edges = [*(at for at, _ in steps), seconds]
    for (at, rate), until in zip(steps, edges[1:], strict=True):
        begin, half = at + 1, (at + 1 + until) / 2
        sent = [
            each for each in run.packets if each.left is not None and begin <= each.left < until
        ]
        result.carried.append(8 * sum(packet.size for packet in sent) / (until - begin) / rate)
        result.queue_p95.append(p95(queue_of(sent, begin, until)))
        estimates = [estimate for time, estimate in flow.estimates if half <= time < until]
        result.estimate.append(statistics.median(estimates) / rate)
    return result


def queue_of(packets, begin, end):
    """What the newest packet had waited, four times a second: as the server's pages are told, s."""
    waited = []
    at = begin
    for packet in packets:
        while packet.left >= at and at < end:
            waited.append(packet.waited or 0.0)
            at += STATE
    return waited


def p95(values):
    """Of a sample."""
    return sorted(values)[int(0.95 * len(values))]


async def measure_libwebrtc(steps, seconds, runs):
    """Medians of so many runs in which the relay was not starved."""
    results = []
    while len(results) < runs:
        result = await run_libwebrtc(steps, seconds)
        print(json.dumps(asdict(result)), flush=True)
        if result.late <= LATE:
            results.append(result)
    for index, (_, rate) in enumerate(steps):
        carried, estimate, queue = (
            median(results, lambda each, i=index, n=name: getattr(each, n)[i])
            for name in ("carried", "estimate", "queue_p95")
        )
        print(
            f"{rate / 1e6:.1f} Mbit/s: carried {100 * carried:.0f} %, estimate {estimate:.2f} of it, "
            f"queue {1e3 * queue:.0f} ms (p95)"
        )


def median(results, get):
    """Of several runs."""
    return statistics.median(get(result) for result in results)


async def switch(times):
    """How long each of so many switches takes, from the wish to the decoded picture, s."""
    async with (
        serving("--no-link") as (port, _pid),
        open_page(port, "publish") as publisher,
        open_page(port, "watch") as watcher,
    ):
        await watcher.watch(1)
        took = []
        with trio.fail_after(30):
            await watcher.until(
                lambda page: any(
                    width == WIDEST for each in page.frames.values() for _, width in each
                )
            )
        (frames,) = watcher.frames.values()
        track = next(name for name in watcher.tracks.values() if name.endswith("video"))
        assert publisher.errors == []
        for turn in range(times):
            pin, width = (("h", WIDEST // 2), ("f", WIDEST))[turn % 2]
            begin = time.monotonic()
            await watcher.socket.send(type="wish", track=track, pin=pin)
            with trio.fail_after(10):
                await watcher.until(
                    lambda _, since=begin, wide=width: any(
                        at > since and one == wide for at, one in frames[-60:]
                    )
                )
            took.append(next(at for at, one in frames if at > begin and one == width) - begin)
            await trio.sleep(3)
        return took


async def main(arguments):
    if arguments.switches:
        took = await switch(arguments.switches)
        print(
            f"a switch takes {1e3 * statistics.median(took):.0f} ms (median), "
            f"{1e3 * max(took):.0f} ms at most"
        )
        return
    steps: tuple[tuple[float, float], ...] = STEPS
    if arguments.constant:
        steps = ((0.0, arguments.constant),)
    if arguments.libwebrtc:
        await measure_libwebrtc(steps, arguments.seconds, arguments.runs)
        return
    results = []
    while len(results) < arguments.runs:
        result = await run(
            steps, arguments.seconds, log=arguments.log, loss=arguments.loss, rates=arguments.layers
        )
        print(json.dumps(asdict(result)), flush=True)
        if result.starved is None or arguments.anyway:
            results.append(result)
    for index, (_, rate) in enumerate(steps):
        used, filled, carried, estimate, queue = (
            median(results, lambda each, i=index, n=name: getattr(each.sections[i], n))
            for name in ("used", "filled", "carried", "estimate", "queue_p95")
        )
        print(
            f"{rate / 1e6:.1f} Mbit/s: used {100 * used:.0f} %, with padding {100 * filled:.0f}, "
            f"carried {100 * carried:.0f} %, estimate {estimate:.2f} of it, "
            f"queue {1e3 * queue:.0f} ms (p95)"
        )
    for name in ("connected_after", "switches", "frozen", "queue_p95", "processor"):
        print(f"{name}: {median(results, lambda each, n=name: getattr(each, n)):.3f}")


if __name__ == "__main__":
    parser = link_parser("measure", __doc__)
    parser.add_argument("--runs", type=int, default=3, help="how many that are not starved; 3")
    parser.add_argument("--loss", type=float, default=0.0, help="share of the packets; 0")
    parser.add_argument("--switches", type=int, help="measure so many switches of layers instead")
    parser.add_argument("--log", help="a file for all that the page of the last run was told")
    parser.add_argument(
        "--libwebrtc", action="store_true", help="measure its own congestion control"
    )
    parser.add_argument("--anyway", action="store_true", help="count starved runs, too")
    arguments = parser.parse_args()
    need(parser, "webrtc")
    trio.run(main, arguments)
