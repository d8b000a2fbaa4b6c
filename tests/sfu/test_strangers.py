"""What strangers send to a server at work: whoever publishes and watches there notices nothing of it."""

from __future__ import annotations

import json
import random
import re
import secrets
import socket as sockets
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import trio

from examples.sfu.publication import MOST_DECLARED, WIRE
from examples.sfu.sdp import MOST_LAYERS
from tests.sfu.load import Publisher, Subscriber
from tests.sfu.offers import PUBLISH, WATCH, without
from tests.sfu.pages import open_socket
from tests.sfu.test_signalling import publish, said, serving

TURNS = 20


class Show:
    """Somebody publishes, and somebody watches."""

    def __init__(self, room, port, subscriber):
        self.room, self.port, self.subscriber = room, port, subscriber

    async def goes_on(self):
        """The watcher gets more pictures, over the connection that it has had all the time."""
        connection = next(iter(self.room.subscribers.values())).connection
        before = len(self.subscriber.frames)
        while len(self.subscriber.frames) < before + 3:  # noqa: ASYNC110 - sockets make it true
            await trio.sleep(0.01)
        assert next(iter(self.room.subscribers.values())).connection is connection


@contextmanager
def closing(end):
    """A publisher, or a subscriber, whose socket is closed in the end."""
    try:
        yield end
    finally:
        end.client.close()


@asynccontextmanager
async def showing():
    with closing(Publisher(200_000, 20)) as camera, closing(Subscriber()) as subscriber:
        async with (
            serving() as (room, port),
            open_socket(port) as publisher,
            open_socket(port) as watcher,
            trio.open_nursery() as nursery,
        ):
            number = await nursery.start(camera.run, publisher)
            await nursery.start(subscriber.run, watcher, number)
            show = Show(room, port, subscriber)
            await show.goes_on()
            yield show
            await show.goes_on()
            nursery.cancel_scope.cancel()


def with_layers(count):
    names = [f"l{index}" for index in range(count)]
    lines = [f"a=rid:{name} send" for name in names] + ["a=simulcast:send " + ";".join(names)]
    text = re.sub(r"(?m)^a=rid:.*\r?\n", "", PUBLISH)
    return re.sub(r"(?m)^a=simulcast:.*$", lambda _: "\r\n".join(lines), text)


OFFERS = {
    "no SDP": "hello",
    "a list": [],
    "nothing": None,
    "no feedback": without(PUBLISH, "transport-cc"),
    "no simulcast": without(PUBLISH, "a=rid", "a=simulcast"),
    "no fingerprint": without(PUBLISH, "a=fingerprint"),
    "no codec": without(PUBLISH, "VP8", "H264"),
    "most layers": with_layers(MOST_LAYERS),
    "more layers": with_layers(MOST_LAYERS + 1),
    "thousands of layers": with_layers(3_000),
    "many lines": PUBLISH + "a=extmap:3 urn:x\r\n" * 4_000,
    "a watcher's": WATCH,
}


@pytest.mark.parametrize("sdp", OFFERS.values(), ids=OFFERS)
async def test_an_offer_of_a_stranger(sdp):
    async with showing() as show, open_socket(show.port) as stranger:
        await stranger.send(type="publish", **publish(sdp=sdp, rates={}))
        while (message := await stranger.receive())["type"] not in {"answer", "error"}:
            pass
        if message["type"] == "answer":
            # It can be watched, then, and that ends nobody's session.
            async with open_socket(show.port) as curious:
                await curious.send(type="watch")
                await said(curious, "ready")
                tracks = {"0": f"{message['id']}/video"}
                await curious.send(type="offer", sdp=WATCH, tracks=tracks)
                await said(curious, "answer")
                await curious.send(type="wish", track=tracks["0"], priority=2)
                await curious.send(type="wish", track="nobody's", priority=2)
                assert "no track" in (await said(curious, "error"))["message"]


async def test_layers_without_rates_are_guessed_within_bounds():
    async with serving() as (room, port), open_socket(port) as stranger:
        await stranger.send(type="publish", **publish(sdp=with_layers(MOST_LAYERS), rates={}))
        await said(stranger, "answer")
        (publication,) = room.publications.values()
        rates = [rate for track in publication.tracks.values() for rate in track.rates.values()]
        assert max(rates) == round(WIRE * MOST_DECLARED)


MESSAGES = {
    "a list": "[]",
    "a number": "1",
    "nothing": "",
    "a deep list": "[" * 50_000,
    "a deep object": '{"type":' * 20_000,
    "no type": "{}",
    "a type that is a list": '{"type": []}',
    "half a character": '{"type": "\\ud800"}',
    "a large number": json.dumps({"type": "watch"})[:-1] + ', "x": 1e400}',
    "another page's": json.dumps({"type": "wish", "track": "p1/video", "muted": True}),
}


@pytest.mark.parametrize("text", MESSAGES.values(), ids=MESSAGES)
async def test_a_message_of_a_stranger(text):
    async with showing() as show, open_socket(show.port) as stranger:
        for _ in range(TURNS):
            await stranger.send_text(text)


async def test_a_message_that_is_too_long_ends_its_own_page():
    async with showing() as show, open_socket(show.port) as stranger:
        with pytest.raises((trio.EndOfChannel, trio.BrokenResourceError)):
            await stranger.send_text("x" * 1_000_000)
            while True:
                await stranger.receive()


async def test_what_is_no_web_socket_at_all():
    async with showing() as show:
        for data in (
            b"\0",
            secrets.token_bytes(4_096),
            b"GET / HTTP/1.1\r\n" * 500,
            b"GET /socket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + secrets.token_bytes(64),
            b"POST /socket HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\nx",
        ):
            stream = await trio.open_tcp_stream("127.0.0.1", show.port)
            with suppress(trio.BrokenResourceError):
                await stream.send_all(data)
            await stream.aclose()


async def test_datagrams_of_a_stranger():
    chance = random.Random(1)
    async with showing() as show:
        addresses = [each.transport.address for each in show.room.publications.values()] + [
            each.connection.transport.address for each in show.room.subscribers.values()
        ]
        with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as stranger:
            for address in addresses:
                for first in range(256):
                    stranger.sendto(bytes([first]), address)
                    size = chance.choice((1, 7, 12, 60, 1_400))
                    stranger.sendto(bytes([first]) + chance.randbytes(size), address)
                stranger.sendto(b"", address)
            await show.goes_on()


async def test_a_name_of_somebody_else_that_leads_here_is_not_served():
    async with showing() as show:
        stream = await trio.open_tcp_stream("127.0.0.1", show.port)
        host = f"elsewhere.example:{show.port}"
        await stream.send_all(f"GET /debug HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert b" 400 " in (await stream.receive_some(4_096)).split(b"\r\n", 1)[0]
        await stream.aclose()
        with pytest.raises(trio.EndOfChannel):
            async with open_socket(show.port, name=host, origin=f"http://{host}"):
                pass
