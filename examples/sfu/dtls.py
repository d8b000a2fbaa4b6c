"""DTLS, the passive side: a certificate, a handshake in memory, and the keys for SRTP (RFC 5764)."""

from __future__ import annotations

import datetime as dt
import struct

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from .srtp import PROFILES, SrtpKeys

LARGEST = 1_200
"""Bytes of a datagram: several records share one, and none is larger."""

_RECORD = struct.Struct("!BHHIHH")
_LABEL = b"EXTRACTOR-dtls_srtp"


class DtlsError(Exception):
    """The handshake failed, or the peer is not the one that made the offer."""


@frozen
class Certificate:
    """Who the server is; one for all peers, made anew at each start.

    Attributes:
        certificate: As X.509.
        key: Its private key.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls) -> Certificate:
        """Make one that is good for a month."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sfu")])
        now = dt.datetime.now(tz=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @property
    def fingerprint(self) -> str:
        """As SDP writes it (RFC 8122, section 5), SHA-256."""
        return fingerprint(self.certificate)


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 of a certificate, as SDP writes it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _let_in(*_of_the_certificate: object) -> bool:
    return True


class DtlsServer:
    """The server's side of one handshake: datagrams in, datagrams out.

    Args:
        certificate: The server's.
        peer_fingerprint: Of the peer's certificate, as the offer has it.

    Attributes:
        keys: What SRTP is protected with; None until the handshake is done.
        is_closed: The peer said that it leaves.
    """

    def __init__(self, certificate: Certificate, peer_fingerprint: str) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        # Whoever signed it: the fingerprint in the offer is what counts (RFC 8827, section 6.5).
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _let_in)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
        context.set_tlsext_use_srtp(b":".join(PROFILES))
        self._connection = SSL.Connection(context, None)
        self._connection.set_ciphertext_mtu(LARGEST)
        self._connection.set_accept_state()
        self._peer_fingerprint = peer_fingerprint
        self.keys: SrtpKeys | None = None
        self.is_closed: bool = False

    def receive(self, datagram: bytes) -> list[bytes]:
        """A datagram came.

        Returns:
            What to answer.

        Raises:
            DtlsError: The handshake can not succeed any more.
        """
        self._connection.bio_write(datagram)
        try:
            if self.keys is None:
                self._connection.do_handshake()
                self.keys = self._finish()
            else:
                self._connection.recv(LARGEST)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.is_closed = True
        except SSL.Error as error:
            if self.keys is None:
                raise DtlsError(f"the DTLS handshake failed: {error}") from error
        return self._flush()

    def time_out(self) -> list[bytes]:
        """Time has passed: what is to be sent again, if it was lost."""
        if self.keys is None and self._connection.DTLSv1_get_timeout() is not None:
            self._connection.DTLSv1_handle_timeout()
        return self._flush()

    def close(self) -> list[bytes]:
        """Say good-bye."""
        if self.keys is None:
            return []
        try:
            self._connection.shutdown()
        except SSL.Error:
            return []
        return self._flush()

    def _finish(self) -> SrtpKeys:
        connection = self._connection
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or fingerprint(certificate) != self._peer_fingerprint:
            raise DtlsError("the peer's certificate is not the one whose fingerprint is in its SDP")
        profile = PROFILES.get(connection.get_selected_srtp_profile())
        if profile is None:
            raise DtlsError("the peer shares no SRTP profile with the server")
        size = 2 * (profile.key_size + profile.salt_size)
        return SrtpKeys.of_server(profile, connection.export_keying_material(_LABEL, size, None))

    def _flush(self) -> list[bytes]:
        """What the connection wants to send, several records to a datagram."""
        try:
            records = self._connection.bio_read(2**16)
        except SSL.WantReadError:
            return []
        datagrams = [b""]
        while records:
            size = _RECORD.size + _RECORD.unpack_from(records)[-1]
            if datagrams[-1] and len(datagrams[-1]) + size > LARGEST:
                datagrams.append(b"")
            datagrams[-1] += records[:size]
            records = records[size:]
        return datagrams
