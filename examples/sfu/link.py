"""An emulated link between the server and one subscriber: the laboratory's relay, turned by a page."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from trio_allocator.lab.relay import CommandError, Relay, RelayError, open_relay

from .ice import Address

RATE = 2_500_000
"""bit/s to begin with."""

DELAY = 0.03
"""One way, s, to begin with."""

QUEUE = 75_000
"""Bytes that may wait: 0.24 s at the rate to begin with."""

_MOST_RATE = 20e6
_MOST_DELAY = 1.0
_MOST_BREAK = 30.0


class LinkError(ValueError):
    """The link can not do what it was told. The message is for the person who told it."""


class EmulatedLink:
    """One link, in a process of its own: see `open_link`.

    Attributes:
        address: Where the subscriber sends to.
        settings: What it is set to: ``rate`` in bit/s, ``delay`` in s, ``loss`` as a share.
    """

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.address: Address = relay.address
        self.settings: dict[str, float] = {"rate": RATE, "delay": DELAY, "loss": 0.0}

    async def turn(self, name: str, value: object) -> None:
        """Change one thing.

        Args:
            name: ``rate``, ``delay``, ``loss``; ``pause`` or ``cut`` for so many seconds.
            value: A number.

        Raises:
            LinkError: It can not be used, or the link has died.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise LinkError(f"{name} must be a number, not {value!r}")
        if not math.isfinite(value):
            raise LinkError(f"{name} must be finite")
        try:
            await self._turn(name, float(value))
        except (CommandError, RelayError) as error:
            raise LinkError(str(error)) from error

    async def _turn(self, name: str, value: float) -> None:
        match name:
            case "rate" if value <= _MOST_RATE:
                await self._relay.set(rate=value)
            case "delay" if value <= _MOST_DELAY:
                await self._relay.set(delay=value)
            case "loss":
                await self._relay.set(loss=value)
            case "pause" if value <= _MOST_BREAK:
                await self._relay.pause(value)
                return
            case "cut" if value <= _MOST_BREAK:
                await self._relay.cut(value)
                return
            case _:
                raise LinkError(f"a link has no {name!r}, or not as much as {value:g}")
        self.settings[name] = value

    async def report(self) -> dict[str, float]:
        """How it is set and how it is, on the way to the subscriber.

        Returns:
            The settings, and: ``dropped`` packets, their ``queue_delay`` in s, ``delivered_bytes``;
            and by how much the link itself is late, in s, for one packet in a hundred: ``late``.

        Raises:
            LinkError: The link has died.
        """
        try:
            report = await self._relay.report()
        except RelayError as error:
            raise LinkError(str(error)) from error
        way = report.to_clients
        return {
            **self.settings,
            "dropped": way.lost + way.overflowed + way.cut,
            "queue_delay": way.queue_delay,
            "delivered_bytes": way.delivered_bytes,
            "late": report.lateness.p99,
        }


@asynccontextmanager
async def open_link(target: Address) -> AsyncGenerator[EmulatedLink]:
    """Put a link before a transport, for the length of the block.

    Args:
        target: Where the transport listens.

    Raises:
        RelayError: It can not be opened.
    """
    opened = open_relay(target, rate=RATE, delay=DELAY, queue=QUEUE, listen=(target[0], 0))
    async with opened as relay:
        yield EmulatedLink(relay)
