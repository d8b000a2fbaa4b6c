"""What is checked at the call, before anything changes (I1)."""

from __future__ import annotations

from attrs import frozen

from .. import quantities
from ..engine.limits import Limits
from ..engine.settings import SettingChanges, Settings
from ..engine.sharing.registry import chosen_policy
from ..options import ReceiverOptionChanges, ReceiverOptions
from ..policies.policy import Policy
from ..tracks import Track


@frozen
class Opening:
    """What an allocator is opened with, checked.

    Attributes:
        settings: Complete.
        initial_estimate: Whole bit/s; None if nothing is known yet.
        policy: As the engine takes it.
        limits: Of the connection.
    """

    settings: Settings
    initial_estimate: int | None
    policy: Policy | None
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
    quantities.known_names("setting", settings, SettingChanges.__annotations__)
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
    held = quantities.bitrate("bandwidth", bandwidth)
    checked = ReceiverOptions.for_track(track, options)
    if checked.max_bitrate is not None and held > checked.max_bitrate:
        raise ValueError(
            f"bandwidth ({held}) must not be above max_bitrate ({checked.max_bitrate}) bit/s"
        )
    return checked, held
