"""``trio-allocator score`` and ``compare``: what they print where, and how they end."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from attrs import evolve
from typer.testing import CliRunner

from tests.processes import is_any_left, started, wait_until
from trio_allocator.cli.app import app
from trio_allocator.cli.score import _as_json, _comparison_as_json
from trio_allocator.lab import suite
from trio_allocator.lab.score_figures import LEGEND


def invoke(*arguments):
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def small(monkeypatch):
    """A suite of a few short runs."""
    extent = evolve(
        suite.QUICK, rates=(1.5,), receivers=(1, 1), length=24.0, longest=24.0, seeds=(1,)
    )
    monkeypatch.setattr(suite, "QUICK", extent)


STEADY = ("score", "--only", "steady", "--jobs", "1", "--policy")


def test_it_says_what_there_is_to_say(small, tmp_path):
    page = tmp_path / "report.html"
    result = invoke(*STEADY, "layered,fair", "--html", str(page))
    assert (result.exit_code, result.stderr) == (0, "")
    for part in ("Steady links", "layered", "fair", "a constant link is calm", "QoE"):
        assert part in result.stdout
    for _heading, says in LEGEND.values():
        assert says in result.stdout, "the legend is in the terminal"
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href)='(?!data:)", text) == [], "it needs nothing else"
    assert text.count("<svg") >= 1
    for part in ("What should hold", "a constant link is calm", "Steady links", "</html>"):
        assert part in text


def test_json_has_the_documented_keys(small):
    answer = json.loads(invoke(*STEADY, "fair", "--json").stdout)
    documented = {
        line.split("``")[1] for line in _as_json.__doc__.splitlines() if line[:6] == "    ``"
    }
    assert set(answer) == documented
    assert answer["score"]["extent"] == "quick"
    (run,) = answer["runs"][:1]
    assert run.keys() == {
        *("chapter", "condition", "trace", "receivers", "impairments", "policy", "seed", "figures")
    }
    # The same again: nothing depends on chance that is not seeded.
    assert json.loads(invoke(*STEADY, "fair", "--json").stdout) == answer


QUICK = ("trio_allocator", "score", "--only", "steady", "--jobs", "2")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_ctrl_c_leaves_nothing_behind():
    process, children = started(*QUICK, children=2, seconds=60, start_new_session=True)
    patience = time.monotonic() + 60
    out = err = None
    while out is None:
        # As a terminal does, and as people do: Python may drop one that comes in a destructor.
        os.killpg(process.pid, signal.SIGINT)
        assert time.monotonic() < patience
        with contextlib.suppress(subprocess.TimeoutExpired):
            out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, b"")
    assert re.fullmatch(
        rb" interrupted after \d+ of 60 runs: no figures are shown, as means take all runs\n", err
    )
    # Python's own helper for processes ends when it sees that nobody is left.
    wait_until(lambda: not is_any_left(children), 20)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_a_request_to_end_leaves_nothing_behind_and_says_nothing():
    process, children = started(*QUICK, children=3, seconds=60)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + signal.SIGTERM, b"", b"")
    wait_until(lambda: not is_any_left(children), 20)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("score", "--only", "storm"), "--only: 'storm' is no chapter: choose from steady"),
        (("score", "--policy", "hers"), "--policy: 'hers' is not known"),
        (("score", "--seeds", "x"), "--seeds: 'x' is not a whole number"),
        (("score", "--set", "grip=1"), "--set: there is no setting 'grip': there are"),
        (("score", "--html", "/no/x.html"), "--html /no/x.html: there is no folder /no"),
        (("score", "--html", "page"), "--html page: the report is a page of HTML: call it .html"),
        (("score", "nowhere.csv"), "nowhere.csv: there is no such file"),
        (("score", "--jobs", "2", "--scheduler", "tcp://x:1"), "--jobs is for this machine"),
        (("compare", "nowhere.json", "nowhere.json"), "nowhere.json: there is no such file"),
    ],
)
def test_what_cannot_be_used_gets_one_line_and_code_2(arguments, says):
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("trio-allocator: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def result_of(qoe):
    return json.dumps(
        {
            "score": {},
            "runs": [
                {
                    "chapter": "steady",
                    "condition": "1.5 Mbit/s, N = 1",
                    "policy": "fair",
                    "seed": seed,
                    "figures": {"qoe": qoe + 0.001 * seed, "frozen": 0.1},
                }
                for seed in range(5)
            ],
        }
    )


@pytest.mark.parametrize(
    ("after", "code", "says"), [(0.5, 0, "0 worse"), (0.6, 0, "1 better"), (0.4, 1, "1 worse")]
)
def test_a_regression_ends_with_code_1(tmp_path, after, code, says):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(result_of(0.5))
    new.write_text(result_of(after))
    result = invoke("compare", str(old), str(new))
    assert (result.exit_code, result.stderr) == (code, "")
    assert says in result.stdout
    assert ("frozen" in result.stdout) is False
    assert "frozen" in invoke("compare", str(old), str(new), "--all").stdout
    machine = invoke("compare", str(old), str(new), "--json")
    answer = json.loads(machine.stdout)
    assert (machine.exit_code, answer["regression"]) == (code, code == 1)
    documented = {
        line.split("``")[1]
        for line in _comparison_as_json.__doc__.splitlines()
        if line[:6] == "    ``"
    }
    assert set(answer) == documented
