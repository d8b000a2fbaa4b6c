"""What the engine needs of a way to share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from attrs import frozen

from ...policies.step_classes import class_below
from ..receiver import Receiver
from ..settings import NEVER


@frozen
class Capacity:
    """What may be shared now. Rates are bit/s.

    Attributes:
        usable: All allocations together may come to this; what is above has to be given.
        trusted: Raises may bring them to this, and in any case to what they are to come to already.
        lowest: Raises to lowest steps may bring them to this; not less than `trusted`.
        negotiate: Anybody may be brought down; not while the estimate is unknown.
        force: Nobody owes an answer: only then may an overuse be cured by force.
    """

    usable: int
    trusted: int
    lowest: int
    negotiate: bool = True
    force: bool = True

    def for_raises(self, projected: int) -> int:
        """How far raises may bring the sum, where it comes to this already."""
        return min(self.usable, max(self.trusted, projected))

    def for_lowest(self, projected: int) -> int:
        """The same for raises to lowest steps."""
        return min(self.usable, max(self.lowest, projected))

    def for_keeping(self, committed: int) -> int:
        """How far the sum may go if nothing is given that is held now, and it is this (N7).

        To keep what one holds is no raise: only what is above the usable has to go.
        """
        return min(self.usable, max(self.trusted, committed))


class Sharing(Protocol):
    """A way to share: it keeps the projections of a ledger.

    Attributes:
        ordered: It serves class by class, and in a class round by round.
    """

    ordered: bool

    def index(self, receiver: Receiver) -> None:
        """A receiver is new, or anything of it changed."""
        ...

    def drop(self, receiver: Receiver) -> None:
        """A receiver is gone."""
        ...

    def settle(self, capacity: Capacity, *, now: float) -> Iterable[Receiver]:
        """Bring the projections up to date; return the receivers whose projection changed.

        Those to be asked first come first.

        Raises:
            PolicyError: A user's policy failed. Nothing was changed.
        """
        ...

    def next_need(self, room: int, most: float = NEVER) -> int | None:
        """The smallest increment waited for that `room` does not hold, and `most` does, bit/s.

        Who can use any part of what it waits for counts with all that `most` holds of it.
        """
        ...

    def reserved(self) -> dict[int, float]:
        """For whom what becomes free is reserved, and until when."""
        ...

    def bars(self) -> dict[int, int]:
        """Receiver id to the level, bit/s, that must fit before that receiver is raised."""
        ...

    @property
    def wake_at(self) -> float:
        """When `advance` is due."""
        ...

    def advance(self, now: float) -> None:
        """Time has passed."""
        ...


def asking_order(receiver: Receiver) -> tuple[int, float, int]:
    """Whom to ask first: the lowest class, in it the highest rate per weight, then the newest."""
    priority = class_below(receiver.classes, receiver.allocation)
    return (priority, -receiver.allocation / receiver.options.weight, -receiver.id)
