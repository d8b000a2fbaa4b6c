"""A WebRTC transport on one UDP socket and Trio: datagrams in, decrypted packets out, and back."""

from __future__ import annotations

import math
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import trio

from .dtls import Certificate, DtlsError, DtlsServer
from .ice import CONSENT, Address, IceLite
from .srtp import Srtp, SrtpError

RtcpCallback: TypeAlias = Callable[[bytes], object]
"""Called with decrypted RTCP. It must not raise, and must not block."""

RtpCallback: TypeAlias = Callable[[bytes, float], object]
"""The same for RTP, and when it arrived at this machine, s of `trio.current_time`: before it was read, by
as much as this process had other things to do. Those who estimate bandwidth by arrivals need it: a
publisher whose first probe was read late begins at 300 kbit/s (docs/real_peers.md)."""

HANDSHAKE = 15.0
"""A peer that has not connected by then does not come any more, s."""

BATCH = 64
"""Datagrams that are read in a row, before others get a turn."""

STRANGE = 1_000
"""Datagrams a second that mean nothing: above that the socket rests, and the kernel drops."""

TICK = 0.1
"""How often time is looked at, s: for repetitions of the handshake and for consent."""

_LARGEST = 2_048
_TIMESTAMPS: int | None = 35 if sys.platform == "linux" else None
"""SO_TIMESTAMPNS, which `socket` does not name: the kernel says when each datagram came."""
_TIMESTAMP = struct.Struct("@ll")
ANCILLARY = 64
"""Bytes that it takes for that."""
_LONGEST_WAIT = 1.0
"""Nothing has waited longer than this: the clock that the kernel reads was set, s."""
_RECEIVE_BUFFER = 2**20
_RTCP = range(192, 224)
"""The second byte of RTCP; with RTP it is marker and payload type (RFC 5761, section 4)."""


class Transport:
    """One peer: ICE-lite, DTLS passive, SRTP.

    The socket is bound when it is made, so that its address can be told before anybody comes.

    Args:
        certificate: The server's.
        host: Address to bind to and to advertise.
        port: UDP port; 0 for any.

    Attributes:
        ice: What the answer says of it.
        connected: Set when packets can be sent.
        tag_size: Bytes that encryption adds to a packet of RTP; known once it is connected.
        counts: What came and went: ``received``, ``sent``, ``full`` (the socket would not take it),
            ``strange`` (nobody's), ``refused`` (not decrypted).
        on_rtp: Takes RTP.
        on_rtcp: Takes RTCP.
    """

    def __init__(self, certificate: Certificate, *, host: str, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            ask_for_timestamps(self._socket)
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.ice: IceLite = IceLite()
        self._certificate = certificate
        self._dtls: DtlsServer | None = None
        self._expected_at = math.inf
        self._srtp: Srtp | None = None
        self.connected: trio.Event = trio.Event()
        self.tag_size: int = 0
        self.counts: Counter[str] = Counter()
        self.on_rtp: RtpCallback = _ignore
        self.on_rtcp: RtcpCallback = _ignore
        self._scope = trio.CancelScope()
        self._ending = ""
        self._strange = 0

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def expect(self, peer_fingerprint: str) -> None:
        """Let a peer in: the one whose certificate its offer names by this fingerprint."""
        if self._dtls is None:
            self._dtls = DtlsServer(self._certificate, peer_fingerprint)
            self._expected_at = trio.current_time()

    async def run(self) -> str:
        """Take what comes, until the peer is gone.

        Returns:
            Why it ended.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch_time)
                    nursery.start_soon(self._read)
        finally:
            self.close()
        return self._ending

    def close(self) -> None:
        """Say good-bye, and send nothing any more. May be called twice."""
        if self._socket.fileno() < 0:
            return
        if self._dtls is not None and self.ice.remote is not None:
            self._send_all(self._dtls.close(), self.ice.remote)
        self._srtp = None
        self._socket.close()

    # --- what comes ------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            self._drain()
            if self._strange > STRANGE * TICK:
                await trio.sleep(TICK)

    def _drain(self) -> None:
        """Take what is there: one wake-up for many packets."""
        for _ in range(BATCH):
            try:
                datagram, told, _flags, address = self._socket.recvmsg(_LARGEST, ANCILLARY)
            except BlockingIOError:
                return
            except OSError:  # what an ICMP message said of an earlier packet
                continue
            self.counts["received"] += 1
            self._take(datagram, address, told)

    def _take(self, datagram: bytes, address: Address, told: list[Any]) -> None:
        """RFC 7983, section 7: the first byte says what it is."""
        first = datagram[0] if datagram else 255
        if 128 <= first < 192 and len(datagram) >= 8 and self._srtp is not None:
            self._take_media(self._srtp, datagram, told)
        elif first < 4:
            answer = self.ice.receive(datagram, address, trio.current_time())
            if answer is None:
                self._drop()
            else:
                self._send(answer, address)
        elif 20 <= first < 64 and self._dtls is not None and self.ice.is_valid(address):
            self._shake_hands(self._dtls, datagram, address)
        else:
            self._drop()

    def _drop(self) -> None:
        self.counts["strange"] += 1
        self._strange += 1

    def _take_media(self, srtp: Srtp, datagram: bytes, told: list[Any]) -> None:
        try:
            if datagram[1] in _RTCP:
                self.on_rtcp(srtp.unprotect_rtcp(datagram))
            else:
                self.on_rtp(srtp.unprotect(datagram), trio.current_time() - waited(told))
        except SrtpError:
            self.counts["refused"] += 1
            self._strange += 1

    def _shake_hands(self, dtls: DtlsServer, datagram: bytes, address: Address) -> None:
        try:
            answers = dtls.receive(datagram)
        except DtlsError as error:
            self._end(str(error))
            return
        # To where it came from: the pair may not be nominated yet.
        self._send_all(answers, address)
        if dtls.is_closed:
            self._end("the peer has left")
        elif self._srtp is None and dtls.keys is not None:
            self._srtp = Srtp(dtls.keys)
            self.tag_size = self._srtp.tag_size
            self.connected.set()

    # --- time ------------------------------------------------------------------------------

    async def _watch_time(self) -> None:
        while True:
            await trio.sleep(TICK)
            self._strange = 0
            now = trio.current_time()
            if not self.connected.is_set():
                if now > self._expected_at + HANDSHAKE:
                    self._end(f"the peer has not connected within {HANDSHAKE:g} s")
                if self._dtls is not None and self.ice.remote is not None:
                    self._send_all(self._dtls.time_out(), self.ice.remote)
            elif now > self.ice.heard_at + CONSENT:
                self._end(f"the peer has not been heard of for {CONSENT:g} s")

    def _end(self, reason: str) -> None:
        """Let `run` end."""
        self._ending = self._ending or reason
        self._scope.cancel()

    # --- what goes -------------------------------------------------------------------------

    def send_rtp(self, packet: bytes) -> bool:
        """Protect and send a packet; False if it could not be sent, as links lose packets, too."""
        srtp, remote = self._srtp, self.ice.remote
        if srtp is None or remote is None:
            return False
        return self._send(srtp.protect(packet), remote)

    def send_rtcp(self, packet: bytes) -> bool:
        """The same for RTCP."""
        srtp, remote = self._srtp, self.ice.remote
        if srtp is None or remote is None:
            return False
        return self._send(srtp.protect_rtcp(packet), remote)

    def _send_all(self, datagrams: list[bytes], address: Address) -> None:
        for datagram in datagrams:
            self._send(datagram, address)

    def _send(self, datagram: bytes, address: Address) -> bool:
        try:
            self._socket.sendto(datagram, address)
        except OSError:
            self.counts["full"] += 1
            return False
        self.counts["sent"] += 1
        return True


def ask_for_timestamps(of: socket.socket) -> None:
    """Have the kernel say when each datagram came, where it can; see `waited`."""
    if _TIMESTAMPS is not None:
        of.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)


def waited(told: list[Any]) -> float:
    """How long a datagram has waited to be read, s; 0 where the kernel does not say.

    Args:
        told: The ancillary data that came with it.
    """
    for level, kind, data in told:
        if level == socket.SOL_SOCKET and kind == _TIMESTAMPS and len(data) == _TIMESTAMP.size:
            seconds, nanoseconds = _TIMESTAMP.unpack(data)
            waited: float = time.time() - seconds - 1e-9 * nanoseconds
            return min(max(waited, 0.0), _LONGEST_WAIT)
    return 0.0


def _ignore(*_packet: object) -> None:
    """Nobody listens."""
