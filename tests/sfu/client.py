"""A peer of the server's transport: checks, the client's side of DTLS, SRTP. No browser, no thread."""

from __future__ import annotations

import socket
from contextlib import suppress

import pylibsrtp
import trio
from aioice import stun
from OpenSSL import SSL

from examples.sfu.dtls import Certificate
from examples.sfu.srtp import PROFILES

PROFILES_OFFERED = b":".join(PROFILES)
LABEL = b"EXTRACTOR-dtls_srtp"


class Client:
    def __init__(self, certificate=None, profiles=PROFILES_OFFERED):
        self.certificate = certificate or Certificate.make()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.use_certificate(self.certificate.certificate)
        context.use_privatekey(self.certificate.key)
        context.set_tlsext_use_srtp(profiles)
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self.outbound = self.inbound = None

    def check(self, transport, *, key=None, ufrag=None, nominate=True):
        """A connectivity check."""
        ice = transport.ice
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{ufrag or ice.ufrag}:peer"
        if nominate:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity((key or ice.password).encode())
        request.add_fingerprint()
        self.send(transport, bytes(request))

    def send(self, transport, data):
        self.socket.sendto(data, transport.address)

    async def receive(self):
        while True:
            await trio.lowlevel.wait_readable(self.socket)
            try:
                return self.socket.recv(4_096)
            except BlockingIOError:
                pass

    def send_flight(self, transport):
        with suppress(SSL.WantReadError):
            self.send(transport, self.tls.bio_read(16_384))

    async def connect(self, transport):
        """From the first check to keys."""
        self.check(transport)
        while True:
            try:
                self.tls.do_handshake()
                break
            except SSL.WantReadError:
                self.send_flight(transport)
            data = await self.receive()
            if 20 <= data[0] < 64:
                self.tls.bio_write(data)
        self.send_flight(transport)
        profile = PROFILES[self.tls.get_selected_srtp_profile()]
        key, salt = profile.key_size, profile.salt_size
        material = self.tls.export_keying_material(LABEL, 2 * (key + salt), None)
        ours = material[:key] + material[2 * key : 2 * key + salt]
        theirs = material[key : 2 * key] + material[2 * key + salt :]
        any_out, any_in = pylibsrtp.Policy.SSRC_ANY_OUTBOUND, pylibsrtp.Policy.SSRC_ANY_INBOUND
        self.outbound = pylibsrtp.Session(
            pylibsrtp.Policy(ours, any_out, srtp_profile=profile.number)
        )
        self.inbound = pylibsrtp.Session(
            pylibsrtp.Policy(theirs, any_in, srtp_profile=profile.number)
        )
        with trio.fail_after(5):
            await transport.connected.wait()

    def close(self):
        self.socket.close()
