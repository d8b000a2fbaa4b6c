"""What an allocator of your own can stand on: registrations, mailboxes and checks, and no decision."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Self, Unpack

import trio

from .. import quantities
from ..interface import ConnectionAllocator, ReceiverHandle
from ..messages import AcceptDecrease, AllocationGranted, GrantReason, RejectDecrease
from ..options import ReceiverOptionChanges, ReceiverOptions
from ..tracks import Track
from .checks import check_answer, check_own, check_registration
from .mailbox import RegistrationEndedError
from .watching import Watch, WatchedValue


class BareAllocator(ConnectionAllocator):
    """An allocator but for its decisions: derive from it, and write `settle`.

    It checks what it is given, keeps the registrations, and knows the newest estimate. A request for
    less is granted, and so is force; nobody is asked to decrease, and nothing is probed. It has no
    tasks: open it by a function such as::

        @asynccontextmanager
        async def open_mine():
            allocator = Mine()
            try:
                yield allocator
            finally:
                allocator.close()

    Attributes:
        handles: Id to registration, in order of registration.
    """

    def __init__(self) -> None:
        self.handles: dict[int, BareHandle] = {}
        self._known: WatchedValue[int | None] = WatchedValue(None)
        self._last_id = 0
        self._ended = False

    @abstractmethod
    def settle(self, estimate: int | None) -> None:
        """Something has changed: call `BareHandle.grant` for all that hold something else now.

        It is called within the operation that brought the change, when all else is in order.

        Args:
            estimate: The newest estimate, bit/s; None before the first one.
        """

    @classmethod
    def create(cls, nursery: trio.Nursery) -> Self:  # noqa: ARG003 - it has no tasks
        """See `ConnectionAllocator.create`."""
        return cls()

    async def destroy(self) -> None:
        """See `ConnectionAllocator.destroy`."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """End it at once, and all registrations. May be called twice."""
        self._ended = True
        for handle in list(self.handles.values()):
            handle.close()
        self._known.end()

    @property
    def estimate(self) -> Watch[int | None]:
        """See `ConnectionAllocator.estimate`."""
        return Watch(self._known)

    def register_track_receiver(
        self, track: Track, bandwidth: float = 0, **options: Unpack[ReceiverOptionChanges]
    ) -> BareHandle:
        """See `ConnectionAllocator.register_track_receiver`."""
        self._check_open()
        checked, held = check_registration(track, bandwidth, options)
        self._last_id += 1
        handle = BareHandle(self, self._last_id, track, checked, held)
        self.handles[handle.id] = handle
        return handle

    def update_bandwidth_estimation(self, estimate: float, *, carried: float | None = None) -> None:
        """See `ConnectionAllocator.update_bandwidth_estimation`."""
        self._check_open()
        bitrate = quantities.bitrate("estimate", estimate)
        if carried is not None:
            quantities.bitrate("carried", carried)
        self.settle(bitrate)
        self._known.publish(bitrate)  # last: what runs there is the user's (L5)

    def force_allocation(self, receiver: ReceiverHandle, bitrate: float) -> None:
        """See `ConnectionAllocator.force_allocation`."""
        self._check_open()
        most = quantities.bitrate("bitrate", bitrate)
        handle = check_own(receiver, BareHandle, self)
        if most < handle.allocation:
            handle.grant(most, GrantReason.FORCED)

    def changed(self) -> None:
        """Settle what a registration has changed."""
        if not self._ended:
            self.settle(self._known.value)

    def _check_open(self) -> None:
        if self._ended:
            raise trio.ClosedResourceError("the allocator has ended")


class BareHandle(ReceiverHandle):
    """One registration of a `BareAllocator`.

    Its mailbox is the newest grant: an older one is of no interest (G1).
    """

    def __init__(
        self,
        allocator: BareAllocator,
        number: int,
        track: Track,
        options: ReceiverOptions,
        held: int,
    ) -> None:
        self._allocator: BareAllocator | None = allocator
        self._id, self._track, self._options = number, track, options
        self._allocation = self._claim = held
        self._unread: AllocationGranted | None = None
        self._news = trio.Event()
        self._reading = False

    @property
    def id(self) -> int:
        """See `ReceiverHandle`."""
        return self._id

    @property
    def track(self) -> Track:
        """See `ReceiverHandle`."""
        return self._track

    @property
    def options(self) -> ReceiverOptions:
        """See `ReceiverHandle`."""
        return self._options

    @property
    def allocation(self) -> int:
        """See `ReceiverHandle`."""
        return self._allocation

    @property
    def claim(self) -> int:
        """See `ReceiverHandle`."""
        return self._claim

    @property
    def wanted(self) -> int:
        """The claim within the cap, bit/s."""
        cap = self._options.max_bitrate
        return self._claim if cap is None else min(self._claim, cap)

    def grant(self, bitrate: int, reason: GrantReason) -> None:
        """Another allocation, and a message about it, which replaces one that is unread."""
        self._allocation = bitrate
        self._unread = AllocationGranted(bitrate, reason, self._id)
        self._news.set()

    def check_open(self) -> BareAllocator:
        """The allocator; raises what an ended registration raises."""
        if self._allocator is None:
            raise RegistrationEndedError("the registration has ended")
        return self._allocator

    def buffer_sent(self, size: float, *, padding: bool = False) -> None:
        """See `ReceiverHandle.buffer_sent`: nothing is done with it here."""
        self.check_open()
        quantities.size("size", size)
        quantities.flag("padding", padding)

    def request_allocation(self, bitrate: float) -> None:
        """See `ReceiverHandle.request_allocation`: less at once, more when the allocator grants it."""
        allocator = self.check_open()
        claim = quantities.bitrate("bitrate", bitrate)
        waited, self._claim = self._claim > self._allocation, claim
        if claim < self._allocation or (waited and claim == self._allocation):
            self.grant(claim, GrantReason.LOWERED)
        allocator.changed()

    def send_answer(self, answer: AcceptDecrease | RejectDecrease) -> bool:
        """See `ReceiverHandle.send_answer`: nobody was asked."""
        self.check_open()
        check_answer(answer, self._id)
        raise ValueError(f"request {answer.request_id} was never sent to receiver {self._id}")

    def set_options(self, **changes: Unpack[ReceiverOptionChanges]) -> None:
        """See `ReceiverHandle`."""
        allocator = self.check_open()
        self._options = self._options.changed(changes)
        cap = self._options.max_bitrate
        if cap is not None and self._allocation > cap:
            self.grant(self.wanted, GrantReason.LOWERED)
        allocator.changed()

    def set_variants(self, variants: Mapping[str, float]) -> None:
        """See `ReceiverHandle`."""
        self.check_open()
        self._track = self._track.with_variants(variants)

    def receive_nowait(self) -> AllocationGranted:
        """See `ReceiverHandle`."""
        self.check_open()
        if self._unread is None:
            raise trio.WouldBlock
        message, self._unread = self._unread, None
        return message

    async def receive(self) -> AllocationGranted:
        """Wait for the next message. It is taken after the last checkpoint."""
        self.check_open()
        if self._reading:
            raise trio.BusyResourceError("another task is reading")
        await trio.lowlevel.checkpoint()
        self._reading = True
        try:
            while self._unread is None and self._allocator is not None:
                self._news = trio.Event()
                await self._news.wait()
        finally:
            self._reading = False
        return self.receive_nowait()

    def close(self) -> None:
        """See `ReceiverHandle.close`: what it held is granted to those that wait, in this call."""
        if self._allocator is not None:
            allocator, self._allocator = self._allocator, None
            del allocator.handles[self._id]
            self._news.set()
            allocator.changed()
