"""ICE-lite: peers check, we answer (RFC 8445, section 2.5), and what they say is their consent."""

from __future__ import annotations

import math
import secrets
from typing import TypeAlias

from aioice import stun
from attrs import define, field

Address: TypeAlias = tuple[str, int]

CONSENT = 30.0
"""A peer that has not checked for so long is gone, s (RFC 7675, section 5.1)."""

MOST_ADDRESSES = 16
"""From so many addresses a peer may be heard at a time: it may move, a flood may not fill us."""


@define
class IceLite:
    """One side of a connection, which has the address that is in its candidates.

    Attributes:
        ufrag: What a peer names in its checks.
        password: What it proves to know.
        remote: Where to send: the address that the peer nominated, or the first that it was heard
            from; None until then.
        heard_at: When a check came last, s.
    """

    ufrag: str = field(factory=lambda: secrets.token_hex(4))
    password: str = field(factory=lambda: secrets.token_hex(16))
    remote: Address | None = None
    heard_at: float = -math.inf
    _valid: dict[Address, None] = field(factory=dict[Address, None])

    def receive(self, datagram: bytes, address: Address, now: float) -> bytes | None:
        """A STUN message came.

        Returns:
            The answer, to be sent where it came from; None for what deserves none.
        """
        try:
            request = stun.parse_message(datagram)
            if request.message_class is not stun.Class.REQUEST:
                return None
            named = str(request.attributes.get("USERNAME", ""))
            key = self.password.encode()
            if named.partition(":")[0] != self.ufrag or not request.check_message_integrity(key):
                return None
        except (ValueError, KeyError, IndexError, UnicodeDecodeError):
            return None
        self.heard_at = now
        self._valid.pop(address, None)
        self._valid[address] = None
        if len(self._valid) > MOST_ADDRESSES:
            del self._valid[next(iter(self._valid))]
        if self.remote is None or "USE-CANDIDATE" in request.attributes:
            self.remote = address
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        answer.attributes["XOR-MAPPED-ADDRESS"] = address
        answer.add_message_integrity(key)
        answer.add_fingerprint()
        return bytes(answer)

    def is_valid(self, address: Address) -> bool:
        """Whether the peer has shown that it is there: else an address is somebody else's."""
        return address in self._valid
