"""``python -m tests.sfu.cost``: what a packet out costs the server's own code, in processor time.

One publication and its subscribers in virtual time, without peers that share the machine: packets are
described, renumbered, paced, protected and sent to a socket that nobody reads, and each subscriber's
feedback comes every 50 ms. What the peers do is not counted, and the kernel wakes nobody; so figures
of two runs differ by some per cent, where those of ``tests.sfu.load`` differ by a quarter.
"""

from __future__ import annotations

import socket
import statistics
import time
from itertools import count

import trio
from trio.testing import MockClock

from examples.sfu.adaptive import AdaptiveConnection
from examples.sfu.codecs import VP8
from examples.sfu.outgoing import OutgoingFormat, OutgoingTrack
from examples.sfu.publication import Layer, Publication, PublishedTrack
from examples.sfu.rtp import RtpWriter
from examples.sfu.srtp import PROFILES, Srtp, SrtpKeys
from tests.sfu.options import load_parser
from tests.sfu.wire import Wire
from trio_allocator.estimation import FeedbackRecorder
from trio_allocator.metrics import MetricsCollector

SIZE = 1_100
"""Bytes of a payload."""
FEEDBACK = 0.05
"""How often a subscriber reports, s."""
DELAY = 0.02
"""One way, s."""
KEY = 90
"""One picture in so many is a key frame."""
NUMBER, MID = 4, 5


class Outside:
    """The processor time that peers take."""

    def __init__(self):
        self.seconds = 0.0
        self._since = 0.0

    def __enter__(self):
        self._since = time.process_time()

    def __exit__(self, *_):
        self.seconds += time.process_time() - self._since


class Peer(Wire):
    """A transport with a subscriber at its end."""

    def __init__(self, outside, sink):
        super().__init__()
        profile = PROFILES[b"SRTP_AEAD_AES_128_GCM"]
        self.srtp = Srtp(SrtpKeys(profile, bytes(28), bytes(28)))
        self.tag_size = self.srtp.tag_size
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink = sink
        self.outside = outside
        self.recorder = FeedbackRecorder(1, 2)
        self.departed = 0
        self.waited = []
        self.on_rtcp = None

    def send_rtp(self, data):
        self.socket.sendto(self.srtp.protect(data), self.sink)
        with self.outside:
            self.departed += 1
            now = trio.current_time()
            self.recorder.received(int.from_bytes(data[17:19], "big"), now + DELAY)
            if len(data) > SIZE:
                self.waited.append(now - int.from_bytes(data[-8:], "big") / 1e6)
        return True

    async def report(self):
        while True:
            await trio.sleep(FEEDBACK)
            with self.outside:
                feedbacks = [each.build() for each in self.recorder.build_feedback()]
            for feedback in feedbacks:
                self.on_rtcp(feedback)


def video(rate):
    layers = {"only": Layer("only", rate, is_alive=True)}
    return PublishedTrack("p1/video", "video", VP8, 96, {}, layers)


async def publish(publication, rate, fps, outside):
    """Pictures as a browser packs them, a key frame at the beginning."""
    writer = RtpWriter(96, 77, transport_cc=NUMBER, mid=None)
    packets = max(1, round(rate / fps / 8 / SIZE))
    numbers = count()
    begin = trio.current_time()
    for frame in count():
        with outside:
            built = []
            now = round(trio.current_time() * 1e6).to_bytes(8, "big")
            for index in range(packets):
                head = bytes([0x90 if index == 0 else 0x80, 0xE0])
                head += (0x8000 | frame % 2**15).to_bytes(2, "big") + bytes([frame % 256, 0])
                payload = head + bytes([0 if frame % KEY == 0 else 1])
                payload += bytes(SIZE - len(payload) - 8) + now
                number = next(numbers) % 2**16
                marked = index == packets - 1
                built.append(
                    writer.build(number, 3_000 * frame % 2**32, payload, number, is_marked=marked)
                )
        for packet in built:
            publication.transport.on_rtp(packet, trio.current_time())
        await trio.sleep_until(begin + (frame + 1) / fps)


async def run(subscribers, rate, fps, settle, seconds):
    outside = Outside()
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    track = video(rate)
    publication = Publication("p1", "cost", "camera", Wire(), [track])
    peers = [Peer(outside, sink.getsockname()) for _ in range(subscribers)]
    async with trio.open_nursery() as nursery:
        for index, peer in enumerate(peers):
            connection = AdaptiveConnection(str(index), peer, MetricsCollector())
            await nursery.start(connection.run)
            chosen = OutgoingFormat(VP8, 96, 97, "0", MID, NUMBER, 7, 8)
            connection.add(
                track, OutgoingTrack(chosen, peer.tag_size), publication.request_key_frame
            )
            nursery.start_soon(peer.report)
        nursery.start_soon(publication.run)
        nursery.start_soon(publish, publication, rate, fps, outside)
        await trio.sleep(settle)
        for peer in peers:
            peer.waited.clear()
        outside.seconds, before = 0.0, time.process_time()
        await trio.sleep(seconds)
        used = time.process_time() - before - outside.seconds
        media = sum(len(peer.waited) for peer in peers)
        waited = sorted(each for peer in peers for each in peer.waited)
        nursery.cancel_scope.cancel()
    return used, media, waited


def main(arguments):
    costs = []
    for _ in range(arguments.runs):
        used, media, waited = trio.run(
            run,
            arguments.subscribers,
            arguments.rate,
            arguments.fps,
            arguments.settle,
            arguments.seconds,
            clock=MockClock(autojump_threshold=0),
        )
        costs.append(1e6 * used / media)
    print(
        f"{arguments.subscribers} subscribers, {media / arguments.seconds:.0f} packets of media/s: "
        f"{statistics.median(costs):.1f} µs of the processor for each "
        f"({min(costs):.1f} to {max(costs):.1f}); they waited for the pace "
        f"{1e3 * statistics.median(waited):.1f} ms (median), "
        f"{1e3 * waited[int(0.95 * len(waited))]:.1f} ms (p95)"
    )


if __name__ == "__main__":
    parser = load_parser("cost", __doc__, seconds=20)
    parser.add_argument("--runs", type=int, default=3, help="the median of so many; 3")
    main(parser.parse_args())
