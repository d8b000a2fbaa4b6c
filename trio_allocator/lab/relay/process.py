"""The process that moves datagrams through the emulated link.

A flow is a port of the relay's own and an address behind it, the target. What clients send to the
port goes to the target, and what the target answers goes back. All flows share two links, one in
either direction. Each client address has a socket of its own towards the target, or the
hand-shakes of two clients would be mixed up.

It is commanded by lines of JSON on standard input, and answers each by one on standard output:

========================  ========================================================================
``{"links": {...}}``      first of all: see `configuration`; answers ``{}``
``{"flow": {...}}``       opens one: ``target`` and ``listen``, each ``[host, port]``; answers
                          ``{"port": ...}``
``{"control": path}``     listens there (a Unix socket) for lines of commands; answers ``{}``
``{"start": true}``       time 0 of the schedules is now, and until now there was no bottleneck;
                          answers ``{"started": perf_counter}``
``{"turn": line}``        a line of `commands`; answers ``{}``, or what ``report`` tells
``{"log": true}``         what has passed, packet by packet, if `configuration` asked for it
========================  ========================================================================

A command that can not be obeyed is answered by ``{"error": ...}``. A number ``n`` in a command
comes back in its answer. The process ends with its input, so nobody has to look for it should its
parent die.

Its memory is bounded: queues by their size, what is under way by `link.MOST_UNDER_WAY`, clients by
`MOST_CLIENTS`, and its own lateness is told of the newest deliveries only. The log alone grows.
"""

from __future__ import annotations

import json
import math
import os
import random
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, define, field

from ...network.bottleneck import Delivery
from ...network.capacity import Capacity
from ...network.impairments import Impairment, find_impairments
from .commands import Break, Command, CommandError, Reporting, Setting, Way, parse_command
from .datagrams import LOOPBACK, bind, open_socket, port_of, receive
from .link import UNLIMITED, Link

SPIN = 0.0002
"""For how long a delivery is waited for without sleeping, s: a sleep ends that much too late."""
MOST_CLIENTS = 256
"""Client addresses that have a way to the target, in all flows; the one that was silent for the
longest time gives its own up."""
REMEMBERED = 10_000
"""Deliveries whose lateness is told."""
_LONGEST_LINE = 65_536
_MOST_CONTROLS = 16
_ROOM = 10**9
"""Of the queue of a way that is not narrow, bytes."""


def configuration(
    *,
    toward: Way,
    steps: Sequence[tuple[float, float]],
    delay: float,
    queue: int,
    loss: float,
    seed: int,
    impairments: str = "",
    is_logged: bool = False,
) -> dict[str, object]:
    """The line that tells a relay what links to be.

    Args:
        toward: Which way is narrow and loses; the delay is for both.
        steps: Of the capacity: seconds after the start, ascending, and from then on bit/s.
        delay: One way, s.
        queue: Bytes that may wait.
        loss: A probability.
        seed: Of the losses, and of the impairments.
        impairments: What else befalls packets of the narrow way, and those of the other way as
            reports; see `trio_allocator.testing.IMPAIRMENTS`.
        is_logged: Whether to remember each packet of the narrow way, for ``log``.
    """
    return {
        "links": {
            "toward": toward,
            "steps": list(steps),
            "delay": delay,
            "queue": queue,
            "loss": loss,
            "seed": seed,
            "impairments": impairments,
            "is_logged": is_logged,
        }
    }


@define(eq=False)
class _Client:
    """Somebody who spoke to the port of a flow."""

    flow: _Flow
    address: tuple[str, int]
    upstream: socket.socket


@define(eq=False)
class _Flow:
    index: int
    near: socket.socket
    target: tuple[str, int]


@define(eq=False)
class _Packet:
    datagram: bytes
    client: _Client


@define
class _Log:
    """Of the narrow way, since the start; times are seconds after it."""

    rows: list[tuple[float, int, int, float | None, float | None]] = field(factory=list)
    lateness: list[float] = field(factory=list)


class Relay:
    """The sockets of all flows, and what is on its way between them."""

    def __init__(self, links: dict[str, Any]) -> None:
        """Open nothing yet.

        Args:
            links: As `configuration` makes it.
        """
        self._toward = Way(links["toward"])
        self._steps: list[tuple[float, float]] = [(time, rate) for time, rate in links["steps"]]
        self._loss: float = links["loss"]
        self._configuration = links
        self._chances: dict[Way, Callable[[], float]] = {}
        self._links: dict[Way, Link[_Packet]] = {}
        # What was on its way before the start.
        self._early: list[tuple[Way, Link[_Packet]]] = []
        for number, way in enumerate(Way.BOTH.singles()):
            chance = random.Random(links["seed"] + number).random  # noqa: S311  # repeatable
            self._chances[way] = chance
            self._links[way] = self._open(way, UNLIMITED, 0.0)
        # Waits with microseconds; an epoll rounds up to milliseconds.
        self._selector = selectors.SelectSelector()
        self._flows: list[_Flow] = []
        self._clients: dict[tuple[int, tuple[str, int]], _Client] = {}
        self._started: float | None = None
        self._log = _Log() if links["is_logged"] else None
        self._lateness: deque[float] = deque(maxlen=REMEMBERED)
        self._latest = 0.0

    def watch(self, file: int, on_readable: Callable[[], None]) -> None:
        """Call back whenever there is something to read."""
        self._selector.register(file, selectors.EVENT_READ, on_readable)

    def unwatch(self, file: int) -> None:
        """Call back no more."""
        self._selector.unregister(file)

    def open_flow(self, target: tuple[str, int], listen: tuple[str, int]) -> int:
        """Relay to an address.

        Returns:
            The port to send to.

        Raises:
            OSError: There is no listening at that address.
        """
        flow = _Flow(len(self._flows), bind(*listen), target)
        self._flows.append(flow)
        self.watch(flow.near.fileno(), lambda: self._read_clients(flow))
        return port_of(flow.near)

    def close(self) -> None:
        """Close all sockets."""
        self._selector.close()
        for client in self._clients.values():
            client.upstream.close()
        for flow in self._flows:
            flow.near.close()

    def start(self) -> float:
        """Time 0 of the schedule is now.

        Returns:
            Now, by ``time.perf_counter()``.
        """
        self._started = now = time.perf_counter()
        impairments = find_impairments(self._configuration["impairments"])
        self._early = list(self._links.items())
        for way in Way.BOTH.singles():
            if way in self._toward.singles():
                self._links[way] = self._open(way, self._steps, now, impairments)
                self._links[way].loss = self._loss
            else:
                self._links[way] = self._open(way, UNLIMITED, now)
        return now

    def _open(
        self, way: Way, capacity: Capacity, start: float, impairments: Sequence[Impairment] = ()
    ) -> Link[_Packet]:
        return Link(
            capacity,
            start=start,
            delay=self._configuration["delay"],
            # Packets that come in one go have the same time: where nothing is narrow, all find room.
            queue=_ROOM if capacity == UNLIMITED else self._configuration["queue"],
            loss=0.0,
            chance=self._chances[way],
            impairments=impairments,
            seed=self._configuration["seed"],
        )

    def obey(self, command: Command) -> dict[str, object]:
        """Do what was said, and tell what was asked."""
        now = time.perf_counter()
        match command:
            case Reporting():
                return self._report(now)
            case Break():
                for way in command.way.singles():
                    link = self._links[way]
                    (link.cut if command.is_cut else link.pause)(now, command.duration)
            case Setting():
                for way in (command.way or self._toward).singles():
                    link = self._links[way]
                    if command.rate is not None and link.queue == _ROOM:
                        link.set_queue(self._configuration["queue"])
                    _set(link, command, now)
        return {}

    def log(self) -> dict[str, object]:
        """What has passed the narrow way since the start, packet by packet.

        ``packets`` has a row for each: seconds after the start at which it came, flow, bytes, how
        long it waited and when it left the bottleneck (both null for one that was dropped).
        ``lateness`` has for each delivery by how much it was late, s.
        """
        log = self._log or _Log()
        counters = [self._links[way].counters for way in self._toward.singles()]
        return {
            "packets": sorted(log.rows, key=lambda row: row[0]),
            "lateness": log.lateness,
            "lost": sum(one.lost for one in counters),
            "overflowed": sum(one.overflowed for one in counters),
        }

    def step(self) -> None:
        """Wait for the next thing to happen, and do it."""
        for due, _events in self._selector.select(self._patience()):
            due.data()
        for way, link in [*self._early, *self._links.items()]:
            for packet in link.take(time.perf_counter()):
                self._deliver(way, packet)
        self._early = [(way, link) for way, link in self._early if link.next_at < math.inf]

    def _patience(self) -> float | None:
        links = [*self._early, *self._links.items()]
        due = min(link.next_at for _way, link in links)
        return None if math.isinf(due) else max(due - time.perf_counter() - SPIN, 0.0)

    def _deliver(self, way: Way, packet: Delivery[_Packet]) -> None:
        client = packet.payload.client
        late = time.perf_counter() - packet.arrives_at
        self._lateness.append(late)
        self._latest = max(self._latest, late)
        if self._log is not None and self._notes(way):
            self._log.lateness.append(round(late, 6))
            self._note(packet.sent_at, client, packet.size, packet.waited, packet.left)
        if way is Way.TO_TARGET:
            _send(client.upstream, packet.payload.datagram, client.flow.target)
        else:
            _send(client.flow.near, packet.payload.datagram, client.address)

    def _notes(self, way: Way) -> bool:
        is_narrow = way in self._toward.singles()
        return is_narrow and self._log is not None and self._started is not None

    def _note(
        self, arrived: float, client: _Client, size: int, waited: float | None, left: float | None
    ) -> None:
        assert self._log is not None
        assert self._started is not None
        self._log.rows.append(
            (
                round(arrived - self._started, 6),
                client.flow.index,
                size,
                None if waited is None else round(waited, 6),
                None if left is None else round(left - self._started, 6),
            )
        )

    def _report(self, now: float) -> dict[str, object]:
        lateness = sorted(self._lateness)
        return {
            "time": now - (self._started or now),
            "clients": len(self._clients),
            "lateness": {
                "deliveries": len(lateness),
                "p50": _share(lateness, 0.5),
                "p95": _share(lateness, 0.95),
                "p99": _share(lateness, 0.99),
                "max": self._latest,
            },
            **{way.value: _described(link, now) for way, link in self._links.items()},
        }

    # --- sockets -----------------------------------------------------------------------------

    def _read_clients(self, flow: _Flow) -> None:
        while (received := receive(flow.near)) is not None:
            datagram, address, came = received
            self._offer(Way.TO_TARGET, self._client(flow, address), datagram, came)

    def _client(self, flow: _Flow, address: tuple[str, int]) -> _Client:
        """Whose address that is; the one that spoke last stands last."""
        key = (flow.index, address)
        client = self._clients.pop(key, None)
        if client is None:
            if len(self._clients) >= MOST_CLIENTS:
                self._forget(next(iter(self._clients)))
            client = _Client(flow, address, open_socket(_own_side(flow.target[0])))
            self.watch(client.upstream.fileno(), lambda: self._read_target(client))
        self._clients[key] = client
        return client

    def _forget(self, key: tuple[int, tuple[str, int]]) -> None:
        client = self._clients.pop(key)
        self.unwatch(client.upstream.fileno())
        client.upstream.close()

    def _read_target(self, client: _Client) -> None:
        if client.upstream.fileno() < 0:
            return  # forgotten since the selector told of it
        while (received := receive(client.upstream)) is not None:
            datagram, _sender, came = received
            self._offer(Way.TO_CLIENTS, client, datagram, came)

    def _offer(self, way: Way, client: _Client, datagram: bytes, came: float) -> None:
        size = len(datagram)
        if way not in self._toward.singles():
            late = self._links[self._toward].report(came)
            if late is None:
                self._links[way].counters.lost += 1
                return
            came += late
        was_taken = self._links[way].offer(came, size, _Packet(datagram, client))
        if not was_taken and self._notes(way):
            self._note(came, client, size, None, None)


def _own_side(host: str) -> str:
    """What to bind a socket to that speaks to a host: loopback speaks to loopback only."""
    return LOOPBACK if host.startswith("127.") else ""


def _set(link: Link[_Packet], setting: Setting, now: float) -> None:
    if setting.rate is not None:
        link.set_rate(now, setting.rate)
    if setting.delay is not None:
        link.set_delay(setting.delay)
    if setting.loss is not None:
        link.loss = setting.loss
    if setting.queue is not None:
        link.set_queue(setting.queue)


def _described(link: Link[_Packet], now: float) -> dict[str, object]:
    queued, wait = link.queued(now)
    return {
        "rate": link.rate(now),
        "delay": link.delay,
        "loss": link.loss,
        "queue": link.queue,
        "queued_bytes": queued,
        "queue_delay": wait,
        **asdict(link.counters),
    }


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def _send(through: socket.socket, datagram: bytes, address: tuple[str, int]) -> None:
    try:
        through.sendto(datagram, address)
    except OSError:
        # Nobody listens there any more, or the client was forgotten; a link does not mind.
        return


class _Lines:
    """What came, cut into lines."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        return lines

    @property
    def is_too_long(self) -> bool:
        return len(self._pending) > _LONGEST_LINE


class _Control:
    """A socket at which those who may open its file turn the relay."""

    def __init__(self, relay: Relay, path: str) -> None:
        self._relay = relay
        self._path = Path(path)
        self._connections = 0
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if _is_left_over(path):
            self._path.unlink()
        self._listening.bind(path)
        self._listening.listen()
        self._listening.setblocking(False)
        relay.watch(self._listening.fileno(), self._accept)

    def close(self) -> None:
        self._listening.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        connection, _address = self._listening.accept()
        if self._connections >= _MOST_CONTROLS:
            connection.close()
            return
        self._connections += 1
        connection.setblocking(False)
        lines = _Lines()
        self._relay.watch(connection.fileno(), lambda: self._read(connection, lines))

    def _read(self, connection: socket.socket, lines: _Lines) -> None:
        try:
            chunk = connection.recv(_LONGEST_LINE)
            for line in lines.feed(chunk):
                answer = _turn(self._relay, line.decode(errors="replace"))
                connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            # Gone, or does not read what it asks for.
            chunk = b""
        if not chunk or lines.is_too_long:
            self._relay.unwatch(connection.fileno())
            self._connections -= 1
            connection.close()


def _is_left_over(path: str) -> bool:
    """Whether a relay that was killed has left its socket there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _turn(relay: Relay, line: str) -> dict[str, object]:
    try:
        return relay.obey(parse_command(line))
    except CommandError as error:
        return {"error": str(error)}


class _Parent:
    """Standard input, line by line, without ever waiting for it."""

    def __init__(self) -> None:
        self.relay: Relay | None = None
        self.is_over = False
        self._lines = _Lines()
        self._controls: list[_Control] = []

    def read(self) -> None:
        chunk = os.read(sys.stdin.fileno(), _LONGEST_LINE)
        self.is_over = not chunk
        for line in self._lines.feed(chunk):
            command = json.loads(line)
            try:
                answer = self._obey(command)
            except OSError as error:
                answer = {"error": error.strerror or str(error)}
            if "n" in command:
                answer = {**answer, "n": command["n"]}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    def close(self) -> None:
        for control in self._controls:
            control.close()
        if self.relay is not None:
            self.relay.close()

    def _obey(self, command: dict[str, Any]) -> dict[str, object]:
        match command:
            case {"links": links}:
                self.relay = Relay(links)
                self.relay.watch(sys.stdin.fileno(), self.read)
                return {}
            case {"flow": {"target": [host, port], "listen": [near, near_port]}} if self.relay:
                return {"port": self.relay.open_flow((host, port), (near, near_port))}
            case {"control": path} if self.relay:
                self._controls.append(_Control(self.relay, path))
                return {}
            case {"start": True} if self.relay:
                return {"started": self.relay.start()}
            case {"turn": line} if self.relay:
                return _turn(self.relay, line)
            case {"log": True} if self.relay:
                return self.relay.log()
        raise ValueError(f"not a command of the relay: {command}")


def main() -> None:
    """Relay until standard input ends."""
    parent = _Parent()
    try:
        while parent.relay is None and not parent.is_over:
            parent.read()
        while parent.relay is not None and not parent.is_over:
            parent.relay.step()
    finally:
        parent.close()
