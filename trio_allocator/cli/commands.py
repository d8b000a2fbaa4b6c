"""How our commands differ from typer's own: in their help."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command whose flags are shown as such: typer writes ``<bool>`` after them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """See click."""
        return _with_plain_flags(super().get_params(ctx))


class Group(TyperGroup):
    """As `Command`, for what holds the commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """See click."""
        return _with_plain_flags(super().get_params(ctx))


def _with_plain_flags(params: Iterable[Any]) -> list[Any]:
    found = list(params)
    for param in found:
        if isinstance(param, TyperOption) and param.is_flag and param.metavar is None:
            param.metavar = ""
    return found
