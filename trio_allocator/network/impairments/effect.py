"""What an impairment is, and what it may do to a link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Protocol

from attrs import Attribute

from ... import quantities
from .episodes import Episodes


class Link(Protocol):
    """What an impairment may know of the link, and do to it."""

    start: float
    queue_size: int
    delay: float

    def capacity(self, now: float) -> int:
        """bit/s."""
        ...

    def compete(self, now: float, size: int) -> tuple[float, float, float] | None:
        """Send a packet into the queue: how long it waits, when it left, when it arrives."""
        ...


class Effect:
    """What one impairment does to one link. The base does nothing: a link asks only what is overridden.

    Attributes:
        pauses: When the link transmits nothing; None for never.
        overtakes: Whether packets may arrive in another order than that in which they were sent.
    """

    pauses: Episodes | None = None
    overtakes: bool = False

    def enters(self, now: float, size: int) -> bool:
        """Whether a packet gets as far as the queue."""
        raise AssertionError("only those that override it are asked")

    def arrives(self, left: float, at: float) -> float:
        """When a packet arrives that left the link then and else arrived at `at`; inf for never."""
        raise AssertionError("only those that override it are asked")

    def reports(self, now: float, at: float) -> float | None:
        """When a report arrives that is sent now and else arrived at `at`; None for never."""
        raise AssertionError("only those that override it are asked")

    def clock(self, now: float, shown: float) -> float:
        """What the far end's clock shows, which else shows `shown`."""
        raise AssertionError("only those that override it are asked")

    def advance(self, now: float) -> None:
        """Do what is due up to now."""
        raise AssertionError("only those that override it are asked")


class Impairment(ABC):
    """What happens to packets and reports: data, to be shared by any number of links."""

    @property
    def feedback_interval(self) -> float | None:
        """How often the far end reports, s; None if this impairment does not say."""
        return None

    @abstractmethod
    def begin(self, chance: Random, link: Link) -> Effect:
        """Start with a link.

        Args:
            chance: The source of all that is random.
            link: What it happens to.
        """


def above_zero(impairment: Impairment, attribute: Attribute[float], value: float) -> None:
    """Check an argument that is above 0."""
    quantities.positive(attribute.name, value, "see its class")


def is_share(impairment: Impairment, attribute: Attribute[float], value: float) -> None:
    """Check an argument from 0 to 1."""
    quantities.share(attribute.name, value)


def is_range(
    impairment: Impairment, attribute: Attribute[tuple[float, float]], value: tuple[float, float]
) -> None:
    """Check an argument that is the least and the most, s."""
    least, most = value
    quantities.positive(attribute.name, least, "the least, s")
    quantities.positive(attribute.name, most, "the most, s")
    if least > most:
        raise ValueError(f"{attribute.name} must be (least, most), got {value!r}: turn it round")
