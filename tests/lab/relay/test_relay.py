"""Real processes and real sockets on loopback, for a moment; no clock is judged."""

import json
import os
import signal
import socket
from contextlib import closing

import pytest
import trio

from trio_allocator.lab.child import ChildError, open_child
from trio_allocator.lab.relay import (
    UNLIMITED,
    CommandError,
    Relay,
    RelayError,
    Way,
    connect_relay,
    open_relay,
)
from trio_allocator.lab.relay.datagrams import LOOPBACK, bind, open_socket, port_of, receive
from trio_allocator.lab.relay.link import Link
from trio_allocator.lab.relay.process import Relay as Process, configuration


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
    steps = ((0.0, 1e6),)
    async with open_child("relay") as child:
        relay = Relay(child)
        await relay.ask(
            configuration(
                toward=Way.TO_TARGET,
                steps=steps,
                delay=0.001,
                queue=4_000,
                loss=0.0,
                seed=1,
                is_logged=True,
            )
        )
        address = await relay.open_flow((LOOPBACK, port_of(server)))
        # Before the start there is no bottleneck, and nothing is counted.
        client.sendto(b"before", address)
        data, client_side, _came = await next_datagram(server)
        assert data == b"before"
        other.sendto(b"hello", address)
        data, other_side, _came = await next_datagram(server)
        assert (data, other_side == client_side) == (b"hello", False)
        # Answers find their way back to whoever was spoken to.
        server.sendto(b"to the client", client_side)
        assert (await next_datagram(client))[0] == b"to the client"
        server.sendto(b"to the other", other_side)
        assert (await next_datagram(other))[:2] == (b"to the other", address)

        started = await relay.start()
        for number in range(8):
            client.sendto(bytes([number]) * 1_000, address)
        arrivals = [await next_datagram(server) for _packet in range(4)]
        log = await relay.log()
    numbers = [data[0] for data, _sender, _came in arrivals]
    assert numbers == sorted(numbers)
    assert started <= arrivals[0][2]
    assert min(log["lateness"]) >= 0
    # It does with what came when it came what the arithmetic says.
    model = Link(steps, start=0.0, delay=0.001, queue=4_000, loss=0.0, chance=lambda: 1.0)
    for number, (arrived, flow, size, waited, _left) in enumerate(log["packets"]):
        assert (flow, size) == (0, 1_000)
        assert model.offer(arrived, size, number) is (waited is not None)
    expected = {packet.payload: (packet.waited, packet.left) for packet in model.take(1e9)}
    for number, (_arrived, _flow, _size, waited, left) in enumerate(log["packets"]):
        if waited is not None:
            assert (waited, left) == pytest.approx(expected[number], abs=1e-5)
    assert (log["overflowed"], log["lost"]) == (model.counters.overflowed, 0)


@pytest.mark.parametrize("toward", list(Way))
async def test_either_way_can_be_the_narrow_one(sockets, toward):
    """Of 20 packets, a narrow way of 1 s a packet has room for four, however late they are sent."""
    client, _other, server = sockets
    target = (LOOPBACK, port_of(server))

    async def record(relay, way):
        with trio.fail_after(10):
            while True:
                report = await relay.report()
                told = report.to_clients if way is Way.TO_CLIENTS else report.to_target
                if told.packets == 20:
                    return told

    async with open_relay(target, toward=toward, rate=8_000, queue=3_000) as relay:
        send_to, receive_at = relay.address, server
        for way in (Way.TO_TARGET, Way.TO_CLIENTS):
            await relay.set(rate=8_000)
            sender = client if way is Way.TO_TARGET else server
            for _packet in range(20):
                sender.sendto(bytes(1_000), send_to)
            told = await record(relay, way)
            is_narrow = way in toward.singles()
            assert told.rate == (8_000 if is_narrow else UNLIMITED)
            assert (told.bytes, told.overflowed > 0) == (20_000, is_narrow)
            # What still waits may leave now.
            await relay.set(rate=1e9)
            for _packet in range(3):
                _data, came_from, _came = await next_datagram(receive_at)
            send_to, receive_at = came_from, client
        report = await relay.report()
    assert report.clients == 1
    assert report.lateness.deliveries >= 6
    assert 0 <= report.lateness.p50 <= report.lateness.p99 <= report.lateness.max


async def test_a_way_that_becomes_narrow_later_has_the_queue_of_the_other(sockets):
    client, _other, server = sockets
    async with open_relay((LOOPBACK, port_of(server)), toward=Way.TO_CLIENTS, queue=3_000) as relay:
        assert (await relay.report()).to_target.queue > 3_000
        await relay.set(rate=8_000, way=Way.TO_TARGET)
        for _packet in range(20):
            client.sendto(bytes(1_000), relay.address)
        with trio.fail_after(10):
            while (report := await relay.report()).to_target.packets < 20:
                pass
    assert report.to_target.queue == 3_000
    assert report.to_target.overflowed > 0


async def test_it_is_turned_while_it_runs(sockets):
    client, _other, server = sockets
    async with open_relay((LOOPBACK, port_of(server)), toward=Way.TO_TARGET) as relay:
        # All that waits in a queue of 10 s ...
        await relay.set(rate=8_000, queue=50_000)
        for _packet in range(10):
            client.sendto(bytes(1_000), relay.address)
        with trio.fail_after(10):
            while (await relay.report()).to_target.packets < 10:
                pass
        assert (await relay.report()).to_target.queue_delay > 5
        # ... leaves at once when the way becomes wide.
        await relay.set(rate=1e9)
        for _packet in range(10):
            await next_datagram(server)
        assert (await relay.report()).to_target.queued_bytes == 0

        # Nothing passes a cut, either way; what is sent in a pause comes after it.
        await relay.cut(3_600)
        client.sendto(b"lost", relay.address)
        with trio.fail_after(10):
            while (await relay.report()).to_target.cut < 1:
                pass
        await relay.cut(0)
        await relay.pause(0.05)
        client.sendto(b"late", relay.address)
        assert (await next_datagram(server))[0] == b"late"

        await relay.set(loss=1, delay=0.02, way=Way.TO_CLIENTS)
        report = await relay.report()
        assert (report.to_clients.loss, report.to_clients.delay) == (1, 0.02)
        assert (report.to_target.loss, report.to_target.delay) == (0, 0)
        with pytest.raises(CommandError, match="loss must be from 0 to 1"):
            await relay.set(loss=2)


async def test_somebody_else_turns_it_over_its_socket(sockets, tmp_path):
    path = tmp_path / "relay"
    async with open_relay((LOOPBACK, 9), control=path) as relay:
        async with connect_relay(path) as control:
            await control.set(rate=600_000, delay=0.08)
            assert (await control.report()).to_clients.rate == 600_000
            with pytest.raises(CommandError):
                await control.pause(-1)
        assert (await relay.report()).to_clients.delay == 0.08
        # Anything that can write a line will do; who writes nonsense is told so.
        stream = await trio.open_unix_socket(path)
        async with stream:
            await stream.send_all(b"rate 700k\nfaster!\n\xff\n")
            answers = b""
            while answers.count(b"\n") < 3:
                answers += await stream.receive_some()
            first, second, third = map(json.loads, answers.splitlines())
            assert first == {}
            assert "'faster!' is not a command" in second["error"]
            assert "is not a command" in third["error"]
            # Nor does somebody hurt who never ends the line.
            with pytest.raises(trio.BrokenResourceError):
                while True:
                    await stream.send_all(bytes(10_000))
        assert (await relay.report()).to_clients.rate == 700_000
    assert not path.exists()
    with pytest.raises(RelayError, match="no relay listens at"):
        async with connect_relay(path):
            pass


async def test_a_socket_that_a_killed_relay_left_is_taken_over(tmp_path):
    path = tmp_path / "relay"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    async with open_relay((LOOPBACK, 9), control=path):
        with pytest.raises(RelayError, match="in use"):
            async with open_relay((LOOPBACK, 9), control=path):
                pass


async def test_what_is_asked_by_many_tasks_and_given_up_is_not_mixed_up():
    async with open_relay((LOOPBACK, 9)) as relay:

        async def ask(rate):
            await relay.set(rate=rate)
            await relay.report()

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, 1e6 + number)
            with trio.CancelScope() as scope:
                scope.cancel()
                await relay.report()
        # An answer that nobody waits for any more is not taken for the next one.
        with trio.move_on_after(0):
            await relay.report()
        assert (await relay.ask({"turn": "rate 1M"})) == {"n": relay._asked}


async def test_a_port_that_is_taken_is_refused(sockets):
    taken = port_of(sockets[0])
    with pytest.raises(RelayError, match="in use"):
        async with open_relay((LOOPBACK, 9), listen=(LOOPBACK, taken)):
            pass
    with pytest.raises(CommandError, match="rate must be finite"):
        async with open_relay((LOOPBACK, 9), rate=0):
            pass
    with pytest.raises(OSError, match="in use"):
        bind(LOOPBACK, taken)


async def test_clients_are_bounded_and_the_most_silent_one_is_forgotten(sockets, monkeypatch):
    monkeypatch.setattr("trio_allocator.lab.relay.process.MOST_CLIENTS", 2)
    links = configuration(
        toward=Way.BOTH, steps=[(0.0, 1e9)], delay=0, queue=10_000, loss=0, seed=1
    )["links"]
    relay = Process(links)
    with closing(relay), open_socket() as server:
        port = relay.open_flow((LOOPBACK, port_of(server)), (LOOPBACK, 0))
        seen = []
        for client in (*sockets, sockets[1]):
            client.sendto(b"hello", (LOOPBACK, port))
            while (received := receive(server)) is None:
                relay.step()
            seen.append(received[1])
        # The second one still has its way when the third has taken the first one's place.
        assert seen[3] == seen[1]
        assert len(relay._clients) == 2
        server.sendto(b"back", seen[1])
        while (received := receive(sockets[1])) is None:
            relay.step()
        assert received[0] == b"back"
        sockets[0].sendto(b"again", (LOOPBACK, port))
        while (received := receive(server)) is None:
            relay.step()
        assert received[1] not in seen


async def test_a_relay_that_died_says_so():
    async with open_relay((LOOPBACK, 9)) as relay:
        os.kill(relay._child._process.pid, signal.SIGKILL)
        with pytest.raises(RelayError, match="relay has ended"):
            await relay.report()


async def test_a_child_that_dies_leaves_one_line():
    async with open_child("relay") as relay:
        with pytest.raises(ChildError, match=r"relay has ended: .*not a command of the"):
            await relay.ask({"no": "command"})
        with pytest.raises(ChildError, match="relay has ended"):
            await relay.ask({"start": True})


async def test_a_child_ends_with_its_block(monkeypatch):
    monkeypatch.setattr("trio_allocator.lab.child._FAREWELL", 60.0)  # machines are busy
    async with open_child("relay") as relay:
        process = relay._process
        assert process.poll() is None
    assert process.returncode == 0


async def test_a_child_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr("trio_allocator.lab.child._FAREWELL", 0.01)
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


async def test_impairments_are_known_by_name(sockets):
    client, _other, server = sockets
    with pytest.raises(ValueError, match="no impairment 'rain'"):
        async with open_relay((LOOPBACK, 9), impairments="rain"):
            pass
    target = (LOOPBACK, port_of(server))
    async with open_relay(target, toward=Way.TO_TARGET, impairments="loss,jitter") as relay:
        for _packet in range(300):
            client.sendto(b"x", relay.address)
        with trio.fail_after(10):
            while (told := (await relay.report()).to_target).packets < 300:
                pass
        assert 0 < told.lost < 30
