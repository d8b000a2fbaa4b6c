"""``trio-allocator simulate``: what it prints where, and how it ends."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from trio_allocator.cli.app import app

FALLING = "time_s,capacity_bps\n" + "".join(f"{t},{5_000_000 - 150_000 * t}\n" for t in range(30))
FIGURES = {
    *("utility", "oracle", "utility_ratio", "frozen", "qoe", "qoe_ratio", "link_overuse"),
    *("allocator_overuse", "reaction", "switches", "fairness", "least_utility", "starved"),
    *("padding", "recovery", "forced"),
}


def invoke(*arguments, columns="200"):
    # In this process: others are for the tests of `sweep`.
    result = CliRunner(env={"COLUMNS": columns}).invoke(
        app, ["simulate", "--jobs", "1", *arguments]
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments):
    result = invoke(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.fixture
def write(tmp_path):
    def write(text=FALLING, name="falling.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_policies_stand_side_by_side_with_the_oracle(write):
    result = invoke(write(), "--receivers", "1,3", "--policy", "reference,fair")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "falling, ideal estimates" in result.stdout
    assert "…" not in result.stdout
    lines = [line.split() for line in result.stdout.splitlines() if re.search(r"\d", line)]
    assert [line[:2] for line in lines[:2]] == [["1", "reference"], lines[1][:2]]
    assert lines[1][0] == "fair"
    assert lines[2][0] == "oracle"
    assert lines[3][:2] == ["3", "reference"]


def test_on_a_narrow_screen_the_table_comes_in_two_parts(monkeypatch):
    from rich.console import Console

    from tests.lab.simulation.worlds import steady
    from trio_allocator.cli.simulate import _plan
    from trio_allocator.lab.simulation.report import print_table
    from trio_allocator.lab.simulation.sweep import perform

    outcomes = perform(_plan([steady(3e6, 25)], [1], ["reference"], "ideal", [1]))
    for width, parts in ((80, 2), (120, 1)):
        console = Console(width=width, record=True, file=io.StringIO())
        print_table(console, outcomes, "a title")
        text = console.export_text()
        assert text.count("oracle") == parts
        assert "…" not in text
        assert "reference" in text


def test_for_machines(write):
    found = answer(write(), "--receivers", "1,2", "--policy", "reference", "--seeds", "3,1-2")
    assert found["estimates"] == "ideal"
    assert found["traces"] == [
        {"name": "falling", "duration_s": 30.0, "rtt_s": 0.05, "mean_bps": 2_825_000}
    ]
    runs = [(run["trace"], run["receivers"], run["policy"], run["seed"]) for run in found["runs"]]
    assert runs == [("falling", n, "reference", seed) for n in (1, 2) for seed in (3, 1, 2)]
    assert all(run.keys() >= FIGURES for run in found["runs"])
    first, second = found["means"]
    assert (first["receivers"], second["receivers"]) == (1, 2)
    own = [run["utility"] for run in found["runs"] if run["receivers"] == 2]
    assert second["utility"] == pytest.approx(sum(own) / 3, abs=1e-5)


@pytest.mark.parametrize("estimates", ["gcc", "real"])
def test_every_kind_of_estimates_and_any_round_trip_time(write, estimates):
    near, far = (
        answer(write(), "--receivers", "1", "--estimates", estimates, "--rtt", rtt)
        for rtt in ("0.02", "0.5")
    )
    assert near["traces"][0]["rtt_s"] == 0.02
    assert near["runs"] != far["runs"]


def test_a_table_for_each_trace(write):
    paths = [write(), write(FALLING, "again.csv")]
    common = [*paths, "--receivers", "1", "--policy", "reference"]
    result = invoke(*common, "--per-trace")
    assert re.findall(r"^\S.*estimates$", result.stdout, re.MULTILINE) == [
        "falling, ideal estimates",
        "again, ideal estimates",
        "mean of 2 traces, ideal estimates",
    ]
    assert result.stdout.count("oracle") == 3
    assert invoke(*common).stdout.count("oracle") == 1


def test_without_a_trace_those_that_ship_are_used():
    found = answer("--receivers", "1", "--policy", "reference")
    assert [trace["name"] for trace in found["traces"]] == [
        "step_rfc8867_5_1",
        "step_square_4m_1p2m",
    ]


def test_a_picture_of_one_run(write, tmp_path):
    path = tmp_path / "run.png"
    common = [write(), "--seeds", "7", "--policy", "fair", "--plot", str(path)]
    assert invoke(*common, "--receivers", "2").exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    svg = tmp_path / "run.svg"
    result = invoke(write(), "--policy", "fair", "--receivers", "45", "--plot", str(svg), "--json")
    assert result.exit_code == 0
    assert svg.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.csv"], "nowhere.csv: there is no such file"),
        (["{empty}"], "empty.csv: the file is empty"),
        (["{nan}"], "line 2, column capacity_bps: nan must be from 0"),
        (["{trace}", "{trace}"], "two traces are called 'falling'"),
        (["--policy", "best"], "--policy: 'best' is not known: choose from layered, "),
        (["--policy", ""], "--policy: '' is not known"),
        (["--receivers", "0"], "--receivers: '0' must be from 1 to 200"),
        (["--receivers", "1,201"], "--receivers: '201' must be from 1 to 200"),
        (["--receivers", "5-3"], "--receivers: '5-3' must be from 1 to 200, ascending"),
        (["--receivers", "1,x"], "--receivers: 'x' is not a whole number"),
        (["--receivers", "1.5"], "--receivers: '1.5' is not a whole number"),
        (["--seeds", "-1"], "--seeds: '-1' is not a whole number"),
        (["--seeds", "0-5000"], "--seeds: '0-5000' is more than 1000"),
        (["--seeds", "9999999999"], "--seeds: '9999999999' must be from 0"),
        (["--rtt", "0"], "--rtt must be greater than 0"),
        (["--rtt", "nan"], "--rtt must be greater than 0"),
        (["--rtt", "11"], "at most 10 seconds, not 11"),
        (["{trace}", "--plot", "x.png"], "--plot draws one run"),
        (
            ["{trace}", "--policy", "fair", "--receivers", "1", "--plot", "x.doc"],
            "call it .png",
        ),
    ],
)
def test_what_cannot_be_used_gets_one_line_and_code_2(write, monkeypatch, arguments, says):
    def sweep(*_):
        pytest.fail("it ran")

    monkeypatch.setattr("trio_allocator.lab.simulation.sweep.sweep", sweep)
    files = {
        "trace": write(),
        "empty": write("", "empty.csv"),
        "nan": write("time_s,capacity_bps\n0,nan\n30,1\n", "nan.csv"),
    }
    result = invoke(*(part.format(**files) for part in arguments))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("trio-allocator: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


def test_help_names_what_it_takes():
    text = invoke("--help").stdout
    for part in (
        "time_s,capacity_bps",
        "--receivers",
        "--policy",
        "--estimates",
        "ideal",
        "gcc",
        "real",
    ):
        assert part in text
    assert text.count("<bool>") <= 1, "of the flags, only --help is typer's own"


def test_without_numpy():
    program = (
        "import sys\n"
        "sys.modules['numpy'] = None\n"
        "sys.argv = ['trio-allocator', 'simulate']\n"
        "from trio_allocator.cli.main import main\n"
        "main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "trio-allocator: numpy is not installed: pip install 'trio-allocator[cli]'\n"
    )


def test_ctrl_c_in_the_middle(write, monkeypatch):
    def sweep(*_):
        yield from ()
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("trio_allocator.lab.simulation.sweep.sweep", sweep)
    try:
        result = invoke(write(), "--receivers", "1")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.stdout) == (130, "")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a group of processes")
def test_ctrl_c_leaves_nothing_behind(write):
    rows = "time_s,capacity_bps\n" + "".join(f"{t},9000000\n" for t in range(3000))
    paths = [write(rows, f"{n}.csv") for n in range(2)]
    process = subprocess.Popen(
        [sys.executable, "-m", "trio_allocator.cli", "simulate", *paths, "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        time.sleep(2.5)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        # Both pipes close only when all that had them open have ended.
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, output, errors) == (130, "", "")
