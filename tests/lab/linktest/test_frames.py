"""What a flow of ours films."""

from itertools import pairwise

import pytest

from trio_allocator import Track
from trio_allocator.lab.linktest.frames import Media, make_frames

CAMERA = Track("camera", kind="video", variants={"low": 130_000, "high": 1_250_000})
VOICE = Track("voice", kind="audio", variants={"opus": 35_000})


def filmed(frames, variant, seconds, begin=0.0):
    count = round(seconds * frames.rate)
    return [frames.sizes(variant, begin + number / frames.rate) for number in range(count)]


def test_smooth_frames_are_all_alike():
    frames = make_frames(Media.SMOOTH, 1)(CAMERA)
    frames.switched()
    sizes = filmed(frames, "high", 2)
    assert sizes == [[pytest.approx(1_250_000 / 8 / 30)]] * 60


def test_a_switch_brings_one_key_frame():
    frames = make_frames(Media.REAL, 1)(CAMERA)
    first = [sum(sizes) for sizes in filmed(frames, "high", 10)]
    usual = sorted(first)[len(first) // 2]
    assert 5 * usual < first[0] < 12 * usual
    assert max(first[1:]) < 3 * usual
    assert len(set(first)) > 100, "frames differ"
    frames.switched()
    then = [sum(sizes) for sizes in filmed(frames, "low", 1, begin=10)]
    assert then[0] > 4 * max(then[5:])
    # Live rates are near the declared one.
    assert 0.6 * 1_250_000 < 8 * sum(first) / 10 < 2 * 1_250_000


def test_the_same_seed_films_the_same():
    def sizes(seed):
        return filmed(make_frames(Media.REAL, seed)(CAMERA), "low", 3)

    assert sizes(1) == sizes(1) != sizes(2)


def test_a_voice_talks_and_is_silent():
    frames = make_frames(Media.REAL, 3)(VOICE)
    seconds = [sum(map(sum, filmed(frames, "opus", 1, begin=second))) * 8 for second in range(120)]
    assert max(seconds) == pytest.approx(35_000, rel=0.1)
    assert min(seconds) < 2_000
    assert any(abs(one - other) > 20_000 for one, other in pairwise(seconds))


def test_who_was_away_does_not_say_it_all_at_once():
    frames = make_frames(Media.REAL, 3)(VOICE)
    frames.sizes("opus", 0.0)
    assert len(frames.sizes("opus", 60.0)) <= 4
