"""Logs of feedback: what is made of them, and what is said of those that are none."""

import io
import json

import pytest
from typer.testing import CliRunner

from trio_allocator.cli.app import app
from trio_allocator.estimation import FeedbackRecorder, Remb
from trio_allocator.estimation.feedback_log import FeedbackLog
from trio_allocator.lab.replay.estimating import read_feedback
from trio_allocator.lab.replay.recording import RecordingError

TRACKS = {"camera": {"high": 500_000, "low": 150_000}, "audio": {"full": 35_000}}
HEADER = {"log": "trio-allocator feedback", "version": 1, "tracks": {}, "start_bitrate": 300_000}


def log_of_a_clean_link(seconds=4.0, rate=1_000_000, size=1_000):
    """Everything arrives after 20 ms, and is reported every 50 ms."""
    file = io.StringIO()
    log = FeedbackLog(file, TRACKS, 300_000)
    recorder = FeedbackRecorder(1, 1)
    gap = 8 * size / rate
    report_at = 0.05
    for number in range(round(seconds / gap)):
        now = gap * number
        if now >= report_at:
            report_at += 0.05
            for feedback in recorder.build_feedback():
                log.received(now, feedback.build())
                log.estimated(now, 0)
        log.packet_sent(now, 65_000 + number, size, None)
        recorder.received((65_000 + number) % 65_536, 100 + now + 0.02)
    return file.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(text, name="log.jsonl"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def lines(*contents, header=HEADER):
    return "".join(json.dumps(line) + "\n" for line in (header, *contents))


def test_numbers_may_come_out_of_order(write):
    recorder = FeedbackRecorder(1, 1)
    for number in range(20):
        recorder.received(number, number / 100)
    (feedback,) = recorder.build_feedback()
    sent = [
        {"t": index / 100, "sent": [number, 1000, None]} for index, number in enumerate(range(20))
    ]
    sent[18], sent[19] = (
        {**row, "sent": other["sent"]}
        for row, other in ((sent[18], sent[19]), (sent[19], sent[18]))
    )
    rtcp = {"t": 0.5, "rtcp": feedback.build().hex()}
    assert read_feedback(write(lines(*sent, rtcp, {**rtcp, "t": 0.6}))).duration == 0.6


def test_a_peer_may_have_told_a_limit(write):
    rows = [{"t": 0.0, "sent": [0, 1000, None]}, {"t": 0.5, "rtcp": Remb(1, 200_000).build().hex()}]
    assert read_feedback(write(lines(*rows))).rows[-1].estimate == 200_000


def test_what_is_recorded_is_estimated_from(write):
    recording = read_feedback(write(log_of_a_clean_link()))
    assert recording.name == "log.jsonl"
    assert recording.duration == pytest.approx(3.992)
    assert recording.rows[0].estimate == 300_000
    # All of what is sent is acknowledged, and nothing queues.
    assert recording.rows[-1].estimate > 500_000
    names = [(source.name, source.layers, source.mean_rates) for source in recording.sources]
    assert names == [
        ("camera", ("low", "high"), (150_000, 500_000)),
        ("audio", ("full",), (35_000,)),
    ]
    assert {row.rates for row in recording.rows} == {((150_000, 500_000), (35_000,))}


def test_silence_lowers_the_estimate_although_no_line_says_so(write):
    sent = [{"t": number / 10, "sent": [number, 1_000, None]} for number in range(100)]
    recording = read_feedback(write(lines(*sent)))
    assert recording.rows[-1].estimate < 300_000


def test_a_probe_may_be_asked_for(write):
    recording = read_feedback(
        write(lines({"t": 0, "probe": None}, {"t": 0, "probe": 2e6}, {"t": 1, "estimate": 5}))
    )
    assert [row.estimate for row in recording.rows] == [300_000, 300_000]


def test_malformed_rtcp_is_dropped_as_it_would_be(write):
    recording = read_feedback(write(lines({"t": 0, "rtcp": "8f"}, {"t": 1, "rtcp": ""})))
    assert recording.rows[-1].estimate == 300_000


def test_other_rtcp_says_nothing(write):
    recording = read_feedback(write(lines({"t": 0, "rtcp": "80c90001deadbeef"})))
    assert len(recording.rows) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: not a log of feedback: it must begin with"),
        ("\n\n{}\n", "line 3: not a log of feedback"),
        ("time_s,estimate_bps\n", "'time_s,estimate_bps' is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "'[1]' is not an object"),
        (lines(header=HEADER | {"version": 2}), "not a log of feedback"),
        (lines(header=HEADER | {"tracks": 3}), '"tracks" must map names'),
        (lines(header=HEADER | {"tracks": {"a": {}}}), "track 'a' must map layers"),
        (lines(header=HEADER | {"tracks": {"a": {"x": "y"}}}), "track 'a' must be a number"),
        (lines(header=HEADER | {"start_bitrate": None}), "start_bitrate must be a number"),
        (lines(header=HEADER | {"start_bitrate": 1}), "line 1: "),
        (lines(), "only a header, no packets"),
        (lines({"t": 0}), "line 2: says neither sent, probe, rtcp nor estimate"),
        (lines({"sent": [1, 2, None]}), "t must be a number from 0, not 'null'"),
        (lines({"t": True, "estimate": 1}), "t must be a number from 0, not 'true'"),
        (lines({"t": -1, "estimate": 1}), "t must be a number from 0, not '-1'"),
        ('{"t": NaN}', "not a log of feedback"),
        (lines({"t": 2, "estimate": 1}, {"t": 1, "estimate": 1}), "line 3: t 1 is earlier"),
        (lines({"t": 0, "estimate": 1}, {"t": 1e6, "estimate": 1}), "more than 24 h after"),
        (lines({"t": 0, "sent": [1.5, 1, None]}), "sent must be a whole number, not 1.5"),
        (lines({"t": 0, "sent": [1, "x", None]}), "sent must be a number"),
        (lines({"t": 0, "sent": [1, 10**15, None]}), "line 2: size must be"),
        (lines({"t": 0, "sent": [1, 100, -1]}), "sent must be a number from 0"),
        (lines({"t": 0, "probe": "all"}), "probe must be a number"),
        (lines({"t": 0, "rtcp": "xy"}), "non-hexadecimal"),
    ],
)
def test_what_is_no_log_is_told_where(write, text, says):
    with pytest.raises(RecordingError) as raised:
        read_feedback(path := write(text))
    assert says in str(raised.value)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_files_that_can_not_be_read(tmp_path):
    with pytest.raises(RecordingError, match="no such file"):
        read_feedback(tmp_path / "none.jsonl")
    with pytest.raises(RecordingError, match="cannot be read"):
        read_feedback(tmp_path)
    path = tmp_path / "binary.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecordingError, match="not a text file in UTF-8"):
        read_feedback(path)


def replay(*arguments):
    return CliRunner().invoke(app, ("replay", *map(str, arguments)))


def test_replay_takes_a_log_and_more_tracks(write):
    log = write(log_of_a_clean_link(2.0))
    result = replay("--feedback", log, "--track", "screen=100k,300k", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    assert set(answer["tracks"]) == {"camera", "audio", "screen"}
    assert answer["recording"] == "log.jsonl"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "replay needs either a FILE of estimates or --feedback FILE.jsonl"),
        (
            ("calls.csv", "--feedback", "log.jsonl"),
            "FILE and --feedback are both given: give one, not both",
        ),
    ],
)
def test_replay_takes_estimates_or_feedback(arguments, says):
    result = replay(*arguments)
    assert (result.exit_code, result.stderr) == (2, f"trio-allocator: {says}\n")


def test_a_log_without_tracks_has_nothing_to_divide_among(write):
    result = replay("--feedback", write(lines({"t": 0, "estimate": 1})))
    assert result.exit_code == 2
    assert "add --track" in result.stderr
