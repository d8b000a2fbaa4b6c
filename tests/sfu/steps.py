"""``python -m tests.sfu.steps``: the steps of `tests.sfu.measure` in virtual time, on any machine.

The server's own publication, connection and allocator; a publisher and a subscriber that encode and
decode nothing; and a link that is worked out. So runs are the same on a busy machine, and differ by the
seed alone. What a real encoder does besides is for `tests.sfu.measure` to show.
"""

from __future__ import annotations

import random
import statistics
from itertools import count, pairwise

import trio
from attrs import define, field
from trio.testing import MockClock

from examples.sfu.adaptive import AdaptiveConnection
from examples.sfu.codecs import OPUS, VP8
from examples.sfu.link import DELAY, QUEUE
from examples.sfu.outgoing import OutgoingFormat, OutgoingTrack
from examples.sfu.publication import WIRE, Layer, Publication, PublishedTrack
from examples.sfu.rtp import RID, RtpWriter
from tests.sfu.measure import STEPS
from tests.sfu.options import link_parser
from tests.sfu.wire import Wire
from trio_allocator.estimation import FeedbackRecorder, PictureLoss, parse_requests
from trio_allocator.metrics import MetricsCollector
from trio_allocator.testing import MemoryLink

FPS = 20
SIZE = 1_100
"""Bytes of a payload at most."""
KEY = 6.0
"""How many pictures' size a key frame has: the next second pays for it."""
RESTART = 1.5
"""A publisher that changes its layers begins all of them anew, at half their rates for so long, s."""
ENCODED = 0.05
"""Until a key frame that was asked for is there, s."""
FEEDBACK = 0.06
"""How often the subscriber reports, s."""
SOUND = 0.02, 90
"""A packet of sound so often, s, of so many bytes."""
STATE = 0.25
NUMBER, NAME = 4, 5


class Camera(Wire):
    """A publisher."""

    def __init__(self, rates, seed):
        super().__init__()
        self.rates = rates
        self.active = set(rates)
        self.random = random.Random(seed)
        self.begun_at = -RESTART
        self.keys = {}
        self.debts = dict.fromkeys(rates, 0.0)

    def send_rtcp(self, data):
        if any(isinstance(each, PictureLoss) for each in parse_requests(data)):
            self.key(trio.current_time() + ENCODED)
        return True

    def key(self, at):
        self.keys = {name: min(self.keys.get(name, at), at) for name in self.rates}

    def demanded(self, names):
        if set(names) != self.active:
            self.active = set(names)
            self.begun_at = trio.current_time()
            self.key(self.begun_at)

    async def run(self):
        writers = {
            name: RtpWriter(96, index, transport_cc=NUMBER, mid=(NAME, name))
            for index, name in enumerate(self.rates, 100)
        }
        numbers = {name: count() for name in self.rates}
        begin = trio.current_time()
        for frame in count():
            for name in self.active:
                payloads = self.picture(name, frame)
                for index, payload in enumerate(payloads):
                    packet = writers[name].build(
                        next(numbers[name]) % 2**16,
                        4_500 * frame % 2**32,
                        payload,
                        0,
                        is_marked=index == len(payloads) - 1,
                    )
                    self.on_rtp(packet, trio.current_time())
            await trio.sleep_until(begin + (frame + 1) / FPS)

    def picture(self, name, frame):
        now = trio.current_time()
        usual = self.rates[name] / 8 / FPS
        if now < self.begun_at + RESTART:
            usual /= 2
        size = usual * self.random.uniform(0.8, 1.2)
        paid = min(self.debts[name], 0.25 * size)
        self.debts[name] -= paid
        size -= paid
        is_key = now >= self.keys.get(name, now + 1)
        if is_key:
            del self.keys[name]
            self.debts[name] += (KEY - 1) * usual
            size = KEY * usual
        sizes = [SIZE] * int(size // SIZE) + [max(int(size % SIZE), 40)]
        payloads = []
        for index, each in enumerate(sizes):
            head = bytes([0x90 if index == 0 else 0x80, 0xE0])
            head += (0x8000 | frame % 2**15).to_bytes(2, "big") + bytes([frame % 256, 0])
            head += bytes([0 if is_key and index == 0 else 1])
            payloads.append(head + bytes(each - len(head) - 1) + name.encode())
        return payloads


class Subscriber(Wire):
    """A transport over a link, and the one at its end."""

    def __init__(self, link):
        super().__init__()
        self.link = link
        self.recorder = FeedbackRecorder(1, 2)
        self.pictures = []
        self.delivered = 0
        self.waited = []
        self.on_rtcp = None

    def send_rtp(self, data):
        self.link.send_nowait(data, len(data) + self.tag_size)
        return True

    async def receive(self):
        async for delivery in self.link:
            data = delivery.payload
            self.delivered += delivery.size
            number = int.from_bytes(data[17:19], "big")
            self.recorder.received(number, trio.current_time())
            if data[1] == 96 | 0x80:
                self.showed(data, trio.current_time())

    def showed(self, data, now):
        """The last packet of a picture came."""
        self.pictures.append((now, chr(data[-1])))

    async def report(self):
        while True:
            await trio.sleep(FEEDBACK)
            for feedback in self.recorder.build_feedback():
                built = feedback.build()
                trio.lowlevel.spawn_system_task(self.later, built)

    async def later(self, built):
        await trio.sleep(DELAY)
        if self.on_rtcp is not None:
            self.on_rtcp(built)


@define
class Moment:
    """What was, four times a second."""

    at: float
    sent: dict[str, int]
    delivered: int
    queue: float
    estimate: int
    layer: str | None
    why: str


@define
class Result:
    """What a run came to: shares of each section's rate, from a second after the step on."""

    media: list[float] = field(factory=list)
    filled: list[float] = field(factory=list)
    queue: list[float] = field(factory=list)
    climbs: list[float] = field(factory=list)
    switches: int = 0
    frozen: float = 0.0


async def run(steps, seconds, rates, seed, talk):
    camera = Camera(rates, seed)
    layers = {name: Layer(name, round(WIRE * rate)) for name, rate in rates.items()}
    video = PublishedTrack("p1/video", "video", VP8, 96, {RID: NAME}, layers)
    sound = PublishedTrack(
        "p1/audio", "audio", OPUS, 111, {}, {"only": Layer("only", 52_500, is_alive=True)}
    )
    publication = Publication("p1", "steps", "camera", camera, [video, sound])
    publication.on_demand = camera.demanded
    link = MemoryLink(steps[0][1], queue_size=QUEUE, delay=DELAY)
    peer = Subscriber(link)
    moments = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publication.run)
        nursery.start_soon(camera.run)
        nursery.start_soon(speak, publication, sound)
        await trio.sleep(1)
        connection = AdaptiveConnection("steps", peer, MetricsCollector())
        await nursery.start(connection.run)
        nursery.start_soon(peer.receive)
        nursery.start_soon(peer.report)
        for source, codec, ssrc, kind in ((video, VP8, 7, 96), (sound, OPUS, 17, 111)):
            repeated = None if source is sound else 97
            chosen = OutgoingFormat(codec, kind, repeated, "0", NAME, NUMBER, ssrc, ssrc + 1)
            ask = publication.request_key_frame
            connection.add(source, OutgoingTrack(chosen, peer.tag_size), ask)
        while not peer.pictures:  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.01)
        begin = trio.current_time()
        nursery.start_soon(note, connection, peer, begin, moments, talk)
        for at, rate in steps[1:]:
            await trio.sleep_until(begin + at)
            link.set_capacity(rate)
        await trio.sleep_until(begin + seconds)
        nursery.cancel_scope.cancel()
    pictures = [(at - begin, layer) for at, layer in peer.pictures]
    return judge(moments, pictures, steps, seconds)


async def speak(publication, sound):
    """Sound goes to its followers as a publication would hand it on."""
    period, size = SOUND
    writer = RtpWriter(111, 200, transport_cc=NUMBER, mid=(NAME, "only"))
    for number in count():
        packet = writer.build(number % 2**16, 960 * number % 2**32, bytes(size), 0)
        publication.transport.on_rtp(packet, trio.current_time())
        await trio.sleep(period)


async def note(connection, peer, begin, moments, talk):
    while True:
        now = trio.current_time()
        explained = connection.allocator.explain()
        track = connection.tracks[7]
        by_id = {each.receiver_id: each for each in explained.receivers}
        receiver = by_id.get(track.receiver.handle.id)
        why = "" if receiver is None else " ".join(str(each) for each in receiver.blockers)
        moments.append(
            Moment(
                now - begin,
                dict(connection.bytes),
                peer.delivered,
                peer.link.statistics().queue_delay,
                connection.sender.estimator.estimate,
                track.receiver.current_variant,
                why,
            )
        )
        if talk:
            print(
                f"{now - begin:6.2f} {peer.link.capacity / 1e6:.1f} Mbit/s, estimate "
                f"{moments[-1].estimate / 1e3:5.0f} k, layer {moments[-1].layer}, {why}, "
                f"{explained.status.probe.value}"
            )
        await trio.sleep(STATE)


def judge(moments, pictures, steps, seconds):
    result = Result()
    edges = [*(at for at, _ in steps), seconds]
    for (at, rate), until in zip(steps, edges[1:], strict=True):
        inside = [each for each in moments if at + 1 <= each.at <= until]
        first, last = inside[0], inside[-1]

        def share(*kinds, first=first, last=last, rate=rate):
            size = sum(last.sent.get(kind, 0) - first.sent.get(kind, 0) for kind in kinds)
            return 8 * size / (last.at - first.at) / rate

        result.media.append(share("media", "audio", "repeated"))
        result.filled.append(share("media", "audio", "repeated", "padding"))
        waited = sorted(each.queue for each in inside)
        result.queue.append(waited[int(0.95 * len(waited))])
    for (_, before), (at, after), until in zip(steps, steps[1:], edges[2:], strict=False):
        if after > before:
            had = next(layer for time, layer in reversed(pictures) if time < at)
            better = (time - at for time, layer in pictures if at < time < until and layer != had)
            result.climbs.append(next(better, float("inf")))
    result.switches = sum(one != other for (_, one), (_, other) in pairwise(pictures))
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(pictures)]
    usual = statistics.median(gaps)
    result.frozen = sum(gap for gap in gaps if gap > max(3 * usual, usual + 0.15))
    return result


def main(arguments):
    steps = ((0.0, arguments.constant),) if arguments.constant else STEPS
    results = [
        trio.run(
            run,
            steps,
            arguments.seconds,
            arguments.layers,
            seed,
            arguments.talk,
            clock=MockClock(autojump_threshold=0),
        )
        for seed in range(arguments.runs)
    ]
    for index, (_, rate) in enumerate(steps):
        media, filled, queue = (
            statistics.median(getattr(each, name)[index] for each in results)
            for name in ("media", "filled", "queue")
        )
        print(
            f"{rate / 1e6:.1f} Mbit/s: media {100 * media:.0f} %, with padding {100 * filled:.0f} %, "
            f"queue {1e3 * queue:.0f} ms (p95)"
        )
    for index in range(len(results[0].climbs)):
        climbs = [each.climbs[index] for each in results]
        print(f"climb {index + 1}: {statistics.median(climbs):.1f} s, {max(climbs):.1f} at most")
    print(
        f"switches {statistics.median(each.switches for each in results):.0f}, "
        f"frozen {statistics.median(each.frozen for each in results):.2f} s, "
        f"{max(each.frozen for each in results):.2f} at most"
    )


if __name__ == "__main__":
    parser = link_parser("steps", __doc__)
    parser.add_argument("--runs", type=int, default=5, help="the medians of so many; 5")
    parser.add_argument("--talk", action="store_true", help="tell what happens")
    main(parser.parse_args())
