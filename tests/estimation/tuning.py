"""``python -m tests.estimation.tuning [MODULE.NAME=VALUE …]``: what a constant is good for.

Runs the estimator on modelled links, with constants of `trio_allocator.estimation` as they are or
as they are given (``aimd.ACCELERATION=1``), and prints medians over some seeds.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from rich.console import Console
from rich.table import Table

from .link_model import Link, Sender, run

M = 1_000_000


@dataclass(frozen=True)
class Situation:
    """A link that senders share.

    Attributes:
        name: What to call it.
        steps: Capacity: (s, bit/s).
        duration: s.
        senders: How many.
        queue: Bytes.
        loss: Share lost by chance.
        jitter: s.
        usage: The share of its estimate that the sender uses.
        probing: Whether it sends the probes that the estimator plans.
    """

    name: str
    steps: list[tuple[float, float]]
    duration: float
    senders: int = 1
    queue: int = 37_500
    loss: float = 0.0
    jitter: float = 0.0
    usage: float = 1.0
    probing: bool = True

    def figures(self, seed: int) -> dict[str, float]:
        """Of one run. The first five seconds count only where something is found."""
        link = Link(self.steps, queue=self.queue, loss=self.loss, jitter=self.jitter, seed=seed)
        senders = [
            Sender(
                begin=2.0 * number,
                usage=self.usage,
                probing=self.probing,
                seed=10 * seed + number,
            )
            for number in range(self.senders)
        ]
        traces = run(link, senders, self.duration)
        packets = [packet for trace in traces for packet in trace.packets if packet[0] >= 5]
        waits = sorted(wait for _, _, wait in packets if wait is not None)
        carried = sum(0.01 * link.rate(5 + tick / 100) for tick in range(100 * self._counted))
        got = sum(trace.received(5, self.duration) for trace in traces) * self._counted
        parts = [trace.received(10, self.duration) for trace in traces]
        drops = [
            traces[0].reaction(time, rate)
            for (_, before), (time, rate) in zip(self.steps, self.steps[1:], strict=False)
            if rate < before
        ]
        rises = [
            min(traces[0].reach(time, 0.9 * rate), self.duration - time)
            for (_, before), (time, rate) in zip([(0, 0.0), *self.steps], self.steps, strict=False)
            if rate > before
        ]
        return {
            "used": got / carried,
            "queue p95": 1000 * waits[int(0.95 * len(waits))],
            "lost": sum(wait is None for _, _, wait in packets) / len(packets),
            "reacts": max(drops, default=math.nan),
            "recovers": max(rises),
            "fair": sum(parts) ** 2 / len(parts) / sum(part * part for part in parts),
        }

    @property
    def _counted(self) -> int:
        return round(self.duration) - 5


SITUATIONS = [
    Situation("1 Mbit/s", [(0, M)], 30),
    Situation("steps", [(0, M), (20, 2.5 * M), (35, 0.6 * M), (50, M)], 65),
    Situation(
        "steps, no probes", [(0, M), (20, 2.5 * M), (35, 0.6 * M), (50, M)], 65, probing=False
    ),
    Situation("overload", [(0, M), (15, 0.3 * M), (35, M)], 50),
    Situation("deep drop", [(0, M), (15, 0.1 * M), (35, M)], 50),
    Situation("short queue", [(0, M), (15, 0.3 * M), (35, M)], 50, queue=6_000),
    Situation("5 % lost", [(0, M)], 30, loss=0.05),
    Situation("jitter of 20 ms", [(0, M)], 30, jitter=0.02),
    Situation("two of them", [(0, 2 * M)], 60, senders=2, queue=75_000),
    Situation("five of them", [(0, 5 * M)], 60, senders=5, queue=187_500),
    Situation("two thirds used", [(0, 2 * M)], 30, usage=0.67),
]

COLUMNS: dict[str, Callable[[float], str]] = {
    "used": lambda value: f"{value:.1%}",
    "queue p95": lambda value: f"{value:.0f} ms",
    "lost": lambda value: f"{value:.1%}",
    "reacts": lambda value: "" if math.isnan(value) else f"{value:.2f} s",
    "recovers": lambda value: f"{value:.1f} s",
    "fair": lambda value: f"{value:.2f}",
}


def _change(setting: str) -> None:
    name, _, value = setting.partition("=")
    module, _, constant = name.partition(".")
    part = import_module(f"trio_allocator.estimation.{module}")
    if not isinstance(getattr(part, constant, None), int | float):
        raise SystemExit(f"{name} is no constant of trio_allocator.estimation")
    setattr(part, constant, float(value))


def main() -> None:
    """Run the situations."""
    parser = argparse.ArgumentParser(prog="python -m tests.estimation.tuning", description=__doc__)
    parser.add_argument("settings", nargs="*", metavar="MODULE.NAME=VALUE")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    for setting in arguments.settings:
        _change(setting)
    table = Table("", *COLUMNS)
    for situation in SITUATIONS:
        runs = [situation.figures(seed) for seed in range(arguments.seeds)]
        table.add_row(
            situation.name,
            *(
                shown(statistics.median(figures[column] for figures in runs))
                for column, shown in COLUMNS.items()
            ),
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
