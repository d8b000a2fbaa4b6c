"""The layers of the package, and who may import what: the documentation shows it, a test holds it.

Everything here reads source files. Nothing is imported, so that what a module says is judged, not
what other modules happened to load before it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


@dataclass(frozen=True)
class Layer:
    """Some modules of the package that stand at one height.

    Attributes:
        name: What the layer is called.
        modules: Dotted names below the package; each covers the modules below it. An empty name
            is the package's own ``__init__``.
        below: The layers that it may import, and no others.
        purpose: What it is for, in a few words.
    """

    name: str
    modules: tuple[str, ...]
    below: frozenset[str]
    purpose: str


PACKAGE = frozenset(
    {
        "vocabulary",
        "policies",
        "engine",
        "report",
        "interface",
        "shell",
        "receiver",
        "public names",
        "estimation",
        "connection",
    }
)
"""What is open to those who build on all of it."""

LAYERS = (
    Layer(
        "vocabulary",
        ("quantities", "tracks", "messages", "obstacle", "options"),
        frozenset(),
        "what both sides talk about: plain, checked data",
    ),
    Layer(
        "policies",
        ("policies",),
        frozenset({"vocabulary"}),
        "ways to share, as pure functions of claims and a capacity",
    ),
    Layer(
        "engine",
        ("engine",),
        frozenset({"vocabulary", "policies"}),
        "decides: an event and the time in, effects out",
    ),
    Layer(
        "report",
        ("report",),
        frozenset({"vocabulary", "policies", "engine"}),
        "says how an engine stands, what it has done, and why",
    ),
    Layer(
        "estimation",
        ("estimation",),
        frozenset({"vocabulary"}),
        "feedback in, an estimate out; knows nothing of allocators",
    ),
    Layer(
        "interface",
        ("interface",),
        frozenset({"vocabulary"}),
        "the contract, as abstract classes",
    ),
    Layer(
        "shell",
        ("shell",),
        frozenset({"vocabulary", "policies", "interface", "engine", "report"}),
        "the allocators one opens: time, tasks and wake-ups around the engine",
    ),
    Layer(
        "receiver",
        ("receiver",),
        frozenset({"vocabulary", "interface"}),
        "the other side of the conversation, ready-made",
    ),
    Layer(
        "connection",
        ("shell.estimator_options", "shell.connection_estimator", "shell.media_sender"),
        frozenset({"vocabulary", "interface", "estimation", "shell", "receiver"}),
        "beside an allocator: an estimator, with time, a task and the numbers of packets; a sender",
    ),
    Layer(
        "public names",
        ("",),
        frozenset(
            {
                "vocabulary",
                "policies",
                "interface",
                "engine",
                "report",
                "shell",
                "receiver",
                "connection",
            }
        ),
        "re-exported, nothing else",
    ),
    Layer(
        "network",
        ("network",),
        frozenset({"vocabulary"}),
        "links that are arithmetic, and what befalls packets on them",
    ),
    Layer(
        "testing",
        ("testing",),
        PACKAGE | {"network"},
        "the public kit for those who test an allocator or a receiver",
    ),
    Layer(
        "metrics",
        ("metrics",),
        PACKAGE,
        "for operators: how allocators and estimators stand, for Prometheus",
    ),
    Layer(
        "lab",
        ("lab",),
        PACKAGE | {"network", "testing"},
        "links, media, recordings and peers to measure with",
    ),
    Layer(
        "cli",
        ("cli", "__main__"),
        PACKAGE | {"network", "testing", "lab"},
        "the commands",
    ),
)
"""From the bottom up."""

SANS_IO = ("policies", "engine", "report", "estimation", "receiver.selector")
"""What never sees Trio, a clock, chance or a log, nor imports anything that does."""

IMPURE = frozenset(
    {
        "asyncio",
        "datetime",
        "logging",
        "random",
        "secrets",
        "selectors",
        "socket",
        "threading",
        "time",
        "trio",
        "trio_util",
        "uuid",
    }
)
"""Top-level packages that bring Trio, a clock, chance or a log."""


@dataclass(frozen=True)
class Import:
    """One import statement, resolved.

    Attributes:
        target: The module imported, as an absolute dotted name.
        line: Where.
        for_types: It stands under ``if TYPE_CHECKING``, so it never runs.
    """

    target: str
    line: int
    for_types: bool


class Package:
    """The modules of a package and what each imports, read from its files."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._paths = {
            ".".join((self.name, *_dotted(path.relative_to(folder)))): path
            for path in sorted(folder.rglob("*.py"))
        }
        self.imports: Mapping[str, list[Import]] = {
            module: list(self._read(module)) for module in self._paths
        }

    @property
    def modules(self) -> Mapping[str, Path]:
        """Module name to its file."""
        return self._paths

    def local(self, module: str) -> str:
        """A module's name without the package's; empty for the package itself."""
        return module.removeprefix(self.name).removeprefix(".")

    def below(self, *names: str) -> list[str]:
        """The modules with these local names, and all modules below them."""
        return [
            module
            for module in self._paths
            if any(_covers(name, self.local(module)) for name in names)
        ]

    def _read(self, module: str) -> Iterator[Import]:
        path = self._paths[module]
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node, for_types in _statements(tree, for_types=False):
            match node:
                case ast.Import(names=names):
                    targets = [alias.name for alias in names]
                case ast.ImportFrom(module=source, names=names, level=level):
                    parents = package.split(".")
                    base = parents[: len(parents) - level + 1] if level else []
                    origin = ".".join([*base, *([source] if source else [])])
                    # `from package import module` imports the module, not a name of the package.
                    targets = [
                        submodule
                        if (submodule := f"{origin}.{alias.name}") in self._paths
                        else origin
                        for alias in names
                    ]
                case _:
                    continue
            for target in dict.fromkeys(targets):
                yield Import(target, node.lineno, for_types)

    def inside(self, module: str) -> Iterator[Import]:
        """A module's imports from its own package."""
        return (imported for imported in self.imports[module] if imported.target in self._paths)


def _dotted(path: Path) -> tuple[str, ...]:
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _covers(name: str, local: str) -> bool:
    return local == name or (name != "" and local.startswith(name + "."))


def _statements(node: ast.AST, *, for_types: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child, for_types
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                yield statement, True
            for statement in child.orelse:
                yield statement, for_types
            continue
        yield from _statements(child, for_types=for_types)


def layer_of(package: Package, module: str) -> Layer | None:
    """The layer of a module, None if nobody gave it one; the longest name that covers it decides."""
    local = package.local(module)
    covering = [
        (len(name), layer) for layer in LAYERS for name in layer.modules if _covers(name, local)
    ]
    return max(covering, key=lambda pair: pair[0])[1] if covering else None


def upward_imports(package: Package) -> list[str]:
    """Modules without a layer, and imports of a layer that is not below; for types or not."""
    complaints = []
    for module in package.modules:
        layer = layer_of(package, module)
        if layer is None:
            complaints.append(f"{module} has no layer")
            continue
        for imported in package.inside(module):
            target = layer_of(package, imported.target)
            if target is not None and target is not layer and target.name not in layer.below:
                complaints.append(
                    f"{module}:{imported.line} ({layer.name}) imports {imported.target} ({target.name})"
                )
    return complaints


def impure_imports(package: Package, *names: str) -> list[str]:
    """Imports of `IMPURE` packages by modules with these names, or by what they import."""
    complaints = []
    todo = package.below(*names)
    seen = set(todo)
    while todo:
        module = todo.pop()
        for imported in package.imports[module]:
            if imported.target.partition(".")[0] in IMPURE:
                complaints.append(f"{module}:{imported.line} imports {imported.target}")
            elif imported.target in package.modules and imported.target not in seen:
                seen.add(imported.target)
                todo.append(imported.target)
    return sorted(complaints)


def import_cycle(package: Package) -> list[str]:
    """Modules that import each other in a ring; imports for types only do not count."""
    graph = {
        module: {
            imported.target
            for imported in package.inside(module)
            if not imported.for_types and imported.target != module
        }
        for module in package.modules
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        return ring
    return []


def logic_in_init(source: str) -> list[str]:
    """What an ``__init__`` holds besides its docstring, ``__all__`` and relative re-exports."""
    complaints = []
    for index, statement in enumerate(ast.parse(source).body):
        match statement:
            case ast.Expr(value=ast.Constant(value=str())) if index == 0:
                continue
            case ast.ImportFrom(module="__future__"):
                continue
            case ast.ImportFrom(level=level) if level > 0:
                continue
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                continue
        complaints.append(f"line {statement.lineno}: {ast.unparse(statement).splitlines()[0]}")
    return complaints
