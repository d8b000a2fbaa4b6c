"""The documentation is true: its code runs, and what it promises has tests.

Every ``python`` and ``pycon`` block of the README and of `docs/` runs here, in virtual time. How a
block is run:

- It may ``await`` and use ``async with`` outside of a function.
- If it defines ``async def main()`` without running it, it is run.
- So are its functions ``test_...``, unless they ask for another fixture than `autojump_clock`.
- ``trio.run`` inside a block uses virtual time too, unless it is given a clock.
- A comment before the block gives it a context that the reader does not see::

      <!-- before:
      from trio_allocator import Track
      -->

- ``<!-- continued -->`` before a block lets it go on from the block before, names and all.
- ``<!-- prints -->`` before a block of ``text`` says what the block before prints: all of it, with
  ``...`` for what differs from run to run, or is left out.
"""

import ast
import doctest
import inspect
import re
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

import cited_tests
import constants
import proofs
import pytest
import trio
import trio.testing
from hypothesis import settings

import trio_allocator
import trio_allocator.estimation
import trio_allocator.receiver
import trio_allocator.testing

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

OF_THE_WIRE = {
    *("chunks", "feedback", "loss_reader", "peer_clock", "reader", "recorder", "reports", "rtcp"),
    *("feedback_log", "layers_allocation", "media_requests", "sender_report"),
}
"""Modules of the estimation whose constants are the formats' own, and are told in words."""

LONGEST = 120
"""Virtual seconds that a block may take: an endless loop is a failure, not a hang."""

_BLOCK = re.compile(
    r"(?P<comments>(?:^<!--(?:(?!-->).)*-->\s*\n)*)"
    r"^(?P<indent>[ ]*)```(?P<language>python|pycon)\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_PRINTS = re.compile(
    r"^<!-- prints -->\s*\n(?P<indent>[ ]*)```text\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_BEFORE = re.compile(r"<!-- before:\n(.*?)-->", re.DOTALL)


@dataclass
class Block:
    """A block of code, with the line it starts in."""

    page: Path
    line: int
    code: str
    language: str
    continues: "Block | None" = None
    output: str | None = None

    @property
    def printed(self) -> str:
        """What it prints, and those before that it continues."""
        return (self.continues.printed if self.continues else "") + (self.output or "")

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page, text):
    """The blocks of a page; one that continues another carries that one's code as well."""
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        code = inspect.cleandoc("\n" + match["code"]) + "\n"
        before = "".join(_BEFORE.findall(match["comments"]))
        continues = found[-1] if "<!-- continued -->" in match["comments"] else None
        if continues is not None:
            before = continues.code + before
        line = text.count("\n", 0, match.start("code"))
        found.append(Block(page, line, before + code, match["language"], continues))
    for match in _PRINTS.finditer(text):
        line = text.count("\n", 0, match.start())
        printing = [block for block in found if block.line < line][-1]
        assert printing.output is None, f"{printing} prints two things"
        printing.output = inspect.cleandoc("\n" + match["text"]) + "\n"
    return found


BLOCKS = [block for page in PAGES for block in blocks(page, page.read_text(encoding="utf-8"))]


def virtually(function, *args, **options):
    """`trio.run` in virtual time; what brings a clock of its own is left to it."""
    if "clock" in options:
        return _REAL_RUN(function, *args, **options)

    async def in_time():
        with trio.fail_after(LONGEST):
            return await function(*args)

    return _REAL_RUN(in_time, clock=trio.testing.MockClock(autojump_threshold=0))


_REAL_RUN = trio.run


def run_doctest(block):
    """Run a block of prompts and answers."""
    test = doctest.DocTestParser().get_doctest(
        block.code, {}, str(block), str(block.page), block.line
    )
    output: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=output.append)
    if runner.failures:
        pytest.fail("".join(output))


def run_block(block, monkeypatch):
    """Run a block as the reader would, in virtual time."""
    monkeypatch.setattr(trio, "run", virtually)
    if block.language == "pycon":
        run_doctest(block)
        return
    names: dict[str, object] = {"__name__": "__main__"}
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(block.code, str(block), "exec", flags=flags, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        virtually(partial(eval, code, names))
    else:
        exec(code, names)  # the documentation is ours
    main = names.get("main")
    if inspect.iscoroutinefunction(main) and "trio.run(main" not in block.code:
        virtually(main)
    for name, test in names.items():
        if name.startswith("test_") and inspect.isfunction(test):
            run_test(test)


def run_test(test):
    """Run a test that a block defines, if it asks for nothing but virtual time."""
    fixtures = list(inspect.signature(test).parameters)
    if fixtures not in ([], ["autojump_clock"]):
        return
    if inspect.iscoroutinefunction(test):
        virtually(test, *fixtures)
    else:
        test(*fixtures)


def check_output(block, printed):
    """Whether a block printed what its page says."""
    checker = doctest.OutputChecker()
    if block.output is not None:
        same = checker.check_output(block.printed, printed, doctest.ELLIPSIS)
        assert same, f"{block} prints\n{printed}\nand its page says\n{block.printed}"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_code_of_the_documentation_runs(block, monkeypatch, capsys):
    run_block(block, monkeypatch)
    check_output(block, capsys.readouterr().out)


def awaits_outside_of_a_function(code):
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compiled = compile(code, "block", "exec", flags=flags, dont_inherit=True)
    return bool(compiled.co_flags & inspect.CO_COROUTINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_whose_code_cannot_be_pasted_says_how_to_run_it(page):
    own = [block for block in BLOCKS if block.page == page and block.language == "python"]
    if any(awaits_outside_of_a_function(block.code) for block in own):
        text = page.read_text(encoding="utf-8")
        assert "(index.md#how-to-run-the-code)" in text.partition("\n## ")[0]


def test_a_page_that_says_it_prints_something_is_held_to_it():
    """A promise of output stands in a block of its own, where it is compared."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^.*\b[Pp]rints\b.*$", text, re.MULTILINE):
            after = text[match.end() :].lstrip()
            told = match[0].strip()
            fences = re.findall(r"^[ ]*```\{?(\w+)", text[: match.start()], re.MULTILINE)
            # Of a command, or of no code on this page.
            exempt = told.startswith("`") or "command" in told or fences[-1:] != ["python"]
            assert exempt or after.startswith("<!-- prints -->") or told == "<!-- prints -->", (
                f"{page.name}: {told}"
            )


@pytest.mark.parametrize(
    "module",
    [
        trio_allocator,
        trio_allocator.estimation,
        trio_allocator.receiver,
        trio_allocator.testing,
    ],
    ids=attrgetter("__name__"),
)
def test_the_reference_names_everything_public(module):
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\.\. auto\w+:: (?:[\w.]+\.)?(\w+)$", reference, re.MULTILINE))
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public <= documented, public - documented


def test_the_estimator_s_constants_are_on_its_page_with_what_they_are():
    page = (ROOT / "docs" / "estimation.md").read_text(encoding="utf-8")
    folder = ROOT / "trio_allocator" / "estimation"
    shown = " ".join(re.findall(r"^```\{constants\} (.*)$", page, re.MULTILINE)).split()
    assert len(shown) == len(set(shown))
    for path in folder.glob("*.py"):
        found = constants.constants(path)
        if found and path.stem not in OF_THE_WIRE:
            assert f"trio_allocator.estimation.{path.stem}" in shown, path.stem
            assert all(constant.text for constant in found), found


def test_the_readme_shows_code():
    assert any(block.page.name == "README.md" for block in BLOCKS)


# What runs the blocks must notice one that is broken.


def only_block(text):
    (block,) = blocks(ROOT / "docs" / "planted.md", text)
    return block


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```python\n1 / 0\n```", ZeroDivisionError),
        ("```python\nimport trio\nawait trio.sleep(1)\nmissing\n```", NameError),
        ("```python\nasync def main():\n    missing\n```", NameError),
        ("```python\nimport trio\nasync def main():\n    missing\ntrio.run(main)\n```", NameError),
        ("```python\nimport trio\nawait trio.sleep_forever()\n```", trio.TooSlowError),
        ("```python\ndef test_it():\n    missing\n```", NameError),
        ("```python\nasync def test_it(autojump_clock):\n    missing\n```", NameError),
        ("```python\nthis is no Python\n```", SyntaxError),
        ("<!-- before:\n1 / 0\n-->\n```python\npass\n```", ZeroDivisionError),
        ("- a list\n\n  ```python\n  missing\n  ```", NameError),
    ],
)
def test_a_broken_block_is_noticed(text, error, monkeypatch):
    with pytest.raises(error):
        run_block(only_block(text), monkeypatch)


def test_a_wrong_answer_in_a_dialogue_is_noticed(monkeypatch):
    with pytest.raises(pytest.fail.Exception, match="Expected"):
        run_block(only_block("```pycon\n>>> 1 + 1\n3\n```"), monkeypatch)


@pytest.mark.parametrize(
    ("page", "right"), [("1\n2", True), ("1\n...", True), ("2", False), ("1\n", False)]
)
def test_what_a_block_prints_is_compared(page, right, monkeypatch, capsys):
    text = f"```python\nprint(1)\nprint(2)\n```\n\n<!-- prints -->\n```text\n{page}\n```"
    block = only_block(text)
    run_block(block, monkeypatch)
    printed = capsys.readouterr().out
    if right:
        check_output(block, printed)
    else:
        with pytest.raises(AssertionError, match="its page says"):
            check_output(block, printed)


def test_a_block_gets_its_context_and_may_continue_another(monkeypatch):
    text = "<!-- before:\nx = 1\n-->\n```python\ny = x\n```\n\n<!-- continued -->\n```python\nz = y\n```"
    for block in blocks(ROOT / "docs" / "planted.md", text):
        run_block(block, monkeypatch)


def test_an_hour_in_a_block_takes_no_time(monkeypatch):
    text = "```python\nimport trio\nwith trio.move_on_after(100):\n    await trio.sleep(3600)\n```"
    run_block(only_block(text), monkeypatch)


def test_a_block_may_check_an_allocator(monkeypatch):
    text = """```python
from trio_allocator import open_passthrough_allocator
from trio_allocator.testing import check_allocator

def test_it_keeps_the_contract():
    check_allocator(open_passthrough_allocator)
```"""
    with pytest.raises(AssertionError, match="A2"):
        run_block(only_block(text), monkeypatch)


# What is promised.

STATEMENTS = [
    *(("invariant", statement) for statement in cited_tests.statements(cited_tests.INVARIANTS)),
    *(("defect", statement) for statement in cited_tests.statements(cited_tests.DEFECTS)),
]


@pytest.mark.parametrize(
    ("marker", "statement_id"),
    [
        pytest.param(marker, statement.id, id=f"{marker}-{statement.id}")
        for marker, statement in STATEMENTS
    ],
)
def test_every_promise_has_a_test(marker, statement_id):
    assert cited_tests.cited(marker).get(statement_id), f"no test cites {marker} {statement_id}"


def test_what_checks_what_is_found_in_the_sources():
    table = {proof.statement.id: proof for proof in proofs.proofs()}
    assert {name for name, proof in table.items() if not proof.checks} == {
        "L3",
        "C1",
        "C2",
    }
    assert all(proof.plants for proof in table.values() if proof.checks)
    assert table["A2"].engine_machine
    assert table["I1"].nursery_machine
    assert table["G4"].metamorphic


@pytest.mark.parametrize("marker", ["invariant", "defect"])
def test_no_test_cites_what_nobody_promised(marker):
    promised = {statement.id for kind, statement in STATEMENTS if kind == marker}
    assert cited_tests.cited(marker).keys() <= promised


def test_the_page_on_proof_has_the_profiles():
    page = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", page, re.MULTILINE)
    assert {"dev", "ci", "nightly"} <= {name for name, _examples, _steps in rows}
    for name, examples, steps in rows:
        profile = settings.get_profile(name)
        assert (profile.max_examples, profile.stateful_step_count) == (int(examples), int(steps))


def test_all_defects_are_there_once():
    numbers = [int(statement.id) for marker, statement in STATEMENTS if marker == "defect"]
    assert sorted(numbers) == list(range(1, 24))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('@pytest.mark.invariant("A1", "A2")\ndef test_x(): ...', "tests/test_a.py::test_x"),
        ('@pytest.mark.invariant("A2")\nclass TestX: ...', "tests/test_a.py::TestX"),
        (
            'class TestX:\n    @mark.invariant("A2")\n    async def test_y(self): ...',
            "tests/test_a.py::TestX.test_y",
        ),
        ('pytestmark = [pytest.mark.invariant("A2")]', "tests/test_a.py"),
        ('TestX.pytestmark = [pytest.mark.invariant("A2")]', "tests/test_a.py::TestX"),
        ('TestX = pytest.mark.invariant("A2")(Machine.TestCase)', "tests/test_a.py::TestX"),
    ],
)
def test_a_citation_is_found_wherever_it_stands(tmp_path, source, name):
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_a.py").write_text(source, encoding="utf-8")
    assert [str(test) for test in cited_tests.cited("invariant", tests)["A2"]] == [name]
