"""Where `trio_allocator` is used: one connection to a subscriber, and the tracks that share it.

Everything else of this server would be the same with any other way to choose layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from trio_allocator import (
    MediaSender,
    MediaTrack,
    OutgoingPacket,
    PacketKind,
    ProbingAllocator,
    SwitchReason,
    Track,
    open_allocator,
    open_media_sender,
)
from trio_allocator.estimation import (
    FeedbackError,
    FullIntraRequest,
    Nack,
    PictureLoss,
    parse_requests,
)
from trio_allocator.metrics import MetricsCollector

from .description import Description
from .outgoing import MediaPacket, OutgoingTrack
from .publication import PublishedTrack
from .rtp import RtpPacket
from .transport import Transport

REPORT = 1.0
"""How often a subscriber learns which moment the timestamps mean, s."""

BURST = 0.02
"""What a connection's pace allows within this time leaves at once, s: most pictures, whole. The network's
queue may be as much longer (docs/real_peers.md)."""

AUDIO_PRIORITY = 10
"""Of audio among the tracks of a connection: pages may give video 0 to 9."""


class AdaptiveTrack:
    """A track on its way to one subscriber: the layer that fits, from key frame to key frame.

    Args:
        sender: Of the connection.
        source: What is published.
        outgoing: How the subscriber gets it.
        request_key_frame: Asks the publisher for what is waited for.
    """

    def __init__(
        self,
        sender: MediaSender[MediaPacket],
        source: PublishedTrack,
        outgoing: OutgoingTrack,
        request_key_frame: Callable[[], object],
    ) -> None:
        is_audio = source.kind == "audio"
        self._sender = sender
        self._request_key_frame = request_key_frame
        self._is_broken = False
        self.source: PublishedTrack = source
        self.outgoing: OutgoingTrack = outgoing
        self.media: MediaTrack[MediaPacket] = sender.add_track(
            Track(source.id, kind=source.kind, variants=source.rates),
            request_variant=self._layer_requested,
            has_rtx=outgoing.can_repeat,
            header_size=outgoing.overhead,
            can_pad=outgoing.can_repeat and not is_audio,
            pausable=not is_audio,
            priority=AUDIO_PRIORITY if is_audio else 1,
        )
        self.receiver = self.media.receiver
        if dead := source.layers.keys() - set(source.alive):
            self.receiver.variant_inactive(*dead)
        source.followers.append(self)

    def close(self) -> None:
        """Send nothing of it any more. May be called twice."""
        if self in self.source.followers:
            self.source.followers.remove(self)
            self.media.close()

    def _layer_requested(self, layer: str | None, _reason: SwitchReason) -> None:
        """The allocator says which layer to send next: from its key frame on, or nothing, now."""
        if layer is None:
            self.media.switched(None)
        else:
            self._request_key_frame()

    # --- what the publication tells its followers ------------------------------------------

    def take(self, layer: str, packet: RtpPacket, description: Description, now: float) -> None:
        """A packet of any layer came: send it on, if it is the layer's turn."""
        if not self._sender.estimator.is_open:
            return  # it has just failed, and is gone in a moment: no concern of the publisher's
        receiver = self.receiver
        if description.starts_key_frame:
            if layer == receiver.queued_variant:
                self.outgoing.begin(packet, description, now)
                self.media.switched(layer)
            self._is_broken &= layer != receiver.current_variant
        if layer != receiver.current_variant:
            return
        if not packet.payload:  # the publisher's own padding
            self.outgoing.skip(packet)
        elif (media := self.outgoing.accept(packet, description, now)) is not None:
            self.media.send(media, media.size, sequence=media.sequence)

    def layer_changed(self, layer: str, *, is_alive: bool) -> None:
        """A layer is sent (again), or is not any more."""
        if is_alive:
            self.receiver.variant_active(layer)
        else:
            self.receiver.variant_inactive(layer)

    def ladder_changed(self) -> None:
        """Layers take more than before, or less."""
        rates = self.source.rates
        # What flows is measured by its receiver, which knows better than the publisher; and what
        # was asked for ramps up: what its encoder aims at for the moment is not what it takes.
        for name in self.wanted:
            rates[name] = self.receiver.track.variants.get(name, rates[name])
        self.receiver.set_variants(rates)
        if dead := self.source.layers.keys() - set(self.source.alive):
            self.receiver.variant_inactive(*dead)

    @property
    def wanted(self) -> frozenset[str]:
        """The layers that it takes or waits for."""
        layers = self.receiver.current_variant, self.receiver.queued_variant
        return frozenset(layer for layer in layers if layer is not None)

    @property
    def awaited(self) -> str | None:
        """The layer of which it needs a key frame."""
        broken = self.receiver.current_variant if self._is_broken else None
        return self.receiver.queued_variant or broken

    def picture_lost(self) -> None:
        """The subscriber can not decode any more."""
        self._is_broken = True
        self._request_key_frame()


class AdaptiveConnection:
    """One subscriber's connection: an allocator, and a sender that the tracks share.

    Args:
        name: Of the connection among the metrics.
        transport: Where packets go.
        collector: Of metrics.

    Attributes:
        transport: Likewise.
        tracks: That are sent, by the SSRC of their media.
        allocator: Divides what the connection carries; set once it runs.
        sender: Paces, repeats, pads and charges; likewise.
        bytes: What was sent: ``media``, ``audio``, ``repeated``, ``padding``.
        counts: ``malformed`` RTCP, and requests: ``nacks``, ``picture_losses``.
    """

    allocator: ProbingAllocator
    sender: MediaSender[MediaPacket]

    def __init__(self, name: str, transport: Transport, collector: MetricsCollector) -> None:
        self._name = name
        self._collector = collector
        self.transport: Transport = transport
        self.tracks: dict[int, AdaptiveTrack] = {}
        self.bytes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self._by_media: dict[MediaTrack[MediaPacket], AdaptiveTrack] = {}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live until cancelled; the transport has to be connected."""
        async with (
            open_allocator() as self.allocator,
            open_media_sender(self.allocator, self._transmit, pacing_burst=BURST) as self.sender,
        ):
            estimator = self.sender.estimator
            with self._collector.connection(self.allocator, estimator, name=self._name):
                self.transport.on_rtcp = self._take
                task_status.started()
                try:
                    await self._report()
                finally:
                    self._close()  # before the sender ends: publications go on

    async def _report(self) -> None:
        while True:
            await trio.sleep(REPORT)
            for track in self.tracks.values():
                report = track.outgoing.sender_report(trio.current_time())
                if report is not None:
                    self.transport.send_rtcp(report)

    def add(
        self,
        source: PublishedTrack,
        outgoing: OutgoingTrack,
        request_key_frame: Callable[[], object],
    ) -> AdaptiveTrack:
        """Send a track, too."""
        track = AdaptiveTrack(self.sender, source, outgoing, request_key_frame)
        self.tracks[outgoing.format.ssrc] = self._by_media[track.media] = track
        return track

    def remove(self, track: AdaptiveTrack) -> None:
        """Send it no more."""
        track.close()
        del self.tracks[track.outgoing.format.ssrc], self._by_media[track.media]

    def _close(self) -> None:
        """Send nothing any more, and listen to nobody."""
        self.transport.on_rtcp = _ignore
        for track in list(self.tracks.values()):
            self.remove(track)

    def _transmit(self, due: OutgoingPacket[MediaPacket]) -> None:
        """A packet's turn has come: build it with its transport-wide number, and send it."""
        track = self._by_media[due.track]
        outgoing = track.outgoing
        kind = due.kind.value
        if due.packet is None:
            built = outgoing.build_padding(due.padding, due.number)
        elif due.kind is PacketKind.MEDIA:
            built = outgoing.build(due.packet, due.number)
            kind = "audio" if track.source.kind == "audio" else kind
        else:
            built = outgoing.build_repeated(due.packet, due.number)
        self.transport.send_rtp(built)
        self.bytes[kind] += due.size

    def _take(self, data: bytes) -> None:
        """RTCP from the subscriber."""
        try:
            self.sender.feedback_received(data)
            requests = parse_requests(data)
        except FeedbackError:
            self.counts["malformed"] += 1
            return
        for request in requests:
            match request:
                case Nack(media_ssrc=ssrc, sequences=sequences):
                    self.counts["nacks"] += 1
                    if (track := self.tracks.get(ssrc)) is not None:
                        for sequence in sequences:
                            track.media.repeat(sequence)
                case PictureLoss(media_ssrc=ssrc):
                    self._picture_lost(ssrc)
                case FullIntraRequest(ssrcs=ssrcs):
                    for ssrc in ssrcs:
                        self._picture_lost(ssrc)

    def _picture_lost(self, ssrc: int) -> None:
        self.counts["picture_losses"] += 1
        if (track := self.tracks.get(ssrc)) is not None:
            track.picture_lost()


def _ignore(_rtcp: bytes) -> None:
    """The connection has ended."""
