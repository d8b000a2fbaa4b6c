"""What a relay can be told, in words."""

import re
from pathlib import Path

import pytest

from trio_allocator.lab.relay.commands import (
    Break,
    CommandError,
    Reporting,
    Setting,
    Way,
    parse_command,
)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("rate 600k", Setting(rate=600_000)),
        ("  rate 2.5M   to-target ", Setting(Way.TO_TARGET, rate=2_500_000)),
        (
            "rate 1M delay 0.08 loss .02 queue 75000",
            Setting(rate=1e6, delay=0.08, loss=0.02, queue=75_000),
        ),
        ("both loss 0", Setting(Way.BOTH, loss=0.0)),
        ("pause 0.3", Break(0.3, is_cut=False)),
        ("cut 5 to-clients", Break(5.0, is_cut=True, way=Way.TO_CLIENTS)),
        ("report", Reporting()),
    ],
)
def test_what_is_understood(line, command):
    assert parse_command(line) == command
    # What a command says of itself is understood again.
    assert parse_command(str(command)) == command


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "nothing is to be changed: write such as `rate 600k`"),
        ("to-clients", "nothing is to be changed"),
        ("bandwidth 3", "'bandwidth' is not a command: write one of rate, delay"),
        ("rate", "rate needs a number, such as `rate 600k`"),
        ("rate fast", "rate 'fast' is not a number"),
        ("rate 0", "rate must be finite and greater than 0 bit/s, not 0: `pause` or `cut`"),
        ("rate 1M rate 2M", "rate is given twice"),
        ("delay", "delay needs a number"),
        ("loss x", "loss needs a number, such as `loss 0.02`"),
        ("loss 2", "loss must be from 0 to 1 (a probability), not 2"),
        ("delay -1", "delay must be from 0 to 60 s, not -1"),
        ("delay nan", "delay needs a number"),
        ("pause 1 rate 1M", "pause must stand alone"),
        ("pause 1e9", "pause must be from 0 to 3600 s"),
        ("cut 4000", "cut must be from 0 to 3600 s"),
        ("queue 1e20", "queue must be from 0 to"),
        ("report now", "'report' is not a command"),
    ],
)
def test_what_is_not(line, says):
    with pytest.raises(CommandError) as raised:
        parse_command(line)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_documentation_tells_of_all_of_them():
    page = (Path(__file__).parents[3] / "docs" / "relay.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    commands = [parse_command(line) for line in told]
    assert {type(command) for command in commands} == {Setting, Break, Reporting}
    assert {line.split()[0] for line in told} == {
        *("rate", "delay", "loss", "queue", "pause", "cut", "report")
    }
