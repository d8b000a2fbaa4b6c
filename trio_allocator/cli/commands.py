"""How our commands differ from typer's own: in their help, and in what they say of a wrong value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from ..lab.rates import shown
from .endings import refuse

_NO_NUMBER = {
    "float_parsing": "is not a number: write such as 2.5",
    "int_parsing": "is not a whole number: write such as 3",
    "int_parsing_size": "is too large: write such as 3",
}
"""What pydantic calls it, and what is said."""


class Command(TyperCommand):
    """A command whose flags are shown as such: typer writes ``<bool>`` after them.

    A value that cannot be used is told in one line, as all input is that cannot be used.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """See click."""
        return _with_plain_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            # That a value is missing typer says well.
            if error.param is None or not error.message:
                raise
            refuse(ValueError(f"{error.param.opts[0]}: {_problem(error)}"))
        return rest


class Group(TyperGroup):
    """As `Command`, for what holds the commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """See click."""
        return _with_plain_flags(super().get_params(ctx))


def _problem(error: typer.BadParameter) -> str:
    """What is wrong with a value, which typer tells in pydantic's words, without the value."""
    found = getattr(error.__cause__, "errors", None)
    if found is None:
        return error.message
    first = found()[0]
    value, limit = shown(str(first["input"])), first.get("ctx", {}).get("ge")
    if first["type"] in _NO_NUMBER:
        return f"{value} {_NO_NUMBER[first['type']]}"
    if limit is not None:
        return f"{value} is too little: write at least {limit}"
    return str(first["msg"]).removeprefix("Value error, ").rstrip(".")


def _with_plain_flags(params: Iterable[Any]) -> list[Any]:
    found = list(params)
    for param in found:
        if isinstance(param, TyperOption) and param.is_flag and param.metavar is None:
            param.metavar = ""
    return found
