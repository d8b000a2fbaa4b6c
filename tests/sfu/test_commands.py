"""The command of the acceptance tests runs them; commands say what they lack."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from examples.sfu.__main__ import main
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


@pytest.mark.parametrize(
    ("command", "missing", "cure"),
    [
        ("examples.sfu", "pylibsrtp", "pip install '.[sfu]'"),
        ("tests.sfu.measure", "webrtc", "pip install -e '.[acceptance]'"),
        ("tests.sfu.picture", "playwright", "pip install -e '.[acceptance]'"),
    ],
)
def test_what_is_not_installed_is_named_with_its_cure(command, missing, cure):
    # An entry of None in `sys.modules` is a module that is not there.
    program = (
        "import importlib.util, runpy, sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name == {missing!r} else find(name)\n"
        f"sys.argv = [{command!r}]\n"
        f"runpy.run_module({command!r}, run_name='__main__')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert missing in last
    assert last.endswith(cure)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--port", "-1"],
        ["--host", "localhost"],  # a name is no address that a browser could be told
        ["--host", "0.0.0.0"],  # nor is that of all interfaces
        ["--host", "::1"],
        ["--host", "192.0.2.1"],
        None,
    ],
)
def test_where_the_server_can_not_listen_is_said_in_one_line(arguments, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        arguments = arguments or ["--port", str(other.getsockname()[1])]
        monkeypatch.setattr(sys, "argv", ["sfu", *arguments])
        with pytest.raises(SystemExit):
            main()
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: ")
    assert arguments[0] in error
