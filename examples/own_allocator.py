"""An allocator from scratch: first come, first served. Run it: ``python examples/own_allocator.py``.

It grants a request if all of it fits into the estimate, the longest waiting first. It asks nobody
to decrease, takes back nothing by itself, and never probes: `NOT_CLAIMED` says so, and the kit checks
the rest. The page "An allocator from scratch" goes through it. It needs the extra ``testing``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Unpack

import trio

from trio_allocator import (
    AcceptDecrease,
    AllocationGranted,
    ConnectionAllocator,
    GrantReason,
    ReceiverHandle,
    ReceiverOptionChanges,
    ReceiverOptions,
    RegistrationEndedError,
    RejectDecrease,
    Track,
    Watch,
    WatchedValue,
    quantities,
)
from trio_allocator.testing import check_allocator

NOT_CLAIMED = frozenset(
    {
        *("A2", "A6", "N2", "N3", "N4", "N5", "N6", "N8", "P1", "P5"),  # asks nobody, never probes
        *("G2", "G6", "G8"),  # knows no ladder, no classes and no turns
    }
)


class FirstComeAllocator(ConnectionAllocator):
    """Grants what fits, the longest waiting first."""

    def __init__(self) -> None:
        self.handles: dict[int, Handle] = {}
        self._known: WatchedValue[int | None] = WatchedValue(None)
        self._last_id = 0
        self._ended = False

    @classmethod
    def create(cls, nursery: trio.Nursery) -> FirstComeAllocator:  # noqa: ARG003 - it has no tasks
        """Start one."""
        return cls()

    async def destroy(self) -> None:
        """End it."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """End it at once, and all registrations."""
        self._ended = True
        for handle in list(self.handles.values()):
            handle.close()
        self._known.end()

    @property
    def estimate(self) -> Watch[int | None]:
        """The newest estimate, bit/s."""
        return Watch(self._known)

    def register_track_receiver(
        self, track: Track, bandwidth: float = 0, **options: Unpack[ReceiverOptionChanges]
    ) -> Handle:
        """See `ConnectionAllocator`: checked first, then changed; no message is sent."""
        self.check_open()
        if not isinstance(track, Track):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"track must be a Track, not {track!r}")
        checked = ReceiverOptions.for_track(track, options)
        held = quantities.bitrate("bandwidth", bandwidth)
        if checked.max_bitrate is not None and held > checked.max_bitrate:
            raise ValueError(f"bandwidth must be at most {checked.max_bitrate} bit/s, not {held}")
        self._last_id += 1
        handle = Handle(self, self._last_id, track, checked, held)
        self.handles[handle.id] = handle
        return handle

    def update_bandwidth_estimation(self, estimate: float, *, carried: float | None = None) -> None:
        """See `ConnectionAllocator`."""
        self.check_open()
        bitrate = quantities.bitrate("estimate", estimate)
        if carried is not None:
            quantities.bitrate("carried", carried)
        self.settle(bitrate)
        self._known.publish(bitrate)  # last: what runs there is the user's (L5)

    def force_allocation(self, receiver: ReceiverHandle, bitrate: float) -> None:
        """See `ConnectionAllocator`."""
        self.check_open()
        most = quantities.bitrate("bitrate", bitrate)
        if not isinstance(receiver, Handle):
            raise TypeError(f"receiver must be a registration of this allocator, not {receiver!r}")
        receiver.check_open()
        if self.handles.get(receiver.id) is not receiver:
            raise ValueError(f"receiver must be a registration of this allocator, not {receiver!r}")
        if most < receiver.allocation:
            receiver.grant(most, GrantReason.FORCED)

    def settle(self, estimate: int | None = None) -> None:
        """Grant what fits, in the order of registration."""
        if self._ended:
            return
        estimate = self._known.value if estimate is None else estimate
        free = (estimate or 0) - sum(handle.allocation for handle in self.handles.values())
        for handle in self.handles.values():
            if 0 < handle.wanted - handle.allocation <= free:
                free -= handle.wanted - handle.allocation
                handle.grant(handle.wanted, GrantReason.GRANTED)

    def check_open(self) -> None:
        """Raise what an ended allocator raises."""
        if self._ended:
            raise trio.ClosedResourceError("the allocator has ended")


class Handle(ReceiverHandle):
    """One registration. Its mailbox is the newest grant: an older one is of no interest (G1)."""

    def __init__(
        self,
        allocator: FirstComeAllocator,
        number: int,
        track: Track,
        options: ReceiverOptions,
        held: int,
    ) -> None:
        self._allocator: FirstComeAllocator | None = allocator
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

    def check_open(self) -> FirstComeAllocator:
        """The allocator; raises what an ended registration raises."""
        if self._allocator is None:
            raise RegistrationEndedError("the registration has ended")
        return self._allocator

    def buffer_sent(self, size: float, *, padding: bool = False) -> None:
        """See `ReceiverHandle`: nothing is done with it here."""
        self.check_open()
        quantities.size("size", size)
        quantities.flag("padding", padding)

    def request_allocation(self, bitrate: float) -> None:
        """See `ReceiverHandle`: less at once, more when it fits."""
        allocator = self.check_open()
        claim = quantities.bitrate("bitrate", bitrate)
        waited, self._claim = self._claim > self._allocation, claim
        if claim < self._allocation or (waited and claim == self._allocation):
            self.grant(claim, GrantReason.LOWERED)
        allocator.settle()

    def send_answer(self, answer: AcceptDecrease | RejectDecrease) -> bool:
        """See `ReceiverHandle`: nobody was asked."""
        self.check_open()
        for number in (answer.request_id, answer.receiver_id):
            if type(number) is not int:
                raise TypeError(f"ids must be of type int, not {number!r}")
        raise ValueError(f"request {answer.request_id} was never sent to receiver {self._id}")

    def set_options(self, **changes: Unpack[ReceiverOptionChanges]) -> None:
        """See `ReceiverHandle`."""
        allocator = self.check_open()
        self._options = self._options.changed(changes)
        if self._allocation > (self._options.max_bitrate or self._allocation):
            self.grant(self.wanted, GrantReason.LOWERED)
        allocator.settle()

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
        """See `ReceiverHandle`: what it held is granted to those who wait, in this call."""
        if self._allocator is not None:
            allocator, self._allocator = self._allocator, None
            del allocator.handles[self._id]
            self._news.set()
            allocator.settle()


@asynccontextmanager
async def open_first_come_allocator() -> AsyncGenerator[FirstComeAllocator, None]:
    """Open one. No nursery, so nothing wraps what the block raises (L4)."""
    allocator = FirstComeAllocator()
    try:
        yield allocator
    finally:
        allocator.close()


def main() -> None:
    """Hold it against all that it claims."""
    check_allocator(open_first_come_allocator, except_for=NOT_CLAIMED)
    print(f"it keeps all but {', '.join(sorted(NOT_CLAIMED))}")


if __name__ == "__main__":
    main()
