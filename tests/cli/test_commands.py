"""``trio-allocator``: what it prints where, and how it ends."""

import contextlib
import errno
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trio_allocator.cli import main, show
from trio_allocator.cli.app import app

FULL = Path("/dev/full")
PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
FIGURES = {"changes", "reversals", "share_over_estimate", "utilisation", "quality"}

OURS = "time_s,estimate_bps,cam_low,cam_high\n" + "".join(
    f"{t},{700_000 if 5 <= t < 8 else 300_000},150000,500000\n" for t in range(16)
)
BRIDGE = "ts,bwe,bps_a_7,bps_a_30,bps_b_7,bps_b_30\n" + "".join(
    f"23:59:{50 + t}.000,{100_000 + 50_000 * t},90000,150000,90000,150000\n" for t in range(10)
)
ESTIMATES = "time_s,estimate_bps\n" + "".join(f"{t},{400_000 + 1_000 * t}\n" for t in range(10))


@pytest.fixture
def write(tmp_path):
    def write(text, name="calls.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def invoke(*arguments):
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments):
    result = invoke(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_our_shape_with_layers(write):
    figures = answer("replay", write(OURS))
    assert figures.keys() > FIGURES
    assert figures["estimates"] == 16
    assert figures["duration_s"] == 15
    assert figures["utility"] == "log"
    assert figures["share_over_estimate"] == 0
    # It climbs when there is room, and goes back when there is none.
    assert (figures["changes"], figures["decisions"], figures["reversals"]) == (2, 2, 1)
    assert figures["tracks"]["cam"]["layers"] == {"low": 0.8, "high": 0.2}
    assert figures["quality"] == 1


def test_a_bridges_shape(write):
    figures = answer("replay", write(BRIDGE))
    assert figures["utility"] == "frames"
    assert list(figures["tracks"]) == ["a", "b"]
    assert figures["tracks"]["a"]["layers"].keys() == {"7", "30"}
    assert 0.7 < figures["quality"] <= 1
    assert answer("replay", write(BRIDGE), "--utility", "log")["utility"] == "log"


def test_estimates_alone_with_tracks_given(write):
    figures = answer(
        "replay", write(ESTIMATES), "--track", "cam=150k,300k,2.5M", "--track", "mic=35k"
    )
    assert figures["tracks"]["mic"]["fixed"]
    assert figures["tracks"]["mic"]["mean_bps"] == 35_000
    assert figures["tracks"]["cam"]["layers"]["medium"] == 1
    assert figures["quality"] == 1


def test_a_layer_that_pauses_is_left(write):
    rows = "".join(f"{t},2000000,150000,{'' if 4 <= t < 8 else 500_000}\n" for t in range(12))
    figures = answer("replay", write("time_s,estimate_bps,cam_low,cam_high\n" + rows))
    assert figures["changes"] == 2
    assert figures["tracks"]["cam"]["layers"] == {
        "low": pytest.approx(4 / 11, abs=1e-5),
        "high": pytest.approx(7 / 11, abs=1e-5),
    }


def test_the_summary_can_be_read(write):
    result = invoke("replay", write(OURS))
    assert result.exit_code == 0
    assert result.stderr == ""
    for part in ("calls.csv", "cam", "quality", "utilisation", "over the estimate", "reversals"):
        assert part in result.stdout


def test_a_plot_is_drawn(write, tmp_path):
    path = tmp_path / "out.png"
    assert invoke("replay", write(OURS), "--plot", str(path)).exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_at_its_own_pace(write):
    began = time.monotonic()
    figures = answer("replay", write(OURS), "--speed", "20")
    assert 0.7 < time.monotonic() - began < 10
    assert figures["tracks"]["cam"]["layers"] == {
        "low": pytest.approx(0.8, abs=0.1),
        "high": pytest.approx(0.2, abs=0.1),
    }


def test_the_demo_without_a_terminal_is_soon_over(monkeypatch):
    paces = []

    def run(recording, asked, showing):
        paces.append(showing.speed)
        return show.run(recording, asked, showing)

    monkeypatch.setattr("trio_allocator.cli.replay.run", run)
    figures = answer("demo")
    assert paces == [None], "in virtual time: it takes as long as it computes"
    assert figures["recording"] == "libwebrtc-gcc-recorded.csv"
    assert list(figures["tracks"]) == [
        *(f"cam{number}" for number in range(1, 5)),
        *(f"audio{number}" for number in range(1, 5)),
    ]
    assert all(
        figures["tracks"][f"audio{number}"]
        == {
            "fixed": True,
            "changes": 0,
            "reversals": 0,
            "mean_bps": 35_000,
            "utility": 1.0,
            "layers": {"full": 1.0},
        }
        for number in range(1, 5)
    )
    assert figures["quality"] > 0.8
    # Trio runs tasks in any order: it must not matter.
    assert answer("demo") == figures


def test_the_page_says_what_the_demo_prints():
    changes, reversals, over, quality = re.search(
        r"today `demo` prints (\d+) changes, (\d+) reversals, ([\d.]+) % over the estimate "
        r"and a quality of (\.\d+)",
        PAGE.read_text(encoding="utf-8"),
    ).groups()
    figures = answer("demo")
    assert (figures["changes"], figures["reversals"]) == (int(changes), int(reversals))
    assert 100 * figures["share_over_estimate"] == pytest.approx(float(over), abs=0.051)
    assert figures["quality"] == pytest.approx(float(quality), abs=0.00051)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_the_page_says_where_a_recording_is():
    line = re.search(r"^calls=.*", PAGE.read_text(encoding="utf-8"), re.MULTILINE).group()
    folder = Path(sys.executable).parent
    path = subprocess.run(
        ["sh", "-c", f'{line}; printf %s "$calls"'],
        stdout=subprocess.PIPE,
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        text=True,
        check=True,
    ).stdout
    assert answer("replay", path)["recording"] == "libwebrtc-gcc-recorded.csv"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "nowhere.csv"], "no such file"),
        (["replay", "{estimates}"], "--track"),
        (["replay", "{estimates}", "--feedback", "x.jsonl"], "give one, not both"),
        (["replay", "{estimates}", "--track", "cam"], "--track: 'cam' must be a name and rates"),
        (["replay", "{estimates}", "--track", "cam=150q"], "'150q'"),
        (["replay", "{estimates}", "--track", "a=1,2", "--utility", "frames"], "--utility log"),
        (["replay", "{estimates}", "--track", "a=1,2", "--plot", "out.doc"], ".png"),
        (["replay", "{estimates}", "--track", "a=1,2", "--speed", "0"], "--speed"),
        (["replay", "{estimates}", "--track", "a=1,2", "--speed", "nan"], "finite"),
        (["replay", "{estimates}", "--track", "a=1,2", "--speed", "inf"], "finite"),
        (["replay", "{broken}"], "{broken}, line 3, column estimate_bps: 'much'"),
        (["demo", "--speed", "-1"], "--speed"),
        (["demo", "--utility", "frames"], "--utility log"),
    ],
)
def test_what_cannot_be_used_gets_one_line_and_code_2(write, arguments, says):
    estimates = write(ESTIMATES)
    broken = write("time_s,estimate_bps\n0,1\n1,much\n", "broken.csv")
    result = invoke(*(part.format(estimates=estimates, broken=broken) for part in arguments))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("trio-allocator: ")
    assert result.stderr.count("\n") == 1
    assert says.format(broken=broken) in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "--speed", "abc"], "--speed: 'abc' is not a number: write such as 2.5"),
        (["simulate", "--rtt", "x"], "--rtt: 'x' is not a number: write such as 2.5"),
        (["link-test", "--runs", "x"], "--runs: 'x' is not a whole number: write such as 3"),
        (["link-test", "--runs", "0"], "--runs: '0' is too little: write at least 1"),
        (["score", "--jobs", "0"], "--jobs: '0' is too little: write at least 1"),
        (["relay", "--seed", "x"], "--seed: 'x' is not a whole number: write such as 3"),
        (["relay", "--interval", "0"], "--interval: '0' is too little: write at least 0.05"),
        (["demo", "--utility", "x"], "--utility: 'x' is not one of 'auto', 'frames', 'log'"),
        (["link-test", "--only", "x"], "--only: 'x' is not one of 'ours', 'libwebrtc'"),
    ],
)
def test_a_value_of_another_kind_gets_one_line_that_names_it(arguments, says):
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"trio-allocator: {says}\n"


def test_what_is_missing_typer_tells():
    result = invoke("compare", "old.json")
    assert result.exit_code == 2
    assert "Missing argument" in result.stderr


def test_what_cannot_be_used_is_known_before_the_run(monkeypatch, write):
    def run(*_arguments, **_options):
        pytest.fail("it ran")

    monkeypatch.setattr("trio_allocator.cli.replay.run", run)
    assert invoke("replay", write(OURS), "--utility", "frames").exit_code == 2
    assert invoke("replay", write(OURS), "--plot", "out.doc").exit_code == 2


def test_help_names_the_commands_and_the_columns():
    assert "replay" in invoke("--help").stdout
    text = invoke("replay", "--help").stdout
    for part in ("time_s", "estimate_bps", "--realtime", "--track", "--json", "--plot"):
        assert part in text
    assert "--json " in text
    for command in ([], ["replay"], ["demo"], ["simulate"], ["link-test"], ["relay"]):
        assert "<bool>" not in invoke(*command, "--help").stdout


def test_the_version():
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.stdout == f"trio-allocator {metadata.version('trio-allocator')}\n"


@pytest.mark.skipif(not FULL.exists(), reason="needs a full device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["demo", "--json"], ["demo"], ["--help"], ["--version"]])
def test_a_full_device_gets_one_line(arguments, unbuffered):
    with FULL.open("wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "trio_allocator.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == f"trio-allocator: cannot go on: {os.strerror(errno.ENOSPC)}\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("arguments", ["demo --json", "--version"])
def test_a_closed_output_gets_one_line(arguments):
    result = subprocess.run(
        ["sh", "-c", f'"$0" -m trio_allocator.cli {arguments} >&-', sys.executable],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (
        1,
        "trio-allocator: cannot go on: standard output is closed\n",
    )


@pytest.mark.skipif(os.name != "posix", reason="needs a pipe that is closed")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_no_error_to_speak_of(unbuffered):
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as closed:
        result = subprocess.run(
            [sys.executable, "-m", "trio_allocator.cli", "--version"],
            stdout=closed,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            text=True,
            check=False,
        )
    assert (result.returncode, result.stderr) == (1, "")


def test_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "trio_allocator.cli", "replay", "nowhere.csv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr == ("trio-allocator: nowhere.csv: there is no such file: check the path\n")


@pytest.mark.parametrize("name", ["rich", "typer"])
def test_without_the_extra(monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, name, None)
    for module in [known for known in sys.modules if known.startswith("trio_allocator.cli.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == 2
    assert "pip install 'trio-allocator[cli]'" in capsys.readouterr().err


def test_a_plot_without_matplotlib(monkeypatch, write):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for name in ("plot", "drawing"):
        monkeypatch.delitem(sys.modules, f"trio_allocator.lab.pictures.{name}", raising=False)
    result = invoke("replay", write(OURS), "--plot", "out.png")
    assert result.exit_code == 2
    assert "pip install 'trio-allocator[cli]'" in result.stderr


def test_ctrl_c_while_it_loads(monkeypatch):
    def app(**_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("trio_allocator.cli.app.app", app)
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == 130


def has_begun(process):
    """Trio waits for events: the command is past loading."""
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed since
            if "eventpoll" in str(link.readlink()):
                return True
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at files in /proc")
def test_ctrl_c_leaves_nothing_behind(write):
    rows = "".join(f"{t},400000\n" for t in range(600))
    process = subprocess.Popen(
        [
            *(sys.executable, "-u", "-m", "trio_allocator.cli", "replay"),
            *(write("time_s,estimate_bps\n" + rows), "--track", "cam=150k,300k", "--realtime"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        patience = time.monotonic() + 30
        while not has_begun(process):
            assert time.monotonic() < patience
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        if output:
            # What was seen so far is told, unless nothing was yet.
            assert "calls.csv" in output
            assert "quality" in output
            assert errors
    finally:
        process.kill()
        process.wait()
    # Before the run has begun nothing is said; in it, that it was interrupted.
    assert errors in {"", " interrupted\n"}
    assert process.returncode == 130


def on_a_terminal(*arguments, interrupts=0):
    """Run a command on a pseudo-terminal; send SIGINT so often once it is live."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "trio_allocator.cli", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
    )
    os.close(theirs)
    seen = b""
    try:
        with contextlib.suppress(OSError):  # EIO is how a pseudo-terminal ends
            while chunk := os.read(ours, 65536):
                seen += chunk
                # Frames follow each other: three of them are enough to call it live.
                if seen.count(b"decisions") >= 3 and interrupts:
                    process.send_signal(signal.SIGINT)
                    interrupts -= 1
        return process.wait(timeout=20), seen.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_policies_side_by_side(write):
    both = answer("replay", write(OURS), "--policy", "layered,fair")["policies"]
    assert [one["policy"] for one in both] == ["layered", "fair"]
    assert both[1] == answer("replay", write(OURS), "--policy", "fair")
    result = invoke("demo", "--policy", "layered,fair")
    assert "over the" in result.stdout.split("of what could")[-1]


def test_settings_priorities_and_weights_reach_the_allocator(write):
    rows = "".join(f"{t},600000\n" for t in range(10))
    path = write("time_s,estimate_bps\n" + rows)
    tracks = ("--track", "a=100k,500k", "--track", "b=100k,500k")
    for preferred, other in (("a", "b"), ("b", "a")):
        figures = answer("replay", path, *tracks, "--priority", f"{preferred}=2")["tracks"]
        assert figures[preferred]["layers"]["high"] > 0.8
        assert figures[other]["layers"]["high"] == 0
    one = answer("replay", path, *tracks, "--set", "probe_increment=200k")
    assert one["padding_bytes"] != answer("replay", path, *tracks)["padding_bytes"]


def test_a_publisher_measures_every_layer(write):
    # A layer that is not sent grows by less than lasting changes are told from.
    rows = "".join(
        f"{t / 5},{150_000 if t < 50 else 308_000},100000,{300_000 if t < 10 else 310_000}\n"
        for t in range(150)
    )
    path = write("time_s,estimate_bps,cam_low,cam_high\n" + rows)
    over = [
        answer("replay", path, "--measured-at", who)["share_over_estimate"]
        for who in ("receiver", "publisher")
    ]
    assert over[0] > 0.5
    assert over[1] == 0


def test_what_is_packed_or_piped_is_read(write, tmp_path, monkeypatch):
    expected = answer("replay", write(OURS))
    packed = tmp_path / "calls.csv.gz"
    packed.write_bytes(gzip.compress(OURS.encode()))
    assert answer("replay", str(packed)) == {**expected, "recording": "calls.csv.gz"}
    result = CliRunner().invoke(app, ["replay", "-", "--json"], input=OURS)
    assert json.loads(result.stdout) == {**expected, "recording": "standard input"}
    packed.write_bytes(gzip.compress(OURS.encode())[:-20])
    result = invoke("replay", str(packed))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "not a whole file of gzip's" in result.stderr
    packed.write_bytes(OURS.encode())
    assert "not a whole file of gzip's" in invoke("replay", str(packed)).stderr


def test_layers_that_are_counted_are_no_frame_rates(write):
    track = ("--track", "cam=60k,120k,220k,400k,700k,1.2M")
    assert answer("replay", write(ESTIMATES), *track)["utility"] == "log"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
@pytest.mark.parametrize("command", [["demo"], ["replay", "--help"], ["replay"]])
def test_what_can_be_printed_is_printed(tmp_path, encoding, command):
    if command == ["replay"]:
        # A name that no encoding has: these bytes are no text.
        path = os.fsencode(tmp_path) + b"/\xff\xe9\xe2\x98\xba.csv"
        Path(os.fsdecode(path)).write_text(OURS)
        command = [*command, path]
    result = subprocess.run(
        [sys.executable, "-m", "trio_allocator", *command],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    text = result.stdout.decode(encoding)
    if command == ["demo"]:
        assert ("\u2500" in text) is (encoding == "utf-8")
        assert "quality" in text
    if len(command) == 2 and command[1] != "--help":
        assert "\\xff\\xe9" in text


def test_completion_is_offered():
    assert "--install-completion" in invoke("--help").stdout


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_live_and_piped_it_is_the_same():
    code, seen = on_a_terminal("demo", "--speed", "200")
    assert code == 0
    live = re.sub(r"\x1b\[[\d;]*m|\r", "", seen.rpartition("\x1b[2K")[2])
    piped = invoke("demo").stdout
    for figure in ("quality", "utilisation", "changes", "reversals", "padding"):
        line = re.compile(rf"^ *{figure}  (\S+)", re.MULTILINE)
        assert line.findall(live) == line.findall(piped) != []


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_reading_much_is_shown(write, monkeypatch):
    rows = "".join(f"{t / 1000:.3f},400000{' ' * 200}\n" for t in range(21_000))
    code, seen = on_a_terminal("replay", write("time_s,estimate_bps\n" + rows))
    assert "reading calls.csv" in seen
    assert code == 2, "there are no tracks, which is told after that"


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("interrupts", [1, 2])
def test_ctrl_c_restores_the_terminal(interrupts):
    code, seen = on_a_terminal("demo", "--speed", "5", interrupts=interrupts)
    assert code == 130
    assert "cam4" in seen
    assert "Traceback" not in seen
    assert interrupts > 1 or "quality" in seen, "what was seen is told, unless told to hurry"
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l") >= 0, "the cursor is back"


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_the_demo_is_live_on_a_terminal_and_leaves_the_summary():
    code, seen = on_a_terminal("demo", "--speed", "120")
    assert code == 0
    live, _cleared, left = seen.rpartition("\x1b[2K")
    assert live.count("decisions: ") >= 3
    assert "allocations" in live
    assert "allocations" not in left
    assert "quality" in left


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_progress_is_shown_on_a_terminal(write):
    rows = "".join(f"{t},{400_000 + t % 7}\n" for t in range(3_000))
    path = write("time_s,estimate_bps\n" + rows)
    code, seen = on_a_terminal("replay", path, "--track", "cam=150k,300k")
    assert code == 0
    assert "of 2999 s" in seen
