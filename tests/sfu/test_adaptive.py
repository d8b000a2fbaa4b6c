"""One connection to a subscriber, in virtual time: layers at key frames, repetitions, demand."""

from __future__ import annotations

import trio

from examples.sfu.adaptive import AdaptiveConnection
from examples.sfu.codecs import OPUS, VP8
from examples.sfu.outgoing import OutgoingFormat, OutgoingTrack
from examples.sfu.publication import Layer, PublishedTrack
from examples.sfu.rtp import RtpPacket, parse_rtp
from tests.sfu.wire import Wire
from trio_allocator.estimation import (
    FeedbackRecorder,
    FullIntraRequest,
    Nack,
    PictureLoss,
    SenderReport,
)
from trio_allocator.metrics import MetricsCollector

KEY = b"\x10\x00 a key frame"
DELTA = b"\x10\x01 another" + bytes(500)
RATES = {"q": 100_000, "h": 300_000}
NUMBER, MID = 4, 5


class Peer(Wire):
    """A wire with a subscriber at its end, who reports what arrives."""

    def __init__(self):
        super().__init__()
        self.packets = []
        self.on_rtcp = None
        self._recorder = FeedbackRecorder(1, 2)

    def send_rtp(self, data):
        packet = parse_rtp(data)
        number = int.from_bytes(packet.extensions[NUMBER], "big")
        self._recorder.received(number, trio.current_time() + 0.02)
        self.packets.append(packet)
        return True

    async def report(self):
        while True:
            await trio.sleep(0.05)
            for feedback in self._recorder.build_feedback():
                self.on_rtcp(feedback.build())


def video():
    layers = {name: Layer(name, rate, is_alive=True) for name, rate in RATES.items()}
    return PublishedTrack("p1/video", "video", VP8, 96, {}, layers)


def outgoing(codec=VP8, ssrc=7, repeated=97):
    return OutgoingTrack(OutgoingFormat(codec, 96, repeated, "0", MID, NUMBER, ssrc, ssrc + 1), 16)


class Camera:
    """Feeds the followers of a track, a key frame whenever one is asked for."""

    def __init__(self, source):
        self.source = source
        self.asked = 0
        self.wants_key = self.obeys = True
        self.numbers = dict.fromkeys(source.layers, 100)

    def request(self):
        self.asked += 1
        self.wants_key |= self.obeys

    def send(self, layer, payload):
        self.numbers[layer] += 1
        packet = RtpPacket(96, self.numbers[layer], 0, 1, payload, True, {})
        description = self.source.codec.describe(payload)
        for follower in list(self.source.followers):
            follower.take(layer, packet, description, trio.current_time())

    async def run(self):
        while True:
            payload = KEY if self.wants_key else DELTA
            self.wants_key = False
            for layer in self.source.layers:
                self.send(layer, payload)
            await trio.sleep(0.02)


class Stage:
    def __init__(self):
        self.peer = Peer()
        self.connection = AdaptiveConnection("s1", self.peer, MetricsCollector())
        self.source = video()
        self.camera = Camera(self.source)

    async def open(self, nursery):
        await nursery.start(self.connection.run)
        nursery.start_soon(self.peer.report)
        nursery.start_soon(self.camera.run)
        self.track = self.connection.add(self.source, outgoing(), self.camera.request)


async def opened(nursery):
    stage = Stage()
    await stage.open(nursery)
    return stage


def media(stage):
    return [packet for packet in stage.peer.packets if packet.ssrc == 7]


async def test_the_best_layer_comes_and_is_one_stream(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(6)
    assert stage.track.receiver.current_variant == "h"
    assert stage.track.wanted == {"h"}
    numbers = [packet.sequence for packet in media(stage)]
    assert numbers == [(numbers[0] + n) % 2**16 for n in range(len(numbers))]
    assert media(stage)[0].payload == KEY
    assert stage.connection.bytes["media"] > 0
    nursery.cancel_scope.cancel()


async def test_a_switch_waits_for_the_key_frame_of_its_layer(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(6)
    asked = stage.camera.asked
    stage.camera.obeys = False
    stage.track.receiver.set_pin("q")
    await trio.sleep(1)
    assert (stage.track.receiver.current_variant, stage.track.awaited) == ("h", "q")
    assert stage.track.wanted == {"q", "h"}
    before = len(media(stage))
    stage.camera.wants_key = True
    await trio.sleep(0.1)
    assert (stage.track.receiver.current_variant, stage.track.awaited) == ("q", None)
    assert KEY in [packet.payload for packet in media(stage)[before:]]
    assert stage.camera.asked > asked
    nursery.cancel_scope.cancel()


async def test_what_is_missed_is_sent_again_on_its_own_stream(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(3)
    lost = media(stage)[-2]
    stage.peer.on_rtcp(Nack(1, 7, (lost.sequence, (lost.sequence + 9_000) % 2**16)).build())
    stage.peer.on_rtcp(Nack(1, 99, (1,)).build())
    await trio.sleep(0.2)
    original = lost.sequence.to_bytes(2, "big") + lost.payload
    again = [packet for packet in stage.peer.packets if packet.payload == original]
    assert [packet.ssrc for packet in again] == [8]
    assert stage.connection.bytes["repeated"] > len(lost.payload)
    assert stage.connection.counts["nacks"] == 2
    nursery.cancel_scope.cancel()


async def test_a_lost_picture_is_asked_for_until_it_comes(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(6)
    stage.peer.on_rtcp(PictureLoss(1, 7).build())
    assert stage.track.awaited == "h"
    await trio.sleep(0.1)
    assert stage.track.awaited is None
    asked = stage.camera.asked
    stage.peer.on_rtcp(FullIntraRequest(1, ((7, 0), (99, 0))).build())
    assert stage.camera.asked == asked + 1
    nursery.cancel_scope.cancel()


async def test_malformed_rtcp_is_counted(autojump_clock, nursery):
    stage = await opened(nursery)
    for data in (b"", b"\x80", b"\x81\xcd\x00\x02" + bytes(8)):
        stage.peer.on_rtcp(data)
    assert stage.connection.counts["malformed"] == 3
    nursery.cancel_scope.cancel()


async def test_padding_of_the_publisher_is_left_out(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(6)
    stage.camera.send("h", b"")
    await trio.sleep(1)
    numbers = [packet.sequence for packet in media(stage)]
    assert numbers == [(numbers[0] + n) % 2**16 for n in range(len(numbers))]
    assert all(packet.payload for packet in media(stage))
    nursery.cancel_scope.cancel()


async def test_sound_flows_at_once_and_from_any_number(autojump_clock, nursery):
    stage = await opened(nursery)
    source = PublishedTrack("p1/audio", "audio", OPUS, 111, {}, {"only": Layer("only", 50_000)})
    source.layers["only"].is_alive = True
    microphone = Camera(source)
    microphone.numbers["only"] = 60_000
    nursery.start_soon(microphone.run)
    stage.connection.add(source, outgoing(OPUS, 20, None), microphone.request)
    await trio.sleep(1)
    heard = [packet for packet in stage.peer.packets if packet.ssrc == 20]
    assert len(heard) > 40
    assert stage.connection.bytes["audio"] > 0
    nursery.cancel_scope.cancel()


async def test_a_subscriber_learns_what_the_timestamps_mean(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(2.1)
    reports = [SenderReport.parse(data) for _, data in stage.peer.sent if data[1] == 200]
    assert reports
    assert {report.sender_ssrc for report in reports} == {7}
    assert reports[-1].packets > 10
    nursery.cancel_scope.cancel()


async def test_a_layer_that_dies_is_left(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(6)
    stage.track.layer_changed("h", is_alive=False)
    stage.camera.request()
    await trio.sleep(0.5)
    assert stage.track.receiver.current_variant == "q"
    stage.track.layer_changed("h", is_alive=True)
    await trio.sleep(10)
    assert stage.track.receiver.current_variant == "h"
    nursery.cancel_scope.cancel()


async def test_the_ladder_follows_the_publisher_but_for_what_flows(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(6)
    declared = stage.track.receiver.track.variants["h"]
    stage.source.layers["q"].bitrate, stage.source.layers["h"].bitrate = 50_000, 900_000
    stage.track.ladder_changed()
    assert stage.track.receiver.track.variants == {"q": 50_000, "h": declared}
    assert stage.track.receiver.current_variant == "h"
    nursery.cancel_scope.cancel()


async def test_a_layer_that_was_asked_for_and_ramps_up_is_no_cheaper(autojump_clock, nursery):
    stage = await opened(nursery)
    receiver = stage.track.receiver
    await trio.sleep(6)
    stage.track.layer_changed("h", is_alive=False)
    await trio.sleep(0.5)
    stage.camera.obeys = False
    stage.track.layer_changed("h", is_alive=True)
    for _ in range(500):
        if receiver.queued_variant == "h":
            break
        await trio.sleep(0.02)
    declared, held = dict(receiver.track.variants), receiver.handle.allocation
    stage.source.layers["h"].bitrate = declared["h"] // 3
    stage.track.ladder_changed()
    assert receiver.track.variants == declared
    assert receiver.handle.allocation == held
    nursery.cancel_scope.cancel()


async def test_what_is_removed_is_not_sent_any_more(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(3)
    stage.connection.remove(stage.track)
    stage.track.close()
    sent = len(stage.peer.packets)
    await trio.sleep(1)
    assert len(stage.peer.packets) == sent
    assert not stage.source.followers
    assert not stage.connection.allocator.explain().receivers
    nursery.cancel_scope.cancel()


async def test_a_connection_that_fails_does_not_disturb_the_publisher(autojump_clock, nursery):
    stage = await opened(nursery)
    await trio.sleep(3)
    stage.connection.sender.estimator.close()
    stage.camera.send("q", KEY)
    stage.camera.send("h", KEY)
    nursery.cancel_scope.cancel()


async def test_whoever_leaves_does_not_disturb_the_publisher(autojump_clock, nursery):
    stage = Stage()
    sent = []

    async def forward_until_the_end():
        try:
            await trio.sleep_forever()
        finally:
            # What comes after the connection was cancelled, and before all of it has ended.
            with trio.CancelScope(shield=True):
                for _ in range(5):
                    await trio.lowlevel.checkpoint()
                    stage.camera.send("q", DELTA)
                    stage.camera.send("h", DELTA)
                    sent.append(len(stage.source.followers))

    async with trio.open_nursery() as inner:
        await stage.open(inner)
        inner.start_soon(forward_until_the_end)
        await trio.sleep(3)
        inner.cancel_scope.cancel()
    assert sent[-1] == 0
    stage.peer.on_rtcp(PictureLoss(1, 7).build())
