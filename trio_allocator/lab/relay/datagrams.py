"""UDP sockets that tell when a datagram came, not when somebody read it.

Where the kernel stamps what comes in (Linux), a reader that is late is not taken for a slow link.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

import trio

LOOPBACK = "127.0.0.1"
_BUFFER = 4 * 2**20
"""Of each socket, bytes: 16 s at 2 Mbit/s."""
# <asm-generic/socket.h>; the module `socket` does not name it.
_TIMESTAMPS = 35
_TIMESPEC = struct.Struct("@ll")
_LARGEST = 2_048


def open_socket(host: str = LOOPBACK) -> socket.socket:
    """A socket on a free port that does not block.

    Args:
        host: An address of this machine's; empty for all of them.
    """
    return bind(host, 0)


def bind(host: str, port: int) -> socket.socket:
    """A socket on a certain port that does not block; 0 for any that is free.

    Raises:
        OSError: It is taken, or not ours.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    if sys.platform == "linux":
        opened.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
    try:
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened


def port_of(opened: socket.socket) -> int:
    """The port that a socket is bound to."""
    port: int = opened.getsockname()[1]
    return port


def receive(opened: socket.socket) -> tuple[bytes, tuple[str, int], float] | None:
    """Take one datagram.

    Returns:
        Data, sender, and the time of ``time.perf_counter()`` at which it came; None if there is
        nothing to take.
    """
    try:
        data, ancillary, _flags, sender = opened.recvmsg(_LARGEST, 64)
    except BlockingIOError:
        return None
    except ConnectionRefusedError:
        # A datagram of ours came back: on loopback one is told of it, and on no other link.
        return receive(opened)
    now = time.perf_counter()
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == _TIMESTAMPS:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            # The age is short, so the two clocks agree about it.
            age = time.time() - (seconds + nanoseconds / 1e9)
            return data, sender, now - max(age, 0.0)
    return data, sender, now


def clock_offset() -> float:
    """What to add to a time of ``time.perf_counter()`` to get one of ``trio.current_time()``.

    The first is what processes share: on Linux it is the machine's monotonic clock.
    """
    return trio.current_time() - time.perf_counter()
