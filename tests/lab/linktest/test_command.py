"""``trio-allocator link-test``: what it prints where, and how it ends."""

import json
import signal
import sys

import pytest
import trio
from typer.testing import CliRunner

from tests.lab.linktest.made_up import good_run
from tests.processes import is_any_left, started
from trio_allocator.cli import link_test as command
from trio_allocator.cli.app import app
from trio_allocator.lab.child import ChildError
from trio_allocator.lab.linktest import libwebrtc

QUICK = ("--only", "ours", "--schedule", "steps", "--scale", "0.015")


def invoke(*arguments):
    result = CliRunner().invoke(app, ("link-test", *arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_run_of_ours_from_end_to_end(tmp_path):
    log, picture = tmp_path / "log.jsonl", tmp_path / "picture.png"
    result = invoke(*QUICK, "--json", "--record", str(log), "--plot", str(picture))
    (row,) = json.loads(result.stdout)["schedules"]
    assert result.exit_code == (3 if row["starved"] else 0)
    assert ("inconclusive" in result.stderr) is bool(row["starved"])
    assert (row["schedule"], row["flows"], row["verdict"]) == ("steps", ["ours"], None)
    # How good it is, is judged elsewhere, and not on a machine that is busy with tests.
    if not row["starved"]:
        assert 0 < row["figures"]["utilisation"] <= 1.01
        assert 0 < row["figures"]["media"] <= 1
        assert picture.read_bytes().startswith(b"\x89PNG")

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"sent", "rtcp", "estimate"} <= {key for line in lines for key in line}
    replayed = CliRunner().invoke(app, ("replay", "--feedback", str(log), "--json"))
    assert replayed.exit_code == 0
    answer = json.loads(replayed.stdout)
    assert set(answer["tracks"]) == {"audio", "camera1", "camera2", "camera3", "camera4"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--schedule", "stairs"), "--schedule 'stairs' is not known: there are steps, ramp"),
        (("--schedule", "steps, stairs"), "--schedule 'stairs' is not known: there are steps"),
        (("--scale", "0"), "--scale must be at least 0.01, not 0"),
        (("--scale", "nan"), "--scale must be at least 0.01, not nan"),
        (
            ("--policy", "hers"),
            "--policy 'hers' is not known: there are layered, water-filling, fair",
        ),
        (("--track", "camera"), "--track: 'camera' must be a name and rates"),
        (("--impair", "rain"), "--impair: there is no impairment 'rain': choose from pauses"),
        (("--set", "grip=1"), "--set: there is no setting 'grip': there are"),
        (("--priority", "camera9=1"), "--priority: there is no track 'camera9'"),
        (("--record", "x.jsonl"), "--record writes one run of ours: give one --schedule"),
        (("--schedule", "ramp", "--record", "/no/x.jsonl"), "there is no folder /no: create it"),
        (("--plot", "x.doc"), "a plot cannot have this format"),
    ],
)
def test_what_cannot_be_used_gets_one_line_and_code_2(arguments, says):
    result = invoke("--only", "ours", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("trio-allocator: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_without_libwebrtc_the_cure_is_told(monkeypatch):
    monkeypatch.setattr(libwebrtc, "installed", lambda: None)
    result = invoke()
    assert result.exit_code == 2
    assert (
        "wrtc 0.1.0, which is not installed: pip install 'trio-allocator[peers]'" in result.stderr
    )
    monkeypatch.setattr(libwebrtc, "installed", lambda: "0.2.0")
    assert "wrtc 0.1.0, which is 0.2.0 here" in invoke().stderr


def test_only_libwebrtcs_has_nothing_of_ours_to_record():
    result = invoke("--only", "libwebrtc", "--schedule", "steps", "--record", "x.jsonl")
    assert result.exit_code == 2


def test_flows_of_ours_share_as_was_chosen(monkeypatch):
    chosen = []

    async def notes(_scenario, _line_up, _seed, setup, **_options):
        await trio.lowlevel.checkpoint()
        chosen.append(setup)
        return good_run()

    monkeypatch.setattr(command, "run_scenario", notes)
    invoke(*QUICK)
    invoke(*QUICK, "--policy", "fair", "--media", "smooth", "--impair", "jitter,loss")
    invoke(*QUICK, "--set", "hold=2", "--priority", "camera1=3", "--weight", "camera2=2.5")
    assert [setup.asked.policy for setup in chosen] == ["layered", "fair", "layered"]
    assert [setup.media for setup in chosen] == ["real", "smooth", "real"]
    assert [len(setup.tracks[1].variants) for setup in chosen] == [3, 6, 3]
    assert chosen[1].impairments == "jitter,loss"
    asked = chosen[2].asked
    assert (asked.settings, asked.priorities, asked.weights) == (
        {"hold": 2},
        {"camera1": 3},
        {"camera2": 2.5},
    )


def test_impairments_are_listed():
    result = invoke("--impair", "list")
    assert result.exit_code == 0
    assert "longer-way" in result.stdout


def test_where_every_run_was_starved_it_says_so_and_draws_nothing(monkeypatch, tmp_path):
    starved = [True, True]

    async def runs(*_arguments, **_options):
        await trio.lowlevel.checkpoint()
        return good_run(lateness=(1.0,) if starved.pop() else (0.0,))

    monkeypatch.setattr(command, "run_scenario", runs)
    picture = tmp_path / "picture.png"
    result = invoke(*QUICK, "--runs", "2", "--plot", str(picture))
    assert result.exit_code == 3
    assert "every run was starved, so there is nothing to tell" in result.stderr
    assert not picture.exists()
    # One that was not is enough.
    starved[:] = [False, True]
    assert invoke(*QUICK, "--runs", "2", "--plot", str(picture)).exit_code == 0
    assert picture.exists()


def test_after_ctrl_c_what_was_done_is_shown(monkeypatch):
    done = [good_run()]

    async def runs(*_arguments, **_options):
        await trio.lowlevel.checkpoint()
        if done:
            return done.pop()
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_scenario", runs)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    result = invoke(*QUICK, "--runs", "3", "--json")
    assert (result.exit_code, result.stderr) == (130, " interrupted after 1 of 3 runs\n")
    (row,) = json.loads(result.stdout)["schedules"]
    assert row["runs"] == len(row["each"]) == 1


def test_a_process_that_dies_gets_one_line(monkeypatch):
    async def dies(*_arguments, **_options):
        raise ExceptionGroup("", [ExceptionGroup("", [ChildError("the process relay has ended")])])

    monkeypatch.setattr(command, "run_scenario", dies)
    result = invoke(*QUICK)
    assert (result.exit_code, result.stderr) == (2, "trio-allocator: the process relay has ended\n")


def test_what_was_done_before_is_shown(monkeypatch):
    runs = [good_run()]

    async def runs_once(*_arguments, **_options):
        await trio.lowlevel.checkpoint()
        if runs:
            return runs.pop()
        raise ChildError("the process relay has ended")

    monkeypatch.setattr(command, "run_scenario", runs_once)
    result = invoke(*QUICK, "--runs", "3", "--json")
    assert result.exit_code == 2
    assert result.stderr == "trio-allocator: the process relay has ended\n"
    (row,) = json.loads(result.stdout)["schedules"]
    assert (row["schedule"], row["runs"]) == ("drop", 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_ctrl_c_leaves_no_process_behind():
    long = ("trio_allocator.cli", "link-test", *QUICK[:-1], "1")
    process, children = started(*long, children=2, seconds=30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b" interrupted after 0 of 1 runs\n")
    assert not is_any_left(children)
