"""The transport with a peer on loopback: it connects, and survives whatever else comes."""

from __future__ import annotations

import secrets
import sys
import time
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.lowlevel
from OpenSSL import SSL

from examples.sfu import transport as module
from examples.sfu.dtls import Certificate
from examples.sfu.srtp import PROFILES
from examples.sfu.transport import Transport
from tests.sfu.client import Client

CERTIFICATE = Certificate.make()
RTP = bytes.fromhex("80 60 1234 01020304 0a0b0c0d aabb")
RTCP = bytes.fromhex("80 c9 0001 01020304")


@asynccontextmanager
async def running(client, fingerprint=None):
    """A transport that expects this client; `ending` has why it ended."""
    transport = Transport(CERTIFICATE, host="127.0.0.1")
    transport.expect(fingerprint or client.certificate.fingerprint)
    ending = []
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:

            async def run(task_status):
                task_status.started()
                ending.append(await transport.run())

            await nursery.start(run)
            try:
                yield transport, ending
            finally:
                client.close()
                nursery.cancel_scope.cancel()
    assert transport.send_rtp(RTP) is False, "it is closed, and says so"


async def until(condition):
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - a socket is on the other side
            await trio.sleep(0.005)


@pytest.mark.parametrize("profile", PROFILES)
async def test_packets_go_both_ways(profile):
    client = Client(profiles=profile)
    async with running(client) as (transport, _):
        heard = []
        transport.on_rtp = lambda packet, _: heard.append(packet)
        transport.on_rtcp = heard.append
        assert not transport.send_rtp(RTP)
        assert not transport.send_rtcp(RTCP)
        await client.connect(transport)
        client.send(transport, client.outbound.protect(RTP))
        client.send(transport, client.outbound.protect_rtcp(RTCP))
        await until(lambda: heard == [RTP, RTCP])
        assert transport.send_rtp(RTP)
        assert transport.send_rtcp(RTCP)
        received = []
        while len(received) < 2:
            data = await client.receive()
            if data[0] >= 128:
                received.append(data)
        assert len(received[0]) == len(RTP) + transport.tag_size
        assert client.inbound.unprotect(received[0]) == RTP
        assert client.inbound.unprotect_rtcp(received[1]) == RTCP


async def test_the_peer_that_leaves_ends_it():
    client = Client()
    async with running(client) as (transport, ending):
        await client.connect(transport)
        client.tls.shutdown()
        client.send_flight(transport)
        await until(lambda: ending == ["the peer has left"])


async def test_leaving_is_told_to_the_peer():
    client = Client()
    async with running(client) as (transport, _):
        await client.connect(transport)
        transport.close()
        with trio.fail_after(5):
            while True:
                data = await client.receive()
                if 20 <= data[0] < 64:
                    client.tls.bio_write(data)
                    try:
                        client.tls.recv(100)
                    except SSL.ZeroReturnError:
                        break
                    except SSL.WantReadError:
                        pass


async def test_another_certificate_than_the_offer_s_is_not_let_in():
    client = Client()
    async with running(client, fingerprint=CERTIFICATE.fingerprint) as (transport, ending):
        client.check(transport)
        with trio.move_on_after(5):
            while not ending:
                with suppress(SSL.WantReadError):
                    client.tls.do_handshake()
                client.send_flight(transport)
                with trio.move_on_after(0.1):
                    data = await client.receive()
                    if 20 <= data[0] < 64:
                        client.tls.bio_write(data)
        assert ending
        assert "fingerprint" in ending[0]
        assert not transport.connected.is_set()


@pytest.mark.parametrize("wrong", [{"key": "another password"}, {"ufrag": "another"}])
async def test_a_check_that_does_not_know_the_password_is_not_answered(wrong):
    client = Client()
    async with running(client) as (transport, _):
        client.check(transport, **wrong)
        await until(lambda: transport.counts["strange"] == 1)
        assert transport.ice.remote is None
        client.check(transport)
        with trio.fail_after(5):
            assert (await client.receive())[:2] == b"\x01\x01"


async def test_dtls_from_an_address_that_was_not_checked_is_not_answered():
    client, stranger = Client(), Client()
    async with running(client) as (transport, _):
        with pytest.raises(SSL.WantReadError):
            stranger.tls.do_handshake()
        stranger.send_flight(transport)
        await until(lambda: transport.counts["strange"] == 1)
        assert transport.counts["sent"] == 0
        stranger.close()


async def test_garbage_of_all_kinds_is_survived():
    client = Client()
    async with running(client) as (transport, ending):
        heard = []
        transport.on_rtp = lambda packet, _: heard.append(packet)
        await client.connect(transport)
        garbage = [b"", *(bytes([first]) for first in range(256))]
        garbage += [bytes([first]) + secrets.token_bytes(40) for first in range(256)]
        for size in (2, 7, 8, 11, 12, 20, 1_472):
            garbage += [bytes([first]) + secrets.token_bytes(size - 1) for first in (0, 22, 128)]
        for data in garbage:
            client.send(transport, data)
            await trio.lowlevel.checkpoint()
        client.send(transport, client.outbound.protect(RTP))
        await until(lambda: heard == [RTP])
        assert not ending
        assert transport.counts["strange"] > 100
        assert transport.counts["refused"] > 50


async def test_a_packet_that_comes_twice_counts_once():
    client = Client()
    async with running(client) as (transport, _):
        heard = []
        transport.on_rtp = lambda packet, _: heard.append(packet)
        await client.connect(transport)
        packet = client.outbound.protect(RTP)
        client.send(transport, packet)
        client.send(transport, packet)
        await until(lambda: transport.counts["refused"] == 1)
        assert heard == [RTP]


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel says so")
async def test_a_packet_arrives_when_it_came_and_not_when_it_was_read():
    client = Client()
    async with running(client) as (transport, _):
        heard = []
        transport.on_rtp = lambda _, arrived_at: heard.append((arrived_at, trio.current_time()))
        await client.connect(transport)
        client.send(transport, client.outbound.protect(RTP))
        time.sleep(0.1)  # noqa: ASYNC251 - something else keeps the process busy
        await until(lambda: heard)
        ((arrived_at, read_at),) = heard
        assert read_at - arrived_at >= 0.1


async def test_without_the_kernels_word_a_packet_arrives_when_it_is_read(monkeypatch):
    monkeypatch.setattr(module, "_TIMESTAMPS", None)
    client = Client()
    async with running(client) as (transport, _):
        heard = []
        transport.on_rtp = lambda _, arrived_at: heard.append(arrived_at)
        await client.connect(transport)
        sent_at = trio.current_time()
        client.send(transport, client.outbound.protect(RTP))
        await until(lambda: heard)
        assert sent_at <= heard[0] <= trio.current_time()


async def test_others_get_their_turn_during_a_flood():
    client, flooder = Client(), Client()
    async with running(client) as (transport, ending):
        await client.connect(transport)
        other = Client()
        async with running(other) as (elsewhere, _):
            await other.connect(elsewhere)
            heard = []
            elsewhere.on_rtp = lambda packet, _: heard.append(packet)
            async with trio.open_nursery() as nursery:

                async def flood():
                    while True:
                        for _ in range(200):
                            flooder.send(transport, b"\xffnothing")
                        await trio.lowlevel.checkpoint()

                nursery.start_soon(flood)
                await until(lambda: transport.counts["strange"] > module.STRANGE)
                other.send(elsewhere, other.outbound.protect(RTP))
                await until(lambda: heard)
                nursery.cancel_scope.cancel()
        flooder.close()
        assert not ending


async def test_a_peer_that_is_not_heard_of_any_more_ends_it(monkeypatch):
    monkeypatch.setattr(module, "CONSENT", 0.3)
    client = Client()
    async with running(client) as (transport, ending):
        await client.connect(transport)
        client.send(transport, client.outbound.protect(RTP))  # media is no consent
        await until(lambda: ending)
        assert "not been heard of" in ending[0]


async def test_who_never_connects_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(module, "HANDSHAKE", 0.2)
    client = Client()
    async with running(client) as (_transport, ending):
        await until(lambda: ending)
        assert "has not connected" in ending[0]


async def test_a_peer_may_move():
    client, moved = Client(), Client()
    async with running(client) as (transport, _):
        await client.connect(transport)
        moved.check(transport)
        await until(lambda: transport.ice.remote == moved.socket.getsockname())
        assert transport.send_rtp(RTP)
        moved.close()


async def test_a_flight_of_the_handshake_that_was_lost_is_sent_again():
    client = Client()
    async with running(client) as (transport, _):
        client.check(transport)
        await client.receive()
        with pytest.raises(SSL.WantReadError):
            client.tls.do_handshake()
        client.send_flight(transport)
        lost = await client.receive()
        with trio.fail_after(10):  # OpenSSL waits for a second
            while True:
                again = await client.receive()
                if 20 <= again[0] < 64 and again[13:25] == lost[13:25]:
                    break  # the same message of the handshake


async def test_a_port_that_is_taken_is_an_error_and_leaks_nothing():
    client = Client()
    async with running(client) as (transport, _):
        with pytest.raises(OSError, match="in use"):
            Transport(CERTIFICATE, host="127.0.0.1", port=transport.address[1])
