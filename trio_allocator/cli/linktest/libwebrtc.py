"""Flows of libwebrtc, each in a process of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from .child import Child, open_child
from .flow import Flow
from .result import FlowRecord, Stack

VERSION = "0.1.0"
"""Of the package ``wrtc``: libwebrtc M152. Another may be another congestion control."""


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
        _time, _estimate, payload, _headers, repeated = samples[-1] if samples else (0,) * 5
        return FlowRecord(Stack.LIBWEBRTC, estimates, payload - repeated, repeated)


@asynccontextmanager
async def open_libwebrtc() -> AsyncIterator[LibwebrtcFlow]:
    """A flow of libwebrtc, for the length of the block."""
    # It takes no candidates on loopback otherwise.
    environment = os.environ | {"WRTC_ALLOW_LOOPBACK": "1"}
    async with open_child("libwebrtc_peer", environment) as child:
        host, port = (await child.hear())["receiver"]
        yield LibwebrtcFlow(child, (host, port))
