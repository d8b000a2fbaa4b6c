"""Where `trio_allocator` is used: one connection to a subscriber, and the tracks that share it.

Everything else of this server would be the same with any other way to choose layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import trio

from trio_allocator import (
    SwitchReason,
    Track,
    TrackReceiver,
    open_allocator,
    open_connection_estimator,
)
from trio_allocator.estimation import (
    FeedbackError,
    FullIntraRequest,
    Nack,
    PaddingPacket,
    PaddingSource,
    PictureLoss,
    RetransmissionBudget,
    parse_requests,
)
from trio_allocator.metrics import MetricsCollector

from .description import Description
from .outgoing import RTX_HEADER, MediaPacket, OutgoingTrack
from .publication import PublishedTrack
from .rtp import RtpPacket
from .transport import Transport

VOICE, REPAIR, MEDIA = 3, 2, 1
"""Who leaves the pacer first."""

REPORT = 1.0
"""How often a subscriber learns which moment the timestamps mean, s."""

AUDIO_PRIORITY = 10
"""Of audio among the tracks of a connection: pages may give video 0 to 9."""


class AdaptiveTrack:
    """A track on its way to one subscriber: the layer that fits, and what repairs it."""

    def __init__(
        self,
        connection: AdaptiveConnection,
        source: PublishedTrack,
        outgoing: OutgoingTrack,
        request_key_frame: Callable[[], object],
    ) -> None:
        self._connection = connection
        self._outgoing = outgoing
        self._request_key_frame = request_key_frame
        self._filling = PaddingSource[MediaPacket](
            has_rtx=outgoing.format.repeated is not None, header_size=outgoing.overhead
        )
        self._is_broken = False
        self.source = source
        self.is_audio = source.kind == "audio"
        self.ssrc = outgoing.format.ssrc
        self.can_pad = not self.is_audio and outgoing.format.repeated is not None
        track = Track(source.id, kind=source.kind, variants=source.rates)
        self.receiver = (
            TrackReceiver(
                connection.allocator,
                track,
                request_variant=self._switch,
                priority=AUDIO_PRIORITY,
            )
            if self.is_audio
            else TrackReceiver(
                connection.allocator,
                track,
                request_variant=self._switch,
                send_padding=self.pad if self.can_pad else None,
                active=source.alive,
                negotiable=True,
                pausable=True,
            )
        )

    def _switch(self, variant: str | None, _reason: SwitchReason) -> None:
        """The allocator says which layer to send next."""
        if self.is_audio or variant is None:
            self.receiver.variant_switched(variant)
        else:
            self._request_key_frame()

    # --- what the publication tells its followers ------------------------------------------

    def take(self, layer: str, packet: RtpPacket, description: Description, now: float) -> None:
        """A packet of any layer came: send it on, if it is the layer's turn."""
        receiver = self.receiver
        if description.starts_key_frame and layer == (receiver.queued_variant or ""):
            self._outgoing.begin(packet, description, now)
            self._filling.forget()
            receiver.variant_switched(layer)
        if layer != receiver.current_variant:
            return
        if description.starts_key_frame:
            self._is_broken = False
        if not packet.payload:  # the publisher's own padding
            self._outgoing.skip(packet)
            return
        media = self._outgoing.accept(packet, description, now)
        if media is not None:
            send = partial(self._send, media)
            priority = VOICE if self.is_audio else MEDIA
            self._connection.estimator.pace(send, media.size, priority=priority)

    def layer_changed(self, layer: str, *, is_alive: bool) -> None:
        """A layer is sent (again), or is not any more."""
        if is_alive:
            self.receiver.variant_active(layer)
        else:
            self.receiver.variant_inactive(layer)

    @property
    def wanted(self) -> frozenset[str]:
        """The layers that it takes or waits for."""
        receiver = self.receiver
        layers = receiver.current_variant, receiver.queued_variant
        return frozenset(layer for layer in layers if layer is not None)

    @property
    def awaited(self) -> str | None:
        """The layer of which it needs a key frame."""
        if self.is_audio:
            return None
        current = self.receiver.current_variant if self._is_broken else None
        return self.receiver.queued_variant or current

    # --- packets ---------------------------------------------------------------------------

    def _send(self, media: MediaPacket, number: int) -> None:
        sent = self._outgoing.build(media, number)
        self._connection.transmit(sent, media.size, "audio" if self.is_audio else "media")
        self.receiver.packet_sent(media.size)
        if not self.is_audio:
            self._filling.media_sent(media, media.size)

    def _repeat(self, media: MediaPacket, number: int) -> None:
        size = media.size + RTX_HEADER
        self._connection.transmit(self._outgoing.build_repeated(media, number), size, "repeated")
        self.receiver.packet_sent(size)

    def lost(self, nack: Nack, budget: RetransmissionBudget) -> None:
        """The subscriber asks for packets once more."""
        for sequence in nack.sequences:
            media = self._outgoing.sent_before(sequence)
            if media is None:
                continue
            size = media.size + RTX_HEADER
            key = self._outgoing.format.ssrc, sequence
            if budget.allow(key, size, trio.current_time()):
                send = partial(self._repeat, media)
                self._connection.estimator.pace(send, size, priority=REPAIR)

    def pad(self, due: int) -> int:
        """Send so many bytes of padding, or of media once more; returns how many it was."""
        total = 0
        for packet in self._filling.packets(due):
            number = self._connection.estimator.packet_sent(packet.size)
            sent = (
                self._outgoing.build_padding(packet.padding, number)
                if isinstance(packet, PaddingPacket)
                else self._outgoing.build_repeated(packet.packet, number)
            )
            self._connection.transmit(sent, packet.size, "padding")
            total += packet.size
        return total

    def picture_lost(self) -> None:
        """The subscriber can not decode any more."""
        self._is_broken = True
        self._request_key_frame()

    def report(self) -> None:
        """Let the subscriber play tracks in step."""
        report = self._outgoing.sender_report(trio.current_time())
        if report is not None:
            self._connection.transport.send_rtcp(report)

    async def run(self) -> None:
        """Follow the source until cancelled."""
        self.source.followers.append(self)
        try:
            await self.receiver.run()
        finally:
            self.source.followers.remove(self)


class AdaptiveConnection:
    """One subscriber's connection: an allocator, an estimator, and the tracks between them.

    Attributes:
        transport: Where packets go.
        tracks: That are sent.
        bytes: What was sent: ``media``, ``audio``, ``repeated``, ``padding``.
        counts: ``malformed`` RTCP, and requests: ``nacks``, ``picture_losses``.
    """

    def __init__(self, name: str, transport: Transport, collector: MetricsCollector) -> None:
        self._name = name
        self._collector = collector
        self.transport: Transport = transport
        self.tracks: list[AdaptiveTrack] = []
        self.bytes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live until cancelled; the transport has to be connected."""
        async with (
            open_allocator() as self.allocator,
            open_connection_estimator(
                self.allocator, send_padding=self._probe, wanted=self._wanted
            ) as self.estimator,
        ):
            self._budget = RetransmissionBudget(self.estimator.estimate)
            self.transport.on_rtcp = self._take
            with self._collector.connection(self.allocator, self.estimator, name=self._name):
                task_status.started()
                while True:
                    await trio.sleep(REPORT)
                    for track in self.tracks:
                        track.report()

    def transmit(self, packet: bytes, size: int, kind: str) -> None:
        """Send a packet that has its transport-wide number already."""
        self.transport.send_rtp(packet)
        self.bytes[kind] += size

    def _probe(self, due: int) -> None:
        """The estimator wants padding: any track can lend its stream."""
        for track in self.tracks:
            if track.can_pad:
                track.receiver.padding_sent(track.pad(due))
                return

    def _wanted(self) -> float:
        """What all tracks could use together, bit/s."""
        handles = (track.receiver.handle for track in self.tracks)
        return sum(handle.claim for handle in handles if handle is not None)

    def _take(self, data: bytes) -> None:
        """RTCP from the subscriber."""
        now = trio.current_time()
        try:
            self.estimator.feedback_received(data)
            requests = parse_requests(data)
        except FeedbackError:
            self.counts["malformed"] += 1
            return
        for request in requests:
            match request:
                case Nack(media_ssrc=ssrc):
                    self.counts["nacks"] += 1
                    self._budget.set_bitrate(self.estimator.estimate, now)
                    if rtt := self.estimator.explain().rtt:
                        self._budget.set_rtt(rtt)
                    for track in self._of(ssrc):
                        track.lost(request, self._budget)
                case PictureLoss(media_ssrc=ssrc):
                    self._lost_picture(ssrc)
                case FullIntraRequest(ssrcs=ssrcs):
                    for ssrc in ssrcs:
                        self._lost_picture(ssrc)

    def _lost_picture(self, ssrc: int) -> None:
        self.counts["picture_losses"] += 1
        for track in self._of(ssrc):
            track.picture_lost()

    def _of(self, ssrc: int) -> list[AdaptiveTrack]:
        return [track for track in self.tracks if ssrc == track.ssrc]
