"""SRTP: packets protected and unprotected with the keys of a handshake (RFC 3711, RFC 5764)."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pylibsrtp does not state the types of its constants.

from __future__ import annotations

from attrs import frozen
from pylibsrtp import Error, Policy, Session

WINDOW = 1_024
"""How far apart packets may overtake each other: a burst of repetitions is not a replay."""


class SrtpError(Exception):
    """A packet is not the peer's, or came twice. Count it and drop it."""


@frozen
class SrtpProfile:
    """One way to protect packets.

    Attributes:
        number: The library's.
        key_size: Bytes.
        salt_size: Bytes.
        tag_size: Bytes that each packet of RTP grows by.
    """

    number: int
    key_size: int
    salt_size: int
    tag_size: int


PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": SrtpProfile(Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12, 16),
    b"SRTP_AES128_CM_SHA1_80": SrtpProfile(Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14, 10),
}
"""By OpenSSL's names, the one to prefer first (RFC 5764, section 4.1.2; RFC 7714)."""


@frozen
class SrtpKeys:
    """What comes out of a handshake.

    Attributes:
        profile: How to protect.
        inbound: Key and salt of what the peer sends.
        outbound: Key and salt of what we send.
    """

    profile: SrtpProfile
    inbound: bytes
    outbound: bytes

    @classmethod
    def of_server(cls, profile: SrtpProfile, material: bytes) -> SrtpKeys:
        """Take keying material apart: both keys, both salts, the client's first (RFC 5764, 4.2)."""
        key, salt = profile.key_size, profile.salt_size
        client_key, server_key = material[:key], material[key : 2 * key]
        client_salt, server_salt = material[2 * key : 2 * key + salt], material[2 * key + salt :]
        return cls(profile, client_key + client_salt, server_key + server_salt)


class Srtp:
    """Both directions of one connection.

    Args:
        keys: From the handshake.

    Attributes:
        tag_size: Bytes that each packet of RTP grows by.
    """

    def __init__(self, keys: SrtpKeys) -> None:
        self._inbound = _session(keys.inbound, Policy.SSRC_ANY_INBOUND, keys.profile)
        self._outbound = _session(keys.outbound, Policy.SSRC_ANY_OUTBOUND, keys.profile)
        self.tag_size: int = keys.profile.tag_size

    def protect(self, packet: bytes) -> bytes:
        """Protect RTP."""
        return self._outbound.protect(packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Protect RTCP."""
        return self._outbound.protect_rtcp(packet)

    def unprotect(self, packet: bytes) -> bytes:
        """Unprotect RTP.

        Raises:
            SrtpError: It is not the peer's.
        """
        try:
            return self._inbound.unprotect(packet)
        except (Error, ValueError, TypeError) as error:
            raise SrtpError(str(error)) from error

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Unprotect RTCP.

        Raises:
            SrtpError: It is not the peer's.
        """
        try:
            return self._inbound.unprotect_rtcp(packet)
        except (Error, ValueError, TypeError) as error:
            raise SrtpError(str(error)) from error


def _session(key: bytes, direction: int, profile: SrtpProfile) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile.number)
    policy.allow_repeat_tx = True
    policy.window_size = WINDOW
    return Session(policy)
