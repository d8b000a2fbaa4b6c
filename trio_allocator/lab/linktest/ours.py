"""Flows of ours: a sender in this process, its receiver in another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from ...engine.sharing.registry import DEFAULT_POLICY, PolicyName
from ...estimation import FeedbackLog
from ...shell.opening import open_allocator
from ...tracks import Track
from ..child import open_child
from ..relay.datagrams import clock_offset
from .flow import Flow
from .result import FlowRecord, Stack
from .sender import Sender

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
        )


@asynccontextmanager
async def open_ours(
    tracks: Sequence[Track],
    log: FeedbackLog | None = None,
    policy: PolicyName = DEFAULT_POLICY,
) -> AsyncIterator[OurFlow]:
    """A flow of ours, for the length of the block.

    Args:
        tracks: What is sent.
        log: Told of all that is sent and of all feedback.
        policy: How the estimate is shared among the tracks.
    """
    async with (
        open_child("linktest.receiver") as child,
        open_allocator(policy=policy) as allocator,
        trio.open_nursery() as nursery,
    ):
        host, port = (await child.hear())["receiver"]
        sender = Sender(allocator, tracks, START, log)
        await nursery.start(sender.run)
        yield OurFlow(sender, (host, port))
        nursery.cancel_scope.cancel()
