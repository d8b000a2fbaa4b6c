"""An allocator that writes down what it is told, and does only what the test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeAlias, TypeVar, Unpack, cast

import trio
from attrs import frozen

from .. import quantities
from ..engine.negotiator import Negotiator
from ..engine.probing.padding import Padding, PaddingAccount
from ..engine.receiver import Receiver
from ..engine.settings import Settings
from ..interface import ReceiverHandle
from ..messages import (
    AcceptDecrease,
    BufferSent,
    DecreaseAllocation,
    GrantReason,
    ReceiverMessage,
    RejectDecrease,
    RequestAllocation,
    SetNegotiabilityStatus,
    SetOptions,
    SetVariants,
)
from ..options import ReceiverOptionChanges, ReceiverOptions
from ..shell.checks import check_own
from ..shell.mailbox import Mailbox
from ..shell.passthrough import PassthroughAllocator
from ..shell.registration import Registration
from ..shell.watching import WatchedValue
from ..tracks import Track

if TYPE_CHECKING:
    from typing import Self

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@frozen
class Registered:
    """A receiver registered with a bandwidth, whole bit/s; its options are complete."""

    track: Track
    bandwidth: int
    options: ReceiverOptions


@frozen
class Ended:
    """A registration is over: it was closed, or its allocator was."""


@frozen
class EstimateDelivered:
    """The application delivered an estimate, and perhaps what was carried, whole bit/s."""

    estimate: int
    carried: int | None = None


@frozen
class AllocationForced:
    """The application forced a receiver to hold no more than this, whole bit/s."""

    bitrate: int


Told: TypeAlias = Registered | Ended | EstimateDelivered | AllocationForced | ReceiverMessage
"""What a `RecordingAllocator` can be told."""


@frozen
class Call(Generic[T_co]):
    """One thing that a `RecordingAllocator` was told.

    Attributes:
        time: When, s of `trio.current_time()`.
        receiver_id: By or about whom; None for an estimate.
        what: What was said, as it was said.
        taken: Whether it counts: False for a late answer, and for what was refused.
        error: What the call raised; None if it was not refused.
    """

    time: float
    receiver_id: int | None
    what: T_co
    taken: bool = True
    error: Exception | None = None


class RecordingAllocator(PassthroughAllocator):
    """A test double: a `ConnectionAllocator` that records, and does only what the test says.

    ::

        with RecordingAllocator(grant_requests=False) as allocator:
            nursery.start_soon(run_my_receiver, allocator)
            (receiver,) = await allocator.wait_for_receivers(1)
            request = allocator.ask(receiver, 100_000)
            await trio.testing.wait_all_tasks_blocked()
            assert [answer.bitrate for answer in allocator.told(AcceptDecrease)] == [100_000]

    It has no tasks and needs no nursery: make it, and `close` it or use it in a ``with``, inside
    the Trio run; or use `create` and `destroy`. What it is told is checked as by a real one, and
    a lowering is granted at once in any case. Estimates decide nothing.

    Args:
        grant_requests: Whether raises are granted at once; otherwise they wait for `grant`.
        negotiation_timeout: An answer that takes longer does not count, s; at most 10.

    Attributes:
        calls: What it was told, in order. A call that came after the end is not there.
        grant_requests: See above; what waits already when it becomes true goes on waiting.
    """

    def __init__(self, *, grant_requests: bool = True, negotiation_timeout: float = 0.05) -> None:
        super().__init__()
        self.calls: list[Call[Told]] = []
        self.grant_requests: bool = quantities.flag("grant_requests", grant_requests)
        self._negotiator = Negotiator(Settings(negotiation_timeout=negotiation_timeout))
        self._padding = Padding(self._meter, 1)
        self._count: WatchedValue[int] = WatchedValue(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @classmethod
    def create(cls, nursery: trio.Nursery) -> RecordingAllocator:  # noqa: ARG003 - the contract's
        """Start one. It needs no task, so the nursery is left alone."""
        return cls()

    def close(self) -> None:
        """End the allocator at once: every registration is over. May be called twice."""
        for receiver_id in self._registrations:
            self.note(receiver_id, Ended())
        super().close()
        self._count.end()

    # --- the test's side: what it was told -----------------------------------------------------

    @property
    def receivers(self) -> tuple[ReceiverHandle, ...]:
        """The registrations that are alive, in order of registration."""
        return tuple(self._registrations.values())

    async def wait_for_receivers(self, number: int) -> tuple[ReceiverHandle, ...]:
        """Wait until at least this many receivers are registered at a time, and return them.

        Raises:
            trio.ClosedResourceError: The allocator ended meanwhile.
        """
        await self._count.wait_value(lambda count: count >= number)
        return self.receivers

    def calls_of(self, kind: type[T], receiver: ReceiverHandle | None = None) -> list[Call[T]]:
        """The calls of one kind, such as `AcceptDecrease`, those that did not count included.

        `receiver` is by whom, None for everybody; it may have ended.
        """
        return [
            cast("Call[T]", call)
            for call in self.calls
            if isinstance(call.what, kind) and (receiver is None or call.receiver_id == receiver.id)
        ]

    def told(self, kind: type[T], receiver: ReceiverHandle | None = None) -> list[T]:
        """What was said in the calls of one kind that count; see `calls_of`."""
        return [call.what for call in self.calls_of(kind, receiver) if call.taken]

    # --- the test's side: what it says ---------------------------------------------------------

    def grant(
        self, receiver: ReceiverHandle, bitrate: float, reason: GrantReason | None = None
    ) -> None:
        """Let a receiver hold this from now on, bit/s, whether it asked for it or not.

        It is told the reason: by default, forced if it is less than before, else granted.
        """
        registration = check_own(receiver, Registration, self)
        whole = quantities.bitrate("bitrate", bitrate)
        if reason is None:
            lower = whole < registration.allocation
            reason = GrantReason.FORCED if lower else GrantReason.GRANTED
        self._allocate(registration, whole, reason)

    def ask(self, receiver: ReceiverHandle, limit: float) -> DecreaseAllocation:
        """Ask a receiver to go down to `limit`, bit/s. A request that is still open is withdrawn.

        Raises:
            ValueError: It is not negotiable, or `limit` is not below what it holds: no allocator
                may ask that.
        """
        registration = check_own(receiver, Registration, self)
        record, whole = registration.receiver, quantities.bitrate("limit", limit)
        if not record.options.negotiable:
            raise ValueError(f"receiver must be negotiable to be asked: {receiver!r}")
        if whole >= record.allocation:
            raise ValueError(f"limit ({whole}) must be below the allocation: {receiver!r}")
        self.withdraw(receiver)
        record.projected = whole
        request = self._negotiator.ask(trio.current_time(), record)
        registration.mailbox.put_request(request)
        return request

    def withdraw(self, receiver: ReceiverHandle) -> None:
        """Take back the open request, if there is one: an answer to it does not count any more."""
        registration = check_own(receiver, Registration, self)
        self._negotiator.withdraw(registration.receiver)
        registration.mailbox.withdraw_request()

    def pad(self, receiver: ReceiverHandle, size: float) -> None:
        """Ask a receiver to send this many bytes of padding, besides those it has not read of yet.

        Raises:
            ValueError: It can not pad: no allocator may ask that.
        """
        registration = check_own(receiver, Registration, self)
        if not registration.options.can_pad:
            raise ValueError(f"receiver must be able to pad: {receiver!r}")
        registration.account.unread += quantities.size("size", size)
        registration.mailbox.wake()

    def register_track_receiver(
        self,
        track: Track,
        bandwidth: float = 0,
        **options: Unpack[ReceiverOptionChanges],
    ) -> Registration:
        """See `ConnectionAllocator.register_track_receiver`."""
        registration = super().register_track_receiver(track, bandwidth, **options)
        held, checked = registration.allocation, registration.options
        self.note(registration.id, Registered(track, held, checked))
        self._count.publish(len(self._registrations))
        return registration

    def _open_registration(self, receiver: Receiver) -> Registration:
        account = PaddingAccount()
        mailbox = Mailbox(receiver.id, account, self._padding)
        return _Recorded(self, receiver, account, mailbox, self._meter)

    def update_bandwidth_estimation(self, estimate: float, *, carried: float | None = None) -> None:
        """See `ConnectionAllocator.update_bandwidth_estimation`. Nothing comes of it."""
        self._check_open()
        bitrate = quantities.bitrate("estimate", estimate)
        seen = None if carried is None else quantities.bitrate("carried", carried)
        self.note(None, EstimateDelivered(bitrate, seen))
        super().update_bandwidth_estimation(estimate, carried=carried)

    def force_allocation(self, receiver: ReceiverHandle, bitrate: float) -> None:
        """See `ConnectionAllocator.force_allocation`."""
        super().force_allocation(receiver, bitrate)
        self.note(receiver.id, AllocationForced(quantities.bitrate("bitrate", bitrate)))

    # --- what registrations call ---------------------------------------------------------------

    def note(
        self,
        receiver_id: int | None,
        what: Told,
        *,
        taken: bool = True,
        error: Exception | None = None,
    ) -> None:
        """Write down what was said; see `Call`."""
        self.calls.append(Call(trio.current_time(), receiver_id, what, taken, error))

    def _allocate(self, registration: Registration, bitrate: int, reason: GrantReason) -> None:
        super()._allocate(registration, bitrate, reason)
        # A receiver that is low enough, by any way, has not to be asked any more.
        if self._negotiator.lowered(registration.receiver):
            registration.mailbox.withdraw_request()

    def request(self, registration: Registration, bitrate: int) -> None:
        """See `Desk.request`."""
        if self.grant_requests or bitrate <= registration.allocation:
            super().request(registration, bitrate)
        else:
            registration.receiver.set_claim(bitrate)

    def answer(
        self, registration: Registration, request_id: int, *, accepted: bool, bitrate: int | None
    ) -> bool:
        """See `Desk.answer`."""
        now, receiver = trio.current_time(), registration.receiver
        list(self._negotiator.expire(now, 0, now))  # nobody here minds who was late
        if not self._negotiator.counts(receiver, request_id):
            return False
        if not accepted:
            self._negotiator.reject(now, receiver, 0)
            return True
        if bitrate is not None and bitrate >= receiver.allocation:
            raise ValueError(f"bitrate ({bitrate}) must be below the allocation: {registration!r}")
        self._negotiator.accept(receiver)
        if bitrate is not None:
            self.request(registration, bitrate)
        return True

    def leave(self, registration: Registration) -> None:
        """See `Desk.leave`."""
        self.note(registration.id, Ended())
        self._negotiator.withdraw(registration.receiver)
        self._negotiator.forget_refusal(registration.receiver)
        super().leave(registration)
        self._count.publish(len(self._registrations))


class _Recorded(Registration):
    """A registration whose calls are noted, in the order in which they are over."""

    __slots__ = ()

    def _carry_out(
        self, what: ReceiverMessage, operation: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        allocator = cast("RecordingAllocator", self.check_open())
        try:
            result = operation(*args, **kwargs)
        except (TypeError, ValueError) as error:
            allocator.note(self.id, what, taken=False, error=error)
            raise
        allocator.note(self.id, what, taken=result is not False)
        return result

    def buffer_sent(self, size: float, *, padding: bool = False) -> None:
        what = BufferSent(size, padding, self.id)
        self._carry_out(what, super().buffer_sent, size, padding=padding)

    def request_allocation(self, bitrate: float) -> None:
        what = RequestAllocation(bitrate, self.id)
        self._carry_out(what, super().request_allocation, bitrate)

    def set_negotiability_status(self, negotiable: bool) -> None:
        what = SetNegotiabilityStatus(negotiable, self.id)
        self._carry_out(what, super().set_options, negotiable=negotiable)

    def set_options(self, **changes: Unpack[ReceiverOptionChanges]) -> None:
        self._carry_out(SetOptions(changes, self.id), super().set_options, **changes)

    def set_variants(self, variants: Mapping[str, float]) -> None:
        self._carry_out(SetVariants(variants, self.id), super().set_variants, variants)

    def send_answer(self, answer: AcceptDecrease | RejectDecrease) -> bool:
        return self._carry_out(answer, super().send_answer, answer)
