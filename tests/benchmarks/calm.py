"""How calm the whole loop is on links that do not change: changes, best steps, padding.

``python -m tests.benchmarks.calm`` runs two conferences (see `tests.benchmarks.conference`) on
links of 0.5 to 6 Mbit/s, and prints a line for each run; ``python -m tests.benchmarks calm`` has
the worst of every fifth of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import Pool
from typing import Any

from .conference import CONFERENCES, Calm, Conference, figures
from .measure import Row

SINCE, UNTIL = 15.0, 75.0
"""The start-up is not counted, s."""

MOST_CHANGES = 3
LEAST_CARRIED = 0.8
MOST_PADDING = 0.12


def measure(job: tuple[str, float, Mapping[str, Any]]) -> tuple[str, float, Calm]:
    """Run one conference on one link."""
    name, capacity, settings = job
    run = Conference(capacity, CONFERENCES[name], settings).run(UNTIL)
    return name, capacity, figures(run, capacity, SINCE, UNTIL)


def misses(found: Calm) -> Iterator[str]:
    """Which bars it misses."""
    if found.changes > MOST_CHANGES:
        yield "changes"
    if found.taken_back:
        yield "taken back"
    if found.worth < LEAST_CARRIED:
        yield "carried"
    if found.padding > MOST_PADDING:
        yield "padding"


def rows() -> Iterator[Row]:
    """The worst of a coarse grid, for the table of all benchmarks."""
    for name in CONFERENCES:
        found = [measure((name, tenths * 100_000, {}))[2] for tenths in range(5, 61, 5)]
        changes = max(one.changes for one in found)
        back = sum(one.taken_back for one in found)
        worth = min(one.worth for one in found)
        padding = max(one.padding for one in found)
        yield Row(
            f"{name} conference, changes in 60 s of a constant link, at most",
            str(changes),
            f"≤ {MOST_CHANGES}",
            changes <= MOST_CHANGES,
        )
        yield Row(f"{name} conference, raises taken back within 1 s", str(back), "0", back == 0)
        yield Row(
            f"{name} conference, utility of the best steps, at least",
            f"{worth:.2f}",
            f"≥ {LEAST_CARRIED}",
            worth >= LEAST_CARRIED,
        )
        yield Row(
            f"{name} conference, padding, at most",
            f"{padding:.3f}",
            f"≤ {MOST_PADDING}",
            padding <= MOST_PADDING,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each run, and a summary."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calm")
    parser.add_argument("--lowest", type=float, default=0.5, help="Mbit/s")
    parser.add_argument("--highest", type=float, default=6.0, help="Mbit/s")
    parser.add_argument("--step", type=float, default=0.1, help="Mbit/s")
    parser.add_argument("--conference", choices=list(CONFERENCES), action="append")
    parser.add_argument("--policy")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--brief", action="store_true", help="only what misses a bar")
    chosen = parser.parse_args(arguments)
    settings = {} if chosen.policy is None else {"policy": chosen.policy}
    count = round((chosen.highest - chosen.lowest) / chosen.step) + 1
    rates = [round(1e6 * (chosen.lowest + n * chosen.step)) for n in range(count)]
    names = chosen.conference or list(CONFERENCES)
    jobs = [(name, rate, settings) for name in names for rate in rates]
    all_found: dict[str, list[Calm]] = {name: [] for name in names}
    with Pool(chosen.processes) as pool:
        for name, rate, found in pool.imap(measure, jobs):
            all_found[name].append(found)
            missed = ", ".join(misses(found))
            if missed or not chosen.brief:
                print(
                    f"{name} {rate / 1e6:.1f}: changes {found.changes:2d}, taken back "
                    f"{found.taken_back}, carried {found.carried:.2f}, worth {found.worth:.2f}, "
                    f"padding {found.padding:.3f}, voice {found.late:.3f} s, cameras "
                    f"{found.slow:.3f} s  {missed}",
                    flush=True,
                )
    for name, found_there in all_found.items():
        print(
            f"{name}: {sum(1 for one in found_there if not any(misses(one)))} of "
            f"{len(found_there)} meet every bar; at most {max(o.changes for o in found_there)} "
            f"changes, {sum(o.taken_back for o in found_there)} taken back; worth "
            f"{min(o.worth for o in found_there):.2f} to "
            f"{sum(o.worth for o in found_there) / len(found_there):.2f} on average; padding "
            f"{sum(o.padding for o in found_there) / len(found_there):.3f} on average, "
            f"{max(o.padding for o in found_there):.3f} at most"
        )


if __name__ == "__main__":
    main()
