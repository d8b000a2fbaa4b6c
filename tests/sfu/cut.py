"""``python -m tests.sfu.cut``: three publish, two watch, and one of these is cut off for ten seconds.

In virtual time, like `tests.sfu.steps`, with the server's own publications, connections and allocators.
How soon the one that was cut off sees what it saw before, and whether the other one noticed.
"""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import trio
from attrs import define
from trio.testing import MockClock

from examples.sfu.adaptive import AdaptiveConnection
from examples.sfu.codecs import OPUS, VP8
from examples.sfu.link import DELAY, QUEUE
from examples.sfu.outgoing import OutgoingFormat, OutgoingTrack
from examples.sfu.publication import WIRE, Layer, Publication, PublishedTrack
from examples.sfu.rtp import RID
from tests.sfu.options import layers_parser
from tests.sfu.steps import NAME, NUMBER, STATE, Camera, Subscriber, speak
from trio_allocator.metrics import MetricsCollector
from trio_allocator.testing import MemoryLink

PUBLISHERS = 3
CALM, CUT_OFF = 4_000_000, 2_500_000
"""What the links carry, bit/s."""
BEFORE, CUT, AFTER = 12.0, 10.0, 12.0
"""s."""


class Watcher(Subscriber):
    """A subscriber of several videos, whose link can be cut: then nothing passes, either way."""

    def __init__(self, capacity):
        super().__init__(MemoryLink(capacity, queue_size=QUEUE, delay=DELAY))
        self.is_cut = False
        self.shown = {}

    def send_rtp(self, data):
        return self.is_cut or super().send_rtp(data)

    def showed(self, data, now):
        ssrc = int.from_bytes(data[8:12], "big")
        self.shown.setdefault(ssrc, []).append((now, chr(data[-1])))

    async def later(self, built):
        if not self.is_cut:
            await super().later(built)


@define
class Result:
    """What a run came to; times are s after the link is back.

    Attributes:
        picture: The last of the videos shows a picture.
        layers: Together they show as much as before.
        kept: The other one's pictures a second during the cut, as a share of those before it.
        gap: The other one's longest time without a picture of a video during the cut, s.
        later_gap: The same after it: the one that is back asks for key frames, and all get them.
    """

    picture: float
    layers: float
    kept: float
    gap: float
    later_gap: float


async def run(capacity, rates, seed, talk):
    async with trio.open_nursery() as nursery:
        publications = []
        for number in range(PUBLISHERS):
            camera = Camera(rates, PUBLISHERS * seed + number)
            publications.append(made := publish(f"p{number}", camera, rates))
            publication, _video, sound = made
            nursery.start_soon(publication.run)
            nursery.start_soon(camera.run)
            nursery.start_soon(speak, publication, sound)
        await trio.sleep(1)
        watchers = [Watcher(CALM), Watcher(capacity)]
        for watcher in watchers:
            connection = AdaptiveConnection("cut", watcher, MetricsCollector())
            await nursery.start(connection.run)
            nursery.start_soon(watcher.receive)
            nursery.start_soon(watcher.report)
            for number, made in enumerate(publications):
                watch(connection, watcher, 10 * number, *made)
        begin = trio.current_time()
        if talk:
            nursery.start_soon(tell, watcher, connection, begin + BEFORE + CUT)
        await trio.sleep_until(begin + BEFORE)
        watcher.is_cut = True
        await trio.sleep_until(begin + BEFORE + CUT)
        watcher.is_cut = False
        await trio.sleep(AFTER)
        nursery.cancel_scope.cancel()
    calm, cut = watchers
    return judge(calm, cut, begin + BEFORE, rates)


def publish(name, camera, rates):
    """A publication, its video and its sound."""
    layers = {each: Layer(each, round(WIRE * rate)) for each, rate in rates.items()}
    video = PublishedTrack(f"{name}/video", "video", VP8, 96, {RID: NAME}, layers)
    only = {"only": Layer("only", 52_500, is_alive=True)}
    sound = PublishedTrack(f"{name}/audio", "audio", OPUS, 111, {}, only)
    publication = Publication(name, name, "camera", camera, [video, sound])
    publication.on_demand = camera.demanded
    return publication, video, sound


def watch(connection, watcher, ssrc, publication, video, sound):
    """Send both, on streams of these numbers and above."""
    for source, codec, kind, repeated in ((video, VP8, 96, 97), (sound, OPUS, 111, None)):
        ssrc += 2
        chosen = OutgoingFormat(codec, kind, repeated, "0", NAME, NUMBER, ssrc, ssrc + 1)
        outgoing = OutgoingTrack(chosen, watcher.tag_size)
        connection.add(source, outgoing, publication.request_key_frame)


async def tell(watcher, connection, back_at):
    while True:
        explained = connection.allocator.explain()
        receivers = [each.receiver for each in connection.tracks.values()]
        layers = [f"{each.current_variant}>{each.queued_variant}" for each in receivers]
        why = {str(blocker) for each in explained.receivers for blocker in each.blockers}
        print(
            f"{trio.current_time() - back_at:6.2f} {'cut' if watcher.is_cut else '   '} estimate "
            f"{connection.sender.estimator.estimate / 1e3:5.0f} k, layers {' '.join(layers)}, "
            f"{' '.join(sorted(why))}, {explained.status.probe.value}"
        )
        await trio.sleep(STATE)


def judge(calm, cut, cut_at, rates):
    back_at = cut_at + CUT
    shown = [
        (at - back_at, ssrc, layer)
        for ssrc, pictures in cut.shown.items()
        for at, layer in pictures
    ]
    before = {ssrc: rates[layer] for at, ssrc, layer in sorted(shown) if at < -CUT}
    first, now, reached = dict.fromkeys(cut.shown, math.inf), {}, math.inf
    for at, ssrc, layer in sorted(shown):
        if at > 0:
            first[ssrc] = min(first[ssrc], at)
            now[ssrc] = rates[layer]
            if sum(now.values()) >= sum(before.values()):
                reached = min(reached, at)
    during, earlier = (
        times(calm, begin, begin + BEFORE / 2) for begin in (cut_at, cut_at - BEFORE / 2)
    )
    return Result(
        picture=max(first.values()),
        layers=reached,
        kept=sum(map(len, during)) / sum(map(len, earlier)),
        gap=longest_gap(times(calm, cut_at, back_at)),
        later_gap=longest_gap(times(calm, back_at, back_at + AFTER)),
    )


def times(watcher, begin, end):
    """When the pictures of each video came."""
    return [[at for at, _ in each if begin <= at < end] for each in watcher.shown.values()]


def longest_gap(videos):
    return max(later - sooner for each in videos for sooner, later in pairwise(each))


def main(arguments):
    results = [
        trio.run(
            run,
            arguments.rate,
            arguments.layers,
            seed,
            arguments.talk,
            clock=MockClock(autojump_threshold=0),
        )
        for seed in range(arguments.runs)
    ]

    def told(name, worst=max):
        found = [getattr(each, name) for each in results]
        return f"{statistics.median(found):.2f} ({worst(found):.2f})"

    print(
        f"medians (and the worst) of {len(results)} runs: all videos back after {told('picture')} s, "
        f"their layers after {told('layers')} s; the other one had {told('kept', min)} of its "
        f"pictures and gaps of {told('gap')} s meanwhile, of {told('later_gap')} s then"
    )


if __name__ == "__main__":
    parser = layers_parser("cut", __doc__)
    parser.add_argument(
        "--rate", type=int, default=CUT_OFF, help=f"of the link that is cut, bit/s; {CUT_OFF}"
    )
    parser.add_argument("--runs", type=int, default=5, help="so many; 5")
    parser.add_argument("--talk", action="store_true", help="tell what happens")
    main(parser.parse_args())
