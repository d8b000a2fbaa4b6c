"""What is asked of measurements in words."""

import pytest

from trio_allocator.lab.asked import (
    Asked,
    named_policy,
    parse_policies,
    parse_priorities,
    parse_settings,
    parse_weights,
)
from trio_allocator.lab.replay.recording import RecordingError


def test_what_is_understood():
    assert parse_policies("fair, layered,fair") == ["fair", "layered"]
    assert parse_policies("reference", ["reference"]) == ["reference"]
    assert named_policy("fair") == "fair"
    assert parse_settings(["hold=2", "probe_increment=200k", "estimate_timeout=none"]) == {
        "hold": 2,
        "probe_increment": 200_000,
        "estimate_timeout": None,
    }
    assert parse_settings(["estimates=ideal", "refusal_backoff=inf", "probe_reach=1.5"]) == {
        "estimates": "ideal",
        "refusal_backoff": float("inf"),
        "probe_reach": 1.5,
    }
    assert parse_priorities(["screen=2", "a=b=255"]) == {"screen": 2, "a=b": 255}
    assert parse_weights(["screen=2.5"]) == {"screen": 2.5}
    Asked(priorities={"a": 1}, weights={"b": 2.0}).check_names(["a", "b", "c"])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: parse_policies("hers"), "--policy: 'hers' is not known: choose from layered"),
        (lambda: named_policy("hers"), "--policy: 'hers' is not known"),
        (lambda: parse_settings(["hold"]), "--set: 'hold' is not a setting and its value"),
        (lambda: parse_settings(["grip=1"]), "there are estimates, "),
        (
            lambda: parse_settings(["hodl=2"]),
            "--set: there is no setting 'hodl': did you mean hold? there are estimates, ",
        ),
        (lambda: parse_settings(["hold=-1"]), "--set: hold must be"),
        (lambda: parse_settings(["hold=long"]), "--set: hold must be"),
        (lambda: parse_settings(["estimates=good"]), "--set: estimates must be one of"),
        (lambda: parse_priorities(["screen"]), "--priority: 'screen' must be TRACK=NUMBER"),
        (
            lambda: parse_priorities(["screen=high"]),
            "--priority 'screen=high': 'high' is not a whole number",
        ),
        (lambda: parse_priorities(["screen=256"]), "--priority 'screen=256': priority must be"),
        (
            lambda: parse_priorities(["screen=9,x"]),
            "--priority 'screen=9,x': '9,x' is not a whole number",
        ),
        (lambda: parse_priorities(["screen=0,9"]), "so write (9, 0)"),
        (
            lambda: parse_weights(["screen=heavy"]),
            "--weight 'screen=heavy': 'heavy' is not a number",
        ),
        (lambda: parse_weights(["screen=0"]), "--weight 'screen=0': weight must be"),
        (
            lambda: Asked(priorities={"cam": 1}).check_names(["a", "b"]),
            "--priority: there is no track 'cam': choose from 'a', 'b'",
        ),
        (lambda: Asked(weights={"cam": 1}).check_names(["a"]), "--weight: there is no track"),
    ],
)
def test_what_is_not(wrong, says):
    with pytest.raises(RecordingError) as raised:
        wrong()
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_priority_may_be_given_step_by_step():
    assert parse_priorities(["screen=9, 0", "cam=3"]) == {"screen": (9, 0), "cam": 3}
