"""The command line, put together: each command has a module of its own."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from .commands import Command, Group
from .link_test import link_test
from .relay import relay
from .replay import demo, replay
from .score import compare, score
from .simulate import simulate

app: typer.Typer = typer.Typer(
    help="Divide the bandwidth of one connection among its tracks, and watch.",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"trio-allocator {installed_version('trio-allocator')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


app.command(cls=Command)(replay)
app.command(cls=Command)(demo)
app.command(cls=Command)(simulate)
app.command(cls=Command)(score)
app.command(cls=Command)(compare)
app.command(cls=Command)(link_test)
app.command(cls=Command)(relay)
