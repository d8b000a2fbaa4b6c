"""The pages, the WebSocket, `/metrics` and `/debug`: Starlette on Hypercorn's Trio worker."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Hypercorn's types have some parts that it does not state.

from __future__ import annotations

import logging
import socket
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from .publication import Publication
from .room import Room
from .signalling import PageClosedError, Session
from .subscriber import Subscriber

STATIC = Path(__file__).parent / "static"

MOST_PAGES = 200
LARGEST_MESSAGE = 200_000
"""Bytes of a message from a page: an offer of 64 sections is less."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_log = logging.getLogger(__name__)


class _Headers:
    """What a browser is to keep to, with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [
                    (b"content-security-policy", _POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                    (b"cache-control", b"no-store"),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _SocketPage:
    """A page over its WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str:
        try:
            return await self._socket.receive_text()
        except (WebSocketDisconnect, KeyError, RuntimeError):
            raise PageClosedError from None

    async def send(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise PageClosedError from None


def make_app(room: Room) -> Starlette:
    """The web application of a room."""
    registry = CollectorRegistry()
    registry.register(room.collector)
    pages = 0

    async def talk(socket: WebSocket) -> None:
        nonlocal pages
        if not _is_own(socket) or pages >= MOST_PAGES:
            await socket.close(1008)
            return
        await socket.accept()
        pages += 1
        try:
            await Session(room, _SocketPage(socket)).run()
        except Exception:  # noqa: BLE001 - it is one page's, and the others go on
            _log.exception("a page's session failed")
        finally:
            pages -= 1

    async def metrics(_request: Request) -> Response:
        await trio.lowlevel.checkpoint()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def debug(_request: Request) -> Response:
        await trio.lowlevel.checkpoint()
        return JSONResponse(described(room))

    def page(name: str) -> Route:
        async def show(_request: Request) -> Response:
            await trio.lowlevel.checkpoint()
            return FileResponse(STATIC / f"{name}.html")

        return Route("/" if name == "index" else f"/{name}", show)

    return Starlette(
        routes=[
            page("index"),
            page("publish"),
            page("watch"),
            Route("/metrics", metrics),
            Route("/debug", debug),
            WebSocketRoute("/socket", talk),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(_Headers),
            Middleware(TrustedHostMiddleware, allowed_hosts=_names_of(room.settings.host)),
        ],
    )


def _names_of(host: str) -> list[str]:
    """What this server may be called.

    Under a name of somebody else's that leads to this machine, pages of theirs were of one origin with ours.
    """
    return [host, "localhost"] if IPv4Address(host).is_loopback else ["*"]


def _is_own(socket: WebSocket) -> bool:
    """Whether a page of ours asks, or something that is no browser: those say no origin."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


class WebServer:
    """Serves the pages. It listens as soon as it is made.

    Args:
        room: Whose.
        host: IPv4 address to bind to.
        port: TCP port; 0 for any.

    Raises:
        OSError: It can not listen there.
    """

    def __init__(self, room: Room, host: str, port: int) -> None:
        self._app = make_app(room)
        self._config = Config()
        listener = socket.create_server((host, port))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._config.bind = [f"fd://{listener.detach()}"]  # closed by Hypercorn
        self._config.accesslog = None
        self._config.errorlog = None
        self._config.websocket_max_message_size = LARGEST_MESSAGE
        self._config.graceful_timeout = 0.5

    async def run(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; tells its address when it listens."""
        async with trio.open_nursery() as nursery:
            bound: list[str] = await nursery.start(serve, self._app, self._config)
            task_status.started(bound[0])


def described(room: Room) -> dict[str, Any]:
    """Everything about everybody, ready for JSON."""
    return {
        "publications": [_publication(each) for each in room.publications.values()],
        "subscribers": [_subscriber(each) for each in room.subscribers.values()],
    }


def _publication(publication: Publication) -> dict[str, Any]:
    return {
        "id": publication.id,
        "name": publication.name,
        "kind": publication.kind,
        "counts": dict(publication.counts),
        "transport": dict(publication.transport.counts),
        "tracks": [
            {
                "id": track.id,
                "kind": track.kind,
                "codec": track.codec.name,
                "followers": len(track.followers),
                "layers": [
                    {
                        "name": layer.name,
                        "declared": layer.bitrate,
                        "measured": layer.measured,
                        "is_alive": layer.is_alive,
                        "is_wanted": layer.is_wanted,
                    }
                    for layer in track.layers.values()
                ],
            }
            for track in publication.tracks.values()
        ],
    }


def _subscriber(subscriber: Subscriber) -> dict[str, Any]:
    connection = subscriber.connection
    told: dict[str, Any] = {
        "id": subscriber.id,
        "transport": dict(connection.transport.counts),
        "sent": dict(connection.bytes),
        "counts": dict(connection.counts),
    }
    if subscriber.ready.is_set():
        told["allocator"] = connection.allocator.explain().as_dict()
        told["layers"] = {
            track.source.id: [track.receiver.current_variant, track.receiver.queued_variant]
            for track in connection.tracks.values()
        }
    return told
