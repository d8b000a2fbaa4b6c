"""The no-op allocator: everybody gets at once what they ask for."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Unpack

import trio

from .. import quantities
from ..engine.probing.padding import Meter, PaddingAccount
from ..engine.receiver import Receiver
from ..interface import ConnectionAllocator, ReceiverHandle
from ..messages import AllocationGranted, GrantReason
from ..options import ReceiverOptionChanges, ReceiverOptions
from ..tracks import Track
from .checks import check_own, check_registration
from .lifetime import living
from .mailbox import Mailbox, RegistrationEndedError
from .registration import Registration, has_left
from .watching import Watch, WatchedValue


def _has_ended() -> Exception:
    return RegistrationEndedError("the allocator has ended")


class PassthroughAllocator(ConnectionAllocator):
    """Grants at once what is requested, never asks anybody to decrease, and never probes.

    What is forced down stays down until it is asked for again.

    For connections whose capacity is no concern, and for tests. It has no tasks. It knows no
    capacity, so it takes no limits of a connection and does not claim A2, A5 and A6; and as it asks
    nobody and never probes, N2 to N6, N8, P1 and P5 say nothing of it.
    """

    def __init__(self) -> None:
        self._registrations: dict[int, Registration] = {}
        self._estimate: WatchedValue[int | None] = WatchedValue(None)
        self._meter = Meter()
        self._last_id = 0
        self._ended = False

    @classmethod
    def create(cls, nursery: trio.Nursery) -> PassthroughAllocator:  # noqa: ARG003 - the contract's
        """Start one. It needs no task, so the nursery is left alone."""
        return cls()

    async def destroy(self) -> None:
        """See `ConnectionAllocator.destroy`."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """End the allocator at once: every registration is over."""
        if not self._ended:
            self._ended = True
            for registration in self._registrations.values():
                registration.end(_has_ended)
            self._registrations.clear()
            self._estimate.end()

    @property
    def failure(self) -> None:
        """It has nothing that could fail."""

    def _check_open(self) -> None:
        if self._ended:
            raise trio.ClosedResourceError("the allocator has ended")

    @property
    def estimate(self) -> Watch[int | None]:
        """The newest estimate, bit/s; None before the first one."""
        return Watch(self._estimate)

    def register_track_receiver(
        self,
        track: Track,
        bandwidth: float = 0,
        **options: Unpack[ReceiverOptionChanges],
    ) -> Registration:
        """See `ConnectionAllocator.register_track_receiver`."""
        self._check_open()
        checked, held = check_registration(track, bandwidth, options)
        self._last_id += 1
        receiver = Receiver(self._last_id, track, checked, held)
        registration = self._open_registration(receiver)
        self._registrations[receiver.id] = registration
        return registration

    def _open_registration(self, receiver: Receiver) -> Registration:
        account = PaddingAccount()
        mailbox = Mailbox(receiver.id, account, None)
        return Registration(self, receiver, account, mailbox, self._meter)

    def update_bandwidth_estimation(self, estimate: float, *, carried: float | None = None) -> None:
        """See `ConnectionAllocator.update_bandwidth_estimation`. It only lets others watch it."""
        self._check_open()
        bitrate = quantities.bitrate("estimate", estimate)
        if carried is not None:
            quantities.bitrate("carried", carried)
        self._estimate.publish(bitrate)

    def force_allocation(self, receiver: ReceiverHandle, bitrate: float) -> None:
        """See `ConnectionAllocator.force_allocation`."""
        self._check_open()
        whole = quantities.bitrate("bitrate", bitrate)
        registration = check_own(receiver, Registration, self)
        if whole < registration.allocation:
            self._allocate(registration, whole, GrantReason.FORCED)

    def _allocate(self, registration: Registration, bitrate: int, reason: GrantReason) -> None:
        registration.receiver.allocation = registration.receiver.projected = bitrate
        registration.mailbox.put_grant(AllocationGranted(bitrate, reason, registration.id))

    # --- what registrations call -------------------------------------------------------------

    def request(self, registration: Registration, bitrate: int) -> None:
        """See `Desk.request`."""
        receiver = registration.receiver
        waited = receiver.want > receiver.allocation  # after force, for instance
        receiver.set_claim(bitrate)
        # A cap keeps a raise back; it makes nothing less of it.
        granted = max(receiver.want, min(bitrate, receiver.allocation))
        if granted != receiver.allocation or waited:
            higher = granted > receiver.allocation
            reason = GrantReason.GRANTED if higher else GrantReason.LOWERED
            self._allocate(registration, granted, reason)

    def answer(
        self,
        registration: Registration,
        request_id: int,
        *,
        accepted: bool,  # noqa: ARG002 - the contract's
        bitrate: int | None,  # noqa: ARG002
    ) -> bool:
        """See `Desk.answer`. Nobody is ever asked here.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"request {request_id} was never sent to receiver {registration.id}")

    def configure(self, registration: Registration, track: Track, options: ReceiverOptions) -> None:
        """See `Desk.configure`."""
        receiver = registration.receiver
        wanted = receiver.want
        receiver.configure(track, options)
        if options.max_bitrate is not None and receiver.allocation > options.max_bitrate:
            self._allocate(registration, receiver.want, GrantReason.LOWERED)
        elif receiver.want != wanted:
            self.request(registration, registration.claim)

    def padding_sent(self, registration: Registration, size: int) -> None:
        """See `Desk.padding_sent`. Nobody asked for any."""

    def leave(self, registration: Registration) -> None:
        """See `Desk.leave`."""
        del self._registrations[registration.id]
        registration.end(has_left)


def open_passthrough_allocator() -> AbstractAsyncContextManager[PassthroughAllocator]:
    """Open a `PassthroughAllocator`; it lives exactly inside its ``async with``."""
    return living(PassthroughAllocator.create)
