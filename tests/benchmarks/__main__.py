"""``python -m tests.benchmarks [NAME …]``: measure, and print a table beside the reference's.

The figures of the reference are those of Membrane's RTPConnectionAllocator, measured on another
day on a machine of the same kind: compare orders of magnitude, and the ratios within one run.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from . import (
    calm,
    churn,
    decisions,
    estimates,
    estimator,
    feedback,
    hot_path,
    lifetimes,
    negotiation,
    probing,
    swings,
)

PARTS = {
    "hot_path": hot_path,
    "estimates": estimates,
    "negotiation": negotiation,
    "lifetimes": lifetimes,
    "probing": probing,
    "decisions": decisions,
    "churn": churn,
    "feedback": feedback,
    "estimator": estimator,
    "calm": calm,
    "swings": swings,
}


def main() -> None:
    """Run the parts named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.parts if name not in PARTS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    console = Console(stderr=True)
    table = Table("what", "ours", "bar", "met", "reference")
    found = []
    for name in arguments.parts or PARTS:
        with console.status(f"measuring {name} …"):
            for row in PARTS[name].rows():
                met = {True: "yes", False: "NO", None: ""}[row.met]
                table.add_row(row.what, row.ours, row.bar, met, row.reference)
                found.append(asdict(row))
    if arguments.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        Console(width=None if console.is_terminal else 200).print(table)


if __name__ == "__main__":
    main()
