"""A process of ours that is spoken to in lines of JSON, and ends before its opener goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import IO, Any

import trio

_PATIENCE = 20.0
"""How long an answer may take, s: that two peers have connected takes longest."""
_FAREWELL = 1.0
"""How long a child may take to end after its input has, s."""
_CHUNK = 65_536


class ChildError(Exception):
    """A child died, or did not answer; the message is one line."""


class Child:
    """A running process; see `open_child`."""

    def __init__(self, name: str, process: trio.Process, errors: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._name = name
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._process = process
        self._errors = errors
        self._pending = bytearray()

    async def ask(self, command: Mapping[str, object]) -> dict[str, Any]:
        """Say a line, and wait for the answer.

        Raises:
            ChildError: The child has died, or did not answer in time.
        """
        try:
            await self._stdin.send_all(json.dumps(command).encode() + b"\n")
        except trio.BrokenResourceError:
            raise await self._death() from None
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        """Wait for a line.

        Raises:
            ChildError: The child has died, or nothing came in time.
        """
        with trio.move_on_after(_PATIENCE):
            return await self._next_line()
        raise ChildError(f"the process {self._name} has not answered within {_PATIENCE:g} s")

    async def _next_line(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        searched = 0
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)
            chunk = await self._stdout.receive_some(_CHUNK)
            if not chunk:
                raise await self._death()
            self._pending += chunk
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _death(self) -> ChildError:
        status = await self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"status {status}")
        return ChildError(f"the process {self._name} has ended: {last}")


@asynccontextmanager
async def open_child(
    module: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """Run a module of this package in a process of its own.

    Ctrl-C on a terminal does not reach it: it ends with its input, or is killed.

    Args:
        module: Its name below `trio_allocator.lab`.
        environment: All variables; None for ours.
    """
    with tempfile.TemporaryFile() as errors:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", f"{__package__}.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        try:
            yield Child(module, process, errors)
        finally:
            assert process.stdin is not None
            assert process.stdout is not None
            with trio.move_on_after(_FAREWELL, shield=True):
                await process.stdin.aclose()
                await process.wait()
            if process.returncode is None:
                process.kill()
            with trio.move_on_after(_FAREWELL, shield=True):
                await process.wait()
                await process.stdout.aclose()
