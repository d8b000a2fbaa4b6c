"""``python -m examples.sfu``: starts the server, and prints one address."""

from __future__ import annotations

import argparse
import logging
import signal
from ipaddress import IPv4Address

import trio

try:
    from .room import Room, Settings
    from .web import WebServer
except ModuleNotFoundError as error:
    raise SystemExit(f"the media server needs {error.name}: pip install '.[sfu]'") from None


async def serve(server: WebServer) -> None:
    """Serve until somebody presses Ctrl-C."""
    async with trio.open_nursery() as nursery:
        address: str = await nursery.start(server.run)
        print(f"Open {address} in two tabs: publish in one, watch in the other.", flush=True)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await anext(signals)
        nursery.cancel_scope.cancel()


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m examples.sfu", description=__doc__)
    parser.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="IPv4 address to bind to, and to tell browsers; 127.0.0.1",
    )
    parser.add_argument("--port", type=_port, default=8080, help="of the pages; 8080")
    parser.add_argument(
        "--no-link", action="store_true", help="without an emulated link before each subscriber"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    settings = Settings(host=arguments.host, emulates_links=not arguments.no_link)
    try:
        server = WebServer(Room(settings), arguments.host, arguments.port)
    except OSError as error:
        parser.error(f"{error.strerror}: give another --host or --port")
    trio.run(serve, server)


def _host(text: str) -> str:
    try:
        is_one = not IPv4Address(text).is_unspecified
    except ValueError:
        is_one = False
    if not is_one:  # a browser is told where to send to: of a name or of all, it would not know
        raise argparse.ArgumentTypeError(
            f"must be one IPv4 address of this machine, such as 127.0.0.1, not {text!r}"
        )
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"must be a port, 0 to 65535, not {text!r}")
    return int(text)


if __name__ == "__main__":
    main()
