"""What the estimator makes of networks drawn by chance, beside the bar of each kind.

``python -m tests.benchmarks.conditions --draws 20 --seed 0`` draws links (rate, way, queue), senders
(frames, pace, reports) and what befalls them, and prints for each kind the median and the worst of
each figure and which draws missed a bar; with a kind's name, only that. A draw is told by its kind
and number: ``--seed 7 --draws 1`` is the eighth.

The links, what befalls them and the senders are those of the tests (`tests.estimation.link_model`,
`trio_allocator.network.impairments`); ``conference`` is that of `tests.benchmarks.conference`. There
Trio's order of tasks differs from run to run, and with it the figures a little.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from attrs import field, frozen

from tests.estimation.link_model import Link, Trace, WiredSender, run
from trio_allocator import Track
from trio_allocator.estimation import SendSideEstimator
from trio_allocator.network.impairments import (
    Batches,
    ClockSteps,
    Impairment,
    Jitter,
    LongerWay,
    LostFeedback,
    Outages,
    Pauses,
)

from .conference import VOICE, Conference, Source

BEGIN = 15.0
"""When what happens once happens, s."""

AFTER = 12.0
"""How long it is looked at afterwards, s."""

BACK = 0.85
"""It is back with this share of what it was."""

LASTING = 40.0
"""How long a link is looked at that is bad all the time, s; the first quarter does not count."""


@frozen
class Figure:
    """One figure of a draw, and what it must reach.

    Attributes:
        name: With its unit.
        value: Of this draw.
        most: It is at most this,
        least: and at least this.
    """

    name: str
    value: float
    most: float = math.inf
    least: float = -math.inf

    @property
    def is_met(self) -> bool:
        """Whether the bar holds."""
        return self.least <= self.value <= self.most

    @property
    def bar(self) -> str:
        """In words."""
        return f"≤ {self.most:g}" if self.most < math.inf else f"≥ {self.least:g}"


@frozen
class Condition:
    """A link and a sender, drawn."""

    rate: float
    delay: float
    queue: float
    fps: int
    noise: float
    interval: float
    pacing: float
    usage: float
    seed: int
    impairments: tuple[Impairment, ...] = field(default=())

    @classmethod
    def drawn(cls, chance: Random, **fixed: Any) -> Condition:
        """From .3 to 12 Mbit/s, ways of 5 to 150 ms, queues of .15 to 1 s."""
        values: dict[str, Any] = {
            "rate": math.exp(chance.uniform(math.log(0.3e6), math.log(12e6))),
            "delay": chance.choice([0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.15]),
            "queue": chance.choice([0.15, 0.2, 0.3, 0.5, 1.0]),
            "fps": chance.choice([15, 20, 24, 30, 50, 60]),
            "noise": chance.choice([0.0, 0.1, 0.3]),
            "interval": chance.choice([0.03, 0.05, 0.05, 0.07, 0.1, 0.15, 0.2]),
            "pacing": chance.choice([1.0, 1.5, 2.5]),
            "usage": chance.choice([1.0, 1.0, 1.0, 0.9, 0.8, 0.6]),
            "seed": chance.randrange(1000),
        }
        return cls(**values | fixed)

    def run(self, duration: float, *, start: float | None = None, left: float = 1.0) -> Trace:
        """Let one sender have the link, of which from `BEGIN` on only a share is left."""
        link = Link(
            [(0, self.rate), (BEGIN, left * self.rate)],
            queue=max(round(self.rate / 8 * self.queue), 6_000),
            delay=self.delay,
            seed=self.seed,
            impairments=self.impairments,
        )
        sender = WiredSender(
            SendSideEstimator(start_bitrate=0.9 * self.rate if start is None else start),
            feedback_delay=self.delay,
            feedback_interval=self.interval,
            fps=self.fps,
            noise=self.noise,
            pacing=self.pacing,
            usage=self.usage,
            seed=self.seed,
        )
        trace: Trace
        (trace,) = run(link, [sender], duration)
        return trace


# --- what is looked at ---------------------------------------------------------------------------


def _once(condition: Condition, ended: float, least: float) -> Iterator[Figure]:
    """How far the estimate fell, and when it was back."""
    trace = condition.run(ended + AFTER)
    before = min(trace.mean(BEGIN - 2, BEGIN), condition.rate)
    seen = [(rate, time) for time, rate in trace.estimates if BEGIN <= time < ended + 4]
    lowest, at = min(seen)
    yield Figure("lowest, of before", lowest / before, least=least)
    back = 0.0
    if lowest < BACK * before:
        back = max(0.0, trace.reach(at, BACK * before) + at - ended)
    yield Figure("back after, s", back, most=3.0)


def _all_the_time(condition: Condition, used: float) -> Iterator[Figure]:
    trace = condition.run(LASTING)
    begin = LASTING / 4
    waits = [wait for time, _size, wait in trace.packets if time >= begin]
    share = trace.received(begin, LASTING) / condition.rate
    yield Figure("used, of what is sent at best", share / condition.usage, least=used)
    yield Figure("queue p95, s", trace.queue(begin, LASTING), most=0.2)
    yield Figure("lost", waits.count(None) / len(waits), most=0.005)


# --- the kinds -----------------------------------------------------------------------------------


def way(chance: Random) -> Iterator[Figure]:
    """The way becomes longer, by 15 to 50 ms."""
    longer = LongerWay(at=((BEGIN, chance.uniform(0.015, 0.05)),))
    yield from _once(Condition.drawn(chance, impairments=(longer,)), BEGIN, least=0.6)


def clock(chance: Random) -> Iterator[Figure]:
    """The peer's clock is set, by 20 ms to 2.9 s, either way."""
    step = chance.choice([-1, 1]) * math.exp(chance.uniform(math.log(0.02), math.log(2.9)))
    steps = ClockSteps(at=((BEGIN, step),))
    yield from _once(Condition.drawn(chance, impairments=(steps,)), BEGIN, least=0.6)


def pause(chance: Random) -> Iterator[Figure]:
    """The link pauses, for .1 to .5 s."""
    length = chance.uniform(0.1, 0.5)
    paused = Condition.drawn(chance, queue=1.0, impairments=(Pauses(at=((BEGIN, length),)),))
    yield from _once(paused, BEGIN + length, least=0.5)


def scan(chance: Random) -> Iterator[Figure]:
    """A radio scans: three to eight pauses of 60 to 200 ms."""
    length, every = chance.uniform(0.06, 0.2), chance.choice([1.5, 2.0, 2.5, 3.0])
    count = chance.randrange(3, 9)
    spans = tuple((BEGIN + every * length * number, length) for number in range(count))
    scanned = Condition.drawn(chance, queue=1.0, impairments=(Pauses(at=spans),))
    yield from _once(scanned, BEGIN + every * length * count, least=0.5)


def batches(chance: Random) -> Iterator[Figure]:
    """Packets arrive in batches of 50 to 150 ms."""
    span = chance.uniform(0.05, 0.15)
    batched = Batches(spans=(0.999 * span, span))
    queue = chance.choice([0.3, 0.5, 1.0])
    yield from _all_the_time(Condition.drawn(chance, queue=queue, impairments=(batched,)), 0.7)


def feedback(chance: Random) -> Iterator[Figure]:
    """10 to 30 % of the feedback is lost."""
    lost = LostFeedback(share=chance.uniform(0.1, 0.3))
    yield from _all_the_time(Condition.drawn(chance, usage=1.0, impairments=(lost,)), 0.9)


def overtaking(chance: Random) -> Iterator[Figure]:
    """Packets are late by up to 10 to 50 ms, and overtake each other."""
    jitter = Jitter(most=chance.uniform(0.01, 0.05), overtaking=True)
    late = Condition.drawn(chance, usage=1.0, queue=0.3, impairments=(jitter,))
    yield from _all_the_time(late, 0.8)


def outage(chance: Random) -> Iterator[Figure]:
    """Nothing comes through for .5 to 40 s, or it waits for 1.1 to 2.5 s."""
    if chance.random() < 0.7:
        length = math.exp(chance.uniform(math.log(0.5), math.log(40)))
        gone: Impairment = Outages(at=((BEGIN, length),))
    else:
        length = chance.uniform(1.1, 2.5)
        gone = Pauses(at=((BEGIN, length),))
    condition = Condition.drawn(chance, impairments=(gone,))
    trace = condition.run(BEGIN + length + AFTER)
    before = trace.mean(BEGIN - 2, BEGIN)
    reached = trace.reach(BEGIN + length, 0.75 * before)
    yield Figure("three quarters back after, s", reached, most=3.0)


def drop(chance: Random) -> Iterator[Figure]:
    """The link falls to .2 to .7 of .8 to 10 Mbit/s, at once."""
    rate, left = chance.uniform(0.8e6, 10e6), chance.uniform(0.2, 0.7)
    fallen = Condition.drawn(
        chance,
        rate=rate,
        usage=1.0,
        delay=chance.choice([0.01, 0.02, 0.05]),
        interval=chance.choice([0.05, 0.05, 0.1]),
    )
    trace = fallen.run(BEGIN + AFTER, left=left)
    yield Figure("reaction, s", trace.reaction(BEGIN, left * rate), most=0.4)
    lowest = min(rate for time, rate in trace.estimates if time >= BEGIN)
    yield Figure("lowest, of what it carries then", lowest / (left * rate), least=0.5)


def start(chance: Random) -> Iterator[Figure]:
    """A new connection over 1 to 8 Mbit/s; it begins with .3."""
    begun = Condition.drawn(
        chance,
        rate=chance.uniform(1e6, 8e6),
        usage=1.0,
        delay=chance.choice([0.01, 0.03, 0.05]),
        interval=chance.choice([0.05, 0.1]),
    )
    reached = begun.run(6.0, start=300_000).reach(0, 0.8 * begun.rate)
    yield Figure("four fifths after, s", reached, most=1.0)


def conference(chance: Random) -> Iterator[Figure]:
    """A conference whose link of .8 to 6 Mbit/s is cut for 4 to 30 s."""
    rate = chance.uniform(0.8e6, 6e6)
    length = math.exp(chance.uniform(math.log(4), math.log(30)))
    begin = chance.uniform(25, 32)
    low, medium = chance.choice([100, 130, 150, 180]), chance.choice([350, 420, 500, 600])
    high = chance.choice([900, 1250, 1500, 2000])
    ladder = {"low": 1_000 * low, "medium": 1_000 * medium, "high": 1_000 * high}
    slides, motion = chance.choice([150, 200, 300]), chance.choice([700, 1000, 1500])
    screen = {"slides": 1_000 * slides, "motion": 1_000 * motion}
    held: list[tuple[float, float]] = []

    def watch(call: Conference) -> None:
        rates = (
            member.source.track.variants[variant]
            for member in call.members
            if (variant := member.receiver.current_variant) is not None
        )
        held.append((call.estimates[-1][0], sum(rates)))

    call = Conference(
        rate,
        [
            VOICE,
            Source(Track("screen", kind="screen", variants=screen), priority=10, importance=5),
            *(Source(Track(f"camera-{name}", variants=ladder)) for name in "abc"),
        ],
        delay=chance.choice([0.01, 0.03, 0.06, 0.1]),
        queue_size=max(round(rate / 8 * chance.choice([0.15, 0.25, 0.4])), 15_000),
        impairments=(Outages(at=((begin, length),)),),
        watch=watch,
    ).run(begin + length + 20)
    end = begin + length
    before = statistics.fmean(rate for time, rate in held if begin - 4 <= time < begin)
    back = (time - end for time, rate in held if time >= end and rate >= 0.75 * before)
    yield Figure("three quarters of what was sent back after, s", next(back, math.inf), most=3.0)
    late = max(
        one.arrived_at - one.made_at - call.delay
        for one in call.arrivals
        if one.kind == "voice" and one.made_at > end
    )
    yield Figure("voice late by, s", late, most=0.3)


KINDS: Mapping[str, Callable[[Random], Iterator[Figure]]] = {
    one.__name__: one
    for one in (
        way,
        clock,
        pause,
        scan,
        batches,
        feedback,
        overtaking,
        outage,
        drop,
        start,
        conference,
    )
}


def drawn(kind: str, number: int) -> list[Figure]:
    """The figures of one draw."""
    return list(KINDS[kind](Random(f"{kind} {number}")))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the median and the worst of each figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.conditions")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all")
    parser.add_argument("--draws", type=int, default=20, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="number of the first draw")
    chosen = parser.parse_args(arguments)
    if unknown := [kind for kind in chosen.kinds if kind not in KINDS]:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(KINDS)}")
    for kind in chosen.kinds or KINDS:
        numbers = range(chosen.seed, chosen.seed + chosen.draws)
        found = {number: drawn(kind, number) for number in numbers}
        print(f"{kind}: {KINDS[kind].__doc__}")
        for same in zip(*found.values(), strict=True):
            values = [one.value for one in same]
            bar = same[0].bar
            worst = max(values) if same[0].most < math.inf else min(values)
            print(
                f"  {same[0].name} (bar {bar}): median {statistics.median(values):.2f}, "
                f"worst {worst:.2f}, missed {sum(not one.is_met for one in same)} of {len(same)}"
            )
        for number, figures in found.items():
            if missed := [f"{one.name} {one.value:.2f}" for one in figures if not one.is_met]:
                print(f"    draw {number}: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
