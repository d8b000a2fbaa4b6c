"""What a selector and an allocator say to each other about one track, without any I/O.

Its caller has the mailbox and the time: a task (`TrackReceiver`), or a simulator. What is
granted in the very call that asks for it need not wait for its message: so the application hears of
one event once, and never of what lasted no time at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ..messages import (
    AcceptDecrease,
    AllocationGranted,
    DecreaseAllocation,
    RejectDecrease,
    RequestAllocation,
    SetVariants,
)
from .actions import RequestVariant, SelectorAction
from .selector import VariantSelector


class Counterpart(Protocol):
    """The allocator, as one conversation needs it: a `ReceiverHandle` will do."""

    @property
    def allocation(self) -> int:
        """What is held, bit/s."""
        ...

    def request_allocation(self, bitrate: float) -> object:
        """Ask for another allocation, bit/s."""
        ...

    def set_variants(self, variants: Mapping[str, float]) -> object:
        """Replace the ladder: name to bit/s."""
        ...

    def accept_decrease(
        self, request: DecreaseAllocation, bitrate: float | None = None
    ) -> bool | None:
        """Accept a decrease; return whether the answer counts."""
        ...

    def reject_decrease(self, request: DecreaseAllocation) -> object:
        """Reject a decrease."""
        ...


class Conversation:
    """Carries out what a selector wants, and tells it what comes back.

    Args:
        selector: Decides.
        counterpart: The allocator.
        request_variant: Told what the application is to do.
    """

    __slots__ = ("_counterpart", "_request_variant", "_selector")

    def __init__(
        self,
        selector: VariantSelector,
        counterpart: Counterpart,
        request_variant: Callable[[RequestVariant], object],
    ) -> None:
        self._selector = selector
        self._counterpart = counterpart
        self._request_variant = request_variant

    def perform(self, actions: tuple[SelectorAction, ...], now: float) -> None:
        """Do all of it: the allocator's part first, then the application's, which may call back."""
        switch: RequestVariant | None = None
        while actions:
            told = False
            for action in actions:
                match action:
                    case RequestVariant():
                        switch = action
                    case SetVariants(variants):
                        self._counterpart.set_variants(variants)
                        told = True
                    case RequestAllocation(bitrate):
                        self._counterpart.request_allocation(bitrate)
            if told:
                actions = self._selector.ladder_told(self._counterpart.allocation, now)
            else:
                actions = self._granted(now)
        if switch is not None:
            self._request_variant(switch)

    def obey(self, message: AllocationGranted | DecreaseAllocation, now: float) -> None:
        """Do what one message says."""
        match message:
            case AllocationGranted():
                # What is held now counts, should the message be older than that.
                self.perform(self._granted(now), now)
            case DecreaseAllocation():
                # It was forced meanwhile, and that message is still to come: comply first.
                self.perform(self._granted(now), now)
                self._answer(message, now)

    def _answer(self, request: DecreaseAllocation, now: float) -> None:
        answer = self._selector.answer(request)
        match answer:
            case RejectDecrease():
                self._counterpart.reject_decrease(request)
            case AcceptDecrease(bitrate=bitrate) if bitrate is not None:
                if self._counterpart.accept_decrease(request, bitrate):
                    self.perform(self._selector.lowered(bitrate, now), now)

    def _granted(self, now: float) -> tuple[SelectorAction, ...]:
        """What another allocation than the one known brings, if there is one."""
        allocation = self._counterpart.allocation
        if self._selector.allocation in (None, allocation):
            return ()
        return self._selector.granted(allocation, now)
