"""Opening an allocator."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Unpack

from ..engine.settings import SettingChanges
from ..engine.sharing.registry import PolicyName
from ..policies.policy import Policy
from .allocator import ProbingAllocator
from .checks import check_opening
from .lifetime import living


def open_allocator(
    *,
    initial_estimate: float | None = None,
    policy: PolicyName | Policy | None = None,
    max_bitrate: float | None = None,
    reserve: float = 0,
    **settings: Unpack[SettingChanges],
) -> AbstractAsyncContextManager[ProbingAllocator]:
    """Open an allocator for one connection; it lives exactly inside its ``async with``.

    Args:
        initial_estimate: An estimate known from the start, bit/s. Without one nothing is granted
            before the first `update_bandwidth_estimation`.
        policy: How to share: by name, or a way of your own; see `PolicyName` and `Policy`.
            None for the default, ``"layered"``.
        max_bitrate: What the connection may be used for at most, bit/s; see `Limits`.
        reserve: Kept free for what is sent outside of allocations, bit/s; see `Limits`.
        **settings: See `Settings`.

    Returns:
        An asynchronous context manager. What its body raises leaves it unwrapped.

    Raises:
        TypeError, ValueError: A setting is unknown, or its value is not usable.
    """
    opening = check_opening(initial_estimate, policy, max_bitrate, reserve, settings)
    return living(lambda nursery: ProbingAllocator._start_in_block(nursery, opening))  # noqa: SLF001
