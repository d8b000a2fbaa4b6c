"""Recordings of every shape, and one clear line for those that are none."""

from pathlib import Path

import pytest

from trio_allocator import lab
from trio_allocator.lab.replay.reader import read_recording
from trio_allocator.lab.replay.recording import RecordingError, parse_track

SHIPPED = Path(lab.__file__).parent / "data" / "libwebrtc-gcc-recorded.csv"


@pytest.fixture
def write(tmp_path):
    def write(text, name="calls.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_own_shape_with_layers(write):
    recording = read_recording(
        write(
            "time_s,estimate_bps,cam_high,cam_low,mic_full\n"
            "5.0,1e6,500000,150000,35000\n"
            "6.5,900k,700000,,35000\n"
        )
    )
    cam, mic = recording.sources
    assert (cam.name, cam.layers, cam.mean_rates) == ("cam", ("low", "high"), (150_000, 600_000))
    assert not cam.is_fixed
    assert mic.is_fixed
    assert [row.time for row in recording.rows] == [0.0, 1.5]
    assert [row.estimate for row in recording.rows] == [1_000_000, 900_000]
    assert recording.rows[0].rates == ((150_000, 500_000), (35_000,))
    assert recording.rows[1].rates == ((0, 700_000), (35_000,))
    assert recording.duration == 1.5


def test_a_bridges_shape(write):
    recording = read_recording(
        write(
            "ts,bwe,bps_a_b_7,bps_a_b_30\n"
            "23:59:59.500,33400,93560,157626\n"
            "00:00:00.250,37072,92424,158069\n"
            "00:00:00.250,38000,92424,158069\n"
        )
    )
    (source,) = recording.sources
    assert (source.name, source.layers) == ("a_b", ("7", "30"))
    assert [row.time for row in recording.rows] == [0.0, 0.75, 0.75]


def test_estimates_alone_and_added_tracks(write):
    recording = read_recording(write("estimate_bps,time_s\n500000,1\n600000,2\n"))
    assert recording.sources == ()
    whole = recording.with_tracks([parse_track("cam=150k,500k,2.5M"), parse_track("mic=35k")])
    assert [source.name for source in whole.sources] == ["cam", "mic"]
    assert whole.sources[0].layers == ("low", "medium", "high")
    assert whole.rows[1].rates == ((150_000, 500_000, 2_500_000), (35_000,))


def test_columns_are_found_by_name_behind_a_byte_order_mark_and_blank_lines(write):
    recording = read_recording(
        write("\ufeff\n cam_low , time_s ,estimate_bps\r\n\r\n150000, 0,1000\r\n,,\r\n")
    )
    assert recording.rows[0].estimate == 1000
    assert recording.rows[0].rates == ((150_000,),)
    assert recording.duration == 1.0, "a single moment is held"


def test_a_layer_that_is_never_sent_is_no_layer(write):
    recording = read_recording(write("time_s,estimate_bps,a_low,a_high,b_low\n0,9,5,0,0\n"))
    assert [(source.name, source.layers) for source in recording.sources] == [("a", ("low",))]


def test_the_recording_that_ships():
    recording = read_recording(SHIPPED)
    assert len(recording.rows) == 880
    assert [source.name for source in recording.sources] == ["cam1", "cam2", "cam3", "cam4"]
    assert {source.layers for source in recording.sources} == {("low", "medium", "high")}
    assert 178 < recording.duration < 180


GOOD = "time_s,estimate_bps,cam_low\n0,1000,10\n1,1000,10\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["empty", "time_s"]),
        ("\n\n", ["empty"]),
        ("time_s,estimate_bps\n", ["only a header"]),
        ("time_s,capacity_bps\n0,1\n", ["line 1", "no column estimate_bps", "'capacity_bps'"]),
        ("when,how\n0,1\n", ["line 1", "no column time_s"]),
        ("ts,bps_a_7\n0,1\n", ["line 1", "no column bwe"]),
        ("0,1000\n1,2000\n", ["line 1", "no column time_s"]),
        ("time_s,estimate_bps,cam\n0,1,2\n", ["line 1", "'cam'", "SOURCE_LAYER"]),
        ("time_s,estimate_bps,cam_\n0,1,2\n", ["line 1", "'cam_'"]),
        ("ts,bwe,a_7\n00:00:00,1,2\n", ["line 1", "'a_7'", "bps_SOURCE_LAYER"]),
        ("time_s,time_s,estimate_bps\n0,0,1\n", ["line 1", "two columns", "'time_s'"]),
        (GOOD + "2,fast,10\n", ["line 4", "column estimate_bps", "'fast'", "not a number"]),
        (GOOD + "2,nan,10\n", ["line 4", "column estimate_bps", "'nan'"]),
        (GOOD + "2,inf,10\n", ["line 4", "column estimate_bps", "'inf'"]),
        (GOOD + "2,,10\n", ["line 4", "column estimate_bps", "empty"]),
        (GOOD + "2,1000,-10\n", ["line 4", "column cam_low", "'-10'", "negative"]),
        (GOOD + "2,1000,1e300\n", ["line 4", "column cam_low", "more than"]),
        (GOOD + "soon,1000,10\n", ["line 4", "column time_s", "'soon'", "seconds"]),
        (GOOD + "nan,1000,10\n", ["line 4", "column time_s", "'nan'"]),
        (GOOD + "0.5,1000,10\n", ["line 4", "column time_s", "'0.5'", "earlier"]),
        (GOOD + "1e9,1000,10\n", ["line 4", "column time_s", "24 h"]),
        (GOOD + "2,1000\n", ["line 4", "2 values", "3 columns"]),
        (GOOD + "2,1000,10,10\n", ["line 4", "4 values", "3 columns"]),
        (GOOD + '2,"1000,10\n', ["not a CSV file"]),
        ("ts,bwe\n19:52,1\n", ["line 2", "column ts", "'19:52'", "HH:MM:SS"]),
        ("ts,bwe\n24:00:00,1\n", ["line 2", "column ts"]),
        ("ts,bwe\n12:00:00,1\n11:59:59,1\n", ["line 3", "column ts", "earlier"]),
        (b"\xff\xfe\x00\x01", ["UTF-8"]),
    ],
)
def test_what_is_no_recording_gets_one_clear_line(write, text, says):
    with pytest.raises(RecordingError) as caught:
        read_recording(path := write(text))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert [part for part in says if part not in message] == [], message


def test_a_long_value_does_not_make_a_long_line(write):
    with pytest.raises(RecordingError) as caught:
        read_recording(path := write("time_s,estimate_bps\n0," + "x" * 5000 + "\n"))
    assert len(str(caught.value).removeprefix(str(path))) < 200


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(RecordingError, match="no such file"):
        read_recording(tmp_path / "nowhere.csv")
    with pytest.raises(RecordingError, match=r"cannot be read.*: give a file"):
        read_recording(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("camera", "a name and rates"),
        ("=150k", "a name and rates"),
        ("cam=", "empty"),
        ("cam=150k,,2M", "empty"),
        ("cam=150k,much", "'much' is not a number"),
        ("cam=-1", "negative"),
        ("cam=0", "above 0"),
        ("cam=500k,150k", "ascend"),
        ("cam=500k,500k", "ascend"),
    ],
)
def test_what_is_no_track_is_named(text, says):
    with pytest.raises(RecordingError, match=says):
        parse_track(text)


def test_tracks_of_many_layers_are_numbered():
    assert parse_track("cam=1,2,3,4").layers == ("1", "2", "3", "4")


def test_a_track_that_the_file_has_already(write):
    recording = read_recording(write(GOOD))
    with pytest.raises(RecordingError, match="'cam' already"):
        recording.with_tracks([parse_track("cam=1,2")])
    with pytest.raises(RecordingError, match="'mic' already"):
        recording.with_tracks([parse_track("mic=1"), parse_track("mic=2")])
