"""Decrease requests: who is asked, what each owes until when, and who refused."""

from __future__ import annotations

from collections import OrderedDict

from ..messages import DecreaseAllocation
from .lazy_heap import LazyHeap
from .negotiation import Negotiation, NegotiationEvent, Refusal, RefusalKind, Request
from .receiver import ANSWERS_REMEMBERED, Receiver
from .settings import NEVER, Settings

_STRIDE = 2**32
"""Request ids are the receiver's id plus a multiple of this: nobody can answer for another (N2)."""


class AnswerError(ValueError):
    """An answer that can not be: a second one, or one to a request that was never sent."""


class Negotiator:
    """All decrease requests of one allocator, and the refusals in force.

    All requests have the same time to run, and all refusals: in the order in which they were
    made they are in the order in which they end.

    Args:
        settings: The deadline and the back-off.

    Attributes:
        accepted: How many requests were accepted.
        refusals: How many were refused, by kind.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.accepted: int = 0
        self.refusals: dict[RefusalKind, int] = dict.fromkeys(RefusalKind, 0)
        self._outstanding: OrderedDict[int, Receiver] = OrderedDict()
        self._refused: OrderedDict[int, Receiver] = OrderedDict()
        self._by_estimate: LazyHeap[tuple[float]] = LazyHeap()

    # --- requests ----------------------------------------------------------------------------

    @property
    def outstanding(self) -> OrderedDict[int, Receiver]:
        """Receivers that were asked, or that pledged, by id."""
        return self._outstanding

    @property
    def wake_at(self) -> float:
        """The next deadline."""
        request = self._first().request if self._outstanding else None
        return NEVER if request is None else request.deadline

    def _first(self) -> Receiver:
        return next(iter(self._outstanding.values()))

    def ask(self, now: float, receiver: Receiver) -> DecreaseAllocation:
        """Ask a receiver to come down to its projection."""
        receiver.step(NegotiationEvent.ASK)
        request_id = (receiver.last_request or receiver.id) + _STRIDE
        held, limit = receiver.allocation, receiver.projected
        deadline = now + self._settings.negotiation_timeout
        receiver.request = Request(request_id, limit, _enough(receiver, limit), deadline)
        receiver.last_request = request_id
        self._outstanding[receiver.id] = receiver
        return DecreaseAllocation(held, limit, request_id, receiver.id)

    def reconsider(self, receiver: Receiver) -> None:
        """A ladder or options changed: ask no more of a receiver than it can give now (N4)."""
        request = receiver.request
        if request is not None:
            request.limit = max(request.limit, receiver.lowest)
            request.enough = max(request.enough, _enough(receiver, request.limit))

    def counts(self, receiver: Receiver, request_id: int) -> bool:
        """Whether an answer to this request counts now.

        Raises:
            AnswerError: It was answered before, or was never sent to this receiver.
        """
        if request_id in receiver.answered:
            raise AnswerError(f"request {request_id} was answered already: answer each just once")
        foreign = (request_id - receiver.id) % _STRIDE != 0
        if foreign or not receiver.id < request_id <= receiver.last_request:
            raise AnswerError(f"request {request_id} was never sent to receiver {receiver.id}")
        return (
            receiver.negotiation is Negotiation.ASKED
            and receiver.request is not None
            and receiver.request.id == request_id
        )

    def accept(self, receiver: Receiver) -> None:
        """Take a promise."""
        self._note_answer(receiver)
        receiver.step(NegotiationEvent.ACCEPT)
        self.accepted += 1

    def reject(self, now: float, receiver: Receiver, estimate: int) -> None:
        """Take a refusal."""
        self._note_answer(receiver)
        self._close(receiver, NegotiationEvent.REJECT)
        self.refuse(now, receiver, RefusalKind.REJECTED, estimate)

    @staticmethod
    def _note_answer(receiver: Receiver) -> None:
        assert receiver.request is not None
        answered = (*receiver.answered, receiver.request.id)
        receiver.answered = answered[-ANSWERS_REMEMBERED:]

    def lowered(self, receiver: Receiver) -> bool:
        """Judge a lowering by a receiver that was asked.

        Returns:
            True if it is enough; then the request is done with.
        """
        request = receiver.request
        if request is None or receiver.allocation > request.enough:
            return False
        self._close(receiver, NegotiationEvent.LOWERED)
        return True

    def withdraw(self, receiver: Receiver) -> None:
        """Take back an outstanding request, answered or not."""
        self._close(receiver, NegotiationEvent.WITHDRAW)

    def _close(self, receiver: Receiver, event: NegotiationEvent) -> None:
        if receiver.request is not None and receiver.step(event):
            del self._outstanding[receiver.id]

    def expire(
        self, now: float, estimate: int, heard_until: float
    ) -> list[tuple[Receiver, RefusalKind]]:
        """End the requests whose deadline has passed: silence, or a broken promise.

        Args:
            now: The time.
            estimate: The newest estimate, bit/s.
            heard_until: Later deadlines are not judged yet.
        """
        expired: list[tuple[Receiver, RefusalKind]] = []
        while self.wake_at <= min(now, heard_until):
            receiver = self._first()
            pledged = receiver.negotiation is Negotiation.PLEDGED
            self._close(receiver, NegotiationEvent.DEADLINE)
            kind = RefusalKind.BREACH if pledged else RefusalKind.SILENT
            self.refuse(now, receiver, kind, estimate)
            expired.append((receiver, kind))
        return expired

    # --- refusals ----------------------------------------------------------------------------

    def refuse(self, now: float, receiver: Receiver, kind: RefusalKind, estimate: int) -> None:
        """Note a refusal: not to be asked again for a while (N5)."""
        self.refusals[kind] += 1
        receiver.refusal = Refusal(kind, estimate, now + self._settings.refusal_backoff)
        self._refused[receiver.id] = receiver
        self._by_estimate.put(receiver.id, (-estimate,))

    def forget_refusal(self, receiver: Receiver) -> None:
        """Forget a refusal, if there is one."""
        if receiver.refusal is not None:
            receiver.refusal = None
            del self._refused[receiver.id]
            self._by_estimate.discard(receiver.id)

    def lapsed(self, now: float, estimate: int | None) -> list[Receiver]:
        """Forget the refusals that the estimate has fallen below, or that have lasted long enough.

        Args:
            now: The time.
            estimate: The newest estimate, bit/s; None if it is not known.
        """
        forgiven: list[Receiver] = []
        while self._refused:
            receiver = next(iter(self._refused.values()))
            if receiver.refusal is None or receiver.refusal.until > now:
                break
            self.forget_refusal(receiver)
            forgiven.append(receiver)
        while estimate is not None and (highest := self._by_estimate.first()) is not None:
            (negated,), receiver_id = highest
            if -negated <= estimate:
                break
            receiver = self._refused[receiver_id]
            self.forget_refusal(receiver)
            forgiven.append(receiver)
        return forgiven


def _enough(receiver: Receiver, limit: int) -> int:
    """The largest allocation that keeps a promise; see `Request.enough`."""
    held = receiver.allocation
    if receiver.steps or held <= receiver.minimum:
        return max(limit, receiver.step_below(held, held))
    return held - (held - limit + 1) // 2
