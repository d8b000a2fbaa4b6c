"""How much is wanted before it is a receiver's turn: what a bigger estimate would have to carry.

All ways to share that come with the package serve class by class from the highest priority; in a
class first the minimums, then everybody's lowest step, then everybody's next. What fits as a whole
is served as a whole. So a receiver surely has its next step where there is room for all that comes
before that, and for all of the same round. (It may have it earlier: a round that does not fit is
served in part.) A user's policy may have any order, so there everything comes before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from ..engine.negotiation import Negotiation
from ..engine.receiver import Receiver
from ..policies.step_classes import class_above, parts_between

MINIMUMS = -1
"""The round before that of the lowest steps."""


class DemandAhead:
    """What everybody waits for, by class and round.

    Args:
        receivers: Everybody.
        ordered: They are served class by class and round by round.
    """

    def __init__(self, receivers: Iterable[Receiver], *, ordered: bool) -> None:
        self._ordered = ordered
        self._rounds: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self._held: dict[int, int] = defaultdict(int)
        for receiver in receivers:
            for priority, held in parts_between(receiver.classes, 0, receiver.allocation):
                self._held[priority] += held
            for priority, number, need in waits(receiver):
                self._rounds[priority][number] += need

    def above(self, receiver: Receiver) -> int:
        """What others hold and wait for in higher classes than that of its next step, bit/s."""
        priority = class_above(receiver.classes, receiver.allocation)
        held = sum(rate for other, rate in self._held.items() if other > priority)
        own = parts_between(receiver.classes, 0, receiver.allocation)
        held -= sum(rate for other, rate in own if other > priority)
        return held + self._above(priority)

    def before(self, receiver: Receiver) -> int:
        """What is served before a receiver's next step, and in the same round, by others, bit/s."""
        if not self._ordered:
            total = sum(sum(rounds.values()) for rounds in self._rounds.values())
            return total - sum(need for _, _, need in waits(receiver))
        priority = class_above(receiver.classes, receiver.allocation)
        last = next_round(receiver)
        rounds = self._rounds.get(priority, {})
        same = sum(need for number, need in rounds.items() if number <= last)
        own = sum(
            need for each, number, need in waits(receiver) if each == priority and number <= last
        )
        return self._above(priority) + same - own

    def _above(self, priority: int) -> int:
        return sum(
            sum(rounds.values()) for other, rounds in self._rounds.items() if other > priority
        )


def next_round(receiver: Receiver) -> int:
    """In which round a receiver's next step is served."""
    if receiver.allocation < receiver.minimum:
        return MINIMUMS
    return receiver.rank(receiver.allocation)


def waits(receiver: Receiver) -> Iterator[tuple[int, int, int]]:
    """What a receiver could be raised by if there were room: class, round, and bit/s in each.

    Who is on hold counts: by the time that others' holds are over, so may its own be.
    """
    if receiver.negotiation is Negotiation.PLEDGED:
        return
    level = receiver.allocation
    while level < receiver.want:
        above = receiver.step_above(level)
        number = MINIMUMS if level < receiver.minimum else receiver.rank(level)
        yield class_above(receiver.classes, level), number, above - level
        level = above
