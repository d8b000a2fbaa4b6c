"""The ways to share that can be chosen by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from .layered import LayeredPolicy
from .policies import Policy
from .water_filling import WaterFillingPolicy

PolicyName: TypeAlias = Literal["layered", "water-filling", "fair"]
"""A way to share that comes with the package."""

POLICIES: Mapping[PolicyName, Policy | None] = {
    "layered": LayeredPolicy(),
    "water-filling": WaterFillingPolicy(),
    "fair": None,
}
"""By name. The fair sharing is built into the engine, which calls it None."""

DEFAULT_POLICY: PolicyName = "layered"


def chosen_policy(policy: object) -> Policy | None:
    """Check what somebody chose for a way to share.

    Args:
        policy: A name of `POLICIES`, a policy of the user's, or None for the default.

    Returns:
        What the engine takes.

    Raises:
        TypeError: It is neither.
        ValueError: There is no policy of that name.
    """
    if policy is None:
        return POLICIES[DEFAULT_POLICY]
    if isinstance(policy, str):
        for name, known in POLICIES.items():
            if name == policy:
                return known
        raise ValueError(
            f"policy must be one of {', '.join(map(repr, POLICIES))}, or a Policy of your own, "
            f"not {policy!r}"
        )
    if not callable(policy):
        raise TypeError(
            f"policy must be callable, or one of {', '.join(map(repr, POLICIES))}, not {policy!r}"
        )
    return policy
