"""A page without a browser: a WebSocket to the server, and a libwebrtc in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage

ROOT = Path(__file__).parents[2]

RATES = {"q": 120_000, "h": 400_000, "f": 1_200_000}
"""Of a publisher's layers, bit/s."""

PATIENCE = 30.0
"""What has not happened by then, s, never will."""


class Socket:
    """The client's side of a WebSocket."""

    def __init__(self, stream):
        self._stream = stream
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._sending = trio.Lock()
        self._text = ""
        self._ready = []

    async def open(self, host, path="/socket", origin=None):
        headers = [] if origin is None else [(b"Origin", origin.encode())]
        await self._send(Request(host=host, target=path, extra_headers=headers))
        while not any(isinstance(event, AcceptConnection) for event in await self._events()):
            pass

    async def _send(self, event):
        async with self._sending:  # several tasks talk over it
            await self._stream.send_all(self._connection.send(event))

    async def _events(self):
        data = await self._stream.receive_some(65_536)
        self._connection.receive_data(data or None)
        events = list(self._connection.events())
        for event in events:
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    self._ready.append(json.loads(self._text))
                    self._text = ""
            elif isinstance(event, Ping):
                await self._send(event.response())
            elif isinstance(event, CloseConnection) or type(event).__name__ == "RejectConnection":
                raise trio.EndOfChannel
        if not data:
            raise trio.EndOfChannel
        return events

    async def send(self, **message):
        await self.send_text(json.dumps(message))

    async def send_text(self, text):
        await self._send(TextMessage(text))

    async def receive(self):
        while not self._ready:
            await self._events()
        return self._ready.pop(0)


@asynccontextmanager
async def open_socket(port, name=None, **options):
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        socket = Socket(stream)
        await socket.open(name or f"127.0.0.1:{port}", **options)
        yield socket


class Page:
    """A publisher or a watcher: what it was told by the server, and by its libwebrtc."""

    def __init__(self, socket, process, role, name):
        self.socket = socket
        self.role = role
        self.name = name
        self.room = []
        self.states = []
        self.decisions = []
        self.errors = []
        self.layers = []
        self.frames = defaultdict(list)  # by MID: (time, width)
        self.stats = []
        self.times = {}
        self.ended = None
        self.rates = RATES
        self.through = None  # opens a relay before an address, and returns the relay's
        self._process = process
        self.tracks = {}

    async def say(self, **message):
        await self._process.stdin.send_all(json.dumps(message).encode() + b"\n")

    async def hear_process(self):
        pending = b""
        async for chunk in self._process.stdout:
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                await self._heard(json.loads(line))
        raise AssertionError(f"the libwebrtc that should {self.role} has ended")

    async def _heard(self, message):
        if "frame" in message:
            self.times.setdefault("frame", message["t"])
            self.frames[message["frame"]].append((message["t"], message["width"]))
        elif "stats" in message:
            self.stats.append((message["t"], message["stats"]))
        elif "offer" in message:
            self.times.setdefault("offer", message["t"])
            if self.role == "publish":
                await self.socket.send(
                    type="publish",
                    sdp=message["offer"],
                    name=self.name,
                    kind="camera",
                    rates=self.rates,
                )
            else:
                tracks = {}
                for kind in ("video", "audio"):
                    there = [
                        track["id"]
                        for publication in self.room
                        for track in publication["tracks"]
                        if track["kind"] == kind
                    ]
                    tracks |= dict(zip(message["mids"][kind], there, strict=False))
                self.tracks = tracks
                await self.socket.send(type="offer", sdp=message["offer"], tracks=tracks)

    async def hear_server(self):
        while True:
            message = await self.socket.receive()
            match message["type"]:
                case "room":
                    self.room = message["publications"]
                case "answer":
                    await self.say(answer=await self.route(message["sdp"]))
                case "layers":
                    self.layers.append((trio.current_time(), message["wanted"]))
                    await self.say(layers=message["wanted"])
                case "state":
                    self.states.append({**message, "clock": time.monotonic()})
                case "decision":
                    self.decisions.append(message)
                case "error":
                    self.errors.append(message["message"])
                case "ended":
                    self.ended = message["reason"]

    async def route(self, sdp):
        """An answer in which the server is where a relay is, if there is to be one."""
        if self.through is None:
            return sdp
        found = re.search(r"(a=candidate:\S+ 1 udp \d+) (\S+) (\d+)", sdp)
        assert found is not None
        host, port = await self.through((found[2], int(found[3])))
        return sdp.replace(found[0], f"{found[1]} {host} {port}")

    async def until(self, condition):
        """Wait until it is true of this page, for no longer than `PATIENCE`."""
        with trio.fail_after(PATIENCE):
            while not condition(self):  # noqa: ASYNC110 - other processes make it true
                await trio.sleep(0.01)

    async def watch(self, publications):
        """Wait until so many publish, and watch them all."""
        await self.socket.send(type="watch")
        await self.until(lambda page: len(page.room) >= publications)
        await self.say(add=publications)


@asynccontextmanager
async def open_page(
    port, role, name="camera", picture="960,540,20", prefix=(), through=None, rates=RATES
):
    command = [*prefix, sys.executable, "-m", "tests.sfu.wrtc_peer", role]
    async with open_socket(port) as socket, trio.open_nursery() as nursery:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": ROOT, "check": False}
        layers = ",".join(str(rate) for rate in rates.values())
        pipes["env"] = {**os.environ, "PEER": picture, "LAYERS": layers}
        process = await nursery.start(partial(trio.run_process, command, **pipes))
        page = Page(socket, process, role, name)
        page.through, page.rates = through, rates
        nursery.start_soon(page.hear_server)
        nursery.start_soon(page.hear_process)
        try:
            yield page
        finally:
            nursery.cancel_scope.cancel()
