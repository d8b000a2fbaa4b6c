"""What there is to say of impairments."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from ..network.impairments import IMPAIRMENTS


def print_impairments(console: Console) -> None:
    """Tell of all impairments that have a name: what happens, and where that is known from."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("name", "what happens", "source"):
        table.add_column(heading, no_wrap=heading == "name", overflow="fold")
    for known in IMPAIRMENTS.values():
        table.add_row(known.name, known.description, known.source)
    console.print(table)
