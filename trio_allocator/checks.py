"""What is checked at the call, before anything changes (I1)."""

from __future__ import annotations

from . import quantities
from .engine.settings import SettingChanges, Settings
from .options import ReceiverOptionChanges, ReceiverOptions
from .tracks import Track


def check_opening(
    initial_estimate: object, policy: object, settings: SettingChanges
) -> tuple[Settings, int | None]:
    """Check what an allocator is opened with.

    Returns:
        The settings, complete, and the initial estimate, whole bit/s.

    Raises:
        TypeError, ValueError: One of them is not usable.
    """
    if policy is not None and not callable(policy):
        raise TypeError(f"policy must be callable, not {policy!r}")
    estimate = initial_estimate
    if estimate is not None:
        estimate = quantities.bitrate("initial_estimate", estimate)
    quantities.known_names("setting", settings, SettingChanges.__annotations__)
    return Settings(**settings), estimate


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
