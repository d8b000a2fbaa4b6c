"""``python -m tests.sfu.load``: what a packet costs the server, and how many subscribers it serves.

A publisher and subscribers without browsers, in this process: they encode and decode nothing, but
protect, number and report like real ones. The server has a process of its own, whose processor time
is counted, and where there are two processors it has one for itself. How long it waited for that one,
because something else ran there, is told: then the latencies are not the server's.
"""

from __future__ import annotations

import os
import re
import statistics
import struct
import time
from contextlib import suppress
from itertools import count

import trio

from examples.sfu.rtp import TRANSPORT_CC, RtpWriter, parse_rtp
from examples.sfu.sdp import parse_offer
from examples.sfu.transport import ANCILLARY, ask_for_timestamps, waited
from tests.sfu.client import Client
from tests.sfu.measure import processor_times, processor_waits, serving
from tests.sfu.offers import PUBLISH, WATCH, without
from tests.sfu.options import load_parser
from tests.sfu.pages import open_socket
from trio_allocator.estimation import FeedbackRecorder, PictureLoss, parse_requests

SIZE = 1_100
"""Bytes of a payload."""
DECRYPTED = 7
"""One packet in so many is decrypted, for its latency: the clients must not be the slowest here."""
DESCRIPTOR = b"\x90\xe0"


class Remote:
    """What a client knows of the server's transport."""

    def __init__(self, answer):
        found = re.search(r"a=candidate:1 1 udp \d+ (\S+) (\d+)", answer)
        self.address = found[1], int(found[2])  # type: ignore[index]
        self.ice = self
        self.ufrag = re.search(r"a=ice-ufrag:(\S+)", answer)[1]  # type: ignore[index]
        self.password = re.search(r"a=ice-pwd:(\S+)", answer)[1]  # type: ignore[index]
        self.connected = trio.Event()
        self.connected.set()  # the client sees for itself


def offer_of(client, text):
    line = f"fingerprint:sha-256 {client.certificate.fingerprint}"
    return re.sub("fingerprint:sha-256 .*", line, text).replace("\n", "\r\n").replace("\r\r", "\r")


async def said(socket, kind):
    while (message := await socket.receive())["type"] != kind:
        assert message["type"] != "error", message
    return message


class Publisher:
    def __init__(self, rate, fps):
        self.client = Client()
        self.rate, self.fps = rate, fps
        self.wants_key = True

    async def run(self, socket, task_status=trio.TASK_STATUS_IGNORED):
        text = offer_of(self.client, without(PUBLISH, "a=rid", "a=simulcast"))
        await socket.send(
            type="publish", sdp=text, name="load", kind="camera", rates={"only": self.rate}
        )
        answer = await said(socket, "answer")
        remote = Remote(answer["sdp"])
        await self.client.connect(remote)
        video = parse_offer(text).sections[0]
        writer = RtpWriter(
            video.formats[0].payload_type,
            77,
            transport_cc=video.extensions[TRANSPORT_CC],
            mid=None,
        )
        task_status.started(answer["id"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.check, remote)
            nursery.start_soon(self.listen)
            await self.send(remote, writer)

    async def check(self, remote):
        while True:
            await trio.sleep(2)
            self.client.check(remote)

    async def listen(self):
        while True:
            data = await self.client.receive()
            if data[0] >= 128 and data[1] in range(192, 224):
                requests = parse_requests(self.client.inbound.unprotect_rtcp(data))
                self.wants_key |= any(isinstance(each, PictureLoss) for each in requests)

    async def send(self, remote, writer):
        packets = max(1, round(self.rate / self.fps / 8 / SIZE))
        numbers = count()
        begin = trio.current_time()
        for frame in count():
            head = (
                DESCRIPTOR + (0x8000 | frame % 2**15).to_bytes(2, "big") + bytes([frame % 256, 0])
            )
            for index in range(packets):
                start = 0x10 if index == 0 else 0
                delta = 0 if self.wants_key and index == 0 else 1
                payload = bytes([head[0] & 0xEF | start]) + head[1:] + bytes([delta])
                payload += struct.pack("!d", time.monotonic()) + bytes(SIZE - 15)
                number = next(numbers) % 2**16
                marked = index == packets - 1
                packet = writer.build(
                    number, 3_000 * frame % 2**32, payload, number, is_marked=marked
                )
                self.client.send(remote, self.client.outbound.protect(packet))
            self.wants_key = False
            await trio.sleep_until(begin + (frame + 1) / self.fps)


class Subscriber:
    def __init__(self):
        self.client = Client()
        ask_for_timestamps(self.client.socket)
        self.packets = 0
        self.latencies = []
        self.frames = []
        self.estimates = []

    async def run(self, socket, publication, task_status=trio.TASK_STATUS_IGNORED):
        text = offer_of(self.client, WATCH)
        await socket.send(type="watch")
        await said(socket, "ready")
        await socket.send(type="offer", sdp=text, tracks={"0": f"{publication}/video"})
        remote = Remote((await said(socket, "answer"))["sdp"])
        await self.client.connect(remote)
        task_status.started()
        recorder = FeedbackRecorder(1, 2)
        section = parse_offer(text).sections[0]
        extension = section.extensions[TRANSPORT_CC]
        media = section.formats[0].payload_type
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.report, remote, recorder)
            nursery.start_soon(self.drain, socket)
            while True:
                await trio.lowlevel.wait_readable(self.client.socket)
                with suppress(BlockingIOError):
                    while True:
                        data, told, _, _ = self.client.socket.recvmsg(2_048, ANCILLARY)
                        arrived_at = time.monotonic() - waited(told)
                        self.take(data, arrived_at, recorder, extension, media)

    async def drain(self, socket):
        while True:
            message = await socket.receive()
            if message["type"] == "state":
                self.estimates.append(message["estimate"])

    async def report(self, remote, recorder):
        for turn in count():
            await trio.sleep(0.05)
            for feedback in recorder.build_feedback():
                self.client.send(remote, self.client.outbound.protect_rtcp(feedback.build()))
            if turn % 40 == 0:
                self.client.check(remote)

    def take(self, data, arrived_at, recorder, extension, media):
        if data[0] < 128 or data[1] in range(192, 224):
            return
        # The header is not encrypted, and the number is the first extension.
        assert data[16] == extension << 4 | 1
        recorder.received(data[17] << 8 | data[18], trio.current_time())
        if data[1] & 0x7F != media:
            return  # padding
        self.packets += 1
        if data[1] >= 128:  # last of a picture
            self.frames.append(arrived_at)
        if self.packets % DECRYPTED == 0:
            packet = parse_rtp(self.client.inbound.unprotect(data))
            (sent_at,) = struct.unpack_from("!d", packet.payload, 7)
            self.latencies.append(arrived_at - sent_at)


async def main(arguments):
    async with serving("--no-link") as (port, pid), trio.open_nursery() as nursery:
        own_processor, *others = sorted(os.sched_getaffinity(0))
        if others:
            os.sched_setaffinity(pid, [own_processor])
            os.sched_setaffinity(0, others)
        sockets = []

        async def open_one():
            context = open_socket(port)
            socket = await context.__aenter__()
            sockets.append(context)
            return socket

        publication = await nursery.start(
            Publisher(arguments.rate, arguments.fps).run, await open_one()
        )
        subscribers = [Subscriber() for _ in range(arguments.subscribers)]
        for subscriber in subscribers:
            await nursery.start(subscriber.run, await open_one(), publication)
        await trio.sleep(arguments.settle)
        before, waits_before = processor_times(pid), processor_waits(pid)
        for subscriber in subscribers:
            subscriber.packets = 0
            subscriber.latencies.clear()
            subscriber.frames.clear()
        begin = time.monotonic()
        await trio.sleep(arguments.seconds)
        elapsed = time.monotonic() - begin
        own, kernel = (
            after - since for after, since in zip(processor_times(pid), before, strict=True)
        )
        used = own + kernel
        waits = processor_waits(pid) - waits_before
        packets = sum(subscriber.packets for subscriber in subscribers)
        latencies = sorted(each for one in subscribers for each in one.latencies)
        frames = [len(subscriber.frames) / elapsed for subscriber in subscribers]
        print(
            f"{len(subscribers)} subscribers: {packets / elapsed:.0f} packets/s out, "
            f"{1e6 * used / max(packets, 1):.1f} µs of the server's processor for each, "
            f"{1e6 * own / max(packets, 1):.1f} of them its own and the rest the kernel's "
            f"({packets / used:.0f} packets in a second of it), {100 * used / elapsed:.1f} % of a core, "
            f"for which it waited {100 * waits / (waits + used):.0f} % of the time; "
            f"forwarded within {1e3 * statistics.median(latencies):.1f} ms (median), "
            f"{1e3 * latencies[int(0.95 * len(latencies))]:.1f} ms (p95); "
            f"pictures/s {min(frames):.1f} to {max(frames):.1f}; "
            f"estimates {min(min(one.estimates[-20:]) for one in subscribers) / 1e6:.2f} to "
            f"{max(max(one.estimates) for one in subscribers) / 1e6:.2f} Mbit/s"
        )
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = load_parser("load", __doc__, seconds=10)
    trio.run(main, parser.parse_args())
