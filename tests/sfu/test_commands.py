"""The command of the acceptance tests runs them."""

from __future__ import annotations

import subprocess
import sys

from tests.sfu.pages import ROOT


def test_the_command_of_the_acceptance_tests_runs_all_of_them():
    # Of a folder and another in it, pytest 9 takes the outer one, from which `norecursedirs` takes the inner.
    lines = (ROOT / "CONTRIBUTING.md").read_text().splitlines()
    (command,) = (line for line in lines if line.endswith(" tests/sfu/acceptance"))
    arguments = command.partition(" -m ")[2]
    collected = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m {arguments} --collect-only -q'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for folder in ("tests/sfu", "tests/sfu/acceptance"):
        for path in (ROOT / folder).glob("test_*.py"):
            assert f"{folder}/{path.name}::" in collected
