"""Who is asked, who owes what until when, and who refused."""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedList

from ..messages import DecreaseAllocation
from .negotiation import Negotiation, NegotiationEvent, Refusal, RefusalKind, Request
from .receiver import ANSWERS_REMEMBERED, Receiver
from .settings import NEVER, Settings


class AnswerError(ValueError):
    """An answer that can not be: a second one, or one to a request that was never sent."""


class Negotiator:
    """All decrease requests of one allocator, and the refusals in force.

    Args:
        settings: The deadline and the back-off.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last_id = 0
        self._outstanding: dict[int, Receiver] = {}
        self._deadlines: SortedList[tuple[float, int]] = SortedList()
        self._refused: dict[int, Receiver] = {}
        self._by_estimate: SortedList[tuple[int, int]] = SortedList()
        self._by_time: SortedList[tuple[float, int]] = SortedList()

    # --- requests ----------------------------------------------------------------------------

    @property
    def outstanding(self) -> dict[int, Receiver]:
        """Receivers that were asked, or that pledged, by id."""
        return self._outstanding

    @property
    def wake_at(self) -> float:
        """The next deadline."""
        return self._deadlines[0][0] if self._deadlines else NEVER

    def ask(self, now: float, receiver: Receiver) -> DecreaseAllocation:
        """Ask a receiver to come down to its projection."""
        receiver.step(NegotiationEvent.ASK)
        self._last_id += 1
        held, limit = receiver.allocation, receiver.projected
        if receiver.steps or held <= receiver.minimum:
            enough = max(limit, receiver.step_below(held, held))
        else:
            enough = held - (held - limit + 1) // 2
        deadline = now + self._settings.negotiation_timeout
        receiver.request = Request(self._last_id, limit, enough, deadline)
        receiver.last_request = self._last_id
        self._outstanding[receiver.id] = receiver
        self._deadlines.add((deadline, receiver.id))
        return DecreaseAllocation(held, limit, self._last_id, receiver.id)

    def counts(self, receiver: Receiver, request_id: int) -> bool:
        """Whether an answer to this request counts now.

        Raises:
            AnswerError: It was answered before, or was never sent to this receiver.
        """
        if request_id in receiver.answered:
            raise AnswerError(f"request {request_id} was answered already: answer each just once")
        if not 0 < request_id <= receiver.last_request:
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

    def reject(self, now: float, receiver: Receiver, estimate: int) -> None:
        """Take a refusal."""
        self._note_answer(receiver)
        self._close(receiver, NegotiationEvent.REJECT)
        self.refuse(now, receiver, RefusalKind.REJECTED, estimate)

    @staticmethod
    def _note_answer(receiver: Receiver) -> None:
        if receiver.request is not None:
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
        request = receiver.request
        if request is not None and receiver.step(event):
            self._deadlines.remove((request.deadline, receiver.id))
            del self._outstanding[receiver.id]

    def expire(self, now: float, estimate: int) -> Iterator[tuple[Receiver, RefusalKind]]:
        """End the requests whose deadline has passed: silence, or a broken promise."""
        while self._deadlines and self._deadlines[0][0] <= now:
            receiver = self._outstanding[self._deadlines[0][1]]
            pledged = receiver.negotiation is Negotiation.PLEDGED
            self._close(receiver, NegotiationEvent.DEADLINE)
            kind = RefusalKind.BREACH if pledged else RefusalKind.SILENT
            self.refuse(now, receiver, kind, estimate)
            yield receiver, kind

    # --- refusals ----------------------------------------------------------------------------

    def refuse(self, now: float, receiver: Receiver, kind: RefusalKind, estimate: int) -> None:
        """Note a refusal: not to be asked again for a while (N5)."""
        until = now + self._settings.refusal_backoff
        receiver.refusal = Refusal(kind, estimate, until)
        self._refused[receiver.id] = receiver
        self._by_estimate.add((estimate, receiver.id))
        self._by_time.add((until, receiver.id))

    def pardon(self, receiver: Receiver) -> None:
        """Forget a refusal, if there is one."""
        refusal = receiver.refusal
        if refusal is None:
            return
        receiver.refusal = None
        del self._refused[receiver.id]
        self._by_estimate.remove((refusal.estimate, receiver.id))
        self._by_time.remove((refusal.until, receiver.id))

    def lapsed(self, now: float, estimate: int | None) -> Iterator[Receiver]:
        """Forget the refusals that the estimate has fallen below, or that have lasted long enough.

        Args:
            now: The time.
            estimate: The newest estimate, bit/s; None if it is not known.
        """
        while self._by_time and self._by_time[0][0] <= now:
            receiver = self._refused[self._by_time[0][1]]
            self.pardon(receiver)
            yield receiver
        while estimate is not None and self._by_estimate and self._by_estimate[-1][0] > estimate:
            receiver = self._refused[self._by_estimate[-1][1]]
            self.pardon(receiver)
            yield receiver

    def forget(self, receiver: Receiver) -> None:
        """Drop all that concerns a receiver that leaves or may not be asked any more."""
        self.withdraw(receiver)
        self.pardon(receiver)
