"""Who is there: publications, subscribers, and the limits for both."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

from attrs import frozen

from trio_allocator.metrics import MetricsCollector

from .dtls import Certificate
from .ice import Address
from .link import EmulatedLink, open_link
from .publication import Kind, Publication, PublishedTrack, published_track
from .rtp import LAYERS, MID, REPAIRED_RID, RID, TRANSPORT_CC
from .sdp import (
    Answer,
    MediaSection,
    Offer,
    SdpError,
    build_answer,
    extension_lines,
    feedback_lines,
)
from .subscriber import Subscriber
from .transport import Transport


class RoomFullError(Exception):
    """There are as many as the room takes."""


@frozen(kw_only=True)
class Settings:
    """How a server is run.

    Attributes:
        host: Address of its UDP sockets.
        emulates_links: Put an emulated link before each subscriber.
        most_publications: How many there may be.
        most_subscribers: How many there may be.
    """

    host: str = "127.0.0.1"
    emulates_links: bool = True
    most_publications: int = 16
    most_subscribers: int = 64


class Room:
    """Everybody who is there.

    Args:
        settings: How the server is run.

    Attributes:
        settings: Likewise.
        certificate: The server's.
        collector: Metrics of all connections.
        publications: By id.
        subscribers: By id.
        listeners: Called when somebody came or went.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self.certificate: Certificate = Certificate.make()
        self.collector: MetricsCollector = MetricsCollector()
        self.publications: dict[str, Publication] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.listeners: list[Callable[[], object]] = []
        self._numbers = itertools.count(1)

    def _changed(self) -> None:
        for listener in list(self.listeners):
            listener()

    def find(self, track_id: str) -> tuple[Publication, PublishedTrack] | None:
        """A track by its id."""
        publication = self.publications.get(track_id.partition("/")[0])
        track = None if publication is None else publication.tracks.get(track_id)
        return None if publication is None or track is None else (publication, track)

    # --- publishing ------------------------------------------------------------------------

    @contextmanager
    def publication(
        self, offer: Offer, *, name: str, kind: Kind, rates: dict[str, int]
    ) -> Generator[tuple[Publication, Transport, str]]:
        """Publish, for the length of the block.

        Args:
            offer: The publisher's.
            name: What people call it.
            kind: What it shows.
            rates: What each layer takes, as the publisher says, bit/s.

        Yields:
            The publication, its transport, and the answer.

        Raises:
            SdpError: The offer can not be served.
            RoomFullError: There is no room for another one.
        """
        if len(self.publications) >= self.settings.most_publications:
            raise RoomFullError(f"{len(self.publications)} publish already: that is the limit")
        number = f"p{next(self._numbers)}"
        tracks: dict[str, PublishedTrack] = {}
        found: list[PublishedTrack | None] = []
        for section in offer.sections:
            track = published_track(section, number, kind, rates)
            if track is not None and track.id in tracks:
                track = None  # one video, and one audio beside it
            if track is not None:
                tracks[track.id] = track
            found.append(track)
        if all(track.kind == "audio" for track in tracks.values()):
            raise SdpError("there is no video to publish that the server knows: VP8 or H.264")
        answers = [
            _publisher_answer(section, track)
            for section, track in zip(offer.sections, found, strict=True)
        ]
        transport = Transport(self.certificate, host=self.settings.host)
        try:
            transport.expect(offer.fingerprint)
            answer = build_answer(
                offer,
                answers,
                ice=transport.ice,
                fingerprint=self.certificate.fingerprint,
                address=transport.address,
            )
            publication = Publication(number, name, kind, transport, tracks.values())
            self.publications[number] = publication
            self._changed()
            try:
                yield publication, transport, answer
            finally:
                del self.publications[number]
                self._changed()
        finally:
            transport.close()

    # --- subscribing -----------------------------------------------------------------------

    @asynccontextmanager
    async def subscription(
        self,
    ) -> AsyncGenerator[tuple[Subscriber, EmulatedLink | None]]:
        """Make ready for a subscriber, for the length of the block.

        Yields:
            The subscriber, and the emulated link before it, if there is one.

        Raises:
            RoomFullError: There is no room for another one.
            RelayError: The link can not be opened.
        """
        if len(self.subscribers) >= self.settings.most_subscribers:
            raise RoomFullError(f"{len(self.subscribers)} watch already: that is the limit")
        number = f"s{next(self._numbers)}"
        transport = Transport(self.certificate, host=self.settings.host)
        try:
            if self.settings.emulates_links:
                async with open_link(transport.address) as link:
                    with self._subscriber(number, transport, link.address) as subscriber:
                        yield subscriber, link
            else:
                with self._subscriber(number, transport, transport.address) as subscriber:
                    yield subscriber, None
        finally:
            transport.close()

    @contextmanager
    def _subscriber(
        self, number: str, transport: Transport, address: Address
    ) -> Generator[Subscriber]:
        subscriber = Subscriber(
            number,
            transport,
            address,
            fingerprint=self.certificate.fingerprint,
            find=self.find,
            collector=self.collector,
        )
        self.subscribers[number] = subscriber
        try:
            yield subscriber
        finally:
            del self.subscribers[number]


def _publisher_answer(section: MediaSection, track: PublishedTrack | None) -> Answer:
    chosen = section.formats[0] if section.formats else None
    if track is None or chosen is None:
        return Answer(section, "inactive", chosen)
    if TRANSPORT_CC not in section.extensions or "transport-cc" not in chosen.feedback:
        raise SdpError(
            "the offer has no transport-wide congestion control (transport-cc): "
            "without it the browser would not know how much it can send"
        )
    lines = [
        *feedback_lines(chosen, ("transport-cc", "nack", "nack pli")),
        *extension_lines(section, (MID, RID, REPAIRED_RID, TRANSPORT_CC, LAYERS)),
    ]
    if section.rids:
        lines += [f"rid:{rid} recv" for rid in section.rids]
        lines.append(f"simulcast:recv {';'.join(section.rids)}")
    repeats = track.repeated is not None
    return Answer(section, "recvonly", chosen, tuple(lines), uses_repeated=repeats)
