"""The ways to share that can be chosen, and how an allocator goes about each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from ...policies.policy import Policy, check_callable, shown
from ...policies.water_filling import WaterFillingPolicy
from ..ledger import Ledger
from ..settings import Settings
from .first_fit import FirstFit
from .layered_policy import FairPolicy, LayeredPolicy
from .policy_sharing import PolicySharing
from .sharing import Sharing

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
        TypeError: It is neither, as far as can be seen; see `check_callable`.
        ValueError: There is no policy of that name.
    """
    if policy is None:
        return POLICIES[DEFAULT_POLICY]
    names = ", ".join(map(repr, POLICIES))
    if isinstance(policy, str):
        for name, known in POLICIES.items():
            if name == policy:
                return known
        raise ValueError(f"policy must be one of {names}, or a Policy of your own, not {policy!r}")
    if not callable(policy):
        raise TypeError(f"policy must be callable, or one of {names}, not {shown(policy)}")
    check_callable(policy)
    return policy


def sharing_of(policy: Policy, ledger: Ledger, settings: Settings) -> Sharing:
    """How an allocator shares by a policy: by calling it, or by an index that comes to the same answers.

    There is one for the function of `LayeredPolicy`. What counts is the function that a call would
    run, and nothing that an object says of itself: whatever wraps a policy is called.
    """
    if not isinstance(policy, LayeredPolicy) or type(policy).__call__ is not LayeredPolicy.__call__:
        return PolicySharing(ledger, policy)
    return FirstFit(ledger, settings, policy.worth)
