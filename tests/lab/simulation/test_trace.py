"""Traces: what is read, and what is said of a file that cannot be used."""

import gzip

import numpy as np
import pytest

from trio_allocator.lab.replay.recording import RecordingError
from trio_allocator.lab.simulation.trace import make_trace, read_trace, shipped_traces

ROWS = "".join(f"{t},{1000 * (t + 1)}\n" for t in range(25))


@pytest.fixture
def write(tmp_path):
    def write(text, name="link.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_rows_hold_until_the_next_and_the_last_as_long_as_the_one_before(write):
    trace = read_trace(write("time_s,capacity_bps\n0,100\n10,200\n30,0\n"))
    assert trace.duration == 50
    assert trace.per_second().tolist() == [100] * 10 + [200] * 20 + [0] * 20
    assert trace.median == 100


def test_columns_may_stand_in_any_order_beside_others_and_time_may_start_anywhere(write):
    text = "note,capacity_bps,time_s\n" + "".join(f"x,{700},{5 + t / 5}\n" for t in range(110))
    trace = read_trace(write("\ufeff" + text + "\n\n"))
    assert trace.steps == 2200
    assert set(trace.capacity) == {700.0}


def test_the_round_trip_time_is_that_of_the_table_or_what_is_given(write):
    text = "time_s,capacity_bps\n" + ROWS
    assert read_trace(write(text, "umts_tmobile_drive.csv")).rtt == 0.12
    assert read_trace(write(text)).rtt == 0.05
    assert read_trace(write(text), 0.2).rtt == 0.2


def test_two_schedules_ship():
    """RFC 8867, section 5.1: 1 Mbit/s times 1.0, 2.5, 0.6, 1.0, from 0, 40, 60 and 80 s."""
    rfc, square = shipped_traces()
    seconds = rfc.per_second()
    assert rfc.rtt == 0.1
    assert len(seconds) == 100
    for begin, end, rate in ((0, 40, 1.0), (40, 60, 2.5), (60, 80, 0.6), (80, 100, 1.0)):
        assert np.all(seconds[begin:end] == rate * 1e6)
    assert set(square.capacity) == {4e6, 1.2e6}
    assert square.duration == 600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("time_s,capacity\n0,1\n", "line 1: no column capacity_bps"),
        ("time_s,capacity_bps\n", "0 rows are no trace"),
        ("time_s,capacity_bps\n0,1\n", "1 rows are no trace"),
        ("time_s,capacity_bps\n0,1\n1,2,3\n", "line 3: 3 values, but the header names 2"),
        ("time_s,capacity_bps\n0,1\n1,fast\n", "line 3, column capacity_bps: 'fast' is not a num"),
        ("time_s,capacity_bps\n0,1\n1,nan\n", "line 3, column capacity_bps: nan must be from 0"),
        ("time_s,capacity_bps\n0,1\n1,-5\n", "column capacity_bps: -5 must be from 0"),
        ("time_s,capacity_bps\n0,1\n1,inf\n", "column capacity_bps: inf must be from 0"),
        ("time_s,capacity_bps\n0,1\n0,2\n", "column time_s: 0 does not come after 0"),
        ("time_s,capacity_bps\n0,1\n9,2\n", "lasts 18 s, and the first 20 s are not counted"),
        ("time_s,capacity_bps\n0,1\n4000,2\n", "lasts 8000 s: cut it to 3600 s"),
        ("time_s,capacity_bps\n0,0\n20,0\n", "the median capacity is 0"),
        (b"\xff\xfe\x00", "not a text file"),
        ('time_s,capacity_bps\n0,1\n"1,2\n', "line 3: 1 values"),
        ("time_s,capacity_bps\n0," + 200_000 * "1", "not a CSV file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(write, text, says):
    with pytest.raises(RecordingError) as caught:
        read_trace(path := write(text))
    message = str(caught.value)
    assert says in message
    assert message.startswith(str(path))
    assert "\n" not in message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecordingError, match="there is no such file"):
        read_trace(tmp_path / "nowhere.csv")
    with pytest.raises(RecordingError, match="it is a folder"):
        read_trace(tmp_path)
    with pytest.raises(RecordingError, match="cannot be read"):
        read_trace(tmp_path / ("x" * 5000))


def test_a_step_of_the_clock_is_the_finest_there_is():
    trace = make_trace("fine", [0, 0.004, 0.012, 15, 30], [1, 2, 3, 4, 5])
    assert trace.capacity[:3].tolist() == [2, 3, 3]


def test_what_is_packed_and_rates_with_a_unit_are_read(tmp_path):
    path = tmp_path / "link.csv.gz"
    path.write_bytes(gzip.compress(b"time_s,capacity_bps\n0,150k\n15,2M\n"))
    trace = read_trace(path)
    assert trace.name == "link"
    assert set(trace.capacity) == {150_000, 2_000_000}
    path.write_bytes(gzip.compress(b"time_s,capacity_bps\n0,150k\n15,fastM\n"))
    with pytest.raises(RecordingError, match=r"line 3, column capacity_bps: 'fastM' is not a num"):
        read_trace(path)
