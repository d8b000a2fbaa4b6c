"""The process that moves datagrams through the emulated link.

A flow is a port of the relay's own and an address behind it. What clients send to the port goes
through the bottleneck, which all flows share, to that address; what comes back is only delayed.
Each client address has a socket of its own towards the far side, or hand-shakes of two clients
would be mixed up.

It is commanded by lines of JSON on standard input, and answers each by one on standard output:

========================================  ======================================================
``{"link": {...}}``                       first of all: see `configuration`; answers ``{}``
``{"flow": [host, port]}``                opens a flow; answers ``{"port": ...}``
``{"start": true}``                       time 0 of the schedule is now, and until now there was
                                          no bottleneck; answers ``{"started": perf_counter}``
``{"stop": true}``                        answers what has passed: see `Relay.report`
========================================  ======================================================

It ends with its input, so nobody has to look for it should its parent die.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field

from .bottleneck import Bottleneck, Impairment, RateSchedule
from .datagrams import open_socket, port_of, receive

SPIN = 0.0002
"""For how long a delivery is waited for without sleeping, s: a sleep ends that much too late."""


def configuration(
    schedule: RateSchedule, impairment: Impairment, seed: int
) -> dict[str, dict[str, object]]:
    """The line that tells a relay what link to be."""
    return {
        "link": {
            "steps": schedule.steps,
            "delay": impairment.delay,
            "queue": impairment.queue,
            "loss": impairment.loss,
            "seed": seed,
        }
    }


@define
class _Flow:
    index: int
    near: socket.socket
    target: tuple[str, int]
    upstream: dict[tuple[str, int], socket.socket] = field(factory=dict)


@define(order=False)
class _Delivery:
    due: float
    datagram: bytes
    through: socket.socket
    address: tuple[str, int]


class Relay:
    """The sockets of all flows, and what is on its way between them."""

    def __init__(self, link: dict[str, Any]) -> None:
        """Open nothing yet.

        Args:
            link: As `configuration` makes it.
        """
        self._impairment = Impairment(link["delay"], link["queue"], link["loss"])
        self._bottleneck = Bottleneck(
            RateSchedule([(time, rate) for time, rate in link["steps"]]),
            self._impairment,
            random.Random(link["seed"]).random,  # noqa: S311  # repeatable, not secret
        )
        self._selector = selectors.DefaultSelector()
        self._flows: list[_Flow] = []
        self._started: float | None = None
        # Each direction is in order by itself, so no heap is needed.
        self._forward: deque[_Delivery] = deque()
        self._back: deque[_Delivery] = deque()
        self._rows: list[tuple[float, int, int, float | None, float | None]] = []
        self._lateness: list[float] = []

    def watch(self, file: int, on_readable: Callable[[], None]) -> None:
        """Call back whenever there is something to read."""
        self._selector.register(file, selectors.EVENT_READ, on_readable)

    def open_flow(self, target: tuple[str, int]) -> int:
        """Relay to an address.

        Returns:
            The port to send to.
        """
        flow = _Flow(len(self._flows), open_socket(), target)
        self._flows.append(flow)
        self.watch(flow.near.fileno(), lambda: self._read_forward(flow))
        return port_of(flow.near)

    def start(self) -> float:
        """Time 0 of the schedule is now.

        Returns:
            Now, by ``time.perf_counter()``.
        """
        self._started = time.perf_counter()
        return self._started

    def report(self) -> dict[str, object]:
        """What has passed since the start.

        ``packets`` has a row for each: seconds after the start at which it came, flow, bytes, how
        long it waited and when it left the bottleneck (both null for one that was dropped).
        ``lateness`` has for each delivery by how much it was late, s.
        """
        return {
            "packets": self._rows,
            "lateness": self._lateness,
            "lost": self._bottleneck.lost,
            "overflowed": self._bottleneck.overflowed,
        }

    def step(self) -> None:
        """Wait for the next thing to happen, and do it."""
        for due, _events in self._selector.select(self._patience()):
            due.data()
        self._deliver(self._forward, is_judged=True)
        self._deliver(self._back, is_judged=False)

    def _patience(self) -> float | None:
        due = min((queue[0].due for queue in (self._forward, self._back) if queue), default=None)
        return None if due is None else max(due - time.perf_counter() - SPIN, 0.0)

    def _deliver(self, queue: deque[_Delivery], *, is_judged: bool) -> None:
        while queue and queue[0].due <= (now := time.perf_counter()):
            delivery = queue.popleft()
            if is_judged and self._started is not None:
                self._lateness.append(round(now - delivery.due, 6))
            _send(delivery)

    def _read_forward(self, flow: _Flow) -> None:
        while (received := receive(flow.near)) is not None:
            datagram, client, came = received
            upstream = flow.upstream.get(client)
            if upstream is None:
                upstream = flow.upstream[client] = self._open_upstream(flow, client)
            if self._started is None:
                due = came + self._impairment.delay
            else:
                arrived = came - self._started
                passage = self._bottleneck.offer(arrived, len(datagram))
                if passage is None:
                    self._rows.append((round(arrived, 6), flow.index, len(datagram), None, None))
                    continue
                self._rows.append(
                    (
                        round(arrived, 6),
                        flow.index,
                        len(datagram),
                        round(passage.waited, 6),
                        round(passage.left, 6),
                    )
                )
                due = self._started + passage.delivered
            self._forward.append(_Delivery(due, datagram, upstream, flow.target))

    def _open_upstream(self, flow: _Flow, client: tuple[str, int]) -> socket.socket:
        upstream = open_socket()

        def read_back() -> None:
            while (received := receive(upstream)) is not None:
                datagram, _sender, came = received
                due = came + self._impairment.delay
                self._back.append(_Delivery(due, datagram, flow.near, client))

        self.watch(upstream.fileno(), read_back)
        return upstream


def _send(delivery: _Delivery) -> None:
    try:
        delivery.through.sendto(delivery.datagram, delivery.address)
    except OSError:
        # Nobody listens there any more; a link does not mind.
        return


class _Commands:
    """Standard input, line by line, without ever waiting for it."""

    def __init__(self) -> None:
        self.relay: Relay | None = None
        self.is_over = False
        self._pending = b""

    def read(self) -> None:
        chunk = os.read(sys.stdin.fileno(), 65_536)
        self.is_over = not chunk
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            answer = self._obey(json.loads(line))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    def _obey(self, command: dict[str, Any]) -> dict[str, object]:
        match command:
            case {"link": link}:
                self.relay = Relay(link)
                self.relay.watch(sys.stdin.fileno(), self.read)
                return {}
            case {"flow": [host, port]} if self.relay is not None:
                return {"port": self.relay.open_flow((host, port))}
            case {"start": True} if self.relay is not None:
                return {"started": self.relay.start()}
            case {"stop": True} if self.relay is not None:
                return self.relay.report()
        raise ValueError(f"not a command of the relay: {command}")


def main() -> None:
    """Relay until standard input ends."""
    commands = _Commands()
    while commands.relay is None and not commands.is_over:
        commands.read()
    while commands.relay is not None and not commands.is_over:
        commands.relay.step()


if __name__ == "__main__":
    main()
