"""What is shown while a run is under way, and drawn after it."""

import io
from typing import Any

import pytest
from rich.console import Console

from trio_allocator.cli.chart import Sample, area_chart, nice_ceiling
from trio_allocator.cli.dashboard import Dashboard
from trio_allocator.cli.report import Replayed, as_json, print_summary
from trio_allocator.lab.pictures.drawing import check_plot
from trio_allocator.lab.pictures.palette import colours
from trio_allocator.lab.pictures.plot import save_plot
from trio_allocator.lab.replay.quality import measure
from trio_allocator.lab.replay.recording import Recording, RecordingError, Row, Source
from trio_allocator.lab.replay.state import RunState

CAM = Source(name="cam", layers=("low", "high"), mean_rates=(150_000, 500_000))
MICS = tuple(Source(name=f"mic{n}", layers=("full",), mean_rates=(35_000,)) for n in (1, 2))


def half_run(*, sources=(CAM, *MICS)):
    """A run of 20 s in which the camera went up and down."""
    rates = tuple(source.mean_rates for source in sources)
    rows = tuple(Row(time=float(t), estimate=300_000 + 40_000 * t, rates=rates) for t in range(21))
    state = RunState(Recording(name="calls.csv", sources=sources, rows=rows))
    state.rows_fed = 1
    state.choose(0, 0)
    state.settle()
    for time, layer in ((7.0, 1), (9.0, 0), (15.0, 1)):
        state.time, state.rows_fed = time, int(time) + 1
        state.choose(0, layer)
        state.allocations = [550_000 if layer else 165_000, *[38_500] * (len(sources) - 1)]
    return state


def shown(renderable, width):
    page = io.StringIO()
    Console(file=page, width=width).print(renderable)
    return page.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.2, 1.5), (7e5, 8e5), (9.1e6, 1e7)])
def test_the_axis_ends_at_a_round_figure(value, top):
    assert nice_ceiling(value) == pytest.approx(top)


def test_the_chart_stacks_sources_under_the_estimate():
    text = area_chart([Sample(400, (100, 200))], ["#000001", "#000002"], 13, 4)
    styles = [str(span.style) for span in text.spans if span.style != "dim"]
    # From the top: the estimate, two lines of the second source, one of the first.
    assert styles == ["default", *["#000002 on #000002"] * 2, "#000001 on #000001"]
    assert [line[:11].strip() for line in text.plain.split("\n")] == [
        "400 bit/s",
        "300 bit/s",
        "200 bit/s",
        "100 bit/s",
    ]


@pytest.mark.parametrize(
    ("estimate", "cell"), [(3, "▀"), (2, "▄")], ids=["upper half", "lower half"]
)
def test_the_estimate_is_seen_on_any_ground(estimate, cell):
    """It is drawn in the colour of text, which as a background would be that of the ground."""
    text = area_chart([Sample(estimate, (4,))], ["#000001"], 13, 2)
    assert text.plain.split("\n")[0][-1] == cell
    styles = [str(span.style) for span in text.spans if span.style != "dim"]
    assert styles == ["default on #000001", "#000001 on #000001"]


def test_the_chart_shows_the_newest():
    samples = [Sample(100, (0,)), Sample(200, (0,)), Sample(400, (0,))]
    assert "400 bit/s" in area_chart(samples, ["#000001"], 13, 4).plain


def test_an_empty_chart_is_drawn_too():
    assert len(area_chart([], [], 40, 4).plain.split("\n")) == 4


@pytest.mark.parametrize(("width", "shows"), [(30, "cam     "), (40, "cam   high"), (60, "█")])
def test_in_a_narrow_terminal_names_and_rates_stay(width, shows):
    lines = shown(Dashboard(half_run(), 7).render(width, 30), width)
    assert max(len(line) for line in lines) <= width
    text = "\n".join(lines)
    assert shows in text
    for part in ("cam", "fixed", "550 kbit/s", "77.0 kbit/s"):
        assert part in text
    assert ("█" in text) is (width >= 60)


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_in_a_narrow_terminal_the_summary_names_everybody(width):
    state = half_run()
    page = io.StringIO()
    figures = measure(state.recording, state.history())
    print_summary(Console(file=page, width=width), state.recording, figures, 2_500)
    for name in ("cam", "mic1", "mic2"):
        assert f" {name} " in page.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (110, 30), (200, 60)])
def test_the_dashboard_fits_its_terminal(width, height):
    lines = shown(Dashboard(half_run(), 7).render(width, height), width)
    assert max(len(line) for line in lines) <= width
    assert len(lines) < height
    text = "\n".join(lines)
    for part in ("calls.csv", "15.0 s of 20 s", "×7", "estimate 900 kbit/s", "decisions: 3"):
        assert part in text
    assert "550 kbit/s" in text, "the camera's allocation"
    assert "77.0 kbit/s" in text, "both fixed tracks' allocations"
    assert "low → high" in text
    assert text.index("15.0 s ▲") < text.index("9.0 s ▼") < text.index("7.0 s ▲"), "newest first"
    assert "…" not in text


def test_the_dashboard_before_anything_has_happened():
    state = RunState(half_run().recording)
    assert "none yet" in "\n".join(shown(Dashboard(state).render(100), 100))


def test_frames_add_to_the_chart():
    state = half_run()
    dashboard = Dashboard(state)
    first = shown(dashboard.render(120), 120)
    assert shown(dashboard.render(120), 120) != first


@pytest.mark.parametrize("width", [88, 120])
def test_the_summary_says_who_got_what_and_how_well(width):
    state = half_run()
    figures = measure(state.recording, state.history())
    page = io.StringIO()
    print_summary(Console(file=page, width=width), state.recording, figures, 2_500)
    text = page.getvalue()
    for part in ("calls.csv", "21 estimates in 20 s", "cam", "mic2", "quality", "utilisation"):
        assert part in text
    assert ("always" in text) is (width == 120), "bars only where there is room"
    assert ("time" in text.split("cam")[0]) is (width == 120), "and no empty column instead"
    assert "1.00 kbit/s" in text, "2500 bytes of padding in 20 s"
    assert "…" not in text


def test_a_summary_of_many_different_ladders_does_not_burst():
    ladders = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]
    sources = tuple(Source(name=n[0], layers=n, mean_rates=(100_000, 200_000)) for n in ladders)
    state = half_run(sources=sources)
    page = io.StringIO()
    figures = measure(state.recording, state.history())
    print_summary(Console(file=page, width=100), state.recording, figures, 0)
    assert "…" not in page.getvalue()


def test_json_has_the_documented_keys():
    state = half_run()
    history = state.history()
    result = Replayed("fair", state.recording, history, measure(state.recording, history), 2_500)
    answer: dict[str, Any] = as_json([result])
    lines = (as_json.__doc__ or "").splitlines()
    documented = {line.split("``")[1] for line in lines if line[:6] == "    ``"}
    assert set(answer) == documented
    assert {"changes", "reversals", "share_over_estimate", "utilisation", "quality"} <= documented
    assert as_json([result, result]) == {"policies": [answer, answer]}
    assert answer["changes"] == 3
    assert answer["reversals"] == 2
    assert answer["tracks"]["cam"]["layers"] == {"low": 0.65, "high": 0.35}


def test_colours_are_one_for_each_chooser_and_one_for_all_the_fixed():
    many = [Source(name=str(n), layers=("a", "b"), mean_rates=(1, 2)) for n in range(10)]
    assert len(set(colours(many))) == 10
    assert len({*colours([*many, *MICS])}) == 11


@pytest.mark.parametrize("sources", [(CAM, *MICS), (CAM,), MICS[:1]])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_plot_is_drawn(tmp_path, sources, suffix):
    state = (
        half_run(sources=sources)
        if sources[0] is CAM
        else RunState(half_run(sources=(CAM,)).recording.with_tracks(MICS[:1]))
    )
    path = tmp_path / f"out.{suffix}"
    save_plot(path, state.recording, state.history(), measure(state.recording, state.history()))
    content = path.read_bytes()
    assert len(content) > 10_000
    assert content.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


def test_a_plot_that_cannot_be_written_is_known_before_the_run(tmp_path):
    check_plot(tmp_path / "out.png")
    with pytest.raises(RecordingError, match=r"\.png"):
        check_plot(tmp_path / "out.txt")
    with pytest.raises(RecordingError, match=r"\.png"):
        check_plot(tmp_path / "out")
    with pytest.raises(RecordingError, match="no folder"):
        check_plot(tmp_path / "nowhere" / "out.png")
    (tmp_path / "folder.png").mkdir()
    state = half_run()
    with pytest.raises(RecordingError, match="cannot be written"):
        save_plot(
            tmp_path / "folder.png",
            state.recording,
            state.history(),
            measure(state.recording, state.history()),
        )
