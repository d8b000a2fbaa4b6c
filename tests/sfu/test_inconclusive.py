"""A run of the acceptance tests that has proved nothing is no success."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.sfu.pages import ROOT

STARVED = """
import conftest

def test_that_was_starved():
    conftest.inconclusive(["others ran"])
"""
PROVED = """
def test_that_proved_something():
    pass
"""
ALLOWED = "ACCEPTANCE_MAY_PROVE_NOTHING"


@pytest.fixture
def run(tmp_path):
    def run(text, **environment):
        folder = tmp_path / "acceptance"
        folder.mkdir()
        shutil.copy(ROOT / "tests/sfu/acceptance/conftest.py", folder)
        (folder / "test_it.py").write_text(text)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in {ALLOWED, "PYTEST_ADDOPTS"}
        }
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:xdist",
                str(folder),
            ],
            cwd=tmp_path,
            env=kept | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_a_run_that_proved_nothing_fails_and_says_so(run):
    ran = run(STARVED)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 acceptance tests proved nothing" in ran.stdout
    assert (
        "test_that_was_starved: inconclusive, this machine was too busy: others ran" in ran.stdout
    )


def test_unless_that_is_allowed(run):
    assert run(STARVED, **{ALLOWED: "1"}).returncode == pytest.ExitCode.OK


def test_where_something_was_proved_the_rest_is_told(run):
    ran = run(STARVED + PROVED)
    assert ran.returncode == pytest.ExitCode.OK
    assert "1 acceptance tests proved nothing" in ran.stdout
