"""What the checks of an allocator stand on: tracks, receivers driven by hand, and a clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import trio
from attrs import Attribute, field, frozen

from .. import quantities
from ..interface import ConnectionAllocator, ReceiverHandle
from ..messages import AllocationGranted, AllocatorMessage, DecreaseAllocation
from ..tracks import Track
from .violation import InvariantError

AllocatorMaker: TypeAlias = Callable[[], AbstractAsyncContextManager[ConnectionAllocator]]
"""Opens an allocator that knows of no estimate yet."""

LADDER = {"low": 150_000, "medium": 500_000, "high": 2_500_000}
CAMERA = Track("camera", variants=LADDER)
MICROPHONE = Track("microphone", kind="audio")
PLAIN = Track("plain")
"""Video without a ladder: any rate will do."""
LOW, MEDIUM, HIGH = (CAMERA.allocation(name) for name in LADDER)


def _seconds(default: float, longest: float) -> float:
    def check(_instance: object, attribute: Attribute[float], value: object) -> None:
        seconds = quantities.positive(attribute.name, value, "seconds", infinite=True)
        if seconds > longest:
            raise ValueError(
                f"{attribute.name} must be at most {longest} seconds, got {value!r}: the checks "
                "could not tell it from never"
            )

    return field(default=default, validator=check)


@frozen(kw_only=True)
class Terms:
    """The times that an allocator states; those of `Settings` by default. Seconds.

    Attributes:
        negotiation_timeout: How long an asked receiver has to answer and to keep its promise.
        refusal_backoff: After this time a receiver that refused may be asked again.
        calm: After so long, no lowering in the past keeps any raise back.
        silence: After so long without a new one, an estimate is no longer known. The checks
            deliver one every second or faster before that.
        probe_patience: A probe that moves nothing ends after so long.
    """

    negotiation_timeout: float = _seconds(0.05, 1.0)
    refusal_backoff: float = _seconds(5.0, math.inf)
    calm: float = _seconds(125.0, 600.0)
    silence: float = _seconds(10.0, 60.0)
    probe_patience: float = _seconds(3.0, 30.0)

    def __attrs_post_init__(self) -> None:
        if self.refusal_backoff < 2 * self.negotiation_timeout:
            raise ValueError(
                f"refusal_backoff ({self.refusal_backoff}) must be at least twice "
                f"negotiation_timeout ({self.negotiation_timeout}) seconds"
            )


@frozen
class Bench:
    """Where one check of an allocator is made, in a Trio run of its own.

    Attributes:
        open: Opens an allocator.
        terms: The times it states.
    """

    open: AllocatorMaker
    terms: Terms = Terms()


def unread(receiver: ReceiverHandle) -> list[AllocatorMessage]:
    """Take all messages out of a mailbox."""
    messages: list[AllocatorMessage] = []
    while True:
        try:
            messages.append(receiver.receive_nowait())
        except trio.WouldBlock:
            return messages


def requests(receivers: Iterable[ReceiverHandle]) -> dict[ReceiverHandle, DecreaseAllocation]:
    """Who is asked to decrease, and by which message; whatever else is unread is taken out, too."""
    return {
        receiver: message
        for receiver in receivers
        for message in unread(receiver)
        if isinstance(message, DecreaseAllocation)
    }


def grants(receiver: ReceiverHandle) -> list[AllocationGranted]:
    """Take all messages out of a mailbox, and keep the grants."""
    return [message for message in unread(receiver) if isinstance(message, AllocationGranted)]


def obey(receivers: Iterable[ReceiverHandle], invariant: str = "N6") -> None:
    """Let everybody answer honestly: accept, and go to the limit, until nobody is asked.

    Args:
        receivers: Who; in the order in which they answer.
        invariant: What is broken if it does not come to an end.
    """
    everybody = list(receivers)
    for _ in range(100):
        asked = requests(everybody)
        if not asked:
            return
        for receiver, request in asked.items():
            receiver.accept_decrease(request, request.limit)
    raise InvariantError(invariant, "receivers that all comply are asked again and again")


def total(receivers: Iterable[ReceiverHandle]) -> int:
    """The sum of the allocations, bit/s."""
    return sum(receiver.allocation for receiver in receivers)


async def pass_time(
    allocator: ConnectionAllocator, estimate: float | None, seconds: float, *, every: float = 1.0
) -> None:
    """Let time pass, while the estimate (unless there is none) is delivered again and again.

    Args:
        allocator: Whom to deliver it to.
        estimate: bit/s.
        seconds: How long.
        every: How often, s.
    """
    if estimate is None:
        await trio.sleep(seconds)
        return
    end = trio.current_time() + seconds
    while (remaining := end - trio.current_time()) > every:
        await trio.sleep(every)
        allocator.update_bandwidth_estimation(estimate)
    await trio.sleep(max(0.0, remaining))
