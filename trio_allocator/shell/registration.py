"""The handle of one registration, the same for every allocator of this package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, Unpack

from .. import quantities
from ..engine.probing.padding import Meter, PaddingAccount
from ..engine.receiver import Receiver
from ..interface import Claims, ReceiverHandle
from ..messages import AcceptDecrease, AllocatorMessage, RejectDecrease
from ..obstacle import Obstacle
from ..options import ReceiverOptionChanges, ReceiverOptions
from ..tracks import Track
from .checks import check_answer
from .mailbox import Ending, Mailbox, RegistrationEndedError


class Desk(Protocol):
    """The allocator, as its registrations see it."""

    def request(self, registration: Registration, bitrate: int) -> None:
        """Another allocation is wanted, bit/s."""
        ...

    def answer(
        self,
        registration: Registration,
        request_id: int,
        *,
        accepted: bool,
        bitrate: int | None,
    ) -> bool:
        """A decrease request is answered; return whether the answer counts."""
        ...

    def configure(self, registration: Registration, track: Track, options: ReceiverOptions) -> None:
        """The ladder or the options change."""
        ...

    def padding_sent(self, registration: Registration, size: int) -> None:
        """Padding was sent, bytes."""
        ...

    def leave(self, registration: Registration) -> None:
        """The registration ends: cut it off by `Registration.end`."""
        ...


def has_left() -> Exception:
    """Why a registration ended that was closed."""
    return RegistrationEndedError(
        "this registration has ended: it was closed, or its block left; register again"
    )


def claims_of(registrations: Iterable[Registration]) -> Claims:
    """What they want together; see `ConnectionAllocator.claims`."""
    wanted = audio = 0
    for registration in registrations:
        receiver = registration.receiver
        wanted += max(receiver.want, receiver.allocation)
        if receiver.track.kind == "audio":
            audio += receiver.allocation
    return Claims(wanted, audio)


class _EndedMeter:
    """Stands in for the meter of an allocator that one does not belong to any more."""

    __slots__ = ("_ending",)

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    @property
    def media(self) -> int:
        raise self._ending()

    @media.setter
    def media(self, _value: int) -> None:
        raise AssertionError("reading raises first")


class Registration(ReceiverHandle):
    """See `ReceiverHandle`.

    Args:
        desk: The allocator.
        receiver: The allocator's record.
        account: Padding due to this receiver.
        mailbox: What it has not read yet.
        meter: The allocator's count of bytes sent.
    """

    __slots__ = ("_desk", "_ending", "_meter", "_sent", "account", "mailbox", "receiver")

    def __init__(
        self,
        desk: Desk,
        receiver: Receiver,
        account: PaddingAccount,
        mailbox: Mailbox,
        meter: Meter,
    ) -> None:
        self._desk: Desk | None = desk
        self._ending: Ending = has_left
        self._meter: Meter | _EndedMeter = meter
        self._sent = 0
        self.receiver: Receiver = receiver
        self.account: PaddingAccount = account
        self.mailbox: Mailbox = mailbox

    def __repr__(self) -> str:
        return (
            f"<Registration {self.id} of track {self.track.id!r}: {self.allocation} bit/s"
            f"{'' if self._desk else ', ended'}>"
        )

    @property
    def id(self) -> int:
        """See `ReceiverHandle.id`."""
        return self.receiver.id

    @property
    def track(self) -> Track:
        """See `ReceiverHandle.track`."""
        return self.receiver.track

    @property
    def options(self) -> ReceiverOptions:
        """See `ReceiverHandle.options`."""
        return self.receiver.options

    @property
    def allocation(self) -> int:
        """See `ReceiverHandle.allocation`."""
        return self.receiver.allocation

    @property
    def claim(self) -> int:
        """See `ReceiverHandle.claim`."""
        return self.receiver.claim

    @property
    def bytes_sent(self) -> int:
        """What `buffer_sent` has reported, padding included, bytes."""
        return self._sent

    # The hot path. Two layers of calls would cost 3 to 5 times a bare method, so the sums are
    # added to right here; a meter that raises when read says that the registration has ended.
    def buffer_sent(self, size: float, *, padding: bool = False) -> None:
        """See `ReceiverHandle.buffer_sent`."""
        if padding is not False or type(size) is not int or not 0 <= size <= 65_535:
            self._buffer_sent_checked(size, padding)
        else:
            self._meter.media += size
            self._sent += size

    def _buffer_sent_checked(self, size: float, padding: object) -> None:
        desk = self.check_open()
        whole = quantities.size("size", size)
        if quantities.flag("padding", padding):
            desk.padding_sent(self, whole)
        else:
            self._meter.media += whole
        self._sent += whole

    def request_allocation(self, bitrate: float) -> None:
        """See `ReceiverHandle.request_allocation`."""
        self.check_open().request(self, quantities.bitrate("bitrate", bitrate))

    def send_answer(self, answer: AcceptDecrease | RejectDecrease) -> bool:
        """See `ReceiverHandle.send_answer`."""
        desk = self.check_open()
        bitrate = check_answer(answer, self.id)
        accepted = isinstance(answer, AcceptDecrease)
        return desk.answer(self, answer.request_id, accepted=accepted, bitrate=bitrate)

    def set_options(self, **changes: Unpack[ReceiverOptionChanges]) -> None:
        """See `ReceiverHandle.set_options`."""
        desk = self.check_open()
        desk.configure(self, self.track, self.options.changed(changes))

    def set_variants(self, variants: Mapping[str, float]) -> None:
        """See `ReceiverHandle.set_variants`."""
        desk = self.check_open()
        desk.configure(self, self.track.with_variants(variants), self.options)

    def note_obstacle(self, obstacle: Obstacle | None) -> None:
        """See `ReceiverHandle.note_obstacle`."""
        self.check_open()
        self.receiver.obstacle = obstacle

    async def receive(self) -> AllocatorMessage:
        """Wait for the next message: the newest grant, a decrease request, or padding due.

        Raises:
            trio.ClosedResourceError: The registration or the allocator has ended (an ``async
                for`` just ends).
            trio.BrokenResourceError: The allocator has failed.
            trio.BusyResourceError: Another task is reading.
        """
        return await self.mailbox.receive()

    def receive_nowait(self) -> AllocatorMessage:
        """See `ReceiverHandle.receive_nowait`."""
        return self.mailbox.receive_nowait()

    def close(self) -> None:
        """See `ReceiverHandle.close`."""
        if self._desk is not None:
            self._desk.leave(self)

    def end(self, ending: Ending) -> None:
        """Cut the handle off: it belongs to no allocator any more."""
        self._desk = None
        self._ending = ending
        self._meter = _EndedMeter(ending)
        self.mailbox.end(ending)

    def check_open(self) -> Desk:
        """The allocator; raises what an ended registration raises."""
        if self._desk is None:
            raise self._ending()
        return self._desk
