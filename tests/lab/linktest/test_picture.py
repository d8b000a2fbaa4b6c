"""The picture of a link test."""

import pytest

from tests.lab.linktest.made_up import DROP, TWO, good_run, run_of, stream
from trio_allocator.lab.linktest.comparison import tabulate
from trio_allocator.lab.linktest.picture import panels, save_picture
from trio_allocator.lab.linktest.result import Stack
from trio_allocator.lab.replay.recording import RecordingError

OURS, THEIRS = Stack.OURS, Stack.LIBWEBRTC


def rows():
    two = [*stream(0, 60, 1e6), *stream(5, 60, 0.5e6, flow=1)]
    return tabulate(
        [
            good_run(),
            good_run((THEIRS,)),
            run_of(TWO, two, (OURS, OURS)),
            run_of(TWO, two, (OURS, THEIRS)),
            run_of(TWO, two, (THEIRS, THEIRS), lateness=(1.0,)),
        ]
    )


def test_a_panel_has_what_is_to_be_compared_and_nothing_starved():
    found = panels(rows())
    assert [(panel.title, panel.scenario.name, len(panel.runs)) for panel in found] == [
        ("drop: 2, 1, 2 Mbit/s", DROP.name, 2),
        ("two: ours + ours", TWO.name, 1),
        ("two: ours + libwebrtc", TWO.name, 1),
    ]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_it_is_drawn(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    save_picture(path, rows(), "times × 1")
    assert path.stat().st_size > 20_000


def test_nothing_but_starved_runs_is_an_empty_picture(tmp_path):
    path = tmp_path / "picture.png"
    save_picture(path, tabulate([good_run(lateness=(1.0,))]), "")
    assert path.exists()


def test_where_it_can_not_be_written(tmp_path):
    with pytest.raises(RecordingError, match="the plot cannot be written"):
        save_picture(tmp_path / "no" / "picture.png", tabulate([good_run(lateness=(1.0,))]), "")
