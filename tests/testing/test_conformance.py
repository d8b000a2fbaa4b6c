"""The kit's check of an allocator: it passes ours, and names what is broken in broken ones."""

import importlib
import math
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from tests.testing import (
    test_accounting_plants,
    test_grant_plants,
    test_input_plants,
    test_lifetime_plants,
    test_negotiation_plants,
    test_probing_plants,
    test_prompt_plants,
)
from tests.testing.planting import found
from trio_allocator import LayeredPolicy, Shares, open_allocator, open_passthrough_allocator
from trio_allocator.testing import (
    INVARIANTS,
    ConformanceError,
    InvariantError,
    Terms,
    check_allocator,
)
from trio_allocator.testing.conformance import CHECKS
from trio_allocator.testing.virtual import CpuLimit

PLANTS = {
    **test_lifetime_plants.PLANTS,
    **test_accounting_plants.PLANTS,
    **test_grant_plants.PLANTS,
    **test_negotiation_plants.PLANTS,
    **test_probing_plants.PLANTS,
    **test_prompt_plants.PLANTS,
    **test_input_plants.PLANTS,
}
NOT_SEEN_FROM_OUTSIDE = {"L3", "C1", "C2"}
NOT_CLAIMED = {"A2", "A5", "A6", "N2", "N3", "N4", "N5", "N6", "N8", "P1", "P5"}
"""By the pass-through allocator, which knows no capacity, asks nobody and never probes."""


@pytest.mark.invariant(*CHECKS)
def test_the_allocator_keeps_the_contract():
    check_allocator(open_allocator)


def test_the_pass_through_allocator_keeps_what_it_claims():
    check_allocator(open_passthrough_allocator, except_for=NOT_CLAIMED)


def test_what_the_pass_through_allocator_does_not_claim_is_found():
    with pytest.raises(ConformanceError) as caught:
        check_allocator(open_passthrough_allocator)
    assert caught.value.invariants == NOT_CLAIMED


def test_every_invariant_has_a_check_and_a_planted_allocator():
    assert set(CHECKS) == set(INVARIANTS) - NOT_SEEN_FROM_OUTSIDE
    assert set(PLANTS) == set(CHECKS)


@pytest.mark.parametrize(
    ("invariant", "plant"),
    [
        pytest.param(invariant, plant, id=f"{invariant}-{getattr(plant, '__name__', index)}")
        for invariant, plants in PLANTS.items()
        for index, plant in enumerate(plants)
    ],
)
def test_the_kit_names_what_is_broken(invariant, plant):
    assert found(plant, invariant) == {invariant}


def test_the_error_says_which_promise_in_words_and_keeps_the_traceback():
    with pytest.raises(ConformanceError) as caught:
        check_allocator(open_passthrough_allocator, except_for=NOT_CLAIMED - {"P5"})
    (violation,) = caught.value.violations
    assert isinstance(violation, InvariantError)
    assert str(violation).startswith(f"P5 ({INVARIANTS['P5']}): ")
    assert str(violation) in str(caught.value)
    assert violation.__traceback__ is not None


class Unopenable:
    async def __aenter__(self):
        await trio.lowlevel.checkpoint()
        raise OSError("no allocator today")

    async def __aexit__(self, *exception):
        pass


class Spinning:
    async def __aenter__(self):
        while True:  # noqa: ASYNC110 - that is what is wrong
            await trio.lowlevel.checkpoint()

    async def __aexit__(self, *exception):
        pass


def test_an_allocator_that_raises_has_broken_what_was_checked():
    with pytest.raises(ConformanceError, match="no allocator today") as caught:
        check_allocator(Unopenable)
    assert caught.value.invariants == set(CHECKS)
    assert any(isinstance(v.__cause__, OSError) for v in caught.value.violations)


def test_an_allocator_that_spins_is_stopped():
    with pytest.raises(ConformanceError, match="without a sleep"):
        check_allocator(Spinning, except_for=set(INVARIANTS) - {"A2"})


def test_a_call_that_never_returns_is_named_and_ends_it():
    calls = []

    @asynccontextmanager
    async def hangs():
        async with open_allocator() as allocator:
            estimate = allocator.update_bandwidth_estimation

            def never(bitrate, *, carried=None):
                calls.append(bitrate)
                while bitrate:
                    pass
                estimate(bitrate, carried=carried)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(allocator), "update_bandwidth_estimation", staticmethod(never))
                yield allocator

    with pytest.raises(ConformanceError, match=r"0\.5 s of CPU time") as caught:
        check_allocator(hangs, except_for=set(INVARIANTS) - {"G6", "G7", "G10"}, cpu_limit=0.5)
    (violation,) = caught.value.violations
    assert (violation.invariant, len(calls)) == ("G6", 1)
    assert violation.situation.startswith("G6: what a higher class waits for")
    assert "G6: what a higher class waits for" in str(caught.value)


def test_a_call_that_waits_outside_of_trio_for_what_does_not_come_ends_it():
    limit = CpuLimit(0.02)

    def waits():
        while True:
            time.sleep(0.01)

    with pytest.raises(TimeoutError, match=r"0\.2 s by the clock"):
        limit.run(waits)
    assert limit.ran_out


def test_an_allocator_whose_errors_can_not_be_shown_is_named_all_the_same():
    class UnspeakableError(Exception):
        def __repr__(self):
            raise RuntimeError

    class Maker:
        def __repr__(self):
            raise RuntimeError

        @asynccontextmanager
        async def __call__(self):
            async with open_allocator():
                yield self

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            raise UnspeakableError

    with pytest.raises(ConformanceError, match="<Maker, whose repr fails>") as caught:
        check_allocator(Maker(), except_for=set(INVARIANTS) - {"G2"})
    assert "<UnspeakableError, whose repr fails>" in str(caught.value)


def test_a_limit_that_is_none_is_refused():
    for limit in (0, -1, "long"):
        with pytest.raises((TypeError, ValueError), match="cpu_limit"):
            check_allocator(open_allocator, cpu_limit=limit)


def test_a_stranger_among_the_ids_is_named():
    with pytest.raises(ValueError, match=r"except_for must be some of .*N8.*, not X9"):
        check_allocator(open_allocator, except_for={"X9", "A2"})


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (None, "make must be callable, not None"),
        (Unopenable(), "make must be callable"),
        (lambda: None, "make must return an asynchronous context manager, not None"),
        (trio.sleep_forever, "make must return an asynchronous context manager, not <coroutine"),
    ],
)
def test_what_opens_nothing_is_refused_at_once(make, complaint):
    with pytest.raises(TypeError, match=complaint):
        check_allocator(make)


async def test_it_says_that_it_can_not_be_called_inside_of_trio():
    with pytest.raises(RuntimeError, match="check_allocator makes Trio runs of its own"):
        check_allocator(open_allocator)


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        ({"negotiation_timeout": 0}, "negotiation_timeout"),
        ({"negotiation_timeout": 2.0}, "negotiation_timeout must be at most 1.0 seconds"),
        ({"silence": math.inf}, "silence must be at most 60.0 seconds"),
        ({"refusal_backoff": 0.02}, "at least twice"),
    ],
)
def test_terms_that_no_check_can_see_are_refused(terms, complaint):
    with pytest.raises(ValueError, match=complaint):
        Terms(**terms)


def test_terms_are_terms():
    with pytest.raises(TypeError, match="terms must be Terms"):
        check_allocator(open_allocator, terms=0.2)


def test_an_allocator_with_a_policy_keeps_the_contract():
    # The oracle serves in turn, but counts nobody who was passed: that is half of G8.
    wrapped = partial(LayeredPolicy())
    check_allocator(lambda: open_allocator(policy=wrapped), except_for={"G8"})


def test_water_filling_keeps_the_contract():
    # As above: whoever is all or nothing, and needs more than the others, may be passed for ever.
    check_allocator(lambda: open_allocator(policy="water-filling"), except_for={"G8"})


def test_no_test_runner_is_needed():
    program = """
import sys
sys.modules["pytest"] = None
from trio_allocator import open_allocator
from trio_allocator.testing import AllocatorMachine, check_allocator
check_allocator(open_allocator, except_for={"P2"})
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def broken_policy(_claims, _capacity):
    return 1 / 0


def no_shares(claims, _capacity):
    return {claim.receiver_id: claim.lowest for claim in claims}


def nothing_for_anybody(_claims, _capacity):
    return Shares({})


def only_the_lowest(claims, _capacity):
    return Shares({claim.receiver_id: claim.lowest for claim in claims})


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        (broken_policy, r"ZeroDivisionError"),
        (no_shares, r"it must return Shares\(\{receiver_id: bit/s\}\), not \{1: "),
        (nothing_for_anybody, r"it gives no share to receiver 1: every claim needs one"),
        (only_the_lowest, r"G2: \d+ bit/s for receiver 1 would fit"),
    ],
)
def test_a_policy_that_fails_is_told_though_another_takes_over(policy, complaint):
    """Else the check would be one of the policy that took over."""
    with pytest.raises(ConformanceError, match=complaint) as caught:
        check_allocator(lambda: open_allocator(policy=policy), except_for={"G8"})
    assert caught.value.invariants == {"L3"}


def test_without_hypothesis_the_kit_says_which_extra_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "trio_allocator.testing")
    with pytest.raises(ModuleNotFoundError, match="install the package with its extra `testing`"):
        importlib.import_module("trio_allocator.testing")


def test_what_an_opened_allocator_is_made_of_is_no_function():
    """It can be called, as a decorator."""
    with pytest.raises(TypeError, match="pass the function, not its result"):
        check_allocator(open_allocator())


def test_a_check_that_passes_prints_nothing():
    """Receivers break promises in it, and the allocator warns of that."""
    program = """
from trio_allocator import open_allocator
from trio_allocator.testing import check_allocator
check_allocator(open_allocator)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
