"""The command ``relay``: a link between two programs, turned by lines that are typed or sent."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import trio
import typer
from attrs import asdict
from rich.console import Console

from ..lab.asked import check_impairments
from ..lab.rates import RateError, format_rate, parse_rate, shown
from ..lab.relay import (
    UNLIMITED,
    CommandError,
    Relay,
    RelayControl,
    RelayError,
    RelayReport,
    Way,
    WayReport,
    connect_relay,
    open_relay,
)
from ..lab.relay.commands import Reporting, Setting, parse_command
from ..lab.relay.handle import DEFAULT_QUEUE, reported
from ..lab.replay.recording import RecordingError
from .endings import first_of, refuse
from .impairments import print_impairments

_CHUNK = 4_096
_HOST = "127.0.0.1"
_ADDRESS = re.compile(r"(?:([^:\s]+):)?(\d{1,5})", re.ASCII)


def relay(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[HOST:]PORT",
            help="Who is spoken to, such as an SFU's UDP port.",
            show_default=False,
        ),
    ] = None,
    *,
    listen: Annotated[
        str,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Where clients send to instead; port 0 for any that is free, which is printed.",
        ),
    ] = f"{_HOST}:0",
    toward: Annotated[
        Way,
        typer.Option(help="Which way is narrow, and loses."),
    ] = Way.TO_CLIENTS,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="The capacity, such as 600k or 2.5M.", show_default="no limit"
        ),
    ] = None,
    delay: Annotated[
        float, typer.Option(metavar="SECONDS", help="One way; both ways have it.")
    ] = 0.0,
    loss: Annotated[
        float, typer.Option(metavar="SHARE", help="How much is lost by chance, 0 to 1.")
    ] = 0.0,
    queue: Annotated[
        int, typer.Option(metavar="BYTES", help="What may wait; what finds no room is dropped.")
    ] = DEFAULT_QUEUE,
    impair: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help="What befalls packets besides: pauses, jitter …; `list` says what there is. "
            "What goes the other way is taken for reports.",
        ),
    ] = "",
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of what is lost, and when what happens.")
    ] = 1,
    control: Annotated[
        Path | None,
        typer.Option(
            metavar="SOCKET",
            help="Take the lines below from other programs, too, at this Unix socket.",
        ),
    ] = None,
    say: Annotated[
        str | None,
        typer.Option(
            metavar="LINE",
            help="Say one line, such as 'rate 600k', to the relay that runs at --control, and end.",
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.05, help="How often to tell how it is.")
    ] = 1.0,
    as_machine: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON object a line instead of words."),
    ] = False,
) -> None:
    """Put an emulated link between two programs that speak UDP, and turn it while they do.

    While it runs it takes lines from standard input and from --control:

    * `rate 600k`: carry that much from now on
    * `delay 0.08`: the way takes that long (s)
    * `loss 0.02`: that share is lost by chance
    * `queue 75000`: that many bytes may wait
    * `pause 0.3`: nothing leaves for that long (s), then all that waited
    * `cut 5`: all is lost for that long (s); `cut 0` ends a cut
    * `report`: tell how it is, now

    Each but the last may end in to-clients, to-target or both. Ctrl-C ends the relay, which then
    tells how it was.
    """
    if impair.strip() == "list":
        print_impairments(Console())
        return
    try:
        if say is not None:
            trio.run(_say, control, say, as_machine)
            return
        opened = open_relay(
            _target(target),
            listen=_address("--listen", listen),
            toward=toward,
            rate=_checked(rate, delay, loss, queue),
            delay=delay,
            loss=loss,
            queue=queue,
            seed=seed,
            impairments=check_impairments(impair),
            control=control,
        )

        async def run() -> int:
            async with opened as running:
                return await _serve(running, interval, as_machine=as_machine)

        status = _run(run)
    except (RecordingError, CommandError, RelayError) as error:
        refuse(error)
    raise typer.Exit(status)


def _checked(rate: str | None, delay: float, loss: float, queue: int) -> float:
    """The rate, bit/s, if all of these can be used."""
    try:
        parsed = UNLIMITED if rate is None else parse_rate(rate)
    except RateError as error:
        raise RecordingError(f"--rate: {error}") from None
    try:
        Setting(rate=parsed, delay=delay, loss=loss, queue=queue).checked()
    except CommandError as error:
        # It begins with the name of what is wrong, which is the option's.
        raise RecordingError(f"--{error}") from None
    return parsed


def _run(run: Callable[[], Awaitable[int]]) -> int:
    status, failure = 0, None
    try:
        status = trio.run(run)
    except* (RelayError, CommandError) as group:
        failure = first_of(group)
    if failure is not None:
        raise failure
    return status


async def _say(control: Path | None, line: str, as_machine: bool) -> None:
    if control is None:
        raise RecordingError("--say needs the --control SOCKET of a relay that runs")
    command = parse_command(line)
    async with connect_relay(control) as running:
        answer = await running.turn(command)
    if isinstance(command, Reporting):
        _tell(reported(answer), as_machine=as_machine)


async def _serve(running: Relay, interval: float, *, as_machine: bool) -> int:
    """Relay until somebody presses Ctrl-C, and return the exit code."""
    host, port = running.address
    if as_machine:
        print(json.dumps({"listen": [host, port]}), flush=True)
    else:
        print(f"clients send to {host}:{port}", flush=True)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_take_lines, running, as_machine)
            nursery.start_soon(_tell_often, running, interval, as_machine)
            number = await anext(signals)
            nursery.cancel_scope.cancel()
    _tell(await running.report(), as_machine=as_machine)
    return 128 + number


async def _tell_often(running: Relay, interval: float, as_machine: bool) -> None:
    while True:
        await trio.sleep(interval)
        _tell(await running.report(), as_machine=as_machine)


async def _take_lines(running: RelayControl, as_machine: bool) -> None:
    """Obey what is typed. That nothing more will be typed ends nothing."""
    pending = b""
    while chunk := await _typed():
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            try:
                command = parse_command(line.decode(errors="replace"))
            except CommandError as error:
                print(f"trio-allocator: {error}", file=sys.stderr)
                continue
            answer = await running.turn(command)
            if isinstance(command, Reporting):
                _tell(reported(answer), as_machine=as_machine)


async def _typed() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        await trio.lowlevel.checkpoint()
        return b""
    number = sys.stdin.fileno()
    try:
        await trio.lowlevel.wait_readable(number)
    except OSError:
        # A file, or /dev/null: there is no waiting for them, and no need to.
        await trio.lowlevel.checkpoint()
    return os.read(number, _CHUNK)


def _target(text: str | None) -> tuple[str, int]:
    if text is None:
        raise RecordingError(
            f"TARGET is missing: give HOST:PORT of who is spoken to, such as {_HOST}:5004"
        )
    return _address("TARGET", text)


def _address(name: str, text: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match[2]) > 65_535:
        raise RecordingError(f"{name} must be HOST:PORT, such as {_HOST}:5004, not {shown(text)}")
    return match[1] or _HOST, int(match[2])


def _tell(report: RelayReport, *, as_machine: bool) -> None:
    if as_machine:
        print(json.dumps(asdict(report)), flush=True)
        return
    parts = [f"{report.time:7.1f} s"]
    for name, way in (("to clients", report.to_clients), ("to target", report.to_target)):
        if way.packets:
            parts.append(f"{name} {_described(way)}")
    parts.append(f"late by {1e3 * report.lateness.p99:.1f} ms (p99)")
    print("   ".join(parts), flush=True)


def _described(way: WayReport) -> str:
    limit = "no limit" if way.rate >= UNLIMITED else format_rate(way.rate)
    lost = way.lost + way.overflowed + way.cut
    return (
        f"{limit}, {way.delivered} of {way.packets} packets through, {lost} lost, "
        f"queue {1e3 * way.queue_delay:.0f} ms"
    )
