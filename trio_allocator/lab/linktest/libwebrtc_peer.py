"""A process with two peers of libwebrtc, one of which sends video to the other.

The sender is told that the receiver is at the relay, and the receiver is not told of the sender at
all: it learns the address by the sender's first check. So everything passes the relay, which opens
no packet.

Commanded by lines of JSON, like the relay: ``{"relay": port}`` answers the line
``{"receiver": [host, port]}`` with which it begins, and is answered by ``{"connected": true}``;
``{"active": bool}`` starts and pauses the video, ``{"stop": true}`` answers the samples taken
since. It ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from itertools import cycle
from typing import Any

import webrtc

WIDTH, HEIGHT, FRAME_RATE = 640, 360, 30
MOST = 4_000_000
"""What the encoder may send, bit/s: more than any schedule offers."""
SAMPLE = 0.1
"""How often the estimate is read, s."""
_BLOCK = 40
_NOISE = 24


def make_frames(count: int) -> list[bytes]:
    """Pictures in I420 that a coder can make small if it must, and big if it may.

    Coarse blocks that change from picture to picture, under a noise of low amplitude: a strong
    quantiser leaves nothing of the noise, a weak one all of it.
    """
    chance = random.Random(1)  # noqa: S311  # repeatable, not secret
    chroma = b"\x80" * (WIDTH * HEIGHT // 2)
    frames = []
    for number in range(count):
        rows = []
        for top in range(0, HEIGHT, _BLOCK):
            levels = [
                96 + (left // _BLOCK * 37 + top // _BLOCK * 59 + number * 7) % 64
                for left in range(0, WIDTH, _BLOCK)
            ]
            base = b"".join(bytes([level]) * _BLOCK for level in levels)
            for _line in range(_BLOCK):
                noise = chance.randbytes(WIDTH)
                rows.append(
                    bytes(level + value % _NOISE for level, value in zip(base, noise, strict=True))
                )
        frames.append(b"".join(rows) + chroma)
    return frames


async def read_lines() -> asyncio.StreamReader:
    """Standard input as a stream."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


def say(line: dict[str, Any]) -> None:
    """Write a line of JSON to standard output."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Pair:
    """The sender and its receiver.

    Attributes:
        samples: Rows of the time by ``time.perf_counter()``, the estimate in bit/s, and the bytes
            sent since the connection began: payload (retransmissions counted), retransmissions.
    """

    def __init__(self) -> None:
        self.samples: list[tuple[float, float, int, int]] = []
        self._sender = webrtc.RTCPeerConnection()
        self._receiver = webrtc.RTCPeerConnection()
        self._track = webrtc.VideoTrackGenerator()
        self._is_active = False
        self._gathered = asyncio.Event()
        self._connected = asyncio.Event()
        self._receiver.on("icegatheringstatechange", self._note_gathered)
        self._sender.on("connectionstatechange", self._note_connected)
        init = webrtc.RTCRtpTransceiverInit(
            direction="sendonly",
            send_encodings=[webrtc.RTCRtpEncodingParameters(max_bitrate=MOST)],
        )
        self._rtp = self._sender.add_transceiver(self._track.track, init).sender

    def _note_gathered(self, _event: object) -> None:
        if self._receiver.ice_gathering_state == "complete":
            self._gathered.set()

    def _note_connected(self, _event: object) -> None:
        if self._sender.connection_state == "connected":
            self._connected.set()

    async def gather(self) -> tuple[str, int]:
        """Offer and answer.

        Returns:
            Where the receiver listens.
        """
        await self._sender.set_local_description(await self._sender.create_offer())
        offer = _without_candidates(self._sender.local_description.sdp)
        await self._receiver.set_remote_description(webrtc.RTCSessionDescription("offer", offer))
        await self._receiver.set_local_description(await self._receiver.create_answer())
        await self._gathered.wait()
        for line in self._receiver.local_description.sdp.splitlines():
            fields = line.split()
            if line.startswith("a=candidate:") and fields[2] == "udp" and fields[4] == "127.0.0.1":
                return fields[4], int(fields[5])
        raise RuntimeError("libwebrtc offers no address on loopback")

    async def connect(self, relay: int) -> None:
        """Connect through the relay's port."""
        answer = _without_candidates(self._receiver.local_description.sdp)
        await self._sender.set_remote_description(webrtc.RTCSessionDescription("answer", answer))
        candidate = f"candidate:1 1 udp 2122260223 127.0.0.1 {relay} typ host"
        await self._sender.add_ice_candidate(
            webrtc.RTCIceCandidateInit(candidate=candidate, sdp_mid="0", sdp_m_line_index=0)
        )
        await self._connected.wait()

    async def set_active(self, is_active: bool) -> None:
        """Begin, pause, resume."""
        self._is_active = is_active
        parameters = self._rtp.get_parameters()
        parameters.encodings[0].active = is_active
        await self._rtp.set_parameters(parameters)

    async def feed(self) -> None:
        """Give the encoder a picture thirty times a second, for as long as it is active."""
        writer = self._track.writable.get_writer()
        pictures = cycle(make_frames(12))
        begin = time.perf_counter()
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(begin + number / FRAME_RATE - time.perf_counter(), 0))
            if not self._is_active:
                continue
            init = webrtc.VideoFrameBufferInit(
                format="I420",
                coded_width=WIDTH,
                coded_height=HEIGHT,
                timestamp=round(number * 1e6 / FRAME_RATE),
            )
            await writer.write(webrtc.VideoFrame(next(pictures), init))

    async def sample(self) -> None:
        """Read the estimate, again and again."""
        while True:
            await asyncio.sleep(SAMPLE)
            stats = (await self._sender.get_stats()).values()
            # Of the pairs of candidates only the one in use has an estimate.
            estimates = (getattr(one, "available_outgoing_bitrate", None) for one in stats)
            estimate = next((value for value in estimates if value is not None), None)
            stream = next((one for one in stats if one.type == "outbound-rtp"), None)
            if estimate is not None:
                self.samples.append(
                    (
                        time.perf_counter(),
                        estimate,
                        getattr(stream, "bytes_sent", None) or 0,
                        getattr(stream, "retransmitted_bytes_sent", None) or 0,
                    )
                )


def _without_candidates(sdp: str) -> str:
    kept = [line for line in sdp.splitlines() if not line.startswith("a=candidate:")]
    return "\r\n".join(kept) + "\r\n"


async def run() -> None:
    """Obey standard input until it ends."""
    lines = await read_lines()
    pair = Pair()
    host, port = await pair.gather()
    say({"receiver": [host, port]})
    tasks = []
    while line := await lines.readline():
        match json.loads(line):
            case {"relay": relay}:
                await pair.connect(relay)
                tasks = [asyncio.ensure_future(pair.feed()), asyncio.ensure_future(pair.sample())]
                say({"connected": True})
            case {"active": is_active}:
                await pair.set_active(is_active)
                say({})
            case {"stop": True}:
                for task in tasks:
                    task.cancel()
                say({"samples": pair.samples})
    # Nothing is left that is worth the engine's own farewell.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(run())
