"""Somebody who watches: which tracks, over which transport, and how the pages change that."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import TypedDict

import trio
from attrs import frozen

from trio_allocator.metrics import MetricsCollector

from .adaptive import AdaptiveConnection, AdaptiveTrack
from .ice import Address
from .outgoing import OutgoingFormat, OutgoingTrack
from .publication import Publication, PublishedTrack
from .rtp import MID, TRANSPORT_CC
from .sdp import (
    Answer,
    MediaSection,
    Offer,
    SdpError,
    build_answer,
    extension_lines,
    feedback_lines,
)
from .transport import Transport


class TrackWishes(TypedDict, total=False):
    """What a page may wish for a track.

    Attributes:
        priority: 0 to 9, larger first.
        target: The best layer wanted; None for the best there is.
        pin: The only layer wanted; None for none.
        muted: Send nothing of it.
    """

    priority: int
    target: str | None
    pin: str | None
    muted: bool


@frozen
class _Place:
    """A media section that has a track.

    Attributes:
        publication: Whose.
        track: Which.
        format: How it is sent.
    """

    publication: Publication
    track: PublishedTrack
    format: OutgoingFormat


class Subscriber:
    """One subscriber, from its first offer to the end of its transport.

    Args:
        subscriber_id: Unique in the room.
        transport: Its connection.
        address: What the answers advertise: that of the transport, or of a link before it.
        fingerprint: Of the server's certificate.
        find: Finds a publication and its track by the track's id; None if there is none.
        collector: Of metrics.

    Attributes:
        id: Unique in the room.
        connection: What it sends over.
        ready: Set once there is a connection.
    """

    def __init__(
        self,
        subscriber_id: str,
        transport: Transport,
        address: Address,
        *,
        fingerprint: str,
        find: Callable[[str], tuple[Publication, PublishedTrack] | None],
        collector: MetricsCollector,
    ) -> None:
        self.id: str = subscriber_id
        self._transport = transport
        self._address = address
        self._fingerprint = fingerprint
        self._find = find
        self._places: dict[str, _Place] = {}
        self._running: dict[str, AdaptiveTrack] = {}
        self._wishes: dict[str, TrackWishes] = {}
        self._version = 0
        self.connection: AdaptiveConnection = AdaptiveConnection(
            subscriber_id, transport, collector
        )
        self.ready: trio.Event = trio.Event()

    # --- signalling ------------------------------------------------------------------------

    def answer(self, offer: Offer, tracks: Mapping[str, str]) -> str:
        """Take an offer: the first one, or one that changes what is watched.

        Args:
            offer: A section for each track; those that are not wanted any more are inactive.
            tracks: The id of the track that each section is for, by its MID.

        Returns:
            The answer.

        Raises:
            SdpError: The offer can not be served; nothing has changed.
        """
        places: dict[str, _Place] = {}
        for section in offer.sections:
            wanted = tracks.get(section.mid)
            if wanted is None or section.direction in {"inactive", "sendonly"}:
                continue
            found = self._find(wanted)
            if found is not None:
                places[section.mid] = self._place(section, *found)
        self._transport.expect(offer.fingerprint)
        self._places = places
        self._reconcile()
        self._version += 1
        return build_answer(
            offer,
            [self._answered(section) for section in offer.sections],
            ice=self._transport.ice,
            fingerprint=self._fingerprint,
            address=self._address,
            version=self._version,
        )

    def _place(
        self, section: MediaSection, publication: Publication, track: PublishedTrack
    ) -> _Place:
        before = self._places.get(section.mid)
        if before is not None and before.track is track:
            return before
        chosen = section.format_of(track.codec)
        if chosen is None:
            raise SdpError(f"the browser can not play {track.codec.name}, which {track.id} is in")
        number = section.extensions.get(TRANSPORT_CC)
        if number is None or "transport-cc" not in chosen.feedback:
            raise SdpError(
                "the offer has no transport-wide congestion control (transport-cc): "
                "without its feedback nobody knows what the connection carries"
            )
        outgoing = OutgoingFormat(
            codec=chosen.codec,
            payload_type=chosen.payload_type,
            repeated=chosen.repeated,
            mid=section.mid,
            mid_extension=section.extensions.get(MID),
            transport_cc=number,
            ssrc=secrets.randbits(32),
            repeated_ssrc=secrets.randbits(32),
        )
        return _Place(publication, track, outgoing)

    def _answered(self, section: MediaSection) -> Answer:
        place = self._places.get(section.mid)
        if place is None:
            return Answer(section, "inactive", section.formats[0] if section.formats else None)
        chosen = section.format_of(place.track.codec)
        assert chosen is not None
        lines = [
            *feedback_lines(chosen, ("transport-cc", "nack", "nack pli", "ccm fir")),
            *extension_lines(section, (TRANSPORT_CC, MID)),
            f"msid:{place.publication.id} {place.track.id}",
        ]
        ssrcs = place.format.ssrcs
        if len(ssrcs) > 1:
            lines.append(f"ssrc-group:FID {ssrcs[0]} {ssrcs[1]}")
        lines += [f"ssrc:{ssrc} cname:{place.publication.id}" for ssrc in ssrcs]
        return Answer(section, "sendonly", chosen, tuple(lines), uses_repeated=True)

    def wish(self, track_id: str, wishes: TrackWishes) -> None:
        """Wish something for a track; it holds whenever the track is watched.

        Raises:
            ValueError: There is no such track, or no such layer; nothing has changed.
        """
        found = self._find(track_id)
        if found is None:
            raise ValueError(f"there is no track {track_id!r}")
        layers = found[1].layers
        for layer in (wishes.get("target"), wishes.get("pin")):
            if layer is not None and layer not in layers:
                raise ValueError(f"{track_id} has no layer {layer!r}: it has {', '.join(layers)}")
        self._wishes[track_id] = {**self._wishes.get(track_id, {}), **wishes}
        for adaptive in self._running.values():
            if adaptive.source.id == track_id:
                self._apply(adaptive, wishes)

    def _apply(self, adaptive: AdaptiveTrack, wishes: TrackWishes) -> None:
        receiver = adaptive.receiver
        if "priority" in wishes:
            receiver.set_options(priority=wishes["priority"])
        if "target" in wishes:
            receiver.set_target(wishes["target"])
        if "pin" in wishes:
            receiver.set_pin(wishes["pin"])
        if "muted" in wishes:
            if wishes["muted"]:
                receiver.mute()
            else:
                receiver.unmute()

    # --- lifetime --------------------------------------------------------------------------

    async def run(self) -> str:
        """Serve it until it is gone.

        Returns:
            Why it is gone.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve)
            reason = await self._transport.run()
            nursery.cancel_scope.cancel()
        return reason

    async def _serve(self) -> None:
        await self._transport.connected.wait()
        async with trio.open_nursery() as nursery:
            await nursery.start(self.connection.run)
            self.ready.set()
            self._reconcile()

    def _reconcile(self) -> None:
        """Send exactly those tracks that have a place, once there is a connection."""
        self._wishes = {name: wish for name, wish in self._wishes.items() if self._find(name)}
        if not self.ready.is_set():
            return  # there is nothing to send over yet
        for mid, adaptive in list(self._running.items()):
            place = self._places.get(mid)
            if place is None or place.track is not adaptive.source:
                self.connection.remove(adaptive)
                del self._running[mid]
        for mid, place in self._places.items():
            if mid not in self._running:
                outgoing = OutgoingTrack(place.format, self._transport.tag_size)
                ask = place.publication.request_key_frame
                adaptive = self.connection.add(place.track, outgoing, ask)
                self._apply(adaptive, self._wishes.get(place.track.id, {}))
                self._running[mid] = adaptive
