"""Ways to share, chosen by name."""

from __future__ import annotations

from typing import get_args

import pytest

from trio_allocator.engine.sharing.registry import (
    DEFAULT_POLICY,
    POLICIES,
    PolicyName,
    chosen_policy,
)
from trio_allocator.policies.policy import Shares


def test_every_name_is_a_policy_and_nothing_else_is():
    assert list(get_args(PolicyName)) == list(POLICIES)


@pytest.mark.parametrize("name", POLICIES)
def test_a_name_chooses_its_policy(name):
    assert chosen_policy(name) is POLICIES[name]


def test_with_none_it_is_the_default():
    assert chosen_policy(None) is POLICIES[DEFAULT_POLICY]


def test_a_policy_of_the_users_is_taken_as_it_is():
    def mine(_claims, _capacity) -> Shares:
        return Shares({})

    assert chosen_policy(mine) is mine


@pytest.mark.invariant("I1")
@pytest.mark.parametrize("name", ["", "Fair", "fairest"])
def test_an_unknown_name_is_refused_with_those_there_are(name):
    with pytest.raises(
        ValueError, match=r"policy must be one of '.*', or a Policy of your own, not"
    ) as caught:
        chosen_policy(name)
    for known in POLICIES:
        assert repr(known) in str(caught.value)
    assert repr(name) in str(caught.value)


@pytest.mark.invariant("I1")
@pytest.mark.parametrize("nothing", [0, False, b"fair", ["fair"]])
def test_what_can_not_be_called_is_refused(nothing):
    with pytest.raises(TypeError, match="policy must be callable, or one of '"):
        chosen_policy(nothing)
