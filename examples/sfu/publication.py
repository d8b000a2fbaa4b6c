"""What somebody publishes: its layers, who follows them, key frames, and who wants what."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol, TypeAlias

import trio
from attrs import define, field

from trio_allocator.estimation import (
    FeedbackError,
    FeedbackRecorder,
    Nack,
    PictureLoss,
    ReceiverReport,
    VideoLayersAllocation,
)

from .codecs import Codec
from .description import Description
from .repair import Repairs, unwrapped
from .rtp import LAYERS, MID, REPAIRED_RID, RID, TRANSPORT_CC, RtpError, RtpPacket, parse_rtp
from .sdp import MediaSection
from .transport import Transport

Kind: TypeAlias = Literal["camera", "screen"]

ONLY = "only"
"""What the layer of a video without simulcast is called."""

DEAD = 1.0
"""A layer without packets for so long is dead, s."""

RETURN = 2.0
"""A layer that is asked for again has so long to come, s."""

LINGER = 10.0
"""What nobody wants is switched off after so long, s. A publisher that changes its layers begins all of
them anew, with key frames and at half their rates for 1.5 s: not between two decisions, then
(docs/real_peers.md)."""

KEY_FRAME_PAUSE = 0.5
"""One request for key frames makes all layers send one, so they are shared and rare, s."""

FEEDBACK = 0.05
"""How often the publisher is told what has arrived, s."""

MEASURE = 1.0
"""Over how long the rate of a layer is measured, s."""

MOST_RATE = 20_000_000
"""bit/s that a publisher may send: more is dropped, and it has agreed to less."""

MOST_DECLARED = 10_000_000
"""bit/s that a layer may claim to take."""

WIRE = 1.05
"""What a publisher says of its layers is the encoder's; on the wire there are headers, too."""

NOTABLE = 0.05
"""A layer that gets so much dearer or cheaper has another rung on the ladder."""


class Follower(Protocol):
    """A subscriber's side of a track."""

    def take(self, layer: str, packet: RtpPacket, description: Description, now: float) -> None:
        """A packet of any layer came."""
        ...

    def layer_changed(self, layer: str, *, is_alive: bool) -> None:
        """A layer is sent (again), or is not any more."""
        ...

    def ladder_changed(self) -> None:
        """Layers take more than before, or less."""
        ...

    @property
    def wanted(self) -> frozenset[str]:
        """The layers that it takes or waits for."""
        ...

    @property
    def awaited(self) -> str | None:
        """The layer of which it needs a key frame."""
        ...


@define
class Layer:
    """One encoding of a track.

    Attributes:
        name: Its RID.
        bitrate: What it takes, bit/s: as the publisher says, and later as it sends.
        ssrc: Known with its first packet.
        is_alive: Packets come, or would if somebody wanted them.
        is_wanted: Somebody takes it, or did a moment ago: else it is switched off.
        measured: What came in the last second, bit/s.
        repairs: What of it is missing.
        repeated_ssrc: Of its retransmissions; known with the first one.
    """

    name: str
    bitrate: int
    ssrc: int | None = None
    is_alive: bool = False
    is_wanted: bool = True
    measured: int = 0
    repairs: Repairs = field(factory=Repairs)
    repeated_ssrc: int | None = None
    _seen_at: float = -math.inf
    _wanted_at: float = -math.inf
    _switched_on_at: float = -math.inf
    _bytes: int = 0

    def seen(self, size: int, now: float) -> None:
        """A packet came."""
        self._seen_at = now
        self._bytes += size

    def measure(self, seconds: float) -> None:
        """Look at what came in this time."""
        self.measured = round(8 * self._bytes / seconds)
        self._bytes = 0

    def want(self, now: float) -> None:
        """Somebody takes it now."""
        self._wanted_at = now

    def is_due_on(self, now: float) -> bool:
        """Whether it has to be sent: wanted a moment ago, or never seen and hence not known."""
        return now < self._wanted_at + LINGER or not self.is_alive

    def is_missing(self, now: float) -> bool:
        """Whether it should come, and does not."""
        return self.is_wanted and now > max(self._seen_at + DEAD, self._switched_on_at + RETURN)

    def switch(self, *, is_wanted: bool, now: float) -> None:
        """Switch it on or off."""
        self.is_wanted = is_wanted
        if is_wanted:
            self._switched_on_at = now


@define(eq=False)
class PublishedTrack:
    """One track, and who follows it.

    Attributes:
        id: Unique in the room.
        kind: ``audio``, ``video`` or ``screen``.
        codec: Of all its layers.
        layers: By name, ascending.
        repeated: Payload type of its retransmissions; None for none: then nothing is asked for again.
        followers: Who gets its packets.
    """

    id: str
    kind: Literal["audio", "video", "screen"]
    codec: Codec
    payload_type: int
    extensions: dict[str, int]
    layers: dict[str, Layer]
    repeated: int | None = None
    followers: list[Follower] = field(factory=list["Follower"])

    @property
    def rates(self) -> dict[str, int]:
        """The ladder, bit/s."""
        return {layer.name: layer.bitrate for layer in self.layers.values()}

    @property
    def alive(self) -> list[str]:
        """The layers that can be had."""
        return [layer.name for layer in self.layers.values() if layer.is_alive]


class Publication:
    """All that one peer sends: a camera with its microphone, or a screen.

    Args:
        id: Unique in the room.
        name: What people call it.
        kind: What it shows.
        transport: Where it comes in.
        tracks: What the offer says will come.

    Attributes:
        counts: What came: ``packets``, ``padding``, ``malformed``, ``unknown``, ``excess``, what came
            again (``doubled``) and what was missing (``repaired``); and what was asked for:
            ``key_frame_requests``, and packets once more, ``nacked``.
        on_demand: Called with the names of the layers that somebody wants, when that changes.
    """

    def __init__(
        self,
        publication_id: str,
        name: str,
        kind: Kind,
        transport: Transport,
        tracks: Iterable[PublishedTrack],
    ) -> None:
        self.id: str = publication_id
        self.name: str = name
        self.kind: Kind = kind
        self.tracks: dict[str, PublishedTrack] = {track.id: track for track in tracks}
        self.counts: Counter[str] = Counter()
        self.on_demand: Callable[[list[str]], object] = _nobody
        self.transport: Transport = transport
        self._by_ssrc: dict[int, tuple[PublishedTrack, Layer]] = {}
        self._ssrc = secrets.randbits(31)
        self._recorder: FeedbackRecorder | None = None
        self._asked_at = -math.inf
        self._demanded: list[str] | None = None
        self._room = MOST_RATE / 8
        transport.on_rtp = self._take

    # --- what comes ------------------------------------------------------------------------

    def _take(self, data: bytes, arrived_at: float) -> None:
        now = trio.current_time()
        size = len(data) + self.transport.tag_size
        if size > self._room:
            self.counts["excess"] += 1
            return
        self._room -= size
        try:
            packet = parse_rtp(data)
        except RtpError:
            self.counts["malformed"] += 1
            return
        known = self._by_ssrc.get(packet.ssrc) or self._identify(packet)
        if known is None:
            self.counts["unknown"] += 1
            return
        track, layer = known
        self.counts["packets"] += 1
        self._note(track, packet, arrived_at)
        layer.seen(size, now)
        if not layer.is_alive:
            self._set_alive(track, layer, is_alive=True)
        if not packet.payload:
            self.counts["padding"] += 1
        self._hand_on(track, layer, packet, now)

    def _hand_on(self, track: PublishedTrack, layer: Layer, packet: RtpPacket, now: float) -> None:
        """Give a packet to the followers, once."""
        if packet.ssrc == layer.repeated_ssrc:
            original = unwrapped(packet, track.payload_type, layer.ssrc or 0)
            if original is None:
                return
            packet = original
        try:
            is_newest = layer.repairs.received(packet.sequence, now)
        except KeyError:
            self.counts["doubled"] += 1  # a probe, or it came after all
            return
        description = track.codec.describe(packet.payload)
        if not is_newest:
            self.counts["repaired"] += 1
            # What has come of that key frame since is gone: nothing can begin with it any more.
            description = description._replace(starts_key_frame=False)
        for follower in track.followers:
            follower.take(layer.name, packet, description, now)

    def _identify(self, packet: RtpPacket) -> tuple[PublishedTrack, Layer] | None:
        """Whose a new stream is: by its payload type and RID, which its first packets carry."""
        for track in self.tracks.values():
            is_repeated = packet.payload_type == track.repeated
            if not is_repeated and packet.payload_type != track.payload_type:
                continue
            extension = track.extensions.get(REPAIRED_RID if is_repeated else RID, 0)
            rid = packet.extensions.get(extension, b"").decode(errors="replace")
            layer = track.layers.get(rid) or track.layers.get(ONLY)
            if layer is None:
                continue
            if is_repeated and layer.repeated_ssrc is None and layer.ssrc is not None:
                layer.repeated_ssrc = packet.ssrc
            elif not is_repeated and layer.ssrc is None:
                layer.ssrc = packet.ssrc
            else:
                continue
            self._by_ssrc[packet.ssrc] = track, layer
            return track, layer
        return None

    def _note(self, track: PublishedTrack, packet: RtpPacket, arrived_at: float) -> None:
        """What the header extensions say."""
        number = packet.extensions.get(track.extensions.get(TRANSPORT_CC, 0))
        if number is not None and len(number) == 2:
            if self._recorder is None:
                self._recorder = FeedbackRecorder(self._ssrc, packet.ssrc)
            self._recorder.received(int.from_bytes(number, "big"), arrived_at)
        told = packet.extensions.get(track.extensions.get(LAYERS, 0))
        if told is not None:
            self._note_layers(track, told)

    def _note_layers(self, track: PublishedTrack, data: bytes) -> None:
        """The publisher says what its layers take."""
        try:
            allocation = VideoLayersAllocation.parse(data)
        except FeedbackError:
            self.counts["malformed"] += 1
            return
        layers = list(track.layers.values())
        is_changed = False
        for told in allocation.layers:
            if told.stream >= len(layers) or not 0 < told.bitrate <= MOST_DECLARED:
                continue
            layer, bitrate = layers[told.stream], round(WIRE * told.bitrate)
            if abs(bitrate - layer.bitrate) > NOTABLE * layer.bitrate:
                layer.bitrate = bitrate
                is_changed = True
        if is_changed:
            for follower in track.followers:
                follower.ladder_changed()

    # --- what is wanted --------------------------------------------------------------------

    def request_key_frame(self) -> None:
        """Ask for what followers wait for, unless that was done a moment ago."""
        self.look_at_demand()
        now = trio.current_time()
        if now < self._asked_at + KEY_FRAME_PAUSE:
            return
        wanted = list(self._awaited())
        if not wanted:
            return
        self._asked_at = now
        self.counts["key_frame_requests"] += 1
        requests = b"".join(PictureLoss(self._ssrc, ssrc).build() for ssrc in wanted)
        self.transport.send_rtcp(ReceiverReport(self._ssrc).build() + requests)

    def _awaited(self) -> Iterator[int]:
        """The streams of which somebody needs a key frame."""
        for track in self.tracks.values():
            if track.kind == "audio":
                continue
            names = {follower.awaited for follower in track.followers}
            for layer in track.layers.values():
                if layer.name in names and layer.ssrc is not None:
                    yield layer.ssrc

    def look_at_demand(self) -> None:
        """Find out what somebody wants, and tell the publisher if that has changed."""
        now = trio.current_time()
        demanded: list[str] = []
        for track in self.tracks.values():
            if track.kind == "audio":
                continue
            wanted = frozenset[str]().union(*(follower.wanted for follower in track.followers))
            for layer in track.layers.values():
                if layer.name in wanted:
                    layer.want(now)
                if layer.is_due_on(now) != layer.is_wanted:
                    layer.switch(is_wanted=not layer.is_wanted, now=now)
                if layer.is_wanted:
                    demanded.append(layer.name)
        if demanded != self._demanded:
            self._demanded = demanded
            self.on_demand(demanded)

    def _set_alive(self, track: PublishedTrack, layer: Layer, *, is_alive: bool) -> None:
        layer.is_alive = is_alive
        layer.want(trio.current_time())  # whoever comes now may want it in a moment
        for follower in track.followers:
            follower.layer_changed(layer.name, is_alive=is_alive)

    # --- time ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what time asks for, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report)
            nursery.start_soon(self._measure)

    async def _report(self) -> None:
        """Tell the publisher what has arrived, ask for key frames, and look at who wants what."""
        while True:
            await trio.sleep(FEEDBACK)
            self._room = min(self._room + MOST_RATE * FEEDBACK / 8, MOST_RATE / 8)
            if self._recorder is not None:
                for feedback in self._recorder.build_feedback():
                    self.transport.send_rtcp(feedback.build())
            self._request_missing()
            self.request_key_frame()
            self._bury()

    def _request_missing(self) -> None:
        """Ask for what the network has lost on its way here, where somebody takes it."""
        now = trio.current_time()
        for track in self.tracks.values():
            wanted = frozenset[str]().union(*(follower.wanted for follower in track.followers))
            for layer in track.layers.values():
                missing = layer.repairs.due(now)
                if not missing or track.repeated is None or layer.ssrc is None:
                    continue
                if layer.name in wanted:
                    self.counts["nacked"] += len(missing)
                    nack = Nack(self._ssrc, layer.ssrc, missing)
                    self.transport.send_rtcp(ReceiverReport(self._ssrc).build() + nack.build())

    def _bury(self) -> None:
        """Find the layers that are dead."""
        now = trio.current_time()
        for track in self.tracks.values():
            for layer in track.layers.values():
                if layer.is_alive and track.kind != "audio" and layer.is_missing(now):
                    self._set_alive(track, layer, is_alive=False)

    async def _measure(self) -> None:
        while True:
            await trio.sleep(MEASURE)
            for track in self.tracks.values():
                for layer in track.layers.values():
                    layer.measure(MEASURE)


def published_track(
    section: MediaSection, publication_id: str, kind: Kind, rates: dict[str, int]
) -> PublishedTrack | None:
    """The track that a section of an offer announces; None if the server can not take it.

    Args:
        section: Of the publisher's offer.
        publication_id: Whose.
        kind: What the publication shows.
        rates: What each layer takes, as the publisher says, bit/s.
    """
    if not section.formats or section.direction not in {"sendonly", "sendrecv"}:
        return None
    chosen = section.formats[0]
    is_audio = section.kind == "audio"
    names = section.rids or (ONLY,)
    guessed = 50_000 if is_audio else 150_000
    layers: dict[str, Layer] = {}
    for name in names:
        layers[name] = Layer(name, round(WIRE * rates.get(name, guessed)))
        guessed = min(3 * guessed, MOST_DECLARED)
    return PublishedTrack(
        id=f"{publication_id}/{section.kind}",
        kind="audio" if is_audio else ("screen" if kind == "screen" else "video"),
        codec=chosen.codec,
        payload_type=chosen.payload_type,
        extensions={
            name: number
            for name, number in section.extensions.items()
            if name in {MID, RID, REPAIRED_RID, TRANSPORT_CC, LAYERS}
        },
        layers=layers,
        repeated=chosen.repeated if "nack" in chosen.feedback else None,
    )


def _nobody(_layers: list[str]) -> None:
    """Nobody listens."""
