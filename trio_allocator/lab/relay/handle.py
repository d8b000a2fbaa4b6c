"""A relay as a Trio program has it: opened by one, or connected to over its control socket."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

from ...network.impairments import find_impairments
from ..child import Child, ChildError, open_child
from .commands import Break, Command, Reporting, Setting, Way
from .datagrams import LOOPBACK
from .link import UNLIMITED
from .process import configuration

DEFAULT_QUEUE = 75_000
"""Bytes: 300 ms at 2 Mbit/s."""
_PATIENCE = 10.0
"""How long a relay that is spoken to over a socket may take to answer, s."""
_CHUNK = 65_536


class RelayError(ChildError):
    """A relay could not be opened, has died, or cannot do what it was told; one line."""


@frozen
class Lateness:
    """By how much the relay delivered packets late, s, of its newest 10 000 deliveries.

    A relay on a calm machine is 0.1 ms late. If p99 is above 5 ms, the machine was too busy for it,
    and what was measured tells of the machine.

    Attributes:
        deliveries: How many these are.
        p50: Half of them were not later.
        p95: 95 of 100 were not.
        p99: 99 of 100 were not.
        max: The latest of all since the relay was opened.
    """

    deliveries: int
    p50: float
    p95: float
    p99: float
    max: float


@frozen
class WayReport:
    """One direction: what it is set to, and what became of its packets since the start.

    Attributes:
        rate: bit/s, now; `UNLIMITED` where nothing is narrow.
        delay: s.
        loss: A probability.
        queue: Bytes that may wait.
        queued_bytes: Bytes that wait now, the packet under transmission included.
        queue_delay: How long a packet that comes now would wait, s.
        packets: That came.
        bytes: Of them.
        delivered: Packets that were handed on.
        delivered_bytes: Of them.
        lost: Packets lost by chance.
        overflowed: Packets that found the queue full.
        cut: Packets lost because the way was cut.
    """

    rate: float
    delay: float
    loss: float
    queue: int
    queued_bytes: int
    queue_delay: float
    packets: int
    bytes: int
    delivered: int
    delivered_bytes: int
    lost: int
    overflowed: int
    cut: int


@frozen
class RelayReport:
    """What a relay tells of itself.

    Attributes:
        time: Since the start, s.
        clients: Addresses that have spoken to it.
        lateness: Of its deliveries, both ways.
        to_clients: From the target to the clients.
        to_target: From the clients to the target.
    """

    time: float
    clients: int
    lateness: Lateness
    to_clients: WayReport
    to_target: WayReport


class RelayControl(ABC):
    """Turns a running relay. Its methods may be called from several tasks."""

    async def set(
        self,
        *,
        rate: float | None = None,
        delay: float | None = None,
        loss: float | None = None,
        queue: int | None = None,
        way: Way | None = None,
    ) -> None:
        """Change what is given, from now on; what is None stays as it is.

        Args:
            rate: bit/s, greater than 0. What waits in the queue leaves at the new rate.
            delay: One way, s, for what leaves the queue from now on.
            loss: The probability that a packet is lost.
            queue: Bytes that may wait.
            way: Which way; None for the one that the relay was opened to narrow.

        Raises:
            CommandError: A value can not be used; nothing has changed.
            RelayError: The relay has died.
        """
        await self.turn(Setting(way, rate, delay, loss, queue).checked())

    async def pause(self, duration: float, *, way: Way = Way.BOTH) -> None:
        """Let nothing leave for a while, as a radio does that scans; what comes meanwhile waits.

        Args:
            duration: s, from now.
            way: Which way.

        Raises:
            CommandError: The duration can not be used.
            RelayError: The relay has died.
        """
        await self.turn(Break(duration, is_cut=False, way=way).checked())

    async def cut(self, duration: float, *, way: Way = Way.BOTH) -> None:
        """Lose all that is sent for a while: an outage.

        Args:
            duration: s, from now; 0 ends a cut that lasts.
            way: Which way.

        Raises:
            CommandError: The duration can not be used.
            RelayError: The relay has died.
        """
        await self.turn(Break(duration, is_cut=True, way=way).checked())

    async def report(self) -> RelayReport:
        """What has passed so far.

        Raises:
            RelayError: The relay has died.
        """
        return reported(await self.turn(Reporting()))

    @abstractmethod
    async def turn(self, command: Command) -> dict[str, Any]:
        """Have a command obeyed.

        Returns:
            The answer, as the relay gave it.

        Raises:
            RelayError: The relay has died.
        """


class Relay(RelayControl):
    """A relay that this program has opened; see `open_relay`.

    Attributes:
        address: Where clients send to, host and port.
    """

    def __init__(self, child: Child, address: tuple[str, int] = (LOOPBACK, 0)) -> None:
        self.address: tuple[str, int] = address
        self._child = child
        self._lock = trio.Lock()
        self._asked = 0

    async def turn(self, command: Command) -> dict[str, Any]:
        """See `RelayControl.turn`."""
        return await self.ask({"turn": str(command)})

    async def open_flow(
        self, target: tuple[str, int], listen: tuple[str, int] = (LOOPBACK, 0)
    ) -> tuple[str, int]:
        """Relay to one more target, through the same two links.

        Args:
            target: Host and port.
            listen: Where clients are to send to; port 0 for any that is free.

        Returns:
            Where clients send to.

        Raises:
            RelayError: There is no listening there, or the relay has died.
        """
        port: int = (await self.ask({"flow": {"target": target, "listen": listen}}))["port"]
        return listen[0], port

    async def start(self) -> float:
        """Time 0 of the schedules is now; until now there was no bottleneck.

        Returns:
            Now, by ``time.perf_counter()``.

        Raises:
            RelayError: The relay has died.
        """
        started: float = (await self.ask({"start": True}))["started"]
        return started

    async def log(self) -> dict[str, Any]:
        """What has passed, packet by packet, where that was asked for.

        Raises:
            RelayError: The relay has died.
        """
        return await self.ask({"log": True})

    async def ask(self, command: Mapping[str, object]) -> dict[str, Any]:
        """Say a line of `process`, and wait for the answer.

        Raises:
            RelayError: The relay has died, or refuses.
        """
        async with self._lock:
            self._asked += 1
            try:
                answer = await self._child.ask({**command, "n": self._asked})
                while answer.get("n") != self._asked:
                    # Of a command whose asker was cancelled.
                    answer = await self._child.hear()
            except ChildError as error:
                raise RelayError(str(error)) from None
        return _accepted(answer)


class _ConnectedRelay(RelayControl):
    """A relay of somebody else's, behind its control socket."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._lock = trio.Lock()
        self._pending = bytearray()

    async def turn(self, command: Command) -> dict[str, Any]:
        """See `RelayControl.turn`."""
        # Shielded, since half a conversation would confuse the next; an answer takes milliseconds.
        with trio.CancelScope(shield=True), trio.move_on_after(_PATIENCE):
            async with self._lock:
                try:
                    await self._stream.send_all(f"{command}\n".encode())
                    answer = await self._line()
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    raise RelayError("the relay has ended") from None
            return _accepted(answer)
        raise RelayError(f"the relay has not answered within {_PATIENCE:g} s")

    async def _line(self) -> dict[str, Any]:
        while (end := self._pending.find(b"\n")) < 0:
            chunk = await self._stream.receive_some(_CHUNK)
            if not chunk:
                raise trio.BrokenResourceError
            self._pending += chunk
        answer: dict[str, Any] = json.loads(self._pending[:end])
        del self._pending[: end + 1]
        await trio.lowlevel.checkpoint()
        return answer


def reported(told: dict[str, Any]) -> RelayReport:
    """The answer to `Reporting`, as a report."""
    return RelayReport(
        told["time"],
        told["clients"],
        Lateness(**told["lateness"]),
        WayReport(**told[Way.TO_CLIENTS]),
        WayReport(**told[Way.TO_TARGET]),
    )


def _accepted(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise RelayError(answer["error"])
    return answer


@asynccontextmanager
async def open_relay(
    target: tuple[str, int],
    *,
    listen: tuple[str, int] = (LOOPBACK, 0),
    toward: Way = Way.TO_CLIENTS,
    rate: float | Sequence[tuple[float, float]] = UNLIMITED,
    delay: float = 0.0,
    loss: float = 0.0,
    queue: int = DEFAULT_QUEUE,
    seed: int = 1,
    impairments: str = "",
    control: str | Path | None = None,
) -> AsyncIterator[Relay]:
    """Relay UDP between clients and a target, in a process of its own, for the length of the block.

    Args:
        target: Host and port of who is spoken to, such as an SFU; an IPv4 address.
        listen: Where clients send to instead; port 0 for any that is free, which `Relay.address`
            then tells. Name the address that clients use: 0.0.0.0 may answer from another.
        toward: Which way is narrow, and loses: to the clients, to the target, or both alike.
        rate: The capacity, bit/s, or steps of it: seconds after the opening, ascending, and from
            then on bit/s.
        delay: One way, s; both ways have it.
        loss: The probability that a packet is lost.
        queue: Bytes that may wait; what finds no room is dropped.
        seed: Of the losses, and of the impairments.
        impairments: What else befalls packets, by name, separated by commas; see
            `trio_allocator.testing.IMPAIRMENTS`. What goes the other way is taken for reports.
        control: Where to listen, as a Unix socket, for lines of commands; None for nowhere.

    Raises:
        CommandError: A value can not be used.
        ValueError: There is no such impairment.
        RelayError: It can not listen there.
    """
    steps = [(0.0, rate)] if isinstance(rate, (int, float)) else [(t, r) for t, r in rate]
    for _time, one in steps:
        Setting(rate=one, delay=delay, loss=loss, queue=queue).checked()
    find_impairments(impairments)
    async with open_child("relay") as child:
        relay = Relay(child)
        await relay.ask(
            configuration(
                toward=toward,
                steps=steps,
                delay=delay,
                queue=queue,
                loss=loss,
                seed=seed,
                impairments=impairments,
            )
        )
        relay.address = await relay.open_flow(target, listen)
        if control is not None:
            await relay.ask({"control": str(control)})
        await relay.start()
        yield relay


@asynccontextmanager
async def connect_relay(control: str | Path) -> AsyncIterator[RelayControl]:
    """Turn a relay that runs elsewhere, such as ``trio-allocator relay --control PATH``.

    Args:
        control: Its Unix socket.

    Raises:
        RelayError: There is none.
    """
    try:
        stream = await trio.open_unix_socket(control)
    except OSError as error:
        raise RelayError(f"no relay listens at {control}: {error.strerror}") from None
    async with stream:
        yield _ConnectedRelay(stream)
