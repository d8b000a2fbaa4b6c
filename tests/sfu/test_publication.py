"""A publication in virtual time: layers, key frames, what is wanted, and what is not let in."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import trio

from examples.sfu.publication import (
    DEAD,
    KEY_FRAME_PAUSE,
    LINGER,
    MOST_RATE,
    RETURN,
    Publication,
    published_track,
)
from examples.sfu.rtp import LAYERS, REPAIRED_RID, RID, TRANSPORT_CC, RtpWriter
from examples.sfu.sdp import parse_offer
from tests.sfu.offers import PUBLISH
from tests.sfu.wire import Wire
from trio_allocator.estimation import (
    LayerAllocation,
    Nack,
    TransportFeedback,
    VideoLayersAllocation,
    parse_compound,
    parse_requests,
)

KEY = b"\x10\x00 a key frame"
DELTA = b"\x10\x01 another"
SSRC = {"q": 11, "h": 22, "f": 33}
RATES = {"q": 120_000, "h": 400_000, "f": 1_250_000}


class Watcher:
    """A follower."""

    def __init__(self, wanted=(), awaited=None):
        self.wanted = frozenset(wanted)
        self.awaited = awaited
        self.taken = []
        self.changes = []
        self.ladders = 0

    def ladder_changed(self):
        self.ladders += 1

    def take(self, layer, packet, description, now):
        self.taken.append((layer, packet.sequence, description.starts_key_frame))

    def layer_changed(self, layer, *, is_alive):
        self.changes.append((layer, is_alive))


class Stage:
    """A publication of a browser's camera, and its packets."""

    def __init__(self):
        sections = parse_offer(PUBLISH).sections
        tracks = [published_track(section, "p1", "camera", RATES) for section in sections]
        self.wire = Wire()
        self.publication = Publication("p1", "Ada", "camera", self.wire, tracks)
        self.demands = []
        self.publication.on_demand = lambda layers: self.demands.append(
            (trio.current_time(), layers)
        )
        self.video, self.audio = tracks
        self.numbers = Counter()

    def send(self, layer, payload=DELTA, extra=(), arrived_at=None):
        """One packet of a layer."""
        extensions = self.video.extensions
        self.numbers[layer] += 1
        self.numbers["all"] += 1
        parts = [(extensions[RID], layer.encode())]
        parts += [(extensions[TRANSPORT_CC], self.numbers["all"].to_bytes(2, "big")), *extra]
        block = b"".join(bytes([number, len(data)]) + data for number, data in parts)
        block += bytes(-len(block) % 4)
        head = bytes([0x90, self.video.payload_type]) + self.numbers[layer].to_bytes(2, "big")
        head += bytes(4) + SSRC[layer].to_bytes(4, "big")
        head += b"\x10\x00" + (len(block) // 4).to_bytes(2, "big")
        now = trio.current_time()
        self.wire.on_rtp(head + block + payload, now if arrived_at is None else arrived_at)

    def skip(self, layer):
        """A packet of a layer that the network loses; returns its number."""
        self.numbers[layer] += 1
        self.numbers["all"] += 1
        return self.numbers[layer]

    def repeat(self, layer, sequence, payload):
        """A retransmission; of nothing with an empty payload."""
        extensions = self.video.extensions
        self.numbers["all"] += 1
        parts = [(extensions[REPAIRED_RID], layer.encode())]
        parts += [(extensions[TRANSPORT_CC], self.numbers["all"].to_bytes(2, "big"))]
        block = b"".join(bytes([number, len(data)]) + data for number, data in parts)
        block += bytes(-len(block) % 4)
        assert self.video.repeated is not None
        head = bytes([0x90, self.video.repeated]) + self.numbers["all"].to_bytes(2, "big")
        head += bytes(4) + (1_000 + SSRC[layer]).to_bytes(4, "big")
        head += b"\x10\x00" + (len(block) // 4).to_bytes(2, "big")
        body = sequence.to_bytes(2, "big") + payload if payload else b""
        self.wire.on_rtp(head + block + body, trio.current_time())

    async def stream(self, *layers):
        """Packets of these layers until cancelled."""
        while True:
            for layer in layers:
                self.send(layer)
            await trio.sleep(0.05)

    async def browse(self, *layers):
        """As a browser does, send those of these layers that are wanted, until cancelled."""
        while True:
            wanted = self.demands[-1][1] if self.demands else layers
            for layer in layers:
                if layer in wanted:
                    self.send(layer)
            await trio.sleep(0.05)


@pytest.fixture
async def stage(nursery):
    stage = Stage()
    nursery.start_soon(stage.publication.run)
    await trio.testing.wait_all_tasks_blocked()
    return stage


async def test_packets_reach_the_followers_of_their_track(autojump_clock, stage):
    watcher, listener = Watcher(), Watcher()
    stage.video.followers.append(watcher)
    stage.audio.followers.append(listener)
    stage.send("h", KEY)
    stage.send("f")
    assert watcher.taken == [("h", 1, True), ("f", 1, False)]
    assert watcher.changes == [("h", True), ("f", True)]
    sound = RtpWriter(stage.audio.payload_type, 99, transport_cc=4, mid=None)
    stage.wire.on_rtp(sound.build(7, 0, b"opus", 9), trio.current_time())
    assert listener.taken == [("only", 7, True)]


async def test_what_belongs_to_nobody_is_counted(autojump_clock, stage):
    stage.wire.on_rtp(b"garbage", trio.current_time())
    stage.wire.on_rtp(
        RtpWriter(5, 1, transport_cc=4, mid=None).build(1, 2, b"x", 3), trio.current_time()
    )
    other = RtpWriter(stage.video.payload_type, 1, transport_cc=4, mid=None)
    stage.wire.on_rtp(other.build(1, 2, b"x", 3), trio.current_time())
    assert stage.publication.counts == {"malformed": 1, "unknown": 2}


async def test_a_second_stream_for_a_layer_is_not_let_in(autojump_clock, stage):
    stage.send("q")
    SSRC["q"], before = 12, SSRC["q"]
    try:
        stage.send("q")
    finally:
        SSRC["q"] = before
    assert stage.publication.counts == {"packets": 1, "unknown": 1}


def told(stage, kind, parse):
    """What the publisher was told of a kind."""
    messages = (message for _, data in stage.wire.sent for message in parse(data))
    return [message for message in messages if isinstance(message, kind)]


def feedback(stage):
    return told(stage, TransportFeedback, parse_compound)


async def test_the_publisher_hears_what_has_arrived(autojump_clock, stage):
    for _ in range(3):
        stage.send("q")
    await trio.sleep(0.06)
    assert [len(each.arrivals) for each in feedback(stage)] == [3]


async def test_the_publisher_hears_when_its_packets_came_not_when_they_were_read(
    autojump_clock, stage
):
    await trio.sleep(0.01)
    for before in (0.008, 0.005, 0.002):
        stage.send("q", arrived_at=trio.current_time() - before)
    await trio.sleep(0.05)
    (told,) = feedback(stage)
    first, *others = told.arrivals
    assert [other - first for other in others] == [3_000, 6_000]  # µs


def nacks(stage):
    return told(stage, Nack, parse_requests)


async def test_what_the_network_lost_is_asked_for_and_handed_on(autojump_clock, stage):
    watcher = Watcher(wanted={"h"})
    stage.video.followers.append(watcher)
    stage.send("h", KEY)
    lost = stage.skip("h")
    stage.send("h")
    stage.skip("f")
    stage.send("f")
    await trio.sleep(0.06)
    assert [(each.media_ssrc, each.sequences) for each in nacks(stage)] == [(SSRC["h"], (lost,))]
    stage.repeat("h", lost, KEY)
    assert watcher.taken[-1] == ("h", lost, False), "a key frame does not begin where it was lost"
    stage.repeat("h", lost, KEY)
    stage.repeat("h", 0, b"")
    assert len(watcher.taken) == 4
    counts = stage.publication.counts
    assert (counts["nacked"], counts["repaired"], counts["doubled"]) == (1, 1, 1)
    await trio.sleep(0.2)
    assert len(nacks(stage)) == 1


async def test_retransmissions_of_what_is_not_known_are_nobodys(autojump_clock, stage):
    stage.repeat("h", 1, KEY)
    assert stage.publication.counts == {"unknown": 1}


async def test_a_publisher_without_retransmissions_is_asked_for_none(autojump_clock, stage):
    stage.video.repeated = None
    stage.video.followers.append(Watcher(wanted={"h"}))
    stage.send("h")
    stage.skip("h")
    stage.send("h")
    await trio.sleep(0.2)
    assert nacks(stage) == []


async def test_a_flood_of_a_publisher_is_cut(autojump_clock, stage):
    watcher = Watcher()
    stage.video.followers.append(watcher)
    size = 1_200
    for _ in range(2 * MOST_RATE // (8 * size)):
        stage.send("q", DELTA + bytes(size))
    let_in = len(watcher.taken) * size * 8
    assert 0.9 * MOST_RATE < let_in <= MOST_RATE
    assert stage.publication.counts["excess"] > 500
    await trio.sleep(0.2)
    stage.send("q")
    assert len(watcher.taken) * size * 8 > let_in


async def test_layers_die_and_live_again(autojump_clock, stage, nursery):
    watcher = Watcher(["q", "h"])
    stage.video.followers.append(watcher)
    with trio.CancelScope() as scope:
        nursery.start_soon(stage.stream, "q")
        stage.send("h")
        await trio.sleep(DEAD + RETURN + 0.2)
        assert watcher.changes == [("q", True), ("h", True), ("h", False)] or watcher.changes == [
            ("h", True),
            ("q", True),
            ("h", False),
        ]
        stage.send("h")
        assert watcher.changes[-1] == ("h", True)
        scope.cancel()
    nursery.cancel_scope.cancel()


async def test_what_nobody_wants_is_switched_off_and_not_dead(autojump_clock, stage, nursery):
    watcher = Watcher(["q"])
    stage.video.followers.append(watcher)
    nursery.start_soon(stage.browse, "q", "h", "f")
    begun = trio.current_time()
    await trio.sleep(LINGER + 0.2)
    assert [layers for _, layers in stage.demands] == [["q", "h", "f"], ["q"]]
    assert LINGER <= stage.demands[-1][0] - begun <= LINGER + 0.11
    await trio.sleep(10)
    assert sorted(watcher.changes) == [("f", True), ("h", True), ("q", True)]
    nursery.cancel_scope.cancel()


async def test_what_is_wanted_again_is_switched_on_at_once(autojump_clock, stage, nursery):
    watcher = Watcher(["q"])
    stage.video.followers.append(watcher)
    nursery.start_soon(stage.browse, "q", "h", "f")
    await trio.sleep(LINGER + 1)
    watcher.wanted, watcher.awaited = frozenset({"q", "f"}), "f"
    asked = trio.current_time()
    stage.publication.request_key_frame()
    assert stage.demands[-1] == (asked, ["q", "f"])
    await trio.sleep(0.06)
    assert watcher.taken[-1][0] == "f"
    nursery.cancel_scope.cancel()


async def test_what_is_switched_on_and_does_not_come_is_dead(autojump_clock, stage, nursery):
    watcher = Watcher(["q"])
    stage.video.followers.append(watcher)
    nursery.start_soon(stage.browse, "q", "h", "f")
    await trio.sleep(LINGER + 1)
    stage.publication.on_demand = lambda _layers: None  # the browser does not obey any more
    watcher.wanted, watcher.awaited = frozenset({"q", "h"}), "h"
    await trio.sleep(RETURN - 0.1)
    assert ("h", False) not in watcher.changes
    await trio.sleep(0.3)
    assert watcher.changes[-1] == ("h", False)
    nursery.cancel_scope.cancel()


async def test_key_frames_are_asked_for_once_for_all_and_again_until_they_come(
    autojump_clock, stage
):
    stage.send("q")
    stage.send("f")
    first, second = Watcher(["q"], "q"), Watcher(["q"], "f")
    stage.video.followers += [first, second]
    begun = trio.current_time()
    for _ in range(10):
        stage.publication.request_key_frame()
    await trio.sleep(2.2)
    requests = stage.wire.requests()
    assert requests[0] == (begun, {SSRC["q"], SSRC["f"]})
    gaps = [later[0] - sooner[0] for sooner, later in pairwise(requests)]
    assert len(gaps) == 4
    assert all(KEY_FRAME_PAUSE <= gap <= KEY_FRAME_PAUSE + 0.051 for gap in gaps)
    second.awaited = first.awaited = None
    await trio.sleep(2)
    assert len(stage.wire.requests()) == len(requests)


async def test_a_key_frame_of_what_never_came_is_not_asked_for(autojump_clock, stage):
    stage.video.followers.append(Watcher(["f"], "f"))
    stage.publication.request_key_frame()
    assert not stage.wire.requests()
    stage.send("f")
    await trio.sleep(0.06)
    assert [wanted for _, wanted in stage.wire.requests()] == [{SSRC["f"]}]
    assert stage.publication.counts["key_frame_requests"] == 1


async def test_a_publisher_says_what_its_layers_take(autojump_clock, stage):
    watcher = Watcher()
    stage.video.followers.append(watcher)
    number = stage.video.extensions[LAYERS]

    def tell(*rates):
        told = [LayerAllocation(2 * index, 0, rate) for index, rate in enumerate(rates)]
        stage.send("q", KEY, [(number, VideoLayersAllocation(0, tuple(told)).build())])

    tell((100_000,), (500_000, 900_000))
    assert stage.video.rates == {"q": 105_000, "h": 420_000, "f": 945_000}, "headers are counted"
    assert watcher.ladders == 1
    tell((101_000,), (500_000, 910_000))
    assert stage.video.rates == {"q": 105_000, "h": 420_000, "f": 945_000}, "not notable"
    assert watcher.ladders == 1
    stage.send("q", KEY, [(number, b"\x01")])
    assert stage.publication.counts["malformed"] == 1
    assert stage.video.rates == {"q": 105_000, "h": 420_000, "f": 945_000}


async def test_the_rate_of_a_layer_is_measured(autojump_clock, stage, nursery):
    nursery.start_soon(stage.stream, "q")
    await trio.sleep(2.01)
    size = 12 + 4 + 12 + len(DELTA) + Wire.tag_size
    assert stage.video.layers["q"].measured == pytest.approx(8 * size * 20, rel=0.1)
    assert stage.video.layers["h"].measured == 0
    nursery.cancel_scope.cancel()
