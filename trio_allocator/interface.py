"""The contract: what every connection allocator offers, and the handle of one registration.

It is the *ConnectionAllocator* behaviour of Membrane RTC Engine, made for Trio: the seven
operations keep its names, messages to receivers are typed, and a lifetime is a block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeVar, Unpack, get_args

import trio
from attrs import frozen

from . import quantities
from .messages import (
    AcceptDecrease,
    AllocatorMessage,
    BufferSent,
    DecreaseAllocation,
    ReceiverMessage,
    RejectDecrease,
    RequestAllocation,
    SetNegotiabilityStatus,
    SetOptions,
    SetVariants,
)
from .obstacle import Obstacle
from .options import ReceiverOptionChanges, ReceiverOptions
from .tracks import Track

if TYPE_CHECKING:
    from typing import Self

T_co = TypeVar("T_co", covariant=True)


class Watchable(Protocol[T_co]):
    """A value that others may read and wait for, but not set."""

    @property
    def value(self) -> T_co:
        """The newest value."""
        ...

    async def wait_value(self, wanted: object | Callable[[T_co], bool]) -> T_co:
        """Wait until the value equals `wanted`, or until `wanted(value)` is true.

        Returns:
            The value that matched; it may have changed again since.

        Raises:
            Exception: Whatever the caller's own predicate raises, here and nowhere else.
        """
        ...

    def eventual_values(self) -> AbstractAsyncContextManager[AsyncIterator[T_co]]:
        """Iterate over the values, the current one first; a slow reader gets the newest only.

        Returns:
            A context manager that yields an asynchronous iterator.
        """
        ...


@frozen
class Claims:
    """What all receivers of an allocator want together, bit/s.

    Attributes:
        wanted: What they asked for, or hold where that is more: no more could be used.
        audio: What those of audio tracks hold. It is sent whatever the estimate says.
    """

    wanted: int
    audio: int


class ReceiverHandle(trio.abc.ReceiveChannel[AllocatorMessage]):
    """One registration: a typed channel between a track receiver and its allocator.

    It is the identity of the registration, lives exactly inside its ``with`` block, and is read
    by ``async for``. Every method but receiving is synchronous and decides at once.

    When the allocator itself has failed, every method raises `trio.BrokenResourceError` from the
    cause, where it is said below to raise `trio.ClosedResourceError`.
    """

    @property
    @abstractmethod
    def id(self) -> int:
        """Unique within the allocator; ascending in order of registration."""

    @property
    @abstractmethod
    def track(self) -> Track:
        """The track, with its current ladder."""

    @property
    @abstractmethod
    def options(self) -> ReceiverOptions:
        """The options in force."""

    @property
    @abstractmethod
    def allocation(self) -> int:
        """What the receiver holds, bit/s."""

    @property
    @abstractmethod
    def claim(self) -> int:
        """What it asked for last, bit/s: more than `allocation` while it waits for a raise.

        It is more as well where a cap keeps it back.
        """

    @abstractmethod
    def buffer_sent(self, size: float, *, padding: bool = False) -> None:
        """Report a packet sent. The hot path: once a packet.

        Args:
            size: Bytes on the wire: headers, retransmissions and padding counted too.
            padding: It was padding, sent because of a `SendPadding` message.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes.
            trio.ClosedResourceError: The registration or the allocator has ended.
        """

    @abstractmethod
    def request_allocation(self, bitrate: float) -> None:
        """Ask for another allocation. The answer is an `AllocationGranted`: now, later or never.

        Less than the allocation is granted at once, and replaces the claim. More becomes the
        claim, and is granted as far as there is room: with a ladder the best step of it that
        fits, without one (and not elastic) all or nothing; the rest waits. Asking for what is
        held cancels a raise that waits, and is answered only if there was one.

        Args:
            bitrate: bit/s.

        Raises:
            TypeError, ValueError: `bitrate` is not a rate.
            trio.ClosedResourceError: The registration or the allocator has ended.
        """

    def accept_decrease(self, request: DecreaseAllocation, bitrate: float | None = None) -> bool:
        """Accept a decrease. It obliges: request less at once, here or by `request_allocation`.

        Args:
            request: The request that is answered.
            bitrate: The lower allocation, bit/s; None to request it separately.

        Returns:
            True if the answer counts. False if it came too late or the request had been
            withdrawn: then nothing changes and nobody is bound.

        Raises:
            TypeError: `request` is not a request, or `bitrate` not a number.
            ValueError: It is not this receiver's, it was answered already, or `bitrate` is not
                below the allocation. Nothing changes.
            trio.ClosedResourceError: The registration or the allocator has ended.
        """
        request = _own(request)
        return self.send_answer(AcceptDecrease(request.request_id, request.receiver_id, bitrate))

    def reject_decrease(self, request: DecreaseAllocation) -> bool:
        """Reject a decrease. Others are asked then; with nobody left, it may be forced.

        Returns, raises: as `accept_decrease`.
        """
        request = _own(request)
        return self.send_answer(RejectDecrease(request.request_id, request.receiver_id))

    @abstractmethod
    def set_options(self, **changes: Unpack[ReceiverOptionChanges]) -> None:
        """Change options; those not named stay. Effective in this call.

        Raises:
            TypeError, ValueError: An option is unknown, or its value is not usable.
            trio.ClosedResourceError: The registration or the allocator has ended.
        """

    @abstractmethod
    def set_variants(self, variants: Mapping[str, float]) -> None:
        """Replace the ladder of the track: variant name to nominal rate, bit/s.

        What is allocated stays allocated; what is waited for is judged by the new steps.

        Raises:
            TypeError, ValueError: A rate is not a positive number of bit/s.
            trio.ClosedResourceError: The registration or the allocator has ended.
        """

    def note_obstacle(self, obstacle: Obstacle | None) -> None:
        """Say why the receiver claims no more, or claims more than was declared.

        It changes no allocation: only `Explanation` shows it. `TrackReceiver` says it by itself. An
        allocator that explains nothing need not implement it.

        Args:
            obstacle: What it is; None if nothing of the kind is in the way any more.
        """

    @abstractmethod
    def receive_nowait(self) -> AllocatorMessage:
        """Take the next message without waiting.

        Raises:
            trio.WouldBlock: There is none.
            trio.ClosedResourceError: The registration or the allocator has ended.
        """

    @abstractmethod
    def close(self) -> None:
        """End the registration: its allocation is free, its unread messages are gone.

        May be called twice.
        """

    def set_negotiability_status(self, negotiable: bool) -> None:
        """Say whether this receiver may be asked to decrease.

        Raises:
            TypeError: `negotiable` is not a bool.
            trio.ClosedResourceError: The registration or the allocator has ended.
        """
        self.set_options(negotiable=negotiable)

    def send_nowait(self, message: ReceiverMessage) -> bool:
        """Do what the message says: every operation as typed data.

        Returns:
            False for an answer that came too late to count, True otherwise.

        Raises:
            TypeError: It is no `ReceiverMessage`.
            ValueError: It is another receiver's.
            Exception: What the method of the same name raises.
        """
        if not isinstance(message, get_args(ReceiverMessage)):
            raise TypeError(f"message must be a ReceiverMessage, not {message!r}")
        if message.receiver_id is not None:
            whose = quantities.whole_number("receiver_id", message.receiver_id, 0, 2**63)
            if whose != self.id:
                raise ValueError(
                    f"message is receiver {whose}'s, not receiver {self.id}'s: {message!r}"
                )
        match message:
            case BufferSent(size, padding):
                self.buffer_sent(size, padding=padding)
            case RequestAllocation(bitrate):
                self.request_allocation(bitrate)
            case SetNegotiabilityStatus(negotiable):
                self.set_negotiability_status(negotiable)
            case AcceptDecrease() | RejectDecrease():
                return self.send_answer(message)
            case SetVariants(variants):
                self.set_variants(variants)
            case SetOptions(options):
                self.set_options(**options)  # type: ignore[arg-type]  # checked by set_options
        return True

    @abstractmethod
    def send_answer(self, answer: AcceptDecrease | RejectDecrease) -> bool:
        """Answer a decrease request: `accept_decrease` or `reject_decrease` as data.

        An allocator of your own implements this one; the other two and `send_nowait` call it.

        Args:
            answer: The answer, with the ids of the request.

        Returns:
            Whether it counts; see `accept_decrease`.

        Raises:
            TypeError: An id is not an int, or the rate not a number.
            ValueError: As `accept_decrease`.
            trio.ClosedResourceError: The registration or the allocator has ended.
        """

    async def aclose(self) -> None:
        """`close`, then a checkpoint: the asynchronous form that Trio's channels share."""
        self.close()
        await trio.lowlevel.checkpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _own(request: object) -> DecreaseAllocation:
    if not isinstance(request, DecreaseAllocation):
        raise TypeError(f"request must be the DecreaseAllocation received, not {request!r}")
    return request


class ConnectionAllocator(ABC):
    """Divides the bandwidth of one connection among the receivers registered with it.

    An implementation is opened by a function of its own (such as `open_allocator`), or by
    ``create(nursery)`` with an ``await destroy()`` to match. Inside, every operation is a plain
    call that decides at once.

    When the allocator itself has failed, every operation raises `trio.BrokenResourceError` from
    the cause, and whoever opened it gets the cause.
    """

    @classmethod
    @abstractmethod
    def create(cls, nursery: trio.Nursery) -> Self:
        """Start an allocator whose tasks run in the caller's nursery.

        Args:
            nursery: Where its background tasks run; it stays open until `destroy`.
        """

    @abstractmethod
    async def destroy(self) -> None:
        """End the allocator, and wait until its tasks have ended. May be called twice."""

    @property
    @abstractmethod
    def estimate(self) -> Watchable[int | None]:
        """The estimate in force, bit/s; None before the first one and when they have stopped."""

    @property
    def claims(self) -> Claims | None:
        """What all receivers want together; None from an allocator that does not say."""
        return None

    @abstractmethod
    def register_track_receiver(
        self,
        track: Track,
        bandwidth: float = 0,
        **options: Unpack[ReceiverOptionChanges],
    ) -> ReceiverHandle:
        """Register a receiver of a track.

        Args:
            track: What it sends. The same track may be registered again: the handle is the
                identity.
            bandwidth: What the receiver already sends, bit/s: allocated without question.
            options: See `ReceiverOptions`.

        Returns:
            The registration, live from now on; use it as a context manager. No message is sent.

        Raises:
            TypeError, ValueError: An argument is not usable.
            trio.ClosedResourceError: The allocator has ended.
        """

    @abstractmethod
    def update_bandwidth_estimation(self, estimate: float, *, carried: float | None = None) -> None:
        """Deliver the newest estimate of the connection's bandwidth.

        A number alone is taken at its word: what fits the estimate is granted. An estimator that
        sees acknowledgements also tells what was carried. Then raises may fill that, or most of
        the estimate, whichever is more; a step that fits the estimate and not that waits, and is
        probed for (G2). Decreases are judged by the whole estimate in any case.

        Args:
            estimate: bit/s.
            carried: What the connection was lately seen to carry without a queue, probes
                included, bit/s; None if the source of the estimate does not know. More than
                `estimate` says that this fell for want of feedback, and not since the link
                carried less: then it keeps no later raise back.

        Raises:
            TypeError, ValueError: `estimate` or `carried` is not a rate.
            trio.ClosedResourceError: The allocator has ended.
        """

    @abstractmethod
    def force_allocation(self, receiver: ReceiverHandle, bitrate: float) -> None:
        """Lower a receiver's allocation without negotiation, as the contract allows.

        The receiver is told by an `AllocationGranted` and must comply; its claim stays. Who
        already holds no more than that is left alone.

        Args:
            receiver: Whose allocation.
            bitrate: What it may hold at most from now on, bit/s.

        Raises:
            TypeError, ValueError: `bitrate` is not a rate, or `receiver` is not of this allocator.
            trio.ClosedResourceError: The receiver or the allocator has ended.
        """
