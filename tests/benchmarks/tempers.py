"""How cautious to be: the price on switching and its growth, chosen on half of the traces.

``python -m tests.benchmarks.tempers TRACE… --estimates ideal`` runs every temper of a small grid
over all traces with 1, 3, 10 and 30 cameras. The traces are dealt out by name, in turns, to two
halves, and each temper's means stand side by side for both: choose by the one, believe the other.
Takes a quarter of an hour for fifteen traces.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path
from statistics import mean
from unittest.mock import patch

from attrs import evolve

from trio_allocator.engine import settlement
from trio_allocator.lab.simulation.figures import Figures
from trio_allocator.lab.simulation.run import ENGINE_SETTINGS, simulate
from trio_allocator.lab.simulation.trace import Trace, read_trace

FACTORS = (0.5, 1.0, 2.0)
"""The grid: of the default price, and of the default growth."""

COUNTS = (1, 3, 10, 30)

TEMPERS = {"ideal": "IDEAL", "gcc": "RAMPING"}
"""Which of the two defaults is in force, by the kind of the estimates."""


def measure(trace: Trace, kind: str, price: float, growth: float) -> list[Figures]:
    """The figures of one trace, for each number of cameras."""
    name = TEMPERS[kind]
    temper = evolve(getattr(settlement, name), price=price, growth=growth)
    with patch.object(settlement, name, temper):
        settings = ENGINE_SETTINGS[kind]
        return [simulate(trace, n, "layered", kind, 1, settings=settings) for n in COUNTS]


def describe(runs: list[list[Figures]]) -> str:
    """The means of one half."""
    figures = [one for run in runs for one in run]
    utility = mean(one.utility_ratio for one in figures)
    quality = mean(one.qoe for one in figures)
    switches = mean(one.switches for one in figures)
    return f"QoE {quality:.4f}  U/O {utility:.4f}  {switches:.2f} switches"


def main() -> None:
    """Measure, and print a line for each temper."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.tempers")
    parser.add_argument("traces", nargs="+", type=Path, metavar="TRACE")
    parser.add_argument("--estimates", choices=list(TEMPERS), default="ideal")
    chosen = parser.parse_args()
    traces = [read_trace(path) for path in sorted(chosen.traces)]
    default = getattr(settlement, TEMPERS[chosen.estimates])
    for by_price, by_growth in product(FACTORS, FACTORS):
        price, growth = by_price * default.price, by_growth * default.growth
        runs = []
        for number, trace in enumerate(traces, 1):
            print(f"\r{number} of {len(traces)}", end="", file=sys.stderr, flush=True)
            runs.append(measure(trace, chosen.estimates, price, growth))
        halves = "   |   ".join(describe(half) for half in (runs[::2], runs[1::2]) if half)
        print(f"\rprice {price:g} growth {growth:g}:  {halves}", flush=True)


if __name__ == "__main__":
    main()
