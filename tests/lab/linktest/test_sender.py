"""Our sender, for a moment and on real sockets: what it sends, and to whose account."""

import pytest
import trio

from trio_allocator import Track, TrackReceiver, open_allocator
from trio_allocator.estimation import FeedbackRecorder
from trio_allocator.lab.linktest import rtp
from trio_allocator.lab.linktest.sender import Sender
from trio_allocator.lab.relay.datagrams import open_socket, port_of, receive

CAMERA = Track("camera", variants={"low": 200_000, "high": 400_000})
AUDIO = Track("audio", kind="audio", variants={"full": 35_000})
START = 600_000


class Peer:
    """The far end: it acknowledges whatever comes, at once."""

    def __init__(self):
        self.socket = open_socket()
        self.packets = []
        self.recorder = FeedbackRecorder(1, 1)
        self.sender = None

    def send(self, packet):
        self.socket.sendto(packet, self.sender)

    async def until(self, enough):
        """Receive until that is enough."""
        with trio.fail_after(20):
            while not enough(self.packets):
                await trio.lowlevel.wait_readable(self.socket)
                while (received := receive(self.socket)) is not None:
                    packet, self.sender, came = received
                    header = rtp.parse_rtp(packet)
                    self.packets.append((header, packet))
                    self.recorder.received(header.transport_sequence, came)
                for feedback in self.recorder.build_feedback():
                    self.send(feedback.build())


@pytest.fixture
def charged(monkeypatch):
    """Bytes that receivers were told of: media and retransmissions, padding."""
    sums = {"packet_sent": 0, "padding_sent": 0}

    def count(name):
        original = getattr(TrackReceiver, name)

        def counting(self, size):
            sums[name] += size
            original(self, size)

        monkeypatch.setattr(TrackReceiver, name, counting)

    for name in sums:
        count(name)
    return sums


@pytest.fixture
async def peer():
    opened = Peer()
    yield opened
    opened.socket.close()


def run_sender(body, peer, log=None):
    async def run():
        async with (
            open_allocator(initial_estimate=START) as allocator,
            trio.open_nursery() as nursery,
        ):
            sender = Sender(allocator, [AUDIO, CAMERA], START, log)
            sender.connect(port_of(peer.socket))
            nursery.start_soon(sender.run)
            sender.set_active(True)
            await body(sender)
            nursery.cancel_scope.cancel()

    return run()


def of_kind(packets, payload_type):
    return [
        (header, packet)
        for header, packet in packets
        if header.payload_type == payload_type and not header.is_padding
    ]


async def test_everything_sent_has_the_next_number_and_is_charged_once(peer, charged):
    async def body(sender):
        await peer.until(lambda packets: len(packets) >= 80)
        sent = sender._connection.packet_sent(1)
        await peer.until(lambda packets: len(packets) >= (sent - 65_000) % 65_536)
        # Nobody asks for anything again, so all of that is padding.
        padding = sum(
            len(packet) for header, packet in peer.packets if header.payload_type == rtp.REPEATED
        )
        total = sum(len(packet) for _header, packet in peer.packets)
        assert charged == {"packet_sent": total - padding, "padding_sent": padding}
        assert sender.media == total - padding

    await run_sender(body, peer)
    numbers = [header.transport_sequence for header, _packet in peer.packets]
    assert numbers == [(65_000 + number) % 65_536 for number in range(len(numbers))]
    for ssrc in {header.ssrc for header, _packet in peer.packets}:
        own = [header.sequence for header, _packet in peer.packets if header.ssrc == ssrc]
        assert own == list(range(len(own)))


async def test_feedback_reaches_estimator_allocator_and_log(peer):
    class Log:
        def __init__(self):
            self.sent, self.probes, self.rtcp, self.told = [], [], [], []
            self.allocator = None

        def packet_sent(self, time, sequence, size, cluster):
            self.sent.append(sequence)

        def probe_given(self, time, wanted):
            self.probes.append(wanted)

        def received(self, time, data):
            self.rtcp.append(data)

        def estimated(self, time, estimate):
            # In the same call: a moment later the allocator may know a newer one.
            self.told.append((estimate, self.allocator.estimate.value))

    log = Log()

    async def body(sender):
        log.allocator = sender._allocator
        await peer.until(lambda packets: len(packets) >= 40 and len(log.rtcp) >= 5)

        def noted(_packets):
            found = {estimate for estimate, _known in log.told} - {START}
            return any(estimate in found for _time, estimate in sender.estimates)

        await peer.until(noted)

    await run_sender(body, peer, log)
    assert log.sent[:3] == [65_000, 65_001, 65_002]
    assert len(log.told) >= 5
    assert all(estimate == known for estimate, known in log.told)


async def test_what_is_asked_for_is_sent_again_on_its_own_stream(peer):
    async def body(sender):
        await peer.until(lambda packets: len(of_kind(packets, rtp.MEDIA)) >= 3)
        (first, original), *_ = of_kind(peer.packets, rtp.MEDIA)
        peer.send(rtp.build_nack(first.ssrc, [first.sequence, 4_000]))
        peer.send(rtp.build_nack(77, [1]))
        peer.send(b"\x80\xc8 no RTCP at all")
        await peer.until(lambda _packets: sender.repeated)
        await peer.until(lambda packets: of_kind(packets, rtp.REPEATED))
        again, packet = next(
            (header, packet)
            for header, packet in of_kind(peer.packets, rtp.REPEATED)
            if rtp.repeated_sequence(packet) == first.sequence
        )
        assert again.ssrc == first.ssrc + 1
        assert packet[rtp.HEADER_SIZE + 2 :] == original[rtp.HEADER_SIZE :]
        assert [size for _time, size in sender.repeated] == [len(packet)]

    await run_sender(body, peer)


async def test_who_pauses_sends_nothing(peer):
    async def body(sender):
        await peer.until(lambda packets: len(packets) >= 5)
        sender.set_active(False)
        count = None
        # What was on its way arrives; after that there is nothing.
        while count != len(peer.packets):
            count = len(peer.packets)
            with trio.move_on_after(0.15):
                await peer.until(lambda packets: len(packets) > 10_000)
        sender.set_active(True)
        await peer.until(lambda packets: len(packets) > count)

    await run_sender(body, peer)
