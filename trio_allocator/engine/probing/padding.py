"""How many bytes of padding are due at a time, and whose they are."""

from __future__ import annotations

from collections import OrderedDict

UNREAD_TICKS = 2
"""At most this many ticks' worth of padding waits unread in a mailbox (P2)."""

LATE_TICKS = 2
"""A tick that comes late owes at most this many ticks' worth: no burst after a stall (P2)."""

MADE_UP_TICKS = 10
"""What was booked and not sent is made up for, up to this many ticks' worth: receivers that never
send what they take must not leave a debt for those who do."""


class Meter:
    """Bytes sent through all receivers; the hot path adds to it.

    Attributes:
        media: Bytes of everything but padding.
    """

    __slots__ = ("media",)

    def __init__(self) -> None:
        self.media: int = 0


class PaddingAccount:
    """Padding put into one receiver's mailbox.

    Attributes:
        unread: Bytes waiting in the mailbox.
        unconfirmed: Bytes read, not yet reported as sent.
        probe: The probe that they belong to; what is left of an earlier one is owed to nobody.
        reports: The receiver reports what it sends, so what it does not report was not sent.
    """

    __slots__ = ("probe", "reports", "unconfirmed", "unread")

    def __init__(self) -> None:
        self.unread: int = 0
        self.unconfirmed: int = 0
        self.reports: bool = False
        self.probe: int = 0


class Padding:
    """The account of media and padding against a target rate.

    What the target owes runs up with time, what is sent pays it off, and what is due goes out in
    whole packets; the rest is carried, so there is no drift.

    Args:
        meter: Counts the media.
        packet: Bytes of one packet, the unit of sharing.
    """

    __slots__ = (
        "_debt",
        "_meter",
        "_packet",
        "_probe",
        "_ring",
        "_seen",
        "_since",
        "_unread",
        "booked",
        "target",
        "tick",
    )

    def __init__(self, meter: Meter, packet: int) -> None:
        self._meter = meter
        self._packet = packet
        self._ring: OrderedDict[int, PaddingAccount] = OrderedDict()
        self._unread: dict[int, PaddingAccount] = {}
        self._probe = 0
        self._debt = 0.0
        self._since = 0.0
        self._seen = 0
        self.booked: int = 0
        self.target: int = 0
        self.tick: float = 0.0

    @property
    def able(self) -> bool:
        """Whether anybody can send padding."""
        return bool(self._ring)

    def join(self, receiver_id: int, account: PaddingAccount) -> None:
        """Let a receiver take part in the round robin."""
        self._ring[receiver_id] = account

    def leave(self, receiver_id: int) -> None:
        """Take a receiver off the round robin; what it has not read or sent is owed again."""
        account = self._ring.pop(receiver_id, None)
        if account is not None:
            self._withdraw(account)
            self._unread.pop(receiver_id, None)
            self._owe_unconfirmed(account)

    def start(self, now: float, target: int, tick: float) -> None:
        """Declare a target, bit/s, kept up to with ticks this far apart, s.

        Going on from another target carries the account over; after `stop` it starts at zero.
        """
        if self.target:
            self._accrue(now)
        else:
            self._probe += 1
            self._debt = 0.0
            self._since = now
            self._seen = self._meter.media
        self.target = target
        self.tick = tick
        self._shorten_unread()

    def _shorten_unread(self) -> None:
        """Leave no more unread than this target allows."""
        most = max(UNREAD_TICKS * self.target / 8 * self.tick, self._packet)
        whole = int(most // self._packet) * self._packet
        for account in self._unread.values():
            self._debt += max(0, account.unread - whole)
            account.unread = min(account.unread, whole)

    def stop(self) -> None:
        """End it, and withdraw what nobody has read."""
        self.target = 0
        for account in self._unread.values():
            self._withdraw(account)
        self._unread.clear()

    def _withdraw(self, account: PaddingAccount) -> None:
        self._debt += account.unread
        account.unread = 0

    def _owe_unconfirmed(self, account: PaddingAccount) -> None:
        if account.reports and account.probe == self._probe:
            self._debt += account.unconfirmed
        account.unconfirmed = 0
        account.probe = self._probe

    def _accrue(self, now: float) -> None:
        media = self._meter.media
        elapsed = min(now - self._since, LATE_TICKS * self.tick)
        self._debt += self.target / 8 * elapsed - (media - self._seen)
        # Surplus media is banked for one tick at most: a burst must not silence probing (P2).
        self._debt = max(self._debt, -self.target / 8 * self.tick)
        self._since = now
        self._seen = media

    def due(self, now: float) -> list[int]:
        """Book the packets that are due now, fairly among those who can take them.

        Returns:
            The receivers whose `PaddingAccount.unread` has grown.
        """
        self._accrue(now)
        per_tick = self.target / 8 * self.tick
        self._debt = min(self._debt, MADE_UP_TICKS * per_tick + self._packet)
        packets = int(min(self._debt, LATE_TICKS * per_tick + self._packet) // self._packet)
        room = max(UNREAD_TICKS * per_tick, self._packet)
        grown: dict[int, None] = {}
        turns = unable = share = 0
        while packets > 0 and unable < len(self._ring):
            if turns == 0:  # a round: as many whole packets for everybody as there are
                turns, share = len(self._ring), max(1, packets // len(self._ring))
            turns -= 1
            receiver_id, account = next(iter(self._ring.items()))
            self._ring.move_to_end(receiver_id)
            able = min(share, int((room - account.unread) // self._packet))
            if able <= 0:
                unable += 1
                continue
            unable = 0
            packets -= able
            booked = able * self._packet
            self._debt -= booked
            self.booked += booked
            account.unread += booked
            self._unread[receiver_id] = account
            grown[receiver_id] = None
        if packets > 0:
            # What nobody can send is not owed either, or it would burst out later (P3).
            self._debt = min(self._debt, float(self._packet))
        return list(grown)

    def read(self, receiver_id: int, account: PaddingAccount) -> int:
        """Take what is unread out of a mailbox, bytes.

        A receiver that reports its padding, and comes for more, has sent all that it ever will of
        what it took before: the rest is owed again.
        """
        self._owe_unconfirmed(account)
        size = account.unconfirmed = account.unread
        account.unread = 0
        self._unread.pop(receiver_id, None)
        return size

    def sent(self, account: PaddingAccount, size: int) -> None:
        """Correct the booking by what was really sent, bytes."""
        account.reports = True
        booked = min(size, account.unconfirmed)
        account.unconfirmed -= booked
        self._debt -= size - booked
