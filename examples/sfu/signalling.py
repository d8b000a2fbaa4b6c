"""The messages between a page and the server: JSON objects over one WebSocket, one peer for each.

From the page: ``publish`` (sdp, name, kind, rates), ``watch``, ``offer`` (sdp, tracks by MID),
``wish`` (track, priority, target, pin, muted), ``link`` (name, value).
To the page: ``room`` (who publishes), ``ready`` (settings of the link), ``answer`` (sdp), ``layers``
(which a publisher is to send), ``state``, ``decision``, ``error``, ``ended``.
"""

from __future__ import annotations

import json
import logging
import math
from typing import Any, Protocol, cast

import trio

from trio_allocator.lab.relay import RelayError

from .link import EmulatedLink
from .publication import MOST_DECLARED, Kind
from .room import Room, RoomFullError
from .sdp import SdpError, parse_offer
from .subscriber import Subscriber, TrackWishes
from .telling import Rates, decided, state

STATE = 0.25
"""How often a page is told how it is, s."""

OUTBOX = 256
"""Messages that wait for a page: one that does not read misses some."""

MOST_MESSAGES = 50
"""A page may say so much in a second; more is answered later."""

_log = logging.getLogger(__name__)


class SignallingError(ValueError):
    """A message that means nothing. It is for the person at the page."""


class PageClosedError(Exception):
    """The page is gone."""


class Page(Protocol):
    """One WebSocket."""

    async def receive(self) -> str:
        """The next message.

        Raises:
            PageClosedError: There will be none.
        """
        ...

    async def send(self, text: str) -> None:
        """Send a message.

        Raises:
            PageClosedError: It can not be sent.
        """
        ...


class Session:
    """One page, from its first message to its last.

    Args:
        room: Where it is.
        page: Its WebSocket.
    """

    def __init__(self, room: Room, page: Page) -> None:
        self._room = room
        self._page = page
        self._outbox, self._unsent = trio.open_memory_channel[dict[str, Any]](OUTBOX)
        self._inbox, self._messages = trio.open_memory_channel[dict[str, Any]](0)

    async def run(self) -> None:
        """Serve the page; whatever it does, no other one notices."""
        self._room.listeners.append(self._tell_room)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                nursery.start_soon(self._read, nursery.cancel_scope)
                nursery.start_soon(self._converse)
                self._tell_room()
        finally:
            self._room.listeners.remove(self._tell_room)

    # --- messages --------------------------------------------------------------------------

    def _tell(self, kind: str, **content: object) -> None:
        try:
            self._outbox.send_nowait({"type": kind, **content})
        except trio.WouldBlock:
            _log.debug("a page does not read: %s is dropped", kind)

    def _tell_room(self) -> None:
        publications = [
            {
                "id": publication.id,
                "name": publication.name,
                "kind": publication.kind,
                "tracks": [
                    {"id": track.id, "kind": track.kind} for track in publication.tracks.values()
                ],
            }
            for publication in self._room.publications.values()
        ]
        self._tell("room", publications=publications)

    async def _write(self, scope: trio.CancelScope) -> None:
        try:
            async for message in self._unsent:
                await self._page.send(json.dumps(message))
        except PageClosedError:
            scope.cancel()
            await trio.lowlevel.checkpoint()

    async def _read(self, scope: trio.CancelScope) -> None:
        try:
            while True:
                text = await self._page.receive()
                try:
                    await self._inbox.send(_parse(text))
                except SignallingError as error:
                    self._tell("error", message=str(error))
                await trio.sleep(1 / MOST_MESSAGES)
        except PageClosedError:
            scope.cancel()
            await trio.lowlevel.checkpoint()

    # --- what they mean --------------------------------------------------------------------

    async def _converse(self) -> None:
        async for message in self._messages:
            try:
                await self._begin(message)
            except (SignallingError, SdpError, RoomFullError, RelayError, OSError) as error:
                self._tell("error", message=str(error))

    async def _begin(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "publish":
                await self._publish(message)
            case "watch":
                await self._watch()
            case kind:
                raise SignallingError(f"begin with publish or watch, not with {kind!r}")

    async def _publish(self, message: dict[str, Any]) -> None:
        offer = parse_offer(message.get("sdp"))
        name, kind, rates = _name(message), _kind(message), _rates(message)
        with self._room.publication(offer, name=name, kind=kind, rates=rates) as published:
            publication, transport, answer = published
            publication.on_demand = lambda layers: self._tell("layers", wanted=layers)
            self._tell("answer", sdp=answer, id=publication.id)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publication.run)
                nursery.start_soon(self._refuse)
                reason = await transport.run()
                nursery.cancel_scope.cancel()
        self._tell("ended", reason=reason)

    async def _refuse(self) -> None:
        async for _message in self._messages:
            self._tell("error", message="this page publishes already: open another one")

    async def _watch(self) -> None:
        async with self._room.subscription() as (subscriber, link):
            self._tell("ready", link=None if link is None else link.settings)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, subscriber, link)
                nursery.start_soon(self._report, subscriber, link)
                nursery.start_soon(self._tell_decisions, subscriber)
                reason = await subscriber.run()
                nursery.cancel_scope.cancel()
        self._tell("ended", reason=reason)

    async def _obey(self, subscriber: Subscriber, link: EmulatedLink | None) -> None:
        async for message in self._messages:
            try:
                await self._turn(message, subscriber, link)
            except ValueError as error:
                self._tell("error", message=str(error))

    async def _turn(
        self, message: dict[str, Any], subscriber: Subscriber, link: EmulatedLink | None
    ) -> None:
        await trio.lowlevel.checkpoint()
        match message["type"]:
            case "offer":
                offer, tracks = parse_offer(message.get("sdp")), _tracks(message)
                self._tell("answer", sdp=subscriber.answer(offer, tracks))
            case "wish":
                subscriber.wish(str(message.get("track")), _wishes(message))
            case "link" if link is not None:
                await link.turn(str(message.get("name")), message.get("value"))
            case kind:
                raise SignallingError(f"{kind!r} means nothing to one who watches")

    # --- what a page is told ---------------------------------------------------------------

    async def _report(self, subscriber: Subscriber, link: EmulatedLink | None) -> None:
        await subscriber.ready.wait()
        rates = Rates(subscriber.connection)
        while True:
            await trio.sleep(STATE)
            told = state(subscriber, rates)
            if link is not None:
                told["link"] = await link.report()
            self._tell("state", **told)

    async def _tell_decisions(self, subscriber: Subscriber) -> None:
        await subscriber.ready.wait()
        connection = subscriber.connection
        with connection.allocator.decisions() as decisions:
            async for decision in decisions:
                names = {
                    track.receiver.handle.id: self._called(track.source.id)
                    for track in connection.tracks.values()
                    if track.receiver.handle is not None
                }
                self._tell("decision", time=decision.time, words=decided(decision, names))

    def _called(self, track_id: str) -> str:
        """What people call a track."""
        found = self._room.find(track_id)
        if found is None:
            return track_id
        publication, track = found
        return f"{publication.name} ({track.kind})"


# --- what a message has to have ----------------------------------------------------------------


def _parse(text: str) -> dict[str, Any]:
    try:
        message: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise SignallingError("a message is a JSON object, this is no JSON") from None
    found = _object(message)
    if found is None or not isinstance(found.get("type"), str):
        raise SignallingError('a message is a JSON object with a "type"')
    return found


def _object(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _name(message: dict[str, Any]) -> str:
    name = message.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 40:
        raise SignallingError("whoever publishes has a name of 1 to 40 letters")
    return name.strip()


def _kind(message: dict[str, Any]) -> Kind:
    match message.get("kind"):
        case "camera":
            return "camera"
        case "screen":
            return "screen"
        case kind:
            raise SignallingError(f"a camera or a screen is published, not {kind!r}")


def _rates(message: dict[str, Any]) -> dict[str, int]:
    rates = _object(message.get("rates", {}))
    if rates is None:
        raise SignallingError("rates are an object: a number for each layer")
    return {layer: _number("a rate", rate, 1, MOST_DECLARED) for layer, rate in rates.items()}


def _tracks(message: dict[str, Any]) -> dict[str, str]:
    tracks = _object(message.get("tracks"))
    if tracks is None or not all(isinstance(each, str) for each in tracks.values()):
        raise SignallingError("tracks are an object: the id of a track for each MID")
    return tracks


def _wishes(message: dict[str, Any]) -> TrackWishes:
    wishes: TrackWishes = {}
    if "priority" in message:
        wishes["priority"] = _number("priority", message["priority"], 0, 9)
    if "target" in message:
        wishes["target"] = _layer(message["target"])
    if "pin" in message:
        wishes["pin"] = _layer(message["pin"])
    if "muted" in message:
        wishes["muted"] = message["muted"] is True
    return wishes


def _layer(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise SignallingError(f"a layer is a name or null, not {value!r}")
    return value


def _number(name: str, value: object, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise SignallingError(f"{name} must be a number, not {value!r}")
    if not lowest <= value <= highest:
        raise SignallingError(f"{name} must be from {lowest} to {highest}, not {value}")
    return round(value)
