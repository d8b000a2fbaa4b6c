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
from trio_allocator.lab.simulation.sweep import perform

FALLING = "time_s,capacity_bps\n" + "".join(f"{t},{5_000_000 - 150_000 * t}\n" for t in range(30))
FIGURES = {
    *("utility", "oracle", "utility_ratio", "frozen", "qoe", "qoe_ratio", "link_overuse"),
    *("allocator_overuse", "reaction", "switches", "fairness", "least_utility", "starved"),
    *("padding", "recovery", "forced"),
}


def invoke(*arguments, columns="200"):
    # In this process: others are for the tests of `sweep`.
    result = CliRunner(env={"COLUMNS": columns}).invoke(
        app, ["simulate", "--jobs", "1", *smooth(arguments)]
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def smooth(arguments):
    """Most of what the command does has nothing to do with media, and smooth ones take no time."""
    return arguments if "--media" in arguments else ["--media", "smooth", *arguments]


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
    from trio_allocator.lab.simulation.job import Job
    from trio_allocator.lab.simulation.report import print_table

    outcomes = [perform(Job(steady(3e6, 25), 1, "reference", "ideal", 1))]
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
    assert len(re.findall(r"^ +oracle ", result.stdout, re.MULTILINE)) == 3
    assert len(re.findall(r"^ +oracle ", invoke(*common).stdout, re.MULTILINE)) == 1


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
        (["--receivers", "0"], "--receivers: '0' is out of range: write 1 to 200"),
        (["--receivers", "1,201"], "--receivers: '201' is out of range: write 1 to 200"),
        (["--receivers", "5-3"], "--receivers: '5-3' falls: write 3-5"),
        (["--receivers", "1,x"], "--receivers: 'x' is not a whole number"),
        (["--receivers", "1.5"], "--receivers: '1.5' is not a whole number"),
        (["--seeds", "-1"], "--seeds: '-1' is not a whole number"),
        (["--seeds", "0-5000"], "--seeds: '0-5000' is more than 1000"),
        (["--seeds", "9999999999"], "--seeds: '9999999999' is out of range: write 0 to"),
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
    def sweep(jobs, _executor):
        yield perform(jobs[0])
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("trio_allocator.lab.simulation.sweep.sweep", sweep)
    try:
        result = invoke(write(), "--receivers", "1", "--seeds", "1-3", "--policy", "fair")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == (
        " interrupted after 1 of 3 runs: no figures are shown, as means take all runs\n"
    )


def test_ctrl_c_in_a_simulation_of_real_media_in_this_process(monkeypatch):
    def interrupted(_self):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("trio_allocator.lab.simulation.pacing.Driven.act", interrupted)
    try:
        result = invoke("--media", "real", "--constant", "1M", "--receivers", "1")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.startswith(" interrupted after 0 of 2 runs")


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
    assert (process.returncode, output) == (130, "")
    # While it is still loading there is nothing to say.
    assert errors.startswith(" interrupted ") or not errors
    assert errors.count("\n") <= 1


# --- real media ----------------------------------------------------------------------------------


def test_media_are_real_unless_said_otherwise():
    found = answer(
        "--media", "real", "--constant", "300k", "--receivers", "1", "--impair", "jitter"
    )
    assert (found["media"], found["estimates"], found["impairments"]) == ("real", "real", "jitter")
    assert [run["policy"] for run in found["runs"]] == ["layered", "fair"]
    assert found["traces"][0]["name"] == "constant_0.3M"
    run = found["runs"][0]
    assert FIGURES | {"taken_back", "switches_p95", "withheld", "join_p50", "padding_p95"} <= set(
        run
    )


def test_a_legend_tells_what_each_column_is(write):
    result = invoke("--media", "real", write(), "--receivers", "1", "--policy", "fair")
    assert "falling, real media, real estimates" in result.stdout
    for column in ("back /min", "join p95 s", "est/C p05"):
        assert re.search(rf"^{re.escape(column)}  +\S", result.stdout, re.MULTILINE)


def test_impairments_are_listed_with_their_sources():
    result = invoke("--impair", "list", "--media", "real")
    assert result.exit_code == 0
    for part in ("longer-way", "15 to 200 ms", "RFC 8868"):
        assert part in result.stdout


TRACKS = """
[[track]]
name = "talk"
kind = "audio"
ladder = { opus = 40_000 }

[[track]]
name = "slides"
kind = "screen"
ladder = { slides = "200k", motion = "1M" }
priority = 10
min_bitrate = "50k"

[[track]]
name = "camera"
count = 2
ladder = { low = 130e3, high = "1.2M" }
weight = 2
"""


def test_tracks_of_ones_own_take_the_place_of_receivers(write):
    path = write(TRACKS, "own.toml")
    arguments = ("--media", "real", write(), "--policy", "fair", "--no-acts")
    found = answer(*arguments, "--tracks", path)
    assert [run["receivers"] for run in found["runs"]] == [3]
    assert found["runs"][0]["utility_ratio"] > 0.7


def test_tracks_are_read_with_their_options(write):
    from pathlib import Path

    from trio_allocator.lab.simulation.tracks_file import read_tracks

    talk, slides, first, second = read_tracks(Path(write(TRACKS, "own.toml")))
    assert (talk.pausable, talk.is_counted) == (False, False)
    assert dict(slides.ladder) == {"slides": 200_000, "motion": 1_000_000}
    assert (slides.priority, slides.min_bitrate, slides.pausable) == (10, 50_000, True)
    assert (first.name, second.name, first.weight) == ("camera0", "camera1", 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no toml", "not a TOML file"),
        ("", r"\[\[track\]\] tables"),
        ("title = 'x'\n[[track]]\nname = 'a'", "nothing else"),
        ("track = [1]", "not a table"),
        ("[[track]]\nladder = {a = 1}", "give it a name"),
        ("[[track]]\nname = 'a'", "give it a ladder"),
        ("[[track]]\nname = 'a'\nladder = {a = 'fast'}", "'a': 'fast' is not a number"),
        ("[[track]]\nname = 'a'\nladder = {a = true}", "True is not a rate"),
        ("[[track]]\nname = 'a'\nladder = {a = 1}\ncolour = 3", "there is no 'colour'"),
        ("[[track]]\nname = 'a'\nladder = {a = 1}\ncount = 0", "count must be from 1"),
        ("[[track]]\nname = 'a'\nladder = {a = 1}\npriority = 999", "priority must be"),
        ("[[track]]\nname = 'a'\nladder = {a = 1}\npriority = [9, 0]", "one number for all steps"),
        ("[[track]]\nname = 'a'\nladder = {a = 1}\nkind = 'smell'", "kind must be one of"),
        ("[[track]]\nname = 'a'\nladder = {a = 1}\n" * 2, "two tracks are called 'a'"),
        ("[[track]]\nname = 'a'\nkind = 'audio'\nladder = {a = 1}", "no track has a picture"),
        (TRACKS.replace("count = 2", "count = 199"), "201 tracks are more"),
    ],
)
def test_tracks_that_cannot_be_used_are_refused_in_one_line(write, text, words):
    path = write(text, "own.toml")
    result = invoke("--media", "real", "--tracks", path)
    assert result.exit_code == 2
    assert re.search(words, result.stderr)
    assert result.stderr.startswith(f"trio-allocator: {path}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--media", "real", "--impair", "rain"], "--impair: there is no impairment 'rain'"),
        (["--media", "real", "--estimates", "gcc"], "--estimates: 'gcc' is not for real media"),
        (
            ["--media", "real", "--policy", "reference"],
            "--policy: 'reference' is for smooth media only: add --media smooth",
        ),
        (["--impair", "jitter"], "--impair: smooth media have no packets .* add --media real"),
        (["--constant", "fast"], "--constant: 'fast' is not a number"),
        (["--constant", "0"], "carries nothing"),
        (["--tracks", "{tracks}"], "--tracks: smooth media have no tracks .* add --media real"),
        (["--media", "real", "--tracks", "nowhere.toml"], "no such file"),
        (["--tracks", "any.toml", "--receivers", "3"], "leave out --receivers"),
    ],
)
def test_what_does_not_go_together_gets_one_line(write, arguments, words):
    tracks = write(TRACKS, "own.toml")
    result = invoke(*(part.format(tracks=tracks) for part in arguments))
    assert result.exit_code == 2
    assert re.search(words, result.stderr)
    assert result.stderr.count("\n") == 1


def test_a_run_with_real_media_is_drawn(tmp_path):
    path = tmp_path / "run.png"
    arguments = ("--media", "real", "--constant", "300k", "--receivers", "1", "--policy", "fair")
    assert invoke(*arguments, "--impair", "pauses", "--plot", str(path)).exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
