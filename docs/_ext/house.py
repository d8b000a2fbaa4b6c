"""Sphinx directives of this project's own: pictures from tables, and tables from tests.

``state-diagram``
    A transition table as a picture, and as a list below it. Argument: ``package.module:NAME``.

``promises``
    Every statement of ``invariants`` or ``defects`` with the tests that hold it, as found in the
    test files.

``proofs``
    Every invariant with the kinds of checks that there are of it; see `proofs`.

``layers``
    The layers of the package and what each may import.

``impairments``
    What can befall packets, with descriptions and sources, as the package has them.

``constants``
    The constants of modules, with their values, their units and their sources, as the modules
    have them. Arguments: ``package.module`` for each.

``command-line``
    What ``--help`` says, for the program and for each of its commands.

Names that cannot be linked: a type of another project stays plain text, since finding its page
would take the network. A name of this package's public module is found by its short name and by
that of the module that defines it; any other name of the package is reported.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from unittest import mock

import cited_tests
import constants
import layers
import proofs
import state_diagrams
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from trio_allocator.network.impairments import IMPAIRMENTS

_FILES = {
    "invariants": (cited_tests.INVARIANTS, "invariant"),
    "defects": (cited_tests.DEFECTS, "defect"),
}


def _table(
    titles: list[str], widths: list[int], rows: Iterable[Sequence[nodes.Node]]
) -> nodes.table:
    """A table; each cell of a row is one block node."""
    group = nodes.tgroup(cols=len(titles))
    group += [nodes.colspec(colwidth=width) for width in widths]
    heads = [nodes.paragraph(text=title) for title in titles]
    group += nodes.thead("", _row(heads))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group, classes=["colwidths-given"])


def _row(cells: Iterable[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


class StateDiagram(SphinxDirective):
    """``state-diagram``: see the module."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"title": str}

    def run(self) -> list[nodes.Node]:
        """Draw the table that the argument names."""
        module_name, _, attribute = self.arguments[0].partition(":")
        module = importlib.import_module(module_name)
        if module.__file__:
            self.env.note_dependency(module.__file__)
        table: state_diagrams.Table = getattr(module, attribute)
        title = self.options.get("title", attribute)
        rows = [
            [nodes.paragraph(text=state_diagrams.label(name)) for name in (state, event, following)]
            for state, transitions in table.items()
            for event, following in transitions.items()
        ]
        return [
            nodes.raw("", state_diagrams.svg(table, title), format="html"),
            _table(["state", "event", "next state"], [30, 40, 30], rows),
        ]


class Promises(SphinxDirective):
    """``promises``: see the module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write each statement, its id first, and fold up the tests that hold it."""
        path, marker = _FILES[self.arguments[0]]
        self.env.note_dependency(str(path))
        tests = cited_tests.cited(marker)
        for citing in tests.values():
            for test in citing:
                self.env.note_dependency(str(cited_tests.ROOT / test.file))

        written: list[nodes.Node] = []
        group = ""
        for statement in cited_tests.statements(path):
            if statement.group != group:
                group = statement.group
                written.append(nodes.rubric(text=group))
            text = f"**{statement.id}: {statement.title}**\n\n{statement.text.strip()}"
            written += self.parse_text_to_nodes(text)
            written += self._held_by(tests.get(statement.id, []))
        return written

    @staticmethod
    def _held_by(tests: list[cited_tests.CitedTest]) -> list[nodes.Node]:
        if not tests:
            return [nodes.paragraph(text="no test yet")]
        items = [
            nodes.list_item("", nodes.paragraph("", "", nodes.literal(text=str(test))))
            for test in tests
        ]
        summary = f"held by {len(tests)} test{'s' * (len(tests) > 1)}"
        opening = f'<details class="tests"><summary>{summary}</summary>'
        return [
            nodes.raw("", opening, format="html"),
            nodes.bullet_list("", *items),
            nodes.raw("", "</details>", format="html"),
        ]


class Proofs(SphinxDirective):
    """``proofs``: see the module."""

    def run(self) -> list[nodes.Node]:
        """Write a table; a number counts checks, and an empty cell says that there are none."""
        for path in (*cited_tests.ROOT.joinpath("tests").rglob("*.py"), *proofs.KIT.rglob("*.py")):
            self.env.note_dependency(str(path))
        rows = [
            [
                nodes.paragraph("", "", nodes.strong(text=proof.statement.id)),
                nodes.paragraph(text=proof.statement.title),
                *(
                    nodes.paragraph(text="yes" if held else "")
                    for held in (proof.engine_machine, proof.nursery_machine, proof.metamorphic)
                ),
                *(
                    nodes.paragraph(text=str(number or ""))
                    for number in (proof.checks, proof.plants, proof.tests)
                ),
            ]
            for proof in proofs.proofs()
        ]
        titles = [
            *("id", "invariant", "engine machine", "nursery machine", "compared"),
            *("checks of the kit", "planted", "own tests"),
        ]
        return [_table(titles, [6, 34, 10, 10, 10, 10, 10, 10], rows)]


class Layers(SphinxDirective):
    """``layers``: see the module."""

    def run(self) -> list[nodes.Node]:
        """Write a table, the highest layer first."""
        order = [layer.name for layer in layers.LAYERS]
        rows = [
            [
                nodes.paragraph("", "", nodes.strong(text=layer.name)),
                nodes.paragraph(text=", ".join(name or "__init__" for name in layer.modules)),
                nodes.paragraph(text=layer.purpose),
                nodes.paragraph(text=", ".join(sorted(layer.below, key=order.index)) or "nothing"),
            ]
            for layer in reversed(layers.LAYERS)
        ]
        return [_table(["layer", "modules", "what for", "may import"], [13, 25, 35, 27], rows)]


class Impairments(SphinxDirective):
    """``impairments``: see the module."""

    def run(self) -> list[nodes.Node]:
        """Write a table of those that have a name."""
        rows = [
            [
                nodes.paragraph("", "", nodes.literal(text=known.name)),
                nodes.paragraph(text=known.description),
                nodes.paragraph(text=known.source),
            ]
            for known in IMPAIRMENTS.values()
        ]
        return [_table(["name", "what happens", "source"], [18, 46, 36], rows)]


class Constants(SphinxDirective):
    """``constants``: see the module."""

    required_arguments = 1
    optional_arguments = 9

    def run(self) -> list[nodes.Node]:
        """Write one table for all of them."""
        rows: list[list[nodes.Node]] = []
        for name in self.arguments:
            path = cited_tests.ROOT.joinpath(*name.split(".")).with_suffix(".py")
            self.env.note_dependency(str(path))
            short = path.stem
            rows += [
                [
                    nodes.paragraph("", "", nodes.literal(text=f"{short}.{constant.name}")),
                    nodes.paragraph("", "", nodes.literal(text=constant.value)),
                    nodes.container("", *self.parse_text_to_nodes(constant.text)),
                ]
                for constant in constants.constants(path)
            ]
        return [_table(["constant", "value", "what it is, and its source"], [28, 12, 60], rows)]


class CommandLine(SphinxDirective):
    """``command-line``: see the module."""

    def run(self) -> list[nodes.Node]:
        """Ask the program for its help, and each of its commands too."""
        # Here, so that `--help` is laid out for a page whatever terminal builds it.
        plain = {"COLUMNS": "88", "TERM": "dumb", "NO_COLOR": "1"}
        with mock.patch.dict(os.environ, plain):
            from typer.testing import CliRunner  # noqa: PLC0415

            from trio_allocator.cli.app import app  # noqa: PLC0415

            names = [
                command.name or command.callback.__name__.replace("_", "-")
                for command in app.registered_commands
                if command.callback
            ]
            result: list[nodes.Node] = []
            for words in ([], *([name] for name in names)):
                title = " ".join(["trio-allocator", *words])
                answer = CliRunner().invoke(app, [*words, "--help"], prog_name="trio-allocator")
                text = "\n".join(line.rstrip() for line in answer.output.strip().splitlines())
                result += [
                    nodes.rubric(text=title),
                    nodes.literal_block(text, text, language="text"),
                ]
        return result


_INSTEAD = {"trio_allocator.shell.watching.Watch": "Watchable"}
"""What an annotation says to what a reader is shown."""

_HOMES = (
    "trio_allocator",
    "trio_allocator.estimation",
    "trio_allocator.receiver",
    "trio_allocator.testing",
)
"""Where public names are, in the order they are looked for."""

_TYPE_VARIABLES = ("T", "T_co")


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.Node | None:
    """Resolve what Sphinx could not; None leaves it to be reported."""
    target: str = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    if target.startswith("trio_allocator.") and target.rpartition(".")[2] in _TYPE_VARIABLES:
        return text
    local = _INSTEAD.get(target, target).removeprefix("trio_allocator.").split(".")
    python = env.domains.python_domain
    # `TrackKind` and `Track.kind`, whichever module defines them, by their public names.
    for name in (".".join(local), local[-1], ".".join(local[-2:])):
        for home in _HOMES:
            if f"{home}.{name}" in python.objects:
                return python.resolve_xref(
                    env, node["refdoc"], app.builder, "obj", f"{home}.{name}", node, text
                )
    foreign = not target.startswith("trio_allocator.")
    return text if foreign else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives with Sphinx."""
    app.add_directive("state-diagram", StateDiagram)
    app.add_directive("promises", Promises)
    app.add_directive("proofs", Proofs)
    app.add_directive("layers", Layers)
    app.add_directive("impairments", Impairments)
    app.add_directive("constants", Constants)
    app.add_directive("command-line", CommandLine)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
