"""Flows of libwebrtc, each in a process of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise

from ..child import Child, open_child
from .flow import Flow
from .result import FlowRecord, Stack

VERSION = "0.1.0"
"""Of the package ``wrtc``: libwebrtc M152. Another may be another congestion control."""

# Where in a row of `libwebrtc_peer.Pair.samples`.
_PAYLOAD, _REPEATED = 2, 3


def installed() -> str | None:
    """Which version of ``wrtc`` there is; None for none. It is not loaded into this process."""
    try:
        return version("wrtc")
    except PackageNotFoundError:
        return None


class LibwebrtcFlow(Flow):
    """See `libwebrtc_peer`, which this speaks to."""

    def __init__(self, child: Child, address: tuple[str, int]) -> None:
        self._child = child
        self._address = address

    @property
    def address(self) -> tuple[str, int]:
        """See `Flow.address`."""
        return self._address

    async def connect(self, port: int) -> None:
        """See `Flow.connect`."""
        await self._child.ask({"relay": port})

    async def set_active(self, is_active: bool) -> None:
        """See `Flow.set_active`."""
        await self._child.ask({"active": is_active})

    async def stop(self, started: float) -> FlowRecord:
        """See `Flow.stop`."""
        samples = (await self._child.ask({"stop": True}))["samples"]
        estimates = tuple((time - started, estimate) for time, estimate, *_ in samples)
        repeated = tuple(
            (sample[0] - started, sample[_REPEATED] - before[_REPEATED])
            for before, sample in pairwise(samples)
        )
        media = samples[-1][_PAYLOAD] - samples[-1][_REPEATED] if samples else 0
        return FlowRecord(Stack.LIBWEBRTC, estimates, media, repeated)


@asynccontextmanager
async def open_libwebrtc() -> AsyncIterator[LibwebrtcFlow]:
    """A flow of libwebrtc, for the length of the block."""
    # It takes no candidates on loopback otherwise.
    environment = os.environ | {"WRTC_ALLOW_LOOPBACK": "1"}
    async with open_child("linktest.libwebrtc_peer", environment) as child:
        host, port = (await child.hear())["receiver"]
        yield LibwebrtcFlow(child, (host, port))
