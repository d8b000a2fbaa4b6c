"""What is checked at the call, before anything changes (I1)."""

from __future__ import annotations

from typing import Protocol, TypeVar

from attrs import frozen

from .. import quantities
from ..engine.limits import Limits
from ..engine.settings import SettingChanges, Settings
from ..engine.sharing.registry import chosen_policy
from ..messages import AcceptDecrease, RejectDecrease
from ..options import ReceiverOptionChanges, ReceiverOptions
from ..policies.policy import Policy
from ..tracks import Track


@frozen
class Opening:
    """What an allocator is opened with, checked.

    Attributes:
        settings: Complete.
        initial_estimate: Whole bit/s; None if nothing is known yet.
        policy: That of the name, or the user's own.
        limits: Of the connection.
    """

    settings: Settings
    initial_estimate: int | None
    policy: Policy
    limits: Limits


def check_opening(
    initial_estimate: object,
    policy: object,
    max_bitrate: float | None,
    reserve: float,
    settings: SettingChanges,
) -> Opening:
    """Check what an allocator is opened with.

    Raises:
        TypeError, ValueError: One of them is not usable.
    """
    chosen = chosen_policy(policy)
    estimate = initial_estimate
    if estimate is not None:
        estimate = quantities.bitrate("initial_estimate", estimate)
    beside = ("initial_estimate", "policy", "max_bitrate", "reserve")
    quantities.known_names("setting", settings, SettingChanges.__annotations__, beside=beside)
    limits = Limits(max_bitrate=max_bitrate, reserve=reserve)
    return Opening(Settings(**settings), estimate, chosen, limits)


def check_registration(
    track: object, bandwidth: object, options: ReceiverOptionChanges
) -> tuple[ReceiverOptions, int]:
    """Check what a registration is given.

    Returns:
        The options, complete, and the bandwidth, whole bit/s.

    Raises:
        TypeError, ValueError: One of them is not usable.
    """
    if not isinstance(track, Track):
        raise TypeError(f"track must be a Track, not {track!r}")
    known = ReceiverOptionChanges.__annotations__
    quantities.known_names("option", options, known, beside=("track", "bandwidth"))
    held = quantities.bitrate("bandwidth", bandwidth)
    checked = ReceiverOptions.for_track(track, options)
    if checked.max_bitrate is not None and held > checked.max_bitrate:
        raise ValueError(
            f"bandwidth ({held}) must not be above max_bitrate ({checked.max_bitrate}) bit/s"
        )
    return checked, held


def check_answer(answer: AcceptDecrease | RejectDecrease, receiver_id: int) -> int | None:
    """Check an answer to a decrease request.

    Args:
        answer: What the receiver says.
        receiver_id: Whose handle it says it by.

    Returns:
        What it requests in the same act, whole bit/s; None if nothing.

    Raises:
        TypeError, ValueError: It is of no use, or another receiver's.
    """
    for name, number in (("request", answer.request_id), ("receiver", answer.receiver_id)):
        if type(number) is not int:
            raise TypeError(f"{name}_id must be an int, not {number!r}")
    if answer.receiver_id != receiver_id:
        raise ValueError(
            f"request {answer.request_id} was sent to receiver {answer.receiver_id}, "
            f"not to receiver {receiver_id}: answer it there"
        )
    bitrate = answer.bitrate if isinstance(answer, AcceptDecrease) else None
    return None if bitrate is None else quantities.bitrate("bitrate", bitrate)


class Owned(Protocol):
    """The handle of a registration."""

    def check_open(self) -> object:
        """Its allocator; raises what an ended registration raises."""
        ...


H = TypeVar("H", bound=Owned)


def check_own(receiver: object, kind: type[H], owner: object) -> H:
    """Check that a receiver is a live registration of an allocator.

    Args:
        receiver: What was given.
        kind: The handles that the allocator makes.
        owner: The allocator.

    Raises:
        TypeError: It is no such handle.
        ValueError: It is another allocator's.
        trio.ClosedResourceError: It has ended.
    """
    if not isinstance(receiver, kind):
        raise TypeError(f"receiver must be a registration of this allocator, not {receiver!r}")
    if receiver.check_open() is not owner:
        raise ValueError(f"receiver must be a registration of this allocator, not {receiver!r}")
    return receiver
