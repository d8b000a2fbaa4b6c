"""Each example runs, in virtual time, and says what its reader would expect."""

import runpy
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.fixture
def run_example(monkeypatch, capsys):
    """Run an example by name; returns what it printed."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    clock.jump(1000)  # as a real one, it begins anywhere
    virtual = partial(trio.run, clock=clock)
    monkeypatch.setattr(trio, "run", virtual)

    def run(name):
        runpy.run_path(str(EXAMPLES[0].parent / name), run_name="__main__")
        return capsys.readouterr().out

    return run


OF_THEIR_OWN = {"conference_app.py", "own_allocator.py"}
"""Examples that are long enough to be run once, by a test of their own."""


@pytest.mark.parametrize("name", [path.name for path in EXAMPLES if path.name not in OF_THEIR_OWN])
def test_it_runs_and_prints(run_example, name):
    assert run_example(name)


def test_the_minimal_app_goes_down_and_up_again(run_example):
    lines = run_example("minimal_app.py").splitlines()
    camera = [line for line in lines if "camera:" in line]
    fall = next(i for i, line in enumerate(lines) if "estimate: 1000000" in line)
    rise = next(i for i, line in enumerate(lines) if i > fall and "estimate: 5000000" in line)
    assert any("high" in line for line in lines[:fall])
    assert any("low_bandwidth" in line for line in lines[fall:rise])
    assert "high" in camera[-1]


def test_the_custom_receiver_follows_the_estimate(run_example):
    lines = run_example("custom_receiver.py").splitlines()
    assert "whiteboard: 2000000 bit/s" in lines
    assert any(line.startswith("asked to go from 2000000") for line in lines)
    assert lines[-1] == "in the end it holds 600000 bit/s"


def test_the_transport_tells_what_it_carries(run_example):
    lines = run_example("feed_from_transport.py").splitlines()
    estimates = [int(line.split()[3]) for line in lines if "estimate:" in line]
    assert estimates[0] == 300_000
    # 3 Mbit/s up to 8 s, 0.7 up to 16 s, and 3 again.
    assert min(estimates[5:8]) > 1_500_000
    # Little is sent meanwhile (the camera at 500 kbit/s): it is at most 1.05 times what was carried.
    assert max(estimates[11:16]) < 750_000
    assert estimates[-1] > 1_500_000
    switches = [line.split()[3] for line in lines if "camera:" in line]
    assert switches[:3] == ["low", "medium", "high"]
    assert switches[-2:] == ["medium", "high"]
    assert len(switches) >= 5, "and down in between"


def test_the_check_finds_what_smoothing_breaks(run_example):
    lines = [line.strip() for line in run_example("check_my_allocator.py").splitlines()]
    assert lines[:2] == [
        "open_allocator keeps all that can be checked",
        "open_smoothing_allocator breaks",
    ]
    assert {"A6", "L4"} <= {line.split(":")[0] for line in lines}


def test_a_conference_protects_the_voice_and_puts_the_screen_first(run_example):
    source = (EXAMPLES[0].parent / "conference_app.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 150
    cameras = [f"camera {name}" for name in "abc"]
    log, _, metrics = run_example("conference_app.py").partition("# HELP")
    told = [
        (
            float(line.split()[0]),
            line.split("s  ", 1)[1].split(":")[0],
            line.split(": ")[1].split()[0],
        )
        for line in log.splitlines()
        if "(" in line
    ]
    assert {variant for _, track, variant in told if track == "voice"} == {"opus"}

    def shown(at):
        return {track: variant for time, track, variant in told if time <= at}

    first, narrow, last = shown(11.9), shown(21.9), shown(34.0)
    assert first["screen"] == last["screen"] == "motion"
    assert all(first[camera] in {"medium", "high"} for camera in cameras)
    assert all(last[camera] != "None" for camera in cameras)
    assert narrow["screen"] == "slides"
    assert sum(variant == "low" for track, variant in narrow.items() if "camera" in track) >= 1
    assert all(variant in {"low", "None"} for track, variant in narrow.items() if "camera" in track)
    counted = {
        line.split("{")[0]: float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if "_total{" in line
    }
    assert counted["trio_allocator_padding_bytes_total"] > 0
    assert counted["trio_allocator_estimator_repeated_packets_total"] > 0
    assert counted["trio_allocator_estimator_lost_packets_total"] > 0
    assert counted["trio_allocator_forced_total"] == 0


def test_an_allocator_from_scratch_keeps_what_it_claims(run_example):
    assert run_example("own_allocator.py").startswith("it keeps all but A2, A6, A7, G10")


def test_the_reasons_follow_each_other(run_example):
    lines = run_example("why_is_it_low.py").splitlines()
    camera = [line.partition("blocked by ")[2] for line in lines if "camera holds" in line]
    assert camera[0] == "unknown estimate"
    assert camera[1] == "network"
    assert camera[3] == "cap, priority"
    assert any("granted, 0 to 550000 bit/s, on estimate" in line for line in lines)
    times = [float(line.split(" s: ")[0]) for line in lines if " s: " in line]
    assert times[0] == 0
