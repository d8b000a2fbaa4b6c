"""How good a single decision is: a policy's choice against the exact optimum, and how long it takes.

Instances: tracks with ladders of three steps, 150k, 500k and 2.5M each ±40 %, and a capacity of 5 to
95 % of the sum of the tops; nothing is held, everything is wanted. A choice is worth the sum of
log2(1 + r/50k). Three optima, each exact, since a policy is bound by invariant G8 and the known
figures of others are not:

``free``
    the greatest worth of all choices (a multiple-choice knapsack): what others are compared with;
``minimums``
    lowest steps before all others, for the rest the greatest worth;
``rounds``
    lowest steps before second steps, second before third; each round the greatest worth.

``python -m tests.benchmarks.decisions NAME …`` measures the policies named: a name that ``simulate``
knows, or ``package.module:name`` of a callable ``policy(claims, capacity) -> Shares``. A name that
stands for the engine's built-in sharing, which is no function, is asked by way of an engine.
"""

from __future__ import annotations

import argparse
import importlib
import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from trio_allocator import Track
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.engine.sharing.registry import chosen_policy
from trio_allocator.lab.replay.knapsack import best_choice
from trio_allocator.lab.simulation.run import make_engine
from trio_allocator.options import ReceiverOptions
from trio_allocator.policies.policy import Claim

from .measure import Row, micro, seconds

BASE = (150_000, 500_000, 2_500_000)
SPREAD = 0.4
LOADS = (0.05, 0.95)
SEED = 20_26

SMALL = (3, 6, 12, 20, 30)
LARGE = (51, 100, 200, 500)
EACH = {**dict.fromkeys(SMALL, 80), 51: 40, 100: 40, 200: 20, 500: 6}
"""Instances of each size: 400 small ones, and fewer where the optimum takes its time."""

TIME_BARS = {12: 0.3e-3, 50: 3e-3}
"""How long a decision may take at these sizes, s."""

Decide = Callable[[int], dict[int, int]]
"""A decision among claims that are known: from a capacity to the allocations, bit/s."""

Prepare = Callable[[Sequence[Claim]], Decide]
"""Makes claims known; an engine lets their receivers join."""


@dataclass(frozen=True)
class Instance:
    """A decision to make: for each track its steps, ascending, and a capacity, all in bit/s."""

    ladders: tuple[tuple[int, ...], ...]
    capacity: int

    def claims(self) -> list[Claim]:
        """Everybody holds nothing, may be paused, and wants the top since the same time."""
        return [
            Claim(
                receiver_id=number,
                priority=0,
                weight=1.0,
                allocation=0,
                lowest=0,
                minimum=steps[0],
                wanted=steps[-1],
                levels=steps,
                elastic=False,
                waiting_since=0.0,
            )
            for number, steps in enumerate(self.ladders, 1)
        ]


def instances(tracks: int, count: int, seed: int = SEED) -> Iterator[Instance]:
    """Random decisions, the same each time."""
    generator = random.Random(f"{seed}/{tracks}")
    for _ in range(count):
        ladders = tuple(
            tuple(int(rate * generator.uniform(1 - SPREAD, 1 + SPREAD)) for rate in BASE)
            for _ in range(tracks)
        )
        tops = sum(steps[-1] for steps in ladders)
        yield Instance(ladders, int(tops * generator.uniform(*LOADS)))


def worth(bitrate: int) -> float:
    """What an allocation is worth."""
    return math.log2(1 + bitrate / 50_000)


@cache
def free_optimum(instance: Instance) -> float:
    """The greatest worth of all choices."""
    sources = [[(step, worth(step)) for step in steps] for steps in instance.ladders]
    return best_choice(sources, instance.capacity)[0]


@cache
def minimums_optimum(instance: Instance) -> float:
    """The greatest worth of the choices in which nobody has more while a lowest step waits."""
    lowest = sum(steps[0] for steps in instance.ladders)
    if lowest > instance.capacity:
        return _chosen(instance.ladders, 0, range(len(instance.ladders)), instance.capacity)[0]
    extras = [
        [(step - steps[0], worth(step) - worth(steps[0])) for step in steps[1:]]
        for steps in instance.ladders
    ]
    best, _ = best_choice(extras, instance.capacity - lowest)
    return best + sum(worth(steps[0]) for steps in instance.ladders)


@cache
def rounds_optimum(instance: Instance) -> float:
    """The greatest worth of lowest steps, then of second steps beside those, then of third."""
    total = 0.0
    room = instance.capacity
    able: Sequence[int] = range(len(instance.ladders))
    for index in range(len(BASE)):
        gained, taken = _chosen(instance.ladders, index, able, room)
        total += gained
        room -= sum(_increment(instance.ladders[track], index) for track in taken)
        if index == 0 and len(taken) < len(able):
            break
        able = taken
    return total


def _increment(steps: Sequence[int], index: int) -> int:
    return steps[index] - (steps[index - 1] if index else 0)


def _chosen(
    ladders: Sequence[Sequence[int]], index: int, able: Sequence[int], room: int
) -> tuple[float, list[int]]:
    """Of those able to take this step, who should."""
    sources = [
        [
            (
                _increment(ladders[track], index),
                worth(ladders[track][index]) - (worth(ladders[track][index - 1]) if index else 0),
            )
        ]
        for track in able
    ]
    best, choices = best_choice(sources, room)
    return best, [track for track, choice in zip(able, choices, strict=True) if choice is not None]


OPTIMA = {"free": free_optimum, "minimums": minimums_optimum, "rounds": rounds_optimum}


def decider(name: str) -> Prepare:
    """What decides, by name; see the module."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        return _pure(getattr(importlib.import_module(module), attribute))
    policy = chosen_policy(name)
    # What "layered" names is asked as a function, and "fair", the same, by way of the index.
    return _through_engine(name) if name == "fair" else _pure(policy)


def _pure(policy: Any) -> Prepare:
    policy = policy() if isinstance(policy, type) else policy
    return lambda claims: lambda capacity: dict(policy(claims, capacity).allocations)


def _through_engine(name: str) -> Prepare:
    def prepare(claims: Sequence[Claim]) -> Decide:
        engine = make_engine(name)
        receivers = []
        for claim in claims:
            # Rates of which the steps, headroom included, are what the claim says.
            variants = {str(n): -(-step * 10 // 11) for n, step in enumerate(claim.levels)}
            track = Track("camera", variants=variants)
            options = ReceiverOptions.for_track(track, {"pausable": True})
            receiver = engine.register(0.0, track, options, 0, PaddingAccount())
            engine.request(0.0, receiver, claim.wanted)
            receivers.append((claim.receiver_id, receiver))

        def decide(capacity: int) -> dict[int, int]:
            engine.update_estimate(0.0, capacity)
            return {number: receiver.allocation for number, receiver in receivers}

        return decide

    return prepare


def quality(prepare: Prepare, sizes: Sequence[int]) -> dict[str, list[float]]:
    """The worth of a policy's choices over each optimum, over instances of these sizes.

    Raises:
        ValueError: A choice does not fit.
    """
    ratios: dict[str, list[float]] = {name: [] for name in OPTIMA}
    for size in sizes:
        for instance in instances(size, EACH[size]):
            chosen = prepare(instance.claims())(instance.capacity)
            if sum(chosen.values()) > instance.capacity:
                raise ValueError(f"{size} tracks: {sum(chosen.values())} > {instance.capacity}")
            reached = sum(worth(bitrate) for bitrate in chosen.values())
            for name, optimum in OPTIMA.items():
                best = optimum(instance)
                ratios[name].append(reached / best if best else 1.0)
    return ratios


def duration(prepare: Prepare, size: int) -> float:
    """Median time of a decision, s, claims made and known."""
    asked = [(prepare(instance.claims()), instance.capacity) for instance in instances(size, 60)]
    return statistics.median(
        seconds(lambda decide=decide, capacity=capacity: decide(capacity))
        for decide, capacity in asked
    )


def rows(names: Sequence[str] = ("layered", "fair")) -> Iterator[Row]:
    """Measure each policy."""
    for name in names:
        prepare = decider(name)
        for sizes, mean_bar, worst_bar in ((SMALL, 0.9995, 0.995), (LARGE, 0.985, 0.92)):
            ratios = quality(prepare, sizes)
            for optimum, found in ratios.items():
                mean, worst = statistics.fmean(found), min(found)
                judged = optimum == "rounds"
                yield Row(
                    f"{name}: worth of a decision over the optimum ({optimum}), "
                    f"{sizes[0]} to {sizes[-1]} tracks",
                    f"mean {mean:.4f}, worst {worst:.4f} of {len(found)}",
                    f"{mean_bar}, {worst_bar}" if judged else "",
                    mean >= mean_bar and worst >= worst_bar if judged else None,
                    _OTHERS if (optimum, sizes) == ("free", SMALL) else "",
                )
        # An engine does more than to decide: it keeps books, grants, and looks at probing. `swings`
        # has bars for that.
        pure = name != "fair"
        for size, bar in TIME_BARS.items():
            each = duration(prepare, size)
            what = "a decision" if pure else "an estimate that is shared among, and granted to all"
            yield Row(
                f"{name}: {what} of {size} tracks",
                micro(each),
                micro(bar) if pure else "",
                each <= bar if pure else None,
            )


_OTHERS = "6 tracks: Jitsi, Signal .975/.73, mediasoup .975/.64, first fit .934/.41"


def main() -> None:
    """Measure the policies named."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.decisions")
    parser.add_argument("names", nargs="*", metavar="NAME", default=["layered", "fair"])
    for row in rows(parser.parse_args().names):
        met = {True: "yes", False: "NO", None: ""}[row.met]
        print(f"{row.what:76} {row.ours:34} {row.bar:14} {met}")


if __name__ == "__main__":
    main()
