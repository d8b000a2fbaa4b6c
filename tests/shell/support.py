"""What the tests of the shell share: tracks, readers, and a look at Trio's own books."""

import trio

from trio_allocator.interface import ReceiverHandle
from trio_allocator.messages import AllocationGranted, AllocatorMessage, DecreaseAllocation
from trio_allocator.testing.virtual import tasks as tasks
from trio_allocator.tracks import Track

LADDER = {"low": 150_000, "medium": 500_000, "high": 2_500_000}
CAMERA = Track("camera", variants=LADDER)
PLAIN = Track("plain")
MICROPHONE = Track("microphone", kind="audio")
LOW, MEDIUM, HIGH = (CAMERA.allocation(name) for name in LADDER)


def unread(receiver: ReceiverHandle) -> list[AllocatorMessage]:
    """All that is in a mailbox, taken out."""
    messages = []
    while True:
        try:
            messages.append(receiver.receive_nowait())
        except trio.WouldBlock:
            return messages


def asked(receiver: ReceiverHandle) -> DecreaseAllocation:
    """The decrease request in a mailbox, the only message there."""
    (message,) = unread(receiver)
    assert isinstance(message, DecreaseAllocation)
    return message


def granted(receiver: ReceiverHandle) -> AllocationGranted:
    """The grant in a mailbox, the only message there."""
    (message,) = unread(receiver)
    assert isinstance(message, AllocationGranted)
    return message


async def obey(receiver: ReceiverHandle, log: list[AllocatorMessage] | None = None) -> None:
    """An honest receiver: whatever it is asked for it gives, at once."""
    async for message in receiver:
        if log is not None:
            log.append(message)
        if isinstance(message, DecreaseAllocation):
            receiver.accept_decrease(message, message.limit)


def next_deadline() -> float:
    """Seconds to the next deadline of anything in this run; infinite if there is none."""
    return trio.lowlevel.current_statistics().seconds_to_next_deadline
