"""How cautious to be: what falls and failures weigh, chosen on half of the traces.

``python -m tests.benchmarks.caution TRACE… --estimates real`` makes every run of a small grid of
`FALL_WEIGHT` and `FAILURE_WEIGHT` (see `trio_allocator.engine.headroom`), with smooth media. The
traces are dealt out by name, in turns, to two halves, and the means stand side by side for both and
for all: choose by the one half, believe the other. Fifteen traces take a minute or two for each cell
of the grid.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from unittest.mock import patch

from trio_allocator.engine import headroom
from trio_allocator.lab.replay.recording import RecordingError
from trio_allocator.lab.simulation.job import Job, figures_of
from trio_allocator.lab.simulation.trace import read_trace
from trio_allocator.lab.workers import each_done, local_workers


def measure(falls: float, failures: float, job: Job) -> tuple[float, ...]:
    """Utility over the oracle's, QoE, and switches a minute of one run."""
    with patch.multiple(headroom, FALL_WEIGHT=falls, FAILURE_WEIGHT=failures):
        found = figures_of(job)
    return tuple(float(found[name] or 0) for name in ("utility_ratio", "qoe", "switches"))


def described(runs: list[tuple[float, ...]]) -> str:
    """The means of some runs."""
    utility, quality, switches = (mean(one) for one in zip(*runs, strict=True))
    return f"U/O {utility:.3f} QoE {quality:.3f} {switches:.2f} switches"


def main() -> None:
    """Measure, and print a line for each cell of the grid and number of cameras, and one for all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.caution", description=__doc__)
    parser.add_argument("traces", nargs="+", type=Path, metavar="TRACE")
    parser.add_argument("--estimates", choices=["ideal", "real"], default="real")
    parser.add_argument("--receivers", type=int, nargs="+", default=[1, 3, 10], metavar="N")
    parser.add_argument("--falls", type=float, nargs="+", default=[0.2, 0.3], metavar="WEIGHT")
    parser.add_argument("--failures", type=float, nargs="+", default=[0.15, 0.2], metavar="WEIGHT")
    chosen = parser.parse_args()
    try:
        traces = [read_trace(path) for path in sorted(chosen.traces)]
    except RecordingError as error:
        parser.error(str(error))
    jobs = [
        Job(trace, n, "layered", chosen.estimates, 1, media="smooth")
        for n in chosen.receivers
        for trace in traces
    ]
    with local_workers() as pool:
        for falls, failures in product(chosen.falls, chosen.failures):
            found: dict[int, tuple[float, ...]] = {}
            for index, figures in each_done(partial(measure, falls, failures), jobs, pool):
                found[index] = figures
                print(f"\r{len(found)} of {len(jobs)}", end="", file=sys.stderr, flush=True)
            print("\r", end="", file=sys.stderr)
            runs = [found[index] for index in range(len(jobs))]
            print(f"falls {falls:g}, failures {failures:g}: {described(runs)}")
            for number, n in enumerate(chosen.receivers):
                its = runs[number * len(traces) : (number + 1) * len(traces)]
                halves = "   |   ".join(described(half) for half in (its[::2], its[1::2]) if half)
                print(f"   N = {n:2d}: {described(its)}   =   {halves}", flush=True)


if __name__ == "__main__":
    main()
