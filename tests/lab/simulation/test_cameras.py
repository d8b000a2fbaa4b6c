"""Cameras: live rates that wander, key frames that take their time."""

import numpy as np
import pytest

from trio_allocator.lab.simulation.cameras import AUDIO, NOMINAL, NONE, UTILITY, Cameras


def test_what_variants_are_worth():
    assert pytest.approx((0.353, 0.610, 1), abs=5e-4) == UTILITY


def test_live_rates_wander_by_a_tenth_around_the_nominal_one():
    cameras = Cameras(1, 60_000, seed=3)
    cameras.switch(0, 0, 2)
    shares = (cameras.rates(0, 60_000) - AUDIO) / NOMINAL[2]
    assert 0.9 <= shares.min() < 0.93
    assert 1.07 < shares.max() <= 1.1
    assert shares.mean() == pytest.approx(1, abs=0.01)
    # It moves slowly: most of a second later it is most of what it was.
    now, later = shares[:-100] - 1, shares[100:] - 1
    assert 0.6 < float((now * later).mean() / (now * now).mean()) < 0.8


def test_audio_is_sent_for_up_to_three():
    for count, tracks in ((1, 1), (3, 3), (10, 3)):
        cameras = Cameras(count, 100, seed=1)
        assert cameras.audio == tracks * 35_000
        assert set(cameras.rates(0, 50)) == {float(cameras.audio)}


def test_a_key_frame_takes_its_time_and_the_old_variant_flows_meanwhile():
    cameras = Cameras(1, 10_000, seed=1)
    waits = []
    for step in range(0, 9000, 100):
        cameras.request(step, 0, step // 100 % 2)
        waits.append(cameras.next_switch - step)
        assert cameras.flowing[0] == (NONE if not step else (step // 100 - 1) % 2)
        assert cameras.take_due() == 0
        cameras.switch(step + int(waits[-1]), 0, cameras.requested[0])
    assert 10 <= min(waits) < 15
    assert 35 < max(waits) <= 40


def test_a_newer_request_replaces_an_older_one_and_what_flows_means_to_stay():
    cameras = Cameras(2, 1000, seed=1)
    cameras.switch(0, 0, 0)
    cameras.request(5, 0, 2)
    first = cameras.next_switch
    cameras.request(200, 0, 1)
    assert cameras.next_switch > 205 > first
    cameras.request(201, 0, 0)
    assert cameras.next_switch == float("inf")
    assert cameras.decisions == [(5, 0, 2), (200, 0, 1), (201, 0, 0)]
    assert cameras.changes == [(0, 0, 0)]


def test_what_was_sent_is_the_integral_of_the_rate():
    cameras = Cameras(2, 1000, seed=7)
    cameras.switch(0, 1, 0)
    low = cameras.rates(0, 333)
    cameras.switch(333, 1, 2)
    high = cameras.rates(333, 777)
    expected = float((low - cameras.audio).sum() + (high - cameras.audio).sum()) * 0.01
    assert cameras.sent(777, 1) == pytest.approx(expected)
    cameras.switch(777, 1, NONE)
    assert cameras.sent(900, 1) == pytest.approx(expected)
    assert cameras.sent(900, 0) == 0


def test_a_camera_is_the_same_in_any_company():
    alone, among = Cameras(1, 1000, seed=5), Cameras(4, 1000, seed=5)
    for cameras in (alone, among):
        cameras.switch(0, 0, 1)
        cameras.request(0, 0, 2)
    assert np.allclose(alone.rates(0, 1000) - alone.audio, among.rates(0, 1000) - among.audio)
    assert alone.next_switch == among.next_switch
    other = Cameras(1, 1000, seed=6)
    other.switch(0, 0, 1)
    assert not np.allclose(alone.rates(0, 1000), other.rates(0, 1000))
