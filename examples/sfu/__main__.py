"""``python -m examples.sfu``: starts the server, and prints one address."""

from __future__ import annotations

import argparse
import logging
import signal

import trio

try:
    from .room import Room, Settings
    from .web import WebServer
except ModuleNotFoundError as error:
    raise SystemExit(f"the media server needs {error.name}: pip install '.[sfu]'") from None


async def main(host: str, port: int, settings: Settings) -> None:
    """Serve until somebody presses Ctrl-C."""
    async with trio.open_nursery() as nursery:
        address: str = await nursery.start(WebServer(Room(settings), host, port).run)
        print(f"Open {address} in two tabs: publish in one, watch in the other.", flush=True)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await anext(signals)
        nursery.cancel_scope.cancel()


def parse_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m examples.sfu", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to; 127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="of the pages; 8080")
    parser.add_argument(
        "--no-link", action="store_true", help="without an emulated link before each subscriber"
    )
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    arguments = parse_arguments()
    settings = Settings(host=arguments.host, emulates_links=not arguments.no_link)
    trio.run(main, arguments.host, arguments.port, settings)
