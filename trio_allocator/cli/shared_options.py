"""Options that several commands have, each written once."""

from __future__ import annotations

from typing import Annotated

import typer

Jobs = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Number of processes; default: one for each core."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Let a Dask cluster do it, such as tcp://10.0.0.1:8786 (extra: sweep).",
    ),
]
SettingChanges = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the allocator, such as hold=2; may be repeated.",
    ),
]
Priorities = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACK=N",
        help="A track's priority, 0 to 255, larger first, or step by step, such as screen=9,0; "
        "may be repeated.",
    ),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(metavar="TRACK=W", help="A track's weight in its class; may be repeated."),
]
