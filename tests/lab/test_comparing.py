"""What counts as better or worse, and what as chance."""

import json

import pytest

from trio_allocator.lab.comparing import (
    Outcome,
    Point,
    compare,
    read_result,
    student,
)
from trio_allocator.lab.replay.recording import RecordingError


def points(values, figure="qoe", group="steady, layered"):
    return "score", [Point(group, f"seed {n}", figure, value) for n, value in enumerate(values)]


def outcome(before, after, figure="qoe"):
    (one,) = compare(points(before, figure), points(after, figure)).differences
    return one.outcome


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 636.62), (2, 31.599), (3, 12.924), (10, 4.587), (30, 3.646)]
)
def test_students_t_is_that_of_the_tables(freedom, expected):
    assert student(freedom) == pytest.approx(expected, rel=1e-4)


def test_nothing_has_changed():
    assert outcome([0.5, 0.6, 0.7], [0.5, 0.6, 0.7]) is Outcome.SAME
    assert not compare(points([0.5]), points([0.5])).is_regression


def test_what_is_the_same_in_every_run_counts():
    assert outcome([0.5, 0.6, 0.7], [0.45, 0.55, 0.65]) is Outcome.WORSE
    assert outcome([0.5, 0.6, 0.7], [0.55, 0.65, 0.75]) is Outcome.BETTER
    # Of some figures less is better.
    assert outcome([2.0, 3.0], [3.0, 4.0], "switches") is Outcome.WORSE
    assert outcome([2.0, 3.0], [1.0, 2.0], "switches") is Outcome.BETTER


def test_what_is_too_little_to_matter_does_not():
    assert outcome([0.5, 0.6, 0.7], [0.497, 0.597, 0.697]) is Outcome.SAME


def test_what_chance_does_does_not():
    assert outcome([0.5, 0.6, 0.7], [0.55, 0.5, 0.65]) is Outcome.SAME
    # The same mean difference in many runs is no chance.
    before = [0.5 + 0.01 * n for n in range(40)]
    after = [value - 0.03 + 0.03 * (-1) ** n for n, value in enumerate(before)]
    assert outcome(before, after) is Outcome.WORSE


def test_a_single_run_must_differ_more():
    assert outcome([0.5], [0.493]) is Outcome.SAME
    assert outcome([0.5], [0.48]) is Outcome.WORSE


def test_only_runs_that_both_have_are_compared():
    found = compare(points([0.5, 0.6, 0.7, 0.1]), points([0.5, 0.6, 0.7]))
    assert (found.differences[0].pairs, found.unpaired) == (3, 1)
    with pytest.raises(RecordingError, match="no run in common"):
        compare(points([0.5]), points([0.5], group="steady, fair"))
    with pytest.raises(RecordingError, match="of score, the other of replay: compare like"):
        compare(points([0.5]), ("replay", []))


def test_figures_that_tell_of_the_world_are_not_judged():
    assert compare(points([0.5], "oracle"), points([0.1], "oracle")).differences == ()


RUN = {"changes": 3, "quality": 0.9, "padding_bytes": 1000, "duration_s": 10.0, "recording": "x"}
PRINTED = {
    "score": {
        "score": {"extent": "quick"},
        "runs": [
            {
                "chapter": "steady",
                "condition": "1.5 Mbit/s, N = 1",
                "policy": "fair",
                "seed": 1,
                "figures": {"qoe": 0.5, "recovery": None},
            }
        ],
    },
    "simulate": {
        "means": [],
        "runs": [{"trace": "x", "receivers": 3, "policy": "fair", "seed": 1, "qoe": 0.5}],
    },
    "link-test": {
        "schedules": [
            {"schedule": "steps", "flows": ["ours"], "figures": {"utilisation": 0.8}},
            {"schedule": "ramp", "flows": ["ours"], "figures": None},
        ]
    },
    "replay": {**RUN, "policy": "fair", "share_over_estimate": 0.1},
}


@pytest.mark.parametrize("kind", PRINTED)
def test_what_commands_print_is_read(tmp_path, kind):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(PRINTED[kind]))
    found, values = read_result(path)
    assert found == kind
    assert all("fair" in value.group or "ours" in value.group for value in values)
    assert {value.figure: value.value for value in values}.items() >= {
        "score": {"qoe": 0.5},
        "simulate": {"qoe": 0.5},
        "link-test": {"utilisation": 0.8},
        "replay": {"quality": 0.9, "padding_bps": 800.0},
    }[kind].items()


def test_several_policies_of_a_replay(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"policies": [{**RUN, "policy": name} for name in "ab"]}))
    assert {value.group for value in read_result(path)[1]} == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "old.json: not JSON: give what a command printed with --json"),
        ("[]", "old.json: not what score, simulate, link-test or replay print"),
        ("{}", "old.json: not what score"),
        ('{"score": 1}', "old.json: looks like what score printed, and lacks some of it"),
        ('{"score": 1, "runs": [{}]}', "looks like what score printed"),
    ],
)
def test_what_is_nothing_of_the_kind(tmp_path, text, says):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(RecordingError) as raised:
        read_result(path)
    assert says in str(raised.value)
