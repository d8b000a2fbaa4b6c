"""A connection with real media: sources, packets, and who does what."""

import math
import os
import subprocess
import sys

import pytest

from tests.lab.simulation.worlds import steady, steps
from trio_allocator.lab.simulation.conference import converse
from trio_allocator.lab.simulation.job import Job, check_job, figures_of, record_of
from trio_allocator.lab.simulation.media import (
    COMFORT_NOISE,
    FRAME_RATE,
    LIVE,
    NOISE_SIZE,
    STILL_FRAME,
    Act,
    LiveRate,
    PictureSource,
    Voice,
    script,
)
from trio_allocator.lab.simulation.record import NONE
from trio_allocator.lab.simulation.tracks import CAMERA, SCREEN, SimulatedTrack, usual_tracks
from trio_allocator.testing import LongerWay, Outages

CAMERAS = [track for track in usual_tracks(2) if track.is_counted]


def job(trace=None, receivers=3, **options):
    return Job(trace or steady(1.5e6, 40), receivers, "layered", "real", 1, media="real", **options)


def busy():
    """A run in which much happens."""
    return job(steady(1.5e6, 25), 3, impairments="batches,competing-flow")


# --- media -------------------------------------------------------------------------------------------


def sizes(source, variant, seconds, begin=0.0):
    times = [begin + number / FRAME_RATE for number in range(round(seconds * FRAME_RATE))]
    return [source.frame(variant, time) for time in times]


def test_a_camera_sends_about_what_it_says_it_does():
    for seed in range(5):
        source = PictureSource(CAMERA, f"{seed}", is_screen=False)
        sent = sizes(source, "medium", 60)
        rate = 8 * sum(sent) / 60
        assert LIVE[0] * 0.9 * 420_000 < rate < LIVE[1] * 1.1 * 420_000
        assert max(sent) > 1.5 * min(sent)


def test_live_rates_differ_and_drift_within_their_bounds():
    rates = [LiveRate(str(seed)) for seed in range(30)]
    first = [rate.factor(0.0) for rate in rates]
    later = [rate.factor(60.0) for rate in rates]
    assert all(LIVE[0] <= factor <= LIVE[1] for factor in first + later)
    assert max(first) - min(first) > 0.4
    assert first != later
    assert LiveRate("a").factor(5.0) == LiveRate("a").factor(5.0)


def test_a_key_frame_is_several_frames_and_is_saved_afterwards():
    source = PictureSource(CAMERA, "1", is_screen=False)
    usual = source.rate("high", 0.0) / 8 / FRAME_RATE
    key = source.key_frame("high", 0.0)
    assert 6 * usual <= key <= 8 * usual
    after = sum(sizes(source, "high", 1.0))
    assert after < 0.9 * usual * FRAME_RATE


def test_a_screen_is_still_and_then_bursts():
    source = PictureSource(SCREEN, "1", is_screen=True)
    sent = sizes(source, "motion", 120)
    still = [size for size in sent if size in (0, STILL_FRAME)]
    assert 0.4 < len(still) / len(sent) < 0.95
    assert max(sent) > 2_000
    assert sent.count(STILL_FRAME) < 0.08 * len(sent)


def test_a_voice_is_silent_most_of_the_time():
    from random import Random

    voice = Voice(35_000, Random(1))
    time, packets = 0.0, []
    while time < 120:
        size, following = voice.frame(time)
        packets.append(size)
        time += following
    noise = packets.count(NOISE_SIZE)
    assert 20 / COMFORT_NOISE < noise < 115 / COMFORT_NOISE
    assert set(packets) == {NOISE_SIZE, 88}


def test_the_script_lets_everything_happen_in_turn():
    acts = script(10, [list(CAMERA)] * 10, 600, 1)
    assert (
        acts == script(10, [list(CAMERA)] * 10, 600, 1) != script(10, [list(CAMERA)] * 10, 600, 2)
    )
    kinds = {act.kind for act in acts}
    assert kinds == {
        "off", "on", "mute", "unmute", "pin", "target", "top_off", "top_on", "leave", "join"
    }  # fmt: skip
    assert [act.time for act in acts] == sorted(act.time for act in acts)
    for receiver in range(10):
        own = [act.kind for act in acts if act.receiver == receiver]
        assert (
            own[1::2]
            == [
                {"off": "on", "mute": "unmute", "top_off": "top_on", "leave": "join"}.get(
                    kind, kind
                )
                for kind in own[::2]
            ][: len(own[1::2])]
        )


# --- a run -------------------------------------------------------------------------------------------


def test_cameras_climb_as_far_as_the_link_carries():
    record = converse(steady(4e6, 30), CAMERAS)
    for seat in record.seats:
        assert seat.flows[-1][1] == 2
        assert all(0 < time < 30 for time, _level in seat.flows)
    starved = converse(steady(400e3, 30), CAMERAS)
    assert max(seat.flows[-1][1] for seat in starved.seats) == 0


def test_a_voice_is_sent_beside_them():
    record = converse(steady(2e6, 25), usual_tracks(1))
    voice, camera = record.seats
    assert voice.flows[0][1] == 0
    assert not voice.track.is_counted
    assert camera.flows


ACTS = [
    Act(10.0, 0, "off"),
    Act(13.0, 0, "on"),
    Act(15.0, 0, "mute"),
    Act(17.0, 0, "unmute"),
    Act(19.0, 0, "leave"),
    Act(19.5, 0, "off"),
    Act(19.6, 0, "on"),
    Act(19.7, 0, "mute"),
    Act(19.8, 0, "unmute"),
    Act(19.9, 0, "pin", "low"),
    Act(20.0, 0, "target", "low"),
    Act(20.1, 0, "top_off"),
    Act(20.2, 0, "top_on"),
    Act(20.3, 0, "pin"),
    Act(21.0, 0, "join"),
    Act(25.0, 0, "target"),
    Act(28.0, 0, "pin", "medium"),
    Act(31.0, 0, "pin"),
    Act(34.0, 0, "top_off"),
    Act(37.0, 0, "top_on"),
]


def test_what_happens_to_a_receiver_is_seen_in_what_flows():
    record = converse(steady(4e6, 40), CAMERAS[:1], acts=ACTS)
    (seat,) = record.seats

    def level(time):
        return [level for when, level in seat.flows if when <= time][-1]

    assert level(9.9) == 2
    assert level(10.1) == level(12.9) == NONE
    assert level(14.9) == 2
    assert level(16.0) == NONE
    assert level(20.5) == NONE
    assert level(24.9) == 0
    assert level(27.9) == 2
    assert level(30.9) == 1
    assert level(36.9) == 1
    assert level(39.9) == 2
    assert len(seat.joined) == 2
    shown = dict(seat.presence)
    assert shown[10.0] == ()
    assert shown[13.0] == (0, 1, 2)
    assert shown[21.0] == (0,)
    assert shown[28.0] == (1,)
    assert shown[34.0] == (0, 1)


def test_in_an_outage_everything_is_lost_and_a_longer_way_loses_nothing():
    cut = converse(steady(2e6, 30), CAMERAS, impairments=[Outages(at=((20.0, 2.0),))])
    assert sum(cut.dropped[2000:2200]) == sum(cut.media[2000:2200]) + sum(cut.padding[2000:2200])
    assert sum(cut.dropped[2200:]) < 0.2 * sum(cut.media[2200:])
    longer = converse(steady(2e6, 30), CAMERAS, impairments=[LongerWay(at=((20.0, 0.05),))])
    assert sum(longer.dropped[2000:2200]) == 0
    before, after = (
        min(bps for time, bps in run.estimates if 20 <= time < 23) for run in (longer, cut)
    )
    assert before > 0
    assert after > 0


def test_ideal_estimates_know_the_link():
    record = converse(steady(2e6, 30), CAMERAS, estimates="ideal")
    assert len(record.estimates) == 29
    late = [bps for time, bps in record.estimates if time > 10]
    assert 1.8e6 < sum(late) / len(late) < 1.95e6
    assert sum(record.padding) == 0


# --- a job -------------------------------------------------------------------------------------------


def test_a_job_has_all_figures_and_smooth_ones_the_same():
    real = figures_of(job(steps((25, 2e6), (15, 0.8e6), (20, 3e6)), impairments="jitter"))
    smooth = figures_of(Job(steady(2e6, 40), 3, "layered", "real", 1))
    assert all(value is None or isinstance(value, int | float) for value in real.values())
    only_smooth = set(smooth) - set(real)
    only_real = set(real) - set(smooth)
    assert only_smooth == {"oracle_switches"}
    assert only_real == {
        "join_p50", "join_p95", "recovery_p50", "recovery_p95", "used", "packets",
        "estimate_p05", "estimate_p50", "estimate_p95",
    }  # fmt: skip
    assert 0.3 < real["utility_ratio"] <= 1.0
    assert real["recoveries"] == 1
    assert real["recovery_p50"] == real["recovery"]
    assert real["switches_p50"] <= real["switches_p95"]


def test_the_same_job_has_the_same_figures_in_another_process_under_another_hash_seed():
    program = (
        "from tests.lab.simulation.test_conference import busy, figures_of\n"
        "print(figures_of(busy()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert other == f"{figures_of(busy())}\n"


def test_tracks_of_ones_own_and_settings_come_along():
    tracks = (
        SimulatedTrack(name="talk", kind="audio", ladder={"opus": 40_000}, pausable=False),
        SimulatedTrack(name="slides", kind="screen", ladder=dict(SCREEN), priority=10),
        SimulatedTrack(name="thumb", ladder={"only": 57_000}, pausable=False, weight=2.0),
    )
    record = record_of(job(tracks=tracks, acts=False, settings={"probe_reach": 1.0}))
    assert [seat.track.name for seat in record.seats] == ["talk", "slides", "thumb"]
    figures = figures_of(job(tracks=tracks, acts=False))
    assert figures["utility_ratio"] > 0.9
    assert figures["join_p95"] < 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"media": "odd"}, "media must be"),
        ({"media": "real", "estimates": "gcc"}, "real media take real or ideal estimates"),
        ({"media": "smooth", "impairments": "jitter"}, "smooth media have no packets"),
        ({"media": "real", "impairments": "rain"}, "no impairment 'rain'"),
        ({"media": "real", "policy": "reference"}, "reference is a baseline for smooth"),
    ],
)
def test_what_does_not_go_together_is_refused(options, words):
    arguments = {"policy": "layered", "estimates": "real", **options}
    with pytest.raises(ValueError, match=words):
        check_job(Job(steady(1e6, 25), 1, seed=1, **arguments))


def test_a_receiver_that_is_never_there_has_no_figures_of_its_own():
    acts = [Act(1.0, 0, "leave")]
    from trio_allocator.lab.simulation.conference_figures import judge

    trace = steady(2e6, 25)
    gone = judge(converse(trace, CAMERAS[:1], acts=acts), trace, 1, is_ideal=False)
    assert gone["utility"] == gone["oracle"] == gone["switches"] == 0
    assert gone["switches_p50"] is None
    assert not math.isnan(gone["padding"])
