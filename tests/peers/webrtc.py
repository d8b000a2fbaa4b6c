"""The least of a WebRTC sender: enough for a real peer to send its feedback to.

ICE-lite (the peer checks, we answer), DTLS passive, SRTP; one stream of VP8 packets without
content, for which the peer sends transport-wide feedback all the same. Needs aioice, pyOpenSSL
and pylibsrtp (the extra ``peers``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import secrets
import select
import socket
import time
from pathlib import Path

import pylibsrtp
from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

from tests.peers.capture import Capture
from trio_allocator.lab.linktest.rtp import EXTENSION_ID, RtpHeader, build_rtp

URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
SSRC = 0x5EED
VP8_DESCRIPTOR = b"\x10"
# Profile, and the lengths of its key and its salt (RFC 5764, RFC 7714).
SRTP = {
    b"SRTP_AEAD_AES_128_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AES128_CM_SHA1_80": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}


def make_certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    now = dt.datetime.now(tz=dt.UTC)
    day = dt.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    return builder.sign(key, hashes.SHA256()), key


class WebRtcSender:
    """A sender of one video stream.

    Attributes:
        capture: The feedback that came.
        lost: Transport-wide sequence numbers that were never sent.
    """

    def __init__(self, *, first: int, packets: int, size: int, rate: float, loss: float) -> None:
        self.capture = Capture()
        self.lost: list[int] = []
        self._first = first
        self._packets = packets
        self._size = size
        self._rate = rate
        self._loss = loss
        self._chance = random.Random(1)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._peer: tuple[str, int] | None = None
        self._ufrag = secrets.token_hex(4)
        self._password = secrets.token_hex(16)
        self._certificate, key = make_certificate()
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(crypto.X509.from_cryptography(self._certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(key))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_tlsext_use_srtp(b":".join(SRTP))
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._outbound: pylibsrtp.Session | None = None
        self._inbound: pylibsrtp.Session | None = None

    def offer(self) -> str:
        """What to tell the peer."""
        port = self._socket.getsockname()[1]
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        fingerprint = hashlib.sha256(der).digest().hex(":").upper()
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=ice-lite",
            "a=group:BUNDLE 0",
            "m=video 9 UDP/TLS/RTP/SAVPF 96",
            "c=IN IP4 127.0.0.1",
            f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host",
            "a=end-of-candidates",
            f"a=ice-ufrag:{self._ufrag}",
            f"a=ice-pwd:{self._password}",
            f"a=fingerprint:sha-256 {fingerprint}",
            "a=setup:actpass",
            "a=mid:0",
            "a=sendonly",
            "a=msid:stream track",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            "a=rtpmap:96 VP8/90000",
            "a=rtcp-fb:96 transport-cc",
            f"a=extmap:{EXTENSION_ID} {URI}",
            f"a=ssrc:{SSRC} cname:peer",
        ]
        return "\r\n".join(lines) + "\r\n"

    def run(self, patience: float = 20.0) -> None:
        """Wait for the peer to connect, send all packets, and half a second longer listen.

        Raises:
            TimeoutError: The peer has not connected in time.
        """
        deadline = time.monotonic() + patience
        while self._outbound is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the peer has not connected within {patience:g} s")
            self._listen_until(time.monotonic() + 0.1, once=True)
        begin = time.monotonic()
        for number in range(self._packets):
            self._listen_until(begin + number * self._size * 8 / self._rate)
            self._send(number)
        self._listen_until(time.monotonic() + 0.5)

    def save(self, path: Path, peer: str) -> None:
        """Write the feedback as test data, with what was sent."""
        last = (self._first + self._packets - 1) % 65_536
        lost = " ".join(map(str, self.lost))
        self.capture.save(path, peer, f"sent {self._first} to {last}, without {lost}")

    def _send(self, number: int) -> None:
        sequence = (self._first + number) % 65_536
        burst = 0.6 <= number / self._packets < 0.65
        if burst or (number > self._packets / 3 and self._chance.random() < self._loss):
            self.lost.append(sequence)
            return
        header = RtpHeader(96, number, 3_000 * (number // 4), SSRC, sequence, number % 4 == 3)
        packet = build_rtp(header, VP8_DESCRIPTOR + bytes(self._size - 21))
        assert self._outbound is not None
        assert self._peer is not None
        self._socket.sendto(self._outbound.protect(packet), self._peer)

    def _listen_until(self, time_out: float, *, once: bool = False) -> None:
        while (patience := time_out - time.monotonic()) > 0:
            if select.select([self._socket], [], [], patience)[0]:
                self._take(*self._socket.recvfrom(4_096))
                if once:
                    return

    def _take(self, datagram: bytes, address: tuple[str, int]) -> None:
        # RFC 7983 tells the protocols apart by the first byte.
        if datagram[0] < 4:
            self._answer_check(datagram, address)
        elif 20 <= datagram[0] < 64:
            # The answer goes where the hand-shake came from.
            self._peer = address
            self._shake_hands(datagram)
        elif 128 <= datagram[0] < 192 and self._inbound is not None and 192 <= datagram[1] < 224:
            self.capture.take(self._inbound.unprotect_rtcp(datagram))

    def _answer_check(self, datagram: bytes, address: tuple[str, int]) -> None:
        key = self._password.encode()
        request = stun.parse_message(datagram)
        if request.message_class is not stun.Class.REQUEST:
            return
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        answer.attributes["XOR-MAPPED-ADDRESS"] = address
        answer.add_message_integrity(key)
        self._socket.sendto(bytes(answer), address)

    def _shake_hands(self, datagram: bytes) -> None:
        self._tls.bio_write(datagram)
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            pass
        else:
            if self._outbound is None:
                self._derive_keys()
        try:
            flight = self._tls.bio_read(16_384)
        except SSL.WantReadError:
            return
        assert self._peer is not None
        self._socket.sendto(flight, self._peer)

    def _derive_keys(self) -> None:
        profile, key, salt = SRTP[self._tls.get_selected_srtp_profile()]
        material = self._tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt), None)
        # RFC 5764, section 4.2: both keys, then both salts, the client's first; we are the server.
        ours = material[key : 2 * key] + material[2 * key + salt :]
        theirs = material[:key] + material[2 * key : 2 * key + salt]
        policy = pylibsrtp.Policy(ours, pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        self._outbound = pylibsrtp.Session(policy)
        policy = pylibsrtp.Policy(theirs, pylibsrtp.Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        self._inbound = pylibsrtp.Session(policy)
