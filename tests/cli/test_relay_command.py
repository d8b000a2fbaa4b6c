"""``trio-allocator relay``: what it prints where, and how it ends."""

import json
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from trio_allocator.cli.app import app
from trio_allocator.lab.relay.datagrams import LOOPBACK, open_socket, port_of

RELAY = (sys.executable, "-m", "trio_allocator.cli", "relay")


def invoke(*arguments):
    result = CliRunner().invoke(app, ("relay", *arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "TARGET is missing: give HOST:PORT of who is spoken to, such as 127.0.0.1:5004"),
        (("here",), "TARGET must be HOST:PORT, such as 127.0.0.1:5004, not 'here'"),
        (("5004", "--listen", ":70000"), "--listen must be HOST:PORT"),
        (("5004", "--rate", "fast"), "--rate: 'fast' is not a number"),
        (("5004", "--rate", "-5"), "--rate: '-5' is negative"),
        (("5004", "--rate", "0"), "--rate must be finite and greater than 0"),
        (("5004", "--impair", "rain"), "--impair: there is no impairment 'rain': choose from"),
        (("5004", "--loss", "3"), "--loss must be from 0 to 1 (a probability), not 3"),
        (("5004", "--delay", "-1"), "--delay must be from 0 to 60 s, not -1"),
        (("5004", "--queue", "-1"), "--queue must be from 0 to"),
        (("--say", "rate 1M"), "--say needs the --control SOCKET of a relay that runs"),
        (("--say", "faster", "--control", "/no"), "'faster' is not a command"),
        (("--say", "rate 1M", "--control", "/no/relay"), "no relay listens at /no/relay"),
    ],
)
def test_what_cannot_be_used_gets_one_line_and_code_2(arguments, says):
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("trio-allocator: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_relay_that_is_turned_by_hand_and_by_others(tmp_path):
    control = tmp_path / "relay"
    with open_socket() as server, open_socket() as client:
        server.setblocking(True)
        process = subprocess.Popen(
            [*RELAY, str(port_of(server)), "--json", "--interval", "60", "--control", control],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        host, port = json.loads(process.stdout.readline())["listen"]
        client.sendto(b"hello", (host, port))
        server.settimeout(30)
        assert server.recv(100) == b"hello"
        # By hand, with a slip of the pen, and once the input has ended.
        process.stdin.write("rate 300k\nrat 5\ndelay 0.02 both\nreport\n")
        process.stdin.close()
        told = json.loads(process.stdout.readline())
        assert (told["to_clients"]["rate"], told["to_target"]["delay"]) == (300_000, 0.02)
        # By somebody else.
        assert invoke("--control", str(control), "--say", "loss 0.5 to-target").exit_code == 0
        result = invoke("--control", str(control), "--say", "report")
        assert "to target no limit, 1 of 1 packets through, 0 lost, queue 0 ms" in result.stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        last = json.loads(process.stdout.read())
        assert (last["to_target"]["delivered_bytes"], last["to_target"]["loss"]) == (5, 0.5)
        assert process.stderr.read().startswith("trio-allocator: 'rat' is not a command")
        process.stdout.close()
        process.stderr.close()
    assert not control.exists()
    assert host == LOOPBACK


def test_a_port_that_is_taken_is_told():
    with open_socket() as taken:
        result = subprocess.run(
            [*RELAY, "9", "--listen", str(port_of(taken))],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == "trio-allocator: Address already in use\n"
