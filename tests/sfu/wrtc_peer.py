"""``python -m tests.sfu.wrtc_peer publish|watch``: a libwebrtc that talks in lines of JSON.

In: ``{"answer": sdp}``, ``{"layers": [...]}`` (those to send), ``{"add": n}`` (media sections for n
more tracks of each kind, then an offer), ``{"end": true}``. Out: ``{"offer": sdp, "mids": {kind:
[...]}}``, ``{"frame": mid, "t": s, "width": pixels}``, ``{"stats": ...}`` twice a second.
The environment's PEER has width, height and pictures a second, its LAYERS the rates of the layers, bit/s.
Times are those of ``time.monotonic()``, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import struct
import sys
import time

os.environ.setdefault("WRTC_ALLOW_LOOPBACK", "1")

import numpy as np
import webrtc

WIDTH, HEIGHT, FPS = (int(number) for number in os.environ.get("PEER", "960,540,20").split(","))
RATES = [int(rate) for rate in os.environ.get("LAYERS", "120000,400000,1200000").split(",")]
LAYERS = tuple(zip("qhf", (4, 2, 1), RATES, strict=True))
PICTURES = 40


def tell(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def show_pictures(writer):
    """Noise on a pattern that moves: no encoder gets away with less than it may send."""
    source = np.random.default_rng(os.getpid())
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    grey = bytes([128]) * (WIDTH * HEIGHT // 2)
    pictures = [
        ((((x * 2 + n * 5) ^ (y * 2 + n * 3)) & 127) + source.integers(0, 24, (HEIGHT, WIDTH)))
        .astype(np.uint8)
        .tobytes()
        + grey
        for n in range(PICTURES)
    ]
    begin = time.monotonic()
    number = 0
    while True:
        number += 1
        init = webrtc.VideoFrameBufferInit(
            format="I420",
            coded_width=WIDTH,
            coded_height=HEIGHT,
            timestamp=int(number * 1e6 / FPS),
        )
        await writer.write(webrtc.VideoFrame(pictures[number % PICTURES], init))
        await asyncio.sleep(max(0.0, begin + number / FPS - time.monotonic()))


async def make_sound(writer):
    begin = time.monotonic()
    samples = 960
    number = 0
    while True:
        data = b"".join(
            struct.pack(
                "<h", int(8000 * math.sin(math.tau * 300 * (n + number * samples) / 48_000))
            )
            for n in range(samples)
        )
        init = webrtc.AudioDataInit(
            format="s16",
            sample_rate=48_000,
            number_of_frames=samples,
            number_of_channels=1,
            timestamp=number * 20_000,
            data=data,
        )
        await writer.write(webrtc.AudioData(init))
        number += 1
        await asyncio.sleep(max(0.0, begin + number * 0.02 - time.monotonic()))


async def watch(track, mid):
    init = webrtc.MediaStreamTrackProcessorInit(track=track)
    reader = webrtc.MediaStreamTrackProcessor(init).readable.get_reader()
    while True:
        result = await reader.read()
        if getattr(result, "done", None):
            return
        frame = getattr(result, "value", result)
        tell(frame=mid, t=time.monotonic(), width=frame.coded_width)
        frame.close()


def stats_of(report):
    told = []
    for each in report.values():
        kind = str(getattr(each.type, "value", each.type))
        if kind == "outbound-rtp":
            told.append(
                {
                    "rid": each.rid,
                    "kind": each.kind,
                    "sent": each.bytes_sent,
                    "fps": each.frames_per_second,
                    "key": each.key_frames_encoded,
                    "active": each.active,
                }
            )
        elif kind == "inbound-rtp":
            told.append(
                {
                    "mid": each.mid,
                    "kind": each.kind,
                    "packets": each.packets_received,
                    "bytes": each.bytes_received,
                    "lost": each.packets_lost,
                    "decoded": each.frames_decoded,
                    "width": each.frame_width,
                    "fps": each.frames_per_second,
                    "freezes": each.freeze_count,
                    "frozen": each.total_freezes_duration,
                    "nacks": each.nack_count,
                    "plis": each.pli_count,
                    "key": each.key_frames_decoded,
                    "concealed": each.concealed_samples,
                    "samples": each.total_samples_received,
                }
            )
    return told


class Peer:
    def __init__(self, role):
        self.role = role
        self.connection = webrtc.RTCPeerConnection()
        self.tasks = []
        self.sender = None
        self.mids = {"audio": [], "video": []}

    def keep(self, coroutine):
        self.tasks.append(asyncio.ensure_future(coroutine))

    def start(self):
        if self.role == "watch":
            self.connection.on("track", self.on_track)
            return
        generator = webrtc.VideoTrackGenerator()
        encodings = [
            webrtc.RTCRtpEncodingParameters(
                rid=rid, scale_resolution_down_by=scale, max_bitrate=rate
            )
            for rid, scale, rate in LAYERS
        ]
        init = webrtc.RTCRtpTransceiverInit(direction="sendonly", send_encodings=encodings)
        self.sender = self.connection.add_transceiver(generator.track, init).sender
        sound = webrtc.MediaStreamTrackGenerator("audio")
        self.connection.add_transceiver(sound, webrtc.RTCRtpTransceiverInit(direction="sendonly"))
        self.keep(show_pictures(generator.writable.get_writer()))
        self.keep(make_sound(sound.writable.get_writer()))

    def on_track(self, event):
        if event.track.kind == "video":
            self.keep(watch(event.track, event.transceiver.mid))

    def add(self, count):
        init = webrtc.RTCRtpTransceiverInit(direction="recvonly")
        for _ in range(count):
            self.connection.add_transceiver("video", init)
            self.connection.add_transceiver("audio", init)

    async def offer(self):
        await self.connection.set_local_description(await self.connection.create_offer())
        sdp = self.connection.local_description.sdp
        mids = {"audio": [], "video": []}
        kind = ""
        for line in sdp.split("\r\n"):
            if line.startswith("m="):
                kind = line[2:].split()[0]
            elif line.startswith("a=mid:"):
                mids[kind].append(line[6:])
        tell(offer=sdp, mids=mids, t=time.monotonic())

    async def obey(self, message):
        if "answer" in message:
            init = webrtc.RTCSessionDescriptionInit(type="answer", sdp=message["answer"])
            await self.connection.set_remote_description(webrtc.RTCSessionDescription(init))
        elif "layers" in message and self.sender is not None:
            parameters = self.sender.get_parameters()
            for encoding in parameters.encodings:
                encoding.active = encoding.rid in message["layers"]
            await self.sender.set_parameters(parameters)
        elif "add" in message:
            self.add(message["add"])
            await self.offer()

    async def report(self):
        while True:
            await asyncio.sleep(0.5)
            tell(stats=stats_of(await self.connection.get_stats()), t=time.monotonic())


async def main():
    peer = Peer(sys.argv[1])
    peer.start()
    peer.keep(peer.report())
    if peer.role == "publish":
        await peer.offer()
    reader = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        message = json.loads(line)
        if "end" in message:
            break
        await peer.obey(message)
    peer.connection.close()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
