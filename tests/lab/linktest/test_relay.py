"""Real processes and real sockets on loopback, for a moment; no clock is judged."""

import os
import socket

import pytest
import trio

from trio_allocator.lab.linktest.bottleneck import Bottleneck, Impairment, RateSchedule
from trio_allocator.lab.linktest.child import ChildError, open_child
from trio_allocator.lab.linktest.datagrams import LOOPBACK, open_socket, port_of, receive
from trio_allocator.lab.linktest.relay import configuration


async def next_datagram(opened):
    with trio.fail_after(10):
        while (received := receive(opened)) is None:
            await trio.lowlevel.wait_readable(opened)
        return received


@pytest.fixture
def sockets():
    opened = [open_socket() for _client in range(3)]
    yield opened
    for one in opened:
        one.close()


async def test_a_relay_is_a_link(sockets):
    client, other, server = sockets
    schedule, impairment = RateSchedule(((0, 1e6),)), Impairment(0.001, 4_000)
    link = configuration(schedule, impairment, 1)
    async with open_child("relay") as relay:
        assert await relay.ask(link) == {}
        port = (await relay.ask({"flow": [LOOPBACK, port_of(server)]}))["port"]
        # Before the start there is no bottleneck, and nothing is counted.
        client.sendto(b"before", (LOOPBACK, port))
        data, client_side, _came = await next_datagram(server)
        assert data == b"before"
        other.sendto(b"hello", (LOOPBACK, port))
        data, other_side, _came = await next_datagram(server)
        assert (data, other_side == client_side) == (b"hello", False)
        # Answers find their way back to whoever was spoken to.
        server.sendto(b"to the client", client_side)
        assert (await next_datagram(client))[0] == b"to the client"
        server.sendto(b"to the other", other_side)
        assert (await next_datagram(other))[:2] == (b"to the other", (LOOPBACK, port))

        started = (await relay.ask({"start": True}))["started"]
        for number in range(8):
            client.sendto(bytes([number]) * 1_000, (LOOPBACK, port))
        arrivals = [await next_datagram(server) for _packet in range(4)]
        report = await relay.ask({"stop": True})
    numbers = [data[0] for data, _sender, _came in arrivals]
    assert numbers == sorted(numbers)
    assert started <= arrivals[0][2]
    assert min(report["lateness"]) >= 0
    # It does with what came when it came what the arithmetic says.
    model = Bottleneck(schedule, impairment, lambda: 1.0)
    for arrived, flow, size, waited, left in report["packets"]:
        passage = model.offer(arrived, size)
        assert (flow, size) == (0, 1_000)
        expected = (None, None) if passage is None else (passage.waited, passage.left)
        assert (waited, left) == pytest.approx(expected, abs=1e-5)
    assert (report["overflowed"], report["lost"]) == (model.overflowed, 0)


async def test_a_child_that_dies_leaves_one_line():
    async with open_child("relay") as relay:
        with pytest.raises(ChildError, match=r"relay has ended: .*not a command of the relay"):
            await relay.ask({"no": "command"})
        with pytest.raises(ChildError, match="relay has ended"):
            await relay.ask({"start": True})


async def test_a_child_ends_with_its_block(monkeypatch):
    monkeypatch.setattr("trio_allocator.lab.linktest.child._FAREWELL", 60.0)  # machines are busy
    async with open_child("relay") as relay:
        process = relay._process
        assert process.poll() is None
    assert process.returncode == 0


async def test_a_child_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr("trio_allocator.lab.linktest.child._FAREWELL", 0.01)
    async with open_child("relay") as relay:
        # As it would be while its machine is busy: it does not notice the end of its input.
        os.kill(relay._process.pid, 19)
        process = relay._process
    assert process.returncode == -9


def test_a_refused_datagram_is_not_an_error(sockets):
    client, gone, _server = sockets
    port = port_of(gone)
    gone.close()
    client.connect((LOOPBACK, port))
    client.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        client.recv(10)
    client.send(b"anybody?")
    assert receive(client) is None


def test_without_time_stamps_of_the_kernel_it_is_the_readers_time(monkeypatch):
    monkeypatch.setattr("sys.platform", "elsewhere")
    opened = open_socket()
    with opened, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", (LOOPBACK, port_of(opened)))
        data, _sender, _came = receive(opened)
        assert data == b"x"
