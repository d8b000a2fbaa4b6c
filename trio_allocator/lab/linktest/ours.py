"""Flows of ours: a sender in this process, its receiver in another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from ...estimation import FeedbackLog
from ...shell.opening import open_allocator
from ..child import open_child
from ..relay.datagrams import clock_offset
from .flow import Flow
from .frames import make_frames
from .result import FlowRecord, Stack
from .sender import Sender
from .setup import Setup

START = 300_000
"""The first estimate, bit/s (libwebrtc's)."""


class OurFlow(Flow):
    """See `Sender`."""

    def __init__(self, sender: Sender, address: tuple[str, int]) -> None:
        self._sender = sender
        self._address = address

    @property
    def address(self) -> tuple[str, int]:
        """See `Flow.address`."""
        return self._address

    async def connect(self, port: int) -> None:
        """See `Flow.connect`."""
        self._sender.connect(port)
        await trio.lowlevel.checkpoint()

    async def set_active(self, is_active: bool) -> None:
        """See `Flow.set_active`."""
        self._sender.set_active(is_active)
        await trio.lowlevel.checkpoint()

    async def stop(self, started: float) -> FlowRecord:
        """See `Flow.stop`."""
        await trio.lowlevel.checkpoint()
        origin = started + clock_offset()
        return FlowRecord(
            Stack.OURS,
            tuple((time - origin, estimate) for time, estimate in self._sender.estimates),
            self._sender.media,
            tuple((time - origin, size) for time, size in self._sender.repeated),
            self._sender.choices(origin),
        )


@asynccontextmanager
async def open_ours(setup: Setup, seed: int, log: FeedbackLog | None) -> AsyncIterator[OurFlow]:
    """A flow of ours, for the length of the block.

    Args:
        setup: What it sends, and how.
        seed: Of all that is random.
        log: Told of all that is sent and of all feedback.
    """
    settings: dict[str, Any] = dict(setup.asked.settings)
    async with (
        open_child("linktest.receiver") as child,
        open_allocator(policy=setup.asked.policy, **settings) as allocator,
        trio.open_nursery() as nursery,
    ):
        host, port = (await child.hear())["receiver"]
        await child.ask({"impairments": setup.impairments, "seed": seed})
        sender = Sender(
            allocator,
            setup.tracks,
            START,
            log,
            frames=make_frames(setup.media, seed),
            asked=setup.asked,
        )
        await nursery.start(sender.run)
        yield OurFlow(sender, (host, port))
        nursery.cancel_scope.cancel()
