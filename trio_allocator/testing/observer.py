"""Follows an allocator from outside, and objects to whatever the invariants forbid.

It sees what any receiver sees: the properties of the handles, the messages that were read, what
the calls return. It knows nothing of how an allocator decides, and keeps no sums: whatever it
needs it works out anew, from the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

import trio
from attrs import define, field, frozen

from ..interface import ConnectionAllocator, ReceiverHandle
from ..messages import AllocationGranted, AllocatorMessage, DecreaseAllocation, GrantReason
from .bench import Terms
from .levels import above, floor, lowest, want
from .violation import InvariantError

P = ParamSpec("P")
T = TypeVar("T")


@frozen
class Refusal:
    """A receiver said no: the estimate at that time, and when it may be asked again at the latest."""

    estimate: int | None
    until: float
    allocation: int


@define(eq=False)
class Member:
    """What an outsider knows of one registration.

    Attributes:
        handle: The registration.
        honest: It answers every request in time and goes to the limit; nobody forces it (N8).
        held: What it held when last looked at, bit/s.
        told: What it was told last, or registered with, bit/s.
        changes: How often what it holds has changed, and it has not been told.
        refusal: Its last refusal.
        answered: Ids of the requests that it answered, and whether the answer counted.
        gone: It has left.
    """

    handle: ReceiverHandle
    honest: bool
    held: int
    told: int
    changes: int = 0
    refusal: Refusal | None = None
    answered: dict[int, bool] = field(factory=dict[int, bool])
    gone: bool = False


class Observer:
    """Judges every call and every message.

    Attributes:
        members: Everybody who is registered.
        violations: What tasks of receivers have found.
        disturbed_at: When the allocator last lowered somebody, or the application did by force.

    Args:
        allocator: Who is observed.
        terms: The times that it states.
        except_for: Ids of invariants that it does not claim.
    """

    def __init__(
        self, allocator: ConnectionAllocator, terms: Terms, except_for: Collection[str] = ()
    ) -> None:
        self.members: list[Member] = []
        self.violations: list[InvariantError] = []
        self.disturbed_at: float = -float("inf")
        self._allocator = allocator
        self._terms = terms
        self._except_for = frozenset(except_for)
        self._estimate: int | None = allocator.estimate.value

    def demand(self, holds: object, invariant: str, complaint: str) -> None:
        """Insist on something, unless the allocator does not claim it.

        Raises:
            InvariantError: It does not hold.
        """
        if not holds and invariant not in self._except_for:
            raise InvariantError(invariant, complaint)

    def join(self, handle: ReceiverHandle, bandwidth: int, *, honest: bool) -> Member:
        """A receiver has registered with some bandwidth, bit/s."""
        self.demand(handle.claim == bandwidth, "A1", f"a newcomer's claim is {handle.claim}")
        member = Member(handle, honest, bandwidth, bandwidth)
        self.members.append(member)
        return member

    @property
    def total(self) -> int:
        """The sum of all allocations, bit/s."""
        return sum(member.handle.allocation for member in self.members)

    # --- calls -------------------------------------------------------------------------------

    def call(
        self,
        actor: Member | None,
        operation: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Make a call, and judge what it has changed.

        Args:
            actor: Whose call it is; None for the application's.
            operation: What to call.
            *args: Its arguments.
            **kwargs: Its arguments.

        Returns:
            What the operation returns.
        """
        self.look()
        before = self.total
        estimate = self._estimate
        result = operation(*args, **kwargs)
        self._judge(actor, before, estimate)
        return result

    def force(self, member: Member, bitrate: int) -> None:
        """Let the application lower an allocation by force, and judge what that has changed.

        Args:
            member: Whose.
            bitrate: What it may hold at most, bit/s.
        """
        self.look()
        before = self.total
        self._allocator.force_allocation(member.handle, bitrate)
        self._judge(member, before, self._estimate)
        self.disturbed_at = trio.current_time()

    def leave(self, member: Member) -> None:
        """Let a receiver leave, and judge what becomes of what it held; later calls do nothing."""
        if member.gone:
            return
        self.look()
        before = self.total
        member.gone = True
        self.members.remove(member)
        member.handle.close()
        self._judge(None, before, self._estimate)

    def look(self) -> None:
        """Judge what time alone has changed since the last call."""
        self._judge(None, sum(member.held for member in self.members), self._estimate)

    def _judge(self, actor: Member | None, before: int, estimate: int | None) -> None:
        try:
            self._estimate = self._allocator.estimate.value
        except trio.ClosedResourceError:
            return  # it has ended: a departure changes nothing any more
        known = self._estimate is not None or estimate is not None
        raised = False
        for member in self.members:
            refusal = member.refusal
            if refusal is not None and (
                refusal.estimate is None or (self._estimate or 0) < refusal.estimate
            ):
                member.refusal = None  # whatever the estimate is when it hears that it is asked
            held = member.handle.allocation
            if held > member.held:
                raised = True
                self._raised(member, held)
            elif held < member.held and member is not actor:
                self._lowered(member, held, known=known)
            if held != member.held:
                member.changes += 1
            member.held = held
        if not raised:
            return
        limit = max(self._estimate or 0, estimate or 0) if known else before
        self.demand(
            self.total <= limit,
            "A2" if known else "A6",
            f"somebody was raised, to {self.total} bit/s together, with {limit} bit/s to give",
        )

    def _raised(self, member: Member, held: int) -> None:
        handle = member.handle
        member.refusal = None
        self.demand(
            held <= want(handle), "A2", f"receiver {handle.id} wants {want(handle)} and got {held}"
        )

    def _lowered(self, member: Member, held: int, *, known: bool) -> None:
        handle = member.handle
        self.disturbed_at = trio.current_time()
        what = f"receiver {handle.id} was lowered from {member.held} to {held} bit/s"
        self.demand(handle.options.negotiable, "A5", f"{what}, and is not negotiable")
        self.demand(known, "A6", f"{what} while no estimate is known")
        self.demand(not member.honest, "N8", f"{what} by force, and is honest")
        self.demand(held >= min(floor(handle), member.held), "N8", f"{what}, below its floor")

    # --- messages ----------------------------------------------------------------------------

    def heard(self, member: Member, message: AllocatorMessage) -> None:
        """Judge a message that a receiver has just read."""
        self.look()
        match message:
            case AllocationGranted():
                self._heard_grant(member, message)
            case DecreaseAllocation():
                self._heard_request(member, message)
            case _:
                self._heard_padding(member)

    def _heard_grant(self, member: Member, grant: AllocationGranted) -> None:
        handle = member.handle
        self.demand(grant.receiver_id == handle.id, "G1", f"{grant} went to receiver {handle.id}")
        self.demand(
            grant.allocation == handle.allocation,
            "G1",
            f"receiver {handle.id} holds {handle.allocation} and was told {grant.allocation} bit/s",
        )
        may_cancel = grant.reason is GrantReason.LOWERED
        self.demand(
            member.changes > 0 or may_cancel,
            "G1",
            f"receiver {handle.id} was told again that it holds {grant.allocation} bit/s",
        )
        if grant.reason is GrantReason.BREACH:
            self.demand(not member.honest, "N4", f"receiver {handle.id} kept its word: {grant}")
        member.changes = 0
        member.told = grant.allocation

    def _heard_request(self, member: Member, request: DecreaseAllocation) -> None:
        handle, now = member.handle, trio.current_time()
        self.demand(request.receiver_id == handle.id, "N2", f"{request} went to {handle.id}")
        self.demand(handle.options.negotiable, "N1", f"receiver {handle.id} was asked: {request}")
        self.demand(self._estimate is not None, "A6", f"{request} while no estimate is known")
        self.demand(
            request.request_id not in member.answered, "N2", f"{request} had been answered before"
        )
        self.demand(
            lowest(handle) <= request.limit < request.allocation == handle.allocation,
            "N2",
            f"{request} to one that holds {handle.allocation} and can go to {lowest(handle)}",
        )
        refusal = member.refusal
        if refusal is not None:
            lapsed = now >= refusal.until or handle.allocation > refusal.allocation
            self.demand(lapsed, "N5", f"receiver {handle.id} had refused, and is asked: {request}")

    def _heard_padding(self, member: Member) -> None:
        handle = member.handle
        self.demand(handle.options.can_pad, "P3", f"receiver {handle.id} can not pad")
        waiting = [m.handle for m in self.members if want(m.handle) > m.handle.allocation]
        self.demand(waiting, "P1", "padding is due though nobody waits")
        if any(handle.allocation for handle in waiting):  # otherwise it may be the escape of P5
            self.demand(self._estimate is not None, "P1", "padding without a live estimate")
            over = self.total - (self._estimate or 0)
            self.demand(over <= 0, "P1", f"padding in overuse, of {over} bit/s")

    # --- answers -----------------------------------------------------------------------------

    def answer(
        self,
        member: Member,
        request: DecreaseAllocation,
        *,
        accept: bool,
        bitrate: int | None = None,
    ) -> bool:
        """Let a receiver answer a request that it has read, and judge the consequences."""
        handle = member.handle
        before = handle.allocation
        if accept:
            counts = self.call(member, handle.accept_decrease, request, bitrate)
        else:
            # With nobody left to ask, who refuses may be lowered in this very call.
            counts = self.call(None, handle.reject_decrease, request)
        member.answered[request.request_id] = counts
        after = handle.allocation
        if not counts:
            # It may be raised in the same call, by what time alone has brought: see `_judge`.
            self.demand(after >= before, "N2", f"an answer that did not count made it {after}")
        elif bitrate is not None:
            self.demand(after == bitrate, "G9", f"it accepted to hold {bitrate} and holds {after}")
        elif accept:
            self.demand(after == before, "N7", f"its bare accept made {before} into {after}")
        if counts and not accept:
            self.refused(member)
        return counts

    def refused(self, member: Member) -> None:
        """A receiver has said no."""
        until = trio.current_time() + self._terms.refusal_backoff
        member.refusal = Refusal(self._estimate, until, member.handle.allocation)

    # --- at rest -----------------------------------------------------------------------------

    def settled(self, reading: Collection[Member]) -> None:
        """Judge a moment in which every task has had its turn.

        Args:
            reading: Who has read all its messages.
        """
        for violation in self.violations:
            raise violation
        self.look()
        for member in reading:
            handle = member.handle
            self.demand(
                member.told == handle.allocation,
                "G1",
                f"receiver {handle.id} holds {handle.allocation}, was told {member.told} bit/s",
            )

    def idle_capacity(self) -> None:
        """Judge that nothing useful lies idle, when nothing can keep it back any more (G2)."""
        estimate = self._allocator.estimate.value
        now = trio.current_time()
        if estimate is None or now - self.disturbed_at < self._terms.calm:
            return
        free = estimate - self.total
        for member in self.members:
            handle = member.handle
            step = above(handle, handle.allocation) - handle.allocation
            self.demand(
                not 0 < step <= free,
                "G2",
                f"{free} bit/s are free, and receiver {handle.id} waits for {step}",
            )
