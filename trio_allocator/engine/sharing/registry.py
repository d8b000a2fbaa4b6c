"""The ways to share that can be chosen by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from ...policies.policy import Policy
from ...policies.water_filling import WaterFillingPolicy
from .layered_policy import FairPolicy, LayeredPolicy

PolicyName: TypeAlias = Literal["layered", "water-filling", "fair"]
"""A way to share that comes with the package: `LayeredPolicy`, the default; `WaterFillingPolicy`; or
``"fair"``, which shares as `LayeredPolicy` does, but a fall of the estimate keeps no raise back."""

POLICIES: Mapping[PolicyName, Policy] = {
    "layered": LayeredPolicy(),
    "water-filling": WaterFillingPolicy(),
    "fair": FairPolicy(),
}
"""By name."""

DEFAULT_POLICY: PolicyName = "layered"


def chosen_policy(policy: object) -> Policy:
    """Check what somebody chose for a way to share.

    Args:
        policy: A name of `POLICIES`, a policy of the user's, or None for the default.

    Returns:
        The policy.

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
