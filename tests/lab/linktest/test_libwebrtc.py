"""libwebrtc's side: what is asked of its process, and, where it is installed, whether it runs."""

import json
from importlib.metadata import PackageNotFoundError

import pytest
from typer.testing import CliRunner

from trio_allocator.cli.app import app
from trio_allocator.lab.linktest import libwebrtc
from trio_allocator.lab.linktest.libwebrtc import LibwebrtcFlow
from trio_allocator.lab.linktest.result import Stack


class Child:
    """A process that answers what it is told to."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    async def ask(self, command):
        self.asked.append(command)
        (name,) = command
        return self.answers.get(name, {})


async def test_what_its_process_is_asked():
    # Time, estimate, payload, retransmissions.
    samples = [[10.5, 300_000, 0, 0], [11.0, 400_000, 5_000, 0], [12.0, 500_000, 20_000, 1_200]]
    child = Child(stop={"samples": samples})
    flow = LibwebrtcFlow(child, ("127.0.0.1", 5))
    assert flow.address == ("127.0.0.1", 5)
    await flow.connect(7)
    await flow.set_active(True)
    record = await flow.stop(10.0)
    assert child.asked == [{"relay": 7}, {"active": True}, {"stop": True}]
    assert record.stack is Stack.LIBWEBRTC
    assert list(record.estimates) == [(0.5, 300_000), (1.0, 400_000), (2.0, 500_000)]
    assert list(record.repeated) == [(1.0, 0), (2.0, 1_200)]
    assert record.media == 18_800


async def test_one_that_never_had_an_estimate():
    record = await LibwebrtcFlow(Child(stop={"samples": []}), ("", 0)).stop(0.0)
    assert (record.estimates, record.repeated, record.media) == ((), (), 0)


def test_which_version_there_is(monkeypatch):
    monkeypatch.setattr(libwebrtc, "version", lambda name: f"{name} 7")
    assert libwebrtc.installed() == "wrtc 7"

    def missing(_name):
        raise PackageNotFoundError

    monkeypatch.setattr(libwebrtc, "version", missing)
    assert libwebrtc.installed() is None


@pytest.mark.skipif(
    libwebrtc.installed() != libwebrtc.VERSION, reason="the extra `peers` is not installed"
)
def test_a_real_one_sends_over_the_relay():
    arguments = ("link-test", "--only", "libwebrtc", "--schedule", "steps", "--scale", "0.03")
    result = CliRunner().invoke(app, (*arguments, "--json"))
    (row,) = json.loads(result.stdout)["schedules"]
    assert result.exit_code == (3 if row["starved"] else 0)
    if not row["starved"]:
        assert row["figures"]["utilisation"] > 0.1
        assert row["figures"]["media"] > 0.5
