"""The package's own building rules, read from its sources by `docs/_ext/layers.py`."""

from pathlib import Path

import layers
import pytest

PACKAGE = layers.Package(Path(__file__).parents[1] / "trio_allocator")


def test_the_whole_package_is_seen():
    assert {"trio_allocator.tracks", "trio_allocator.engine"} <= set(PACKAGE.modules)


def test_every_module_imports_only_layers_below_its_own():
    assert layers.upward_imports(PACKAGE) == []


@pytest.mark.parametrize("part", layers.SANS_IO)
def test_what_decides_knows_neither_trio_nor_clock_nor_chance(part):
    if part == "estimation" and not PACKAGE.below(part):
        return  # not every release has an estimator
    assert PACKAGE.below(part), f"nothing is called {part}"
    assert layers.impure_imports(PACKAGE, part) == []


def test_no_modules_import_each_other_in_a_ring():
    assert layers.import_cycle(PACKAGE) == []


def test_the_public_module_only_re_exports():
    source = PACKAGE.modules["trio_allocator"].read_text(encoding="utf-8")
    assert layers.logic_in_init(source) == []


# The rules' own tests: a violation that is planted must be found.


@pytest.fixture
def plant(tmp_path):
    """Write a package from a mapping of paths to sources, and read it."""

    def write(**sources):
        folder = tmp_path / "planted"
        for name in ("__init__", *sources):
            path = folder / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(sources.get(name, ""), encoding="utf-8")
        return layers.Package(folder)

    return write


@pytest.mark.parametrize(
    "statement",
    [
        "import trio",
        "import trio.lowlevel as low",
        "from trio import sleep",
        "from time import monotonic",
        "import logging",
        "if True:\n    import random",
        "def late():\n    import asyncio",
    ],
)
def test_an_impure_import_is_found_where_it_stands(plant, statement):
    package = plant(engine=statement)
    assert len(layers.impure_imports(package, "engine")) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "from . import helper",
        "from .helper import x",
        "import planted.helper",
        "from planted import helper",
    ],
)
def test_an_impure_import_is_found_behind_another_module(plant, statement):
    package = plant(engine=statement, helper="from .deeper import x", deeper="import trio")
    assert layers.impure_imports(package, "engine") == ["planted.deeper:1 imports trio"]


def test_an_impure_import_is_found_behind_a_subpackage(plant):
    package = plant(
        engine__in____init__="", engine__in__ledger="from ..tracks import x", tracks="import time"
    )
    assert layers.impure_imports(package, "engine") == ["planted.tracks:1 imports time"]


def test_what_only_looks_impure_is_left_alone(plant):
    package = plant(engine="import timeit\nfrom .time import x", time="", other="import trio")
    assert layers.impure_imports(package, "engine") == []


@pytest.mark.parametrize(
    ("lower", "statement"),
    [
        ("tracks", "from .engine import x"),
        ("engine", "from .interface import x"),
        ("interface", "from .shell import x"),
        ("shell", "from .receiver import x"),
        ("receiver", "from .testing import x"),
        ("testing", "from .cli import x"),
        ("tracks", "from . import x"),
        ("tracks", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .cli import x"),
    ],
)
def test_an_upward_import_is_found(plant, lower, statement):
    names = ("tracks", "engine", "interface", "shell", "receiver", "testing", "cli")
    package = plant(**{**dict.fromkeys(names, ""), lower: statement})
    assert len(layers.upward_imports(package)) == 1


def test_a_module_without_a_layer_is_found(plant):
    assert layers.upward_imports(plant(stray="")) == ["planted.stray has no layer"]


def test_a_ring_is_found_and_one_for_types_is_not(plant):
    assert layers.import_cycle(plant(a="from . import b", b="from .a import x"))
    for_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import x"
    assert layers.import_cycle(plant(a="from . import b", b=for_types)) == []


@pytest.mark.parametrize(
    "source",
    ["x = 1", "def f(): ...", "import trio", '"""Fine."""\nfrom .a import b as b\nb()'],
)
def test_logic_in_the_public_module_is_found(source):
    assert len(layers.logic_in_init(source)) == 1


def test_re_exports_are_no_logic():
    source = '"""Names."""\n\nfrom .tracks import Track as Track\n\n__all__ = ["Track"]'
    assert layers.logic_in_init(source) == []
