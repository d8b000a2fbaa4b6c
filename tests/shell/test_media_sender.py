"""One peer's media: paced, repeated, padded and charged, from the packets that leave."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from tests.shell.support import tasks
from trio_allocator import (
    MediaSender,
    PacketKind,
    Track,
    open_allocator,
    open_media_sender,
)
from trio_allocator.estimation import FeedbackRecorder, SendSideEstimator
from trio_allocator.testing import MemoryLink

CAMERA = Track("camera", variants={"low": 150_000, "medium": 500_000})
VOICE = Track("voice", kind="audio", variants={"opus": 40_000})


class Peer:
    """The far end of a link: it reports every 50 ms."""

    def __init__(self, capacity=2_000_000):
        self.link = MemoryLink(capacity, delay=0.02)
        self.sent = []

    def transmit(self, outgoing):
        self.sent.append(outgoing)
        self.link.send_nowait(outgoing.number, outgoing.size)

    async def report_to(self, sender):
        recorder = FeedbackRecorder(1, 1)
        while True:
            await trio.sleep(0.05)
            while True:
                try:
                    delivery = self.link.receive_nowait()
                except trio.WouldBlock:
                    break
                recorder.received(delivery.payload, delivery.arrives_at)
            for feedback in recorder.build_feedback():
                sender.feedback_received(feedback.build())


@asynccontextmanager
async def sending(peer, estimate=1_000_000, **options):
    """An allocator and a sender, with the peer's reports."""
    known = SendSideEstimator(start_bitrate=estimate)
    async with (
        open_allocator() as allocator,
        open_media_sender(allocator, peer.transmit, estimator=known, **options) as sender,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(peer.report_to, sender)
        yield sender
        nursery.cancel_scope.cancel()


async def film(camera, seconds, rate=None, prefix=""):
    """Send what a camera's variant has, in packets of 500 bytes."""
    for number in range(int(seconds / 0.02)):
        if variant := camera.receiver.current_variant:
            bits = (rate or camera.track.variants[variant]) * 0.02
            for part in range(max(1, round(bits / 8 / 500))):
                camera.send(f"{prefix}{number}.{part}", 500, sequence=f"{prefix}{number}.{part}")
        await trio.sleep(0.02)


async def test_the_whole_of_it_in_ten_lines(autojump_clock):
    peer = Peer()
    async with sending(peer, 300_000) as sender:
        asked = []
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: asked.append(v))
        await trio.sleep(0.1)
        for _ in range(12):
            if (queued := camera.receiver.queued_variant) is not None:
                camera.switched(queued)  # its key frame has come
            await film(camera, 1)
        assert asked == ["low", "medium"]
        kinds = Counter(one.kind for one in peer.sent)
        assert kinds[PacketKind.PADDING] > 0  # probes found what the link carries
        assert kinds[PacketKind.REPEATED] == 0
        counted = sender.estimator.statistics()
        assert counted.sent_bytes == sum(one.size for one in peer.sent)
        padded = [one.size for one in peer.sent if one.kind is PacketKind.PADDING]
        assert (counted.padding, counted.padding_bytes) == (len(padded), sum(padded))
        media = [one.size for one in peer.sent if one.kind is PacketKind.MEDIA]
        assert sender.allocator.statistics().media_bytes == sum(media)
        numbers = [one.number for one in peer.sent]
        assert numbers == list(range(len(numbers)))


async def test_a_voice_flows_at_once_and_before_all_others(autojump_clock):
    peer = Peer()
    async with sending(peer) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None)
        voice = sender.add_track(VOICE)
        await trio.sleep(0.1)
        assert voice.receiver.current_variant == "opus"
        assert voice.allocation == 40_000
        assert not voice.can_pad
        for number in range(20):
            camera.send(number, 1_000)
        voice.send("hello", 100)
        await trio.sleep(0.005)
        assert [one.packet for one in peer.sent if one.kind is PacketKind.MEDIA][:1] == ["hello"]


async def test_what_waits_of_the_layer_that_is_left_does_not_delay_the_key_frame(autojump_clock):
    peer = Peer()
    async with sending(peer, 200_000) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None)
        await trio.sleep(0.1)
        camera.switched("low")
        for number in range(40):
            camera.send(f"old {number}", 1_000, sequence=number)
        await trio.sleep(0.1)
        sent = len([one for one in peer.sent if one.kind is PacketKind.MEDIA])
        assert 0 < sent < 10
        camera.switched("medium")
        camera.send("key frame", 1_000)
        await trio.sleep(0.1)
        media = [one.packet for one in peer.sent if one.kind is PacketKind.MEDIA]
        assert len(media) == sent + 1
        assert media[-1] == "key frame"
        assert sender.estimator.statistics().withdrawn == 40 - sent
        # What has left is still there for who lost it, and no padding any more.
        assert camera.repeat(0)
        padding = [one for one in peer.sent if one.kind is PacketKind.PADDING]
        camera.pad(2_000)
        again = [one.packet for one in peer.sent if one.kind is PacketKind.PADDING][len(padding) :]
        assert set(again) <= {"key frame", None}


async def test_what_is_lost_is_sent_again_within_the_budget_and_charged(autojump_clock):
    peer = Peer()
    async with sending(peer) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None)
        await trio.sleep(0.1)
        camera.switched("low")
        await film(camera, 1)
        before = sender.allocator.statistics().media_bytes
        assert camera.repeat("3.0")
        assert not camera.repeat("3.0"), "asked again before it can have arrived"
        assert not camera.repeat("nobody knows")
        await trio.sleep(0.1)
        again = [one for one in peer.sent if one.kind is PacketKind.REPEATED]
        # The number of the packet that was lost is sent with it (RFC 4588).
        assert [(one.packet, one.size, one.track) for one in again] == [("3.0", 502, camera)]
        assert sender.allocator.statistics().media_bytes == before + 502
        statistics = sender.estimator.statistics()
        assert (statistics.repeated, statistics.repeated_bytes) == (1, 502)


async def test_without_a_stream_of_retransmissions_the_same_packet_is_sent_again(autojump_clock):
    peer = Peer()
    async with sending(peer) as sender:
        voice = sender.add_track(VOICE)
        await trio.sleep(0.1)
        voice.send("word", 100, sequence=1)
        await trio.sleep(0.1)
        assert voice.repeat(1)
        await trio.sleep(0.1)
        again = [one for one in peer.sent if one.kind is PacketKind.REPEATED]
        assert [(one.packet, one.size) for one in again] == [("word", 100)]


async def test_a_packet_of_a_track_is_not_checked_as_a_callback(monkeypatch, autojump_clock):
    # The callback is the track's own, and looking at it costs more than queueing the packet.
    def check(name, callback):
        raise AssertionError(f"{name} was checked: {callback}")

    peer = Peer()
    async with sending(peer) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None)
        await trio.sleep(0.1)
        camera.switched("low")
        monkeypatch.setattr("trio_allocator.shell.connection_estimator.check_synchronous", check)
        assert camera.send("first", 500, sequence=0)
        await trio.sleep(0.1)
        assert camera.repeat(0)
        await trio.sleep(0.1)
    kinds = [one.kind for one in peer.sent if one.kind is not PacketKind.PADDING]
    assert kinds == [PacketKind.MEDIA, PacketKind.REPEATED]


async def test_old_packets_are_forgotten(autojump_clock):
    peer = Peer()
    async with sending(peer, 10_000_000) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None)
        await trio.sleep(0.1)
        for number in range(1_100):
            camera.send(number, 100, sequence=number)
            await trio.sleep(0.001)
        await trio.sleep(1)
        assert not camera.repeat(0)
        assert not camera.repeat(75)
        assert camera.repeat(76)


async def test_a_probe_is_charged_to_the_track_that_sends_it(autojump_clock):
    peer = Peer()
    async with sending(peer, 300_000) as sender:
        sender.add_track(VOICE)
        still = sender.add_track(CAMERA, request_variant=lambda v, why: None, pausable=True)
        busy = sender.add_track(
            Track("screen", kind="screen", variants={"low": 200_000, "high": 900_000}),
            request_variant=lambda v, why: None,
            has_rtx=False,
            header_size=30,
        )
        await trio.sleep(0.1)
        busy.switched("low")
        await film(busy, 3)
        padded = [one for one in peer.sent if one.kind is PacketKind.PADDING]
        assert padded
        assert {one.track for one in padded} <= {busy, still}
        assert busy in {one.track for one in padded}
        assert all(
            one.packet is None and one.size == one.padding + 30
            for one in padded
            if one.track is busy
        )


async def test_without_anybody_who_pads_a_probe_is_not_sent(autojump_clock):
    peer = Peer()
    async with sending(peer, 300_000) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None, can_pad=False)
        await trio.sleep(0.1)
        camera.switched("low")
        await film(camera, 2)
        assert sender.estimator.statistics().probes > 0
        assert {one.kind for one in peer.sent} == {PacketKind.MEDIA}


async def test_before_it_is_connected_nothing_is_sent_not_even_padding(autojump_clock):
    peer = Peer()
    async with sending(peer, connected=False) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None)
        await trio.sleep(0.1)
        camera.switched("low")
        assert not camera.send("dropped", 500, sequence=0)
        assert camera.pad(500) == 0
        assert not camera.repeat(0)
        await trio.sleep(5)
        assert not peer.sent
        sender.connected()
        assert camera.send("sent", 500)
        await trio.sleep(0.1)
        assert peer.sent[0].packet == "sent"


async def test_a_track_that_is_closed_holds_nothing_and_what_waits_is_gone(autojump_clock):
    peer = Peer()
    async with sending(peer, 200_000) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None)
        await trio.sleep(0.1)
        assert camera.allocation > 0
        for number in range(10):
            camera.send(number, 1_000)
        await trio.sleep(0.01)
        sent = len(peer.sent)
        camera.close()
        camera.close()
        await trio.sleep(1)
        assert (camera.allocation, sender.tracks) == (0, [])
        assert not camera.can_pad
        assert [one.kind for one in peer.sent[sent:]].count(PacketKind.MEDIA) == 0
        assert sender.allocator.status.receivers == 0


async def test_a_track_without_a_source_to_ask_stops_when_it_is_paused(autojump_clock):
    async with sending(Peer()) as sender:
        voice = sender.add_track(VOICE)
        await trio.sleep(0.1)
        assert voice.receiver.current_variant == "opus"
        sender.allocator.force_allocation(voice.receiver.handle, 0)
        await trio.sleep(0.1)
        assert voice.receiver.current_variant is None


# --- lifetime ----------------------------------------------------------------------------------


async def test_a_track_ends_though_the_estimator_has_ended_before(autojump_clock):
    async with sending(Peer()) as sender:
        camera = sender.add_track(CAMERA, request_variant=lambda v, why: None)
        await trio.sleep(0.1)
        sender.estimator.close()
        camera.close()
        assert sender.tracks == []


class YoursError(Exception):
    """What the user's own code raises."""


async def test_what_the_body_raises_leaves_it_as_it_was(autojump_clock):
    yours = YoursError()
    with pytest.raises(YoursError) as caught:
        async with open_allocator() as allocator, open_media_sender(allocator, print) as sender:
            sender.add_track(VOICE)
            raise yours
    assert caught.value is yours


@pytest.mark.parametrize("where", ["transmit", "request_variant"])
async def test_what_a_callback_raises_leaves_the_block_unwrapped(where, autojump_clock):
    yours = YoursError(where)

    def fail(*_arguments):
        raise yours

    def accept(*_arguments):
        pass

    with pytest.raises(YoursError) as caught:
        async with (
            open_allocator() as allocator,
            open_media_sender(allocator, fail if where == "transmit" else accept) as sender,
        ):
            camera = sender.add_track(
                CAMERA, request_variant=fail if where == "request_variant" else accept
            )
            await trio.sleep(0.1)
            camera.send("packet", 100)
            await trio.sleep_forever()
    assert caught.value is yours
    assert sender.failure is yours


async def test_in_a_nursery_of_ones_own(autojump_clock):
    before = tasks()
    async with open_allocator() as allocator, trio.open_nursery() as nursery:
        sender = MediaSender.create(nursery, allocator, print)
        voice = sender.add_track(VOICE)
        await trio.sleep(0.1)
        await sender.destroy()
        await sender.destroy()
        assert sender.failure is None
        with pytest.raises(trio.ClosedResourceError):
            voice.send("late", 100)
        await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert tasks() == before


async def test_what_it_can_not_use_is_refused_at_the_call(autojump_clock):
    async with open_allocator() as allocator:
        with pytest.raises(TypeError, match="transmit"):
            async with open_media_sender(allocator, trio.sleep):
                pass
        async with open_media_sender(allocator, print) as sender:
            for options, error in (
                ({"importance": 0.5}, TypeError),
                ({"has_rtx": 1}, TypeError),
                ({"header_size": 3}, ValueError),
                ({"priority": 300}, ValueError),
                ({"bogus": 1}, TypeError),
            ):
                with pytest.raises(error):
                    sender.add_track(CAMERA, **options)
            assert sender.tracks == []
